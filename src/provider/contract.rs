//! The contract of every provider.
//!
//! Flow: the engine opens a [`Reader`] for each target and reads everything that it needs in one call ([`Reader::observe`]).
//! The planner compares. Only `apply` opens a [`Writer`] and passes it batches of steps. Afterwards the engine observes again;
//! the plan of an estate that was just applied must be empty.
//!
//! Guaranteed by the engine: steps arrive in an order in which each can be done; a [`StepAction`] contains no deferred value; a
//! step is journalled before it arrives; only owned resources are updated or deleted.
//!
//! Required of the provider: the number of requests of `observe` depends on pages and kinds, never on the number of resources;
//! a resource whose read failed, was denied or was incomplete is *unknown*, never *absent*; a write may be repeated ("already
//! exists" with our own mark and "already gone" are success); an error never contains a secret.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
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
use tenantry_core::model::resource::{Applied, Desired, Identity, KindObservation, Present, TargetName};
use tenantry_core::model::value::{Map, Value};
use tenantry_core::ownership;
use tenantry_core::rules::RuleSet;

/// The log target for the progress of long steps, which is shown by default.
pub const PROGRESS: &str = "progress";

/// A type of target, such as a PostgreSQL server.
pub trait Provider: Send + Sync {
    /// As `provider = "…"` names it in `tenantry.toml`.
    fn name(&self) -> &'static str;

    /// The key of a tenant's `placement` that chooses among targets of this provider, such as `database`.
    fn placement_key(&self) -> &'static str;

    fn kinds(&self) -> Vec<Kind>;

    /// Rules for the resources of its kinds, which `validate` and `plan` check; `None` if it has none.
    fn rules(&self) -> Option<RuleSet> {
        None
    }

    /// The maximum number of writes per second, unless the target's table sets it; `None` for no limit.
    fn default_rate(&self) -> Option<u32> {
        None
    }

    /// JSON Schema of the provider's own settings in a target's table.
    fn settings_schema(&self) -> schemars::Schema;

    /// A connection that only reads. Opening it does not connect yet: an outage shows in the first read.
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
    /// The maximum number of concurrent connections or requests.
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

/// What to read from one target: the desired resources, and the recorded ones that are no longer desired.
pub struct ObserveRequest<'a> {
    /// The estate and environment, as marks name them.
    pub estate: &'a str,
    /// Desired resources by kind, in order of address, without those that have no identity yet. For a kind with an empty list,
    /// only resources with the estate's mark are read.
    pub wanted: BTreeMap<&'static str, Vec<&'a Desired>>,
    /// Identities by kind that are in the inventory but no longer in the repository.
    pub known: BTreeMap<&'static str, Vec<Known<'a>>>,
    /// The records of desired resources: what was last written, by kind and identity. For a provider that has to tell its own
    /// part of a resource from what somebody put in its place.
    pub recorded: HashMap<(&'static str, &'a Identity), &'a Applied>,
}

/// What a plan creates or replaces in one target, to be tried without storing anything.
pub struct TrialRequest<'a> {
    /// The estate and environment, as marks name them.
    pub estate: &'a str,
    pub trials: Vec<Trial<'a>>,
    /// Every resource of the target that the plan creates, updates or replaces. What depends on one of them cannot be tried yet.
    pub changing: Vec<&'a Desired>,
}

/// A resource that a plan creates or replaces.
pub struct Trial<'a> {
    /// Without a deferred value.
    pub desired: &'a Desired,
    /// Whether an existing resource of its identity is deleted first.
    pub replaces: bool,
}

/// A resource that was applied and is no longer desired: its identity and the spec that was last written.
pub struct Known<'a> {
    pub identity: &'a Identity,
    pub spec: Map,
}

/// The reading half of a provider.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Reads every requested kind in bulk. The result must have an entry for each kind of the request and, within it, for each
    /// desired and known identity, and for every other resource that carries this estate's mark.
    async fn observe(&self, request: &ObserveRequest<'_>) -> BTreeMap<&'static str, KindObservation>;

    /// Asks the target which of the changes of a plan it would refuse, as far as it can tell without storing anything. Returns the
    /// index of each such trial with the target's own words, in one sentence. What cannot be told, because the user may only read or
    /// because something it needs is made in the same run, is not refused.
    ///
    /// Not bulk: it is called once for each plan, with what the plan creates or replaces. Updates are told by
    /// [`Present::refused`].
    async fn refusals(&self, request: &TrialRequest<'_>) -> Vec<(usize, Arc<str>)> {
        let _ = request;
        Vec::new()
    }

    /// Reads the fingerprint of the target: a value that identifies the system and stays the same over a restart, an upgrade
    /// and, if possible, a failover. Uses read-only credentials and writes nothing.
    ///
    /// `None` if the system does not exist yet, such as a file. For a target without an id of its own, the fingerprint is its
    /// address.
    ///
    /// # Errors
    /// [`ErrorClass::Denied`] if the credentials do not suffice: then the system is not known, but resources may still be read.
    /// After any other error, everything read from the target counts as unknown.
    async fn identify(&self) -> Result<Option<Fingerprint>, ProviderError>;

    /// Checks whether the target answers, for `doctor`. Returns product and version in one line.
    ///
    /// # Errors
    /// If it does not.
    async fn probe(&self) -> Result<String, ProviderError>;
}

