//! Small worlds for the tests of decisions: what is wanted, on record and there, as JSON; what is planned, as lines.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::desired::OwnerResources;
use super::diagnostics::{FileId, Origin, Span};
use super::fingerprint::Systems;
use super::lifecycle::{Life, TenantRecord};
use super::model::address::{Address, Owner};
use super::model::config::LimitsTable;
use super::model::document::{ApprovalSpec, Document, Phase};
use super::model::kind::{Batch, Catalogue, Kind, MarkPlace, Nesting};
use super::model::mark::Mark;
use super::model::resource::{
    Applied, Begun, BegunWrite, Desired, Identity, Inventory, KindObservation, Observed, Present,
};
use super::model::value::{Map, Value};
use super::plan::build::{Inputs, Secrets, build};
use super::plan::{Plan, passes};

const TARGET: &str = "main";

/// `test.thing` carries its mark; `test.note` has no room for one; `test.area` holds the notes and areas whose names begin with its
/// own; `test.bill` charges; `test.login` never gives its `password`
/// back; `test.store` has data that cannot be made again. `test.user` and `test.space`, which has data, lose their mark with what
/// is set by hand. All are called by their `name`, and live in a `region` that cannot change. `tags` are owned by key, but for a
/// login's.
pub fn catalogue() -> Catalogue {
    let thing = |name: &'static str, mark: MarkPlace, bills: bool| Kind {
        name,
        summary: "",
        schema: schemars::json_schema!({"type": "object"}),
        identity: &["name"],
        immutable: &["/region"],
        write_only: &[],
        reviewed: &[],
        sensitive: &[],
        owned_by_key: &["/tags"],
        outputs: &[],
        captures: &[],
        name_limits: &[],
        references: &[],
        loses_data: false,
        bills,
        mark,
        batch: Batch::Single,
        defaults: Map::default(),
        normalise: |_| {},
        told: None,
        check: |_| Vec::new(),
        check_together: None,
        by_spec: None,
        nesting: None,
    };
    let nesting =
        |holds| Some(Nesting { place: |spec| Some(spec.get("name").and_then(Value::as_str)?.to_owned()), holds });
    Catalogue::new([
        thing("test.thing", MarkPlace::Target, false),
        Kind { nesting: nesting(false), ..thing("test.note", MarkPlace::Inventory, false) },
        Kind { loses_data: true, nesting: nesting(true), ..thing("test.area", MarkPlace::Inventory, false) },
        thing("test.bill", MarkPlace::Target, true),
        Kind { loses_data: true, ..thing("test.store", MarkPlace::Target, false) },
        thing("test.user", MarkPlace::TargetShared, false),
        Kind { loses_data: true, ..thing("test.space", MarkPlace::TargetShared, false) },
        Kind { write_only: &["/password"], owned_by_key: &[], ..thing("test.login", MarkPlace::Target, false) },
    ])
}

pub fn map(json: &Json) -> Map {
    Value::from(json).as_map().cloned().expect("a map")
}

pub fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn list(json: &Json) -> Vec<Address> {
    json.as_array().into_iter().flatten().filter_map(Json::as_str).map(address).collect()
}

fn fields(json: &Json) -> impl Iterator<Item = (&String, &Json)> {
    json.as_object().into_iter().flatten()
}

