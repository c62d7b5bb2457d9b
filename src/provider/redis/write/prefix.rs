//! Prefixes: nothing to make, and every key below them to take away.

use redis::aio::MultiplexedConnection;
use redis::cmd;

use crate::error::{Failed as _, Failure};
use crate::scan::Scan;
use tenantry_core::model::value::Value;
use tenantry_kit::Obstacle;
use tenantry_provider::contract::{CommitGuard, PROGRESS, Step};

/// How often the keys are gone through while somebody still writes new ones.
const ROUNDS: usize = 3;

pub async fn write(
    connection: &mut MultiplexedConnection,
    step: &Step,
    guard: &dyn CommitGuard,
) -> Result<(), Failure> {
    if !step.is_delete() {
        return Ok(());
    }
    let prefix = step.spec().get("prefix").and_then(Value::as_str).filter(|prefix| !prefix.is_empty());
    let prefix = prefix.ok_or_else(|| Failure::invalid("it has no prefix"))?;
    let mut deleted = 0;
    for _ in 0..ROUNDS {
        let before = deleted;
        let mut scan = Scan::of(prefix.as_bytes());
        while let Some(mut keys) = scan.next(connection).await? {
            // A server that does not know the pattern would tell the keys of others.
            keys.retain(|key| key.starts_with(prefix.as_bytes()));
            if keys.is_empty() {
                continue;
            }
            guard.check().await.map_err(Obstacle::from)?;
            // The memory is freed in the background, however large a value is.
            deleted += cmd("UNLINK").arg(&keys).query_async::<usize>(connection).await?;
            tracing::info!(target: PROGRESS, prefix, deleted, "emptying");
        }
        // One that finds nothing has looked everywhere.
        if deleted == before {
            return Ok(());
        }
    }
    Err(Failure::conflict("keys still appear below it, although all were deleted: somebody is still writing them"))
}
