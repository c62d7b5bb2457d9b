//! The report of a run for people: for each owner, failures and warnings of targets, and the counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use tenantry_core::model::address::{Address, Owner};
use tenantry_core::outcome::{Outcome, Skip};
use tenantry_core::plan::{Action, Plan};
use tenantry_engine::outcome::{Report, Stopped};
use tenantry_render::outcome;
use tenantry_render::page::Page;
use tenantry_render::plan::view;
use tenantry_render::style::Label;
use tenantry_render::words;

pub fn write(out: &mut Page<'_>, report: &Report, plan: &Plan) -> io::Result<()> {
    let mut owners: BTreeMap<&Owner, Vec<(&Address, Action, &Outcome)>> = BTreeMap::new();
    for (address, (action, outcome)) in &report.outcomes {
        owners.entry(&address.owner).or_default().push((address, *action, outcome));
    }
    for (owner, outcomes) in &owners {
        let done = outcomes.iter().filter(|(_, _, outcome)| outcome.is_done()).count();
        let is_unbegun =
            |outcome: &Outcome| matches!(outcome, Outcome::Interrupted | Outcome::Skipped(Skip::EarlierWave { .. }));
        let is_calm = outcomes.iter().all(|(_, _, outcome)| outcome.is_settled() || is_unbegun(outcome));
        let notices = |address: &Address| report.notices.get(address).into_iter().flatten();
        // Of what went as it should only that is told of which there is something to say, and what was not begun is counted.
        let shown = outcomes
            .iter()
            .filter(|(address, _, outcome)| !is_calm && !is_unbegun(outcome) || notices(address).next().is_some());
        let mut shown = shown.peekable();
        let unbegun = outcomes.iter().filter(|(_, _, outcome)| is_unbegun(outcome)).count();
        let has_details = shown.peek().is_some();
        if !has_details && unbegun == 0 {
            continue;
        }
        let rest = if unbegun > 0 { format!(", {unbegun} not begun") } else { String::new() };
        let changes = words::count(outcomes.len(), "change");
        writeln!(out, "{}: {done} of {changes} done{rest}", Label::Heading.paint(owner))?;
        for (address, action, outcome) in shown {
            let label = match outcome {
                Outcome::Done | Outcome::AlreadyDone => Label::Good,
                Outcome::Failed(_) | Outcome::Wrong(_) | Outcome::HalfDone(_) => Label::Error,
                Outcome::Pending(_) | Outcome::Stale(_) | Outcome::Skipped(_) | Outcome::Interrupted => Label::Warning,
            };
            let text = outcome::sentence(*action, outcome);
            writeln!(out, "  {} {}: {text}", label.paint(words::symbol(*action)), address)?;
            for notice in notices(address) {
                writeln!(out, "      {}", Label::Warning.paint(notice))?;
            }
        }
        if has_details {
            writeln!(out)?;
        }
    }
    if let Some(Stopped { wave, undone }) = &report.stopped {
        let text = format!("Wave {wave} stopped at {undone}, which is not done or not verified.");
        let held = plan.waves.iter().enumerate().skip(*wave);
        let held: Vec<String> = held.map(|(at, wave)| format!("{} ({})", at + 1, view::wave(&wave.of))).collect();
        writeln!(
            out,
            "{} Not begun: wave {}. The next apply goes on with it.",
            Label::Error.paint(text),
            held.join(", wave ")
        )?;
    }
    let done = report.outcomes.values().filter(|(_, outcome)| outcome.is_done()).count();
    let not_done = report.outcomes.len() - done;
    let mut text = match (not_done, report.interrupted) {
        (0, false) => {
            format!("Applied: {} done for {}", words::count(done, "change"), words::count(owners.len(), "owner"))
        }
        (_, true) => format!("Interrupted: {} done, {not_done} not", words::count(done, "change")),
        _ if !report.outcomes.values().any(|(_, outcome)| outcome.has_effect()) => {
            format!("Nothing was applied: {} not done", words::count(not_done, "change"))
        }
        _ => format!("Partly applied: {} done, {not_done} not", words::count(done, "change")),
    };
    let pending = report.outcomes.values().filter(|(_, outcome)| matches!(outcome, Outcome::Pending(_))).count();
    if pending > 0 {
        let _ = write!(text, ", {pending} of them pending");
    }
    if !plan.blocked.is_empty() {
        let _ = write!(text, ", {} blocked", plan.blocked.len());
    }
    if plan.simulated {
        text.push_str(", in the sandbox (simulated)");
    }
    writeln!(out, "{}", Label::Heading.paint(format!("{text}. Run {}.", report.run)))
}
