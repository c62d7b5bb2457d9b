//! Texts that follow the name of their tenant, or their own.

/// Stands in a pattern for the tenant's name, and for the thing's own.
pub const TENANT: char = '\u{0}';
pub const EACH: char = '\u{1}';

/// The text with every occurrence of the names replaced; `None` if there is none, or it could not be written as an
/// expression. `each` goes first: it is the longer one if it has the tenant's name in it.
pub fn of(text: &str, tenant: &str, each: Option<&str>) -> Option<String> {
    if text.contains([TENANT, EACH]) {
        return None;
    }
    let with_each = each.map_or_else(|| text.to_owned(), |each| replaced(text, each, EACH));
    let pattern = replaced(&with_each, tenant, TENANT);
    let is_hole = |c: char| matches!(c, TENANT | EACH);
    // A dollar sign before a hole would hide it.
    let hidden = pattern.match_indices(is_hole).any(|(at, _)| pattern[..at].ends_with('$'));
    (pattern != text && !hidden && is_writable(text)).then_some(pattern)
}

/// Whole words only, so that `dev` is not found in `device`.
fn replaced(text: &str, name: &str, hole: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = (!name.is_empty()).then(|| rest.find(name)).flatten() {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let begins = edge(before.chars().next_back().or_else(|| out.chars().next_back()));
        out.push_str(before);
        if begins && edge(after.chars().next()) {
            out.push(hole);
        } else {
            out.push_str(name);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether a text can stand in a blueprint with its `${` escaped.
pub fn is_writable(text: &str) -> bool {
    !text.contains("$${")
}

/// The text of a blueprint for a text or pattern.
pub fn written(pattern: &str) -> String {
    pattern.replace("${", "$${").replace(TENANT, "${tenant.name}").replace(EACH, "${each}")
}

/// What an identifier can be made of: lower case, digits and underscores, beginning with a letter.
pub fn snake(text: &str) -> String {
    let mut out = String::new();
    let mut was_small = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && was_small {
            out.push('_');
        }
        was_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        match c.is_ascii_alphanumeric() {
            true => out.push(c.to_ascii_lowercase()),
            false if out.ends_with('_') || out.is_empty() => {}
            false => out.push('_'),
        }
    }
    let out = out.trim_end_matches('_');
    if out.starts_with(|c: char| c.is_ascii_digit()) { format!("n{out}") } else { out.to_owned() }
}

/// The plural of a word in snake case.
pub fn plural(word: &str) -> String {
    match word.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if word.ends_with(['s', 'x']) || word.ends_with("ch") => format!("{word}es"),
        _ => format!("{word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_whole_words() {
        assert_eq!(of("acme-admin", "acme", None).as_deref(), Some("\u{0}-admin"));
        assert_eq!(of("x.acme.example", "acme", None).as_deref(), Some("x.\u{0}.example"));
        assert_eq!(of("acmeist", "acme", None), None);
        assert_eq!(of("acme-web/acme", "acme", Some("acme-web")).as_deref(), Some("\u{1}/\u{0}"));
        assert_eq!(of("$acme", "acme", None), None);
    }

    #[test]
    fn patterns_are_written_as_expressions() {
        assert_eq!(written("a ${b} \u{0}-\u{1}"), "a $${b} ${tenant.name}-${each}");
        assert!(!is_writable("$${x}"));
    }

    #[test]
    fn words_become_identifiers() {
        assert_eq!(snake("allow-ingress.Controllers"), "allow_ingress_controllers");
        assert_eq!(snake("NetworkPolicy"), "network_policy");
        assert_eq!(snake("3scale--x-"), "n3scale_x");
        assert_eq!(["network_policy", "ingress", "quota"].map(plural), ["network_policies", "ingresses", "quotas"]);
    }
}
