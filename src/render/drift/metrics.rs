//! Drift as metrics: a file for the textfile collector of Prometheus' node exporter.
//!
//! The form is the text format, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::view::word;
use tenantry_core::drift::{Drift, State};
use tenantry_core::model::document::Phase;

/// What the metrics have beside the drift itself.
pub struct Run<'a> {
    /// The end of the run, in seconds since 1970.
    pub at: f64,
    pub seconds: f64,
    /// The number of tenants by tier and phase, as the repository has them.
    pub tenants: &'a BTreeMap<(String, Phase), usize>,
    /// When the last `apply` ended, in seconds since 1970, if there was one.
    pub applied: Option<f64>,
}

/// The whole file.
pub fn file(drift: &Drift<'_>, run: &Run<'_>) -> String {
    let plan = drift.plan;
    let mut drifted: BTreeMap<(&str, &str, State), usize> = BTreeMap::new();
    for entry in &drift.drifted {
        *drifted.entry((&entry.change.target, &entry.change.kind, entry.state)).or_default() += 1;
    }
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &drift.unknown {
        *unknown.entry(&entry.target).or_default() += 1;
    }
    let mut metrics =
        Metrics { text: String::new(), common: labels(plan.estate.as_ref(), plan.environment.as_deref()) };
    metrics.gauge(
        "tenantry_drift_resources",
        "Resources that were changed or deleted outside Tenantry.",
        drifted.iter().map(|((target, kind, state), count)| {
            (vec![("target", *target), ("kind", *kind), ("state", word(*state))], *count)
        }),
    );
    metrics.gauge(
        "tenantry_unknown_resources",
        "Resources that could not be read.",
        unknown.iter().map(|(target, count)| (vec![("target", *target)], *count)),
    );
    let single = [
        ("tenantry_drifted", "Number of resources that were changed or deleted outside Tenantry.", drift.drifted.len()),
        ("tenantry_ignored_resources", "Drift that a rule of tenantry.toml leaves out.", drift.ignored.len()),
        (
            "tenantry_pending_resources",
            "Resources that the repository changed since the last apply.",
            drift.pending.len(),
        ),
        ("tenantry_unfinished_resources", "Resources that a run left unfinished.", drift.unfinished.len()),
        ("tenantry_blocked_resources", "Resources that are blocked although they could be read.", drift.blocked.len()),
        ("tenantry_unchanged_resources", "Resources that are as desired.", plan.unchanged),
    ];
    for (name, help, count) in single {
        metrics.gauge(name, help, [(Vec::new(), count)]);
    }
    let tenants = run.tenants.iter().map(|((tier, phase), count)| (tier.as_str(), phase.to_string(), *count));
    let tenants: Vec<_> = tenants.collect();
    metrics.gauge(
        "tenantry_tenants",
        "Tenants of the repository.",
        tenants.iter().map(|(tier, phase, count)| (vec![("tier", *tier), ("phase", phase.as_str())], *count)),
    );
    metrics.gauge("tenantry_drift_run_timestamp_seconds", "When the drift run ended.", [(Vec::new(), run.at)]);
    metrics.gauge("tenantry_drift_run_duration_seconds", "How long the drift run took.", [(Vec::new(), run.seconds)]);
    let applied = run.applied.map(|at| (Vec::new(), at));
    metrics.gauge("tenantry_last_apply_timestamp_seconds", "When the last apply ended.", applied);
    metrics.text
}

struct Metrics {
    text: String,
    /// The labels of every sample.
    common: Vec<String>,
}

impl Metrics {
    /// Adds a metric; nothing without samples.
    fn gauge<'l, N: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'l str, &'l str)>, N)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let labels = labels.into_iter().map(|(name, value)| label(name, value));
            let labels: Vec<String> = self.common.iter().cloned().chain(labels).collect();
            let _ = writeln!(self.text, "{name}{{{}}} {value}", labels.join(","));
        }
    }
}

fn labels(estate: &str, environment: Option<&str>) -> Vec<String> {
    vec![label("estate", estate), label("environment", environment.unwrap_or_default())]
}

/// A label; in its value, backslash, quote and newline are escaped.
fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
