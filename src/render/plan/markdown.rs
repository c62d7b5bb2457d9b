//! A plan as a comment of a pull request.
//!
//! What has to be seen comes first: counts, refusals, deletions, findings. The changes themselves are folded. Everything that
//! was written by others is inside of a fenced block or has its special characters as entities, so that it can neither format
//! the comment nor mention anybody.

use std::fmt::Write as _;

use super::fate::Effect;
use super::view::{ChangeView, Group, PlanView, SECRETS_UNREAD, Script, WAVES};
pub use crate::markdown::LIMIT;
use crate::markdown::{self, code, fence, list, listed, plain};
use crate::visible::visible;
use tenantry_core::diagnostics::Severity;
use tenantry_core::model::address::Owner;
use tenantry_core::plan::sensitive::MASK;
use tenantry_core::plan::{Action, Blocked, Finding, Granted};

/// What the names of those owners take at most whose changes have no room.
const NAMES_LIMIT: usize = 20_000;

/// What the names of a wave's tenants take at most, so that their line is not cut.
const MEMBERS_LIMIT: usize = 500;

/// The whole comment. It ends with a newline and has at most [`LIMIT`] bytes.
pub fn comment(view: &PlanView<'_>) -> String {
    let mut text = head(view);
    let all: Vec<String> = view.groups.iter().map(folded).collect();
    let is_whole = text.len() + all.iter().map(String::len).sum::<usize>() <= LIMIT;
    let room = if is_whole { LIMIT } else { LIMIT - NAMES_LIMIT };
    let mut left_out: Vec<&Owner> = Vec::new();
    for (group, whole) in view.groups.iter().zip(&all) {
        // The order stays: what has no room is not made up for by what comes after it.
        if left_out.is_empty() && text.len() + whole.len() <= room {
            text.push_str(whole);
        } else {
            left_out.extend(&group.owners);
        }
    }
    if !left_out.is_empty() {
        text.push_str(&without_room(&left_out, LIMIT.saturating_sub(text.len())));
    }
    text
}

/// The names of owners whose changes are not shown, as many as there is room for.
fn without_room(owners: &[&Owner], room: usize) -> String {
    let begin = format!(
        "\n<details><summary>{} more {}; <code>tenantry plan</code> shows what changes for them</summary>\n\n",
        owners.len(),
        if owners.len() == 1 { "owner" } else { "owners" }
    );
    let end = "\n\n</details>\n";
    let mut text = begin;
    for (at, owner) in owners.iter().enumerate() {
        let name = format!("{}{}", if at == 0 { "" } else { ", " }, code(&owner.to_string()));
        let more = format!(" and {} more", owners.len() - at);
        if text.len() + name.len() + more.len() + end.len() > room {
            text.push_str(&more);
            break;
        }
        text.push_str(&name);
    }
    text + end
}

/// The first line of a comment, by which the comment of an earlier plan is found and replaced.
pub fn marker(view: &PlanView<'_>) -> String {
    markdown::marker("plan", view.plan)
}

fn head(view: &PlanView<'_>) -> String {
    let mut text = format!("{}\n### {}\n\n**{}**\n\n", marker(view), plain(&view.title), view.counts);
    if view.plan.is_refused() {
        text.push_str("> [!CAUTION]\n> A guard refuses this plan. Nothing of it can be applied.\n\n");
    }
    if view.plan.secrets_unread {
        let _ = writeln!(text, "{SECRETS_UNREAD}\n");
    }
    if view.plan.simulated {
        text.push_str("Simulated: every target is the sandbox; no real system is looked at or changed.\n\n");
    }
    if let Some(narrowed) = &view.narrowed {
        let _ = writeln!(text, "**{}.**\n", plain(narrowed));
    }
    list(&mut text, "Tenants", view.effects.iter().map(effect));
    let waves = view.waves.iter().map(|(wave, tenants)| format!("{}: {}", plain(wave), members_of(tenants)));
    list(&mut text, &format!("Rollout. {WAVES}"), waves);
    let destroyed = view.groups.iter().flat_map(|group| {
        let destroys = group.changes.iter().filter(|change| change.action.destroys());
        destroys.map(|change| destroyed(group, change))
    });
    list(&mut text, "Deleted or replaced", destroyed);
    list(&mut text, "Findings", view.findings.iter().map(|finding| self::finding(finding)));
    list(
        &mut text,
        "Blocked: nothing is done about these",
        view.blocked.iter().map(|(reason, members)| {
            let names = listed(members.iter().map(|Blocked { address, .. }| address.to_string()));
            format!("{names}: {}", plain(reason))
        }),
    );
    let approvals = view.plan.approvals.iter().map(|(name, Granted { expires, reason })| {
        let because = if reason.is_empty() { String::new() } else { format!(": {}", plain(reason)) };
        format!("{}, until {}{because}", code(name), code(expires))
    });
    list(&mut text, "Approvals in use", approvals);
    list(&mut text, "Systems", view.systems.iter().map(|(name, system)| format!("{}: {}", code(name), code(system))));
    if !view.groups.is_empty() {
        text.push_str("#### Changes\n\n");
    }
    text
}

