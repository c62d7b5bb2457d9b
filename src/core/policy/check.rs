//! The policies of an estate over a plan.
//!
//! Linear in the tenants, changes and resources of the plan: each rule is evaluated once for each subject, in parallel if there
//! are many. A rule that cannot be computed refuses the plan, whatever its enforcement: nobody knows what it would have said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::compile::{CompiledRule, Policies};
use super::evaluate::{Outcome, Variables};
use super::values::{self, Residencies};
use super::{Approved, NotCounted, granted, matches};
use crate::collections::HashMap;
use crate::diagnostics::{Severity, codes};
use crate::model::address::{Address, Owner};
use crate::model::document::{Allowance, ApprovalSpec, Enforcement, Subject};
use crate::model::resource::Desired;
use crate::model::value::{Map, Value, push_token};
use crate::plan::build::Inputs;
use crate::plan::{Change, Finding, Place, Plan, sensitive};
use crate::resolve::Resolved;

/// What policies look at beside the inputs of a plan.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub policies: &'a Policies<'a>,
    pub resolved: &'a Resolved<'a>,
    pub residencies: &'a Residencies,
}

/// Below this, starting a thread takes longer than it saves.
const ITEMS_PER_THREAD: usize = 256;

/// Evaluates every rule, and adds to the plan what they find and which Approvals they needed.
pub fn check(inputs: &Inputs<'_>, context: Context<'_>, plan: &mut Plan) {
    let policies = context.policies;
    if policies.is_empty() {
        return;
    }
    let found = {
        let world = World::new(inputs, context, plan);
        let items = items(inputs, context, plan, &world.changed);
        let of = |each| policies.rules.iter().filter(move |rule| rule.rule.each == each).collect::<Vec<_>>();
        let rules = BySubject {
            plan: of(Subject::Plan),
            tenant: of(Subject::Tenant),
            change: of(Subject::Change),
            resource: of(Subject::Resource),
        };
        let threads = inputs.threads.min(items.len().div_ceil(ITEMS_PER_THREAD)).max(1);
        let chunk = items.len().div_ceil(threads).max(1);
        let judge = |items: &[Item<'_>]| -> Vec<Found<'_>> {
            items.iter().flat_map(|item| world.judge(*item, &rules)).collect()
        };
        if threads == 1 {
            judge(&items)
        } else {
            std::thread::scope(|scope| {
                let workers: Vec<_> = items.chunks(chunk).map(|items| scope.spawn(move || judge(items))).collect();
                let found = workers.into_iter();
                found
                    .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .collect()
            })
        }
    };
    let mut not_counted: Vec<NotCounted> = Vec::new();
    let mut findings = Vec::new();
    for found in found {
        let approved = |files| {
            let policy = found.rule.policy.metadata.name.as_str();
            granted(inputs.approvals, inputs.now, files, |spec| allows(spec, policy, &found.who))
        };
        if matches!(found.outcome, Outcome::Broken(_)) && found.rule.rule.enforcement == Enforcement::Approval {
            match approved(&found.rule.rule.approvers) {
                Approved::By(name, granted) => {
                    plan.approvals.insert(name, granted);
                    continue;
                }
                Approved::Not(not) => {
                    not_counted.extend(not.into_iter().filter(|one| !not_counted.contains(one)).collect::<Vec<_>>());
                }
            }
        }
        findings.push(found.finding());
    }
    plan.findings.extend(findings);
    plan.findings.extend(not_counted.iter().map(NotCounted::finding));
}

/// Whether an Approval lifts a policy for a subject.
fn allows(spec: &ApprovalSpec, policy: &str, who: &Who) -> bool {
    spec.allow.contains(&Allowance::Policy)
        && spec.policies.iter().any(|name| matches(name, policy))
        && spec.addresses.iter().any(|glob| match who {
            Who::Plan => **glob == *"plan",
            Who::Tenant(name) => matches(glob, name) || matches(glob, &format!("{name}/")),
            Who::Resource(address) => matches(glob, &address.to_string()),
        })
}

/// What a finding is about.
enum Who {
    Plan,
    Tenant(Arc<str>),
    Resource(Address),
}

impl std::fmt::Display for Who {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plan => formatter.write_str("plan"),
            Self::Tenant(name) => formatter.write_str(name),
            Self::Resource(address) => write!(formatter, "{address}"),
        }
    }
}

impl Who {
    /// What an Approval names.
    fn pattern(&self) -> String {
        match self {
            Self::Tenant(name) => format!("{name}/*"),
            other => other.to_string(),
        }
    }
}

struct BySubject<'r> {
    plan: Vec<&'r CompiledRule<'r>>,
    tenant: Vec<&'r CompiledRule<'r>>,
    change: Vec<&'r CompiledRule<'r>>,
    resource: Vec<&'r CompiledRule<'r>>,
}

