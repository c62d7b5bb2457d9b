//! Issues as SARIF 2.1.0, for code scanning: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Issue, Level};
use tenantry_core::diagnostics::codes;

/// The whole log.
pub fn log(issues: &[Issue], version: &str) -> Value {
    let meanings: BTreeMap<&str, &str> = codes::ALL.iter().map(|(code, meaning)| (code.0, *meaning)).collect();
    let mut rules: Vec<&str> = issues.iter().map(|issue| issue.code.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    let rule = |code: &&str| {
        let meaning = meanings.get(code).copied().unwrap_or("A change that destroys something.");
        json!({"id": code, "shortDescription": {"text": meaning}})
    };
    let result = |issue: &Issue| {
        let location = issue.place.as_ref().map(|place| {
            let mut region = json!({"startLine": place.line});
            if let Some((column, end_line, end_column)) = place.columns {
                region = json!({
                    "startLine": place.line, "startColumn": column, "endLine": end_line, "endColumn": end_column,
                });
            }
            let uri = uri(&place.file);
            json!({"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}})
        });
        json!({
            "ruleId": issue.code,
            "level": level(issue.level),
            "message": {"text": issue.text()},
            "locations": location.into_iter().collect::<Vec<_>>(),
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Tenantry",
                "version": version,
                "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            }},
            // Columns are counted in characters.
            "columnKind": "unicodeCodePoints",
            "results": issues.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// A relative path as a URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::super::Location;
    use super::*;

    #[test]
    fn a_result_has_its_rule_and_its_region() {
        let place = Location { file: "tenants/ä b.yaml".into(), line: 2, columns: Some((3, 2, 7)) };
        let issue = Issue {
            code: "TY0201".into(),
            level: Level::Error,
            message: "no tier `x`".into(),
            help: Some("write `y`".into()),
            place: Some(place),
        };
        let log = log(&[issue.clone(), Issue { place: None, ..issue }], "1.2.3");
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(1));
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&"TY0201".into(), &"error".into()));
        assert_eq!(result["message"]["text"], "no tier `x`. Help: write `y`");
        let physical = &result["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "tenants/%C3%A4%20b.yaml");
        assert_eq!(physical["region"], json!({"startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 7}));
        assert_eq!(run["results"][1]["locations"], json!([]));
    }
}
