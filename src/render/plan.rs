//! A plan as text for people.
//!
//! Per owner, changed fields only; identical changes of several owners as one group; what is blocked and every finding;
//! the counts at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use super::hindrance;
use super::page::Page;
use super::reason::sentence;
use super::style::Label;
use super::words;
use tenantry_core::diagnostics::{Severity, codes};
use tenantry_core::model::address::Owner;
use tenantry_core::model::kind::{at, readable_identity};
use tenantry_core::model::value::{Value, readable_pointer};
use tenantry_core::plan::sensitive::{self, MASK};
use tenantry_core::plan::{Action, Blocked, Cause, Change, Finding, Place, Plan, Transition};

/// Owners that a group has at least, to be shown as one.
const GROUP: usize = 2;
/// Names that a group's heading lists before it only counts.
const NAMES: usize = 6;
/// Characters of a value before it is shortened.
const VALUE: usize = 72;
/// Characters that are alike and kept before the first that differs, of values that are shortened.
const BEFORE: usize = 20;

/// How a plan is shown.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Whether personal and other sensitive values are shown. References to secrets never hold one.
    pub reveal: bool,
    /// Pointers of the fields of a kind that are SQL: what would run is shown as a whole.
    pub sql: &'a dyn Fn(&str) -> Vec<String>,
}

/// Writes a plan. Colours are written as escape sequences; the caller strips them where there is no terminal.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut Page<'_>, plan: &Plan, view: View<'_>) -> io::Result<()> {
    heading(out, plan)?;
    let mut owners: BTreeMap<&Owner, (Vec<&Change>, Option<&Transition>)> = BTreeMap::new();
    for change in &plan.changes {
        owners.entry(&change.address.owner).or_default().0.push(change);
    }
    let of_tenants: Vec<(Owner, &Transition)> =
        plan.transitions.iter().map(|transition| (Owner::Tenant(transition.tenant.clone()), transition)).collect();
    for (owner, transition) in &of_tenants {
        owners.entry(owner).or_default().1 = Some(transition);
    }
    let mut groups: Vec<(String, Vec<&Owner>)> = Vec::new();
    let mut by_signature: BTreeMap<String, usize> = BTreeMap::new();
    for (owner, (changes, transition)) in &owners {
        let signature = signature(changes, *transition);
        let group = *by_signature.entry(signature.clone()).or_insert_with(|| {
            groups.push((signature, Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push(owner);
    }
    for (_, members) in &groups {
        if members.len() >= GROUP {
            let all: Vec<&[&Change]> = members.iter().map(|owner| owners[owner].0.as_slice()).collect();
            group(out, members, &all, owners[members[0]].1, view)?;
        } else {
            for owner in members {
                let (changes, transition) = &owners[owner];
                self::owner(out, owner, changes, *transition, view)?;
            }
        }
    }
    blocked(out, &plan.blocked)?;
    findings(out, &plan.findings)?;
    writeln!(out, "{}", Label::Heading.paint(counts(plan)))
}

fn heading(out: &mut Page<'_>, plan: &Plan) -> io::Result<()> {
    let mut text = format!("Plan for estate {}", plan.estate);
    if let Some(environment) = &plan.environment {
        let _ = write!(text, ", environment {environment}");
    }
    if let Some(revision) = &plan.revision {
        let _ = write!(text, ", at {}", revision.get(..12).unwrap_or(revision));
    }
    writeln!(out, "{}", Label::Heading.paint(text))?;
    if plan.simulated {
        writeln!(
            out,
            "{}",
            Label::Quiet.paint("Simulated: every target is the sandbox; no real system is looked at or changed.")
        )?;
    }
    writeln!(out)
}

/// What two owners must have in common to be shown as one.
fn signature(changes: &[&Change], transition: Option<&Transition>) -> String {
    let mut text = String::new();
    if let Some(transition) = transition {
        let _ = write!(text, "{:?}→{};", transition.from, transition.to);
    }
    for change in changes {
        let Change { address, kind, work, cause, protected, .. } = change;
        let _ = write!(text, "{}{:?} {kind} {:?} {cause:?} {protected};", address.id, address.each, work.action());
        for field in work.fields() {
            let _ = write!(text, "{} {:?} {:?};", field.path, field.before, field.after);
        }
    }
    text
}

fn owner(
    out: &mut Page<'_>,
    owner: &Owner,
    changes: &[&Change],
    transition: Option<&Transition>,
    view: View<'_>,
) -> io::Result<()> {
    writeln!(out, "{}{}", Label::Heading.paint(owner), transition.map(phase).unwrap_or_default())?;
    let (records, others) = records_apart(changes);
    for (_, change) in others {
        self::change(out, change, Some((sentence(&change.reason), change.origin.as_ref())), true, view)?;
    }
    self::records(out, &records)?;
    writeln!(out)
}

/// What only puts something on record, of which there is more than one, and everything else; with their places.
fn records_apart<'a>(changes: &[&'a Change]) -> (Vec<&'a Change>, Vec<(usize, &'a Change)>) {
    if changes.iter().filter(|change| change.is_only_record()).count() < 2 {
        return (Vec::new(), changes.iter().copied().enumerate().collect());
    }
    let records = changes.iter().copied().filter(|change| change.is_only_record()).collect();
    (records, changes.iter().copied().enumerate().filter(|(_, change)| !change.is_only_record()).collect())
}

