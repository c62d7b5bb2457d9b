//! The net effect of a sequence of journal entries on the tables.
//!
//! One transaction has the entries of many requests. If several entries concern one address, only the last one counts for the
//! tables, so the net effect is computed first and written once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::document::Phase;
use tenantry_core::model::resource::{Applied, TargetName};

use crate::contract::{KnownTarget, StepEnded, StepResult};
use crate::inventory::{MARKED_ELSEWHERE, PROTECTED};
use crate::rows::Cell;

/// What one entry does.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The step is open; an older open one of the same address is superseded.
    Begun {
        address: String,
        step: String,
    },
    /// The step is closed.
    Ended {
        address: String,
        outcome: Outcome,
    },
    /// A record moved to another address. Steps stay as they are.
    Moved {
        /// The address that is left without a record, if no other one moves there.
        vacated: Option<String>,
        kept: Box<Kept>,
    },
    Phase {
        tenant: Arc<str>,
        phase: Phase,
    },
    Accepted {
        target: TargetName,
        known: KnownTarget,
    },
}

/// What the end of a step does to the inventory.
#[derive(Clone, Debug)]
pub enum Outcome {
    Keep(Box<Kept>),
    Forget,
    Nothing,
}

/// A row of the inventory. The texts in it are shared with what was applied.
#[derive(Clone, Debug)]
pub struct Kept {
    address: String,
    applied: Applied,
    depends_on: String,
}

/// The net effect of any number of entries.
#[derive(Debug, Default)]
pub struct Changes {
    /// Number of the entry and the step as JSON, or `None` for a step that is closed.
    steps: BTreeMap<String, Option<(i64, String)>>,
    /// Number of the entry and the row, or `None` for an address that is forgotten.
    inventory: BTreeMap<String, Option<(i64, Box<Kept>)>>,
    phases: BTreeMap<Arc<str>, Phase>,
    targets: BTreeMap<TargetName, KnownTarget>,
}

impl Effect {
    /// What the end of a step does.
    pub fn ended(step: &StepEnded) -> Result<Self, serde_json::Error> {
        let outcome = match &step.result {
            StepResult::Applied(applied) => Outcome::Keep(Box::new(Kept::new(applied)?)),
            StepResult::Removed => Outcome::Forget,
            StepResult::Failed(_) => Outcome::Nothing,
        };
        Ok(Self::Ended { address: step.address.to_string(), outcome })
    }
}

impl KnownTarget {
    /// The texts of its row besides the target. An empty one stands for a target that does not tell its fingerprint.
    pub(crate) fn texts(&self) -> (&str, String) {
        let Self { fingerprint, since } = self;
        (fingerprint.as_ref().map_or("", Fingerprint::as_str), since.to_string())
    }
}

impl Kept {
    pub fn new(applied: &Applied) -> Result<Self, serde_json::Error> {
        let depends_on = serde_json::to_string(&applied.depends_on)?;
        Ok(Self { address: applied.address.to_string(), applied: applied.clone(), depends_on })
    }

    /// As the table has it; `sequence` is the number of the entry that it comes from. A generation beyond what a database can
    /// hold is none that was ever counted.
    pub fn cells(&self, sequence: i64) -> [Cell<'_>; 10] {
        let Self { address, applied, depends_on } = self;
        let Applied { address: _, kind, marked, target, identity, spec, outputs, generation, protect, depends_on: _ } =
            applied;
        let generation = i64::try_from(*generation).unwrap_or(i64::MAX);
        [
            address.into(),
            (&**kind).into(),
            (&**target).into(),
            (&**identity).into(),
            (&**spec).into(),
            (&**outputs).into(),
            generation.into(),
            (i64::from(*protect) * PROTECTED + i64::from(marked.is_some()) * MARKED_ELSEWHERE).into(),
            depends_on.into(),
            sequence.into(),
        ]
    }
}

