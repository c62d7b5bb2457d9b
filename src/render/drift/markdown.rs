//! Drift for an issue, a merge request or a message: drift first, the rest counted, always below [`LIMIT`].

use std::fmt::Write as _;

use super::view::{DriftView, FieldView, Group, ResourceView, word};
use crate::markdown::{self, LIMIT, code, fence, list, listed, marker, plain};
use crate::visible::visible;
use tenantry_core::drift::State;
use tenantry_core::plan::Blocked;

/// The whole text. It ends with a newline.
pub fn report(view: &DriftView<'_>) -> String {
    let mut text =
        format!("{}\n### {}\n\n**{}**\n\n", marker("drift", view.drift.plan), plain(&view.title), view.counts);
    let lines = |reasons: &[(String, Vec<&Blocked>)]| -> Vec<String> {
        let line = |(reason, members): &(String, Vec<&Blocked>)| {
            let names = listed(members.iter().map(|blocked| blocked.address.to_string()));
            format!("{names}: {}", plain(reason))
        };
        reasons.iter().map(line).collect()
    };
    list(&mut text, "Unknown: these could not be read", lines(&view.unknown).into_iter());
    list(&mut text, "Blocked: these cannot be judged", lines(&view.blocked).into_iter());
    let findings = view.drift.findings.iter();
    list(
        &mut text,
        "Findings",
        findings.map(|finding| format!("{}: {}", code(&finding.code), plain(&finding.message))),
    );
    let unfinished = view.drift.unfinished.iter().map(|change| code(&change.address.to_string()));
    list(&mut text, "Left unfinished by a run; `tenantry apply` finishes them", unfinished);
    let ignored = view.ignored.iter();
    list(
        &mut text,
        "Ignored by rules",
        ignored.map(|(rule, resources)| format!("{} {}", listed(resources.iter().cloned()), plain(rule))),
    );
    if view.groups.is_empty() {
        return text;
    }
    text.push_str("#### Drift\n\n");
    for (at, group) in view.groups.iter().enumerate() {
        let folded = folded(group);
        let more = format!("\n… and {} more groups; `tenantry drift` shows all\n", view.groups.len() - at);
        if text.len() + folded.len() + more.len() > LIMIT {
            text.push_str(&more);
            break;
        }
        text.push_str(&folded);
    }
    text
}

fn folded(group: &Group<'_>) -> String {
    let names = listed(group.owners.iter().map(ToString::to_string));
    let heading = match group.owners.len() {
        1 => names,
        count => format!("{count} owners with the same drift: {names}"),
    };
    let mut lines = Vec::new();
    for resource in &group.resources {
        self::resource(&mut lines, resource);
    }
    let body: String = lines.iter().map(|line| format!("{}\n", visible(line))).collect();
    let fence = fence(&body);
    format!("\n<details><summary>{heading}</summary>\n\n{fence}diff\n{body}{fence}\n\n</details>\n")
}

fn resource(lines: &mut Vec<String>, resource: &ResourceView<'_>) {
    let ResourceView { state, id, kind, name, place, fields } = resource;
    let sign = match state {
        State::Changed => '!',
        State::Deleted => '-',
    };
    let mut line = format!("{sign} {} {id} {kind}", word(*state));
    if let Some(name) = name {
        let _ = write!(line, " {name}");
    }
    if let Some(place) = place {
        let _ = write!(line, " ({}:{})", place.file, place.line);
    }
    lines.push(line);
    for FieldView { name, difference, by } in fields {
        markdown::difference(lines, name, difference, by.as_deref());
    }
}
