//! The reading half: one list for each type of object.
//!
//! ```text
//! wanted and known objects, by type
//!   → list by the estate's label                  everything that is marked, over all namespaces
//!   → something wanted is not among it?           a list of bare metadata: absent, or there without our mark
//!   → what is there without our mark              read in full, by namespace or by type
//!   → project                                     the part of each object that the estate owns
//!   → settle                                      what differs is held against a dry run
//! what a plan makes   → refusals                  tried, as far as it can be before it is written
//! ```
//!
//! Types are read side by side, and what fails in one makes no other unknown. Only the dry runs are one request for each
//! object, and only for those that seem to differ.

mod list;
mod project;
mod refusals;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value as Json;

use super::client::{Cluster, JSON, METADATA_LIST};
use super::discovery::{Discovery, Resource};
use super::error::{Failed as _, Failure};
use super::mark::{selector, unmarked};
use super::owned::{Owned, is_unclaimed, writers};
use super::ready;
use super::types::{self, OBJECT, object};
use super::version::Version;
pub use list::list;
pub use project::left_behind;
use project::{Projection, project};
use settle::Settled;
use tenantry_core::diff;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Applied, Author, Desired, Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value, unescape_token};
use tenantry_core::ownership;
use tenantry_provider::contract::{ObserveRequest, ProviderError, Reader, TrialRequest};

const CUSTOM_RESOURCE_DEFINITION: &str = "CustomResourceDefinition";

/// The most namespaces that are read one by one when unmarked objects stand in them; with more, the type is read whole.
const MOST_NAMESPACES: usize = 4;

pub struct KubernetesReader {
    cluster: Arc<Cluster>,
    discovery: Discovery,
    kind: Kind,
}

/// A resource that is asked for.
struct Subject<'a> {
    identity: &'a Identity,
    spec: &'a Map,
    /// `None` if the repository no longer asks for it.
    desired: Option<&'a Desired>,
}

/// API version and kind.
type TypeKey<'a> = (&'a str, &'a str);

/// What is asked of one type.
struct Scope<'a> {
    estate: &'a str,
    api_version: &'a str,
    kind: &'a str,
    subjects: Vec<&'a Subject<'a>>,
    /// Every identity that is asked for, of this type and of others.
    asked: &'a HashSet<&'a str>,
    /// The versions of the type that its definition is to serve, if that is among what is asked for.
    defined: Option<&'a [&'a str]>,
    /// Whether that definition is not there as it is desired.
    is_defined_anew: bool,
    /// See [`ObserveRequest`].
    recorded: &'a HashMap<(&'static str, &'a Identity), &'a Applied>,
}

type Answers = Vec<(Identity, Observed)>;

/// An object that was read, the mark taken off it.
struct Found {
    raw: Json,
    /// Normalised.
    live: Map,
    mark: Option<Mark>,
}

impl Found {
    fn new(mut raw: Json, resource: &Resource) -> Self {
        // Items of a list do not repeat what they are.
        raw["apiVersion"] = (*resource.api_version).into();
        raw["kind"] = (*resource.kind).into();
        let whole = Value::from(&raw).as_map().map(types::normalise).unwrap_or_default();
        let (live, mark) = unmarked(&whole);
        // Without the mark there may be empty maps left.
        Self { raw, live: types::normalise(&live), mark }
    }

    /// The part of the object that is owned, where `spec` is asked for.
    fn project(&self, spec: &Map, resource: &Resource) -> Projection {
        let record = owned_record(&self.raw, &resource.kind);
        let owned = Owned::of(record.as_ref().unwrap_or(&self.raw), &resource.api_version);
        let found = project(&self.live, spec, owned);
        Projection { spec: types::normalise(&found.spec), ..found }
    }

    /// Who wrote the fields of `spec`, which is what is there, that are not as desired.
    fn authors(&self, desired: &Desired, spec: &Map, resource: &Resource) -> Arc<[(Arc<str>, Author)]> {
        if *spec == **desired.spec.fields() {
            return Arc::default();
        }
        let record = owned_record(&self.raw, &resource.kind);
        let record = record.as_ref().unwrap_or(&self.raw);
        let found = Value::from(spec.clone());
        let differences = diff::compare(&desired.kind, &desired.spec, spec, None);
        let author = |difference: diff::Difference| {
            let tokens: Vec<_> = difference.pointer.split('/').skip(1).map(unescape_token).collect();
            let writers = writers(record).filter(|writer| writer.part.has(&found, &tokens));
            let last = writers.max_by(|a, b| a.time.cmp(&b.time))?;
            let author = Author { name: last.manager.into(), at: last.time.map(Into::into) };
            Some((difference.pointer, author))
        };
        differences.into_iter().filter_map(author).collect()
    }

