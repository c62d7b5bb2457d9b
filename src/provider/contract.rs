//! What every provider keeps.
//!
//! Flow: the engine opens a [`Reader`] per target and asks once for everything it wants to know ([`Reader::observe`]).
//! The planner compares. Only `apply` opens a [`Writer`] and hands it batches of steps. Afterwards the engine observes
//! again; an estate that was just applied must plan empty.
//!
//! Guaranteed by the engine: steps arrive in an order in which each can be done; no deferred value is left in a
//! [`StepAction`]; a step was journalled before it arrives; nothing is updated or deleted that is not owned.
//!
//! Assumed of the provider: the number of requests of `observe` depends on pages and kinds, never on the number of
//! resources; a read that failed, was denied or came back short is *unknown*, never *absent*; a write may be repeated
//! ("already exists" with our own mark and "already gone" are success); an error never holds a secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use crate::timeouts::Timeouts;
use tenantry_core::fingerprint::Fingerprint;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::{Mark, readable_scope};
use tenantry_core::model::resource::{Desired, Identity, KindObservation, Present, TargetName};
use tenantry_core::model::value::{Map, Value};
use tenantry_core::ownership;

/// The log's target for how far a step is that takes long: shown without being asked for.
pub const PROGRESS: &str = "progress";

/// A sort of target.
pub trait Provider: Send + Sync {
    /// As `provider = "…"` names it in `tenantry.toml`.
    fn name(&self) -> &'static str;

    /// The key of a tenant's `placement` that chooses among targets of this provider, such as `database`.
    fn placement_key(&self) -> &'static str;

    fn kinds(&self) -> Vec<Kind>;

    /// The most writes a second where the target's table does not say; nothing for as many as it takes.
    fn default_rate(&self) -> Option<u32> {
        None
    }

    /// JSON Schema of the provider's own settings in a target's table.
    fn settings_schema(&self) -> schemars::Schema;

    /// A connection that only reads. Opening does not connect yet: an outage shows when observing.
    ///
    /// # Errors
    /// If the settings make no sense.
    fn reader(&self, settings: &Settings) -> Result<Box<dyn Reader>, ProviderError>;

    /// A connection that writes. Never called by `plan` or `drift`.
    ///
    /// # Errors
    /// If the settings make no sense.
    fn writer(&self, settings: &Settings) -> Result<Box<dyn Writer>, ProviderError>;
}

/// A target's table in `tenantry.toml`, with `env:` and `file:` references already looked up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The target's name.
    pub target: TargetName,
    pub estate: Arc<str>,
    /// The provider's own settings, checked against its schema; values that were references are in `secrets`.
    pub values: serde_json::Map<String, serde_json::Value>,
    /// Settings that came from `env:NAME` or `file:PATH`.
    pub secrets: BTreeMap<String, SecretString>,
    /// The most connections or requests at a time.
    pub concurrency: usize,
    pub timeouts: Timeouts,
    /// The estate's folder, to which paths are relative.
    pub folder: PathBuf,
}

impl Settings {
    /// A setting as text, wherever it came from. The caller keeps it out of messages.
    pub fn text(&self, name: &str) -> Option<&str> {
        use secrecy::ExposeSecret as _;
        match self.secrets.get(name) {
            Some(secret) => Some(secret.expose_secret()),
            None => self.values.get(name).and_then(|value| value.as_str()),
        }
    }

    /// Refuses secrets that are written into `tenantry.toml` itself.
    ///
    /// # Errors
    /// In words that name the setting, and not its value.
    pub fn refuse_in_the_clear(&self, names: &[&str]) -> Result<(), String> {
        match names.iter().find(|name| self.values.contains_key(**name) && !self.secrets.contains_key(**name)) {
            Some(name) => Err(format!("`{name}` is a secret in the clear; write `env:NAME` or `file:PATH`")),
            None => Ok(()),
        }
    }
}

