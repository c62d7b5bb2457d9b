//! The reading half.
//!
//! `GET /api/definitions` has everything but the descriptions of virtual hosts in older versions; `GET /api/vhosts` has
//! those. Both come whole: the API does not cut them into pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::client::{Client, NO_API};
use super::error::{Failed as _, Failure};
use super::types::{
    RabbitMqKind,
    binding::BindingSpec,
    exchange::{self, ExchangeSpec},
    permission::PermissionSpec,
    policy::PolicySpec,
    queue::QueueSpec,
    text,
    topic_permission::TopicPermissionSpec,
    unmarked::Unmarked,
    user::Account,
    user_limits::UserLimitsSpec,
    vhost,
    vhost_limits::VhostLimitsSpec,
};
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::{Kind, MarkPlace, escape};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Kinds, Subject, by_key, known, subjects};
use tenantry_provider::contract::{OWN_USER, ObserveRequest, ProviderError, Reader};

pub struct RabbitMqReader {
    client: Arc<Client>,
    kinds: Kinds<RabbitMqKind>,
}

/// A resource that was found.
type Found = (Map, Option<Mark>);

impl RabbitMqReader {
    pub fn new(client: Arc<Client>) -> Self {
        Self { client, kinds: Kinds::default() }
    }

    /// What the API has at a path.
    async fn fetch(&self, path: &[&str]) -> Result<Json, Arc<str>> {
        let answer = self.client.get(path).await;
        let answer = answer.and_then(|answer| answer.ok_or_else(|| Failure::invalid(NO_API)));
        answer.map_err(|failure| {
            let attempted = format!("reading {} of RabbitMQ at {}", path.join("/"), self.client.location());
            failure.into_reason(attempted)
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
                "RabbitMQ shows the user `{}` only its own virtual hosts; give it the tag `administrator`",
                self.client.user()
            )
            .into()),
        }
    }
}

/// The definitions, unless they are an answer without anything in it: every broker has the user who asks, or at least a
/// virtual host, and whoever answers so for whatever is asked would have everything made again.
fn believed(definitions: Json) -> Result<Json, Arc<str>> {
    let mut lists = ["users", "vhosts", "permissions"].into_iter().map(|name| definitions.get(name));
    match lists.all(|list| list.and_then(Json::as_array).is_some_and(Vec::is_empty)) {
        true => Err(
            "the definitions that RabbitMQ returned have no user and no virtual host, but a broker has at least one; \
                     check that the target's `url` is the address of the management API"
                .into(),
        ),
        false => Ok(definitions),
    }
}

/// The tags of whom the API shows every virtual host (the manual's "Management plugin", permissions).
const SEE_ALL: [&str; 2] = ["administrator", "monitoring"];

/// A list of the definitions.
///
/// # Errors
/// If the answer has no such list: it is of another form than is known here, and tells nothing.
fn list<'a>(definitions: &'a Json, name: &str) -> Result<&'a Vec<Json>, Arc<str>> {
    let list = definitions.get(name).and_then(Json::as_array);
    list.ok_or_else(|| format!("the definitions that RabbitMQ returned have no list of {name}").into())
}

fn unmarked<Spec: Unmarked>(definitions: &Json) -> Result<Vec<Found>, Arc<str>> {
    Ok(Spec::among(list(definitions, Spec::LIST)?).into_iter().map(|spec| (spec, None)).collect())
}

/// The resources of a kind in what was answered.
fn found(
    kind: RabbitMqKind,
    vhosts: &Result<Json, Arc<str>>,
    definitions: &Result<Json, Arc<str>>,
) -> Result<Vec<Found>, Arc<str>> {
    let among = |of: fn(&Json) -> Result<Vec<Found>, Arc<str>>| of(definitions.as_ref().map_err(Arc::clone)?);
    match kind {
        RabbitMqKind::Vhost => vhosts_in(vhosts.as_ref().map_err(Arc::clone)?, definitions),
        RabbitMqKind::User => among(|definitions| {
            let accounts = list(definitions, "users")?.iter().map(Account::of_api);
            Ok(accounts.map(|account| (account.spec.clone(), account.seen_mark())).collect())
        }),
        RabbitMqKind::UserLimits => among(unmarked::<UserLimitsSpec>),
        RabbitMqKind::VhostLimits => among(unmarked::<VhostLimitsSpec>),
        RabbitMqKind::Permission => among(unmarked::<PermissionSpec>),
        RabbitMqKind::TopicPermission => among(unmarked::<TopicPermissionSpec>),
        RabbitMqKind::Policy => among(unmarked::<PolicySpec>),
        RabbitMqKind::Exchange => among(unmarked::<ExchangeSpec>),
        RabbitMqKind::Queue => among(unmarked::<QueueSpec>),
        RabbitMqKind::Binding => among(unmarked::<BindingSpec>),
    }
}

/// Whether an exchange is asked for that only others may publish to.
///
/// From version 4.3 on the definitions leave them out, and say of no exchange whether it is one (`list_exchanges` of
/// `rabbit_definitions` in the server's source). What is not among them is not absent then.
fn asks_for_internal(asked: &BTreeMap<&'static str, Vec<Subject<'_>>>) -> bool {
    let exchanges = asked.get(exchange::NAME).into_iter().flatten();
    exchanges.into_iter().any(|asked| asked.spec.get("internal").and_then(Value::as_bool) == Some(true))
}

