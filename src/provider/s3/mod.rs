//! S3: buckets and objects, on AWS and on every server that speaks the same.
//!
//! ```text
//! types/   what each kind's spec is, how XML says it, and what the planner has to know of it
//! read/    buckets: their tags, and what they or the spec name; objects: listings
//! write/   one resource at a time: look, then write what differs, one setting after the other
//! ```
//!
//! What servers can differs, and some take a request for a setting that they do not know as one for the bucket itself:
//! [`setting`] has the look before each write that keeps this from happening. Requests are signed and sent without an SDK
//! ([`api`]); marks stand in tags ([`mark`]).

mod api;
mod contents;
mod error;
mod keys;
mod mark;
mod read;
mod rules;
mod setting;
mod types;
mod write;
mod xml;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use api::Api;
use tenantry_core::model::kind::Kind;
use tenantry_core::rules::RuleSet;
use tenantry_kit::settings::invalid;
use tenantry_kit::{InTurn, ProviderKind as _};
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};

/// The S3 provider. Tried with `SeaweedFS` 4 and a replica of AWS.
pub struct S3;

/// The region where a target does not say; servers outside of AWS mostly go by this name too.
const REGION: &str = "us-east-1";

/// A fifth of what AWS takes for one prefix of a bucket.
const REQUESTS_PER_SECOND: u32 = 700;

/// The settings of an S3 target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct S3Settings {
    /// The address of the server, such as `https://minio.example.com`. AWS in the region, if it is left out.
    url: Option<String>,
    /// The region of all buckets of the target.
    #[serde(default = "default_region")]
    region: String,
    /// The id of the access key; also as `env:NAME` or `file:PATH`.
    access_key_id: String,
    /// As `env:NAME` or `file:PATH`.
    secret_access_key: String,
    /// Of temporary credentials, as `env:NAME` or `file:PATH`.
    session_token: Option<String>,
    /// The address of IAM, where users are managed; `url` or AWS, if it is left out.
    iam_url: Option<String>,
    /// A PEM file with the only certificates to trust, relative to the estate's folder.
    roots: Option<String>,
    /// The maximum number of requests per second, reads and writes together.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 1, max = 5000))]
    requests_per_second: u32,
}

fn default_region() -> String {
    REGION.to_owned()
}

fn default_requests_per_second() -> u32 {
    REQUESTS_PER_SECOND
}

impl Provider for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn placement_key(&self) -> &'static str {
        "storage"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::S3Kind::descriptions()
    }

    fn rules(&self) -> Option<RuleSet> {
        Some(rules::rules())
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(S3Settings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        Ok(Box::new(read::S3Reader::new(open(settings)?)))
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        Ok(Box::new(InTurn(write::S3Writer::new(open(settings)?))))
    }
}

fn open(settings: &Settings) -> Result<Arc<Api>, ProviderError> {
    Api::open(settings).map(Arc::new).map_err(|cause| invalid(settings, cause))
}
