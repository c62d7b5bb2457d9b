//! The writing half: one step after the other, each safe to repeat.
//!
//! ```text
//! look        is it there, whose is it, is it being deleted? Only of what is not known in its present version
//!   → record  items of lists whose key somebody edited are taken onto our record, so that the apply takes them away
//!   → apply   server-side, with force only for what was ours; what is adopted is taken over as a whole
//!   → tidy    what the plan removes and the server kept for another manager; what others once wrote of ours
//!   → wait    only for a definition, whose objects come next
//! ```
//!
//! A change is bound to the version that was observed or looked at: an object that somebody else made in between under the
//! same name is neither changed nor deleted, and one that was changed is looked at again. What is as it was observed costs one
//! request, or two if somebody else has written at it; what is made costs two. Before an object is deleted for another one in its place, the server is asked whether it
//! would take that one (`prove`).

mod delete;
mod prove;
mod remove;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::apply::{Applied, Apply, apply, release};
use super::client::{Cluster, Expected, JSON, METADATA};
use super::conflict;
use super::discovery::{Discovery, Resource};
use super::edited::edits;
use super::error::{Failed as _, Failure};
use super::mark::unmarked;
use super::ready;
use super::refused;
use super::types::{self, object};
use super::version::Version;
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::Present;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::Steps;
use tenantry_provider::contract::{CommitGuard, Step, StepAction, Written};

/// How long a write waits for what has to come before it: a definition to be served, an object of the same name to be gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often an object is changed that its controller writes at the same time.
const MOST_TRIES: usize = 5;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub struct KubernetesWriter {
    cluster: Arc<Cluster>,
    discovery: Discovery,
}

/// What a step is about.
struct Subject<'a> {
    step: &'a Step,
    spec: &'a Map,
    resource: Arc<Resource>,
}

/// An object that is there, as far as its metadata tells.
struct Current {
    uid: String,
    mark: Option<Mark>,
    metadata: Json,
}

impl Subject<'_> {
    fn path(&self) -> String {
        self.resource.object(object::namespace(self.spec), object::name(self.spec).unwrap_or_default())
    }

    /// The object that an answer about it has to be.
    fn expected(&self) -> Expected<'_> {
        Expected {
            api_version: &self.resource.api_version,
            kind: &self.resource.kind,
            namespace: object::namespace(self.spec),
            name: object::name(self.spec).unwrap_or_default(),
        }
    }

    fn type_of(&self) -> object::Type<'_> {
        object::Type { group: object::split_api_version(&self.resource.api_version).0, kind: &self.resource.kind }
    }
}

