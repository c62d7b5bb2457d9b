//! Secrets kept in the cluster: one Secret for each owner, in one namespace.
//!
//! A value stands under `NAME.vVERSION`, so that it can be read with kubectl. One Secret an owner keeps each far below the
//! size that the server takes (1 MiB), whatever the number of tenants, and lets rights be given for each. All are found by
//! their label in one list.
//!
//! Values are only ever added. Two runs that add to one Secret at once are told apart by its resource version: the second
//! is refused, reads what the first stored, and goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};

use super::client::{Ask, Cluster, Expected, JSON, encoded};
use super::error::{Failed as _, Failure};
use super::mark::label_value;
use super::read::list;
use tenantry_core::model::address::Owner;
use tenantry_core::model::names::{DNS_LABEL_BYTES, dns_label};
use tenantry_core::model::secret::{SecretReference, SecretVersion};
use tenantry_provider::contract::{ProviderError, Settings};
use tenantry_secret::contract::{SecretStore, SecretStoreError};
use tenantry_secret::{Alphabet, generate};

/// On every Secret of the store, with the estate's name.
const LABEL: &str = "tenantry.dev/secrets-of";

/// On a Secret, with the owner whose secrets it holds.
const OWNER: &str = "tenantry.dev/owner";

/// The field of the estate's own Secret that holds the key for hashes. No secret's name has a capital letter.
const HASH_KEY: &str = "HASH-KEY";

/// How often adding to a Secret is begun again because somebody else wrote it meanwhile.
const TRIES: usize = 8;

/// Secrets that are written at the same time.
const AT_ONCE: usize = 8;

/// Secrets of one estate in one namespace of a cluster.
pub struct KubernetesSecrets {
    cluster: Cluster,
    estate: Arc<str>,
    namespace: String,
}

/// One owner's values as they are stored: field and value.
type Fields = BTreeMap<String, SecretString>;

/// A Secret of the store.
struct Stored {
    owner: Owner,
    resource_version: String,
    fields: Fields,
}

impl KubernetesSecrets {
    /// # Errors
    /// If the target's settings name no cluster.
    pub fn new(settings: &Settings, namespace: &str) -> Result<Self, ProviderError> {
        let cluster = Cluster::new(settings)?;
        Ok(Self { cluster, estate: settings.estate.clone(), namespace: namespace.to_owned() })
    }

    fn failed(&self, attempted: &'static str, failure: Failure) -> SecretStoreError {
        let remedy = match failure.code() {
            Some(404) => Some(format!("create it: kubectl create namespace {}", self.namespace)),
            _ => None,
        };
        let error = failure.into_provider_error(attempted);
        let remedy = remedy.or(error.remedy.map(String::from)).map(|remedy| format!("; {remedy}")).unwrap_or_default();
        let cause = format!("{}{remedy}", error.cause);
        SecretStoreError::Failed { location: self.location(), attempted, cause }
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", encoded(&self.namespace))
    }

    /// The Secret that an answer about it has to be.
    fn expected<'a>(&'a self, name: &'a str) -> Expected<'a> {
        Expected { api_version: "v1", kind: "Secret", namespace: Some(&self.namespace), name }
    }

    /// A name of its own for each owner, since `tier:pro` is no name in a cluster.
    fn name_of(&self, owner: &Owner) -> String {
        dns_label(&format!("tenantry-{}-{owner}", self.estate), DNS_LABEL_BYTES)
    }

    async fn read(&self) -> Result<Vec<Stored>, Failure> {
        let selector = format!("{LABEL}={}", label_value(&self.estate));
        let items = list(&self.cluster, &self.collection(), Some(&selector), JSON).await?;
        items.iter().map(stored).collect()
    }

