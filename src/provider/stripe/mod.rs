//! Stripe: products, prices, customers, subscriptions, meters, coupons, webhook endpoints.
//!
//! ```text
//! types/   what each kind's spec is, and what the planner has to know of it
//! read/    lists of objects → observations: as many requests as there are pages, whatever the number of tenants
//! write/   one step → a few requests; what creates carries an idempotency key
//! ```
//!
//! Stripe invents the ids of most objects. So an object is known by a name of ours, which stands with the mark in its
//! metadata ([`mark`]), and is found again by listing: search lags behind. The mode of the key (test or live) is held
//! against every object that is answered.

mod api;
mod features;
mod form;
mod lists;
mod mark;
mod money;
mod read;
mod rules;
mod schedule;
mod types;
mod write;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use api::Api;
use tenantry_core::model::kind::Kind;
use tenantry_core::rules::RuleSet;
use tenantry_kit::ProviderKind as _;
use tenantry_kit::settings::invalid;
use tenantry_provider::contract::{Provider, ProviderError, Reader, Settings, Writer};

/// The Stripe provider.
pub struct Stripe;

/// Where Stripe is, unless a target's `url` says otherwise.
const URL: &str = "https://api.stripe.com";

/// What Stripe allows in test mode; a live account has a hundred, of which the product itself wants its share.
const REQUESTS_PER_SECOND: u32 = 25;

/// The settings of a Stripe target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; values are read through `Settings::text`")]
struct StripeSettings {
    /// A secret or restricted key (`sk_test_…`, `rk_live_…`), as `env:NAME` or `file:PATH`.
    api_key: String,
    /// Must be true for a key of live mode, and false for a key of test mode.
    #[serde(default)]
    live: bool,
    /// The address of the API, without `/v1`.
    #[serde(default = "default_url")]
    url: String,
    /// A PEM file with the only certificates to trust, relative to the estate's folder.
    roots: Option<String>,
    /// The maximum number of requests per second, reads and writes together.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 1, max = 100))]
    requests_per_second: u32,
}

fn default_url() -> String {
    URL.to_owned()
}

fn default_requests_per_second() -> u32 {
    REQUESTS_PER_SECOND
}

impl Provider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn placement_key(&self) -> &'static str {
        "billing"
    }

    fn kinds(&self) -> Vec<Kind> {
        types::StripeKind::descriptions()
    }

    fn rules(&self) -> Option<RuleSet> {
        Some(rules::rules())
    }

    fn settings_schema(&self) -> schemars::Schema {
        schemars::schema_for!(StripeSettings)
    }

    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        Ok(Box::new(read::StripeReader::new(open(settings)?)))
    }

    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        Ok(Box::new(write::StripeWriter::new(open(settings)?)))
    }
}

fn open(settings: &Settings) -> Result<Arc<Api>, ProviderError> {
    Api::open(settings).map(Arc::new).map_err(|cause| invalid(settings, cause))
}
