//! Writing the simulated world, by the rules that the kinds describe.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::faults::{Fault, Faults, Operation};
use super::world::World;
use tenantry_core::model::kind::{Catalogue, Kind, MarkPlace, Reference};
use tenantry_core::model::mark::{Mark, readable_scope};
use tenantry_core::model::names::hex;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{
    CommitGuard, ErrorClass, ProviderError, Step, StepAction, WriteError, Writer, Written,
};

/// Stands in the world where a secret would.
const SECRET: &str = "(secret)";

/// Writes one target's part of the world.
pub struct SandboxWriter {
    pub(super) world: World,
    pub(super) target: Arc<str>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) validators: Arc<OnceLock<Validators>>,
    pub(super) faults: Arc<dyn Faults>,
}

/// One schema check per kind.
pub type Validators = HashMap<&'static str, jsonschema::Validator>;

#[async_trait]
impl Writer for SandboxWriter {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        let first = batch.first().map_or("", |step| &*step.identity);
        let fault = self.faults.next(Operation::Write { target: &self.target, first_identity: first });
        let fail = |class, reason: &str| WriteError {
            step: 0,
            done: Vec::new(),
            error: ProviderError::new(class, format!("writing to the sandbox target `{}`", self.target), reason),
        };
        if let Fault::Fail(class, reason) = &fault {
            return Err(fail(*class, reason));
        }
        let at = |step: usize, error| WriteError { step, done: Vec::new(), error };
        let connection = self.world.connection().await.map_err(|error| at(0, failed("opening the sandbox", error)))?;
        let Some(mut connection) = connection else {
            return Err(fail(ErrorClass::Fatal, "it was opened for reading only"));
        };
        let mut transaction = connection
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|error| at(0, failed("beginning a transaction in the sandbox", error)))?;
        let mut written = Vec::with_capacity(batch.len());
        for (index, step) in batch.iter().enumerate() {
            written.push(self.step(&mut transaction, step).await.map_err(|error| at(index, error))?);
        }
        if let Err(lost) = guard.check().await {
            let attempted = format!("writing to the sandbox target `{}`", self.target);
            return Err(lost.of_step(batch.len().saturating_sub(1), Vec::new(), attempted));
        }
        transaction.commit().await.map_err(|error| at(0, failed("committing to the sandbox", error)))?;
        match fault {
            Fault::LoseAnswer(class, reason) => Err(fail(class, &reason)),
            _ => Ok(written),
        }
    }
}

fn failed(attempted: impl Into<String>, error: sqlx::Error) -> ProviderError {
    ProviderError::new(ErrorClass::Fatal, attempted, error)
}

struct Stored {
    spec: Map,
    mark: Option<Mark>,
    outputs: Map,
}

impl SandboxWriter {
    async fn step(&self, connection: &mut SqliteConnection, step: &Step) -> Result<Written, ProviderError> {
        let Step { kind, identity, action, mark, idempotency_key } = step;
        let attempted = |verb: &str| format!("{verb} {} `{identity}` in the sandbox", kind.name);
        let stored =
            self.stored(connection, kind, identity).await.map_err(|error| failed(attempted("reading"), error))?;
        match action {
            StepAction::Create { spec, secrets } => {
                let outputs = match &stored {
                    Some(stored) if is_ours(kind, stored, mark) => stored.outputs.clone(),
                    Some(_) => {
                        return Err(ProviderError::new(
                            ErrorClass::Conflict,
                            attempted("creating"),
                            "it exists already",
                        ));
                    }
                    None => self.invent_outputs(kind, spec, idempotency_key),
                };
                self.check(connection, kind, identity, spec, &attempted("creating")).await?;
                self.store(connection, step, spec, secrets, &outputs)
                    .await
                    .map_err(|error| failed(attempted("creating"), error))?;
                let captured = if stored.is_none() { capture(step, None) } else { BTreeMap::new() };
                Ok(Written { outputs, captured })
            }
            StepAction::Update { spec, before: _, applied: _, changed, removed: _, secrets } => {
                let missing = || ProviderError::new(ErrorClass::Conflict, attempted("updating"), "it does not exist");
                let stored = stored.ok_or_else(missing)?;
                if let Some(other) = stored.mark.as_ref().filter(|other| !other.is_of(&mark.estate)) {
                    let cause = format!("it belongs to {}", readable_scope(&other.estate));
                    return Err(ProviderError::new(ErrorClass::Conflict, attempted("updating"), cause));
                }
                if let Some(pointer) = changed.iter().find(|pointer| kind.is_immutable(spec, pointer)) {
                    let cause = format!("{pointer} cannot change");
                    return Err(ProviderError::new(ErrorClass::Fatal, attempted("updating"), cause));
                }
                self.check(connection, kind, identity, spec, &attempted("updating")).await?;
                let merged = merge(kind, &stored.spec, spec);
                let outputs = stored.outputs;
                self.store(connection, step, &merged, secrets, &outputs)
                    .await
                    .map_err(|error| failed(attempted("updating"), error))?;
                Ok(Written { outputs, captured: capture(step, Some(changed)) })
            }
            StepAction::Delete { .. } => {
                let Some(stored) = stored else { return Ok(Written::default()) };
                if !is_ours(kind, &stored, mark) {
                    return Err(ProviderError::new(ErrorClass::Conflict, attempted("deleting"), "it is not ours"));
                }
                let deleted = self.delete(connection, kind, identity, &stored).await;
                if let Some(needed_by) = deleted.map_err(|error| failed(attempted("deleting"), error))? {
                    let cause = format!("{needed_by} still needs it");
                    return Err(ProviderError::new(ErrorClass::Conflict, attempted("deleting"), cause));
                }
                Ok(Written::default())
            }
        }
    }

