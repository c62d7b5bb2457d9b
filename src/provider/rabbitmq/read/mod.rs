//! The reading half.
//!
//! `GET /api/definitions` has everything but the descriptions of virtual hosts in older versions; `GET /api/vhosts` has
//! those. Both come whole: the API does not cut them into pages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::client::{Client, NO_API};
use super::error::Failure;
use super::types::{self, binding, exchange, limits, permission, policy, queue, text, topic_permission, user, vhost};
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::{Kind, MarkPlace, escape};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{OWN_USER, ObserveRequest, ProviderError, Reader};

pub struct RabbitMqReader {
    client: Arc<Client>,
    kinds: BTreeMap<&'static str, Kind>,
}

/// A resource that was found.
type Found = (Map, Option<Mark>);

impl RabbitMqReader {
    pub fn new(client: Arc<Client>) -> Self {
        let kinds = types::kinds().into_iter().map(|kind| (kind.name, kind)).collect();
        Self { client, kinds }
    }

    /// What the API has at a path.
    async fn fetch(&self, path: &[&str]) -> Result<Json, Arc<str>> {
        let answer = self.client.get(path).await;
        let answer = answer.and_then(|answer| answer.ok_or_else(|| Failure::Invalid(NO_API.to_owned())));
        answer.map_err(|failure| {
            let attempted = format!("reading {} of RabbitMQ at {}", path.join("/"), self.client.location());
            let error = failure.into_provider_error(attempted);
            match &error.remedy {
                Some(remedy) => format!("{error}; {remedy}").into(),
                None => error.to_string().into(),
            }
        })
    }

    /// Whether the list of virtual hosts is the whole one.
    async fn sees_all(&self) -> Result<(), Arc<str>> {
        let own = self.fetch(&["whoami"]).await?;
        let tags = match own.get("tags") {
            Some(Json::Array(tags)) => tags.iter().filter_map(Json::as_str).collect(),
            // So earlier versions have them.
            Some(Json::String(tags)) => tags.split(',').collect(),
            _ => Vec::new(),
        };
        match tags.iter().any(|tag| SEE_ALL.contains(tag)) {
            true => Ok(()),
            false => Err(format!(
                "RabbitMQ shows the user `{}` no virtual hosts but its own; give it the tag `administrator`",
                self.client.user()
            )
            .into()),
        }
    }
}

/// The tags of whom the API shows every virtual host (the manual's "Management plugin", permissions).
const SEE_ALL: [&str; 2] = ["administrator", "monitoring"];

/// The resources of a kind among the definitions.
///
/// # Errors
/// If the answer has no such list: it is of another form than is known here, and tells nothing.
fn among(kind: &str, definitions: &Json) -> Result<Vec<Found>, Arc<str>> {
    let list = |name: &str| -> Result<&Vec<Json>, Arc<str>> {
        definitions
            .get(name)
            .and_then(Json::as_array)
            .ok_or_else(|| format!("the definitions that RabbitMQ answered have no list of {name}").into())
    };
    let plain = |name: &str, of_api: fn(&Json) -> Map| -> Result<Vec<Found>, Arc<str>> {
        Ok(list(name)?.iter().map(|object| (of_api(object), None)).collect())
    };
    let text = |object: &Json, field: &str| object.get(field).and_then(Json::as_str).unwrap_or_default().to_owned();
    match kind {
        "rabbitmq.user" => {
            let accounts = list("users")?.iter().map(user::Account::of_api);
            Ok(accounts.map(|account| (account.spec.clone(), account.seen_mark())).collect())
        }
        "rabbitmq.user_limits" => {
            let limited = list("users")?.iter().filter_map(|object| {
                let set = limits::of_api("user", &text(object, "name"), object.get("limits")?, limits::OF_USER)?;
                Some((set, None))
            });
            Ok(limited.collect())
        }
        "rabbitmq.vhost_limits" => {
            let limited = list("parameters")?.iter().filter_map(|object| {
                let is_limit = text(object, "component") == "vhost-limits";
                let (name, value) = (text(object, "vhost"), object.get("value")?);
                let set = limits::of_api("vhost", &name, value, limits::OF_VHOST).filter(|_| is_limit)?;
                Some((set, None))
            });
            Ok(limited.collect())
        }
        "rabbitmq.permission" => plain("permissions", permission::of_api),
        "rabbitmq.topic_permission" => plain("topic_permissions", topic_permission::of_api),
        "rabbitmq.policy" => plain("policies", policy::of_api),
        "rabbitmq.exchange" => plain("exchanges", exchange::of_api),
        "rabbitmq.queue" => plain("queues", queue::of_api),
        "rabbitmq.binding" => plain("bindings", binding::of_api),
        other => Err(format!("RabbitMQ has no kind {other}").into()),
    }
}

