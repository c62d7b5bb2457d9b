//! The sentences that say why a change is not made.

use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::unknown::Unknown;
use tenantry_core::model::value::readable_pointer;
use tenantry_core::plan::Hindrance;

/// Why an address is blocked, in one sentence without a full stop.
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
        Hindrance::NotRecorded => {
            "it is no longer wanted, but the store has no record of it, so it is not deleted".into()
        }
        Hindrance::Renamed { to } => format!(
            "it was renamed to `{}` outside Tenantry, and would be made anew without its data",
            readable_identity(to)
        ),
        Hindrance::Refused { message } => format!("the target would refuse it: {message}"),
        Hindrance::PhaseTransition => "its tenant cannot enter the wanted phase".into(),
        Hindrance::LegalHold { until } => {
            let end = until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
            format!("its tenant is under a legal hold{end}, and its data stays")
        }
        Hindrance::Retained { days, due } => {
            let until = due.map(|due| format!(", until {due}")).unwrap_or_default();
            format!("its tenant leaves, and its data is kept for {days} days{until}")
        }
        Hindrance::NotBilled { blocked } => {
            format!("{blocked} is blocked, and a tenant is billed only for resources that exist")
        }
        Hindrance::StillBilled { bill } => {
            format!("its tenant is billed by {bill}, which is blocked, and a tenant keeps what it is billed for")
        }
        Hindrance::NeedsBlocked { needed } => format!("it needs {needed}, which is blocked"),
        Hindrance::NeedsUnselected { needed } => {
            format!("it needs {needed}, which does not exist yet and was not selected")
        }
        Hindrance::NeededByUnselected { user } => format!("{user}, which needs it, was not selected"),
        Hindrance::NeededByBlocked => "a resource that needs it cannot be deleted".into(),
        Hindrance::HoldsKept { kept } => {
            format!("deleting it would also delete {kept}, which is below it and is not to be deleted")
        }
    }
}

/// Why the state of a resource is not known, in one sentence without a full stop.
pub fn unknown(cause: &Unknown) -> String {
    match cause {
        Unknown::NotAsked => "its target was not read".into(),
        Unknown::NoAnswer => "the target returned no result for it".into(),
        Unknown::NotConfigured { target } => format!("target `{target}` is not configured"),
        Unknown::UnknownKind { kind } => format!("this version of Tenantry does not know the kind `{kind}`"),
        Unknown::Unreadable { message } => message.to_string(),
        Unknown::OtherSystem { target } => {
            format!("target `{target}` is another system than the one that was accepted")
        }
        Unknown::FingerprintWithheld { target, was, message } => format!(
            "target `{target}` does not reveal whether it is still {was}: {message}; grant its login the missing privilege, or run `tenantry target accept {target}`"
        ),
        Unknown::FingerprintUnasked { target, message } => {
            format!("target `{target}` could not be identified: {message}")
        }
    }
}

/// Pointers as a person reads them, with commas.
pub fn pointers(fields: &[std::sync::Arc<str>]) -> String {
    let readable: Vec<String> = fields.iter().map(|field| readable_pointer(field)).collect();
    readable.join(", ")
}