/// Checks that the run still holds the lock of the owner that it writes for.
///
/// A process may be suspended at any moment and resumed after another run has taken its lock. Then it must not commit what it
/// has written.
///
/// Called right before a transaction is committed, or, without transactions, right before every request that writes. The
/// process may also be suspended between this check and the commit: so a target that supports it is told to end a transaction
/// or session that is idle for [`Self::grace`]. Then a late commit has no effect.
#[async_trait]
pub trait CommitGuard: Send + Sync {
    /// How long a result of [`Self::check`] is valid, from the time of the call.
    fn grace(&self) -> Duration;

    /// # Errors
    /// If another run may write for the owner, or could do so before [`Self::grace`] is over.
    async fn check(&self) -> Result<(), LeaseLost>;
}

/// Another run has the lock, or may soon have it. Nothing may be written any more.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nothing was written: {0}")]
pub struct LeaseLost(pub String);

impl LeaseLost {
    /// The failure of a step that was not written because of this.
    pub fn of_step(self, step: usize, done: Vec<Written>, attempted: impl Into<String>) -> WriteError {
        WriteError { step, done, error: ProviderError::new(ErrorClass::Fatal, attempted, self) }
    }
}

/// The writing half of a provider.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Writes the steps of one batch in order. What a batch is depends on the [`Batch`](tenantry_core::model::kind::Batch) of
    /// the kinds: a transaction, which is written as a whole or not at all; a sequence, which is written up to the first step
    /// that fails; or a single step.
    ///
    /// `guard` must be checked before anything is committed.
    ///
    /// # Errors
    /// With the index of the step that failed. In a transaction nothing was done; in a sequence, the steps before it were done.
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError>;

    /// Checks, as far as the target can without storing anything, that it would accept the resource that `step` creates as the
    /// replacement of one that is deleted first. Called before the old resource is deleted; not called for a transaction, which
    /// keeps the old resource if the new one is refused.
    ///
    /// # Errors
    /// If the target would refuse it. A target that cannot check this returns `Ok`.
    async fn prove(&self, step: &Step) -> Result<(), ProviderError> {
        let _ = step;
        Ok(())
    }
}

/// One write to a target.
#[derive(Clone, Debug)]
pub struct Step {
    pub kind: Arc<Kind>,
    pub identity: Identity,
    pub action: StepAction,
    /// The mark that the resource carries afterwards; for a deletion, the mark that it must carry now.
    pub mark: Mark,
    /// Derived from estate, address and generation: the same for every repetition of this write.
    pub idempotency_key: Arc<str>,
}

/// What a [`Step`] does.
#[derive(Clone, Debug)]
pub enum StepAction {
    /// `spec` has all values in the clear. `secrets` are the pointers of the secret ones.
    Create { spec: Map, secrets: Vec<String> },
    /// `before` is the observed state, `applied` the spec that was last written, with references in place of secrets; `None` if
    /// that is not recorded. `changed` are the pointers that differ, `removed` those that were applied and are no longer
    /// desired.
    Update {
        spec: Map,
        before: Present,
        applied: Option<Map>,
        changed: Vec<String>,
        removed: Vec<String>,
        secrets: Vec<String>,
    },
    /// `before` is the observed state.
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
    /// The cause of a conflict, which says who owns the resource.
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

/// Why the user of a target's own credentials is not managed: the reason of the unknown state and of the refused write.
pub const OWN_USER: &str = "Tenantry logs in as this user; a change could lock it out";

/// What the target returned for a finished step.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub outputs: Map,
    /// One-time secrets, by the names of [`Kind::captures_of`]: stored in the secret store before anything else is written.
    pub captured: BTreeMap<Cow<'static, str>, SecretString>,
    /// Warnings of the target, such as `WARNING: …`, in its own words and without secrets. The provider's own statements must
    /// not cause any, so a write without a problem has none.
    pub notices: Vec<String>,
}

/// A failed batch.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct WriteError {
    /// Index in the batch of the step that failed. Those before it were done, unless the batch is a transaction.
    pub step: usize,
    /// What the target returned for the steps before it. Empty if the batch is a transaction.
    pub done: Vec<Written>,
    #[source]
    pub error: ProviderError,
}

/// A failed request to a target.
///
/// The message says what was attempted; the source says why, with the server's own text. Neither contains a secret.
#[derive(Debug, thiserror::Error)]
#[error("{attempted}: {cause}")]
pub struct ProviderError {
    pub class: ErrorClass,
    /// Such as `creating schema "tenant_acme"`.
    pub attempted: String,
    /// The server's own words, masked.
    pub cause: String,
    /// What the user can do about it, if that is known.
    pub remedy: Option<Box<str>>,
    /// Whether the request may have been carried out in spite of the error: then an existing resource may be ours.
    pub is_in_doubt: bool,
}

/// What a failed request means for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same request may succeed later: an outage, a timeout, a serialization failure.
    Retryable,
    /// The target asks to slow down, possibly with a time to wait.
    Throttled { retry_after: Option<Duration> },
    /// Credentials or privileges do not suffice.
    Denied,
    /// Somebody else's resource or change prevents the write.
    Conflict,
    /// Repeating the request cannot help.
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
    /// Masks secret values in the server's text: as they are, with JSON escapes, and in base64.
    pub fn mask(&mut self, values: impl IntoIterator<Item = Arc<str>>) {
        self.cause = masked(&self.cause, values);
    }
}

/// A text with the values of secrets masked, as by [`ProviderError::mask`].
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