impl KubernetesWriter {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, discovery: Discovery::default() }
    }

    async fn write_step(&self, step: &Step) -> Result<(), Failure> {
        match (self.subject(step).await?, &step.action) {
            // With its definition every object is gone.
            (None, _) => Ok(()),
            (Some(subject), StepAction::Delete { .. }) => self.delete(&subject).await,
            (Some(subject), StepAction::Create { .. } | StepAction::Update { .. }) => self.put(&subject).await,
        }
    }

    /// What a step is about; `None` for a deletion whose type the cluster does not know.
    async fn subject<'s>(&self, step: &'s Step) -> Result<Option<Subject<'s>>, Failure> {
        let spec = step.spec();
        let text = |field: &str| spec.get(field).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let found = match (self.discovery.find(&self.cluster, api_version, kind).await?, &step.action) {
            // It may have been written in a version that is served no more.
            (None, StepAction::Delete { .. }) => self.discovery.find_other(&self.cluster, api_version, kind).await?,
            (found, _) => found,
        };
        let Some(resource) = found else {
            return match step.action {
                StepAction::Delete { .. } => Ok(None),
                _ => Err(Failure::Invalid {
                    message: format!("the cluster does not know the kind `{kind}` of `{api_version}`"),
                    remedy: Some("install its CustomResourceDefinition, or add it to the estate".to_owned()),
                }),
            };
        };
        if resource.is_namespaced != object::namespace(spec).is_some() {
            let message = if resource.is_namespaced {
                "it belongs to a namespace, but `metadata.namespace` is missing"
            } else {
                "it belongs to the whole cluster, but it has `metadata.namespace`"
            };
            return Err(Failure::Invalid {
                message: message.to_owned(),
                remedy: Some("correct `metadata.namespace` in the blueprint".to_owned()),
            });
        }
        Ok(Some(Subject { step, spec, resource }))
    }

    async fn put(&self, subject: &Subject<'_>) -> Result<(), Failure> {
        let object = match &subject.step.action {
            StepAction::Update { before, applied, .. } => self.update(subject, before, applied.as_ref()).await?,
            StepAction::Create { .. } | StepAction::Delete { .. } => self.create(subject).await?,
        };
        if subject.type_of().is("apiextensions.k8s.io", "CustomResourceDefinition") {
            self.wait_until_served(subject, object).await?;
        }
        Ok(())
    }

    /// Makes an object, or brings one to its wish that was made before.
    async fn create(&self, subject: &Subject<'_>) -> Result<Json, Failure> {
        if let Some(there) = self.look(subject).await? {
            subject.step.check_owner(there.mark.as_ref()).map_err(Failure::conflict)?;
            if !there.is_leaving() {
                return self.change_current(subject, None).await;
            }
            self.wait_until_gone(subject).await?;
        }
        // What takes fields over takes none from an object that nobody has seen yet.
        let Applied { object, is_new } = self.apply(subject, None, false).await?;
        if is_new {
            return Ok(object);
        }
        // An apply cannot be bound to there being nothing.
        release(&self.cluster, &subject.resource, subject.spec).await?;
        Err(Failure::conflict("somebody else created it at the same moment, and it carries no mark"))
    }

    /// Changes the object that was observed, or what has become of it since.
    async fn update(&self, subject: &Subject<'_>, before: &Present, applied: Option<&Map>) -> Result<Json, Failure> {
        if let Some(version) = before.version.as_deref().and_then(Version::parse) {
            subject.step.check_owner(before.mark.as_ref()).map_err(Failure::conflict)?;
            match self.change(subject, &version, applied, before.mark.is_none()).await {
                Err(failure) if failure.is_outdated() || failure.is_not_found() => {}
                other => return other,
            }
        }
        self.change_current(subject, applied).await
    }

    /// Reads the object and changes it as it is then; again, if somebody else is faster.
    async fn change_current(&self, subject: &Subject<'_>, applied: Option<&Map>) -> Result<Json, Failure> {
        let mut tries = 1;
        loop {
            match self.change_found(subject, applied).await {
                Err(failure) if failure.is_outdated() && tries < MOST_TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn change_found(&self, subject: &Subject<'_>, applied: Option<&Map>) -> Result<Json, Failure> {
        let found: Json = match self.cluster.get(&subject.path(), JSON).await {
            Err(failure) if failure.is_not_found() => return Err(Failure::vanished()),
            other => other?,
        };
        if !subject.expected().is(&found) {
            return Err(subject.expected().missed("it is not known whether it exists"));
        }
        let (live, mark) = unmarked(&Value::from(&found).as_map().map(types::normalise).unwrap_or_default());
        subject.step.check_owner(mark.as_ref()).map_err(Failure::conflict)?;
        if found.pointer("/metadata/deletionTimestamp").is_some() {
            self.wait_until_gone(subject).await?;
            return Err(Failure::vanished());
        }
        let taken = match applied.filter(|_| mark.is_some()) {
            Some(applied) => edits(&live, subject.spec, applied, &found).taken,
            None => Vec::new(),
        };
        self.change(subject, &Version::of(&found, taken), applied, mark.is_none()).await
    }

    /// Changes one version of an object.
    ///
    /// # Errors
    /// If the server refuses; as an outdated one, if the object has changed meanwhile.
    async fn change(
        &self,
        subject: &Subject<'_>,
        version: &Version,
        applied: Option<&Map>,
        adopts: bool,
    ) -> Result<Json, Failure> {
        let mut version = version.clone();
        if let Some(record) = version.record() {
            version =
                Version::of(&self.merge(subject, &version, serde_json::json!({}), Some(record)).await?, Vec::new());
        }
        let force = adopts
            || conflict::takes_over(subject.spec)
            || applied.is_some_and(|applied| version.is_repair(subject.spec, applied));
        let Applied { object, .. } = match self.apply(subject, Some(&version), force).await {
            Err(failure) if conflict::is_field_conflict(&failure) => {
                conflict::check_repair(applied, &failure)?;
                self.apply(subject, Some(&version), true).await?
            }
            other => other?,
        };
        self.tidy(subject, &object).await?;
        Ok(object)
    }

    async fn apply(&self, subject: &Subject<'_>, version: Option<&Version>, force: bool) -> Result<Applied, Failure> {
        let request = Apply {
            resource: &subject.resource,
            spec: subject.spec,
            mark: Some(&subject.step.mark),
            uid: version.map(|version| &*version.uid),
            resource_version: version.map(|version| &*version.number),
            force,
            dry_run: false,
        };
        apply(&self.cluster, &request).await
    }

    /// The metadata of what is there.
    async fn look(&self, subject: &Subject<'_>) -> Result<Option<Current>, Failure> {
        match self.cluster.get::<Json>(&subject.path(), METADATA).await {
            Ok(found) if !subject.expected().is_named(&found) => {
                Err(subject.expected().missed("it is not known whether it exists"))
            }
            Ok(found) => {
                let (_, mark) = super::mark::unmarked(Value::from(&found).as_map().unwrap_or(&Map::default()));
                let uid = found.pointer("/metadata/uid").and_then(Json::as_str).unwrap_or_default().to_owned();
                Ok(Some(Current { uid, mark, metadata: found }))
            }
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Waits for an object of the same name to be gone that is being deleted.
    async fn wait_until_gone(&self, subject: &Subject<'_>) -> Result<(), Failure> {
        let mut pause = Pause::default();
        loop {
            let Some(there) = self.look(subject).await? else { return Ok(()) };
            let Some(why) = ready::deletion(&there.metadata, subject.type_of()) else {
                return Err(Failure::conflict("another object of the same name has appeared; plan again"));
            };
            if !pause.next().await {
                return Err(Failure::NotYet(format!("the old object still exists: {why}")));
            }
        }
    }

    /// Waits until a definition is established, and the types that it defines can be found.
    async fn wait_until_served(&self, subject: &Subject<'_>, mut definition: Json) -> Result<(), Failure> {
        let mut pause = Pause::default();
        loop {
            let not_yet = match ready::pending(&definition, subject.type_of()) {
                None if self.is_served(&definition).await? => return Ok(()),
                None => "the API server does not serve it yet".to_owned(),
                Some(why) => why,
            };
            if !pause.next().await {
                return Err(Failure::NotYet(not_yet));
            }
            definition = self.cluster.get(&subject.path(), super::client::JSON).await?;
        }
    }

    async fn is_served(&self, definition: &Json) -> Result<bool, Failure> {
        let text = |pointer: &str| definition.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
        let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
        for version in definition.pointer("/spec/versions").and_then(Json::as_array).into_iter().flatten() {
            let is_wanted = version.get("served").and_then(Json::as_bool) == Some(true);
            let name = version.get("name").and_then(Json::as_str).unwrap_or_default();
            if is_wanted && self.discovery.find(&self.cluster, &format!("{group}/{name}"), kind).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Current {
    /// Whether it is being deleted.
    fn is_leaving(&self) -> bool {
        self.metadata.pointer("/metadata/deletionTimestamp").is_some()
    }
}

/// Longer and longer pauses until the patience is at an end.
struct Pause {
    until: tokio::time::Instant,
    length: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { until: tokio::time::Instant::now() + PATIENCE, length: FIRST_PAUSE }
    }
}

impl Pause {
    /// Pauses; tells whether to try again.
    async fn next(&mut self) -> bool {
        if tokio::time::Instant::now() >= self.until {
            return false;
        }
        tokio::time::sleep(self.length).await;
        self.length = (self.length * 2).min(LONGEST_PAUSE);
        true
    }
}

#[async_trait]
impl Steps for KubernetesWriter {
    type Failure = Failure;

    async fn step(&self, step: &Step, _: &dyn CommitGuard) -> Result<Written, Failure> {
        self.write_step(step).await?;
        Ok(Written::default())
    }

    fn attempted(&self, step: &Step) -> String {
        format!("{} {}", step.verb(), readable_identity(&step.identity))
    }

    fn hidden(&self, step: &Step) -> Vec<Arc<str>> {
        secret_values(step)
    }

    async fn prove(&self, step: &Step) -> Result<(), Failure> {
        self.try_out(step).await
    }

    fn trying(&self, step: &Step) -> String {
        format!("trying {}", readable_identity(&step.identity))
    }
}

/// Values that stand in no error: a Secret has some that are no secrets of the estate.
fn secret_values(step: &Step) -> Vec<Arc<str>> {
    let mut values = step.secret_values();
    if !step.is_delete() {
        values.extend(refused::values(step.spec()));
    }
    values
}
