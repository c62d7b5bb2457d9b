//! The accepted systems of targets, in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::observe::accepted;
use tenantry_core::fingerprint::Accepted;
use tenantry_core::model::resource::TargetName;
use tenantry_core::plan::Plan;
use tenantry_store::contract::{RunId, Store, StoreError, TargetAccepted};

/// Accepts targets that have not been accepted before; see `Systems::to_accept`.
///
/// # Errors
/// If the store cannot be written.
pub async fn accept(
    store: &dyn Store,
    targets: BTreeMap<TargetName, Accepted>,
    actor: &Arc<str>,
    at: Timestamp,
    run: Option<RunId>,
) -> Result<(), StoreError> {
    for (target, fingerprint) in targets {
        let actor = actor.clone();
        store.accept_target(&TargetAccepted { at, run, target, fingerprint, instead_of: None, actor }).await?;
    }
    Ok(())
}

/// The targets that a plan has seen for the first time.
///
/// # Errors
/// If the store cannot be read.
pub async fn seen_first(plan: &Plan, store: &dyn Store) -> Result<BTreeMap<TargetName, Accepted>, StoreError> {
    let accepted = accepted(store).await?;
    let is_first = |target: &TargetName| accepted.get(target).is_none_or(Option::is_none);
    let told = plan.targets.iter().filter(|(target, _)| is_first(target));
    Ok(told.map(|(target, fingerprint)| (target.clone(), Some(fingerprint.clone()))).collect())
}