impl Changes {
    /// Adds what the entry of number `sequence` does.
    pub fn add(&mut self, sequence: i64, effect: &Effect) {
        match effect {
            Effect::Begun { address, step } => {
                self.steps.insert(address.clone(), Some((sequence, step.clone())));
            }
            Effect::Ended { address, outcome } => {
                self.steps.insert(address.clone(), None);
                match outcome {
                    Outcome::Keep(kept) => {
                        self.inventory.insert(kept.address.clone(), Some((sequence, kept.clone())));
                    }
                    Outcome::Forget => {
                        self.inventory.insert(address.clone(), None);
                    }
                    Outcome::Nothing => {}
                }
            }
            Effect::Moved { vacated, kept } => {
                self.inventory.insert(kept.address.clone(), Some((sequence, kept.clone())));
                if let Some(vacated) = vacated {
                    self.inventory.insert(vacated.clone(), None);
                }
            }
            Effect::Phase { tenant, phase } => {
                self.phases.insert(tenant.clone(), *phase);
            }
            Effect::Accepted { target, known } => {
                self.targets.insert(target.clone(), known.clone());
            }
        }
    }

    /// Steps that are open now: address, number of the entry, step.
    pub fn opened(&self) -> impl Iterator<Item = (&str, i64, &str)> {
        let open = self.steps.iter().filter_map(|(address, step)| Some((address, step.as_ref()?)));
        open.map(|(address, (sequence, step))| (address.as_str(), *sequence, step.as_str()))
    }

    /// Addresses whose step is closed now.
    pub fn closed(&self) -> Vec<[&str; 1]> {
        self.steps.iter().filter(|(_, step)| step.is_none()).map(|(address, _)| [address.as_str()]).collect()
    }

    /// Rows that the inventory has now.
    pub fn kept(&self) -> Vec<(i64, &Kept)> {
        self.inventory.values().filter_map(|row| row.as_ref().map(|(sequence, kept)| (*sequence, &**kept))).collect()
    }

    /// Addresses that the inventory has no longer.
    pub fn forgotten(&self) -> Vec<[&str; 1]> {
        self.inventory.iter().filter(|(_, kept)| kept.is_none()).map(|(address, _)| [address.as_str()]).collect()
    }

    /// Tenants and the phases that they are in now.
    pub fn phases(&self) -> impl Iterator<Item = (&str, Phase)> {
        self.phases.iter().map(|(tenant, phase)| (&**tenant, *phase))
    }

    /// Targets, with what they are now.
    pub fn targets(&self) -> impl Iterator<Item = (&TargetName, &KnownTarget)> {
        self.targets.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(address: &str) -> Effect {
        Effect::Begun { address: address.into(), step: format!("step of {address}") }
    }

    fn ended(address: &str, outcome: Outcome) -> Effect {
        Effect::Ended { address: address.into(), outcome }
    }

    fn kept(address: &str, generation: u64) -> Outcome {
        let applied = Applied {
            address: address.parse().expect("an address"),
            kind: "k".into(),
            marked: None,
            target: "t".into(),
            identity: "i".into(),
            spec: "{}".into(),
            outputs: "{}".into(),
            generation,
            protect: false,
            depends_on: Vec::new(),
        };
        Outcome::Keep(Box::new(Kept::new(&applied).expect("JSON")))
    }

    fn changes(effects: impl IntoIterator<Item = Effect>) -> Changes {
        let mut changes = Changes::default();
        for (sequence, effect) in (1..).zip(effects) {
            changes.add(sequence, &effect);
        }
        changes
    }

    #[test]
    fn nothing_changes_nothing() {
        let changes = changes([]);
        assert!(changes.opened().next().is_none() && changes.closed().is_empty());
        assert!(changes.kept().is_empty() && changes.forgotten().is_empty() && changes.phases().next().is_none());
    }

    #[test]
    fn a_later_step_supersedes_an_earlier_one() {
        let changes = changes([begun("a/x"), begun("a/y"), begun("a/x")]);
        assert_eq!(changes.opened().collect::<Vec<_>>(), [("a/x", 3, "step of a/x"), ("a/y", 2, "step of a/y")]);
        assert!(changes.closed().is_empty());
    }

    #[test]
    fn the_last_word_on_an_address_counts() {
        let changes = changes([
            begun("a/x"),
            ended("a/x", kept("a/x", 1)),
            begun("a/x"),
            ended("a/x", Outcome::Forget),
            ended("a/y", kept("a/y", 1)),
            ended("a/y", kept("a/y", 2)),
            ended("a/y", Outcome::Nothing),
        ]);
        assert!(changes.opened().next().is_none());
        assert_eq!(changes.closed(), [["a/x"], ["a/y"]]);
        assert_eq!(changes.forgotten(), [["a/x"]]);
        assert_eq!(
            changes.kept().iter().map(|(at, kept)| (*at, kept.applied.generation)).collect::<Vec<_>>(),
            [(6, 2)]
        );
    }
}
