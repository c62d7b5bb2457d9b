//! Format 1 had one journal and one inventory for all users of the database. This module determines the scope of each row.
//!
//! Every run named its estate and environment in the journal, and every entry of a step names its run. So each scope's records
//! follow from the journal: its entries, chained anew in their order; the rows that its own runs wrote; the phases that its own
//! runs entered. A row that the tables hold belongs to the run that wrote its address last. Where runs of several scopes wrote
//! one address, the tables kept what the last one wrote; the journal still has what the others wrote.
//!
//! A row that no entry explains is not guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::document::Phase;
use tenantry_core::model::resource::Applied;

use crate::connection::{Row, Work};
use crate::contract::{
    FencingToken, JournalEvent, Lock, PhaseTransition, RunBegun, Scope, StepEnded, StepResult, StoreError,
};
use crate::inventory::Unpacker;
use crate::journal::{Line, Tip, canonical, number};
use crate::locks::time;
use crate::records::{JOURNAL_ROWS, NO_ENTRY, Records, line, word};

/// What the statements of format 1 were, as far as they read.
const COUNTERS: &str = "SELECT sequence, hash, token FROM state";
const ENTRIES: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE sequence > $1 ORDER BY sequence LIMIT $2";
const INVENTORY: &str = "SELECT octet_length(address) || ':' || address || octet_length(kind) || ':' || kind || \
     octet_length(target) || ':' || target || octet_length(identity) || ':' || identity || \
     octet_length(spec) || ':' || spec || octet_length(outputs) || ':' || outputs || \
     octet_length(depends_on) || ':' || depends_on || generation || ':' || protect || ':0:' FROM inventory";
const OPEN_STEPS: &str = "SELECT address, sequence FROM open_steps";
const PHASES: &str = "SELECT tenant, phase FROM phases";
const LOCKS: &str = "SELECT owner, holder, token, acquired, expires FROM locks";

/// A store of format 1.
pub struct Earlier {
    tip: Tip,
    token: i64,
    lines: Vec<Line>,
    inventory: Vec<Applied>,
    /// Address, and number of the entry.
    open_steps: Vec<(String, i64)>,
    phases: Vec<(Arc<str>, Phase)>,
    locks: Vec<Lock>,
}