/// In one line: nothing of them changes in a target.
fn records(out: &mut Page<'_>, records: &[&Change]) -> io::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = records.iter().take(NAMES).map(|change| id(change)).collect();
    let more = records.len().saturating_sub(NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let symbol = words::label(Action::Update).paint(format!(
        "{} {:<7} {}{more}",
        words::symbol(Action::Update),
        Action::Update.as_str(),
        names.join(", ")
    ));
    writeln!(
        out,
        "  {symbol}  {}",
        Label::Quiet.paint("the inventory is brought up to date; the targets stay as they are")
    )
}

fn id(change: &Change) -> String {
    match &change.address.each {
        Some(each) => format!("{}[{each:?}]", change.address.id),
        None => change.address.id.to_string(),
    }
}

fn group(
    out: &mut Page<'_>,
    members: &[&Owner],
    changes: &[&[&Change]],
    transition: Option<&Transition>,
    view: View<'_>,
) -> io::Result<()> {
    let names: Vec<String> = members.iter().take(NAMES).map(ToString::to_string).collect();
    let more = members.len().saturating_sub(NAMES);
    let names = if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) };
    let what = match members {
        members if members.iter().all(|owner| owner.tenant().is_some()) => "tenants",
        members if members.iter().all(|owner| matches!(owner, Owner::Tier(_))) => "tiers",
        _ => "owners",
    };
    let heading = format!("{} {what} with the same changes: {names}", members.len());
    writeln!(out, "{}{}", Label::Heading.paint(heading), transition.map(phase).unwrap_or_default())?;
    let (records, others) = records_apart(changes[0]);
    for (index, change) in others {
        // The place is shown if it is one for all.
        let alike = || changes.iter().map(|changes| changes[index]);
        let origin = change.origin.as_ref().filter(|_| alike().all(|other| other.origin == change.origin));
        let reason = alike().all(|other| other.reason == change.reason).then_some((sentence(&change.reason), origin));
        self::change(out, change, reason, false, view)?;
    }
    self::records(out, &records)?;
    writeln!(out)
}

fn phase(transition: &Transition) -> String {
    match &transition.from {
        Some(from) if *from == transition.to => format!("  {}", Label::Quiet.paint(format!("renamed, still {from}"))),
        Some(from) => format!("  {from} → {}", transition.to),
        None => format!("  {}", Label::Quiet.paint(format!("new, {}", transition.to))),
    }
}

fn change(
    out: &mut Page<'_>,
    change: &Change,
    because: Option<(String, Option<&Place>)>,
    alone: bool,
    view: View<'_>,
) -> io::Result<()> {
    let Change { kind, work, .. } = change;
    let action = work.action();
    let label = words::label(action);
    let what = id(change);
    let mut line =
        format!("  {} {kind}", label.paint(format!("{} {:<7} {what}", words::symbol(action), action.as_str())));
    if alone {
        match work.identity() {
            Some(identity) => _ = write!(line, " {}", readable_identity(identity)),
            None => line.push_str(" (name known after apply)"),
        }
    }
    // That a new tenant's resources are not there yet goes without saying.
    let obvious = action == Action::Create && change.cause == Cause::Pending;
    if let Some((reason, origin)) = because.filter(|_| !obvious) {
        let _ = write!(line, "  {}", Label::Quiet.paint(reason));
        if let Some(origin) = origin {
            let _ = write!(line, " {}", Label::Quiet.paint(format!("({}:{})", origin.file, origin.line)));
        }
    }
    writeln!(out, "{line}")?;
    let sql = (view.sql)(kind);
    for field in
        work.fields().iter().filter(|field| !(field.after.is_some() && sql.iter().any(|path| **path == *field.path)))
    {
        let is_hidden = !view.reveal && sensitive::covers(&change.sensitive, &field.path);
        let show = |value: &Option<Value>| match value {
            None => "(none)".to_owned(),
            Some(Value::Deferred(deferred)) => deferred.to_string(),
            Some(_) if is_hidden => MASK.to_owned(),
            Some(value) => in_full(value),
        };
        let (before, after) = short(&show(&field.before), &show(&field.after));
        let path = readable_pointer(&field.path);
        writeln!(out, "      {path}: {before} → {after}")?;
    }
    for path in &sql {
        self::sql(out, change, path, alone, view)?;
    }
    Ok(())
}

