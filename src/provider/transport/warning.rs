//! What a server says beside success, in headers.
//!
//! `Warning` with the code 299 (RFC 7234, 5.5.7) is how API servers of Kubernetes tell of deprecated versions and of what an
//! admission webhook has to say; other codes are those of caches. RFC 9111 has dropped the header, and servers go on sending it.

use reqwest::header::{HeaderMap, WARNING};
use tenantry_provider::notices;

/// Notes the warnings of an answer for the step that asked.
pub fn note_warnings(headers: &HeaderMap) {
    for header in headers.get_all(WARNING) {
        let text = String::from_utf8_lossy(header.as_bytes());
        warnings(&text).iter().for_each(|words| notices::note(&format!("Warning: {words}")));
    }
}

/// The texts of the warnings with code 299 in one header: `299 agent "text" "date", 299 …`.
fn warnings(header: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = header.trim_start();
    while let Some((code, after)) = rest.split_once(' ') {
        let Some((_agent, after)) = after.trim_start().split_once(' ') else { break };
        let Some((text, after)) = quoted(after.trim_start()) else { break };
        if code == "299" {
            found.push(text);
        }
        // The date, which nobody needs: the answer came just now.
        let after = after.trim_start();
        let after = quoted(after).map_or(after, |(_, after)| after);
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    found
}

/// A quoted string (RFC 9110, 5.6.4) and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.strip_prefix('"')?.char_indices();
    let mut unquoted = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((unquoted, &text[at + 2..])),
            '\\' => unquoted.extend(characters.next().map(|(_, escaped)| escaped)),
            other => unquoted.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_may_hold_several_warnings() {
        let old = r#"299 - "policy/v1beta1 PodDisruptionBudget is deprecated""#;
        assert_eq!(warnings(old), ["policy/v1beta1 PodDisruptionBudget is deprecated"]);
        let several = r#"110 cache "stale" "Wed, 21 Oct 2026 07:28:00 GMT", 299 api.example.com "say \"please\", then ü" , 299 - "two""#;
        assert_eq!(warnings(several), [r#"say "please", then ü"#, "two"]);
        for broken in ["", "299", "299 -", "299 - text", r#"299 - "text"#] {
            assert_eq!(warnings(broken), [""; 0], "{broken}");
        }
    }
}
