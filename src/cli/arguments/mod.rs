//! The command line: commands, arguments and options.

mod edits;
mod import;
mod policy;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

pub use self::edits::{Edit, EditInto, Event, New};
pub use self::import::Import;
#[cfg(feature = "kubernetes")]
pub use self::import::{ImportFrom, ImportInto, ImportKubernetes, ImportManifests};
pub use self::policy::Policy;

use super::complete;
use super::error::{Exit, Failure};

/// Plans and applies the tenants of a SaaS product from versioned YAML.
///
/// Compares what a tenants repository asks for with what exists, shows a plan, and applies it idempotently.
#[derive(Debug, Parser)]
#[command(name = "tenantry", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done or nothing to do · 1 error · 2 changes (plan --detailed-exitcode) or drift · \
3 refused by a guard · 4 stale plan or lock held · 5 partly done or blocked · 64 usage";

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Folder of the estate.
    #[arg(
        short = 'C',
        long = "estate",
        value_name = "DIR",
        default_value = ".",
        global = true,
        env = "TENANTRY_ESTATE"
    )]
    pub estate: PathBuf,
    /// Environment of tenantry.toml to use.
    #[arg(
        long = "env",
        value_name = "NAME",
        global = true,
        env = "TENANTRY_ENV",
        add = ArgValueCompleter::new(complete::environments)
    )]
    pub environment: Option<String>,
    /// Read the estate from a Git revision instead of the folder.
    #[arg(long, value_name = "GITREV", global = true)]
    pub rev: Option<String>,
    /// Use the sandbox in place of every target.
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Set the clock to an RFC 3339 time, to rehearse a later day.
    #[arg(long, value_name = "TIME", global = true, value_parser = super::system::time)]
    pub now: Option<jiff::Timestamp>,
    /// When to use colour.
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub color: Color,
    /// Write long output to the terminal itself, without the pager of `TENANTRY_PAGER` or `PAGER`.
    #[arg(long, global = true)]
    pub no_pager: bool,
    /// Show less.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what is read and written, and how long it takes; twice for each request.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Format of the output.
    #[arg(long, value_name = "FORMAT", default_value = "human", global = true)]
    pub format: Format,
}