    /// Whether something that `spec` asks for is there as asked for, and not on the server's record as ours.
    fn is_unclaimed(&self, spec: &Map, resource: &Resource) -> bool {
        let record = owned_record(&self.raw, &resource.kind);
        let record = record.as_ref().unwrap_or(&self.raw);
        let ours = Owned::of(record, &resource.api_version);
        if matches!(ours, Owned::Unsaid) {
            return true;
        }
        let (spec, live) = (Value::from(spec.clone()), Value::from(self.live.clone()));
        Owned::written_by_others(record).any(|theirs| is_unclaimed(&spec, &live, ours, theirs))
    }
}

/// The object with a Secret's `data` on record as `stringData` too, since that is where its normal form has it.
fn owned_record(raw: &Json, kind: &str) -> Option<Json> {
    if kind != "Secret" {
        return None;
    }
    let mut entries = raw.pointer("/metadata/managedFields")?.clone();
    for entry in entries.as_array_mut()? {
        if let Some(fields) = entry.get_mut("fieldsV1").and_then(Json::as_object_mut)
            && let Some(data) = fields.get("f:data").cloned()
        {
            fields.insert("f:stringData".to_owned(), data);
        }
    }
    Some(serde_json::json!({"metadata": {"managedFields": entries}}))
}

impl KubernetesReader {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, discovery: Discovery::default(), kind: types::kind() }
    }

    /// Reads one type. Whatever goes wrong makes all of it unknown.
    async fn read(&self, scope: &Scope<'_>) -> (Answers, Option<Arc<str>>) {
        match self.try_read(scope).await {
            Ok(answers) => (answers, None),
            Err(failure) => {
                let attempted = format!("reading {} of {}", scope.kind, scope.api_version);
                let reason = failure.into_reason(attempted);
                (scope.all(&Observed::Unknown(reason.clone().into())), Some(reason))
            }
        }
    }

    async fn try_read(&self, scope: &Scope<'_>) -> Result<Answers, Failure> {
        let discovery = &self.discovery;
        let (resource, other) = match discovery.find(&self.cluster, scope.api_version, scope.kind).await? {
            Some(resource) => (resource, None),
            None => match discovery.find_other(&self.cluster, scope.api_version, scope.kind).await? {
                Some(other) => (other.clone(), Some(unserved(scope, &other))),
                None => return Ok(scope.all(&unknown_type(scope))),
            },
        };
        // What is only to be removed is found in any version, and so is what is about to be served in the one asked for.
        let (_, version) = object::split_api_version(scope.api_version);
        let unserved = other.filter(|_| !scope.defined.is_some_and(|defined| defined.contains(&version)));
        let (unreadable, subjects): (Vec<_>, Vec<_>) =
            scope.subjects.iter().copied().partition(|subject| unserved.is_some() && subject.desired.is_some());
        let (misplaced, subjects): (Vec<_>, Vec<_>) = subjects.into_iter().partition(|subject| {
            object::namespace(subject.spec).is_some_and(|namespace| !namespace.is_empty()) != resource.is_namespaced
        });
        let selected = selector(scope.estate);
        let marked = list(&self.cluster, &resource.collection(None), Some(&selected), JSON).await?;
        let mut found = by_identity(marked, &resource);
        let missing: Vec<&Subject<'_>> =
            subjects.iter().copied().filter(|subject| !found.contains_key(&**subject.identity)).collect();
        if !missing.is_empty() {
            found.extend(self.unmarked(&resource, &missing).await?);
        }

        let mut answers: Answers = Vec::with_capacity(found.len());
        answers.extend(misplaced.iter().map(|subject| (subject.identity.clone(), misplaced_reason(&resource))));
        let reason = unserved.unwrap_or(Observed::Absent);
        answers.extend(unreadable.iter().map(|subject| (subject.identity.clone(), reason.clone())));
        let mut settling = Vec::new();
        for subject in &subjects {
            match found.remove(&**subject.identity) {
                None => answers.push((subject.identity.clone(), Observed::Absent)),
                Some(found) => settling.push(self.present(scope, &resource, subject, found)),
            }
        }
        answers.extend(join_all(settling).await);
        // What is marked and not asked for. Its owner may be a type that copies labels onto what it makes, without the
        // annotation: that is no mark.
        for (identity, found) in found {
            if found.mark.is_some() && !scope.asked.contains(&*identity) {
                let pending = ready::deletion(&found.raw, type_of(&resource)).map(Into::into);
                let Projection { spec, .. } = found.project(&named(&found.live), &resource);
                let present = Present { spec: Arc::new(spec), mark: found.mark, pending, ..Present::default() };
                answers.push((identity, Observed::Present(present)));
            }
        }
        Ok(answers)
    }

    /// Those of the missing that are there without the estate's mark, read in full.
    async fn unmarked(
        &self,
        resource: &Resource,
        missing: &[&Subject<'_>],
    ) -> Result<HashMap<Identity, Found>, Failure> {
        let missing: HashSet<&str> = missing.iter().map(|subject| &**subject.identity).collect();
        let bare = list(&self.cluster, &resource.collection(None), None, METADATA_LIST).await?;
        let there: Vec<&Json> = bare.iter().filter(|item| missing.contains(&*identity_of(item, resource))).collect();
        if there.is_empty() {
            return Ok(HashMap::new());
        }
        let namespaces: BTreeSet<Option<&str>> = there.iter().map(|item| metadata(item, "namespace")).collect();
        let namespaces = if namespaces.len() > MOST_NAMESPACES { BTreeSet::from([None]) } else { namespaces };
        let reads = namespaces
            .iter()
            .map(async |namespace| list(&self.cluster, &resource.collection(*namespace), None, JSON).await);
        let mut found = HashMap::new();
        for items in join_all(reads).await {
            let items = by_identity(items?, resource).into_iter();
            found.extend(items.filter(|(identity, _)| missing.contains(&**identity)));
        }
        Ok(found)
    }

    async fn present(
        &self,
        scope: &Scope<'_>,
        resource: &Resource,
        subject: &Subject<'_>,
        found: Found,
    ) -> (Identity, Observed) {
        let identity = subject.identity.clone();
        let of = type_of(resource);
        let deletion = ready::deletion(&found.raw, of);
        let Some(desired) = subject.desired else {
            // Who deletes it wants all of what was applied, and what to call it.
            let Projection { spec, .. } = found.project(subject.spec, resource);
            let pending = deletion.map(Into::into);
            return (
                identity,
                Observed::Present(Present { spec: Arc::new(spec), mark: found.mark, pending, ..Present::default() }),
            );
        };
        if let Some(reason) = deletion {
            return (identity, Observed::Unknown(reason.into()));
        }
        let projection = found.project(&desired.spec, resource);
        let claimed: Arc<[Arc<str>]> = projection.claimed.iter().map(|claimed| (&**claimed).into()).collect();
        let mut mark = found.mark.clone();
        if let Some(mark) = mark.as_mut().filter(|_| !projection.lost.is_empty()) {
            // Somebody has written over a secret: what was written last is not what is there.
            mark.secret_hash = None;
        }
        let is_ours = mark.as_ref().is_some_and(|mark| {
            ownership::of_mark(scope.estate, &desired.address, &desired.previously, mark).is_ours()
        });
        let settled = match is_ours || desired.adopt {
            true => self.settle(scope, resource, desired, &found, projection, is_ours).await,
            false => Settled { spec: projection.spec, ..Settled::default() },
        };
        let Settled { spec, whole, becomes, refused, version } = settled;
        let pending = ready::pending(&found.raw, of).map(Into::into);
        let unclaimed = is_ours && found.is_unclaimed(&desired.spec, resource);
        let authors = if is_ours { found.authors(desired, &spec, resource) } else { Arc::default() };
        // What is as it should be is not written. A controller writes the status of what runs pods, or of a custom
        // resource, all the time: another version says nothing of it, and it is looked at again.
        let adopts = desired.adopt && !is_ours;
        let is_busy = found.raw.get("status").is_some() && (of.is_custom() || object::pod_spec_path(of).is_some());
        let version = match version {
            Some(version) => (adopts || version.has_taken() || !is_busy).then_some(version),
            None => (unclaimed || adopts).then(|| Version::of(&found.raw, Vec::new())),
        };
        let present = Present {
            spec: Arc::new(spec),
            mark,
            pending,
            claimed,
            authors,
            unclaimed,
            whole: whole.into(),
            becomes: becomes.into(),
            refused,
            version: version.and_then(|version| version.text()),
            ..Present::default()
        };
        (identity, Observed::Present(present))
    }
}

