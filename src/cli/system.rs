//! Values from the operating system: time, variables, user and process.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tenantry_provider::contract::PROGRESS;
use tenantry_store::contract::{Holder, Process};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::arguments::Global;
use super::error::{Exit, Failure};
use super::output::Stderr;

/// The system's clock.
///
/// # Errors
/// If it is outside the years 1 to 9999.
pub fn clock() -> Result<Timestamp, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    let time = std::time::SystemTime::now();
    let within = Timestamp::try_from(time).ok().filter(is_in_calendar);
    within.ok_or_else(|| {
        Failure::new(Exit::Error, "the system's clock is outside the years 1 to 9999").help("set the system's clock")
    })
}

/// The system's clock, after [`clock`] has checked it.
pub fn now() -> Timestamp {
    clock().unwrap_or(Timestamp::MAX)
}

/// The time of an argument: RFC 3339, between the years 1 and 9999.
///
/// # Errors
/// With the reason why it is not valid.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let time = text.parse().ok().filter(is_in_calendar);
    time.ok_or_else(|| "write an RFC 3339 time in the years 1 to 9999, such as 2026-01-31T12:00:00Z".to_owned())
}

/// Whether dates can be written and computed with: RFC 3339 has four digits for a year, and CEL no year 0.
fn is_in_calendar(time: &Timestamp) -> bool {
    (1..=9999).contains(&time.to_zoned(TimeZone::UTC).year())
}

/// The variables that are read here and by the libraries of the terminal, with their meaning; those of options are known to
/// [`Arguments`](super::arguments::Arguments).
pub const VARIABLES: &[(&str, &str)] = &[
    (
        "TENANTRY_ACTOR",
        "Who runs the command, for the journal: `user@host` or an address. `USER`, else `LOGNAME`, if absent.",
    ),
    ("USER", "See `TENANTRY_ACTOR`."),
    ("LOGNAME", "See `TENANTRY_ACTOR`."),
    ("HOSTNAME", "The host's name in the journal, where the system does not say it."),
    ("COMPUTERNAME", "The same, on Windows."),
    (
        "TENANTRY_LOG",
        "What is logged to stderr, in place of `-v`: a level such as `debug`, or by part, `tenantry_engine=debug`.",
    ),
    ("TENANTRY_PAGER", "The command that shows long plans on a terminal; empty for none."),
    ("PAGER", "The same, for all programs. `less` if both are absent."),
    ("LESS", "Options of `less`. `FRX` if absent."),
    ("TERM", "The terminal; with `dumb`, or none, there is no pager."),
    ("COMPLETE", "Set by the scripts of `tenantry completions`: the command answers the shell and ends."),
    ("NO_COLOR", "Without colour, if it is not empty and `--color` is `auto`."),
    ("CLICOLOR", "`0` is without colour, if `--color` is `auto`."),
    ("CLICOLOR_FORCE", "Colour also in a file or a pipe, if it is not `0` and `--color` is `auto`."),
];

/// An environment variable; `None` if it is not set or not text.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the process was started with, its own name first.
pub fn arguments() -> impl Iterator<Item = std::ffi::OsString> {
    std::env::args_os()
}

/// The folder that the process was started in; `None` if it is gone.
pub fn folder() -> Option<std::path::PathBuf> {
    std::env::current_dir().ok()
}

/// Who runs the command: `user@host`, if the system reveals it.
pub fn actor() -> Arc<str> {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name)).filter(|value| !value.is_empty());
    let user = first(&["TENANTRY_ACTOR", "USER", "LOGNAME"]).unwrap_or_else(|| "unknown".into());
    if user.contains('@') {
        return user.into();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    format!("{user}@{}", host.or_else(|| first(&["HOSTNAME", "COMPUTERNAME"])).unwrap_or_else(|| "unknown".into()))
        .into()
}

/// Who takes locks for a run: a name that no other run has, and this process.
pub fn holder(actor: &str) -> Holder {
    let name = format!("{actor} (process {}, {:08x})", std::process::id(), rand::random::<u32>());
    Holder { name: name.into(), process: process("self") }
}

