//! A store of format 1, made with the statements that made it then.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::journal::{Line, Tip, canonical};

/// What runs of format 1 left.
pub struct Earlier {
    tip: Tip,
    lines: Vec<Line>,
    /// Table rows as values of an INSERT, by address or tenant.
    inventory: BTreeMap<String, String>,
    open_steps: BTreeMap<String, String>,
    phases: BTreeMap<String, String>,
    locks: Vec<String>,
    runs: i64,
}

impl Earlier {
    pub fn new() -> Self {
        Self {
            tip: Tip::start(),
            lines: Vec::new(),
            inventory: BTreeMap::new(),
            open_steps: BTreeMap::new(),
            phases: BTreeMap::new(),
            locks: Vec::new(),
            runs: 0,
        }
    }

    fn add(&mut self, run: Option<i64>, event: &str, owner: Option<&str>, detail: String) {
        let line = Line {
            sequence: 0,
            run,
            at: time(self.tip.sequence).to_string(),
            event: event.into(),
            owner: owner.map(Into::into),
            detail,
            hash: String::new(),
        };
        let line = self.tip.chain(line);
        self.lines.push(line);
    }

    pub fn run(&mut self, scope: &Scope) -> i64 {
        self.runs += 1;
        let begun = json!({
            "at": time(0), "command": "apply", "estate": scope.estate, "environment": scope.environment,
            "revision": null, "actor": "me@here", "plan": "digest", "approvals": [],
        });
        self.add(Some(self.runs), "runBegun", None, begun.to_string());
        self.runs
    }

    pub fn begun(&mut self, run: i64, address: &str, generation: u64) {
        let step = begun(address, generation);
        let detail = canonical(&step).expect("JSON");
        self.add(Some(run), "stepBegun", Some(&step.address.owner.to_string()), detail.clone());
        let row = format!("{}, {}, {}", text(address), self.tip.sequence, text(&detail));
        self.open_steps.insert(address.into(), row);
    }

    pub fn ended(&mut self, run: i64, address: &str, generation: u64, result: StepResult) {
        let step = ended(address, generation, result);
        self.add(Some(run), "stepEnded", Some(&step.address.owner.to_string()), canonical(&step).expect("JSON"));
        self.open_steps.remove(address);
        match step.result {
            StepResult::Applied(applied) => self.hold(&applied),
            StepResult::Removed => drop(self.inventory.remove(address)),
            StepResult::Failed(_) => {}
        }
    }

    /// A row of the inventory, whether or not the journal says where it comes from.
    pub fn hold(&mut self, applied: &Applied) {
        let Applied { address, kind, target, identity, spec, outputs, generation, protect, depends_on, marked: _ } =
            applied;
        let depends_on = serde_json::to_string(depends_on).expect("JSON");
        let texts = [&address.to_string(), &**kind, target, identity, spec, outputs].map(text).join(", ");
        let row = format!("{texts}, {generation}, {}, {}", i32::from(*protect), text(&depends_on));
        self.inventory.insert(address.to_string(), row);
    }

    pub fn applied(&mut self, run: i64, address: &str, generation: u64) {
        self.begun(run, address, generation);
        self.ended(run, address, generation, StepResult::Applied(applied(address, generation)));
    }

    pub fn phase(&mut self, run: i64, tenant: &str, phase: &str) {
        let entered = json!({ "at": time(0), "tenant": tenant, "from": null, "to": phase });
        self.add(Some(run), "phaseEntered", Some(tenant), entered.to_string());
        self.phases.insert(tenant.into(), format!("{}, {}", text(tenant), text(phase)));
    }

    pub fn unlocked(&mut self, owner: &str) {
        self.add(None, "unlocked", Some(owner), json!({ "actor": "me@here", "holder": "run-1" }).to_string());
    }

    pub fn lock(&mut self, owner: &str, holder: &str, expires: Timestamp) {
        let micros = expires.as_microsecond();
        self.locks.push(format!("{}, {}, 7, {}, {micros}", text(owner), text(holder), micros - 60_000_000));
    }

    /// Puts a digit of an entry out of place.
    pub fn tamper(&mut self) {
        self.lines[0].detail.push(' ');
    }

