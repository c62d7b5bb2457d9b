//! The passes of a plan, in the order in which they run.
//!
//! | pass | finds |
//! |---|---|
//! | [`moves`] | earlier addresses of resources, from the inventory; runs before the targets are read |
//! | [`systems`] | targets that are another system than before |
//! | [`verdicts`] | what to do about each desired resource |
//! | [`secrets`] | resources whose secret was lost: nothing is generated again without an Approval |
//! | [`orphans`] | what exists and is no longer wanted |
//! | [`phases`] | which tenants enter a phase, and which cannot |
//! | [`selection`] | changes that depend on something that was not selected |
//! | [`billing`] | billing changes that are blocked, because a resource of their owner is blocked |
//! | [`nested`] | deletions that would take along what is kept |
//! | [`dependents`] | changes that depend on something blocked |
//! | [`reports`] | one finding for many resources that share a reason |
//! | [`order`] | the order of execution |
//! | [`records`] | records that move before anything is written |

pub mod billing;
pub mod dependents;
pub mod moves;
pub mod nested;
pub mod order;
pub mod orphans;
pub mod phases;
pub mod records;
pub mod reports;
pub mod secrets;
pub mod selection;
pub mod systems;
pub mod verdicts;