impl Earlier {
    /// Reads all of it.
    pub async fn read(work: &mut Work<'_>) -> Result<Self, StoreError> {
        let attempted = "reading records of an earlier format";
        let counters =
            |row: Row<'_>| Ok((Tip { sequence: row.integer(0)?, hash: row.text(1)?.to_owned() }, row.integer(2)?));
        let counters = work.fetch(attempted, COUNTERS, [], counters).await?;
        let lost = || work.failed(attempted, "the store has lost its counters");
        let (tip, token) = counters.into_iter().next().ok_or_else(lost)?;
        let mut lines: Vec<Line> = Vec::new();
        loop {
            let last = lines.last().map_or(0, |line| line.sequence);
            let part = work.fetch(attempted, ENTRIES, [last.into(), JOURNAL_ROWS.into()], line).await?;
            if part.is_empty() {
                break;
            }
            lines.extend(part);
        }
        let mut unpacker = Unpacker::default();
        for packed in work.fetch(attempted, INVENTORY, [], |row| Ok(row.text(0)?.to_owned())).await? {
            unpacker.add(&packed).map_err(|cause| work.failed(attempted, cause))?;
        }
        let open = |row: Row<'_>| Ok((row.text(0)?.to_owned(), row.integer(1)?));
        let phase = |row: Row<'_>| Ok((row.text(0)?.into(), word(row.text(1)?)?));
        let lock = |row: Row<'_>| {
            Ok(Lock {
                owner: Owner::from(row.text(0)?),
                holder: row.text(1)?.into(),
                process: None,
                token: FencingToken(number(row.integer(2)?)),
                acquired: time(row.integer(3)?)?,
                expires: time(row.integer(4)?)?,
            })
        };
        Ok(Self {
            tip,
            token,
            lines,
            inventory: unpacker.finish(),
            open_steps: work.fetch(attempted, OPEN_STEPS, [], open).await?,
            phases: work.fetch(attempted, PHASES, [], phase).await?,
            locks: work.fetch(attempted, LOCKS, [], lock).await?,
        })
    }

    /// The records of each scope. `wanted` is the one that the store is opened for, and gets what was noted before any run.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the journal is not one chain, [`StoreError::Unattributed`] if the owner of a row cannot
    /// be told.
    pub fn attribute(self, location: &str, wanted: &Scope) -> Result<Vec<Records>, StoreError> {
        let mut tip = Tip::start();
        self.lines.iter().try_for_each(|line| tip.follow(line))?;
        if tip != self.tip {
            return Err(StoreError::Tampered { sequence: number(tip.sequence.min(self.tip.sequence) + 1) });
        }
        let mut replay = Replay::default();
        for line in &self.lines {
            replay.add(line, wanted).map_err(|what| replay.unattributed(location, what))?;
        }
        self.settle(location, replay)
    }

    /// Compares the journal with the tables.
    fn settle(self, location: &str, mut replay: Replay) -> Result<Vec<Records>, StoreError> {
        let Self { tip, token, lines: _, inventory, open_steps, phases, locks } = self;
        let only = match replay.scopes.len() {
            1 => replay.scopes.keys().next().cloned(),
            _ => None,
        };
        let mut missing: BTreeSet<Address> = replay.wrote.keys().cloned().collect();
        for applied in inventory {
            let address = applied.address.clone();
            missing.remove(&address);
            let Some(scope) = replay.wrote.get(&address).or(only.as_ref()).cloned() else {
                return Err(replay.unattributed(location, format!("the record of {address}")));
            };
            let held = replay.scopes.entry(scope).or_default();
            let sequence = held.inventory.get(&address).map_or(NO_ENTRY, |(sequence, _)| *sequence);
            held.inventory.insert(address, (sequence, applied));
        }
        // What the tables no longer have is no longer there for the one who wrote it last.
        for address in missing {
            if let Some(held) = replay.wrote.get(&address).and_then(|scope| replay.scopes.get_mut(scope)) {
                held.inventory.remove(&address);
            }
        }
        for (tenant, phase) in phases {
            let Some(scope) = replay.entered.get(&tenant).or(only.as_ref()).cloned() else {
                return Err(replay.unattributed(location, format!("the phase of {tenant}")));
            };
            replay.scopes.entry(scope).or_default().phases.insert(tenant, phase);
        }
        for (address, sequence) in open_steps {
            if !replay.begun.contains(&sequence) {
                return Err(replay.unattributed(location, format!("the step that was begun for {address}")));
            }
        }
        let records = replay.scopes.into_iter().map(|(scope, held)| {
            let mut records = held.into_records(scope, token, &locks);
            records.note_migration(&tip)?;
            Ok(records)
        });
        records.collect::<Result<_, serde_json::Error>>().map_err(|error| StoreError::Failed {
            location: location.to_owned(),
            attempted: "migrating it",
            cause: error.to_string(),
        })
    }
}

/// The result of replaying the journal, entry by entry.
#[derive(Default)]
struct Replay {
    scopes: BTreeMap<Scope, Held>,
    runs: HashMap<i64, Scope>,
    /// Who wrote an address last, and who entered a tenant's phase last.
    wrote: BTreeMap<Address, Scope>,
    entered: BTreeMap<Arc<str>, Scope>,
    /// Who did anything for an owner last, and who did anything at all.
    touched: HashMap<String, Scope>,
    last: Option<Scope>,
    /// Numbers, in the earlier journal, of the entries of steps that were begun.
    begun: BTreeSet<i64>,
}

/// The records of one scope so far.
struct Held {
    tip: Tip,
    run: i64,
    lines: Vec<Line>,
    inventory: BTreeMap<Address, (i64, Applied)>,
    open_steps: BTreeMap<Address, i64>,
    phases: BTreeMap<Arc<str>, Phase>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            tip: Tip::start(),
            run: 0,
            lines: Vec::new(),
            inventory: BTreeMap::new(),
            open_steps: BTreeMap::new(),
            phases: BTreeMap::new(),
        }
    }
}

/// The relevant data of a step that was begun.
#[derive(Deserialize)]
struct Begun {
    address: Address,
}