    fn validators(&self) -> &Validators {
        self.validators.get_or_init(|| {
            let all = self.catalogue.iter();
            all.filter_map(|kind| Some((kind.name, jsonschema::validator_for(kind.schema.as_value()).ok()?))).collect()
        })
    }

    async fn stored(
        &self,
        connection: &mut SqliteConnection,
        kind: &Kind,
        identity: &str,
    ) -> Result<Option<Stored>, sqlx::Error> {
        let row =
            sqlx::query("SELECT spec, mark, outputs FROM resources WHERE target = ? AND kind = ? AND identity = ?")
                .bind(&*self.target)
                .bind(kind.name)
                .bind(identity)
                .fetch_optional(connection)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let decode = |error: serde_json::Error| sqlx::Error::Decode(error.into());
        let map = |text: &str| -> Result<Map, sqlx::Error> {
            Ok(serde_json::from_str::<Value>(text).map_err(decode)?.as_map().cloned().unwrap_or_default())
        };
        let mark = match row.try_get::<Option<&str>, _>(1)? {
            Some(text) => Some(serde_json::from_str(text).map_err(decode)?),
            None => None,
        };
        Ok(Some(Stored { spec: map(row.try_get(0)?)?, mark, outputs: map(row.try_get(2)?)? }))
    }

    /// Schema, identity and references.
    async fn check(
        &self,
        connection: &mut SqliteConnection,
        kind: &Kind,
        identity: &str,
        spec: &Map,
        attempted: &str,
    ) -> Result<(), ProviderError> {
        let refuse = |class, cause: String| Err(ProviderError::new(class, attempted, cause));
        let json = Value::from(spec.clone()).to_json();
        if let Some(error) = self.validators().get(kind.name).and_then(|validator| validator.validate(&json).err()) {
            return refuse(ErrorClass::Fatal, format!("{}: {}", error.instance_path(), error.masked()));
        }
        if kind.identity_of(spec).as_deref() != Some(identity) {
            return refuse(ErrorClass::Fatal, "its spec names another resource".into());
        }
        for Reference { kind: needed, name, .. } in required(kind, spec) {
            let found: Option<i64> =
                sqlx::query_scalar("SELECT 1 FROM resources WHERE target = ? AND kind = ? AND name = ? LIMIT 1")
                    .bind(&*self.target)
                    .bind(needed)
                    .bind(&*name)
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(|error| failed(attempted, error))?;
            // What nobody manages here is taken for granted: a real target would have it.
            let managed = self.catalogue.get(needed).is_some();
            if found.is_none() && managed && !is_builtin(&name) {
                return refuse(ErrorClass::Fatal, format!("{needed} `{name}`, which it needs, does not exist"));
            }
        }
        Ok(())
    }

    /// Ids of the kind that a target would invent: always the same for the same write.
    fn invent_outputs(&self, kind: &Kind, spec: &Map, idempotency_key: &str) -> Map {
        let names = kind.outputs_of(spec).into_iter();
        names
            .map(|name| {
                let digest =
                    Sha256::digest(format!("{}\n{}\n{name}\n{idempotency_key}", self.target, kind.name).as_bytes());
                (Arc::from(&*name), Value::text(format!("sim-{}", &hex(&digest)[..12])))
            })
            .collect()
    }

