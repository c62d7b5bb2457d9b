//! A plan on a terminal, or in a log.
//!
//! Per owner, changed fields only; identical changes of several owners as one group; what is blocked and every finding;
//! the counts at the end.

use std::fmt::Write as _;
use std::io;

use super::view::{self, ChangeView, Group, PlanView, Script};
use crate::difference::{Difference, Sign};
use crate::page::Page;
use crate::style::Label;
use crate::words;
use tenantry_core::diagnostics::Severity;
use tenantry_core::plan::sensitive::MASK;
use tenantry_core::plan::{Action, Blocked, Finding};

/// Writes a plan.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut Page<'_>, view: &PlanView<'_>) -> io::Result<()> {
    heading(out, view)?;
    for group in &view.groups {
        self::group(out, group)?;
    }
    blocked(out, view)?;
    findings(out, &view.plan.findings)?;
    writeln!(out, "{}", Label::Heading.paint(&view.counts))
}

fn heading(out: &mut Page<'_>, view: &PlanView<'_>) -> io::Result<()> {
    writeln!(out, "{}", Label::Heading.paint(&view.title))?;
    if view.plan.simulated {
        let text = "Simulated: every target is the sandbox; no real system is looked at or changed.";
        writeln!(out, "{}", Label::Quiet.paint(text))?;
    }
    if view.plan.secrets_unread {
        writeln!(out, "{}", Label::Warning.paint(view::SECRETS_UNREAD))?;
    }
    for (target, system) in &view.systems {
        writeln!(out, "{}", Label::Quiet.paint(format!("Target {target} is {system}")))?;
    }
    for (approval, until) in &view.plan.approvals {
        writeln!(out, "{}", Label::Quiet.paint(format!("Uses the Approval {approval}, which expires at {until}")))?;
    }
    writeln!(out)
}

fn group(out: &mut Page<'_>, group: &Group<'_>) -> io::Result<()> {
    let heading = match group.owners.as_slice() {
        [owner] => owner.to_string(),
        owners => {
            let names = words::listed(owners.iter().map(ToString::to_string));
            format!("{} {} with the same changes: {names}", owners.len(), group.noun())
        }
    };
    let is_move = group.transition.is_some_and(|transition| transition.from.is_some_and(|from| from != transition.to));
    let phase = match group.phase() {
        Some(phase) if is_move => format!("  {phase}"),
        Some(phase) => format!("  {}", Label::Quiet.paint(phase)),
        None => String::new(),
    };
    writeln!(out, "{}{phase}", Label::Heading.paint(heading))?;
    for change in &group.changes {
        self::change(out, change)?;
    }
    records(out, &group.records)?;
    writeln!(out)
}

/// In one line: nothing of them changes in a target.
fn records(out: &mut Page<'_>, records: &[String]) -> io::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} {:<7} {}",
        words::symbol(Action::Update),
        Action::Update.as_str(),
        words::listed(records.iter().cloned())
    );
    let why = "the inventory is brought up to date; the targets stay as they are";
    writeln!(out, "  {}  {}", words::label(Action::Update).paint(what), Label::Quiet.paint(why))
}

fn change(out: &mut Page<'_>, change: &ChangeView<'_>) -> io::Result<()> {
    let ChangeView { action, id, kind, .. } = change;
    let label = words::label(*action);
    let mut line =
        format!("  {} {kind}", label.paint(format!("{} {:<7} {id}", words::symbol(*action), action.as_str())));
    if let Some(name) = &change.name {
        let _ = write!(line, " {name}");
    }
    if let Some(reason) = &change.reason {
        let _ = write!(line, "  {}", Label::Quiet.paint(reason));
        if let Some(place) = change.place {
            let _ = write!(line, " {}", Label::Quiet.paint(format!("({}:{})", place.file, place.line)));
        }
    }
    writeln!(out, "{line}")?;
    for (field, value) in &change.contents {
        writeln!(out, "      {field}: {value}")?;
    }
    for (field, difference) in &change.fields {
        self::difference(out, field, difference, None)?;
    }
    for script in &change.scripts {
        self::script(out, script)?;
    }
    Ok(())
}

/// A field that differs, with who changed it.
///
/// # Errors
/// Those of `out`.
pub fn difference(out: &mut Page<'_>, field: &str, difference: &Difference, by: Option<&str>) -> io::Result<()> {
    let by = by.map(|by| format!("  {}", Label::Quiet.paint(by))).unwrap_or_default();
    match difference {
        Difference::Values { before, after } => writeln!(out, "      {field}: {before} → {after}{by}"),
        Difference::Lines(lines) => {
            writeln!(out, "      {field}:{by}")?;
            for line in lines {
                let text = format!("{} {}", line.sign.symbol(), line.text);
                let text = match line.sign {
                    Sign::Removed => Label::Destroy.paint(text),
                    Sign::Added => Label::Create.paint(text),
                    Sign::Moved => Label::Adopt.paint(text),
                    Sign::Same | Sign::Gap => Label::Quiet.paint(text),
                };
                writeln!(out, "        {text}")?;
            }
            Ok(())
        }
    }
}

/// What would run, line by line.
fn script(out: &mut Page<'_>, Script { field, whose, text }: &Script<'_>) -> io::Result<()> {
    let whose = whose.map(|owner| format!(" (of {owner})")).unwrap_or_default();
    writeln!(out, "      {field}{whose}:")?;
    for line in text.unwrap_or(MASK).lines() {
        writeln!(out, "        {line}")?;
    }
    Ok(())
}

fn blocked(out: &mut Page<'_>, view: &PlanView<'_>) -> io::Result<()> {
    if view.blocked.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", Label::Heading.paint("Blocked: nothing is done about these"))?;
    for (reason, members) in &view.blocked {
        let names = words::listed(members.iter().map(|Blocked { address, .. }| address.to_string()));
        writeln!(out, "  {} {names}: {reason}", Label::Warning.paint("!"))?;
    }
    if view.is_unknown {
        writeln!(out, "  help: `tenantry doctor` shows whether a target answers")?;
    }
    writeln!(out)
}

fn findings(out: &mut Page<'_>, findings: &[Finding]) -> io::Result<()> {
    // One reason that blocks a thousand resources is one thing to know.
    let mut seen = 0;
    for finding in view::said(findings) {
        if !finding.refuses && seen >= 20 {
            continue;
        }
        seen += 1;
        self::finding(out, finding)?;
    }
    let hidden = view::said(findings).count() - seen;
    if hidden > 0 {
        writeln!(out, "… and {hidden} more findings; --format json has them all")?;
    }
    if seen == 0 { Ok(()) } else { writeln!(out) }
}

/// A finding with its place and its remedy.
///
/// # Errors
/// Those of `out`.
pub fn finding(out: &mut Page<'_>, finding: &Finding) -> io::Result<()> {
    let Finding { code, severity, refuses, message, help, origin, .. } = finding;
    let word = match (severity, refuses) {
        (_, true) => Label::Error.paint(format!("refused[{code}]")),
        (Severity::Error, _) => Label::Error.paint(format!("error[{code}]")),
        (Severity::Warning, _) => Label::Warning.paint(format!("warning[{code}]")),
    };
    let place = origin.as_ref().map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
    writeln!(out, "{word}: {message}{place}")?;
    if let Some(help) = help {
        writeln!(out, "  help: {help}")?;
    }
    Ok(())
}
