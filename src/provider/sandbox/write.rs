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
use tenantry_core::diagnostics::Severity;
use tenantry_core::diff::compare;
use tenantry_core::model::kind::{Batch, Catalogue, Kind, MarkPlace, Reference, at, readable_identity};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::names::hex;
use tenantry_core::model::normal::Normal;
use tenantry_core::model::resource::TargetName;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{
    CommitGuard, ErrorClass, ProviderError, Step, StepAction, WriteError, Writer, Written,
};

/// Stands in the world where a secret would.
const SECRET: &str = "(secret)";

/// Writes one target's part of the world.
pub struct SandboxWriter {
    pub(super) world: World,
    pub(super) target: TargetName,
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
        let failed_at = |step: usize, error| WriteError { step, done: Vec::new(), error };
        let connection =
            self.world.connection().await.map_err(|error| failed_at(0, failed("opening the sandbox", error)))?;
        let Some(mut connection) = connection else {
            return Err(fail(ErrorClass::Fatal, "it was opened for reading only"));
        };
        let mut transaction = connection
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|error| failed_at(0, failed("beginning a transaction in the sandbox", error)))?;
        let mut written = Vec::with_capacity(batch.len());
        let mut refused = None;
        for (index, step) in batch.iter().enumerate() {
            match self.step(&mut transaction, step).await {
                Ok(done) => written.push(done),
                Err(mut error) => {
                    error.mask(step.secret_values());
                    // Of a sequence, what came before stays.
                    if step.kind.batch != Batch::Sequence {
                        return Err(failed_at(index, error));
                    }
                    refused = Some((index, error));
                    break;
                }
            }
        }
        if let Err(lost) = guard.check().await {
            let attempted = format!("writing to the sandbox target `{}`", self.target);
            return Err(lost.of_step(batch.len().saturating_sub(1), Vec::new(), attempted));
        }
        transaction.commit().await.map_err(|error| failed_at(0, failed("committing to the sandbox", error)))?;
        match (fault, refused) {
            (Fault::LoseAnswer(class, reason), _) => Err(fail(class, &reason)),
            (_, Some((step, error))) => Err(WriteError { step, done: written, error }),
            (_, None) => Ok(written),
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
        let Step { kind, identity, action, mark: _, idempotency_key } = step;
        let attempted = |verb: &str| format!("{verb} {} `{identity}` in the sandbox", kind.name);
        let stored =
            self.stored(connection, kind, identity).await.map_err(|error| failed(attempted("reading"), error))?;
        let refused = |verb: &str, class, cause: String| Err(ProviderError::new(class, attempted(verb), cause));
        match action {
            StepAction::Create { spec, secrets } => {
                let spec = kind.normal(spec);
                let outputs = match &stored {
                    Some(stored) => match stands_in_the_way(step, &spec, secrets, stored) {
                        Some(cause) => return refused("creating", ErrorClass::Conflict, cause),
                        None => stored.outputs.clone(),
                    },
                    None => self.invent_outputs(kind, &spec, idempotency_key),
                };
                self.check(connection, kind, identity, &spec, &attempted("creating")).await?;
                self.store(connection, step, &spec, secrets, &outputs)
                    .await
                    .map_err(|error| failed(attempted("creating"), error))?;
                let captured = if stored.is_none() { capture(step, None) } else { BTreeMap::new() };
                Ok(Written { outputs, captured, ..Written::default() })
            }
            StepAction::Update { spec, before: _, applied: _, changed, removed: _, secrets } => {
                let Some(stored) = stored else {
                    return refused("updating", ErrorClass::Conflict, "it does not exist".to_owned());
                };
                if let Err(cause) = step.check_owner(stored.mark.as_ref()) {
                    return refused("updating", ErrorClass::Conflict, cause);
                }
                let spec = kind.normal(spec);
                // What its product has made of it stays.
                if kind.leaves_alone(&spec) {
                    return Ok(Written { outputs: stored.outputs, ..Written::default() });
                }
                let differences = compare(kind, &kept(kind, &spec, secrets), &stored.spec, None);
                let mut pointers =
                    changed.iter().map(String::as_str).chain(differences.iter().map(|one| &*one.pointer));
                if let Some(pointer) = pointers.find(|pointer| kind.is_immutable(&spec, pointer)) {
                    return refused("updating", ErrorClass::Fatal, format!("{pointer} cannot change"));
                }
                self.check(connection, kind, identity, &spec, &attempted("updating")).await?;
                let merged = kind.normal(&merge(kind, &stored.spec, &spec));
                let outputs = stored.outputs;
                self.store(connection, step, &merged, secrets, &outputs)
                    .await
                    .map_err(|error| failed(attempted("updating"), error))?;
                Ok(Written { outputs, captured: capture(step, Some(changed)), ..Written::default() })
            }
            StepAction::Delete { .. } => {
                let Some(stored) = stored else { return Ok(Written::default()) };
                if kind.mark != MarkPlace::Inventory
                    && let Err(cause) = step.check_owner(stored.mark.as_ref())
                {
                    return refused("deleting", ErrorClass::Conflict, cause);
                }
                let deleted = self.delete(connection, kind, identity, &stored).await;
                match deleted.map_err(|error| failed(attempted("deleting"), error))? {
                    Some(needed_by) => refused("deleting", ErrorClass::Conflict, format!("{needed_by} still needs it")),
                    None => Ok(Written::default()),
                }
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

    /// All that the real target would look at: the form, what the kind says of it, its names, its identity, and that what it
    /// refers to is there.
    async fn check(
        &self,
        connection: &mut SqliteConnection,
        kind: &Kind,
        identity: &str,
        spec: &Normal,
        attempted: &str,
    ) -> Result<(), ProviderError> {
        let refuse = |class, cause: String| Err(ProviderError::new(class, attempted, cause));
        let json = spec.value().to_json();
        if let Some(error) = self.validators().get(kind.name).and_then(|validator| validator.validate(&json).err()) {
            return refuse(ErrorClass::Fatal, format!("{}: {}", error.instance_path(), error.masked()));
        }
        let mut problems = (kind.check)(spec).into_iter();
        if let Some(problem) = problems.find(|problem| problem.severity == Severity::Error) {
            return refuse(ErrorClass::Fatal, format!("{}: {}", problem.pointer, problem.message));
        }
        for limit in kind.name_limits {
            let name = at(spec, limit.pointer).and_then(Value::as_str).unwrap_or_default();
            if name.len() > limit.bytes {
                let cause =
                    format!("{} has {} bytes, but {} takes {}", limit.pointer, name.len(), limit.source, limit.bytes);
                return refuse(ErrorClass::Fatal, cause);
            }
        }
        if kind.identity_of(spec).as_deref() != Some(identity) {
            return refuse(ErrorClass::Fatal, "its spec names another resource".into());
        }
        for alternatives in kind.requires(spec) {
            let mut found = false;
            for Reference { kind: needed, name, .. } in &alternatives {
                // What nobody manages here is taken for granted: a real target would have it.
                found |= self.catalogue.get(needed).is_none()
                    || is_builtin(name)
                    || sqlx::query_scalar::<_, i64>(
                        "SELECT 1 FROM resources WHERE target = ? AND kind = ? AND name = ? LIMIT 1",
                    )
                    .bind(&*self.target)
                    .bind(needed)
                    .bind(&**name)
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(|error| failed(attempted, error))?
                    .is_some();
            }
            if let Some(missing) = alternatives.first().filter(|_| !found) {
                let name = readable_identity(&missing.name);
                return refuse(ErrorClass::Fatal, format!("{} `{name}`, which it needs, does not exist", missing.kind));
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
        spec: &Normal,
        secrets: &[String],
        outputs: &Map,
    ) -> Result<(), sqlx::Error> {
        let Step { kind, identity, mark, .. } = step;
        let kept = kept(kind, spec, secrets);
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
        for Reference { kind: needed, name, .. } in held(kind, spec) {
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
        let spec = kind.normal(&stored.spec);
        let name = kind.name_of(&spec).unwrap_or_default();
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

/// Roles, schemas, databases, virtual hosts and exchanges that every server of their sort has without anybody making them.
fn is_builtin(name: &str) -> bool {
    let of_server =
        ["public", "postgres", "information_schema", "/", "guest", "", "mysql", "performance_schema", "sys"];
    of_server.contains(&name) || name.starts_with("pg_") || name.starts_with("amq.")
}

/// Why something that exists keeps a resource from being made; nothing if it is what an earlier attempt has made.
fn stands_in_the_way(step: &Step, spec: &Normal, secrets: &[String], stored: &Stored) -> Option<String> {
    if step.kind.mark != MarkPlace::Inventory {
        return step.check_owner(stored.mark.as_ref()).err();
    }
    // Without a mark, what is there as it is wanted may be what an earlier attempt made.
    let wanted = kept(&step.kind, spec, secrets);
    let differences = compare(&step.kind, &wanted, &stored.spec, Some(&wanted));
    differences.first().map(|first| format!("it exists already, and {} differs", first.pointer))
}

/// What the world keeps of a spec: no secret, and nothing that the target would not give back.
fn kept(kind: &Kind, spec: &Normal, secrets: &[String]) -> Normal {
    let kept = secrets.iter().fold(spec.value(), |kept, pointer| kept.with_pointer(pointer, SECRET.into()));
    let fields = kind.write_only.iter().filter_map(|pointer| pointer.strip_prefix('/'));
    kind.normal(&fields.fold(kept.as_map().cloned().unwrap_or_default(), |kept, field| kept.without(field)))
}

/// What is not deleted while the resource is there.
fn held<'a>(kind: &Kind, spec: &'a Normal) -> impl Iterator<Item = Reference<'a>> {
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