/// Everything that is wanted of one target, and everything that the estate is known to have there.
pub struct ObserveRequest<'a> {
    /// The estate and environment, as marks name them.
    pub estate: &'a str,
    /// Desired resources by kind, in order of address; those without an identity yet are not among them. A kind whose
    /// list is empty is asked only for what carries the estate's mark.
    pub wanted: BTreeMap<&'static str, Vec<&'a Desired>>,
    /// Identities by kind that the inventory knows and the repository no longer asks for.
    pub known: BTreeMap<&'static str, Vec<Known<'a>>>,
}

/// A resource that was applied once and is no longer asked for: its identity and the spec that was last written.
pub struct Known<'a> {
    pub identity: &'a Identity,
    pub spec: Map,
}

/// The reading half of a provider.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Reads every requested kind in bulk. An answer is expected for each kind of the request and, within it, for each
    /// wanted and known identity, and for everything else that carries this estate's mark.
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation>;

    /// Asks the target which system it is, by what stays the same as long as the system does: over a restart, a new version,
    /// and a failover where the target has something that survives one. With read-only credentials, and writing nothing.
    ///
    /// Nothing is answered where there is nothing yet that could have a fingerprint. A target that has none of its own is told
    /// apart by its address.
    ///
    /// # Errors
    /// [`ErrorClass::Denied`] if the credentials do not suffice: then it is not known who the target is, and what is there may
    /// still be read. After any other error nothing of the target is relied on.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError>;

    /// Tells whether the target answers and what it is, for `doctor`: product and version in one line.
    ///
    /// # Errors
    /// If it does not.
    async fn probe(&self) -> Result<String, ProviderError>;
}

/// Whether the run still holds the lock of the owner that it writes for.
///
/// A process may be stopped at any moment, and go on when its lock has long been another run's. What it wrote until then
/// and did not commit must not become true any more.
///
/// Asked right before a transaction is committed; where each request is true at once, right before a request that writes,
/// the last one included. Between the answer and the commit the process may be stopped as well: so a target that can is
/// told to end a transaction or a session in which nothing happens for [`Self::grace`]. Then a commit that comes too late
/// finds nothing to commit.
#[async_trait]
pub trait CommitGuard: Send + Sync {
    /// How long an answer of [`Self::check`] is good for, counted from the question.
    fn grace(&self) -> Duration;

    /// # Errors
    /// If another run may write for the owner, or may do so before [`Self::grace`] is over.
    async fn check(&self) -> Result<(), LeaseLost>;
}

/// The lock is another run's, or soon may be. Nothing may be written any more.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nothing was written: {0}")]
pub struct LeaseLost(pub String);

impl LeaseLost {
    /// The failure of a step that was not written for it.
    pub fn of_step(self, step: usize, done: Vec<Written>, attempted: impl Into<String>) -> WriteError {
        WriteError { step, done, error: ProviderError::new(ErrorClass::Fatal, attempted, self) }
    }
}

/// The writing half of a provider.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Writes the steps in their order, as many as their kinds' [`Batch`](tenantry_core::model::kind::Batch) allows: all or
    /// nothing of a transaction; of a sequence, where each step stands for itself, up to the first that fails; or one.
    ///
    /// Nothing becomes true that `guard` was not asked about before.
    ///
    /// # Errors
    /// With the index of the step that failed. Of a transaction, nothing was done; of a sequence, what came before.
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError>;

    /// Proves, as far as the target can tell without keeping anything, that it would take the resource which `step` creates
    /// in the place of one that is deleted first. Asked before the old one goes; not asked of a transaction, which keeps the
    /// old one where the new one is refused.
    ///
    /// # Errors
    /// If the target would refuse it. A target that cannot tell proves nothing and says `Ok`.
    async fn prove(&self, step: &Step) -> Result<(), ProviderError> {
        let _ = step;
        Ok(())
    }
}

