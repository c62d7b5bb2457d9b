//! A plan as a comment of a pull request.
//!
//! What has to be seen comes first: counts, refusals, deletions, findings. The changes themselves are folded. Everything that
//! was written by others is inside of a fenced block or has its special characters as entities, so that it can neither format
//! the comment nor mention anybody.

use std::fmt::Write as _;

use super::difference::{Difference, Sign};
use super::view::{ChangeView, Group, PlanView, Script};
use crate::visible::visible;
use tenantry_core::diagnostics::Severity;
use tenantry_core::model::address::Owner;
use tenantry_core::plan::sensitive::MASK;
use tenantry_core::plan::{Action, Blocked, Finding};

/// The most bytes of a comment. GitHub takes 65,536 characters: <https://github.com/orgs/community/discussions/41331>.
pub const LIMIT: usize = 65_000;
/// What the names of those owners take at most whose changes have no room.
const NAMES_LIMIT: usize = 20_000;
/// Lines of a list that is not folded, and what they take at most: the five lists leave room for the changes.
const LISTED: usize = 30;
const LIST_LIMIT: usize = 7_000;
/// Names before a line only counts.
const NAMES: usize = 6;

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
    let name = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let environment = view.plan.environment.as_deref().map(name).unwrap_or_default();
    format!("<!-- tenantry:plan:{}:{environment} -->", name(&view.plan.estate))
}

fn head(view: &PlanView<'_>) -> String {
    let mut text = format!("{}\n### {}\n\n**{}**\n\n", marker(view), plain(&view.title), view.counts);
    if view.plan.is_refused() {
        text.push_str("> [!CAUTION]\n> A guard refuses this plan. Nothing of it can be applied.\n\n");
    }
    if view.plan.simulated {
        text.push_str("Simulated: every target is the sandbox; no real system is looked at or changed.\n\n");
    }
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
    let approvals = view.plan.approvals.iter();
    list(
        &mut text,
        "Approvals in use",
        approvals.map(|(name, until)| format!("{}, until {}", code(name), code(until))),
    );
    list(&mut text, "Systems", view.systems.iter().map(|(name, system)| format!("{}: {}", code(name), code(system))));
    if !view.groups.is_empty() {
        text.push_str("#### Changes\n\n");
    }
    text
}

fn list(text: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "#### {heading}\n");
    let begin = text.len();
    for (at, line) in lines.iter().enumerate() {
        let line = format!("- {}\n", cut(line));
        if at == LISTED || text.len() - begin + line.len() > LIST_LIMIT {
            let _ = writeln!(text, "- … and {} more", lines.len() - at);
            break;
        }
        text.push_str(&line);
    }
    text.push('\n');
}

/// A line that is longer than any that people read is cut where nothing is open.
fn cut(line: &str) -> String {
    const LONGEST: usize = 600;
    if line.len() <= LONGEST {
        return line.to_owned();
    }
    let end = line.char_indices().take_while(|(at, _)| *at < LONGEST).last().map_or(0, |(at, _)| at);
    let kept = &line[..end];
    // Not within an entity, and not within a tag.
    let kept = &kept[..kept.rfind('&').filter(|at| !kept[*at..].contains(';')).unwrap_or(kept.len())];
    let kept = &kept[..kept.rfind('<').filter(|at| !kept[*at..].contains('>')).unwrap_or(kept.len())];
    let close = if kept.matches("<code>").count() > kept.matches("</code>").count() { "</code>" } else { "" };
    format!("{kept}…{close}")
}

fn destroyed(group: &Group<'_>, change: &ChangeView<'_>) -> String {
    let ChangeView { action, id, kind, name, loses_data, .. } = change;
    let owners = listed(group.owners.iter().map(ToString::to_string));
    let name = name.as_ref().map(|name| format!(" {}", code(name))).unwrap_or_default();
    let data = if *loses_data { " **The data in it is lost.**" } else { "" };
    format!("**{}** {owners}: {} {}{name}{data}", action.as_str(), code(id), plain(kind))
}

fn finding(Finding { code, severity, refuses, message, help, origin, .. }: &Finding) -> String {
    let word = match (severity, refuses) {
        (_, true) => "**refused**",
        (Severity::Error, _) => "**error**",
        (Severity::Warning, _) => "warning",
    };
    let place =
        origin.as_ref().map(|place| format!(" ({}:{})", self::code(&place.file), place.line)).unwrap_or_default();
    let help = help.as_ref().map(|help| format!(" Help: {}", plain(help))).unwrap_or_default();
    format!("{word} {}: {}{place}.{help}", self::code(code), plain(message))
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
    format!("\n<details><summary>{heading}</summary>\n\n{fence}diff\n{body}{fence}\n\n</details>\n")
}