#[derive(Clone, Copy)]
enum Item<'p> {
    Plan,
    Tenant(&'p Arc<str>),
    Change(&'p Change),
    Resource(&'p Desired),
}

/// What the rules are evaluated for, in a fixed order.
fn items<'p>(
    inputs: &'p Inputs<'_>,
    context: Context<'_>,
    plan: &'p Plan,
    changed: &'p BTreeSet<Arc<str>>,
) -> Vec<Item<'p>> {
    let mut items = Vec::new();
    if context.policies.has(Subject::Plan) {
        items.push(Item::Plan);
    }
    if context.policies.has(Subject::Tenant) {
        items.extend(changed.iter().map(Item::Tenant));
    }
    if context.policies.has(Subject::Change) {
        items.extend(plan.changes.iter().map(Item::Change));
    }
    if context.policies.has(Subject::Resource) {
        let selected = inputs.desired.iter().filter(|owner| (inputs.selected)(&owner.owner));
        items.extend(selected.flat_map(|owner| &owner.resources).map(Item::Resource));
    }
    items
}

/// The values that many subjects share.
struct World<'w> {
    inputs: &'w Inputs<'w>,
    residencies: &'w Residencies,
    tenants: HashMap<Arc<str>, TenantValues>,
    tiers: BTreeMap<Arc<str>, Value>,
    /// The tenants that change.
    changed: BTreeSet<Arc<str>>,
    plan: Value,
    /// The variable `tenants`.
    all: Value,
    estate: Value,
    now: Value,
}

struct TenantValues {
    tenant: Value,
    old: Value,
    tier: Value,
    old_tier: Value,
}

impl<'w> World<'w> {
    fn new(inputs: &'w Inputs<'w>, context: Context<'w>, plan: &Plan) -> Self {
        let tiers: BTreeMap<Arc<str>, Value> = context
            .resolved
            .tiers
            .iter()
            .map(|tier| (tier.document.metadata.name.shared(), tier.value.clone()))
            .collect();
        let tier = |name: &Value| name.as_str().and_then(|name| tiers.get(name)).cloned().unwrap_or_default();
        let mut earlier: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (old, new) in inputs.renamed {
            if let (Some(old), Some(new)) = (old.tenant(), new.tenant()) {
                earlier.entry(new).or_default().push(old);
            }
        }
        let applied = |name: &str| {
            let mut names = std::iter::once(name).chain(earlier.get(name).into_iter().flatten().copied());
            names.find_map(|name| inputs.applied_tenants.get(name))
        };
        let tenants: HashMap<Arc<str>, TenantValues> = context
            .resolved
            .tenants
            .iter()
            .map(|tenant| {
                let value = sensitive::mask_contacts(tenant.value.clone());
                let old = applied(&tenant.name()).map_or(Value::Null, with_contacts);
                let old_tier = old.get("tier").map(tier).unwrap_or_default();
                let tier = value.get("tier").map(tier).unwrap_or_default();
                (tenant.name(), TenantValues { tenant: value, old, tier, old_tier })
            })
            .collect();
        let mut changed: BTreeSet<Arc<str>> = plan
            .owners()
            .iter()
            .filter_map(|owner| owner.tenant().cloned())
            .filter(|name| tenants.contains_key(name))
            .collect();
        let differs = |values: &TenantValues| {
            !values.old.is_null() && without_contacts(&values.old) != without_contacts(&values.tenant)
        };
        let edited = tenants.iter().filter(|(_, values)| differs(values)).map(|(name, _)| name.clone());
        changed.extend(edited.filter(|name| (inputs.selected)(&Owner::Tenant(name.clone()))));
        let all =
            context.resolved.tenants.iter().filter_map(|tenant| Some(tenants.get(&tenant.name())?.tenant.clone()));
        Self {
            inputs,
            residencies: context.residencies,
            all: Value::list(all.collect::<Vec<_>>()),
            plan: values::plan(plan, tenants.len(), changed.len(), inputs.inventory.len()),
            tenants,
            tiers,
            changed,
            estate: context.resolved.estate.clone(),
            now: values::now(inputs.now),
        }
    }

    fn judge<'r>(&self, item: Item<'_>, rules: &BySubject<'r>) -> Vec<Found<'r>> {
        let (rules, owner, who) = match item {
            Item::Plan => (&rules.plan, Owner::Estate, Who::Plan),
            Item::Tenant(name) => (&rules.tenant, Owner::Tenant(name.clone()), Who::Tenant(name.clone())),
            Item::Change(change) => {
                (&rules.change, change.address.owner.clone(), Who::Resource(change.address.clone()))
            }
            Item::Resource(desired) => {
                (&rules.resource, desired.address.owner.clone(), Who::Resource(desired.address.clone()))
            }
        };
        if rules.is_empty() {
            return Vec::new();
        }
        let mut variables: Variables = match item {
            Item::Plan => vec![("tenants", self.all.clone())],
            Item::Tenant(_) => Vec::new(),
            Item::Change(change) => vec![("change", values::change(change, self.inputs.catalogue, self.residencies))],
            Item::Resource(desired) => vec![("resource", values::resource(desired, self.residencies))],
        };
        if !matches!(item, Item::Plan) {
            variables.extend(self.of_owner(&owner));
        }
        variables.extend([("plan", self.plan.clone()), ("estate", self.estate.clone()), ("now", self.now.clone())]);
        let mut found = Vec::new();
        for rule in rules {
            variables.push(("values", rule.values.clone()));
            let outcome = rule.evaluate(&owner, &variables);
            variables.pop();
            if outcome != Outcome::Holds {
                let who = match &who {
                    Who::Plan => Who::Plan,
                    Who::Tenant(name) => Who::Tenant(name.clone()),
                    Who::Resource(address) => Who::Resource(address.clone()),
                };
                found.push(Found { rule, outcome, origin: self.place(item, rule), who });
            }
        }
        found
    }