impl Scope<'_> {
    fn all(&self, observed: &Observed) -> Answers {
        self.subjects.iter().map(|subject| (subject.identity.clone(), observed.clone())).collect()
    }
}

/// What is to be thought of objects whose type the server does not know.
fn unknown_type(scope: &Scope<'_>) -> Observed {
    // The definition comes or goes with the objects.
    if scope.defined.is_some() {
        return Observed::Absent;
    }
    Observed::Unknown(
        format!(
            "the cluster does not know the kind `{}` of `{}`; install its CustomResourceDefinition, or add it to the estate",
            scope.kind, scope.api_version
        )
        .into(),
    )
}

/// What is to be thought of objects whose type the server knows in another version.
fn unserved(scope: &Scope<'_>, other: &Resource) -> Observed {
    let Scope { kind, api_version, .. } = scope;
    let other = &other.api_version;
    Observed::Unknown(
        format!(
            "the cluster has the kind `{kind}` in `{other}`, not in `{api_version}`; write `{other}` in the blueprint"
        )
        .into(),
    )
}

fn misplaced_reason(resource: &Resource) -> Observed {
    let reason = match resource.is_namespaced {
        true => format!("a {} belongs to a namespace; write `metadata.namespace`", resource.kind),
        false => format!("a {} belongs to the whole cluster; leave `metadata.namespace` out", resource.kind),
    };
    Observed::Unknown(reason.into())
}