/// One thing to do in a target.
#[derive(Clone, Debug)]
pub struct Step {
    pub kind: Arc<Kind>,
    pub identity: Identity,
    pub action: StepAction,
    /// The mark that the resource carries afterwards; of a deletion, the one it must carry now.
    pub mark: Mark,
    /// Derived from estate, address and generation: the same for every repetition of this very write.
    pub idempotency_key: Arc<str>,
}

/// What a [`Step`] does.
#[derive(Clone, Debug)]
pub enum StepAction {
    /// `spec` has all values in the clear. `secrets` are the pointers of those that are secret.
    Create { spec: Map, secrets: Vec<String> },
    /// `before` is what was observed, `applied` what was last written, with secrets as the texts that stand for them;
    /// nothing if that is not on record. `changed` are the pointers that differ, `removed` those that were applied once and
    /// are no longer asked for.
    Update {
        spec: Map,
        before: Present,
        applied: Option<Map>,
        changed: Vec<String>,
        removed: Vec<String>,
        secrets: Vec<String>,
    },
    /// `before` is what was observed.
    Delete { before: Present },
}

impl Step {
    /// The spec that the step is about.
    pub fn spec(&self) -> &Map {
        match &self.action {
            StepAction::Create { spec, .. } | StepAction::Update { spec, .. } => spec,
            StepAction::Delete { before } => &before.spec,
        }
    }

    pub fn is_delete(&self) -> bool {
        matches!(self.action, StepAction::Delete { .. })
    }

    /// What the step does, for messages.
    pub fn verb(&self) -> &'static str {
        match self.action {
            StepAction::Create { .. } => "creating",
            StepAction::Update { .. } => "updating",
            StepAction::Delete { .. } => "deleting",
        }
    }

    /// Such as `creating acl user "acme"`, for [`ProviderError::attempted`].
    pub fn attempted(&self, name: &str) -> String {
        let noun = self.kind.name.rsplit('.').next().unwrap_or(self.kind.name).replace('_', " ");
        format!("{} {noun} \"{name}\"", self.verb())
    }

    /// Whether the step may change a resource that exists and carries `current`.
    pub fn may_change(&self, current: Option<&Mark>) -> bool {
        let seen = match &self.action {
            StepAction::Create { .. } | StepAction::Delete { .. } => None,
            StepAction::Update { before, .. } => Some(before.mark.as_ref()),
        };
        ownership::may_change(&self.mark, seen, current)
    }

    /// [`Self::may_change`] with a reason.
    ///
    /// # Errors
    /// The cause of a conflict, which says whose the resource is.
    pub fn check_owner(&self, current: Option<&Mark>) -> Result<(), String> {
        if self.may_change(current) {
            return Ok(());
        }
        Err(match current {
            Some(mark) => format!("it carries the mark of {} of {}", mark.address, readable_scope(&mark.estate)),
            None => "it exists and carries no mark".to_owned(),
        })
    }

    /// The values of the secrets in the spec, for [`ProviderError::mask`].
    pub fn secret_values(&self) -> Vec<Arc<str>> {
        let (StepAction::Create { spec, secrets } | StepAction::Update { spec, secrets, .. }) = &self.action else {
            return Vec::new();
        };
        let spec = Value::from(spec.clone());
        secrets.iter().filter_map(|pointer| Some(spec.pointer(pointer)?.as_str()?.into())).collect()
    }
}

/// Why the user of a target's own credentials is left alone, as the reason of an unknown and of a refused write.
pub const OWN_USER: &str = "Tenantry logs in as this user; a change could lock it out";

/// What the target told of a finished step.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub outputs: Map,
    /// Secrets that it made, by the names of [`Kind::captures_of`]: kept in the secret store before anything else is written.
    pub captured: BTreeMap<Cow<'static, str>, SecretString>,
    /// What it said beside success, such as `WARNING: …`: in its own words, and without secrets. What the provider's own
    /// statements make a server say without need is avoided: a write of which there is nothing to say has none.
    pub notices: Vec<String>,
}

