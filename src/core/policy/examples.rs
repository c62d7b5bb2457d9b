//! The tests of policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compile::{CompiledRule, Policies};
use super::evaluate::{Outcome, Variables};
use super::values;
use crate::model::address::Owner;
use crate::model::document::{Enforcement, Expectation, PolicyTest, Subject};
use crate::model::value::{Map, Value};
use crate::plan::Place;

/// The time of a test that gives none: the tests of a policy say the same on every day.
const NOW: &str = "2026-01-01T00:00:00Z";

/// What came of the tests of some policies.
#[derive(Debug, Default)]
pub struct Report {
    pub results: Vec<Tested>,
    /// Rules that no test breaks: policy, rule, and where it is.
    pub unbroken: Vec<(Arc<str>, Arc<str>, Place)>,
    /// Policies without a test.
    pub untested: Vec<Arc<str>>,
}

/// What came of one test.
#[derive(Debug)]
pub struct Tested {
    pub policy: Arc<str>,
    pub test: Arc<str>,
    /// Why it failed; `None` if it passed.
    pub failure: Option<String>,
}

impl Report {
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|tested| tested.failure.is_some()).count()
    }
}

/// Runs the tests of the policies that are chosen by name and file.
pub fn run(policies: &Policies<'_>, is_chosen: impl Fn(&CompiledRule<'_>) -> bool) -> Report {
    let mut report = Report::default();
    let chosen: Vec<&CompiledRule<'_>> = policies.rules.iter().filter(|rule| is_chosen(rule)).collect();
    for of_policy in chosen.chunk_by(|one, other| std::ptr::eq(one.policy, other.policy)) {
        let [first, ..] = of_policy else { continue };
        let policy = first.policy.metadata.name.shared();
        let tests = &first.policy.spec.tests;
        let mut broken = BTreeSet::new();
        for test in tests {
            let failure = tested(of_policy, test, &mut broken);
            report.results.push(Tested { policy: policy.clone(), test: test.name.clone(), failure });
        }
        if tests.is_empty() {
            report.untested.push(policy);
            continue;
        }
        let unbroken = of_policy.iter().filter(|rule| !broken.contains(rule.rule.id.as_str()));
        report.unbroken.extend(unbroken.map(|rule| (policy.clone(), rule.rule.id.shared(), rule.place.clone())));
    }
    report
}

/// Why a test fails; `None` if it passes. Adds the rules that it breaks.
fn tested(rules: &[&CompiledRule<'_>], test: &PolicyTest, broken: &mut BTreeSet<Arc<str>>) -> Option<String> {
    let is_meant = |rule: &&&CompiledRule<'_>| match &test.rule {
        Some(id) => rule.rule.id == *id,
        None => is_given(rule.rule.each, test),
    };
    let mut said: Vec<(Expectation, &str, String)> = Vec::new();
    let mut evaluated = 0;
    for rule in rules.iter().filter(is_meant) {
        evaluated += 1;
        let id = rule.rule.id.as_str();
        match rule.evaluate(&Owner::Estate, &variables(rule, test)) {
            Outcome::Holds => {}
            Outcome::Broken(message) => {
                broken.insert(rule.rule.id.shared());
                let of = match rule.rule.enforcement {
                    Enforcement::Deny => Expectation::Deny,
                    Enforcement::Approval => Expectation::Approval,
                    Enforcement::Warn => Expectation::Warn,
                };
                said.push((of, id, message));
            }
            Outcome::Failed { message, .. } => said.push((Expectation::Error, id, message)),
        }
    }
    if evaluated == 0 {
        return Some(
            "no rule is evaluated: give the `tenant`, `change`, `resource` or `plan` that a rule is for".into(),
        );
    }
    let strongest = said.iter().map(|(expectation, ..)| *expectation).max().unwrap_or(Expectation::Pass);
    let list = || match said.as_slice() {
        [] => "every rule holds".to_owned(),
        said => {
            let line = |(of, id, message): &(Expectation, &str, String)| format!("{id}: {}: {message}", of.as_str());
            said.iter().map(line).collect::<Vec<_>>().join("; ")
        }
    };
    if strongest != test.expect {
        return Some(format!("expected {}, but it is {} ({})", test.expect.as_str(), strongest.as_str(), list()));
    }
    let wanted = test.message.as_ref()?;
    match said.iter().any(|(_, _, message)| **message == **wanted) {
        true => None,
        false => Some(format!("expected the message \"{wanted}\" ({})", list())),
    }
}

/// Whether a test has what a rule is evaluated for.
fn is_given(each: Subject, test: &PolicyTest) -> bool {
    match each {
        Subject::Plan => test.given.contains_key("plan") || test.given.contains_key("tenants"),
        // A change or a resource comes with its tenant.
        Subject::Tenant => {
            test.given.contains_key("tenant")
                && !test.given.contains_key("change")
                && !test.given.contains_key("resource")
        }
        Subject::Change => test.given.contains_key("change"),
        Subject::Resource => test.given.contains_key("resource"),
    }
}

fn variables(rule: &CompiledRule<'_>, test: &PolicyTest) -> Variables {
    let value = |name: &'static str| match (name, test.given.get(name)) {
        ("values", _) => {
            let own = rule.values.as_map().cloned().unwrap_or_default();
            let over: Map = test.values.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            own.overlaid(&over).into()
        }
        ("now", given) => given.cloned().unwrap_or_else(|| NOW.into()),
        ("tenants", given) => {
            let tenants = given.and_then(Value::as_list).unwrap_or_default();
            Value::list(tenants.iter().map(|tenant| over_empty("tenant", tenant)))
        }
        ("oldTenant" | "oldTier", None | Some(Value::Null)) => Value::Null,
        // What belongs to the estate or a tier has no tenant.
        ("tenant" | "tier", None) if matches!(rule.rule.each, Subject::Change | Subject::Resource) => Value::Null,
        (_, Some(given)) => over_empty(name, given),
        (_, None) => values::empty(name).unwrap_or_default(),
    };
    let mut variables: Variables = values::variables(rule.rule.each).iter().map(|name| (*name, value(name))).collect();
    // A tenant is on the tier that is given with it, unless it says otherwise.
    let tier_of = |tier: &str| test.given.get(tier)?.get("name").cloned();
    for (tenant, tier) in [("tenant", "tier"), ("oldTenant", "oldTier")] {
        let says = test.given.get(tenant).is_some_and(|tenant| tenant.get("tier").is_some());
        if let (false, Some(name)) = (says, tier_of(tier))
            && let Some((_, Value::Map(map))) = variables.iter_mut().find(|(known, _)| *known == tenant)
        {
            *map = Arc::new(map.with("tier", name));
        }
    }
    variables
}

fn over_empty(name: &str, given: &Value) -> Value {
    match (values::empty(name), given) {
        (Some(Value::Map(empty)), Value::Map(given)) => empty.overlaid(given).into(),
        (_, given) => given.clone(),
    }
}
