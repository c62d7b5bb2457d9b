//! Any REST API as a resource: what it wants to hear is a [`definition`], what a resource is are its fields.
//!
//! ```text
//! definition.rs  how a sort of resource is listed, made, changed and deleted; definitions/ has the ready ones
//! types.rs       the spec, and what the planner has to know of it
//! api.rs         requests: addresses, answers
//! failure.rs     what goes wrong, and whether it was done all the same
//! auth/          how they say who asks
//! mark.rs        the mark on a map or in a text
//! object.rs      an object of an API as a spec, and back
//! read.rs        lists → observations
//! write.rs       one step → a few requests
//! ```
//!
//! The API's address and credentials stand in the target's settings, everything else in the resource. Paths are relative to
//! that address: nothing that a blueprint says sends credentials to another host.

mod api;
mod auth;
mod definition;
mod failure;
mod mark;
mod object;
mod read;
mod rules;
mod types;
mod write;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use api::Api;
use tenantry_core::model::kind::Kind;
use tenantry_core::rules::RuleSet;
use tenantry_kit::InTurn;
use tenantry_kit::settings::invalid;
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};

/// The provider of REST APIs.
pub struct Http;

/// Polite to an API of which nothing is known.
const REQUESTS_PER_SECOND: u32 = 20;

/// The settings of an HTTP target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct HttpSettings {
    /// The address that paths of definitions are appended to.
    url: String,
    /// How requests are authenticated.
    #[serde(default)]
    auth: Auth,
    /// A bearer token, or the value of `header`, as `env:NAME` or `file:PATH`.
    token: Option<String>,
    /// The header that has the token (`auth` is `header`) or the signature (`hmac`).
    header: Option<String>,
    /// Of basic authentication.
    username: Option<String>,
    /// Of basic authentication, as `env:NAME` or `file:PATH`.
    password: Option<String>,
    /// Of OAuth client credentials (RFC 6749, 4.4).
    token_url: Option<String>,
    /// Of OAuth client credentials: the client's id.
    client_id: Option<String>,
    /// Of OAuth client credentials, as `env:NAME` or `file:PATH`.
    client_secret: Option<String>,
    /// Of a token: its scope.
    scope: Option<String>,
    /// The key file of a Google service account (JSON), as `file:PATH` or `env:NAME`.
    service_account: Option<String>,
    /// The user on whose behalf the service account acts, if it may act for others.
    subject: Option<String>,
    /// Of a key of AWS: its id.
    access_key_id: Option<String>,
    /// Of a key of AWS, as `env:NAME` or `file:PATH`.
    secret_access_key: Option<String>,
    /// Of temporary credentials of AWS, as `env:NAME` or `file:PATH`.
    session_token: Option<String>,
    /// Of a key of AWS: the region of the service.
    region: Option<String>,
    /// Of a key of AWS: the service, such as `execute-api`.
    service: Option<String>,
    /// The key with which `hmac` signs the body, as `env:NAME` or `file:PATH`.
    secret: Option<String>,
    /// How the signature of `hmac` is written.
    encoding: Option<Encoding>,
    /// The prefix of the signature of `hmac`, such as `sha256=`.
    prefix: Option<String>,
    /// A PEM file with the only certificates to trust, relative to the estate's folder.
    roots: Option<String>,
    /// The maximum number of requests per second, reads and writes together.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    requests_per_second: u32,
}

/// How requests are authenticated.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Auth {
    #[default]
    None,
    Bearer,
    Header,
    Basic,
    ClientCredentials,
    ServiceAccount,
    Aws,
    Hmac,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    #[default]
    Hex,
    Base64,
}

fn default_requests_per_second() -> u32 {
    REQUESTS_PER_SECOND
}

impl Provider for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn placement_key(&self) -> &'static str {
        "api"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::kinds()
    }

    fn rules(&self) -> Option<RuleSet> {
        Some(rules::rules())
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(HttpSettings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        Ok(Box::new(read::HttpReader::new(open(settings)?)))
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        Ok(Box::new(InTurn(write::HttpWriter::new(open(settings)?))))
    }
}

fn open(settings: &Settings) -> Result<Arc<Api>, ProviderError> {
    Api::open(settings).map(Arc::new).map_err(|cause| invalid(settings, cause))
}