fn by_identity(items: Vec<Json>, resource: &Resource) -> HashMap<Identity, Found> {
    items.into_iter().map(|item| (identity_of(&item, resource), Found::new(item, resource))).collect()
}

fn identity_of(item: &Json, resource: &Resource) -> Identity {
    let name = |field: &str| metadata(item, field).unwrap_or_default();
    object::identity_of(type_of(resource), name("namespace"), name("name"))
}

fn type_of(resource: &Resource) -> object::Type<'_> {
    object::Type { group: object::split_api_version(&resource.api_version).0, kind: &resource.kind }
}

fn metadata<'a>(item: &'a Json, field: &str) -> Option<&'a str> {
    item.get("metadata")?.get(field)?.as_str()
}

/// The fields of an object that say which it is.
fn named(live: &Map) -> Map {
    let metadata = live.get("metadata").and_then(Value::as_map);
    let name = |(field, _): &(&Arc<str>, &Value)| matches!(&***field, "name" | "namespace");
    let metadata: Map = metadata
        .into_iter()
        .flat_map(Map::iter)
        .filter(name)
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    let fields = ["apiVersion", "kind"].iter().filter_map(|field| Some(((*field).into(), live.get(field)?.clone())));
    fields.chain([("metadata".into(), metadata.into())]).collect()
}

/// Group and kind of every definition that is asked for, with the versions that it is to serve.
fn definitions_of<'a>(specs: impl Iterator<Item = &'a Map>) -> HashMap<(&'a str, &'a str), Vec<&'a str>> {
    let definition = |spec: &'a Map| {
        let defined = defined_by(spec)?;
        let versions = object::at(spec, &["spec", "versions"]).and_then(Value::as_list).unwrap_or_default();
        let served = versions.iter().filter(|version| version.get("served") == Some(&Value::Bool(true)));
        let served = served.filter_map(|version| version.get("name")?.as_str()).collect();
        Some((defined, served))
    };
    specs.filter_map(definition).collect()
}

/// Group and kind of the type that an object defines.
fn defined_by(spec: &Map) -> Option<(&str, &str)> {
    let text = |path: &[&str]| object::at(spec, path).and_then(Value::as_str);
    (text(&["kind"])? == CUSTOM_RESOURCE_DEFINITION)
        .then_some((text(&["spec", "group"])?, text(&["spec", "names", "kind"])?))
}

/// Group and kind of every definition that is there as it is desired.
fn settled_definitions<'a>(
    definers: &[Scope<'a>],
    read: &[(Answers, Option<Arc<str>>)],
) -> HashSet<(&'a str, &'a str)> {
    let answers: HashMap<&str, &Observed> =
        read.iter().flat_map(|(answers, _)| answers).map(|(identity, observed)| (&**identity, observed)).collect();
    let subjects = definers.iter().flat_map(|scope| &scope.subjects);
    let is_settled = |subject: &Subject<'_>| match (subject.desired, answers.get(&**subject.identity)) {
        (Some(desired), Some(Observed::Present(present))) => {
            diff::compare_owned(&desired.kind, &desired.spec, present, Some(&desired.spec)).is_empty()
        }
        _ => false,
    };
    subjects.filter(|subject| is_settled(subject)).filter_map(|subject| defined_by(subject.spec)).collect()
}

