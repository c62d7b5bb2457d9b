//! What the operating system is asked for: time, variables, who is at work.

use std::sync::Arc;

use jiff::Timestamp;
use tracing_subscriber::EnvFilter;

use super::arguments::Global;
use super::output::Stderr;

/// The system's clock.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub fn now() -> Timestamp {
    Timestamp::now()
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
    // Without colours, which would not be told from what a text brings with it.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Stderr).without_time();
    log.with_ansi(false).init();
}