/// Answers for what is asked for, and for everything else that carries the estate's mark.
///
/// # Errors
/// If something has no name: then the list is of another form than is known here.
fn answer(kind: &Kind, estate: &str, subjects: &[Subject<'_>], found: Vec<Found>) -> Result<KindObservation, Arc<str>> {
    let mut present: Vec<(Identity, Present)> = Vec::with_capacity(found.len());
    for (spec, mark) in found {
        let spec = kind.normal(&spec);
        let identity = kind.identity_of(&spec).filter(|_| is_named(kind, &spec));
        let nameless = || format!("RabbitMQ returned a {} without a name", kind.name);
        let identity = identity.ok_or_else(nameless)?;
        present.push((identity, Present { spec: spec.shared(), mark, ..Present::default() }));
    }
    let found = present.iter().map(|(identity, present)| (identity, present));
    Ok(known(by_key(kind, estate, subjects, found, |subject| Some(subject.identity), |present, _| present.clone())))
}

/// Whether what tells a resource from others stands in its spec. An exchange may have an empty name, and a binding an empty key.
fn is_named(kind: &Kind, spec: &Map) -> bool {
    kind.identity.iter().all(|field| match *field {
        "vhost" | "user" => spec.get(field).and_then(Value::as_str).is_some_and(|name| !name.is_empty()),
        "name" if kind.mark == MarkPlace::TargetShared => !text(spec, field).is_empty(),
        _ => spec.contains(field),
    })
}

/// The virtual hosts that a list has.
///
/// A list without any is not believed by itself: every broker begins with one, and whoever answers an empty list for
/// whatever is asked would have them all made again. Where there is none indeed, the definitions say so too.
fn vhosts_in(answer: &Json, definitions: &Result<Json, Arc<str>>) -> Result<Vec<Found>, Arc<str>> {
    let Some(vhosts) = answer.as_array() else { return Err("RabbitMQ returned no list of virtual hosts".into()) };
    if vhosts.is_empty() {
        let defined = definitions.as_ref().ok().and_then(|definitions| definitions.get("vhosts")?.as_array());
        return match defined {
            Some(defined) if defined.is_empty() => Ok(Vec::new()),
            _ => {
                Err("RabbitMQ returned an empty list of virtual hosts, but a broker has at least one; check that the target's `url` is the address of the management API"
                    .into())
            }
        };
    }
    Ok(vhosts.iter().map(vhost::of_api).collect())
}

#[async_trait]
impl Reader for RabbitMqReader {
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation> {
        let asked = subjects(request);
        let needs_vhosts = asked.contains_key(vhost::NAME);
        let needs_definitions = asked.keys().any(|kind| *kind != vhost::NAME);
        let vhosts = async { if needs_vhosts { self.fetch(&["vhosts"]).await } else { Ok(Json::Null) } };
        let definitions = async {
            if needs_definitions { self.fetch(&["definitions"]).await.and_then(believed) } else { Ok(Json::Null) }
        };
        let (mut vhosts, mut definitions) = futures::join!(vhosts, definitions);
        if definitions.is_err() && vhosts.is_ok() {
            // Whoever may see the definitions sees every virtual host; anybody else perhaps only their own.
            vhosts = self.sees_all().await.and(vhosts);
        }
        if let Ok(definitions) = &mut definitions
            && asks_for_internal(&asked)
            && definitions["exchanges"].as_array().is_some_and(|all| all.iter().all(|one| one["internal"].is_null()))
        {
            definitions["exchanges"] = self.fetch(&["exchanges"]).await.unwrap_or_default();
        }
        let mut observations = BTreeMap::new();
        for (name, subjects) in asked {
            let Some((kind, description)) = self.kinds.get(name) else {
                observations.insert(name, KindObservation::unknown(format!("RabbitMQ has no kind {name}")));
                continue;
            };
            let found = found(kind, &vhosts, &definitions);
            let found = found.and_then(|found| answer(description, request.estate, &subjects, found));
            let observation = match found {
                Ok(mut observation) => {
                    let own = observation.resources.get_mut(&*escape(self.client.user()));
                    if let Some(observed) = own.filter(|_| kind == RabbitMqKind::User) {
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
        let attempted = format!("identifying RabbitMQ at {}", self.client.location());
        let failed = |failure: Failure| failure.into_provider_error(attempted.clone());
        let id = self.client.get(&["global-parameters", "internal_cluster_id"]).await.map_err(failed)?;
        let (told, field) = match id {
            Some(told) => (told, "value"),
            None => (self.client.get(&["cluster-name"]).await.map_err(failed)?.unwrap_or_default(), "name"),
        };
        match told.get(field).and_then(Json::as_str).and_then(|text| Fingerprint::new(format!("cluster {text}"))) {
            Some(fingerprint) => Ok(Some(fingerprint)),
            None => Err(failed(Failure::invalid("the answer names no cluster"))),
        }
    }

    async fn probe(&self) -> Result<String, ProviderError> {
        let location = self.client.location();
        let overview = self.client.get(&["overview"]).await;
        let overview = overview
            .map_err(|failure| failure.into_provider_error(format!("connecting to RabbitMQ at {location}")))?
            .unwrap_or_default();
        match overview.get("rabbitmq_version").and_then(Json::as_str) {
            Some(version) => Ok(format!("RabbitMQ {version} at {location}")),
            None => Err(Failure::invalid("the answer has no version")
                .into_provider_error(format!("connecting to RabbitMQ at {location}"))),
        }
    }
}
