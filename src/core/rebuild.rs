//! Rebuilds the inventory from the targets, after the store was lost.
//!
//! Synchronous and without IO. Ownership is decided as everywhere else ([`ownership`]), without a record: by the mark. A
//! resource of a kind without marks is recorded only if the planner would do so too, because that affects nobody else. Existing
//! records are not changed.
//!
//! If a resource is as desired, its record is what an apply would have written. If it differs, the record has the fields as
//! they are: the next plan shows the difference as pending. Secrets are recorded as the repository refers to them, so that a
//! lost one is noticed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::desired::OwnerResources;
use crate::diff::{self, Known, Secret, Verdict};
use crate::model::address::{Address, Owner};
use crate::model::document::Phase;
use crate::model::kind::{Catalogue, Kind, MarkPlace, at};
use crate::model::resource::{
    Applied, Begun, Desired, Identity, Inventory, Observations, Observed, Present, TargetName,
};
use crate::model::secret::{SecretReference, SecretVersion};
use crate::model::unknown::Unknown;
use crate::model::value::{Deferred, Map, Part, Value};
use crate::ownership::{self, Claim, NotOurs, Ownership};
use crate::plan::sensitive;

/// The inputs.
pub struct Inputs<'a> {
    /// The estate and environment, as marks name them.
    pub scope: &'a str,
    pub catalogue: &'a Catalogue,
    pub desired: &'a [OwnerResources],
    pub phases: &'a BTreeMap<Arc<str>, Phase>,
    /// Tenants whose phase is recorded.
    pub applied_phases: &'a BTreeSet<Arc<str>>,
    pub inventory: &'a Inventory,
    pub begun: &'a HashMap<(Address, Identity), Begun>,
    pub observed: &'a Observations,
    pub secret_hashes: &'a HashMap<Address, Arc<str>>,
    /// The highest version of each secret that is stored, by owner and name.
    pub stored: &'a BTreeMap<(Owner, Arc<str>), SecretVersion>,
    /// The generation of every new record. The number of writes at an address is lost, and so are the idempotency keys that were
    /// used; a number that no address can have reached by counting avoids using one of them again.
    pub generation: u64,
}

/// How a recorded resource compares with the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    AsWanted,
    /// The next plan changes it.
    Differs,
    /// It is not desired: the next plan deletes it, under the usual guards.
    NotWanted,
}

/// A resource to record.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub applied: Applied,
    pub state: State,
    /// Pointers to the sensitive fields of its spec.
    pub sensitive: Vec<Arc<str>>,
}

/// A resource that carries a mark.
type Marked<'a> = (&'a TargetName, &'a Arc<Kind>, &'a Identity, &'a Present);

/// The result.
#[derive(Debug, Default, PartialEq)]
pub struct Rebuilt {
    /// In order of address.
    pub records: Vec<Found>,
    /// How many are already recorded as they were found.
    pub kept: usize,
    /// Addresses whose record differs from what was found, and how.
    pub contradicted: BTreeMap<Address, String>,
    /// Existing resources without a mark.
    pub unmarked: BTreeSet<Address>,
    /// Existing resources that are not ours, or may be a copy; and why.
    pub left: BTreeMap<Address, String>,
    /// Addresses with a write that was begun and whose end is not known: the next apply finishes it.
    pub unfinished: BTreeSet<Address>,
    /// Resources whose state is unknown, by target and reason. Without an address if they are not desired.
    pub unknown: BTreeMap<(TargetName, Unknown), BTreeSet<Address>>,
    /// The phases of tenants whose resources are all as their phase requires.
    pub phases: BTreeMap<Arc<str>, Phase>,
}

impl Rebuilt {
    /// Whether there is nothing to record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.phases.is_empty()
    }

    /// The owners whose locks are needed to record it.
    pub fn owners(&self) -> Vec<Owner> {
        let tenants = self.phases.keys().map(|tenant| Owner::Tenant(tenant.clone()));
        let owners: BTreeSet<Owner> =
            self.records.iter().map(|found| found.applied.address.owner.clone()).chain(tenants).collect();
        owners.into_iter().collect()
    }
}