impl Global {
    /// A command line for the same estate and environment.
    pub fn invocation(&self, command: &str) -> String {
        let quoted = |text: &str| match text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c)) {
            true => text.to_owned(),
            false => format!("'{}'", text.replace('\'', r"'\''")),
        };
        let mut invocation = "tenantry".to_owned();
        if self.estate.as_os_str() != "." {
            invocation.push_str(&format!(" -C {}", quoted(&self.estate.to_string_lossy())));
        }
        if let Some(environment) = &self.environment {
            invocation.push_str(&format!(" --env {}", quoted(environment)));
        }
        if self.sandbox {
            invocation.push_str(" --sandbox");
        }
        format!("{invocation} {command}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    pub fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

impl Arguments {
    /// Most formats are those of some commands only.
    ///
    /// # Errors
    /// If the command does not have the format.
    pub fn check_format(&self) -> Result<(), Failure> {
        let command = &self.command;
        let (has_it, what, commands) = match self.global.format {
            Format::Human | Format::Json => return Ok(()),
            Format::Markdown | Format::Html => (
                matches!(command, Command::Plan(_) | Command::Drift(_) | Command::Show(_)),
                "only plans have the formats `markdown` and `html`",
                "use them with `plan`, `drift` or `show FILE`",
            ),
            Format::Github | Format::Sarif => (
                matches!(command, Command::Validate | Command::Plan(_) | Command::Show(_)),
                "only problems and findings have the formats `github` and `sarif`",
                "use them with `validate`, `plan` or `show FILE`",
            ),
            Format::Junit => (
                matches!(command, Command::Validate | Command::Policy(Policy::Test { .. })),
                "only problems of an estate and tests of policies have the format `junit`",
                "use it with `validate` or `policy test`; for drift there is `drift --junit FILE`",
            ),
        };
        if has_it { Ok(()) } else { Err(Failure::new(Exit::Usage, what).help(commands)) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Json,
    /// A plan as a comment of a pull request.
    Markdown,
    /// A plan as one file for a browser.
    Html,
    /// Problems of an estate, or findings of a plan, as annotations of a GitHub workflow.
    Github,
    /// The same in SARIF, for code scanning.
    Sarif,
    /// Problems of an estate as a JUnit report with a case for each file; tests of policies with a case for each test.
    Junit,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a new estate in the folder, with a tier, a blueprint and a tenant to begin with.
    Init(Init),
    /// Write the document of a new tenant, with an id from the company's name.
    New(New),
    /// Set or remove fields of a tenant in its document. Comments, order and notation of everything else stay.
    Edit(Edit),
    /// Make the edit that an event about a subscription means, on a branch, and commit it.
    Event(Event),
    /// Check every document without connecting to any target.
    Validate,
    /// Show what apply would do. Writes nothing.
    Plan(Plan),
    /// Bring the targets to what the repository asks for.
    Apply(Apply),
    /// Show what was changed outside Tenantry. Writes nothing to any target; ends with 2 if something was changed.
    Drift(Drift),
    /// Show a tenant, a resource, or a saved plan.
    Show(Show),
    /// Show where each value of a resource comes from: the lines of the estate, and who last changed them.
    Explain(Explain),
    /// List tenants, with their tier, their phase and the number of applied resources.
    List(Selection),
    /// Show the journal or the runs in it, newest first.
    History(History),
    /// Create an estate from tenants that already exist, or restore a lost store.
    Import(Import),
    /// Show what an application needs of a tenant: names and outputs of its resources, and references to its secrets.
    Output(Outputs),
    /// Evaluate expressions on a tenant, as its blueprints could have them: arguments, or lines of stdin.
    Console(Console),
    /// Stop managing resources that the repository no longer asks for, and leave them as they are.
    Forget(Forget),
    /// Remove the locks of a run that died.
    Unlock(Unlock),
    /// Export the store's records of an environment to a file, or import them from one.
    #[command(subcommand)]
    Store(Store),
    /// List secrets, show the value of one, or copy it to the clipboard.
    #[command(subcommand)]
    Secret(Secret),
    /// Accept the system that a target is now.
    #[command(subcommand)]
    Target(Target),
    /// List, test and add policies: rules of your own that a plan has to follow.
    #[command(subcommand)]
    Policy(Policy),
    /// Check the store, the secrets and every target, and which system each target is.
    Doctor,
    /// Print the JSON Schema of documents, tenantry.toml or a kind of resource.
    Schema(Schema),
    /// Print a completion script for a shell, or the manual page of all commands together.
    Completions(Completions),
    /// Write the manual pages, one for each command, to a folder.
    Man(Man),
    /// Show the version, and the providers of this build.
    Version,
}

#[derive(Debug, Args)]
pub struct Init {
    /// Name of the estate, a DNS label that is part of every mark. The folder's name if absent.
    pub name: Option<String>,
}

/// The tenants that a command is applied to.
#[derive(Debug, Default, Args)]
pub struct Selection {
    /// Only tenants whose name matches; `*` matches any characters. May be repeated.
    #[arg(long, value_name = "GLOB", add = ArgValueCompleter::new(complete::tenants))]
    pub tenant: Vec<String>,
    /// Only tenants of this tier.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::tiers))]
    pub tier: Option<String>,
}

/// The waves that tenants are changed in.
#[derive(Debug, Default, Args)]
pub struct Rollout {
    /// Change tenants wave by wave: by the `rollout` of tenantry.toml, or by these waves, such as `--waves=tier:free,5%,rest`.
    #[arg(long, value_name = "WAVES", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "no_waves")]
    pub waves: Option<String>,
    /// Change all tenants side by side, whatever the `rollout` of tenantry.toml is.
    #[arg(long)]
    pub no_waves: bool,
}

#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub rollout: Rollout,
    /// Only what the changes since this Git revision can touch, such as `origin/main`: since the commit where the branch left it.
    #[arg(long, value_name = "GITREV")]
    pub changed_since: Option<String>,
    /// Show each tenant, even if others have the same changes.
    #[arg(long)]
    pub expand: bool,
    /// Save the plan to a file; `apply FILE` applies exactly this plan.
    #[arg(long, value_name = "FILE", value_parser = file)]
    pub out: Option<PathBuf>,
    /// Ask no target: plan against what was last recorded, play the plan through in a sandbox that begins with it, and say how
    /// it would end. Needs read access to the store, and no other credentials.
    #[arg(long, conflicts_with_all = ["out", "sandbox"])]
    pub rehearse: bool,
    /// End with 2 if there are changes.
    #[arg(long)]
    pub detailed_exitcode: bool,
}

#[derive(Debug, Args)]
pub struct Apply {
    /// A plan saved with `plan --out`.
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub rollout: Rollout,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
    /// How many tenants are written concurrently.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: Option<u16>,
    /// How long to wait for the locks of another run, such as `90s` or `10m`. Without it, fail at once.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub lock_timeout: std::time::Duration,
}

/// A length of time that is not negative.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| "write a number and a unit, such as 90s or 10m")?;
    parsed.try_into().map_err(|_| "it cannot be negative".to_owned())
}

#[derive(Debug, Args)]
pub struct Drift {
    #[command(flatten)]
    pub selection: Selection,
    /// Write what is there into the documents of the estate, for this resource. May be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub accept: Vec<String>,
    #[command(flatten)]
    pub into: EditInto,
    /// Also write a JUnit report to a file, with a case for each tenant.
    #[arg(long, value_name = "FILE", value_parser = file)]
    pub junit: Option<PathBuf>,
    /// Also write metrics to a file, for the textfile collector of Prometheus.
    #[arg(long, value_name = "FILE", value_parser = file)]
    pub metrics: Option<PathBuf>,
    /// Send a message to the webhook, and a mail, that tenantry.toml has, if the drift is not what the last message was about. Only
    /// what was sent is recorded in the store; the targets are only read.
    #[cfg(feature = "notify")]
    #[arg(long, conflicts_with_all = ["tenant", "tier"])]
    pub notify: bool,
}

impl Drift {
    /// Whether a message may be sent, which is recorded.
    pub fn notifies(&self) -> bool {
        #[cfg(feature = "notify")]
        return self.notify;
        #[cfg(not(feature = "notify"))]
        return false;
    }
}

#[derive(Debug, Args)]
pub struct Show {
    /// A tenant's name, an address such as acme-corp/schema, or a saved plan's file.
    #[arg(value_name = "TENANT|ADDRESS|FILE", add = ArgValueCompleter::new(complete::subjects))]
    pub subject: String,
    /// Of a saved plan: show each tenant, even if others have the same changes.
    #[arg(long)]
    pub expand: bool,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// An address, perhaps with a field, such as acme-corp/app_role or acme-corp/app_role.connectionLimit.
    #[arg(value_name = "ADDRESS[.FIELD]", add = ArgValueCompleter::new(complete::addresses))]
    pub subject: String,
}

#[derive(Debug, Args)]
pub struct Outputs {
    /// A tenant's name, a tier (`tier:NAME`) or `estate`.
    #[arg(value_name = "TENANT", add = ArgValueCompleter::new(complete::owners))]
    pub owner: String,
    /// Also show the values of the secrets. Who asked for them is recorded in the journal.
    #[arg(long)]
    pub secrets: bool,
    /// Write the values of secrets to a pipe or a file, without a question.
    #[arg(long, requires = "secrets")]
    pub to_pipe: bool,
}

#[derive(Debug, Args)]
pub struct Console {
    /// A tenant's name, a tier (`tier:NAME`) or `estate`.
    #[arg(value_name = "TENANT", add = ArgValueCompleter::new(complete::owners))]
    pub owner: String,
    /// Expressions, such as `tenant.tier`; the lines of stdin if there are none.
    #[arg(value_name = "EXPRESSION")]
    pub expressions: Vec<String>,
}

#[derive(Debug, Args)]
pub struct History {
    /// Only this tenant, tier (`tier:NAME`) or `estate`.
    #[arg(value_name = "OWNER", add = ArgValueCompleter::new(complete::owners))]
    pub owner: Option<String>,
    /// A line for each run instead of each entry: who ran what, from which commit, how long, and with which Approvals.
    #[arg(long, conflicts_with_all = ["owner", "run", "verify"])]
    pub runs: bool,
    /// Only this run.
    #[arg(long, value_name = "N")]
    pub run: Option<u64>,
    /// The maximum number of entries or runs to show.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub limit: u64,
    /// Verify the hash chain of the whole journal.
    #[arg(long, conflicts_with_all = ["owner", "run"])]
    pub verify: bool,
    /// With `--verify`: also check that the journal still has all entries up to this head, which `history --verify` showed
    /// before.
    #[arg(long, value_name = "LENGTH:HASH", requires = "verify")]
    pub head: Option<String>,
}

#[derive(Debug, Args)]
pub struct Forget {
    /// Addresses on record, such as acme-corp/schema; `*` matches any characters.
    #[arg(value_name = "ADDRESS", required = true, add = ArgValueCompleter::new(complete::recorded))]
    pub addresses: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    pub auto_approve: bool,
}

#[derive(Debug, Args)]
pub struct Unlock {
    /// Tenants, tiers (`tier:NAME`) or `estate`; every lock if none is named.
    #[arg(value_name = "OWNER", add = ArgValueCompleter::new(complete::owners))]
    pub owners: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Subcommand)]
