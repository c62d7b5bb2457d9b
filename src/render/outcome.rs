//! The sentences for how a change ended.

use tenantry_core::outcome::{Outcome, Pending, Skip, Stale, Wrong};
use tenantry_core::plan::Action;

use crate::hindrance::{pointers, sentence as hindrance, unknown};
use crate::words;

/// How a change ended, without a full stop.
pub fn sentence(action: Action, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => words::done(action).to_owned(),
        Outcome::AlreadyDone => "needed no change".to_owned(),
        Outcome::Pending(awaited) => format!("{}, pending: {}", words::done(action), pending(awaited)),
        Outcome::Failed(reason) => format!("failed: {reason}"),
        Outcome::Wrong(difference) => format!("wrong: {}", wrong(difference)),
        Outcome::HalfDone(reason) => format!("partly done: {reason}"),
        Outcome::Stale(cause) => format!("stale: {}; plan again", stale(cause)),
        Outcome::Skipped(cause) => format!("skipped: {}", skip(cause)),
        Outcome::Interrupted => "not begun".to_owned(),
    }
}

fn pending(awaited: &Pending) -> String {
    match awaited {
        Pending::NotReady { message } => message.to_string(),
        Pending::NotVerified { cause } => format!("it could not be verified: {}", unknown(cause)),
    }
}

fn wrong(difference: &Wrong) -> String {
    let seen = match difference {
        Wrong::Missing => "it does not exist".to_owned(),
        Wrong::StillThere => return "it was deleted, but it still exists".to_owned(),
        Wrong::OldStillThere { old } => return format!("the old one, `{old}`, was deleted, but it still exists"),
        Wrong::Differs { fields } => format!("{} differs from what was written", pointers(fields)),
        Wrong::NotOurs { cause } => cause.to_string(),
        Wrong::Blocked { cause } => hindrance(cause),
    };
    format!("it was written, but when it was read again, {seen}")
}

fn stale(cause: &Stale) -> String {
    let what = match cause {
        Stale::WrittenByAnotherRun => "it was written by another run",
        Stale::OtherPhase => "its tenant has entered another phase",
        Stale::Appeared => "it appeared",
        Stale::CameBack => "it reappeared",
        Stale::Changed => "it was changed",
        Stale::Deleted => "it was deleted",
        Stale::MarkChanged => "its mark was changed",
        Stale::OldChanged => "the old resource was changed",
        Stale::OldMarkChanged => "the mark of the old resource was changed",
        Stale::NewNameTaken => "another resource with the new name appeared",
        Stale::UnknownKind => return "this version of Tenantry does not know its kind".to_owned(),
        Stale::Blocked { cause } => return hindrance(cause),
    };
    format!("{what} since the plan was made")
}

fn skip(cause: &Skip) -> String {
    match cause {
        Skip::StateUnknown { cause } => format!("its state is unknown: {}", unknown(cause)),
        Skip::StoreFailed => "the store stopped working".to_owned(),
        Skip::NeedsUndone { needed } => format!("it needs {needed}, which was not done"),
        Skip::NeededByUndone { user } => format!("{user}, which needs it, was not done"),
        Skip::NotBilled { undone } => {
            format!("{undone} was not done, and a tenant is billed only for resources that exist")
        }
        Skip::StillBilled { bill } => {
            format!("its tenant is billed by {bill}, which was not done, and a tenant keeps what it is billed for")
        }
        Skip::EarlierWave { wave, undone } => {
            format!("wave {wave} of the rollout stopped at {undone}, which is not done or not verified")
        }
        Skip::SameTransaction { failed } => format!("{failed} failed, and both are in one transaction"),
    }
}
