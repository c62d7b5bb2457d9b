//! Writing the simulated world, by the rules that the kinds describe.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;

use super::faults::{Fault, Faults, Operation};
use super::part::{Part, Stored};
use super::world::World;
use tenantry_core::diagnostics::Severity;
use tenantry_core::diff::compare;
use tenantry_core::model::kind::{Batch, Catalogue, Kind, MarkPlace, Reference, readable_identity};
use tenantry_core::model::names::hex;
use tenantry_core::model::normal::Normal;
use tenantry_core::model::resource::{Identity, TargetName};
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
        let mut part = Part::read(&mut transaction, &self.target, batch)
            .await
            .map_err(|error| failed_at(0, failed("reading the sandbox", error)))?;
        if batch.iter().any(|step| step.is_delete() && step.kind.holds_others()) {
            let nested = self.catalogue.iter().map(|kind| &**kind).filter(|kind| kind.nesting.is_some());
            let read = part.read_nested(&mut transaction, nested).await;
            read.map_err(|error| failed_at(0, failed("reading the sandbox", error)))?;
        }
        let mut written = Vec::with_capacity(batch.len());
        let mut refused = None;
        for (index, step) in batch.iter().enumerate() {
            match self.step(&mut part, step) {
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
        let kept = part.write(&mut transaction).await;
        kept.map_err(|error| failed_at(0, failed("writing to the sandbox", error)))?;
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

impl SandboxWriter {
    pub(super) async fn seed(&self, seeds: &[(Step, Map)]) -> Result<(), ProviderError> {
        let failed = |error| failed("filling the sandbox", error);
        let Some(mut connection) = self.world.connection().await.map_err(failed)? else {
            let cause = "it was opened for reading only";
            return Err(ProviderError::new(ErrorClass::Fatal, "filling the sandbox", cause));
        };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut part = Part::read(&mut transaction, &self.target, &[]).await.map_err(failed)?;
        for (step, outputs) in seeds {
            if let StepAction::Create { spec, secrets } = &step.action {
                store(&mut part, step, &step.kind.normal(spec), secrets, outputs);
            }
        }
        part.write(&mut transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    fn step(&self, part: &mut Part<'_>, step: &Step) -> Result<Written, ProviderError> {
        let Step { kind, identity, action, mark: _, idempotency_key } = step;
        let attempted = |verb: &str| format!("{verb} {} `{identity}` in the sandbox", kind.name);
        let stored = part.stored(kind, identity).cloned();
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
                self.check(part, kind, identity, &spec, &attempted("creating"))?;
                store(part, step, &spec, secrets, &outputs);
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
                self.check(part, kind, identity, &spec, &attempted("updating"))?;
                let merged = kind.normal(&merge(kind, &stored.spec, &spec));
                let outputs = stored.outputs;
                store(part, step, &merged, secrets, &outputs);
                Ok(Written { outputs, captured: capture(step, Some(changed)), ..Written::default() })
            }
            StepAction::Delete { .. } => {
                let Some(stored) = stored else { return Ok(Written::default()) };
                if kind.mark != MarkPlace::Inventory
                    && let Err(cause) = step.check_owner(stored.mark.as_ref())
                {
                    return refused("deleting", ErrorClass::Conflict, cause);
                }
                if let Some((kind, identity)) = part.needed_by(kind, &stored.name) {
                    let cause = format!("{kind} `{identity}` still needs it");
                    return refused("deleting", ErrorClass::Conflict, cause);
                }
                // Everything below it goes with it, whoever has it.
                let place = kind.place_of(&kind.normal(&stored.spec)).filter(|_| kind.holds_others());
                let below = place.map(|place| part.below(&place)).unwrap_or_default();
                for (held, identity) in below {
                    if let Some(held) = self.catalogue.get(held) {
                        part.delete(held, &identity);
                    }
                }
                part.delete(kind, identity);
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

    /// All that the real target would look at: the form, what the kind says of it, its names, its identity, and that what it
    /// refers to is there.
    fn check(
        &self,
        part: &Part<'_>,
        kind: &Kind,
        identity: &Identity,
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
        if let Some(cause) = kind.too_long(spec) {
            return refuse(ErrorClass::Fatal, cause);
        }
        if kind.identity_of(spec).as_ref() != Some(identity) {
            return refuse(ErrorClass::Fatal, "its spec names another resource".into());
        }
        for alternatives in kind.requires(spec) {
            let mut found = false;
            for Reference { kind: needed, name, .. } in &alternatives {
                // What nobody manages here is taken for granted: a real target would have it.
                found |= self.catalogue.get(needed).is_none() || is_builtin(name) || part.has(needed, name);
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
}

fn store(part: &mut Part<'_>, step: &Step, spec: &Normal, secrets: &[String], outputs: &Map) {
    let Step { kind, identity, mark, .. } = step;
    let mark = match kind.mark {
        MarkPlace::Target | MarkPlace::TargetAfterwards | MarkPlace::TargetShared => Some(mark.clone()),
        MarkPlace::Inventory => None,
    };
    let name = kind.name_of(spec).unwrap_or_default().into_owned();
    let needs = held(kind, spec).map(|needed| (needed.kind.to_owned(), needed.name.into_owned())).collect();
    let spec = Map::clone(&kept(kind, spec, secrets));
    part.store(kind, identity, Stored { name, spec, mark, outputs: outputs.clone() }, needs);
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