    /// Makes the store, as the program of then would have left it.
    pub async fn make(&self, place: &Place) {
        let mut sql = match place {
            Place::Sqlite(_) => {
                std::fs::create_dir(place.path().parent().expect("a folder")).expect("creates");
                std::fs::write(place.path(), b"").expect("writes");
                SQLITE.to_owned()
            }
            Place::Postgres { .. } => POSTGRES.to_owned(),
        };
        let mut insert = |table: &str, row: &str| sql.push_str(&format!("INSERT INTO {table} VALUES ({row});\n"));
        for line in &self.lines {
            let Line { sequence, run, at, event, owner, detail, hash } = line;
            let run = run.map_or_else(|| "NULL".into(), |run| run.to_string());
            let owner = owner.as_ref().map_or_else(|| "NULL".into(), |owner| text(owner));
            let [at, event, detail, hash] = [at, event, detail, hash].map(|value| text(value));
            insert("journal", &format!("{sequence}, {run}, {at}, {event}, {owner}, {detail}, {hash}"));
        }
        let columns = "inventory (address, kind, target, identity, spec, outputs, generation, protect, depends_on)";
        self.inventory.values().for_each(|row| insert(columns, row));
        self.open_steps.values().for_each(|row| insert("open_steps", row));
        self.phases.values().for_each(|row| insert("phases", row));
        self.locks.iter().for_each(|row| insert("locks", row));
        let Tip { sequence, hash } = &self.tip;
        sql.push_str(&format!(
            "UPDATE state SET sequence = {sequence}, hash = '{hash}', token = 7, run = {};",
            self.runs
        ));
        if matches!(place, Place::Postgres { .. }) {
            sql = sql.replacen("CREATE TABLE", "SET search_path TO tenantry_store; CREATE TABLE", 1);
        }
        place.raw(&sql).await.expect("the earlier store is made");
    }
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

pub const SQLITE: &str = "
PRAGMA application_id = 1953395833;
CREATE TABLE state (
  sequence INTEGER NOT NULL, hash TEXT NOT NULL, token INTEGER NOT NULL, run INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (0, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0);
CREATE TABLE journal (
  sequence INTEGER PRIMARY KEY, run INTEGER, at TEXT NOT NULL, event TEXT NOT NULL, owner TEXT, detail TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_owner ON journal (owner) WHERE owner IS NOT NULL;
CREATE INDEX journal_by_run ON journal (run) WHERE run IS NOT NULL;
CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_refuses_replace BEFORE INSERT ON journal
  WHEN EXISTS (SELECT 1 FROM journal WHERE sequence = NEW.sequence)
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE inventory (
  id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, target TEXT NOT NULL,
  identity TEXT NOT NULL, spec TEXT NOT NULL, outputs TEXT NOT NULL, generation INTEGER NOT NULL,
  protect INTEGER NOT NULL, depends_on TEXT NOT NULL
) STRICT;
CREATE TABLE open_steps (address TEXT PRIMARY KEY, sequence INTEGER NOT NULL, step TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE phases (tenant TEXT PRIMARY KEY, phase TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE locks (
  owner TEXT PRIMARY KEY, holder TEXT NOT NULL, token INTEGER NOT NULL, acquired INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX locks_by_holder ON locks (holder);
CREATE TABLE lost (holder TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
";

pub const POSTGRES: &str = "
CREATE SCHEMA IF NOT EXISTS tenantry_store;
CREATE TABLE tenantry_store.format (version BIGINT NOT NULL);
INSERT INTO tenantry_store.format VALUES (1);
CREATE TABLE tenantry_store.state (
  sequence BIGINT NOT NULL, hash TEXT NOT NULL, token BIGINT NOT NULL, run BIGINT NOT NULL
);
INSERT INTO tenantry_store.state VALUES (0, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0);
CREATE TABLE tenantry_store.journal (
  sequence BIGINT PRIMARY KEY, run BIGINT, at TEXT NOT NULL, event TEXT NOT NULL, owner TEXT, detail TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX journal_by_owner ON tenantry_store.journal (owner, sequence) WHERE owner IS NOT NULL;
CREATE INDEX journal_by_run ON tenantry_store.journal (run, sequence) WHERE run IS NOT NULL;
CREATE FUNCTION tenantry_store.refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenantry_store.journal
  FOR EACH STATEMENT EXECUTE FUNCTION tenantry_store.refuse();
CREATE TABLE tenantry_store.inventory (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  target TEXT NOT NULL, identity TEXT NOT NULL, spec TEXT NOT NULL, outputs TEXT NOT NULL, generation BIGINT NOT NULL,
  protect BIGINT NOT NULL, depends_on TEXT NOT NULL
);
CREATE TABLE tenantry_store.open_steps (address TEXT PRIMARY KEY, sequence BIGINT NOT NULL, step TEXT NOT NULL);
CREATE TABLE tenantry_store.phases (tenant TEXT PRIMARY KEY, phase TEXT NOT NULL);
CREATE TABLE tenantry_store.locks (
  owner TEXT PRIMARY KEY, holder TEXT NOT NULL, token BIGINT NOT NULL, acquired BIGINT NOT NULL, expires BIGINT NOT NULL
);
CREATE INDEX locks_by_holder ON tenantry_store.locks (holder);
CREATE TABLE tenantry_store.lost (holder TEXT PRIMARY KEY, owner TEXT NOT NULL);
";
