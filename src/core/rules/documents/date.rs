//! Dates in a form that no comparison understands.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::diagnostics::codes;
use crate::model::clear::words;
use crate::model::config::Level;
use crate::model::document::{Metadata, Positions};
use crate::model::value::Value;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::NOT_A_DATE,
    level: Level::Warning,
    cause: "`now` is a text of ISO 8601, and texts are compared character by character. A date in another form, or a day that no month has, is earlier or later than every `now`, so what depends on it happens at once or never.",
    example: "
kind: Tenant
metadata: {name: acme}
spec: {values: {deletion_date: \"15.07.2026\"}}   # when: ${now > tenant.values.deletion_date}",
    remedy: "Write the date as `2026-07-15`, or the time as `2026-07-15T00:00:00Z`.",
};

/// Words at the end of the name of a date.
const NAMES: [&str; 11] =
    ["at", "begin", "date", "deadline", "end", "ends", "expires", "expiry", "from", "start", "until"];

/// Words of names of what only looks like a date.
const VERSIONS: [&str; 6] = ["build", "id", "number", "release", "tag", "version"];

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    for tier in &inputs.estate.tiers {
        values("tier", &tier.metadata, &tier.spec.values, &tier.positions, findings);
    }
    for tenant in &inputs.estate.tenants {
        values("tenant", &tenant.metadata, &tenant.spec.values, &tenant.positions, findings);
    }
}

fn values(
    sort: &str,
    metadata: &Metadata,
    values: &BTreeMap<Arc<str>, Value>,
    positions: &Positions,
    findings: &mut Findings<'_>,
) {
    let name = &metadata.name;
    let mut add = |pointer: &str, path: &str| {
        let message = format!("`{path}` of {sort} `{name}` is not a date of ISO 8601");
        findings.add_at(
            &RULE,
            positions.origin(pointer),
            "compared with `now`, it is always earlier or always later",
            message,
            "write it as 2026-07-15 or 2026-07-15T00:00:00Z",
        );
    };
    for (key, value) in values {
        value.for_each_leaf(&mut |below, leaf| {
            let pointer = format!("/spec/values/{key}{below}");
            let name = pointer.rsplit('/').find(|token| !token.bytes().all(|byte| byte.is_ascii_digit()));
            if leaf.as_str().is_some_and(|text| is_wrong(name.unwrap_or_default(), text)) {
                add(&pointer, &pointer["/spec/".len()..].replace('/', "."));
            }
        });
    }
    for (key, text) in metadata.annotations.iter().filter(|(key, text)| is_wrong(key, text)) {
        let _ = text;
        let token = key.replace('~', "~0").replace('/', "~1");
        add(&format!("/metadata/annotations/{token}"), &format!("metadata.annotations.{key}"));
    }
}

/// Whether a text is meant as a date by its name and form, and is none.
fn is_wrong(name: &str, text: &str) -> bool {
    let words = words(name);
    let is_named = words.last().is_some_and(|last| NAMES.contains(&&**last));
    let is_version = words.iter().any(|word| VERSIONS.contains(&&**word));
    (is_named && looks_like_date(text) || !is_version && is_date_of_day_first(text)) && !is_date(text)
}

/// `15.07.2026` and `15/07/2026`: a date whatever it is called, but for versions.
fn is_date_of_day_first(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['.', '/']).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [2, 2, 4] && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Numbers with the separators of a date between them, such as `15.07.2026`, `7/15/2026` and `2026-02-30`.
fn looks_like_date(text: &str) -> bool {
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split(['.', '/', '-']).collect();
    let is_number = |part: &&str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number) && parts.iter().any(|part| part.len() == 4)
}

fn is_date(text: &str) -> bool {
    // `T` or a space between day and time, with or without seconds and zone: all of them sort like `now`.
    let is_day = text.get(..10).is_some_and(|day| day.parse::<Date>().is_ok());
    text.parse::<Timestamp>().is_ok() || is_day && text[10..].starts_with(['T', ' ', 't']) || is_day && text.len() == 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_from_other_forms_of_dates() {
        for text in ["2026-07-15", "2026-07-15T00:00:00Z", "2026-07-15 08:30", "soon", "1.2.3", "10.0.0.1", "2026"] {
            assert!(!is_wrong("deletion_date", text), "{text}");
        }
        for text in ["15.07.2026", "07/15/2026", "2026-02-30", "2026/07/15", "15-07-2026"] {
            assert!(is_wrong("deletionDate", text) && is_wrong("trial_ends_at", text), "{text}");
        }
        assert!(is_wrong("deletion", "15.07.2026") && !is_wrong("deletion", "15-07-2026"));
        assert!(!is_wrong("version", "15.07.2026"));
    }
}
