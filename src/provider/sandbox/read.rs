//! Observing the simulated world.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use sqlx::Row as _;

use super::faults::{Fault, Faults, Operation};
use super::world::World;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Desired, KindObservation, Observed, Present, TargetName};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{ErrorClass, ObserveRequest, ProviderError, Reader};

/// Reads one target's part of the world.
pub struct SandboxReader {
    pub(super) world: World,
    pub(super) target: TargetName,
    pub(super) faults: Arc<dyn Faults>,
}

#[async_trait]
impl Reader for SandboxReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let kinds: HashSet<&'static str> = request.wanted.keys().chain(request.known.keys()).copied().collect();
        let mut answer = BTreeMap::new();
        for kind in kinds {
            let observation = match self.faults.next(Operation::Read { target: &self.target, kind }) {
                Fault::None => self.kind(kind, request).await.unwrap_or_else(|error| {
                    KindObservation::unknown(format!("reading the sandbox at {}: {error}", self.world.path().display()))
                }),
                Fault::Fail(_, reason) | Fault::LoseAnswer(_, reason) => KindObservation::unknown(reason),
            };
            answer.insert(kind, observation);
        }
        answer
    }

    /// The id that the file was given when it was made.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let id = self.world.id().await.map_err(|error| self.failed(error))?;
        Ok(id.and_then(|id| Fingerprint::new(format!("sandbox {id}"))))
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let failed = |error| self.failed(error);
        let what = match self.world.connection().await.map_err(failed)? {
            None => "nothing in it yet".to_owned(),
            Some(mut connection) => {
                let count: i64 = sqlx::query_scalar("SELECT count(*) FROM resources WHERE target = ?")
                    .bind(&*self.target)
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(failed)?;
                format!("{count} {}", if count == 1 { "resource" } else { "resources" })
            }
        };
        Ok(format!("simulated, {what}"))
    }
}

impl SandboxReader {
    fn failed(&self, error: sqlx::Error) -> ProviderError {
        let attempted = format!("opening the sandbox at {}", self.world.path().display());
        ProviderError::new(ErrorClass::Fatal, attempted, error)
    }

    async fn kind(&self, kind: &'static str, request: &ObserveRequest<'_>) -> Result<KindObservation, sqlx::Error> {
        let mut observation = KindObservation::default();
        let wanted = request.wanted.get(kind).map_or(&[][..], Vec::as_slice);
        let known = request.known.get(kind).map_or(&[][..], Vec::as_slice);
        observation.resources.reserve(wanted.len() + known.len());
        let identities = wanted.iter().filter_map(|desired| desired.identity.as_ref());
        for identity in identities.chain(known.iter().map(|known| known.identity)) {
            observation.resources.insert(identity.clone(), Observed::Absent);
        }
        let Some(mut connection) = self.world.connection().await? else { return Ok(observation) };
        let mut rows = sqlx::query("SELECT identity, spec, mark, outputs FROM resources WHERE target = ? AND kind = ?")
            .bind(&*self.target)
            .bind(kind)
            .fetch(&mut *connection);
        let nothing = Arc::new(Map::default());
        let desired: HashMap<&str, &Desired> =
            wanted.iter().filter_map(|desired| Some((&**desired.identity.as_ref()?, *desired))).collect();
        while let Some(row) = rows.try_next().await? {
            let identity: &str = row.try_get_unchecked(0)?;
            let mark: Option<Mark> = match row.try_get_unchecked::<Option<&str>, _>(2)? {
                Some(text) => Some(serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))?),
                None => None,
            };
            let ours = mark.as_ref().is_some_and(|mark| mark.is_of(request.estate));
            if !ours && !observation.resources.contains_key(identity) {
                continue;
            }
            let map = |text: &str| match serde_json::from_str(text) {
                Ok(Value::Map(map)) => Ok(map),
                Ok(_) => Err(sqlx::Error::Decode("a spec is a map".into())),
                Err(error) => Err(sqlx::Error::Decode(error.into())),
            };
            let outputs = match row.try_get_unchecked(3)? {
                "{}" => nothing.clone(),
                text => map(text)?,
            };
            let mut present = Present { spec: map(row.try_get_unchecked(1)?)?, mark, outputs, ..Present::default() };
            if let Some(desired) = desired.get(identity) {
                share(&mut present, desired);
            }
            match observation.resources.get_mut(identity) {
                Some(observed) => *observed = Observed::Present(present),
                None => {
                    observation.resources.insert(identity.into(), Observed::Present(present));
                }
            }
        }
        Ok(observation)
    }
}

/// Most of what is there is as it is wanted: then one copy of it is enough for an estate of any size.
fn share(present: &mut Present, desired: &Desired) {
    // Of what is left alone nothing differs, whatever its product has made of it.
    if *present.spec == *desired.spec || desired.kind.leaves_alone(&desired.spec) {
        present.spec = desired.spec.shared();
    }
    if let Some(mark) = present.mark.as_mut().filter(|mark| mark.address == desired.address) {
        mark.address = desired.address.clone();
    }
}