/// Whether an exchange is asked for that only others may publish to.
///
/// From version 4.3 on the definitions leave them out, and say of no exchange whether it is one (`list_exchanges` of
/// `rabbit_definitions` in the server's source). What is not among them is not absent then.
fn asks_for_internal(request: &ObserveRequest<'_>) -> bool {
    let wanted = request.wanted.get("rabbitmq.exchange").into_iter().flatten().map(|desired| &*desired.spec);
    let known = request.known.get("rabbitmq.exchange").into_iter().flatten().map(|known| &known.spec);
    wanted.chain(known).any(|spec| spec.get("internal").and_then(Value::as_bool) == Some(true))
}

/// Answers for what is asked for, and for everything else that carries the estate's mark.
///
/// # Errors
/// If something has no name: then the list is of another form than is known here.
fn answer(kind: &Kind, estate: &str, asked: Vec<&Identity>, found: Vec<Found>) -> Result<KindObservation, Arc<str>> {
    let mut by_identity: HashMap<Identity, Present> = HashMap::with_capacity(found.len());
    for (spec, mark) in found {
        let spec = kind.normal(&spec);
        let identity = kind.identity_of(&spec).filter(|_| is_named(kind, &spec));
        let nameless = || format!("RabbitMQ answered a {} without a name", kind.name);
        let identity = identity.ok_or_else(nameless)?;
        by_identity.insert(identity, Present { spec: spec.shared(), mark, ..Present::default() });
    }
    let mut resources: HashMap<Identity, Observed> = HashMap::with_capacity(asked.len());
    for identity in asked {
        let observed = by_identity.get(identity).cloned().map_or(Observed::Absent, Observed::Present);
        resources.insert(identity.clone(), observed);
    }
    for (identity, present) in by_identity {
        if present.mark.as_ref().is_some_and(|mark| mark.is_of(estate)) {
            resources.entry(identity).or_insert(Observed::Present(present));
        }
    }
    Ok(KindObservation { resources, incomplete: None })
}

/// Whether what tells a resource from others stands in its spec. An exchange may have an empty name, and a binding an empty key.
fn is_named(kind: &Kind, spec: &Map) -> bool {
    kind.identity.iter().all(|field| match *field {
        "vhost" | "user" => spec.get(field).and_then(Value::as_str).is_some_and(|name| !name.is_empty()),
        "name" if kind.mark == MarkPlace::Target => !text(spec, field).is_empty(),
        _ => spec.contains(field),
    })
}

/// The virtual hosts that a list has.
///
/// A list without any is not believed by itself: every broker begins with one, and whoever answers an empty list for
/// whatever is asked would have them all made again. Where there is none indeed, the definitions say so too.
fn vhosts_in(answer: &Json, definitions: &Result<Json, Arc<str>>) -> Result<Vec<Found>, Arc<str>> {
    let Some(vhosts) = answer.as_array() else { return Err("RabbitMQ answered no list of virtual hosts".into()) };
    if vhosts.is_empty() {
        let defined = definitions.as_ref().ok().and_then(|definitions| definitions.get("vhosts")?.as_array());
        return match defined {
            Some(defined) if defined.is_empty() => Ok(Vec::new()),
            _ => {
                Err("RabbitMQ answered an empty list of virtual hosts, and a broker has at least one; check that the \
                      target's `url` is the address of the management API itself"
                    .into())
            }
        };
    }
    Ok(vhosts.iter().map(vhost::of_api).collect())
}

