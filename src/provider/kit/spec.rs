//! A spec as its typed struct.

use serde::de::DeserializeOwned;

use crate::Obstacle;
use tenantry_core::model::value::Map;

/// A spec with its types. A text may still be deferred; then it is the text that stands for the value.
///
/// # Errors
/// If the spec does not follow the schema of its kind.
pub fn parse<Spec: DeserializeOwned>(spec: &Map) -> Result<Spec, Obstacle> {
    // The parser's own message may quote values.
    tenantry_core::model::spec::parse(spec)
        .map_err(|_| Obstacle::Invalid("its spec does not follow the schema of its kind".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    struct Jar {
        name: String,
    }

    #[test]
    fn a_spec_that_does_not_fit_is_refused_and_not_repeated() {
        let spec = |name: i64| Map::from_fields([("name".into(), name.into())]);
        assert!(!parse::<Jar>(&spec(4711)).expect_err("a number").to_string().contains("4711"));
        let named = Map::from_fields([("name".into(), "a".into())]);
        assert_eq!(parse::<Jar>(&named).ok(), Some(Jar { name: "a".to_owned() }));
    }
}