/// A failed batch.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct WriteError {
    /// Index in the batch of the step that failed. Those before it were done, unless the batch is a transaction.
    pub step: usize,
    /// What the target told of the steps before it. Empty if the batch is a transaction.
    pub done: Vec<Written>,
    #[source]
    pub error: ProviderError,
}

/// A failed request to a target.
///
/// The message says what was attempted; the source says why, with the server's own text; secrets stand in neither.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}: {cause}")]
pub struct ProviderError {
    pub class: ErrorClass,
    /// Such as `creating schema "tenant_acme"`.
    pub attempted: String,
    /// The server's own words, masked.
    pub cause: String,
    /// What the user can do about it, where that is known.
    pub remedy: Option<Box<str>>,
    /// Whether it may have been carried out all the same, whatever its class: then what is there may be ours.
    pub is_in_doubt: bool,
}

/// What a failed request means for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same request may succeed later: an outage, a timeout, a serialization failure.
    Retryable,
    /// The target asks to slow down, and perhaps for how long.
    Throttled { retry_after: Option<Duration> },
    /// Credentials or privileges do not suffice.
    Denied,
    /// Somebody else's resource, or somebody else's change, stands in the way.
    Conflict,
    /// Repeating it is of no use.
    Fatal,
}

impl ErrorClass {
    /// Whether the same request may be tried again.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Retryable | Self::Throttled { .. })
    }
}

impl ProviderError {
    pub fn new(class: ErrorClass, attempted: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self { class, attempted: attempted.into(), cause: cause.to_string(), remedy: None, is_in_doubt: false }
    }

    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into().into());
        self
    }
    /// Takes values out of the server's words, should it have quoted one: as they are, as JSON escapes them, and in base64.
    pub fn mask(&mut self, values: impl IntoIterator<Item = Arc<str>>) {
        self.cause = masked(&self.cause, values);
    }
}

/// A text without the values of secrets, as [`ProviderError::mask`] takes them out.
pub fn masked(text: &str, values: impl IntoIterator<Item = Arc<str>>) -> String {
    let mut values: Vec<_> = values.into_iter().filter(|value| !value.is_empty()).collect();
    // The longest first: one may be a part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let mut text = text.to_owned();
    for value in values {
        let quoted = serde_json::Value::from(&*value).to_string();
        for form in [&*value, &STANDARD.encode(&*value), &quoted[1..quoted.len() - 1]] {
            text = text.replace(form, "(secret)");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_configuration_itself_is_refused_and_not_repeated() {
        let mut settings = Settings {
            target: "main".into(),
            estate: "shop".into(),
            values: serde_json::json!({"token": "hunter2"}).as_object().cloned().unwrap_or_default(),
            secrets: BTreeMap::new(),
            concurrency: 1,
            timeouts: Timeouts::default(),
            folder: PathBuf::new(),
        };
        let refused = settings.refuse_in_the_clear(&["password", "token"]).expect_err("it stands in the clear");
        assert!(refused.contains("`token`") && !refused.contains("hunter2"), "{refused}");
        settings.secrets.insert("token".to_owned(), "hunter2".into());
        assert_eq!(settings.refuse_in_the_clear(&["password", "token"]), Ok(()));
    }

    #[test]
    fn an_error_is_masked_in_every_form_and_the_longest_value_first() {
        let cause = r#"hunter2 hunter2-and-more aHVudGVyMg== "a\nb\"" fine"#;
        let mut error = ProviderError::new(ErrorClass::Fatal, "creating role \"a\"", cause);
        error.mask(["hunter2", "", "a\nb\"", "hunter2-and-more"].map(Into::into));
        assert_eq!(error.cause, r#"(secret) (secret) (secret) "(secret)" fine"#);
    }
}
