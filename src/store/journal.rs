//! Entries of the journal and the chain that their hashes make.
//!
//! The hash of an entry is SHA-256 over the hash of the entry before (64 zeros before the first) and the entry's
//! canonical JSON: no spaces, fields in order of name, numbers as integers. `detail` is hashed as the text that is
//! stored, so that a single changed byte shows. Besides the chain the store keeps its last number and hash, so that a
//! journal that was cut off at its end shows as well.
//!
//! What it cannot show: a whole new chain by somebody who can write every table. Keep copies elsewhere against that.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use tenantry_core::model::address::Owner;

use crate::changes::{Effect, Kept, Outcome};
use crate::contract::{
    Fence, JournalEntry, JournalEvent, JournalHead, KnownTarget, Lock, Note, PhaseTransition, RecordForgotten,
    RecordMoved, RunBegun, RunId, RunOutcome, StepBegun, StepEnded, StoreError, TargetAccepted,
};
use crate::rows::Cell;

/// Something to be journalled, and what it does to the tables.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Nothing for a run that is only now given its number, and for what belongs to no run.
    pub run: Option<RunId>,
    pub at: Timestamp,
    pub event: JournalEvent,
    pub owner: Option<Owner>,
    /// Canonical JSON.
    pub detail: String,
    pub effect: Option<Effect>,
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub sequence: i64,
    pub run: Option<i64>,
    pub at: String,
    pub event: String,
    pub owner: Option<String>,
    /// JSON as text, because the hash is over this very text.
    pub detail: String,
    pub hash: String,
}

/// The end of the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Tip {
    pub sequence: i64,
    pub hash: String,
}

impl Tip {
    /// Before the first entry.
    pub fn start() -> Self {
        Self { sequence: 0, hash: "0".repeat(64) }
    }

    /// Appends an entry.
    pub fn append(&mut self, draft: &Draft, run: Option<i64>) -> Line {
        self.chain(Line {
            sequence: 0,
            run,
            at: draft.at.to_string(),
            event: draft.event.as_str().to_owned(),
            owner: draft.owner.as_ref().map(Owner::to_string),
            detail: draft.detail.clone(),
            hash: String::new(),
        })
    }

    /// Gives a line its number and its hash.
    pub fn chain(&mut self, mut line: Line) -> Line {
        line.sequence = self.sequence + 1;
        line.hash = line.hash_after(&self.hash);
        self.sequence = line.sequence;
        self.hash.clone_from(&line.hash);
        line
    }

    /// Follows a stored entry.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if it is not the one that was appended here.
    pub fn follow(&mut self, line: &Line) -> Result<(), StoreError> {
        let expected = self.sequence + 1;
        if line.sequence != expected || line.hash != line.hash_after(&self.hash) {
            return Err(StoreError::Tampered { sequence: number(expected) });
        }
        self.sequence = line.sequence;
        self.hash.clone_from(&line.hash);
        Ok(())
    }

    pub fn head(&self) -> JournalHead {
        JournalHead { length: number(self.sequence), hash: self.hash.as_str().into() }
    }
}

impl Line {
    /// As the table has it.
    pub fn cells(&self) -> [Cell<'_>; 7] {
        let Self { sequence, run, at, event, owner, detail, hash } = self;
        [(*sequence).into(), (*run).into(), at.into(), event.into(), owner.as_ref().into(), detail.into(), hash.into()]
    }