#[async_trait]
impl Reader for RabbitMqReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let mut asked: BTreeMap<&'static str, Vec<&Identity>> = BTreeMap::new();
        for (kind, wanted) in &request.wanted {
            asked.entry(kind).or_default().extend(wanted.iter().filter_map(|desired| desired.identity.as_ref()));
        }
        for (kind, known) in &request.known {
            asked.entry(kind).or_default().extend(known.iter().map(|known| known.identity));
        }
        let needs = |wanted: fn(&str) -> bool| asked.keys().any(|kind| wanted(kind));
        let (needs_vhosts, needs_definitions) =
            (needs(|kind| kind == "rabbitmq.vhost"), needs(|kind| kind != "rabbitmq.vhost"));
        let vhosts = async { if needs_vhosts { self.fetch(&["vhosts"]).await } else { Ok(Json::Null) } };
        let definitions = async { if needs_definitions { self.fetch(&["definitions"]).await } else { Ok(Json::Null) } };
        let (mut vhosts, mut definitions) = futures::join!(vhosts, definitions);
        if definitions.is_err() && vhosts.is_ok() {
            // Whoever may see the definitions sees every virtual host; anybody else perhaps only their own.
            vhosts = self.sees_all().await.and(vhosts);
        }
        if let Ok(definitions) = &mut definitions
            && asks_for_internal(request)
            && definitions["exchanges"].as_array().is_some_and(|all| all.iter().all(|one| one["internal"].is_null()))
        {
            definitions["exchanges"] = self.fetch(&["exchanges"]).await.unwrap_or_default();
        }
        let mut observations = BTreeMap::new();
        for (name, identities) in asked {
            let found = match name {
                "rabbitmq.vhost" => vhosts.clone().and_then(|vhosts| vhosts_in(&vhosts, &definitions)),
                other => definitions.as_ref().map_err(Arc::clone).and_then(|definitions| among(other, definitions)),
            };
            let found = found.and_then(|found| match self.kinds.get(name) {
                Some(kind) => answer(kind, request.estate, identities, found),
                None => Err(format!("RabbitMQ has no kind {name}").into()),
            });
            let observation = match found {
                Ok(mut observation) => {
                    let own = observation.resources.get_mut(&*escape(self.client.user()));
                    if let Some(observed) = own.filter(|_| name == "rabbitmq.user") {
                        *observed = Observed::Unknown(OWN_USER.into());
                    }
                    observation
                }
                Err(reason) => KindObservation::unknown(reason),
            };
            observations.insert(name, observation);
        }
        observations
    }

    /// The id that a cluster is given when its first node starts, and that every node of it tells. Versions before 3.8 have
    /// none; there it is the name of the cluster, which an operator may set.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError> {
        let attempted = format!("asking RabbitMQ at {} which cluster it is", self.client.location());
        let failed = |failure: Failure| failure.into_provider_error(attempted.clone());
        let id = self.client.get(&["global-parameters", "internal_cluster_id"]).await.map_err(failed)?;
        let (told, field) = match id {
            Some(told) => (told, "value"),
            None => (self.client.get(&["cluster-name"]).await.map_err(failed)?.unwrap_or_default(), "name"),
        };
        match told.get(field).and_then(Json::as_str).and_then(|text| Fingerprint::new(format!("cluster {text}"))) {
            Some(fingerprint) => Ok(Some(fingerprint)),
            None => Err(failed(Failure::Invalid("the answer names no cluster".to_owned()))),
        }
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let location = self.client.location();
        let overview = self.client.get(&["overview"]).await;
        let overview = overview
            .map_err(|failure| failure.into_provider_error(format!("asking RabbitMQ at {location}")))?
            .unwrap_or_default();
        match overview.get("rabbitmq_version").and_then(Json::as_str) {
            Some(version) => Ok(format!("RabbitMQ {version} at {location}")),
            None => Err(Failure::Invalid("the answer has no version".to_owned())
                .into_provider_error(format!("asking RabbitMQ at {location}"))),
        }
    }
}