/// Determines what can be recorded.
pub fn rebuild(inputs: &Inputs<'_>) -> Rebuilt {
    let mut builder = Builder::new(inputs);
    for owner in inputs.desired {
        let mut is_settled = !owner.resources.is_empty();
        for desired in &owner.resources {
            is_settled &= builder.wanted(desired) == Some(State::AsWanted);
        }
        builder.phase(&owner.owner, is_settled);
    }
    builder.marked();
    let Builder { mut rebuilt, .. } = builder;
    rebuilt.records.sort_by(|one, other| one.applied.address.cmp(&other.applied.address));
    // What is left to end is not of the phase that asks for nothing of it.
    let ending = rebuilt.records.iter().filter(|found| found.state == State::NotWanted);
    for tenant in ending.filter_map(|found| found.applied.address.owner.tenant()) {
        rebuilt.phases.remove(tenant);
    }
    rebuilt
}

struct Builder<'a> {
    inputs: &'a Inputs<'a>,
    by_address: HashMap<&'a Address, &'a Desired>,
    wanted: BTreeSet<(&'a TargetName, &'a str, &'a Identity)>,
    earlier: BTreeSet<&'a Address>,
    on_record: BTreeMap<(&'a TargetName, &'a str, &'a Identity), &'a Address>,
    rebuilt: Rebuilt,
}

impl<'a> Builder<'a> {
    fn new(inputs: &'a Inputs<'a>) -> Self {
        let all = || inputs.desired.iter().flat_map(|owner| &owner.resources);
        Self {
            inputs,
            by_address: all().map(|desired| (&desired.address, desired)).collect(),
            wanted: all()
                .filter_map(|desired| Some((&desired.target, desired.kind.name, desired.identity.as_ref()?)))
                .collect(),
            earlier: all().flat_map(|desired| &desired.previously).collect(),
            on_record: inputs
                .inventory
                .values()
                .map(|applied| ((&applied.target, &*applied.kind, &applied.identity), &applied.address))
                .collect(),
            rebuilt: Rebuilt::default(),
        }
    }

    /// Handles a desired resource. Returns its state if it is or will be recorded.
    fn wanted(&mut self, desired: &'a Desired) -> Option<State> {
        let identity = desired.identity.as_ref()?;
        let observation = self.inputs.observed.get(&(desired.target.clone(), desired.kind.name));
        let observed = observation.map_or_else(|| Observed::Unknown(Unknown::NotAsked), |of| of.get(identity));
        let present = match &observed {
            Observed::Absent => return None,
            Observed::Unknown(reason) => {
                let unknown = self.rebuilt.unknown.entry((desired.target.clone(), reason.clone()));
                unknown.or_default().insert(desired.address.clone());
                return None;
            }
            Observed::Present(present) => present,
        };
        let earlier = self.earlier_of(desired, present);
        let place = (&desired.target, desired.kind.name, identity);
        if let Some(address) = self.on_record.get(&place) {
            if **address == desired.address || earlier.contains(address) {
                self.rebuilt.kept += 1;
                let applied = self.inputs.inventory.get(*address);
                return Some(self.state(desired, &earlier, &observed, applied));
            }
            self.rebuilt.contradicted.insert(desired.address.clone(), format!("it is recorded at {address}"));
            return None;
        }
        if self.inputs.begun.contains_key(&(desired.address.clone(), identity.clone())) {
            self.rebuilt.unfinished.insert(desired.address.clone());
            return None;
        }
        let claim = Claim {
            scope: self.inputs.scope,
            kind: &desired.kind,
            address: &desired.address,
            earlier: &earlier,
            recorded: None,
            begun: false,
        };
        let address = match ownership::of(&claim, present) {
            Ownership::Ours { .. } => desired.address.clone(),
            Ownership::Moved { from } => from,
            Ownership::NotOurs(NotOurs::NotOnRecord) if self.is_harmless(desired, &observed) => desired.address.clone(),
            Ownership::NotOurs(NotOurs::Unmarked | NotOurs::NotOnRecord | NotOurs::MarkGone | NotOurs::Another) => {
                self.rebuilt.unmarked.insert(desired.address.clone());
                return None;
            }
            Ownership::NotOurs(other @ (NotOurs::OfOtherEstate { .. } | NotOurs::OfOtherAddress { .. })) => {
                self.rebuilt.left.insert(desired.address.clone(), other.to_string());
                return None;
            }
        };
        if self.contradicts(&address, identity) {
            return None;
        }
        let as_applied = Applied {
            address,
            kind: desired.kind.name.into(),
            marked: None,
            target: desired.target.clone(),
            identity: identity.clone(),
            spec: text(&desired.spec),
            outputs: text(&self.outputs(desired, present)),
            generation: self.inputs.generation,
            protect: desired.protect,
            depends_on: desired.depends_on.clone(),
        };
        let state = self.state(desired, &earlier, &observed, Some(&as_applied));
        let applied = match state {
            State::AsWanted => as_applied,
            State::Differs | State::NotWanted => Applied { spec: text(&as_found(desired, present)), ..as_applied },
        };
        self.rebuilt.records.push(Found { applied, state, sensitive: sensitive::of(desired) });
        Some(state)
    }

    /// Addresses that a resource had before: those that the repository names, and the one on its mark, unless that is
    /// another's.
    fn earlier_of(&self, desired: &Desired, present: &Present) -> Vec<Address> {
        let mut earlier = desired.previously.clone();
        if let Some(mark) = present.mark.as_ref().filter(|mark| mark.is_of(self.inputs.scope))
            && !self.by_address.contains_key(&mark.address)
            && !self.earlier.contains(&mark.address)
            && !self.inputs.inventory.contains_key(&mark.address)
        {
            earlier.push(mark.address.clone());
        }
        earlier
    }

    /// Whether the planner would record it although it carries no mark.
    fn is_harmless(&self, desired: &Desired, observed: &Observed) -> bool {
        matches!(self.verdict(desired, &desired.previously, observed, None), Verdict::Record { .. })
    }

    fn verdict(
        &self,
        desired: &Desired,
        earlier: &[Address],
        observed: &Observed,
        applied: Option<&Applied>,
    ) -> Verdict {
        diff::diff(&Known {
            scope: self.inputs.scope,
            desired,
            earlier,
            observed,
            applied,
            begun: None,
            secret: Secret::Hash(self.inputs.secret_hashes.get(&desired.address).map(|hash| &**hash)),
        })
    }

    /// The state of a resource with this record.
    fn state(&self, desired: &Desired, earlier: &[Address], observed: &Observed, applied: Option<&Applied>) -> State {
        match self.verdict(desired, earlier, observed, applied) {
            Verdict::Unchanged | Verdict::Record { .. } => State::AsWanted,
            // Its mark is written anew, or names the address that it had.
            Verdict::Update(update) if update.differences.is_empty() => State::AsWanted,
            Verdict::Update(_) | Verdict::Replace(_) | Verdict::Create { .. } | Verdict::Blocked { .. } => {
                State::Differs
            }
        }
    }

    /// Whether another resource is recorded at an address.
    fn contradicts(&mut self, address: &Address, identity: &Identity) -> bool {
        let Some(applied) = self.inputs.inventory.get(address) else { return false };
        let what = format!(
            "{} `{}` of target `{}` is recorded at this address",
            applied.kind, applied.identity, applied.target
        );
        self.rebuilt.contradicted.insert(address.clone(), format!("`{identity}` carries its mark, but {what}"));
        true
    }

    /// The outputs that the target returns, with references for one-time secrets.
    fn outputs(&self, desired: &Desired, present: &Present) -> Map {
        let captures = desired.kind.captures_of(&desired.spec);
        captures.iter().filter(|capture| capture.is_told(&desired.spec)).fold(
            Map::clone(&present.outputs),
            |outputs, capture| {
                let mut reference = SecretReference::captured(&desired.address, &capture.name, SecretVersion::FIRST);
                let Some(version) = self.inputs.stored.get(&(reference.owner.clone(), reference.name.clone())) else {
                    return outputs;
                };
                reference.version = *version;
                outputs
                    .with(&capture.name, Value::Deferred(Arc::new(Deferred { parts: vec![Part::Secret(reference)] })))
            },
        )
    }

    fn phase(&mut self, owner: &Owner, is_settled: bool) {
        let Some(tenant) = owner.tenant().filter(|tenant| is_settled && !self.inputs.applied_phases.contains(*tenant))
        else {
            return;
        };
        if let Some(phase) = self.inputs.phases.get(tenant) {
            self.rebuilt.phases.insert(tenant.clone(), *phase);
        }
    }

    /// Handles a resource that carries our mark and is not desired, or is desired with another name.
    fn marked(&mut self) {
        let inputs = self.inputs;
        let mut found: BTreeMap<&Address, Vec<Marked<'_>>> = BTreeMap::new();
        for ((target, kind), observation) in inputs.observed {
            let Some(kind) = inputs.catalogue.get(kind).filter(|kind| kind.mark != MarkPlace::Inventory) else {
                continue;
            };
            if let Some(reason) = &observation.incomplete {
                self.rebuilt.unknown.entry((target.clone(), reason.clone())).or_default();
            }
            for (identity, observed) in &observation.resources {
                let Observed::Present(present) = observed else { continue };
                let Some(mark) = present.mark.as_ref().filter(|mark| mark.is_of(inputs.scope)) else { continue };
                let place = (target, kind.name, identity);
                if !self.wanted.contains(&place) && !self.on_record.contains_key(&place) {
                    found.entry(&mark.address).or_default().push((target, kind, identity, present));
                }
            }
        }
        let recorded: BTreeSet<Address> =
            self.rebuilt.records.iter().map(|found| found.applied.address.clone()).collect();
        for (address, mut found) in found {
            found.sort_by_key(|(target, kind, identity, _)| (*target, kind.name, *identity));
            let names = || found.iter().map(|(.., identity, _)| format!("`{identity}`")).collect::<Vec<_>>().join(", ");
            if recorded.contains(address) || self.is_taken(address) || found.len() > 1 {
                self.rebuilt
                    .left
                    .insert(address.clone(), format!("{} may be a copy: a clone carries the same mark", names()));
                continue;
            }
            let [(target, kind, identity, present)] = found.as_slice() else { continue };
            if inputs.begun.contains_key(&(address.clone(), (*identity).clone())) {
                self.rebuilt.unfinished.insert(address.clone());
            } else if !self.contradicts(address, identity) {
                let found = self.unwanted(address, target, kind, identity, present);
                self.rebuilt.records.push(found);
            }
        }
    }

    /// Whether another resource is, or may be, the one at an address.
    fn is_taken(&self, address: &Address) -> bool {
        let is_unknown = self.rebuilt.unknown.values().any(|addresses| addresses.contains(address));
        let is_there = self.by_address.get(address).is_some_and(|desired| {
            let observation = self.inputs.observed.get(&(desired.target.clone(), desired.kind.name));
            let observed = observation.zip(desired.identity.as_ref()).map(|(of, identity)| of.get(identity));
            observed.is_some_and(|observed| observed != Observed::Absent)
        });
        is_unknown || is_there
    }

    fn unwanted(
        &self,
        address: &Address,
        target: &TargetName,
        kind: &Kind,
        identity: &Identity,
        present: &Present,
    ) -> Found {
        // Under another name than it has now, it is what is replaced.
        let desired =
            self.by_address.get(address).filter(|desired| desired.kind.name == kind.name && desired.target == *target);
        let spec = desired.map_or_else(|| Map::clone(&present.spec), |desired| as_found(desired, present));
        let sensitive = match desired {
            Some(desired) => sensitive::of(desired),
            None => sensitive::unless_recorded(Some(kind), &spec),
        };
        let applied = Applied {
            address: address.clone(),
            kind: kind.name.into(),
            marked: None,
            target: target.clone(),
            identity: identity.clone(),
            spec: text(&spec),
            outputs: text(&present.outputs),
            generation: self.inputs.generation,
            // The blueprint that said so is gone. Who meant it to be protected still does.
            protect: desired.is_none_or(|desired| desired.protect),
            depends_on: desired.map(|desired| desired.depends_on.clone()).unwrap_or_default(),
        };
        Found { applied, state: if desired.is_some() { State::Differs } else { State::NotWanted }, sensitive }
    }
}

/// The fields that the repository names, as they are in the target; secrets and write-only fields as in the repository.
fn as_found(desired: &Desired, present: &Present) -> Map {
    let mut spec = Value::from(diff::owned(&desired.kind, &present.spec, &desired.spec, None, &[]));
    let wanted = Value::Map(desired.spec.shared());
    wanted.for_each_leaf(&mut |pointer, value| {
        if matches!(value, Value::Deferred(deferred) if deferred.has_secret()) {
            spec = spec.with_pointer(pointer, value.clone());
        }
    });
    let by_spec = desired.kind.by_spec.map(|by_spec| (by_spec.write_only)(&desired.spec)).unwrap_or_default();
    for pointer in desired.kind.write_only.iter().copied().chain(by_spec.iter().map(|pointer| &**pointer)) {
        if let Some(value) = at(&desired.spec, pointer).filter(|_| spec.pointer(pointer).is_none()) {
            spec = spec.with_pointer(pointer, value.clone());
        }
    }
    spec.as_map().cloned().unwrap_or_default()
}

fn text(map: &Map) -> Arc<str> {
    serde_json::to_string(map).expect("specs and outputs have texts for keys").into()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::fixture::{address, applied, catalogue, desired, present};
    use crate::model::resource::KindObservation;

    /// `wanted` and `recorded` by address, `there` as a list; a line for each that comes on record, and for what is left.
    fn told(world: &Json) -> String {
        let catalogue = catalogue();
        let fields = |name: &str| world[name].as_object().cloned().unwrap_or_default();
        let resources: Vec<Desired> = fields("wanted").iter().map(|(at, json)| desired(&catalogue, at, json)).collect();
        let owner = Owner::from("acme");
        let inventory: Inventory =
            fields("recorded").iter().map(|(at, json)| (address(at), applied(&catalogue, at, json))).collect();
        let mut observed = Observations::new();
        for kind in catalogue.iter() {
            let mut resources: HashMap<Identity, Observed> =
                resources.iter().filter_map(|desired| Some((desired.identity.clone()?, Observed::Absent))).collect();
            for json in world["there"].as_array().into_iter().flatten() {
                if json["kind"].as_str().unwrap_or("test.thing") == kind.name {
                    let name = json["name"].as_str().expect("a name");
                    let observed = match json["unknown"].as_str() {
                        Some(reason) => Observed::Unknown(reason.into()),
                        None => Observed::Present(present(json)),
                    };
                    resources.insert(name.into(), observed);
                }
            }
            observed.insert(("main".into(), kind.name), KindObservation { resources, incomplete: None });
        }
        let rebuilt = rebuild(&Inputs {
            scope: "shop",
            catalogue: &catalogue,
            desired: &[OwnerResources { owner, resources }],
            phases: &BTreeMap::from([("acme".into(), Phase::Suspended)]),
            applied_phases: &BTreeSet::new(),
            inventory: &inventory,
            begun: &HashMap::new(),
            observed: &observed,
            secret_hashes: &HashMap::new(),
            stored: &BTreeMap::new(),
            generation: 77,
        });
        let mut lines: Vec<String> = rebuilt
            .records
            .iter()
            .map(|Found { applied, state, .. }| {
                assert_eq!(applied.generation, 77);
                format!("{} {} {state:?} {}", applied.address, applied.identity, applied.spec)
            })
            .collect();
        lines.extend(rebuilt.contradicted.iter().map(|(address, why)| format!("contradicted {address}: {why}")));
        lines.extend(rebuilt.unmarked.iter().map(|address| format!("unmarked {address}")));
        lines.extend(rebuilt.left.iter().map(|(address, why)| format!("left {address}: {why}")));
        lines.extend(rebuilt.unknown.iter().map(|((_, why), addresses)| format!("unknown {addresses:?}: {why:?}")));
        lines.extend(rebuilt.phases.iter().map(|(tenant, phase)| format!("{tenant} is {}", phase.as_str())));
        lines.push(format!("{} kept", rebuilt.kept));
        lines.join("\n")
    }

    #[test]
    fn what_is_as_wanted_is_recorded_as_an_apply_leaves_it() {
        let wanted = json!({"acme/db": {"name": "a", "size": 1}, "acme/new": {"name": "n"}});
        let there = json!([{"name": "a", "size": 1, "uid": "77", "mark": "acme/db"}]);
        assert_snapshot!(told(&json!({"wanted": wanted, "there": there})), @r#"
        acme/db a AsWanted {"name":"a","size":1}
        0 kept
        "#);
        let wanted = json!({"acme/db": {"name": "a", "size": 1}});
        assert_snapshot!(told(&json!({"wanted": wanted, "there": there})), @r#"
        acme/db a AsWanted {"name":"a","size":1}
        acme is suspended
        0 kept
        "#);
    }

    #[test]
    fn what_differs_is_recorded_as_it_is_in_the_fields_that_are_asked_for() {
        let wanted = json!({"acme/db": {"name": "a", "size": 2}});
        let there = json!([{"name": "a", "size": 1, "uid": "77", "mark": "acme/db"}]);
        assert_snapshot!(told(&json!({"wanted": wanted, "there": there})), @r#"
        acme/db a Differs {"name":"a","size":1}
        0 kept
        "#);
    }

    #[test]
    fn what_carries_no_mark_of_ours_is_left_unless_it_takes_nothing_from_anybody() {
        let wanted = json!({
            "acme/plain": {"name": "p"}, "acme/theirs": {"name": "t"}, "acme/same": {"name": "s", "kind": "test.note"},
            "acme/other": {"name": "o", "kind": "test.note", "size": 1},
        });
        let there = json!([
            {"name": "p"}, {"name": "t", "mark": "bank:acme/theirs"}, {"name": "s", "kind": "test.note"},
            {"name": "o", "kind": "test.note", "size": 9},
        ]);
        assert_snapshot!(told(&json!({"wanted": wanted, "there": there})), @r#"
        acme/same s AsWanted {"name":"s"}
        unmarked acme/other
        unmarked acme/plain
        left acme/theirs: it belongs to estate `bank`
        0 kept
        "#);
    }

    #[test]
    fn what_nobody_wants_is_recorded_unless_it_may_be_a_copy() {
        let there = json!([
            {"name": "old", "size": 1, "mark": "acme/gone"},
            {"name": "one", "mark": "acme/twice"}, {"name": "two", "mark": "acme/twice"},
            {"name": "a", "mark": "acme/db"}, {"name": "a_backup", "mark": "acme/db"},
        ]);
        assert_snapshot!(told(&json!({"wanted": {"acme/db": {"name": "a"}}, "there": there})), @r#"
        acme/db a AsWanted {"name":"a"}
        acme/gone old NotWanted {"name":"old","size":1}
        left acme/db: `a_backup` may be a copy: a clone carries the same mark
        left acme/twice: `one`, `two` may be a copy: a clone carries the same mark
        0 kept
        "#);
    }

    #[test]
    fn an_old_name_and_an_old_address_are_recorded_as_they_were() {
        let there = json!([{"name": "old", "mark": "acme/db"}, {"name": "m", "mark": "acme/before"}]);
        let wanted = json!({"acme/db": {"name": "new"}, "acme/after": {"name": "m"}});
        assert_snapshot!(told(&json!({"wanted": wanted, "there": there})), @r#"
        acme/before m AsWanted {"name":"m"}
        acme/db old Differs {"name":"old"}
        0 kept
        "#);
    }

    #[test]
    fn nothing_that_is_on_record_is_written_over() {
        let wanted = json!({"acme/db": {"name": "a", "size": 1}, "acme/x": {"name": "x"}});
        let there = json!([{"name": "a", "size": 1, "mark": "acme/db"}, {"name": "x", "mark": "acme/x"}]);
        let recorded = json!({"acme/db": {"name": "a", "size": 5}, "acme/x": {"name": "y"}});
        assert_snapshot!(told(&json!({"wanted": wanted, "there": there, "recorded": recorded})), @"
        contradicted acme/x: `x` carries its mark, but test.thing `y` of target `main` is recorded at this address
        1 kept
        ");
    }

    #[test]
    fn what_could_not_be_told_is_named_and_nothing_else_suffers() {
        let wanted = json!({"acme/db": {"name": "a"}, "acme/down": {"name": "d", "kind": "test.bill"}});
        let there = json!([
            {"name": "a", "mark": "acme/db"}, {"name": "d", "kind": "test.bill", "unknown": "no answer"},
            {"name": "d_old", "kind": "test.bill", "mark": "acme/down"},
        ]);
        assert_snapshot!(told(&json!({"wanted": wanted, "there": there})), @r#"
            acme/db a AsWanted {"name":"a"}
            left acme/down: `d_old` may be a copy: a clone carries the same mark
            unknown {Address { owner: Tenant("acme"), id: "down", each: None }}: Unreadable { message: "no answer" }
            0 kept
        "#);
    }
}