/// `GET /version`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Program {
    git_version: String,
    platform: String,
}

#[async_trait]
impl Reader for KubernetesReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let wanted = request.wanted.get(OBJECT).map_or(&[][..], |wanted| wanted);
        let known = request.known.get(OBJECT).map_or(&[][..], |known| known);
        let wanted = wanted.iter().filter_map(|desired| {
            Some(Subject { identity: desired.identity.as_ref()?, spec: &desired.spec, desired: Some(*desired) })
        });
        let known = known.iter().map(|known| Subject { identity: known.identity, spec: &known.spec, desired: None });
        let subjects: Vec<Subject<'_>> = wanted.chain(known).collect();
        let asked: HashSet<&str> = subjects.iter().map(|subject| &**subject.identity).collect();
        let definitions = definitions_of(subjects.iter().map(|subject| subject.spec));

        let mut answers = Vec::with_capacity(subjects.len());
        let mut by_type: BTreeMap<TypeKey<'_>, Vec<&Subject<'_>>> = BTreeMap::new();
        for subject in &subjects {
            let field = |name: &str| subject.spec.get(name).and_then(Value::as_str);
            match (field("apiVersion"), field("kind")) {
                (Some(api_version), Some(kind)) => by_type.entry((api_version, kind)).or_default().push(subject),
                _ => {
                    let reason = "the inventory does not name its type".into();
                    answers.push((subject.identity.clone(), Observed::Unknown(reason)));
                }
            }
        }
        let scopes: Vec<Scope<'_>> = by_type
            .into_iter()
            .map(|((api_version, kind), subjects)| Scope {
                estate: request.estate,
                api_version,
                kind,
                subjects,
                asked: &asked,
                recorded: &request.recorded,
                is_defined_anew: false,
                defined: definitions.get(&(object::split_api_version(api_version).0, kind)).map(|versions| &**versions),
            })
            .collect();
        // First the definitions: what their types would be refused depends on whether they change.
        let (definers, mut others): (Vec<_>, Vec<_>) =
            scopes.into_iter().partition(|scope| scope.kind == CUSTOM_RESOURCE_DEFINITION);
        let mut read = join_all(definers.iter().map(|scope| self.read(scope))).await;
        let settled = settled_definitions(&definers, &read);
        for scope in &mut others {
            let of = (object::split_api_version(scope.api_version).0, scope.kind);
            scope.is_defined_anew = scope.defined.is_some() && !settled.contains(&of);
        }
        read.extend(join_all(others.iter().map(|scope| self.read(scope))).await);
        let mut incomplete = None;
        for (of_type, failed) in read {
            answers.extend(of_type);
            incomplete = incomplete.or(failed.map(Into::into));
        }
        let observation = KindObservation { resources: answers.into_iter().collect(), incomplete };
        BTreeMap::from([(OBJECT, observation)])
    }

    async fn refusals(&self, request: &TrialRequest<'_>) -> Vec<(usize, Arc<str>)> {
        self.try_all(request).await
    }

    /// The UID of the namespace `kube-system`, which a cluster has from its beginning and as long as it is one.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = || format!("reading the namespace kube-system of {}", self.cluster.server());
        let namespace: Result<Json, Failure> = self.cluster.get("/api/v1/namespaces/kube-system", JSON).await;
        let namespace = namespace.map_err(|failure| failure.into_provider_error(attempted()))?;
        match metadata(&namespace, "uid").filter(|_| metadata(&namespace, "name") == Some("kube-system")) {
            Some(uid) => Ok(Fingerprint::new(format!("cluster {uid}"))),
            None => {
                let message = "the answer is not this namespace".to_owned();
                Err(Failure::Invalid { message, remedy: None }.into_provider_error(attempted()))
            }
        }
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let program: Result<Program, Failure> = self.cluster.get("/version", JSON).await;
        let attempted = || format!("reading the version of {}", self.cluster.server());
        let Program { git_version, platform } = program.map_err(|failure| failure.into_provider_error(attempted()))?;
        Ok(format!("Kubernetes {git_version} ({platform}) at {}", self.cluster.server()))
    }
}