impl Replay {
    fn unattributed(&self, location: &str, what: String) -> StoreError {
        let environments = self.scopes.keys().cloned().collect();
        StoreError::Unattributed { location: location.to_owned(), what, environments }
    }

    /// Adds an entry. The error names an entry without a scope.
    fn add(&mut self, line: &Line, wanted: &Scope) -> Result<(), String> {
        let nobody = || format!("entry {} of the journal", line.sequence);
        let event = JournalEvent::from_name(&line.event).ok_or_else(nobody)?;
        if event == JournalEvent::RunBegun {
            let begun: RunBegun = serde_json::from_str(&line.detail).map_err(|_| nobody())?;
            let run = line.run.ok_or_else(nobody)?;
            self.runs.insert(run, Scope { estate: begun.estate, environment: begun.environment });
        }
        let scope = match line.run {
            Some(run) => self.runs.get(&run).cloned().ok_or_else(nobody)?,
            // A lock that was taken away: whoever worked for its owner last held it.
            None => {
                let touched = line.owner.as_ref().and_then(|owner| self.touched.get(owner));
                touched.or(self.last.as_ref()).unwrap_or(wanted).clone()
            }
        };
        let held = self.scopes.entry(scope.clone()).or_default();
        let chained = held.tip.chain(line.clone());
        let sequence = chained.sequence;
        held.run = held.run.max(line.run.unwrap_or_default());
        held.lines.push(chained);
        match event {
            JournalEvent::StepBegun => {
                let Begun { address } = serde_json::from_str(&line.detail).map_err(|_| nobody())?;
                held.open_steps.insert(address, sequence);
                self.begun.insert(line.sequence);
            }
            JournalEvent::StepEnded => {
                let ended: StepEnded = serde_json::from_str(&line.detail).map_err(|_| nobody())?;
                held.open_steps.remove(&ended.address);
                match ended.result {
                    StepResult::Applied(applied) => {
                        self.wrote.insert(applied.address.clone(), scope.clone());
                        held.inventory.insert(applied.address.clone(), (sequence, applied));
                    }
                    StepResult::Removed => {
                        self.wrote.insert(ended.address.clone(), scope.clone());
                        held.inventory.remove(&ended.address);
                    }
                    StepResult::Failed(_) => {}
                }
            }
            JournalEvent::PhaseEntered => {
                let PhaseTransition { tenant, to, .. } = serde_json::from_str(&line.detail).map_err(|_| nobody())?;
                held.phases.insert(tenant.clone(), to);
                self.entered.insert(tenant, scope.clone());
            }
            _ => {}
        }
        if let Some(owner) = line.owner.as_ref().filter(|_| line.run.is_some()) {
            self.touched.insert(owner.clone(), scope.clone());
        }
        self.last = Some(scope);
        Ok(())
    }
}

impl Held {
    fn into_records(self, scope: Scope, token: i64, locks: &[Lock]) -> Records {
        let Self { tip: _, run, lines, inventory, open_steps, phases } = self;
        let mut open_steps: Vec<i64> = open_steps.into_values().collect();
        open_steps.sort_unstable();
        Records {
            token,
            run,
            lines,
            inventory: inventory.into_values().collect(),
            open_steps,
            phases: phases.into_iter().collect(),
            // Nobody can tell whose a lock is: everybody waits for the end of its lease.
            locks: locks.to_vec(),
            ..Records::empty(scope)
        }
    }
}

impl Records {
    /// Journals where the records come from, at the time of the last entry: reading before the migration and after it shows
    /// one and the same journal.
    fn note_migration(&mut self, earlier: &Tip) -> Result<(), serde_json::Error> {
        let Some(last) = self.lines.last() else { return Ok(()) };
        let detail = canonical(&json!({ "format": 1, "length": earlier.sequence, "hash": earlier.hash }))?;
        let line = Line {
            sequence: 0,
            run: None,
            at: last.at.clone(),
            event: JournalEvent::Migrated.as_str().to_owned(),
            owner: None,
            detail,
            hash: String::new(),
        };
        let line = self.tip().chain(line);
        self.lines.push(line);
        Ok(())
    }
}