/// The SQL that would run, line by line.
fn sql(out: &mut Page<'_>, change: &Change, path: &str, alone: bool, view: View<'_>) -> io::Result<()> {
    let is_new = matches!(change.action(), Action::Create | Action::Replace);
    if !is_new && !change.work.fields().iter().any(|field| *field.path == *path) {
        return Ok(());
    }
    let Some(text) = change.work.after().and_then(|after| at(after, path)?.as_str()) else { return Ok(()) };
    let whose = if alone { String::new() } else { format!(" (of {})", change.address.owner) };
    writeln!(out, "      {}{whose}:", readable_pointer(path))?;
    if !view.reveal && sensitive::covers(&change.sensitive, path) {
        return writeln!(out, "        {MASK}");
    }
    for line in text.trim_end().lines() {
        writeln!(out, "        {line}")?;
    }
    Ok(())
}

fn in_full(value: &Value) -> String {
    match value {
        Value::Text(text) if !text.is_empty() && !text.contains(['\n', '\t', '"']) => text.to_string(),
        other => other.to_json().to_string(),
    }
}

/// Both sides of a difference, with what differs among the characters that are kept.
fn short(before: &str, after: &str) -> (String, String) {
    let alike = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let begin = if alike < VALUE - BEFORE { 0 } else { alike - BEFORE };
    let part = |text: &str| {
        let mut kept: String = if begin == 0 { String::new() } else { "…".to_owned() };
        let mut rest = text.chars().skip(begin);
        let room = VALUE - kept.chars().count();
        kept.extend(rest.by_ref().take(room));
        if rest.next().is_some() {
            kept.pop();
            kept.push('…');
        }
        kept
    };
    (part(before), part(after))
}

fn blocked(out: &mut Page<'_>, blocked: &[Blocked]) -> io::Result<()> {
    if blocked.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", Label::Heading.paint("Blocked: nothing is done about these"))?;
    let mut by_reason: BTreeMap<(&str, String), Vec<&Blocked>> = BTreeMap::new();
    for blocked in blocked {
        by_reason.entry((&blocked.code, hindrance::sentence(&blocked.reason))).or_default().push(blocked);
    }
    for ((_, reason), members) in by_reason {
        let names: Vec<String> = members.iter().take(NAMES).map(|blocked| blocked.address.to_string()).collect();
        let more = members.len().saturating_sub(NAMES);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        writeln!(out, "  {} {}{more}: {reason}", Label::Warning.paint("!"), names.join(", "))?;
    }
    if blocked.iter().any(|blocked| *blocked.code == *codes::UNKNOWN_STATE.0) {
        writeln!(out, "  help: `tenantry doctor` shows whether a target answers")?;
    }
    writeln!(out)
}

/// Writes findings, as `plan` ends with them.
///
/// # Errors
/// Those of `out`.
pub fn findings(out: &mut Page<'_>, findings: &[Finding]) -> io::Result<()> {
    // One reason that blocks a thousand resources is one thing to know.
    let mut seen = 0;
    // What could not be read stands among what is blocked already.
    let told = |finding: &&Finding| *finding.code != *codes::UNKNOWN_STATE.0;
    for finding in findings.iter().filter(told) {
        let Finding { code, severity, refuses, message, help, origin, .. } = finding;
        if !refuses && seen >= 20 {
            continue;
        }
        seen += 1;
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
    }
    let hidden = findings.iter().filter(told).count() - seen;
    if hidden > 0 {
        writeln!(out, "… and {hidden} more findings; --format json has them all")?;
    }
    if seen == 0 { Ok(()) } else { writeln!(out) }
}

/// The last line of a plan.
pub fn counts(plan: &Plan) -> String {
    let summary = plan.summary();
    let mut parts: Vec<String> = [
        (summary.create, "to create"),
        (summary.update, "to update"),
        (summary.replace, "to replace"),
        (summary.delete, "to delete"),
        (summary.adopt, "to adopt"),
        (summary.moved, "to move"),
        (summary.forget, "to forget"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, words)| format!("{count} {words}"))
    .collect();
    if parts.is_empty() && plan.transitions.is_empty() {
        parts.push("nothing to do".into());
    }
    if !plan.transitions.is_empty() {
        parts.push(words::count(plan.transitions.len(), "phase change"));
    }
    parts.push(format!("{} unchanged", summary.unchanged));
    if summary.drifted > 0 {
        parts.push(format!("{} drifted", summary.drifted));
    }
    if summary.blocked > 0 {
        parts.push(format!("{} blocked", summary.blocked));
    }
    let refused = if plan.is_refused() { " Refused by a guard: apply would write nothing." } else { "" };
    format!("{}.{refused}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_values_the_part_that_differs_is_shown() {
        assert_eq!(short("a", "b"), ("a".into(), "b".into()));
        let (before, after) = short(&format!("{}one", "x".repeat(200)), &format!("{}two", "x".repeat(200)));
        assert_eq!((before.as_str(), after.as_str()), ("…xxxxxxxxxxxxxxxxxxxxone", "…xxxxxxxxxxxxxxxxxxxxtwo"));
        let (before, after) = short("(none)", &"é".repeat(100));
        assert_eq!((before.as_str(), after.chars().count()), ("(none)", VALUE));
        let (before, after) = short(&"x".repeat(200), &"x".repeat(90));
        assert!(before.ends_with('…') && after.chars().count() < VALUE && before != after, "{before} {after}");
    }
}
