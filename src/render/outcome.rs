//! The sentences for how a change ended.

use tenantry_core::outcome::{Outcome, Pending, Skip, Stale, Wrong};
use tenantry_core::plan::Action;

use crate::hindrance::{pointers, sentence as hindrance, unknown};
use crate::words;

/// How a change ended, without a full stop.
pub fn sentence(action: Action, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => words::done(action).to_owned(),
        Outcome::AlreadyDone => "was so already".to_owned(),
        Outcome::Pending(awaited) => format!("{}, pending: {}", words::done(action), pending(awaited)),
        Outcome::Failed(reason) => format!("failed: {reason}"),
        Outcome::Wrong(difference) => format!("not as written: {}", wrong(difference)),
        Outcome::HalfDone(reason) => format!("half done: {reason}"),
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
        Wrong::Missing => "it is not there".to_owned(),
        Wrong::StillThere => return "it was deleted, but it is still there".to_owned(),
        Wrong::OldStillThere { old } => return format!("the old one, `{old}`, was deleted, but it is still there"),
        Wrong::Differs { fields } => format!("{} did not come out as written", pointers(fields)),
        Wrong::NotOurs { cause } => cause.to_string(),
        Wrong::Blocked { cause } => hindrance(cause),
    };
    format!("it was written, but observed again {seen}")
}

fn stale(cause: &Stale) -> String {
    let what = match cause {
        Stale::WrittenByAnotherRun => "it was written by another run",
        Stale::Appeared => "it appeared",
        Stale::CameBack => "it came back",
        Stale::Changed => "it was changed",
        Stale::Deleted => "it was deleted",
        Stale::MarkChanged => "its mark was changed",
        Stale::OldChanged => "the old one was changed",
        Stale::OldMarkChanged => "the mark of the old one was changed",
        Stale::NewNameTaken => "another resource of the new name appeared",
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
        Skip::NotBilled { undone } => format!("{undone} was not done, and nothing is billed that is not there"),
        Skip::StillBilled { bill } => {
            format!(
                "{bill}, by which the tenant is billed, was not done, and nothing is taken away that is still billed"
            )
        }
        Skip::SameTransaction { failed } => format!("{failed} failed, and the two are one transaction"),
    }
}
