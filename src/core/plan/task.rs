//! What a run does, one unit at a time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Change, Plan, Transition};

/// Number of a task within its run, counted from 1 in the order of the plan.
///
/// The order in which tasks are begun may differ. With the plan, a reader of the journal can find the change of each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(u64);

/// A unit of a run's work. It is begun and ended in the journal under its id.
#[derive(Clone, Copy, Debug)]
pub enum Task<'p> {
    /// Brings a resource to what the plan says.
    Write(&'p Change),
    /// Records that a tenant has reached a phase, once all of its resources have been written.
    EnterPhase(&'p Transition),
}

impl TaskId {
    /// The id of the task at a place in the list, counted from 0.
    pub fn at(place: usize) -> Self {
        Self(u64::try_from(place).unwrap_or(u64::MAX - 1) + 1)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Plan {
    /// What a run of this plan has to do.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskId, Task<'_>)> {
        let writes = self.changes.iter().map(Task::Write);
        let phases = self.transitions.iter().map(Task::EnterPhase);
        writes.chain(phases).enumerate().map(|(place, task)| (TaskId::at(place), task))
    }
}
