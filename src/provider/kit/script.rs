//! Scripts of SQL, which run once for each version of their text: what the databases have in common.
//!
//! A spec has `sql` and perhaps a `check`; filled in are `checksum`, the version, and `checked`, that the check holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::{Answers, Failed, Subject};
use tenantry_core::model::kind::{Kind, Problem};
use tenantry_core::model::mark::{Mark, is_of};
use tenantry_core::model::names::hex;
use tenantry_core::model::resource::{Observed, Present};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};

/// The version of a script's text.
pub fn checksum(sql: &str) -> String {
    hex(&Sha256::digest(sql))
}

pub fn normalise(fields: &mut Fields<'_>) {
    // An observed script has the checksum of what ran, which is not that of its `sql`.
    if let Some(sum) = fields.text("sql").map(checksum) {
        fields.default("checksum", sum);
    }
    fields.map_text("check", |text| text.trim().to_owned());
    if fields.get("check").is_some() {
        fields.default("checked", true);
    }
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
                problems.add("/checksum", "Tenantry sets this field; remove it");
            }
        }
        Some(Value::Deferred(_)) => {
            problems.add("/sql", "a script must be known when it is planned and cannot contain a secret");
        }
        _ => {}
    }
    match spec.get("check") {
        Some(Value::Text(query)) => {
            if let Err(problem) = check_query(query) {
                problems.add("/check", problem);
            }
        }
        Some(Value::Deferred(_)) => problems.add("/check", "a check must be known when it is planned"),
        _ => {}
    }
    problems.into_list()
}

/// The fields that tell what ran: `holds` is whether its check does, if it was asked, and `asked` the spec that is asked for.
pub fn ran(record: &Record, asked: Option<&Map>, holds: Option<bool>) -> Vec<(&'static str, Value)> {
    let Record { checksum, check, .. } = record;
    let (checksum, check) = (checksum.as_str(), check.as_deref());
    let is_asked = asked.and_then(|spec| spec.get("checksum")?.as_str()) == Some(checksum);
    let sql = asked.and_then(|spec| spec.get("sql")).filter(|_| is_asked).cloned();
    let sql = sql.unwrap_or_else(|| ran_with(checksum));
    let mut fields = vec![("checksum", Value::from(checksum)), ("sql", sql)];
    fields.extend(check.map(|check| ("check", check.into())));
    fields.extend(holds.map(|holds| ("checked", holds.into())));
    fields
}

/// In place of a text that ran and is not at hand.
fn ran_with(checksum: &str) -> Value {
    format!("(ran with checksum {checksum})").into()
}

/// See [`Kind::told`].
pub fn told(pointer: &str, written: &Value) -> Option<Value> {
    written.as_str().filter(|_| pointer == "/sql").map(|sql| ran_with(&checksum(sql)))
}

/// The record of a script that ran.
#[derive(Clone, Debug)]
pub struct Record {
    pub estate: String,
    pub address: String,
    /// The schema or database that its names belong to; empty for none.
    pub within: String,
    pub name: String,
    pub checksum: String,
    pub check: Option<String>,
}

impl Record {
    /// The record as a mark; `None` if its address is none.
    pub fn mark(&self) -> Option<Mark> {
        let address = self.address.parse().ok()?;
        Some(Mark { estate: self.estate.as_str().into(), address, secret_hash: None })
    }
}

/// A connection on which checks are run.
#[async_trait]
pub trait Checks: Send {
    type Failure: Failed;

    /// Which of some queries return a true row, by index. The inner result is what the server refuses, and the connection is
    /// good after that.
    ///
    /// # Errors
    /// If the connection is not.
    async fn holding(&mut self, queries: &[&str]) -> Result<Result<BTreeSet<usize>, Self::Failure>, Self::Failure>;

    /// Whether the server refused because what a query asks about is not there.
    fn is_missing(failure: &Self::Failure) -> bool;
}

/// Checks that are put into one query. More would make a statement that is slow to plan.
const CHECKS_AT_A_TIME: usize = 100;

/// Whether each check holds, many in one query. Where such a query fails its checks run one by one, to find which it was.
async fn run<'q, C: Checks>(
    checks: &mut C,
    queries: &[&'q str],
) -> Result<BTreeMap<&'q str, Result<bool, Arc<str>>>, C::Failure> {
    let mut told = BTreeMap::new();
    for chunk in queries.chunks(CHECKS_AT_A_TIME) {
        if let Ok(holding) = checks.holding(chunk).await? {
            told.extend(chunk.iter().enumerate().map(|(index, query)| (*query, Ok(holding.contains(&index)))));
            continue;
        }
        for query in chunk {
            told.insert(*query, one(checks, query).await?);
        }
    }
    Ok(told)
}

