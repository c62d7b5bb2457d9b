//! The sentences for what keeps something from being done.

use tenantry_core::model::unknown::Unknown;
use tenantry_core::model::value::readable_pointer;
use tenantry_core::plan::Hindrance;

/// Why nothing is done at an address, in one sentence without a full stop.
pub fn sentence(hindrance: &Hindrance) -> String {
    match hindrance {
        Hindrance::StateUnknown { cause } => unknown(cause),
        Hindrance::NotOurs { cause } => format!("it exists, but {cause}"),
        Hindrance::CannotAdopt { fields } => {
            format!("it exists and cannot be taken over: {} cannot be changed", pointers(fields))
        }
        Hindrance::TargetChanged { from, to } => format!("it would move from target `{from}` to `{to}`"),
        Hindrance::KindChanged { from, to } => format!("it would move from kind `{from}` to `{to}`"),
        Hindrance::TenantVanished => "its tenant has no document".into(),
        Hindrance::UnwantedNotOurs { cause } => format!("it is no longer wanted, but {cause}, so it is not deleted"),
        Hindrance::NotRecorded => "it is no longer wanted, but the store does not know it, so it is not deleted".into(),
        Hindrance::PhaseTransition => "its tenant's phase cannot be reached".into(),
        Hindrance::NotBilled { blocked } => format!("{blocked} is blocked, and nothing is billed that is not there"),
        Hindrance::StillBilled { bill } => {
            format!("{bill}, by which the tenant is billed, is blocked, and nothing is taken away that is still billed")
        }
        Hindrance::NeedsBlocked { needed } => format!("it needs {needed}, which is blocked"),
        Hindrance::NeedsUnselected { needed } => {
            format!("it needs {needed}, which does not exist yet and was not selected")
        }
        Hindrance::NeededByUnselected { user } => format!("{user}, which needs it, was not selected"),
        Hindrance::NeededByBlocked => "something that needs it cannot be deleted".into(),
    }
}

/// Why it is not known what a target has, in one sentence without a full stop.
pub fn unknown(cause: &Unknown) -> String {
    match cause {
        Unknown::NotAsked => "its target was not asked".into(),
        Unknown::NoAnswer => "the target gave no answer for it".into(),
        Unknown::NotConfigured { target } => format!("target `{target}` is not configured"),
        Unknown::UnknownKind { kind } => format!("this version of Tenantry does not know the kind `{kind}`"),
        Unknown::Unreadable { message } => message.to_string(),
        Unknown::OtherSystem { target } => {
            format!("target `{target}` is another system than the one that was accepted")
        }
        Unknown::FingerprintWithheld { target, was, message } => format!(
            "target `{target}` does not tell whether it is still {was}: {message}; give its login the privilege to tell, or \
             run `tenantry target accept {target}`"
        ),
        Unknown::FingerprintUnasked { target, message } => {
            format!("target `{target}` could not be asked which system it is: {message}")
        }
    }
}

/// Pointers as a person reads them, with commas.
pub fn pointers(fields: &[std::sync::Arc<str>]) -> String {
    let readable: Vec<String> = fields.iter().map(|field| readable_pointer(field)).collect();
    readable.join(", ")
}
