//! Features: those of a product, and those that come back from the archive.

use serde_json::Value as Json;

use super::{StripeWriter, id_of};
use crate::api::Failure;
use crate::features;
use crate::form::Form;
use crate::lists::path;
use crate::types::StripeKind;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::Step;

impl StripeWriter {
    /// Attaches to a product the features that its spec names, and detaches the others. Of one whose spec names none at all
    /// nothing changes.
    pub(super) async fn bring_features(&self, step: &Step, product: &str, spec: &Map) -> Result<(), Failure> {
        let Some(wanted) = spec.get("features").and_then(Value::as_list) else { return Ok(()) };
        let wanted: Vec<&str> = wanted.iter().filter_map(Value::as_str).collect();
        let attached = features::list(&self.api, product).await?;
        for key in wanted.iter().filter(|key| !attached.iter().any(|one| one.lookup_key == **key)) {
            let feature = self.id(StripeKind::Feature, "feat_", &step.mark.estate, key).await?;
            features::attach(&self.api, product, &feature, &step.idempotency_key).await?;
        }
        for surplus in attached.iter().filter(|one| !wanted.contains(&&*one.lookup_key)) {
            features::detach(&self.api, product, surplus).await?;
        }
        Ok(())
    }

    /// An archived feature of a lookup key, active again: Stripe keeps the key with it, and a second one cannot have it.
    pub(super) async fn unarchived(&self, name: &str) -> Result<Option<Json>, Failure> {
        let path = path(StripeKind::Feature);
        let query = Form::new().with("lookup_key", name).with("archived", "true");
        let archived = self.api.list(path, &query).await?;
        let is_it = |object: &&Json| object.get("lookup_key").and_then(Json::as_str) == Some(name);
        let Some(feature) = archived.iter().find(is_it) else { return Ok(None) };
        self.api.update(path, id_of(feature), &Form::new().with("active", "true")).await.map(Some)
    }
}
