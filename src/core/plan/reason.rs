//! Why a change is planned: codes for programs, for which `render` has the sentences.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::address::{Address, Owner};
use crate::model::resource::Identity;

/// Why a change is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum Reason {
    /// It is desired and does not exist yet.
    Wanted,
    /// The repository changed since it was applied.
    ChangedInRepository,
    /// The target changed since it was applied.
    ChangedOutside,
    /// Both changed since it was applied.
    ChangedOnBothSides,
    /// It was deleted outside Tenantry.
    DeletedOutside,
    /// It was deleted outside Tenantry, and the repository changed since it was applied.
    DeletedOutsideAndChanged,
    /// A write was begun and its end is not known, or the result differed from what was written.
    WriteUnfinished,
    /// Its replacement stopped after the old one was deleted and before the new one was created.
    ReplacementUnfinished,
    /// Its name in the target changes, so it is created under the new one before the old one is deleted.
    IdentityChanged {
        /// The old name.
        from: Identity,
    },
    /// A field changes that cannot change while it lives.
    Immutable {
        /// Pointer into the spec.
        field: Arc<str>,
    },
    /// A field changed whose change causes a new one-time secret.
    SecretRenewed {
        /// The secret's name.
        secret: Arc<str>,
        /// Pointer into the spec.
        field: Arc<str>,
    },
    /// A one-time secret was returned but not recorded.
    SecretNotKept {
        /// The secret's name.
        secret: Arc<str>,
    },
    /// A secret that it was written with is not in the secret store, so another one would be generated.
    SecretLost {
        /// The secret's name.
        secret: Arc<str>,
    },
    /// It exists without a mark and is taken over, as `adopt: true` says.
    Adopted,
    /// Already managed, but missing from the inventory.
    RecordMissing,
    /// The inventory lacks data that a later change or deletion needs.
    RecordOutdated,
    /// Its mark names no environment.
    MarkOutdated,
    /// Its mark was removed outside Tenantry, with a field that holds other things too.
    MarkRemoved,
    /// It is as desired, but the target records some of its fields as somebody else's.
    WrittenByOthers,
    /// Its address in the estate changed.
    Moved {
        /// The old address.
        from: Address,
    },
    /// Its owner's name changed.
    MovedWithOwner {
        /// The old owner.
        from: Owner,
    },
    /// The repository no longer has it.
    NotWanted,
    /// Its tenant is deleted.
    TenantDeleted,
    /// The repository no longer has it, and it is already gone.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_a_code_and_what_belongs_to_it() {
        let json = |reason: &Reason| serde_json::to_value(reason).expect("JSON");
        assert_eq!(json(&Reason::Wanted), serde_json::json!({"code": "wanted"}));
        let moved = Reason::Moved { from: "acme/web".parse().expect("an address") };
        assert_eq!(json(&moved), serde_json::json!({"code": "moved", "from": "acme/web"}));
        assert_eq!(serde_json::from_value::<Reason>(json(&moved)).expect("it reads back"), moved);
    }
}
