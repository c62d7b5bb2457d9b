//! Failures of commands: their messages, remedies and exit codes.

use std::fmt::Display;
use std::process::ExitCode;

use tenantry_core::diagnostics::{Diagnostic, SourceFiles, nearest};
use tenantry_core::plan::json::InvalidPlan;
use tenantry_engine::EngineError;
use tenantry_engine::observe::describe;
use tenantry_secret::contract::SecretStoreError;
use tenantry_store::contract::StoreError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Error = 1,
    Changes = 2,
    Refused = 3,
    Stale = 4,
    Partly = 5,
    /// As `sysexits.h` has it (EX_USAGE).
    Usage = 64,
}

impl Exit {
    /// Every one, in order.
    pub const ALL: [Self; 7] =
        [Self::Done, Self::Error, Self::Changes, Self::Refused, Self::Stale, Self::Partly, Self::Usage];

    /// When a command ends so, for the page of exit codes.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or nothing to do",
            Self::Error => {
                "an error in the estate, or a failure; also a plan that was not approved at the prompt, an event that cannot be \
                 used, and `drift --accept` that could accept nothing"
            }
            Self::Changes => "`plan --detailed-exitcode` found changes, or `drift` found drift",
            Self::Refused => {
                "a guard refuses the plan, or a target is [another system](../connections.md#which-system-it-is) than was \
                 accepted; the signature of an `event` is missing or wrong; nothing was written"
            }
            Self::Stale => {
                "the saved plan is stale, a target became another system after the plan was made, the journal that it was made \
                 with lost its end, or a lock is held by another run"
            }
            Self::Partly => {
                "partly done: something failed, was interrupted, is blocked, could not be read, or was left out of an import; \
                 `drift --accept` left some fields"
            }
            Self::Usage => {
                "usage: an option, an environment, a name or a selection that does not exist. The message offers the name that \
                 was probably meant"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    /// Further lines of the message.
    pub details: Vec<String>,
    pub help: Option<String>,
    /// Problems of the estate, which are shown instead of the message.
    pub diagnostics: Option<(Vec<Diagnostic>, SourceFiles)>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: Vec::new(), help: None, diagnostics: None }
    }

    pub fn io(attempted: impl Display, error: &std::io::Error) -> Self {
        Self::new(Exit::Error, format!("{attempted}: {error}"))
    }

    pub fn diagnostics(diagnostics: Vec<Diagnostic>, files: SourceFiles) -> Self {
        let errors = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == tenantry_core::diagnostics::Severity::Error)
            .count();
        let message = match errors {
            1 => "the estate has 1 error".to_owned(),
            errors => format!("the estate has {errors} errors"),
        };
        Self { diagnostics: Some((diagnostics, files)), ..Self::new(Exit::Error, message) }
    }

    /// Somebody named something that does not exist. Offers the name that was probably meant, and `otherwise` if none is near.
    pub fn unknown<'k>(
        message: impl Into<String>,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
        otherwise: impl Into<String>,
    ) -> Self {
        let help = match nearest(name, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => otherwise.into(),
        };
        Self::new(Exit::Usage, message).help(help)
    }

    #[must_use]
    pub fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details = details.into_iter().collect();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Locked(lock) => Self::new(Exit::Stale, message).help(format!(
                "wait for the other run; if it died, its locks expire by themselves; `tenantry unlock {} --force` removes them at once",
                lock.owner
            )),
            StoreError::OtherScope { .. } => {
                Self::new(Exit::Error, message).help("choose the environment with `--env` and the estate with `-C`")
            }
            StoreError::NotEmpty { .. } => Self::new(Exit::Error, message)
                .help("import into a store without records of this estate and environment: an empty database, or a new file"),
            StoreError::Unattributed { environments, .. } => {
                let named: Vec<String> = environments.iter().map(ToString::to_string).collect();
                Self::new(Exit::Error, message).help(format!(
                    "its journal names {}; delete that row from the store's tables if nothing depends on it, or restore a \
                     backup of the store, and run the command again",
                    named.join(", and ")
                ))
            }
            StoreError::Export { .. } => {
                Self::new(Exit::Error, message).help("use a complete file that `tenantry store export FILE` wrote")
            }
            StoreError::LeaseLost(_) => {
                Self::new(Exit::Stale, message).help("run the command again; it continues where this one stopped")
            }
            StoreError::Newer { .. } => {
                Self::new(Exit::Error, message).help("use the version of Tenantry that wrote the store, or a later one")
            }
            StoreError::Full { .. } => Self::new(Exit::Error, message)
                .help("free some space and run the command again; it continues where this one stopped"),
            StoreError::Tampered { .. } => {
                Self::new(Exit::Error, message).help("compare the store with a backup before you apply anything")
            }
            StoreError::Failed { .. } => Self::new(Exit::Error, message),
        }
    }
}

impl From<SecretStoreError> for Failure {
    fn from(error: SecretStoreError) -> Self {
        Self::new(Exit::Error, error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let message = describe(&error);
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::Secrets(error) => error.into(),
            EngineError::Target { source, .. } => {
                let failure = Self::new(Exit::Error, message);
                match source.remedy {
                    Some(remedy) => failure.help(remedy),
                    None => failure,
                }
            }
            EngineError::Refused => Self::new(Exit::Refused, message)
                .help("add an Approval to the repository for what the guard refuses; nothing was written"),
            EngineError::SecretsUnread => Self::new(Exit::Refused, message)
                .help("plan again where the identity that opens the secret store is at hand; nothing was written"),
            EngineError::MadeForLater { .. } => Self::new(Exit::Refused, message)
                .help("plan again without `--now`, or rehearse with `--sandbox`; nothing was written"),
            EngineError::OtherEstate { .. } => Self::new(Exit::Error, message)
                .help("apply the plan to the estate and environment that it was made for"),
            EngineError::OtherJournal { .. } => Self::new(Exit::Stale, message).help(
                "the end of the journal was cut off, or the store was exchanged; check it with `tenantry history --verify`, and plan again",
            ),
            EngineError::OtherSystem(other) => Self::new(Exit::Stale, message).help(format!(
                "nothing was written; plan again. If the target is meant to be this system from now on, run `tenantry target accept {}` first",
                other.target
            )),
            EngineError::ApprovalExpired { .. } => {
                Self::new(Exit::Refused, message).help("renew the Approval and plan again")
            }
            EngineError::Setting { .. } => Self::new(Exit::Error, message),
        }
    }
}

impl From<InvalidPlan> for Failure {
    fn from(error: InvalidPlan) -> Self {
        Self::new(Exit::Error, format!("the plan cannot be used: {error}"))
            .help("make a new plan with `tenantry plan --out FILE`")
    }
}
