//! A plan on a terminal, or in a log.
//!
//! Per owner, changed fields only; identical changes of several owners as one group; what is blocked and every finding;
//! the counts at the end.

use std::fmt::Write as _;
use std::io;

use super::fate::Effect;
use super::view::{self, ChangeView, Group, PlanView, Script};
use crate::difference::{Difference, Sign};
use crate::page::Page;
use crate::style::Label;
use crate::words;
use tenantry_core::diagnostics::Severity;
use tenantry_core::plan::sensitive::MASK;
use tenantry_core::plan::{Action, Blocked, Finding, Granted};

/// Lines of changes from which on a summary comes first.
const LONG: usize = 1_200;

/// Groups that a summary names.
const SUMMARIZED: usize = 40;

/// The most characters of a line of names.
const NAMES_WIDTH: usize = 76;

/// Writes a plan.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut Page<'_>, view: &PlanView<'_>) -> io::Result<()> {
    heading(out, view)?;
    effects(out, view)?;
    waves(out, view)?;
    let mut lines = Vec::new();
    let mut page = Page::new(&mut lines).within(out.width());
    for group in &view.groups {
        self::group(&mut page, group)?;
    }
    let lines = String::from_utf8_lossy(&lines);
    let length = lines.lines().count();
    if length > LONG {
        summary(out, view, length)?;
    }
    out.laid_out(&lines)?;
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
    if let Some(narrowed) = &view.narrowed {
        writeln!(out, "{}", Label::Warning.paint(format!("{narrowed}.")))?;
    }
    for (approval, Granted { expires, reason }) in &view.plan.approvals {
        let text = format!("Uses the Approval {approval}, which expires at {expires}{}", because(reason));
        writeln!(out, "{}", Label::Quiet.paint(text))?;
    }
    writeln!(out)
}

/// The reason of an Approval; nothing for a plan that was saved without it.
fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// What happens to tenants as a whole.
fn effects(out: &mut Page<'_>, view: &PlanView<'_>) -> io::Result<()> {
    for Effect { what, who, is_loss } in &view.effects {
        let what = match is_loss {
            true => Label::Error.paint(what),
            false => what.clone(),
        };
        if who.is_empty() {
            writeln!(out, "{what}")?;
        } else if *is_loss {
            // Nobody who loses something is left out.
            named(out, &format!("{what}:"), "  ", who)?;
        } else {
            writeln!(out, "{what}: {}", words::listed(who.iter().cloned()))?;
        }
    }
    if view.effects.is_empty() { Ok(()) } else { writeln!(out) }
}

/// Who is changed in which wave. Nobody is left out: the order is what is reviewed.
fn waves(out: &mut Page<'_>, view: &PlanView<'_>) -> io::Result<()> {
    if view.waves.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}. {}.", Label::Heading.paint(words::count(view.waves.len(), "wave")), view::WAVES)?;
    for (wave, tenants) in &view.waves {
        named(out, &format!("{wave}:"), "  ", tenants)?;
    }
    writeln!(out)
}

/// All names: behind the text if they have room there, and otherwise in lines of their own.
fn named(out: &mut Page<'_>, text: &str, indent: &str, names: &[String]) -> io::Result<()> {
    if names.len() <= 6 {
        return writeln!(out, "{text} {}", names.join(", "));
    }
    writeln!(out, "{text}")?;
    let mut line = String::new();
    for (at, name) in names.iter().enumerate() {
        let comma = if at + 1 == names.len() { "" } else { "," };
        if !line.is_empty() && line.chars().count() + name.chars().count() + 2 > NAMES_WIDTH {
            writeln!(out, "{indent}{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let _ = write!(line, "{name}{comma}");
    }
    writeln!(out, "{indent}{line}")
}

/// What a plan that is long has in it, before all of it follows.
fn summary(out: &mut Page<'_>, view: &PlanView<'_>, lines: usize) -> io::Result<()> {
    writeln!(out, "{}", Label::Heading.paint(format!("Summary of a plan of {lines} lines, which follow")))?;
    writeln!(out, "  {}", view.counts)?;
    let (grave, other): (Vec<_>, Vec<_>) = view.groups.iter().partition(|group| group.is_grave());
    for group in grave.iter().chain(&other).take(SUMMARIZED) {
        let names = words::listed(group.owners.iter().map(ToString::to_string));
        let what = group.fate().into_iter().chain(group.counts());
        writeln!(out, "  {names}: {}", what.collect::<Vec<_>>().join(", "))?;
    }
    let more = view.groups.len().saturating_sub(SUMMARIZED);
    if more > 0 {
        writeln!(out, "  … and {more} more groups of owners")?;
    }
    writeln!(out)
}

fn group(out: &mut Page<'_>, group: &Group<'_>) -> io::Result<()> {
    let fate = match group.fate() {
        fate if fate.is_empty() => String::new(),
        fate if group.is_grave() => format!("  {}", fate.join(", ")),
        fate => format!("  {}", Label::Quiet.paint(fate.join(", "))),
    };
    match group.owners.as_slice() {
        [owner] => writeln!(out, "{}{fate}", Label::Heading.paint(owner))?,
        owners => {
            let names: Vec<String> = owners.iter().map(ToString::to_string).collect();
            let heading = Label::Heading.paint(format!("{} {} with the same changes:", owners.len(), group.noun()));
            named(out, &heading, "  ", &names)?;
            if !fate.is_empty() {
                writeln!(out, "{fate}")?;
            }
            if !group.differing.is_empty() {
                let fields = words::listed(group.differing.iter().cloned());
                let text = format!("they differ in {fields}; --expand shows each of them");
                writeln!(out, "  {}", Label::Quiet.paint(text))?;
            }
        }
    }
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
    let Finding { code, severity, refuses, help, origin, .. } = finding;
    let word = match (severity, refuses) {
        (_, true) => Label::Error.paint(format!("refused[{code}]")),
        (Severity::Error, _) => Label::Error.paint(format!("error[{code}]")),
        (Severity::Warning, _) => Label::Warning.paint(format!("warning[{code}]")),
    };
    let place = origin.as_ref().map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
    writeln!(out, "{word}: {}{place}", finding.sentence())?;
    if let Some(help) = help {
        writeln!(out, "  help: {help}")?;
    }
    Ok(())
}
