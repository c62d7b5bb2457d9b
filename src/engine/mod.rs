//! The room that combines the others: observe, plan, apply, verify.

pub mod apply;
pub mod forget;
mod forgotten;
mod fresh;
pub mod observe;
pub mod outcome;
pub mod plan;
pub mod rebuild;
mod records;
pub mod rehearsal;
pub mod request;
mod run;
mod secrets;
pub mod settings;
pub mod systems;
pub mod targets;
#[cfg(test)]
mod tests;
mod trace;
mod verify;

use tenantry_core::fingerprint::Other;
use tenantry_provider::contract::ProviderError;
use tenantry_secret::contract::SecretStoreError;
use tenantry_store::contract::StoreError;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretStoreError),
    #[error("target `{target}` cannot be used")]
    Target { target: String, source: ProviderError },
    #[error("setting `{setting}` of {place}: {cause}")]
    Setting { place: String, setting: String, cause: String },
    #[error("the plan is refused by a guard")]
    Refused,
    #[error("the plan was made without the secret store, so it is not known which secrets were changed or lost")]
    SecretsUnread,
    #[error("the plan was made for {time}, which is later than now; only the sandbox goes ahead of the clock")]
    MadeForLater { time: String },
    #[error("the plan was made for {made}, but this is {here}")]
    OtherEstate { made: String, here: String },
    #[error("the journal of the store at {location} does not have the {length} entries that the plan was made with")]
    OtherJournal { location: String, length: u64 },
    #[error("{0}")]
    OtherSystem(Other),
    #[error("Approval `{name}` expired at {expires}, after the plan was made")]
    ApprovalExpired { name: String, expires: String },
}