/// Who is in a group, and how much is done.
fn summary(group: &Group<'_>) -> String {
    let names = listed(group.owners.iter().map(ToString::to_string));
    let names = match group.owners.len() {
        1 => names,
        count => format!("{count} {} with the same changes: {names}", group.noun()),
    };
    let phase = group.phase().map(|phase| format!(" ({phase})")).unwrap_or_default();
    let actions =
        [Action::Create, Action::Update, Action::Replace, Action::Delete, Action::Adopt, Action::Move, Action::Forget];
    let counted: Vec<String> = actions
        .into_iter()
        .map(|action| (group.changes.iter().filter(|change| change.action == action).count(), action))
        .filter(|(count, _)| *count > 0)
        .map(|(count, action)| format!("{count} to {}", action.as_str()))
        .collect();
    match counted.is_empty() {
        true => format!("{names}{phase}"),
        false => format!("{names}{phase}: {}", counted.join(", ")),
    }
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
        match difference {
            Difference::Values { before, after } => {
                lines.push(format!("-     {field}: {before}"));
                lines.push(format!("+     {field}: {after}"));
            }
            Difference::Lines(differing) => {
                lines.push(format!("      {field}:"));
                for line in differing {
                    let (sign, mark) = match line.sign {
                        Sign::Removed => ('-', ' '),
                        Sign::Added => ('+', ' '),
                        Sign::Moved => ('!', '>'),
                        Sign::Same => (' ', ' '),
                        Sign::Gap => (' ', '…'),
                    };
                    lines.push(format!("{sign}     {mark} {}", line.text));
                }
            }
        }
    }
    for Script { field, whose, text } in &change.scripts {
        let whose = whose.map(|owner| format!(" (of {owner})")).unwrap_or_default();
        lines.push(format!("      {field}{whose}:"));
        lines.extend(text.unwrap_or(MASK).lines().map(|line| format!("        {line}")));
    }
}

/// Longer than any row of backticks in the text, which would end the block.
fn fence(body: &str) -> String {
    let longest = body.split(|character| character != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let first = names.take(NAMES).map(|name| code(&name)).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// A name or value of others.
fn code(text: &str) -> String {
    let text = visible(text);
    format!("<code>{}</code>", text.chars().map(entity).collect::<String>())
}

/// A sentence of Tenantry's with names and values of others in it. What it has in backticks becomes code.
///
/// Mentions of people and references to other issues are looked for in the finished text, where an entity is its character
/// again, but not in code.
fn plain(text: &str) -> String {
    let text = visible(text);
    let parts: Vec<&str> = text.split('`').collect();
    let is_paired = !parts.len().is_multiple_of(2);
    let mut shown = String::with_capacity(text.len() * 2);
    for (at, part) in parts.iter().enumerate() {
        match is_paired && at % 2 == 1 {
            true => shown.push_str(&code(part)),
            false => part.chars().for_each(|character| match character {
                '@' | '#' => _ = write!(shown, "<code>{character}</code>"),
                character => shown.push_str(&entity(character)),
            }),
        }
        if !is_paired && at + 1 < parts.len() {
            shown.push_str(&entity('`'));
        }
    }
    shown
}

/// A character as Markdown and HTML show it and do not obey it. With colons and full stops as entities, no address becomes a
/// link.
fn entity(character: char) -> String {
    let is_harmless = !character.is_ascii_punctuation() || " ,-/();=%?'\"+".contains(character);
    if is_harmless { character.to_string() } else { format!("&#{};", u32::from(character)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(code("a`b</code><img src=x>"), "<code>a&#96;b&#60;/code&#62;&#60;img src=x&#62;</code>");
        assert_eq!(
            plain("the phase `new*` of @team, see #12"),
            "the phase <code>new&#42;</code> of <code>@</code>team, see <code>#</code>12"
        );
        assert_eq!(plain("one ` alone"), "one &#96; alone");
        assert_eq!(plain("www.example.com http://x"), "www&#46;example&#46;com http&#58;//x");
        assert_eq!(code("\u{202e}x\n# y"), "<code>&#92;u&#123;202e&#125;x&#92;n&#35; y</code>");
    }

    #[test]
    fn a_fence_is_longer_than_every_row_of_backticks() {
        assert_eq!(fence("no backtick"), "```");
        assert_eq!(fence("a ``` b"), "````");
    }

    #[test]
    fn a_list_of_long_lines_leaves_room_for_the_rest() {
        let mut text = String::new();
        list(&mut text, "Findings", std::iter::repeat_n("x".repeat(900), 40));
        assert!(text.len() < LIST_LIMIT + 100, "{}", text.len());
        let shown = text.matches("\n- x").count();
        assert!(text.ends_with(&format!("- … and {} more\n\n", 40 - shown)) && shown > 5, "{shown}");
    }

    #[test]
    fn a_long_line_is_cut_where_nothing_is_open() {
        let line = format!("{} <code>{}</code>", "x".repeat(590), "&#96;".repeat(50));
        let cut = cut(&line);
        assert!(cut.len() < 640 && cut.ends_with("…</code>"), "{cut}");
        assert_eq!(cut.matches("<code>").count(), cut.matches("</code>").count());
        assert!(!cut.contains("&#…") && !cut.contains("&…"), "{cut}");
    }
}
