//! Whether output is what a page prints.

/// Whether `said` is what is `expected`, with `…` for what is left out.
pub fn fits(expected: &str, said: &str) -> bool {
    let lines = |text: &str| text.trim_end().lines().map(alike).collect::<Vec<_>>();
    all_fit(&lines(expected), &lines(said))
}

fn all_fit(expected: &[String], said: &[String]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return said.is_empty() };
    if first.trim() == "…" {
        return (0..=said.len()).any(|from| all_fit(rest, &said[from..]));
    }
    said.split_first().is_some_and(|(line, after)| line_fits(first, line) && all_fit(rest, after))
}

fn line_fits(expected: &str, line: &str) -> bool {
    let mut parts = expected.trim_end().split('…');
    let Some(mut rest) = line.trim_end().strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A line with all revisions and hashes made the same: words of ten or more hexadecimal digits, not all decimal.
fn alike(line: &str) -> String {
    let mut made = String::new();
    for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let (letters, end) = match word.char_indices().last() {
            Some((at, last)) if !last.is_ascii_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        let is_hash = letters.len() >= 10
            && letters.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            && letters.bytes().any(|byte| byte.is_ascii_digit());
        made.push_str(if is_hash { "HASH" } else { letters });
        made.push_str(end);
    }
    made
}

/// Whether the rules above hold, for the harness of this program has no unit tests.
pub fn check() -> Result<(), String> {
    let cases = [
        ("a\nb\n", "a\nb\n", true),
        ("a\n", "a\nb\n", false),
        ("…\nb\n", "a\na\nb\n", true),
        ("a\n  …\n", "a\n", true),
        ("a\n…\nc\n", "a\nb\n", false),
        ("took … ms\n", "took 12 ms\n", true),
        ("took … ms\n", "took 12 s\n", false),
        ("a … b … c\n", "a 1 b 2 c\n", true),
        ("at 0123456789ab\n", "at fedcba987654\n", true),
        ("at 0123456789ab\n", "at nowhere\n", false),
        ("at 0123456789ab\n", "at deadbeefdead\n", false),
        ("", "a\n", false),
    ];
    let wrong = cases.iter().find(|(expected, said, fit)| fits(expected, said) != *fit);
    wrong.map_or(Ok(()), |(expected, said, _)| Err(format!("{expected:?} and {said:?}")))
}
