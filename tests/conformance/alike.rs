//! The sandbox stands in for PostgreSQL: what it is asked to write, it takes or refuses as the server does.
//!
//! A question that only the server can answer is not here: whether a table of the product exists, or an extension is installed.

use std::collections::BTreeMap;
use std::sync::Arc;

use assert_fs::TempDir;
use serde_json::{Value as Json, json};
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{Known, ObserveRequest, Reader, Step, StepAction, Writer};
use tenantry_sandbox::{Mode, Sandbox, World};

use crate::support::postgres::{World as Database, in_database};

enum Do {
    Create,
    Update,
    Delete,
}

/// A write: what is done, the estate and address that do it, kind and spec.
type Write = (Do, &'static str, &'static str, &'static str, Json);

/// One question: what is there already, and a batch of writes.
struct Question {
    why: &'static str,
    there: Vec<Write>,
    asked: Vec<Write>,
}

fn create(address: &'static str, kind: &'static str, spec: Json) -> Write {
    (Do::Create, "shop", address, kind, spec)
}

/// Names end with a suffix: roles belong to the whole server.
fn questions(suffix: &str) -> Vec<Question> {
    let name = |name: &str| format!("{name}_{suffix}");
    let role = || create("acme/role", "postgres.role", json!({"name": name("alike")}));
    let owned = || create("acme/schema", "postgres.schema", json!({"name": name("area"), "owner": name("alike")}));
    let schema = || create("acme/schema", "postgres.schema", json!({"name": name("area")}));
    let usage = |role: &str, schema: &str| {
        let spec = json!({"role": name(role), "on": "schema", "schema": name(schema), "privileges": ["USAGE"]});
        create("acme/grant", "postgres.grant", spec)
    };
    let as_other = |(act, _, address, kind, spec): Write| (act, "bank", address, kind, spec);
    let instead = |act: Do, (_, estate, address, kind, spec): Write| (act, estate, address, kind, spec);
    let elsewhere = |(act, estate, _, kind, spec): Write| (act, estate, "acme/other", kind, spec);
    let ask = |why, there, asked| Question { why, there, asked };
    let member = create("acme/role", "postgres.role", json!({"name": name("alike"), "memberOf": [name("nobody")]}));
    let named = |kind: &'static str, name: &str| create("acme/it", kind, json!({"name": name}));
    vec![
        ask("a role", vec![], vec![role()]),
        ask("a role again", vec![role()], vec![role()]),
        ask("a member of a role that nobody makes", vec![], vec![member]),
        ask("a schema of a role that nobody makes", vec![], vec![owned()]),
        ask("a schema of a role of the same batch", vec![], vec![role(), owned()]),
        ask("a privilege of a role that nobody makes", vec![schema()], vec![usage("nobody", "area")]),
        ask("a privilege on a schema that nobody makes", vec![role()], vec![usage("alike", "nowhere")]),
        ask("a privilege", vec![role(), schema()], vec![usage("alike", "area")]),
        ask("a batch whose second write is refused", vec![], vec![role(), usage("alike", "nowhere")]),
        ask("a role that another estate has", vec![as_other(role())], vec![role()]),
        ask("a schema that another estate has", vec![as_other(schema())], vec![schema()]),
        ask("a role that another address has", vec![role()], vec![elsewhere(role())]),
        ask("deleting what another estate has", vec![as_other(schema())], vec![instead(Do::Delete, schema())]),
        ask("updating what is gone", vec![], vec![instead(Do::Update, schema())]),
        ask("deleting what is gone", vec![], vec![instead(Do::Delete, schema())]),
        ask("deleting a schema", vec![schema()], vec![instead(Do::Delete, schema())]),
        ask(
            "deleting a privilege",
            vec![role(), schema(), usage("alike", "area")],
            vec![instead(Do::Delete, usage("alike", "area"))],
        ),
        ask("a schema with a reserved name", vec![], vec![named("postgres.schema", "pg_area")]),
        ask("a role with a reserved name", vec![], vec![named("postgres.role", "pg_alike")]),
        ask("a role with the name of everybody", vec![], vec![named("postgres.role", "public")]),
        ask("a role with the name of nobody", vec![], vec![named("postgres.role", "none")]),
        ask("a role with a name that is too long", vec![], vec![named("postgres.role", &"r".repeat(64))]),
    ]
}

fn step(catalogue: &Catalogue, (act, estate, address, kind, spec): &Write) -> Step {
    let kind = catalogue.get(kind).expect("a kind").clone();
    let spec = kind.normal(Value::from(spec).as_map().expect("a map"));
    let mark = Mark { estate: (*estate).into(), address: address.parse().expect("an address"), secret_hash: None };
    let before = || Present { spec: spec.shared(), mark: Some(mark.clone()), ..Present::default() };
    let action = match act {
        Do::Create => StepAction::Create { spec: Map::clone(&spec), secrets: Vec::new() },
        Do::Update => StepAction::Update {
            spec: Map::clone(&spec),
            before: before(),
            applied: None,
            changed: Vec::new(),
            removed: Vec::new(),
            secrets: Vec::new(),
        },
        Do::Delete => StepAction::Delete { before: before() },
    };
    let identity = kind.identity_of(&spec).expect("a name");
    Step { kind, identity, action, mark, idempotency_key: format!("{estate}-{address}").into() }
}

/// Whether the batch is taken, and what is there afterwards: each resource that the question is about.
async fn answer(catalogue: &Catalogue, reader: &dyn Reader, writer: &dyn Writer, question: &Question) -> String {
    for write in &question.there {
        let made = writer.write(&[step(catalogue, write)]).await;
        made.unwrap_or_else(|error| panic!("{}: what is there first cannot be made: {error}", question.why));
    }
    let batch: Vec<Step> = question.asked.iter().map(|write| step(catalogue, write)).collect();
    let mut told = match writer.write(&batch).await {
        Ok(_) => "taken".to_owned(),
        Err(error) => format!("refused at {} ({:?})", error.step, error.error.class),
    };
    for step in &batch {
        let known = Known { identity: &step.identity, spec: Map::clone(step.spec()) };
        let request = ObserveRequest {
            estate: "shop",
            wanted: BTreeMap::from([(step.kind.name, Vec::new())]),
            known: BTreeMap::from([(step.kind.name, vec![known])]),
            recorded: std::collections::HashMap::new(),
        };
        let observed = reader.observe(&request).await.remove(step.kind.name).expect("it was asked").get(&step.identity);
        told.push_str(match observed {
            Observed::Present(Present { mark: Some(mark), .. }) if &*mark.estate != "shop" => ", another's",
            Observed::Present(_) => ", there",
            Observed::Absent => ", not there",
            Observed::Unknown(_) => ", unknown",
        });
    }
    told
}

#[test]
fn the_sandbox_answers_as_postgres_does() {
    in_database("the_sandbox_answers_as_postgres_does", async |database: &Database| {
        let catalogue = Arc::new(tenantry_registry::catalogue(&tenantry_registry::providers()));
        let mut unlike = Vec::new();
        for question in questions(&database.suffix) {
            let real = answer(&catalogue, &*database.reader(), &*database.writer(), &question).await;
            let folder = TempDir::new().expect("a folder");
            let world = World::new(&folder.path().join("sandbox.db"), Mode::ReadWrite);
            let sandbox = Sandbox::new(world, catalogue.clone());
            let simulated = answer(&catalogue, &sandbox.reader("main"), &sandbox.writer("main"), &question).await;
            if real != simulated {
                unlike.push(format!("{}: the server: {real}; the sandbox: {simulated}", question.why));
            }
            // For the next question.
            for write in question.asked.iter().chain(&question.there).rev() {
                let (_, _, address, kind, spec) = write;
                for estate in ["shop", "bank"] {
                    let step = step(&catalogue, &(Do::Delete, estate, address, kind, spec.clone()));
                    _ = database.try_write(&[step]).await;
                }
            }
        }
        assert!(unlike.is_empty(), "{}", unlike.join("\n"));
    });
}
