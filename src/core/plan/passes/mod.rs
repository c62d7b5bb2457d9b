//! The passes of a plan, in the order in which they run.
//!
//! | pass | finds |
//! |---|---|
//! | [`moves`] | addresses that resources had before, told by the inventory; runs before the targets are asked |
//! | [`systems`] | targets that are another system than they were |
//! | [`verdicts`] | what is to be done about each desired resource |
//! | [`secrets`] | resources whose secret was lost: nothing is generated again without an Approval |
//! | [`orphans`] | what exists and is no longer wanted |
//! | [`phases`] | which tenants enter a phase, and which cannot |
//! | [`selection`] | what has to wait for something that was not selected |
//! | [`billing`] | what is not billed, because something of its owner is blocked |
//! | [`dependents`] | what has to wait for something that is blocked |
//! | [`reports`] | one finding for many resources that share a reason |
//! | [`order`] | the order of execution |

pub mod billing;
pub mod dependents;
pub mod moves;
pub mod order;
pub mod orphans;
pub mod phases;
pub mod reports;
pub mod secrets;
pub mod selection;
pub mod systems;
pub mod verdicts;