pub enum Store {
    /// Export journal, inventory, phases, open steps and accepted targets to a new file.
    Export {
        /// The file, with one JSON document per line. It must not exist yet.
        #[arg(value_parser = file)]
        file: PathBuf,
    },
    /// Restore an export of the same estate and environment into a store without records of them.
    Import {
        /// The file that `store export` wrote.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Secret {
    /// List the secrets that are stored, with their versions. No values.
    List {
        /// Only those of this tenant, tier (`tier:NAME`) or `estate`.
        #[arg(add = ArgValueCompleter::new(complete::owners))]
        owner: Option<String>,
    },
    /// Show the value of a secret. Who asked for it is recorded in the journal.
    Show {
        /// Its owner and name, such as acme-corp/db-password.
        #[arg(value_name = "OWNER/NAME")]
        secret: String,
        /// Another version than the highest.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        secret_version: Option<u32>,
        /// Write it to a pipe or a file, without a question and without a newline.
        #[arg(long)]
        to_pipe: bool,
    },
    /// Copy the value of a secret to the clipboard of this terminal, without showing it. Who asked for it is recorded in the
    /// journal.
    Copy {
        /// Its owner and name, such as acme-corp/db-password.
        #[arg(value_name = "OWNER/NAME")]
        secret: String,
        /// Another version than the highest.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        secret_version: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Target {
    /// Accept the system that a target is now as the intended one. Plans are refused until this is done.
    Accept {
        /// The target's name in tenantry.toml.
        name: String,
        /// Do not ask.
        #[arg(long)]
        auto_approve: bool,
    },
}

#[derive(Debug, Args)]
pub struct Schema {
    /// A document's kind (tenant, tier, blueprint, approval, policy), `tenantry.toml`, `event`, or a kind of resource such as
    /// postgres.schema. A list of all if absent.
    pub subject: Option<String>,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell, or `man` for the manual page.
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// The folder, such as ~/.local/share/man/man1. It is created if it does not exist.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// A file to write. What other programs call `-` is not one: stdout has what the command says already.
fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("write the name of a file".to_owned()),
        "-" => Err("stdout has the command's own output; write the name of a file".to_owned()),
        name => Ok(PathBuf::from(name)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
    Man,
}
