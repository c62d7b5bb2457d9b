//! Progress of a run: live on a terminal, one plain line per finished step otherwise, one JSON event a line for programs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{Output, Stderr};
use tenantry_core::outcome::{Outcome, Skip};
use tenantry_engine::request::{Event, Progress};
use tenantry_render::outcome;
use tenantry_render::page::shown;
use tenantry_render::words;

/// The line for an event, if it has one.
fn line(event: &Event<'_>) -> Option<String> {
    match event {
        // How many were not begun is in the report: after Ctrl-C, that is most of them.
        Event::StepEnded { result: Outcome::Interrupted | Outcome::Skipped(Skip::EarlierWave { .. }), .. } => None,
        Event::StepEnded { address, action, result } => {
            Some(format!("{address}: {}", outcome::sentence(*action, result)))
        }
        Event::Waiting { resources, reason } => {
            Some(format!("waiting for {}: {reason}", words::count(*resources, "resource")))
        }
        Event::PhaseEntered { tenant, phase } => Some(format!("{tenant}: now {phase}")),
        Event::TierEntered { tenant, tier } => Some(format!("{tenant}: now on tier {tier}")),
        Event::Retrying { target, reason, after_milliseconds } => {
            let after = std::time::Duration::from_millis(*after_milliseconds);
            Some(format!("target {target}: trying again in {:.1} s: {reason}", after.as_secs_f64()))
        }
        Event::WaveBegun { wave, of, tenants } => {
            Some(format!("wave {wave} of {of}: {}", words::count(*tenants, "tenant")))
        }
        Event::WaveStopped { wave, undone, held } => Some(format!(
            "wave {wave} stopped at {undone}, which is not done or not verified; {} not begun",
            words::is_are(*held, "wave")
        )),
        // The report has it.
        Event::Noticed { .. } => None,
        Event::RunBegun { .. } | Event::StepBegun { .. } | Event::RunEnded { .. } => None,
    }
}

/// Plain lines to stderr.
pub struct Plain {
    quiet: bool,
}

impl Plain {
    pub fn new() -> Self {
        Self { quiet: false }
    }

    /// Shows only failures.
    pub fn quiet() -> Self {
        Self { quiet: true }
    }
}

impl Progress for Plain {
    fn event(&self, event: &Event<'_>) {
        let went_well = match event {
            Event::StepEnded { result, .. } => result.is_done(),
            Event::WaveStopped { .. } => false,
            _ => true,
        };
        if let Some(line) = line(event).filter(|_| !(self.quiet && went_well)) {
            Stderr::line(&line);
        }
    }
}

/// A bar on the terminal, with failures above it.
pub struct Live {
    bar: ProgressBar,
}

impl Live {
    pub fn new(changes: usize) -> Self {
        let bar = ProgressBar::new(changes as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}  {wide_msg}")
            .expect("the template is well formed");
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }
}

impl Progress for Live {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::StepBegun { address, .. } => self.bar.set_message(shown(&address.to_string())),
            Event::StepEnded { result, .. } => {
                self.bar.inc(1);
                if !result.is_done()
                    && let Some(line) = line(event)
                {
                    self.bar.suspend(|| Stderr::line(&line));
                }
            }
            Event::WaveStopped { .. } => {
                if let Some(line) = line(event) {
                    self.bar.suspend(|| Stderr::line(&line));
                }
            }
            Event::Retrying { .. } | Event::Waiting { .. } | Event::WaveBegun { .. } => {
                if let Some(line) = line(event) {
                    self.bar.set_message(shown(&line));
                }
            }
            Event::RunBegun { .. }
            | Event::Noticed { .. }
            | Event::PhaseEntered { .. }
            | Event::TierEntered { .. }
            | Event::RunEnded { .. } => {}
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// One JSON object a line to stdout.
pub struct JsonLines<'a>(pub &'a Output);

impl Progress for JsonLines<'_> {
    fn event(&self, event: &Event<'_>) {
        // A reader that went away does not stop the run.
        let _ = self.0.json_line(event);
    }
}
