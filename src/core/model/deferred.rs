//! A text whose parts are not all known: with secrets, which are only named, and outputs of resources that do not exist yet.

use std::fmt;
use std::sync::Arc;

use super::address::Address;
use super::secret::SecretReference;

/// A value that is assembled when it is written.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Deferred {
    /// Assembled in this order.
    pub parts: Vec<Part>,
}

/// One piece of a [`Deferred`] value.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    Text(Arc<str>),
    Secret(SecretReference),
    /// An output of a resource, such as the id that the target generates.
    Output {
        address: Address,
        name: Arc<str>,
    },
}

impl Deferred {
    /// Whether a secret is among the parts.
    pub fn has_secret(&self) -> bool {
        self.secrets().next().is_some()
    }

    /// The secrets among the parts, in order.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretReference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(reference) => Some(reference),
            Part::Text(_) | Part::Output { .. } => None,
        })
    }

    /// A text of the inventory taken apart at the references to secrets that are written in it; `None` if there is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let (mut literal, mut rest) = (0, 0);
        while let Some(begin) = text[rest..].find("secret(").map(|at| rest + at) {
            let end = text[begin..].find(')').map(|at| begin + at + 1);
            let reference = end.and_then(|end| Some((SecretReference::from_text(&text[begin..end])?, end)));
            let Some((reference, end)) = reference else {
                rest = begin + 1;
                continue;
            };
            if literal < begin {
                parts.push(Part::Text(text[literal..begin].into()));
            }
            parts.push(Part::Secret(reference));
            (literal, rest) = (end, end);
        }
        if parts.is_empty() {
            return None;
        }
        if literal < text.len() {
            parts.push(Part::Text(text[literal..].into()));
        }
        Some(Self { parts })
    }

    /// Whether an output of another resource is among the parts.
    pub fn has_output(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Output { .. }))
    }
}

impl fmt::Display for Deferred {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => formatter.write_str(text)?,
                Part::Secret(secret) => write!(formatter, "{secret}")?,
                Part::Output { address, name } => write!(formatter, "({address}.{name}, known after apply)")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_text_is_taken_apart_at_its_secrets() {
        for text in [
            "secret(acme/db, v2)",
            "postgres://a:secret(acme/db, v2)@h/secret(tier:pro/é.x, v1)?",
            "é secret( secret(a/b, v1)",
        ] {
            let deferred = Deferred::from_text(text).expect("it has a secret");
            assert!(deferred.has_secret());
            assert_eq!(deferred.to_string(), text);
        }
        for text in ["", "secret", "secret(acme, v1)", "secret(a/b, v0)", "secret(a/b)", "(secret(a/b, v1"] {
            assert_eq!(Deferred::from_text(text), None, "{text}");
        }
        let two = Deferred::from_text("a-secret(acme/code, v1)-secret(acme/db, v2)").expect("it has secrets");
        let names: Vec<String> = two.secrets().map(ToString::to_string).collect();
        assert_eq!(names, ["secret(acme/code, v1)", "secret(acme/db, v2)"]);
    }
}