/// A process of this machine, read from Linux's `/proc`. `None` on other systems, or if no process has this number.
fn process(number: &str) -> Option<Process> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let folder = std::path::Path::new("/proc").join(number);
    // Fields as proc_pid_stat(5) numbers them. The second is a name in brackets, which may hold anything.
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let (id, rest) = stat.split_once(' ')?;
    let rest: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
    let [state, started] = [3, 22].map(|field| rest.get(field - 3).copied());
    // A zombie has ended, and only waits for its parent to hear of it.
    if matches!(state?, "Z" | "X") {
        return None;
    }
    Some(Process {
        boot: read("/proc/sys/kernel/random/boot_id")?.trim().into(),
        namespace: std::fs::read_link("/proc/self/ns/pid").ok()?.to_str()?.into(),
        user: user(&folder)?,
        id: id.parse().ok()?,
        started: started?.parse().ok()?,
    })
}

#[cfg(unix)]
fn user(folder: &std::path::Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(std::fs::metadata(folder).ok()?.uid())
}

#[cfg(not(unix))]
fn user(_: &std::path::Path) -> Option<u32> {
    None
}

/// Whether a process has certainly ended. A process of another machine, container or user is not visible.
pub fn has_ended(holder: &Process) -> bool {
    let Some(own) = process("self") else { return false };
    let is_visible = (&own.boot, &own.namespace, own.user) == (&holder.boot, &holder.namespace, holder.user);
    is_visible && process(&holder.id.to_string()).is_none_or(|now| now != *holder)
}

/// Sends the log to stderr: warnings, or more with -v. `TENANTRY_LOG` chooses in detail.
///
/// Only what Tenantry itself says is written, whatever is asked for: libraries log requests and statements with their values,
/// among them secrets.
pub fn log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "off",
        (_, 0) => "warn,progress=info",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    let asked = variable("TENANTRY_LOG").filter(|text| !text.is_empty()).map(|text| (EnvFilter::try_new(&text), text));
    let filter = match asked {
        Some((Ok(filter), _)) => filter,
        Some((Err(error), text)) => {
            Stderr::line(&format!(
                "TENANTRY_LOG is `{text}`, which is not valid ({error}); write a level such as debug, or \
                 tenantry_engine=debug"
            ));
            EnvFilter::new(level)
        }
        None => EnvFilter::new(level),
    };
    // Without colours, which would not be told from what a text brings with it.
    let lines =
        tracing_subscriber::fmt::layer().with_writer(|| Stderr).without_time().with_target(false).with_ansi(false);
    let is_own = filter_fn(|metadata| metadata.target().starts_with("tenantry") || metadata.target() == PROGRESS);
    tracing_subscriber::registry().with(lines.with_filter(is_own)).with(filter).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_not_ended() {
        let Some(own) = process("self") else { return };
        assert_eq!(own.id, std::process::id());
        assert!(!has_ended(&own));
    }

    #[test]
    fn a_process_has_ended_when_it_is_gone_or_another_has_its_number() {
        let Some(own) = process("self") else { return };
        assert!(has_ended(&Process { started: own.started + 1, ..own.clone() }));
        // Beyond the highest number that Linux gives.
        assert!(has_ended(&Process { id: 1 << 23, ..own.clone() }));
    }

    #[test]
    fn nothing_is_said_of_a_process_elsewhere() {
        let Some(own) = process("self") else { return };
        let gone = Process { id: 1 << 23, ..own };
        assert!(!has_ended(&Process { boot: "another".into(), ..gone.clone() }));
        assert!(!has_ended(&Process { namespace: "pid:[1]".into(), ..gone.clone() }));
        assert!(!has_ended(&Process { user: gone.user + 1, ..gone }));
    }

    #[test]
    fn a_time_is_within_the_calendar() {
        for text in
            ["2026-01-31T12:00:00Z", "0001-01-01T00:00:00Z", "9999-12-30T21:59:59Z", "2026-01-31T12:00:00+02:00"]
        {
            assert!(time(text).is_ok(), "{text}");
        }
        for text in [
            "10000-01-01T00:00:00Z",
            "+010000-01-01T00:00:00Z",
            "0000-12-31T23:59:59Z",
            "-000001-01-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-31",
            "now",
            "",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