    fn hash_after(&self, previous: &str) -> String {
        let Self { sequence, run, at, event, owner, detail, hash: _ } = self;
        let mut digest = Sha256::new();
        digest.update(previous);
        digest.update(format!(r#"{{"at":{},"detail":"#, text(at)));
        digest.update(detail);
        digest.update(format!(r#","event":{},"owner":"#, text(event)));
        digest.update(owner.as_ref().map_or_else(|| "null".to_owned(), |owner| text(owner).to_string()));
        digest.update(r#","run":"#);
        digest.update(run.map_or_else(|| "null".to_owned(), |run| run.to_string()));
        digest.update(format!(r#","sequence":{sequence}}}"#));
        hex(&digest.finalize())
    }

    /// The entry as the contract shows it; the reason if a field is no longer readable.
    pub fn into_entry(self) -> Result<JournalEntry, String> {
        let Self { sequence, run, at, event, owner, detail, hash } = self;
        let unreadable = |error: &dyn std::fmt::Display| format!("entry {sequence} of the journal is damaged: {error}");
        let event =
            JournalEvent::from_name(&event).ok_or_else(|| unreadable(&format!("there is no event `{event}`")))?;
        Ok(JournalEntry {
            sequence: number(sequence),
            run: run.map(|run| RunId(number(run))),
            at: at.parse().map_err(|error: jiff::Error| unreadable(&error))?,
            event,
            owner: owner.as_deref().map(Owner::from),
            detail: serde_json::from_str(&detail).map_err(|error| unreadable(&error))?,
            hash: hash.into(),
        })
    }
}

/// What a run's beginning leaves in the journal.
pub fn run_begun(run: &RunBegun) -> Result<Draft, serde_json::Error> {
    Ok(Draft {
        run: None,
        at: run.at,
        event: JournalEvent::RunBegun,
        owner: None,
        detail: canonical(run)?,
        effect: None,
    })
}

/// What a run's end leaves in the journal.
pub fn run_ended(run: RunId, at: Timestamp, outcome: RunOutcome) -> Result<Draft, serde_json::Error> {
    let detail = canonical(&serde_json::json!({ "outcome": outcome }))?;
    Ok(Draft { run: Some(run), at, event: JournalEvent::RunEnded, owner: None, detail, effect: None })
}

/// What a step's beginning leaves in the journal.
pub fn step_begun(fence: &Fence, step: &StepBegun) -> Result<Draft, serde_json::Error> {
    let detail = canonical(&StepBegun { spec: None, ..step.clone() })?;
    let effect = Effect::Begun { address: step.address.to_string(), step: canonical(step)? };
    let owner = Some(step.address.owner.clone());
    Ok(Draft { run: Some(fence.run), at: step.at, event: JournalEvent::StepBegun, owner, detail, effect: Some(effect) })
}

/// What a step's end leaves in the journal.
pub fn step_ended(fence: &Fence, step: &StepEnded) -> Result<Draft, serde_json::Error> {
    let effect = Effect::ended(step)?;
    let owner = Some(step.address.owner.clone());
    let detail = canonical(step)?;
    Ok(Draft { run: Some(fence.run), at: step.at, event: JournalEvent::StepEnded, owner, detail, effect: Some(effect) })
}

/// What a record that moves leaves in the journal.
pub fn record_moved(fence: &Fence, moved: &RecordMoved) -> Result<Draft, serde_json::Error> {
    let RecordMoved { applied, at, from, vacates } = moved;
    Ok(Draft {
        run: Some(fence.run),
        at: *at,
        event: JournalEvent::RecordMoved,
        owner: Some(applied.address.owner.clone()),
        detail: canonical(moved)?,
        effect: Some(Effect::Moved { vacated: vacates.then(|| from.to_string()), kept: Box::new(Kept::new(applied)?) }),
    })
}

/// What a resource that is no longer managed leaves in the journal.
pub fn record_forgotten(fence: &Fence, forgotten: &RecordForgotten) -> Result<Draft, serde_json::Error> {
    let RecordForgotten { actor: _, address, at, identity: _, kind: _, target: _ } = forgotten;
    Ok(Draft {
        run: Some(fence.run),
        at: *at,
        event: JournalEvent::Forgotten,
        owner: Some(address.owner.clone()),
        detail: canonical(forgotten)?,
        effect: Some(Effect::Ended { address: address.to_string(), outcome: Outcome::Forget }),
    })
}

/// What a tenant's transition leaves in the journal.
pub fn phase_entered(fence: &Fence, transition: &PhaseTransition) -> Result<Draft, serde_json::Error> {
    let PhaseTransition { at, tenant, to, .. } = transition;
    Ok(Draft {
        run: Some(fence.run),
        at: *at,
        event: JournalEvent::PhaseEntered,
        owner: Some(Owner::Tenant(tenant.clone())),
        // A price is a part of a document, whose fields have an order of their own.
        detail: canonical(&serde_json::to_value(transition)?)?,
        effect: Some(Effect::Phase { tenant: tenant.clone(), phase: *to }),
    })
}

/// What taking a lock away leaves in the journal.
pub fn unlocked(lock: &Lock, at: Timestamp, actor: &str) -> Result<Draft, serde_json::Error> {
    let Lock { owner, holder, process: _, token, acquired, expires } = lock;
    let detail = canonical(&serde_json::json!({
        "acquired": acquired, "actor": actor, "expires": expires, "holder": holder, "token": token,
    }))?;
    Ok(Draft { run: None, at, event: JournalEvent::Unlocked, owner: Some(owner.clone()), detail, effect: None })
}

/// What it leaves in the journal that a target is a system.
pub fn target_accepted(accepted: &TargetAccepted) -> Result<Draft, serde_json::Error> {
    let TargetAccepted { at, run, target, fingerprint, instead_of: _, actor: _ } = accepted;
    let known = KnownTarget { fingerprint: fingerprint.clone(), since: *at };
    Ok(Draft {
        run: *run,
        at: *at,
        event: JournalEvent::TargetAccepted,
        owner: None,
        detail: canonical(accepted)?,
        effect: Some(Effect::Accepted { target: target.clone(), known }),
    })
}

/// What a note leaves in the journal.
pub fn noted(note: &Note) -> Result<Draft, serde_json::Error> {
    let (at, event, owner, detail) = match note {
        Note::DriftReported(report) => (report.at, JournalEvent::DriftReported, None, canonical(report)?),
        Note::SecretShown(shown) => (shown.at, JournalEvent::SecretShown, Some(shown.owner.clone()), canonical(shown)?),
    };
    Ok(Draft { run: None, at, event, owner, detail, effect: None })
}

/// JSON with the fields of every object in order of name. Journalled structures declare their fields in that order, so that
/// nothing has to be sorted; a debug build checks it.
pub fn canonical(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(value)?;
    debug_assert_eq!(text, serde_json::to_value(value)?.to_string(), "fields are declared in order of name");
    Ok(text)
}

fn text(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Numbers of the store are never negative; a database only has signed ones.
pub fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

/// Texts that occur again and again, each kept once.
#[derive(Default)]
pub struct Interner(std::collections::HashSet<Arc<str>>);

impl Interner {
    pub fn intern(&mut self, text: &str) -> Arc<str> {
        match self.0.get(text) {
            Some(known) => known.clone(),
            None => {
                let new: Arc<str> = text.into();
                self.0.insert(new.clone());
                new
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(detail: &str) -> Draft {
        Draft {
            run: Some(RunId(7)),
            at: "2026-01-02T03:04:05.5Z".parse().expect("a time"),
            event: JournalEvent::StepBegun,
            owner: Some(Owner::from("acme")),
            detail: detail.to_owned(),
            effect: None,
        }
    }

    fn chain() -> Vec<Line> {
        let mut tip = Tip::start();
        (0..3).map(|index| tip.append(&draft(&format!(r#"{{"index":{index}}}"#)), Some(7))).collect()
    }

    fn verify(lines: &[Line]) -> Result<(), StoreError> {
        let mut tip = Tip::start();
        lines.iter().try_for_each(|line| tip.follow(line))
    }

    /// Computed with `printf '%s' "$zeros$json" | sha256sum`, so that the format cannot change unnoticed.
    #[test]
    fn the_hash_is_that_of_the_documented_text() {
        let line = Tip::start().append(&draft(r#"{"a":1}"#), Some(7));
        let json = concat!(
            r#"{"at":"2026-01-02T03:04:05.5Z","detail":{"a":1},"event":"stepBegun","owner":"acme","#,
            r#""run":7,"sequence":1}"#
        );
        assert_eq!(line.hash, hex(&Sha256::digest("0".repeat(64) + json)));
        assert_eq!(line.hash, "d72bccbbf0b7d3010615ab204a93d78975811d3155f45cc4f5b1a4eb8b24db94");
    }

    #[test]
    fn fields_are_in_order_of_name() {
        let detail = canonical(&serde_json::json!({"b": {"z": 1, "a": 2}, "a": []})).expect("JSON");
        assert_eq!(detail, r#"{"a":[],"b":{"a":2,"z":1}}"#);
    }

    #[test]
    fn an_untouched_chain_holds() {
        verify(&chain()).expect("untouched");
    }

    #[test]
    fn every_changed_field_shows_at_its_entry() {
        let changes: [fn(&mut Line); 7] = [
            |line| line.sequence = 9,
            |line| line.run = None,
            |line| line.at.push(' '),
            |line| line.event = "stepEnded".into(),
            |line| line.owner = None,
            |line| line.detail.push(' '),
            |line| line.hash = "0".repeat(64),
        ];
        for change in changes {
            let mut lines = chain();
            change(&mut lines[1]);
            assert!(matches!(verify(&lines), Err(StoreError::Tampered { sequence: 2 })), "{:?}", lines[1]);
        }
    }

    #[test]
    fn a_missing_and_a_swapped_entry_show() {
        let mut lines = chain();
        lines.remove(1);
        assert!(matches!(verify(&lines), Err(StoreError::Tampered { sequence: 2 })));
        let mut lines = chain();
        lines.swap(0, 1);
        assert!(matches!(verify(&lines), Err(StoreError::Tampered { sequence: 1 })));
    }
}
