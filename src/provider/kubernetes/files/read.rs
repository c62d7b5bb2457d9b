//! A folder → observations.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::layout::folder_of;
use super::scan::{Contents, Found, scan};
use super::{SECRET_CAUSE, SECRET_REMEDY, has_secret};
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::address::Owner;
use tenantry_core::model::resource::{KindObservation, Observed, Present};
use tenantry_provider::contract::{ErrorClass, ObserveRequest, ProviderError, Reader};

/// Reads a folder of objects.
pub struct FilesReader {
    root: PathBuf,
    named: Arc<str>,
}

impl FilesReader {
    pub fn new(root: PathBuf) -> Self {
        let named = root.display().to_string().into();
        Self { root, named }
    }

    /// By what the target's table names the folder.
    #[must_use]
    pub fn named(self, named: &str) -> Self {
        Self { named: named.into(), ..self }
    }

    async fn scan(&self) -> Result<Contents, String> {
        let root = self.root.clone();
        let scanned = tokio::task::spawn_blocking(move || scan(&root)).await;
        scanned.unwrap_or_else(|_| Err(format!("reading {} did not finish", self.root.display())))
    }
}

#[async_trait]
impl Reader for FilesReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let kinds = || request.wanted.keys().chain(request.known.keys()).copied();
        let contents = match self.scan().await {
            Ok(contents) => contents,
            Err(reason) => return kinds().map(|kind| (kind, KindObservation::unknown(&*reason))).collect(),
        };
        kinds().map(|kind| (kind, observation(&self.root, &contents, kind, request))).collect()
    }

    /// The folder, as the target's table names it: the estate may be checked out anywhere.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        Ok(Fingerprint::new(format!("folder {}", self.named)))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let attempted = format!("reading the folder {}", self.root.display());
        let contents = self.scan().await.map_err(|cause| ProviderError::new(ErrorClass::Fatal, attempted, cause))?;
        Ok(format!("folder {} with {} objects", self.root.display(), contents.objects.len()))
    }
}

fn observation(root: &Path, contents: &Contents, kind: &'static str, request: &ObserveRequest<'_>) -> KindObservation {
    let mut by_identity: HashMap<&str, Vec<&Found>> = HashMap::new();
    for found in &contents.objects {
        by_identity.entry(&*found.identity).or_default().push(found);
    }
    let unreadable =
        |(path, reason): &(PathBuf, String)| -> Arc<str> { format!("{}: {reason}", path.display()).into() };
    let look = |identity: &str, owner: Option<&Owner>| match by_identity.get(identity).map(Vec::as_slice) {
        Some([found]) => {
            Observed::Present(Present { spec: found.spec.clone(), mark: found.mark.clone(), ..Present::default() })
        }
        Some([one, other, ..]) => {
            Observed::Unknown(format!("it is in both {} and {}", one.path.display(), other.path.display()).into())
        }
        _ => {
            // What could not be read may be this one: of what has an owner, if it is in that owner's folder.
            let home = owner.map(|owner| root.join(folder_of(owner)));
            let is_near = |(path, _): &&(PathBuf, String)| match &home {
                Some(home) => path.starts_with(home) || path.parent().is_none_or(|parent| parent == root),
                None => true,
            };
            match contents.unreadable.iter().find(is_near) {
                Some(hidden) => Observed::Unknown(unreadable(hidden).into()),
                None => Observed::Absent,
            }
        }
    };
    let mut observed = KindObservation {
        incomplete: contents.unreadable.first().map(|hidden| unreadable(hidden).into()),
        ..Default::default()
    };
    for known in request.known.get(kind).into_iter().flatten() {
        observed.resources.insert(known.identity.clone(), look(known.identity, None));
    }
    for desired in request.wanted.get(kind).into_iter().flatten() {
        let Some(identity) = &desired.identity else { continue };
        let answer = match has_secret(&desired.spec) {
            true => Observed::Unknown(format!("it is not written: {SECRET_CAUSE}; {SECRET_REMEDY}").into()),
            false => look(identity, Some(&desired.address.owner)),
        };
        observed.resources.insert(identity.clone(), answer);
    }
    for found in &contents.objects {
        let is_ours = found.mark.as_ref().is_some_and(|mark| mark.is_of(request.estate));
        if is_ours && !observed.resources.contains_key(&found.identity) {
            observed.resources.insert(found.identity.clone(), look(&found.identity, None));
        }
    }
    observed
}
