//! Prefixes: nothing to make, and everything below them to take away.

use super::empty;
use crate::api::Api;
use crate::contents::Area;
use crate::error::Failure;
use crate::types::text;
use tenantry_core::model::value::Map;
use tenantry_provider::contract::{CommitGuard, Step, StepAction};

pub async fn write(api: &Api, step: &Step, guard: &dyn CommitGuard) -> Result<Map, Failure> {
    let area = Area { bucket: text(step.spec(), "bucket"), prefix: text(step.spec(), "prefix") };
    match &step.action {
        // It exists with its bucket, which has to be there.
        StepAction::Create { .. } | StepAction::Update { .. } => {
            let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", area.prefix)];
            api.document(area.bucket, &query, "ListBucketResult").await?;
        }
        StepAction::Delete { .. } => empty::clear(api, area, guard).await?,
    }
    Ok(Map::default())
}