    /// `tenant`, `oldTenant`, `tier` and `oldTier` of an owner; null for those that it does not have.
    fn of_owner(&self, owner: &Owner) -> [(&'static str, Value); 4] {
        let values = owner.tenant().and_then(|name| self.tenants.get(name));
        let tier = match (owner, values) {
            (Owner::Tier(name), _) => self.tiers.get(name).cloned().unwrap_or_default(),
            (_, values) => values.map(|values| values.tier.clone()).unwrap_or_default(),
        };
        let of = |value: fn(&TenantValues) -> &Value| values.map(|values| value(values).clone()).unwrap_or_default();
        [
            ("tenant", of(|values| &values.tenant)),
            ("oldTenant", of(|values| &values.old)),
            ("tier", tier),
            ("oldTier", of(|values| &values.old_tier)),
        ]
    }

    /// Where a user would edit what a rule is broken by.
    fn place(&self, item: Item<'_>, rule: &CompiledRule<'_>) -> Option<Place> {
        let place = |address: &Address, pointer: &str| (self.inputs.place)(address, pointer);
        match item {
            Item::Plan => Some(rule.place.clone()),
            Item::Change(change) => change.origin.clone(),
            Item::Resource(desired) => place(&desired.address, ""),
            Item::Tenant(name) => {
                let document = Address { owner: Owner::Tenant(name.clone()), id: "".into(), each: None };
                place(&document, &tenant_pointer(rule)).or_else(|| Some(rule.place.clone()))
            }
        }
    }
}

/// The pointer, in a tenant's document, of the first field of a tenant that a rule looks at.
fn tenant_pointer(rule: &CompiledRule<'_>) -> String {
    let mut paths = rule.expression.references().paths.iter();
    let Some(path) = paths.find(|path| *path[0] == *"tenant") else { return String::new() };
    let mut pointer = match &*path[1] {
        "name" | "labels" | "annotations" => "/metadata".to_owned(),
        _ => "/spec".to_owned(),
    };
    path[1..].iter().for_each(|token| push_token(&mut pointer, token));
    pointer
}

/// What was recorded has no contacts; expressions find none.
fn with_contacts(applied: &Value) -> Value {
    match applied {
        Value::Map(map) if !map.contains("contacts") => map.with("contacts", Map::default().into()).into(),
        other => sensitive::mask_contacts(other.clone()),
    }
}

fn without_contacts(tenant: &Value) -> Value {
    tenant.as_map().map_or(Value::Null, |map| map.without("contacts").into())
}

/// What a rule found.
struct Found<'r> {
    rule: &'r CompiledRule<'r>,
    outcome: Outcome,
    origin: Option<Place>,
    who: Who,
}

impl Found<'_> {
    fn finding(self) -> Finding {
        let Self { rule, outcome, origin, who } = self;
        let (policy, id) = (rule.policy.metadata.name.shared(), &rule.rule.id);
        let see = format!("see rule `{id}` in {}:{}", rule.place.file, rule.place.line);
        let about = |message: String| match &who {
            Who::Plan => message,
            who if message.contains(&who.to_string()) => message,
            who => format!("{who}: {message}"),
        };
        let mut finding = match outcome {
            Outcome::Holds => Finding::new(codes::POLICY_WARNED, Severity::Warning, String::new()),
            Outcome::Failed { message, help } => {
                let message = about(format!("rule `{id}` cannot be computed: {message}"));
                let help = match help {
                    Some(help) => format!("{help}; {see}"),
                    None => see,
                };
                Finding::refusal(codes::POLICY_FAILED, message).help(help)
            }
            Outcome::Broken(message) => match rule.rule.enforcement {
                Enforcement::Deny => Finding::refusal(codes::POLICY_DENIED, about(message)).help(see),
                Enforcement::Warn => Finding::new(codes::POLICY_WARNED, Severity::Warning, about(message)).help(see),
                Enforcement::Approval => {
                    let place = match rule.rule.approvers.as_slice() {
                        [] => String::new(),
                        files => format!(" to {}", files.join(" or ")),
                    };
                    let help = format!(
                        "if this is intended, add an Approval{place} with `allow: [policy]`, `policies: [{policy}]` and `addresses: ['{}']`; {see}",
                        who.pattern()
                    );
                    Finding::refusal(codes::POLICY_NEEDS_APPROVAL, about(message)).help(help)
                }
            },
        };
        finding.policy = Some(policy);
        finding.origin = origin;
        if let Who::Resource(address) = who {
            finding.address = Some(address);
        }
        finding
    }
}
