//! Forms of names, as the API server asks for them (`k8s.io/apimachinery/pkg/util/validation`).

use super::sorts::NameForm;

/// The longest label of DNS, label of an object, and name part of a label's key.
pub const LABEL: usize = 63;

/// The longest subdomain.
pub const SUBDOMAIN: usize = 253;

/// Why a name does not have a form, as the end of a sentence that begins with the name.
pub fn problem(name: &str, form: NameForm) -> Option<String> {
    match form {
        NameForm::Label => label_problem(name),
        NameForm::Label1035 if !name.starts_with(|c: char| c.is_ascii_lowercase()) => {
            Some("must begin with a lower-case letter".into())
        }
        NameForm::Label1035 => label_problem(name),
        NameForm::Subdomain(limit) => subdomain_problem(name, limit),
        NameForm::PathSegment => {
            let wrong = name.is_empty() || matches!(name, "." | "..") || name.contains(['/', '%']);
            wrong.then(|| "must not be empty, `.` or `..`, and must not have a `/` or `%`".into())
        }
    }
}

pub fn label_problem(name: &str) -> Option<String> {
    if name.len() > LABEL {
        return Some(format!("has {} characters; at most {LABEL} are allowed", name.len()));
    }
    (!is_label(name)).then(|| {
        "must have only lower-case letters, digits and hyphens, and begin and end with a letter or digit".to_owned()
    })
}

pub fn subdomain_problem(name: &str, limit: usize) -> Option<String> {
    if name.len() > limit {
        return Some(format!("has {} characters; at most {limit} are allowed", name.len()));
    }
    (!name.split('.').all(is_label)).then(|| {
        "must have only lower-case letters, digits, hyphens and dots, and each part must begin and end with a letter or digit"
            .to_owned()
    })
}

/// Of a label's or annotation's key: an optional prefix, which is a subdomain, and a name.
pub fn key_problem(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(problem) = prefix.and_then(|prefix| subdomain_problem(prefix, SUBDOMAIN)) {
        return Some(format!("has a prefix that {problem}"));
    }
    (name.is_empty() || !is_label_text(name)).then(|| {
        format!("must have, after an optional prefix and `/`, at most {LABEL} letters, digits, `-`, `_` and `.`, and begin and end with a letter or digit")
    })
}

/// Of a label's value.
pub fn value_problem(value: &str) -> Option<String> {
    if value.len() > LABEL {
        return Some(format!("has {} characters; at most {LABEL} are allowed", value.len()));
    }
    (!is_label_text(value)).then(|| {
        "must have only letters, digits, `-`, `_` and `.`, and begin and end with a letter or digit".to_owned()
    })
}

fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Also true of nothing at all.
fn is_label_text(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= LABEL && text.chars().all(inner) && edge(text.chars().next()) && edge(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_the_form_of_their_type() {
        let fits = |name: &str, form: NameForm| problem(name, form).is_none();
        assert!(fits("0-acme", NameForm::Label) && !fits("a.b", NameForm::Label) && !fits("Acme", NameForm::Label));
        assert!(!fits(&"a".repeat(64), NameForm::Label) && fits(&"a".repeat(63), NameForm::Label));
        assert!(fits("web", NameForm::Label1035) && !fits("0-web", NameForm::Label1035));
        assert!(fits("a.b-c.d", NameForm::Subdomain(253)) && !fits("a..b", NameForm::Subdomain(253)));
        assert!(!fits("a.b", NameForm::Subdomain(2)) && !fits("-a", NameForm::Subdomain(253)));
        assert!(fits("system:node:A_b", NameForm::PathSegment) && !fits("a/b", NameForm::PathSegment));
    }

    #[test]
    fn keys_and_values_of_labels_have_forms_too() {
        assert_eq!([key_problem("app"), key_problem("example.com/App.name_1")], [None, None]);
        for key in ["", "/a", "A/b", "a/b/c", "-a", "example.com/", "a b"] {
            assert!(key_problem(key).is_some(), "{key}");
        }
        assert_eq!([value_problem(""), value_problem("A_b.c-1")], [None, None]);
        for value in ["-", "a b", "ü", &"a".repeat(64)] {
            assert!(value_problem(value).is_some(), "{value}");
        }
    }
}
