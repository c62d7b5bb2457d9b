//! Scripts of SQL, which run once for each version of their text: what the databases have in common.
//!
//! A spec has `sql` and perhaps a `check`; filled in are `checksum`, the version, and `checked`, that the check holds.

use sha2::{Digest as _, Sha256};

use tenantry_core::model::kind::Problem;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::names::hex;
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};

/// The version of a script's text.
pub fn checksum(sql: &str) -> String {
    hex(&Sha256::digest(sql))
}

pub fn normalise(spec: &Map) -> Map {
    let mut fields = Fields::of(spec);
    // An observed script has the checksum of what ran, which is not that of its `sql`.
    if let Some(sum) = fields.text("sql").map(checksum) {
        fields.default("checksum", sum);
    }
    fields.map_text("check", |text| text.trim().to_owned());
    if fields.get("check").is_some() {
        fields.default("checked", true);
    }
    fields.build()
}

/// What is wrong with the texts of a script, in the dialect of the server.
pub fn check(
    spec: &Map,
    check_script: impl Fn(&str) -> Result<(), String>,
    check_query: impl Fn(&str) -> Result<(), String>,
) -> Vec<Problem> {
    let mut problems = Problems::default();
    match spec.get("sql") {
        Some(Value::Text(sql)) => {
            if let Err(problem) = check_script(sql) {
                problems.add("/sql", problem);
            }
            if spec.get("checksum").and_then(Value::as_str).is_some_and(|sum| sum != checksum(sql)) {
                problems.add("/checksum", "this field is filled in and cannot be chosen");
            }
        }
        Some(Value::Deferred(_)) => {
            problems.add("/sql", "a script has to be known when it is planned, and cannot hold a secret");
        }
        _ => {}
    }
    match spec.get("check") {
        Some(Value::Text(query)) => {
            if let Err(problem) = check_query(query) {
                problems.add("/check", problem);
            }
        }
        Some(Value::Deferred(_)) => problems.add("/check", "a check has to be known when it is planned"),
        _ => {}
    }
    problems.into_list()
}

/// The fields that tell what ran: `record` is its checksum and its check, `holds` whether that holds, if it was asked. `asked`
/// is the spec that is asked for.
pub fn ran(
    (checksum, check): (&str, Option<&str>),
    asked: Option<&Map>,
    holds: Option<bool>,
) -> Vec<(&'static str, Value)> {
    let is_asked = asked.and_then(|spec| spec.get("checksum")?.as_str()) == Some(checksum);
    let sql = asked.and_then(|spec| spec.get("sql")).filter(|_| is_asked).cloned();
    let sql = sql.unwrap_or_else(|| format!("(ran with checksum {checksum})").into());
    let mut fields = vec![("checksum", Value::from(checksum)), ("sql", sql)];
    fields.extend(check.map(|check| ("check", check.into())));
    fields.extend(holds.map(|holds| ("checked", holds.into())));
    fields
}

/// A record as a mark; nothing if its address is none.
pub fn mark(estate: &str, address: &str) -> Option<Mark> {
    Some(Mark { estate: estate.into(), address: address.parse().ok()?, secret_hash: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_text_and_is_computed_once() {
        let spec = Map::from_fields([("sql".into(), "SELECT 1".into())]);
        let normalised = normalise(&spec);
        assert_eq!(
            normalised.get("checksum"),
            Some(&"e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5".into())
        );
        let observed = normalised.with("sql", "(ran with checksum e0…)".into());
        assert_eq!(normalise(&observed), observed);
    }

    #[test]
    fn a_check_is_wanted_to_hold() {
        let spec = Map::from_fields([("sql".into(), "SELECT 1".into()), ("check".into(), " SELECT true\n".into())]);
        assert_eq!(normalise(&spec).get("checked"), Some(&true.into()));
        assert_eq!(normalise(&spec).get("check"), Some(&"SELECT true".into()));
    }

    #[test]
    fn the_text_is_told_only_of_the_version_that_ran() {
        let asked = normalise(&Map::from_fields([("sql".into(), "SELECT 1".into())]));
        let sum = checksum("SELECT 1");
        assert_eq!(ran((&sum, None), Some(&asked), None)[1], ("sql", "SELECT 1".into()));
        let other = ran(("0f", Some("SELECT true")), Some(&asked), Some(false));
        assert_eq!(
            other[1..],
            [("sql", "(ran with checksum 0f)".into()), ("check", "SELECT true".into()), ("checked", false.into())]
        );
    }
}