/// A check that asks about something that is not there does not hold; any other failure tells nothing.
async fn one<C: Checks>(checks: &mut C, query: &str) -> Result<Result<bool, Arc<str>>, C::Failure> {
    Ok(match checks.holding(&[query]).await? {
        Ok(holding) => Ok(!holding.is_empty()),
        Err(failure) if C::is_missing(&failure) => Ok(false),
        Err(failure) => Err(format!("its check cannot run: {failure}").into()),
    })
}

/// Whether one check holds. What it asks about may not exist.
///
/// # Errors
/// If it cannot be told.
pub async fn check_holds<C: Checks>(checks: &mut C, query: &str) -> Result<bool, C::Failure> {
    one(checks, query).await?.map_err(|reason| C::Failure::invalid(&*reason))
}

/// Answers from records: for scripts that are asked for, and for others of the estate. `name_of` tells what a script's names
/// belong to and its name.
///
/// # Errors
/// If the checks cannot be run.
pub async fn answers<C: Checks>(
    checks: &mut C,
    records: &[Record],
    (kind, estate, subjects): (&Kind, &str, &[Subject<'_>]),
    name_of: for<'s> fn(&Subject<'s>) -> Option<(&'s str, &'s str)>,
    present: impl Fn(&Record, Option<&Map>, Option<bool>) -> Present,
) -> Result<Answers, C::Failure> {
    let mut by_name: HashMap<(&str, &str), Vec<&Record>> = HashMap::new();
    for record in records {
        by_name.entry((&record.within, &record.name)).or_default().push(record);
    }
    // Two estates may keep a script of the same name; the subject's own record comes first.
    let found = subjects.iter().map(|subject| {
        let own = |record: &&&Record| {
            let address = subject.address.map(ToString::to_string);
            is_of(&record.estate, estate) && address.is_none_or(|address| address == record.address)
        };
        let records = name_of(subject).and_then(|name| by_name.get(&name));
        (subject, records.and_then(|records| records.iter().find(own).or(records.first()).copied()))
    });
    let found: Vec<(&Subject<'_>, Option<&Record>)> = found.collect();
    let asks = found.iter().filter(|(_, record)| record.is_some()).filter_map(|(subject, _)| subject.text("check"));
    let checked = run(checks, &asks.collect::<BTreeSet<&str>>().into_iter().collect::<Vec<_>>()).await?;

    let mut answers = Answers::with_capacity(found.len());
    for (subject, record) in &found {
        let check = subject.text("check").and_then(|query| checked.get(query));
        let observed = match (record, check) {
            (None, _) => Observed::Absent,
            (Some(_), Some(Err(reason))) => Observed::Unknown(reason.clone().into()),
            (Some(record), Some(Ok(holds))) => Observed::Present(present(record, Some(subject.spec), Some(*holds))),
            (Some(record), None) => Observed::Present(present(record, Some(subject.spec), None)),
        };
        answers.push((subject.identity.clone(), observed));
    }
    let asked: HashSet<(&str, &str)> = subjects.iter().filter_map(name_of).collect();
    for record in records.iter().filter(|record| is_of(&record.estate, estate)) {
        if !asked.contains(&(record.within.as_str(), record.name.as_str())) {
            let present = present(record, None, None);
            if let Some(identity) = kind.identity_of(&kind.normal(&present.spec)) {
                answers.push((identity, Observed::Present(present)));
            }
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(spec: &Map) -> Map {
        let mut fields = Fields::within(spec);
        normalise(&mut fields);
        fields.build()
    }

    #[test]
    fn the_checksum_is_that_of_the_text_and_is_computed_once() {
        let spec = Map::from_fields([("sql".into(), "SELECT 1".into())]);
        let normalised = normal(&spec);
        assert_eq!(
            normalised.get("checksum"),
            Some(&"e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5".into())
        );
        let observed = normalised.with("sql", "(ran with checksum e0…)".into());
        assert_eq!(normal(&observed), observed);
    }

    #[test]
    fn a_check_is_wanted_to_hold() {
        let spec = Map::from_fields([("sql".into(), "SELECT 1".into()), ("check".into(), " SELECT true\n".into())]);
        assert_eq!(normal(&spec).get("checked"), Some(&true.into()));
        assert_eq!(normal(&spec).get("check"), Some(&"SELECT true".into()));
    }

    #[test]
    fn the_text_is_told_only_of_the_version_that_ran() {
        let asked = normal(&Map::from_fields([("sql".into(), "SELECT 1".into())]));
        let record = |checksum: String, check: Option<&str>| Record {
            estate: "shop".to_owned(),
            address: "acme/tables".to_owned(),
            within: String::new(),
            name: "tables".to_owned(),
            checksum,
            check: check.map(str::to_owned),
        };
        let same = record(checksum("SELECT 1"), None);
        assert_eq!(ran(&same, Some(&asked), None)[1], ("sql", "SELECT 1".into()));
        let other = ran(&record("0f".to_owned(), Some("SELECT true")), Some(&asked), Some(false));
        assert_eq!(
            other[1..],
            [("sql", "(ran with checksum 0f)".into()), ("check", "SELECT true".into()), ("checked", false.into())]
        );
    }
}