    async fn store(
        &self,
        connection: &mut SqliteConnection,
        step: &Step,
        spec: &Map,
        secrets: &[String],
        outputs: &Map,
    ) -> Result<(), sqlx::Error> {
        let Step { kind, identity, mark, .. } = step;
        let mut kept = Value::from(spec.clone());
        for pointer in secrets {
            kept = kept.with_pointer(pointer, SECRET.into());
        }
        let mut kept = kept.as_map().cloned().unwrap_or_default();
        for field in kind.write_only.iter().filter_map(|pointer| pointer.strip_prefix('/')) {
            kept = kept.without(field);
        }
        let kept = (kind.normalise)(&kept);
        let text = |map: &Map| serde_json::to_string(map).map_err(|error| sqlx::Error::Encode(error.into()));
        let mark = match kind.mark {
            MarkPlace::Target | MarkPlace::TargetAfterwards => {
                Some(serde_json::to_string(mark).map_err(|error| sqlx::Error::Encode(error.into()))?)
            }
            MarkPlace::Inventory => None,
        };
        let name = kind.name_of(spec).unwrap_or_default();
        sqlx::query("INSERT OR REPLACE INTO resources (target, kind, identity, name, spec, mark, outputs) VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(&*self.target)
            .bind(kind.name)
            .bind(&**identity)
            .bind(&*name)
            .bind(text(&kept)?)
            .bind(mark)
            .bind(text(outputs)?)
            .execute(&mut *connection)
            .await?;
        if kind.references.is_empty() {
            return Ok(());
        }
        self.drop_needs(connection, kind, identity).await?;
        for Reference { kind: needed, name, .. } in required(kind, spec) {
            sqlx::query("INSERT OR IGNORE INTO needs VALUES (?, ?, ?, ?, ?)")
                .bind(&*self.target)
                .bind(kind.name)
                .bind(&**identity)
                .bind(needed)
                .bind(&*name)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    async fn drop_needs(
        &self,
        connection: &mut SqliteConnection,
        kind: &Kind,
        identity: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM needs WHERE target = ? AND kind = ? AND identity = ?")
            .bind(&*self.target)
            .bind(kind.name)
            .bind(identity)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Deletes a resource, unless another needs it: then returns that one.
    async fn delete(
        &self,
        connection: &mut SqliteConnection,
        kind: &Kind,
        identity: &str,
        stored: &Stored,
    ) -> Result<Option<String>, sqlx::Error> {
        let name = kind.name_of(&stored.spec).unwrap_or_default();
        let needed: Option<(String, String)> = sqlx::query_as(
            "SELECT kind, identity FROM needs WHERE target = ? AND needed_kind = ? AND needed_name = ? LIMIT 1",
        )
        .bind(&*self.target)
        .bind(kind.name)
        .bind(&*name)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some((kind, identity)) = needed {
            return Ok(Some(format!("{kind} `{identity}`")));
        }
        self.drop_needs(connection, kind, identity).await?;
        sqlx::query("DELETE FROM resources WHERE target = ? AND kind = ? AND identity = ?")
            .bind(&*self.target)
            .bind(kind.name)
            .bind(identity)
            .execute(connection)
            .await?;
        Ok(None)
    }
}

/// Secrets of the kind that a target would make and tell once: when a resource is made, and of an update those that are due.
fn capture(step: &Step, changed: Option<&[String]>) -> BTreeMap<Cow<'static, str>, SecretString> {
    let captures = step.kind.captures_of(step.spec());
    let due = captures.iter().filter(|capture| {
        let renewed = |changed: &[String]| changed.iter().any(|pointer| capture.is_renewed_by(pointer));
        capture.is_told(step.spec()) && changed.is_none_or(renewed)
    });
    due.map(|capture| {
        let seed = format!("{}\n{}\n{}", step.identity, capture.name, step.idempotency_key);
        (
            capture.name.clone(),
            SecretString::from(format!("simulated-{}", &hex(&Sha256::digest(seed.as_bytes()))[..32])),
        )
    })
    .collect()
}

/// Roles, schemas and virtual hosts that every server of their sort has without anybody making them.
fn is_builtin(name: &str) -> bool {
    matches!(name, "public" | "postgres" | "pg_catalog" | "information_schema" | "/" | "guest" | "")
}

fn is_ours(kind: &Kind, stored: &Stored, mark: &Mark) -> bool {
    match &stored.mark {
        Some(stored) => stored.is_same_owner(mark),
        None => kind.mark == MarkPlace::Inventory,
    }
}

/// What the target would refuse to be without.
fn required<'a>(kind: &Kind, spec: &'a Map) -> impl Iterator<Item = Reference<'a>> {
    kind.references_in(spec).into_iter().filter(|reference| reference.required)
}

/// The stored spec with the new one laid over it: maps that are owned key by key keep the keys of others.
fn merge(kind: &Kind, stored: &Map, spec: &Map) -> Map {
    let mut merged = spec.clone();
    for pointer in kind.owned_by_key {
        let Some(field) = pointer.strip_prefix('/') else { continue };
        if let (Some(Value::Map(below)), Some(Value::Map(above))) = (stored.get(field), spec.get(field)) {
            merged = merged.with(field, below.overlaid(above).into());
        }
    }
    merged
}
