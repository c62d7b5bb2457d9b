//! What the operating system is asked for: time, variables, who is at work.

use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing_subscriber::EnvFilter;

use super::arguments::Global;
use super::error::{Exit, Failure};

/// The system's clock.
///
/// # Errors
/// If it is set to a time that no date stands for.
pub fn clock() -> Result<Timestamp, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    let time = std::time::SystemTime::now();
    let within = Timestamp::try_from(time).ok().filter(is_in_calendar);
    within.ok_or_else(|| {
        Failure::new(Exit::Error, "the system's clock is outside of the years 1 to 9999").help("set the system's clock")
    })
}

/// The system's clock, once [`clock`] has found it sound.
pub fn now() -> Timestamp {
    clock().unwrap_or(Timestamp::MAX)
}

/// The time of an argument: RFC 3339, between the years 1 and 9999.
///
/// # Errors
/// With the reason why it is not.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let time = text.parse().ok().filter(is_in_calendar);
    time.ok_or_else(|| "write an RFC 3339 time between the years 1 and 9999, such as 2026-01-31T12:00:00Z".to_owned())
}

/// Whether dates can be written and computed with: RFC 3339 has four digits for a year, and CEL no year 0.
fn is_in_calendar(time: &Timestamp) -> bool {
    (1..=9999).contains(&time.to_zoned(TimeZone::UTC).year())
}

/// An environment variable; nothing if it is not set or not text.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Who runs the command: `user@host`, as far as the system tells.
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

/// A name for a run that no other run has.
pub fn holder(actor: &str) -> String {
    format!("{actor} (process {}, {:08x})", std::process::id(), rand::random::<u32>())
}

/// Sends the log to stderr: warnings, or more with -v. `TENANTRY_LOG` chooses in detail.
pub fn log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "off",
        (_, 0) => "tenantry=warn,progress=info",
        (_, 1) => "tenantry=info,progress=info",
        (_, 2) => "tenantry=debug,progress=debug",
        _ => "trace",
    };
    let filter = variable("TENANTRY_LOG")
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(level));
    let choice = match global.color.choice() {
        ColorChoice::Auto => AutoStream::choice(&std::io::stderr()),
        chosen => chosen,
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time();
    log.with_ansi(choice != ColorChoice::Never).init();
}

#[cfg(test)]
mod tests {
    use super::*;

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