    /// Adds fields that are not there yet to one owner's Secret, and returns all that it holds then.
    async fn add(&self, owner: &Owner, fields: &Fields, mut there: Option<Stored>) -> Result<Fields, Failure> {
        for _ in 0..TRIES {
            let mut all = there.as_ref().map(|stored| stored.fields.clone()).unwrap_or_default();
            let known = all.len();
            for (field, value) in fields {
                all.entry(field.clone()).or_insert_with(|| value.clone());
            }
            if all.len() == known {
                return Ok(all);
            }
            let resource_version = there.as_ref().map(|stored| &*stored.resource_version);
            match self.write(owner, &all, resource_version).await {
                Ok(()) => return Ok(all),
                // It was made, changed or deleted meanwhile.
                Err(failure) if matches!(failure.code(), Some(409)) || (there.is_some() && failure.is_not_found()) => {
                    there = self.look(owner).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::NotYet("other processes write the same Secret all the time".to_owned()))
    }

    async fn write(&self, owner: &Owner, fields: &Fields, resource_version: Option<&str>) -> Result<(), Failure> {
        let name = self.name_of(owner);
        let data: BTreeMap<&String, String> =
            fields.iter().map(|(field, value)| (field, STANDARD.encode(value.expose_secret()))).collect();
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/managed-by": "tenantry", LABEL: label_value(&self.estate)},
                "annotations": {OWNER: owner.to_string()},
            },
            "data": data,
        });
        let (method, path) = match resource_version {
            None => (Method::POST, self.collection()),
            Some(version) => {
                body["metadata"]["resourceVersion"] = version.into();
                (Method::PUT, format!("{}/{}", self.collection(), encoded(&name)))
            }
        };
        let ask = Ask { method, path: &path, accept: JSON, content_type: Some(JSON) };
        self.cluster.write(&ask, &body, &self.expected(&name)).await.map(|_| ())
    }

    /// A Secret that was found by its name, which those of two estates can share: `shop` with a tenant `eu-acme` and `shop-eu`
    /// with one `acme`.
    fn own(&self, owner: &Owner, item: &Json) -> Result<Stored, Failure> {
        let found = stored(item)?;
        let estate = item.get("metadata").and_then(|metadata| metadata.get("labels")?.get(LABEL)?.as_str());
        // A label that somebody took off is written again.
        if found.owner == *owner && estate.is_none_or(|estate| estate == label_value(&self.estate)) {
            return Ok(found);
        }
        let whose = estate.map(|estate| format!(" in the estate `{estate}`")).unwrap_or_default();
        Err(Failure::Conflict {
            message: format!("Secret `{}` belongs to {}{whose}", self.name_of(owner), found.owner),
            remedy: Some("use another `namespace` for the secrets of this estate".to_owned()),
        })
    }

    async fn look(&self, owner: &Owner) -> Result<Option<Stored>, Failure> {
        let name = self.name_of(owner);
        let path = format!("{}/{}", self.collection(), encoded(&name));
        match self.cluster.get::<Json>(&path, JSON).await {
            Ok(item) if !self.expected(&name).is(&item) => {
                Err(self.expected(&name).missed("it is not known whether it exists"))
            }
            Ok(item) => self.own(owner, &item).map(Some),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// # Errors
/// If it is none of Tenantry's, or was damaged by hand. Values are not quoted.
fn stored(item: &Json) -> Result<Stored, Failure> {
    let text = |pointer: &str| item.pointer(pointer).and_then(Json::as_str);
    let name = text("/metadata/name").unwrap_or_default();
    let damaged = |what: String| Failure::Invalid { message: format!("Secret `{name}` {what}"), remedy: None };
    let owner = item.get("metadata").and_then(|metadata| metadata.get("annotations")?.get(OWNER)?.as_str());
    let owner = owner.ok_or_else(|| damaged(format!("lacks the annotation {OWNER}")))?;
    let resource_version = text("/metadata/resourceVersion").unwrap_or_default().to_owned();
    let fields = item.get("data").and_then(Json::as_object).into_iter().flatten();
    let fields = fields.map(|(field, value)| {
        let bytes = value.as_str().and_then(|value| STANDARD.decode(value).ok());
        let value = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok((field.clone(), value.ok_or_else(|| damaged(format!("has no text in the field `{field}`")))?.into()))
    });
    Ok(Stored { owner: owner.into(), resource_version, fields: fields.collect::<Result<_, Failure>>()? })
}

fn field_of(reference: &SecretReference) -> String {
    format!("{}.v{}", reference.name, reference.version)
}

fn reference_of(owner: &Owner, field: &str) -> Option<SecretReference> {
    let (name, version) = field.rsplit_once(".v")?;
    Some(SecretReference {
        owner: owner.clone(),
        name: name.into(),
        version: SecretVersion::new(version.parse().ok()?)?,
    })
}

#[async_trait]
impl SecretStore for KubernetesSecrets {
    async fn get(
        &self,
        references: &[SecretReference],
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        let all = self.read().await.map_err(|failure| self.failed("reading", failure))?;
        let by_owner: BTreeMap<Owner, Fields> = all.into_iter().map(|stored| (stored.owner, stored.fields)).collect();
        let found = references.iter().filter_map(|reference| {
            Some((reference.clone(), by_owner.get(&reference.owner)?.get(&field_of(reference))?.clone()))
        });
        Ok(found.collect())
    }

    async fn put(
        &self,
        secrets: BTreeMap<SecretReference, SecretString>,
    ) -> Result<BTreeMap<SecretReference, SecretString>, SecretStoreError> {
        if secrets.is_empty() {
            return Ok(secrets);
        }
        let failed = |failure| self.failed("writing", failure);
        let mut there: BTreeMap<Owner, Stored> =
            self.read().await.map_err(failed)?.into_iter().map(|stored| (stored.owner.clone(), stored)).collect();
        let mut by_owner: BTreeMap<Owner, Fields> = BTreeMap::new();
        for (reference, value) in &secrets {
            by_owner.entry(reference.owner.clone()).or_default().insert(field_of(reference), value.clone());
        }
        // The key goes first: hashes are made as soon as there is a value. Where the estate has secrets of its own, its Secret
        // is looked at once more.
        let key = Fields::from([(HASH_KEY.to_owned(), generate(Alphabet::ALPHANUMERIC, generate::LENGTH)?)]);
        self.add(&Owner::Estate, &key, there.remove(&Owner::Estate)).await.map_err(failed)?;
        let adding = by_owner.into_iter().map(|(owner, fields)| {
            let there = there.remove(&owner);
            async move { self.add(&owner, &fields, there).await.map(|all| (owner, all)) }
        });
        let stored: BTreeMap<Owner, Fields> =
            stream::iter(adding).buffer_unordered(AT_ONCE).try_collect().await.map_err(failed)?;
        let value = |reference: SecretReference| {
            let value = stored.get(&reference.owner)?.get(&field_of(&reference))?.clone();
            Some((reference, value))
        };
        Ok(secrets.into_keys().filter_map(value).collect())
    }

    async fn hash_key(&self) -> Result<Option<SecretString>, SecretStoreError> {
        let estate = self.look(&Owner::Estate).await.map_err(|failure| self.failed("reading", failure))?;
        Ok(estate.and_then(|mut stored| stored.fields.remove(HASH_KEY)))
    }

    async fn list(&self) -> Result<Vec<SecretReference>, SecretStoreError> {
        let all = self.read().await.map_err(|failure| self.failed("listing", failure))?;
        let mut references: Vec<SecretReference> = all
            .iter()
            .flat_map(|stored| stored.fields.keys().filter_map(|field| reference_of(&stored.owner, field)))
            .collect();
        references.sort();
        Ok(references)
    }

    fn location(&self) -> String {
        format!("namespace `{}` of {}", self.namespace, self.cluster.server())
    }
}
