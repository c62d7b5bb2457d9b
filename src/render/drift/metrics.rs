//! Drift as metrics: a file for the textfile collector of Prometheus' node exporter.
//!
//! The form is the text format, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::view::word;
use tenantry_core::drift::{Drift, State};
use tenantry_core::model::document::Phase;
use tenantry_core::reference::{GENERATED, cell};

/// A metric, as its page and its file have it.
struct Metric {
    name: &'static str,
    /// Beside those that every sample has.
    labels: &'static [&'static str],
    meaning: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, [$($label:literal),*], $meaning:literal;)*) => {
        $(const $constant: Metric = Metric { name: $name, labels: &[$($label),*], meaning: $meaning };)*

        /// Every metric, in the order of the file.
        const ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    DRIFT_RESOURCES = "tenantry_drift_resources", ["target", "kind", "state"],
        "Resources that were changed or deleted outside Tenantry.";
    UNKNOWN = "tenantry_unknown_resources", ["target"], "Resources that could not be read.";
    DRIFTED = "tenantry_drifted", [], "Number of resources that were changed or deleted outside Tenantry.";
    IGNORED = "tenantry_ignored_resources", [], "Drift that a rule of tenantry.toml leaves out.";
    PENDING = "tenantry_pending_resources", [], "Resources that the repository changed since the last apply.";
    UNFINISHED = "tenantry_unfinished_resources", [], "Resources that a run left unfinished.";
    BLOCKED = "tenantry_blocked_resources", [], "Resources that are blocked although they could be read.";
    UNCHANGED = "tenantry_unchanged_resources", [], "Resources that are as desired.";
    TENANTS = "tenantry_tenants", ["tier", "phase"], "Tenants of the repository.";
    RUN_TIMESTAMP = "tenantry_drift_run_timestamp_seconds", [], "When the drift run ended.";
    RUN_DURATION = "tenantry_drift_run_duration_seconds", [], "How long the drift run took.";
    LAST_APPLY = "tenantry_last_apply_timestamp_seconds", [], "When the last apply ended.";
}

/// The page of `docs/reference/` about the metrics.
pub fn page() -> String {
    let mut page = format!(
        "# Metrics\n\n{GENERATED}\n\n\
         `drift --metrics FILE` writes them for the textfile collector of Prometheus. All are gauges. Every sample has the labels \
         `estate` and `environment`; times are seconds since 1970. [Monitoring](../operations/monitoring.md) has alerts.\n\n\
         | metric | further labels | value |\n|---|---|---|\n"
    );
    for Metric { name, labels, meaning } in ALL {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(page, "| `{name}` | {} | {} |", labels.join(", "), cell(meaning));
    }
    page
}

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
    let by_kind = drifted.iter().map(|((target, kind, state), count)| (vec![*target, *kind, word(*state)], *count));
    metrics.gauge(&DRIFT_RESOURCES, by_kind);
    metrics.gauge(&UNKNOWN, unknown.iter().map(|(target, count)| (vec![*target], *count)));
    let single = [
        (&DRIFTED, drift.drifted.len()),
        (&IGNORED, drift.ignored.len()),
        (&PENDING, drift.pending.len()),
        (&UNFINISHED, drift.unfinished.len()),
        (&BLOCKED, drift.blocked.len()),
        (&UNCHANGED, plan.unchanged),
    ];
    for (metric, count) in single {
        metrics.gauge(metric, [(Vec::new(), count)]);
    }
    let tenants = run.tenants.iter().map(|((tier, phase), count)| (tier.as_str(), phase.to_string(), *count));
    let tenants: Vec<_> = tenants.collect();
    metrics.gauge(&TENANTS, tenants.iter().map(|(tier, phase, count)| (vec![*tier, phase.as_str()], *count)));
    metrics.gauge(&RUN_TIMESTAMP, [(Vec::new(), run.at)]);
    metrics.gauge(&RUN_DURATION, [(Vec::new(), run.seconds)]);
    metrics.gauge(&LAST_APPLY, run.applied.map(|at| (Vec::new(), at)));
    metrics.text
}

struct Metrics {
    text: String,
    /// The labels of every sample.
    common: Vec<String>,
}

impl Metrics {
    /// Adds a metric, each sample with the values of its labels; nothing without samples.
    fn gauge<'l, N: Display>(&mut self, metric: &Metric, samples: impl IntoIterator<Item = (Vec<&'l str>, N)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let Metric { name, labels, meaning } = metric;
        let _ = writeln!(self.text, "# HELP {name} {meaning}\n# TYPE {name} gauge");
        for (values, value) in samples {
            let own = labels.iter().zip(values).map(|(name, value)| label(name, value));
            let all: Vec<String> = self.common.iter().cloned().chain(own).collect();
            let _ = writeln!(self.text, "{name}{{{}}} {value}", all.join(","));
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