/// A spec without the words that say something about it: `kind`, `needs`, `was`, `adopt`, `mark`, `takes`, `whole`,
/// `refused`.
fn spec(json: &Json) -> Map {
    let words = ["kind", "needs", "was", "adopt", "mark", "takes", "whole", "refused"];
    let fields: serde_json::Map<String, Json> =
        fields(json).filter(|(name, _)| !words.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    map(&fields.into())
}

fn kind(catalogue: &Catalogue, json: &Json) -> Arc<Kind> {
    catalogue.get(json["kind"].as_str().unwrap_or("test.thing")).expect("a kind").clone()
}

/// `{"name": "a", "size": 1}`, and beside the spec `kind`, `needs: [address]`, `was: [address]`, `adopt`.
pub fn desired(catalogue: &Catalogue, at: &str, json: &Json) -> Desired {
    let kind = kind(catalogue, json);
    let spec = kind.normal(&spec(json));
    Desired {
        address: address(at),
        identity: kind.identity_of(&spec),
        kind,
        target: TARGET.into(),
        spec,
        sensitive: Arc::default(),
        protect: false,
        optional: false,
        adopt: json["adopt"] == true,
        depends_on: list(&json["needs"]),
        previously: list(&json["was"]),
        origin: Origin { file: FileId(0), span: Span::default() },
    }
}

pub fn applied(catalogue: &Catalogue, at: &str, json: &Json) -> Applied {
    let kind = kind(catalogue, json);
    let spec = spec(json);
    Applied {
        address: address(at),
        kind: kind.name.into(),
        marked: json["mark"].as_str().map(|at| Box::new(address(at))),
        target: TARGET.into(),
        identity: kind.identity_of(&kind.normal(&spec)).expect("a name"),
        spec: serde_json::to_string(&spec).expect("JSON").into(),
        outputs: "{}".into(),
        generation: 1,
        protect: false,
        depends_on: list(&json["needs"]),
    }
}

/// `mark` is an address of this estate, or `estate:address`; absent for no mark. `takes` is what goes with it, `whole` has the
/// pointers of maps that are replaced whole, and `refused` says why the target would refuse an update.
pub fn present(json: &Json) -> Present {
    let mark = json["mark"].as_str().map(|mark| {
        let (estate, at) = mark.split_once(':').unwrap_or(("shop", mark));
        Mark { estate: estate.into(), address: address(at), secret_hash: None }
    });
    let takes_along = json["takes"].as_array().into_iter().flatten().filter_map(Json::as_str).map(Arc::from).collect();
    let whole = json["whole"].as_array().into_iter().flatten().filter_map(Json::as_str).map(Arc::from).collect();
    let refused = json["refused"].as_str().map(Arc::from);
    Present { spec: Arc::new(spec(json)), mark, takes_along, whole, refused, ..Present::default() }
}

/// Plans a world: `wanted` and `recorded` by address, `there` as a list (or `unknown`: why it could not be read), `begun` as
/// a list of addresses whose write was never seen to end, `unfinished` by address what was begun to be made, `phases` by tenant, `refused` by address what the target says, `approved` addresses that may be deleted, or what `allow` lists.
pub fn plan(world: &Json) -> Plan {
    plan_with(world, None, &BTreeMap::new())
}

/// The same with policies, and tenants as they were last applied.
pub fn plan_with(
    world: &Json,
    policies: Option<super::policy::Context<'_>>,
    applied_tenants: &BTreeMap<Arc<str>, Value>,
) -> Plan {
    let catalogue = catalogue();
    let mut by_owner: BTreeMap<Owner, Vec<Desired>> = BTreeMap::new();
    for (at, json) in fields(&world["wanted"]) {
        let desired = desired(&catalogue, at, json);
        by_owner.entry(desired.address.owner.clone()).or_default().push(desired);
    }
    let mut owners: Vec<OwnerResources> =
        by_owner.into_iter().map(|(owner, resources)| OwnerResources { owner, resources }).collect();
    let inventory: Inventory = fields(&world["recorded"])
        .map(|(at, json)| applied(&catalogue, at, json))
        .map(|applied| (applied.address.clone(), applied))
        .collect();
    passes::moves::add(&mut owners, &inventory);

    let unfinished: Vec<Applied> =
        fields(&world["unfinished"]).map(|(at, json)| applied(&catalogue, at, json)).collect();
    let mut observed: BTreeMap<_, KindObservation> = BTreeMap::new();
    for name in
        ["test.thing", "test.note", "test.area", "test.bill", "test.login", "test.store", "test.user", "test.space"]
    {
        let of_kind = |json: &&Json| kind(&catalogue, json).name == name;
        let there = world["there"].as_array().into_iter().flatten().filter(of_kind).map(|json| {
            let present = present(json);
            let kind = kind(&catalogue, json);
            (kind.identity_of(&kind.normal(&present.spec)).expect("a name"), Observed::Present(present))
        });
        let mut resources: HashMap<Identity, Observed> = there.collect();
        let asked = owners.iter().flat_map(|owner| &owner.resources).filter_map(|desired| desired.identity.clone());
        for identity in asked.chain(inventory.values().chain(&unfinished).map(|applied| applied.identity.clone())) {
            resources.entry(identity).or_insert(Observed::Absent);
        }
        let observation = match world["unknown"].as_str() {
            Some(reason) => KindObservation::unknown(reason),
            None => KindObservation { resources, incomplete: None },
        };
        observed.insert((TARGET.into(), catalogue.get(name).expect("a kind").name), observation);
    }

    let begun: HashMap<(Address, Identity), Begun> = list(&world["begun"])
        .into_iter()
        .map(|at| {
            let name = world["wanted"][at.to_string()]["name"].as_str().expect("a name");
            let begun = Begun { generation: 1, write: BegunWrite::Write, spec: None };
            ((at, Identity::from(name)), begun)
        })
        .collect();
    let begun: HashMap<(Address, Identity), Begun> = unfinished
        .iter()
        .map(|made| ((made.address.clone(), made.identity.clone()), BegunWrite::Write))
        .map(|(at, write)| (at, Begun { generation: 1, write, spec: None }))
        .chain(begun)
        .collect();
    let phases: BTreeMap<Arc<str>, Phase> = owners
        .iter()
        .filter_map(|owner| Some((owner.owner.tenant()?.clone(), Phase::Active)))
        .chain(fields(&world["phases"]).map(|(tenant, phase)| {
            let phase = Phase::named(phase.as_str().expect("a phase")).expect("a phase");
            (Arc::from(tenant.as_str()), phase)
        }))
        .collect();
    let records = phases.keys().map(|tenant| (tenant.clone(), TenantRecord::of_phase(Phase::Active))).collect();
    let lives = phases.iter().map(|(tenant, phase)| (tenant.clone(), life(*phase))).collect();
    let estate: Arc<str> = "shop".into();
    build(&Inputs {
        estate: &estate,
        environment: None,
        revision: None,
        now: jiff::Timestamp::UNIX_EPOCH,
        simulated: false,
        catalogue: &catalogue,
        limits: &LimitsTable::default(),
        approvals: &approvals(&world["approved"], &world["allow"], &world["policies"]),
        desired: &owners,
        lives: &lives,
        why: &BTreeMap::new(),
        renamed: &BTreeMap::new(),
        records: &records,
        terms: &BTreeMap::new(),
        inventory: &inventory,
        begun: &begun,
        unfinished: &unfinished,
        observed: &observed,
        refused: Some(
            &fields(&world["refused"])
                .map(|(at, words)| (address(at), words.as_str().expect("words").into()))
                .collect(),
        ),
        secrets: Secrets::Read { hashes: &HashMap::new(), missing: &BTreeSet::new() },
        systems: &Systems::default(),
        selected: &|owner| world["selected"].as_str().is_none_or(|only| owner.to_string() == only),
        threads: world["threads"].as_u64().and_then(|threads| threads.try_into().ok()).unwrap_or(1),
        applied_tenants,
        values: None,
        policies,
        place: &|_, _| None,
    })
}

/// The life of a tenant that entered its phase long ago.
fn life(phase: Phase) -> Life {
    Life { deletion_due: Some(jiff::Timestamp::MIN), ..Life::of_phase(phase, jiff::Timestamp::MIN) }
}

fn approvals(addresses: &Json, allow: &Json, policies: &Json) -> Vec<Document<ApprovalSpec>> {
    let addresses: Vec<&Json> = addresses.as_array().into_iter().flatten().collect();
    if addresses.is_empty() {
        return Vec::new();
    }
    let spec = json!({
        "reason": "agreed", "expires": "1971-01-01T00:00:00Z", "allow": allow.as_array().cloned().unwrap_or_else(|| vec!["delete".into()]), "addresses": addresses, "policies": policies.as_array().cloned().unwrap_or_default(),
    });
    vec![Document {
        metadata: serde_json::from_value(json!({"name": "agreed"})).expect("metadata"),
        spec: serde_json::from_value(spec).expect("an approval"),
        positions: super::model::document::Positions::new(FileId(0), Vec::<(String, Span)>::new()),
    }]
}

/// A line for each change, what is blocked, and each phase: `action address (cause; reason) field: before → after`.
pub fn lines(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for change in &plan.changes {
        let reason = serde_json::to_value(&change.reason).expect("JSON");
        let cause = serde_json::to_value(change.cause).expect("JSON");
        let from = change.renamed_from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        let word = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        let mut line = format!(
            "{} {}{from} ({}, {})",
            change.action().as_str(),
            change.address,
            word(&cause),
            word(&reason["code"])
        );
        for field in change.work.fields() {
            let show =
                |value: &Option<Value>| value.as_ref().map_or("none".into(), |value| value.to_json().to_string());
            line.push_str(&format!(" {}: {} → {}", field.path, show(&field.before), show(&field.after)));
        }
        lines.push(line);
    }
    for blocked in &plan.blocked {
        let reason = serde_json::to_string(&blocked.reason).expect("JSON");
        lines.push(format!("blocked {} ({}) {reason}", blocked.address, blocked.code));
    }
    for refused in plan.findings.iter().filter(|finding| finding.refuses) {
        lines.push(format!("refused ({}) {}", refused.code, refused.message));
    }
    if lines.is_empty() {
        lines.push(format!("nothing to do, {} unchanged", plan.unchanged));
    }
    lines.join("\n")
}