/// As many names as a line of a list has room for.
fn members_of(tenants: &[String]) -> String {
    let mut text = String::new();
    for (at, name) in tenants.iter().enumerate() {
        let name = format!("{}{}", if at == 0 { "" } else { ", " }, code(name));
        if text.len() + name.len() > MEMBERS_LIMIT {
            let _ = write!(text, " and {} more", tenants.len() - at);
            break;
        }
        text.push_str(&name);
    }
    text
}

fn effect(Effect { what, who, is_loss }: &Effect) -> String {
    let what = if *is_loss { format!("**{}**", plain(what)) } else { plain(what) };
    match who.is_empty() {
        true => what,
        // Whoever loses something is not left out for brevity's sake.
        false if *is_loss => format!("{what}: {}", who.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")),
        false => format!("{what}: {}", listed(who.iter().cloned())),
    }
}

fn destroyed(group: &Group<'_>, change: &ChangeView<'_>) -> String {
    let ChangeView { action, id, kind, name, loses_data, .. } = change;
    let owners = listed(group.owners.iter().map(ToString::to_string));
    let name = name.as_ref().map(|name| format!(" {}", code(name))).unwrap_or_default();
    let data = if *loses_data { " **The data in it is lost.**" } else { "" };
    format!("**{}** {owners}: {} {}{name}{data}", action.as_str(), code(id), plain(kind))
}

fn finding(finding: &Finding) -> String {
    let Finding { code, severity, refuses, help, origin, .. } = finding;
    let word = match (severity, refuses) {
        (_, true) => "**refused**",
        (Severity::Error, _) => "**error**",
        (Severity::Warning, _) => "warning",
    };
    let place =
        origin.as_ref().map(|place| format!(" ({}:{})", self::code(&place.file), place.line)).unwrap_or_default();
    let help = help.as_ref().map(|help| format!(" Help: {}", plain(help))).unwrap_or_default();
    format!("{word} {}: {}{place}.{help}", self::code(code), plain(&finding.sentence()))
}

/// A group with all its changes, folded.
fn folded(group: &Group<'_>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for change in &group.changes {
        self::change(&mut lines, change);
    }
    for record in &group.records {
        lines.push(format!("  record  {record}: the inventory is brought up to date; the target stays as it is"));
    }
    let heading = summary(group);
    if lines.is_empty() {
        return format!("- {heading}\n");
    }
    let body: String = lines.iter().map(|line| format!("{}\n", visible(line))).collect();
    let fence = fence(&body);
    let members = members(group);
    format!("\n<details><summary>{heading}</summary>\n\n{members}{fence}diff\n{body}{fence}\n\n</details>\n")
}

/// Who is in a group, and how much is done.
fn summary(group: &Group<'_>) -> String {
    let names = listed(group.owners.iter().map(ToString::to_string));
    let names = match group.owners.len() {
        1 => names,
        count => format!("{count} {} with the same changes: {names}", group.noun()),
    };
    let fate = match group.fate() {
        fate if fate.is_empty() => String::new(),
        fate => format!(" ({})", plain(&fate.join(", "))),
    };
    match group.counts() {
        counts if counts.is_empty() => format!("{names}{fate}"),
        counts => format!("{names}{fate}: {}", counts.join(", ")),
    }
}

/// Who is in a group of several, and in what they differ.
fn members(group: &Group<'_>) -> String {
    if group.owners.len() < 2 {
        return String::new();
    }
    let names: Vec<String> = group.owners.iter().map(|owner| code(&owner.to_string())).collect();
    let mut text = match names.len() > 6 {
        true => format!("{}\n\n", names.join(", ")),
        false => String::new(),
    };
    if !group.differing.is_empty() {
        let _ = write!(text, "They differ in {}.\n\n", listed(group.differing.iter().cloned()));
    }
    text
}

/// The sign in the first column is that of the format `diff`, from which the line gets its colour.
fn change(lines: &mut Vec<String>, change: &ChangeView<'_>) {
    let ChangeView { action, id, kind, name, reason, place, .. } = change;
    let sign = match action {
        Action::Create => '+',
        Action::Delete | Action::Replace => '-',
        Action::Update | Action::Adopt | Action::Move | Action::Forget => '!',
    };
    let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let reason = reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
    let place = place.map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
    lines.push(format!("{sign} {:<7} {id} {kind}{name}{reason}{place}", action.as_str()));
    for (field, value) in &change.contents {
        lines.push(format!("      {field}: {value}"));
    }
    for (field, difference) in &change.fields {
        markdown::difference(lines, field, difference, None);
    }
    for Script { field, whose, text } in &change.scripts {
        let whose = whose.map(|owner| format!(" (of {owner})")).unwrap_or_default();
        lines.push(format!("      {field}{whose}:"));
        lines.extend(text.unwrap_or(MASK).lines().map(|line| format!("        {line}")));
    }
}
