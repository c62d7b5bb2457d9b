//! The sentences for reasons.

use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::value::readable_pointer;
use tenantry_core::plan::Reason;

/// Why a change is planned, in one sentence without a full stop.
pub fn sentence(reason: &Reason) -> String {
    match reason {
        Reason::Wanted => "does not exist yet".into(),
        Reason::ChangedInRepository => "changed in the repository".into(),
        Reason::ChangedOutside => "changed outside Tenantry".into(),
        Reason::ChangedOnBothSides => "changed in the repository and outside Tenantry".into(),
        Reason::DeletedOutside => "deleted outside Tenantry".into(),
        Reason::DeletedOutsideAndChanged => "changed in the repository and deleted outside Tenantry".into(),
        Reason::WriteUnfinished => "an earlier run did not finish it".into(),
        Reason::ReplacementUnfinished => {
            "an earlier run deleted the old resource and could not create the new one".into()
        }
        Reason::IdentityChanged { from } => {
            format!("its name in the target changes from `{}`", readable_identity(from))
        }
        Reason::Immutable { field } => format!("{} cannot change on a live resource", readable_pointer(field)),
        Reason::SecretRenewed { secret, field } => {
            format!("a new {secret} is generated, because {} changed", readable_pointer(field))
        }
        Reason::SecretNotKept { secret } => format!("its one-time secret {secret} was not recorded"),
        Reason::SecretLost { secret } => {
            format!("its secret {secret} is not in the secret store and would be generated again")
        }
        Reason::Adopted => "exists without a mark and is taken over".into(),
        Reason::RecordMissing => "already managed, but missing from the inventory".into(),
        Reason::RecordOutdated => "the inventory is brought up to date; the target stays as it is".into(),
        Reason::MarkOutdated => "its mark is rewritten with the environment".into(),
        Reason::MarkRemoved => "its mark was removed outside Tenantry, and is written again".into(),
        Reason::WrittenByOthers => "fields of its spec were written by somebody else; Tenantry takes them over".into(),
        Reason::Moved { from } => format!("was {from}"),
        Reason::MovedWithOwner { from } => format!("renamed with its owner, which was {from}"),
        Reason::NotWanted => "no longer in the repository".into(),
        Reason::TenantDeleted => "its tenant is deleted".into(),
        Reason::Gone => "no longer in the repository, and already gone".into(),
    }
}
