//! What happens to a tenant as a whole: it is new, it moves to another tier, it is suspended, it leaves; what it costs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tenantry_core::lifecycle::ByItself;
use tenantry_core::model::address::Owner;
use tenantry_core::model::document::{Interval, Phase, Price};
use tenantry_core::plan::{Change, Plan, Retained, Transition, Why};

use crate::words;

/// Something that happens to tenants, and to which.
#[derive(Debug, PartialEq, Eq)]
pub struct Effect {
    pub what: String,
    /// Names, with more about each where there is more to say; empty where it is about all of them together.
    pub who: Vec<String>,
    /// Whether somebody loses something.
    pub is_loss: bool,
}

/// What happens to one tenant, in phrases; nothing if only its resources change.
pub fn phrases(transition: &Transition) -> Vec<String> {
    let Transition { from, to, after, .. } = transition;
    let (old, new) = transition.prices();
    let mut phrases = Vec::new();
    match from {
        None => {
            phrases.push(format!("new, {to}"));
            phrases.extend(after.as_ref().map(|terms| format!("tier {}", terms.tier)));
            phrases.extend(new.map(price));
            return phrases;
        }
        Some(_) if transition.is_only_renamed() => return vec![format!("renamed, still {to}")],
        Some(from) if from == to => {
            let days = transition.retention_days.and_then(|days| usize::try_from(days).ok());
            phrases.extend(days.map(|days| format!("its data is kept for {}", words::count(days, "day"))));
        }
        Some(from) => phrases.push(match to {
            Phase::Deleting => format!("leaves: {from} → {to}"),
            Phase::Deleted => format!("gone for good: {from} → {to}"),
            Phase::Trial | Phase::Active | Phase::Suspended => format!("{from} → {to}"),
        }),
    }
    if transition.enters() {
        phrases.extend(transition.by_itself.map(|cause| by_itself(cause).to_owned()));
        phrases.extend(transition.why.as_ref().map(why));
    }
    if loses_access(transition) {
        phrases.push("loses access".to_owned());
    } else if from.is_some_and(|from| !from.has_access()) && to.has_access() {
        phrases.push("has access again".to_owned());
    }
    if let Some((before, after)) = transition.tiers() {
        phrases.push(format!("tier {before} → {after}"));
    }
    let is_known = transition.before.is_some();
    match (old, new) {
        (Some(old), Some(new)) if old != new => phrases.push(compared(old, new)),
        (Some(old), None) => phrases.push(format!("{} → no price", price(old))),
        (None, Some(new)) if is_known => phrases.push(format!("no price → {}", price(new))),
        _ => {}
    }
    phrases
}

fn by_itself(cause: ByItself) -> &'static str {
    match cause {
        ByItself::TrialEnded | ByItself::TrialConverted => "its trial ended",
        ByItself::RetentionEnded => "its data was kept long enough",
    }
}

fn why(why: &Why) -> String {
    let Why { reason, requested_by, legal_reference } = why;
    let by = requested_by.as_ref().map(|who| format!(", requested by {who}")).unwrap_or_default();
    let reference = legal_reference.as_ref().map(|reference| format!(" ({reference})")).unwrap_or_default();
    format!("reason: {reason}{reference}{by}")
}

/// The tenants whose data is kept, and until when.
fn retained(plan: &Plan) -> Vec<Effect> {
    let effect =
        |what: &str, who: Vec<String>| (!who.is_empty()).then(|| Effect { what: what.to_owned(), who, is_loss: false });
    let now: Option<Timestamp> = plan.created_at.parse().ok();
    let kept = |retained: &Retained| {
        let days = words::count(usize::try_from(retained.days?).unwrap_or(usize::MAX), "day");
        let until = match retained.due {
            Some(due) if now.is_some_and(|now| due <= now) => format!("it may be deleted since {}", words::minute(due)),
            Some(due) => format!("until {}", words::minute(due)),
            None => format!("{days} from this apply on"),
        };
        let resources = match retained.resources.len() {
            0 => String::new(),
            resources => format!(", {} no longer asked for", words::is_are(resources, "resource")),
        };
        Some(format!("{} ({until}{resources})", retained.tenant))
    };
    let held = |retained: &Retained| {
        let hold = retained.hold.as_ref()?;
        let end = hold.until.as_ref().map(|until| format!("until {until}: ")).unwrap_or_default();
        Some(format!("{} ({end}{})", retained.tenant, hold.reason))
    };
    let kept = plan.retained.iter().filter_map(kept).collect();
    let held = plan.retained.iter().filter_map(held).collect();
    effect("Data is kept", kept).into_iter().chain(effect("Under a legal hold", held)).collect()
}

/// What happens to the tenants of a plan. Whoever loses something is named in any case.
pub fn effects(plan: &Plan) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut named = |what: &str, is_loss: bool, is_so: &dyn Fn(&Transition) -> bool| {
        let who: Vec<String> =
            plan.transitions.iter().filter(|one| is_so(one)).map(|one| one.tenant.to_string()).collect();
        if !who.is_empty() {
            effects.push(Effect { what: what.to_owned(), who, is_loss });
        }
    };
    named("New", false, &|one| one.from.is_none());
    let enters = |one: &Transition, phase: Phase| one.from.is_some() && one.enters() && one.to == phase;
    named("Suspended", false, &|one| enters(one, Phase::Suspended));
    named("Active", false, &|one| enters(one, Phase::Active));
    named("Leaves", false, &|one| enters(one, Phase::Deleting));
    named("Gone for good", false, &|one| enters(one, Phase::Deleted));
    let is_only_recorded = |one: &Transition| one.values.is_some() && phrases(one).is_empty();
    named("Recorded, so that policies can compare", false, &is_only_recorded);
    named("Loses access", true, &loses_access);
    let mut tiers: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for transition in &plan.transitions {
        if let Some(pair) = transition.tiers() {
            tiers.entry(pair).or_default().push(transition.tenant.to_string());
        }
    }
    let moves = tiers.into_iter().map(|((before, after), who)| Effect {
        what: format!("Tier {before} → {after}"),
        who,
        is_loss: false,
    });
    effects.extend(moves);
    effects.extend(retained(plan));
    effects.extend(lost_data(plan));
    effects.extend(bill(plan));
    effects
}

/// Whether its users are let in before, and not afterwards.
fn loses_access(transition: &Transition) -> bool {
    transition.from.is_some_and(Phase::has_access) && !transition.to.has_access()
}

/// Whether data is destroyed by a change.
pub fn destroys_data(change: &Change) -> bool {
    change.action().destroys() && change.loses_data
}

fn lost_data(plan: &Plan) -> Option<Effect> {
    let mut lost: BTreeMap<&Owner, Vec<String>> = BTreeMap::new();
    for change in plan.changes.iter().filter(|change| destroys_data(change)) {
        lost.entry(&change.address.owner).or_default().push(super::view::id(change));
    }
    let who: Vec<String> = lost.into_iter().map(|(owner, ids)| format!("{owner} ({})", ids.join(", "))).collect();
    (!who.is_empty()).then(|| Effect { what: "Loses data".to_owned(), who, is_loss: true })
}

/// What the tenants whose price changes cost together, for each currency and interval.
fn bill(plan: &Plan) -> Vec<Effect> {
    let mut sums: BTreeMap<(&str, Interval), (Amount, Amount, usize)> = BTreeMap::new();
    for transition in &plan.transitions {
        // What a tenant cost before is not known if there is no record of it.
        if transition.from.is_some() && transition.before.is_none() {
            continue;
        }
        let (old, new) = transition.prices();
        if old == new {
            continue;
        }
        let of = |price: &'_ Price| -> Option<Amount> { Amount::of(&price.amount) };
        if let (Some(price), Some(amount)) = (old, old.and_then(of)) {
            let sum = sums.entry((&price.currency, price.interval)).or_default();
            (sum.0, sum.2) = (sum.0.plus(amount), sum.2 + 1);
        }
        if let (Some(price), Some(amount)) = (new, new.and_then(of)) {
            let is_counted = old.is_some_and(|old| (&old.currency, old.interval) == (&price.currency, price.interval));
            let sum = sums.entry((&price.currency, price.interval)).or_default();
            (sum.1, sum.2) = (sum.1.plus(amount), sum.2 + usize::from(!is_counted));
        }
    }
    let lines = sums.into_iter().map(|((currency, interval), (before, after, tenants))| Effect {
        what: format!(
            "Price of {}, {currency} a {}: {before} → {after}",
            words::count(tenants, "tenant"),
            interval.as_str()
        ),
        who: Vec::new(),
        is_loss: false,
    });
    lines.collect()
}

/// `4999.00 usd a month`.
fn price(price: &Price) -> String {
    let Price { currency, amount, interval, trial_days: _ } = price;
    format!("{amount} {currency} a {}", interval.as_str())
}

fn compared(old: &Price, new: &Price) -> String {
    match (&old.currency, old.interval) == (&new.currency, new.interval) {
        true if old.amount != new.amount => format!("{} → {}", old.amount, price(new)),
        true => format!("another trial, {}", price(new)),
        false => format!("{} → {}", price(old), price(new)),
    }
}

/// A sum of money as a decimal number, so that nothing is rounded.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    /// In units of the last decimal.
    units: i128,
    decimals: u32,
}

impl Amount {
    /// `None` for more digits than any price has.
    fn of(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let decimals = u32::try_from(part.len()).ok().filter(|decimals| *decimals <= 9)?;
        Some(Self { units: format!("{whole}{part}").parse::<i64>().ok()?.into(), decimals })
    }

    fn plus(self, other: Self) -> Self {
        let decimals = self.decimals.max(other.decimals);
        let scaled = |amount: Self| amount.units * 10_i128.pow(decimals - amount.decimals);
        Self { units: scaled(self) + scaled(other), decimals }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = 10_i128.pow(self.decimals);
        match self.decimals {
            0 => write!(formatter, "{}", self.units),
            decimals => {
                write!(formatter, "{}.{:0width$}", self.units / unit, self.units % unit, width = decimals as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenantry_core::model::document::Terms;

    use super::*;

    fn terms(tier: &str, amount: &str) -> Terms {
        let price = (!amount.is_empty()).then(|| json!({"currency": "usd", "amount": amount, "interval": "month"}));
        serde_json::from_value(json!({"tier": tier, "price": price})).expect("terms")
    }

    fn transition(from: Option<Phase>, to: Phase, before: Option<Terms>, after: Option<Terms>) -> Transition {
        let (since, entered, by_itself, trial_ended, retention_days, why) = (None, None, None, None, None, None);
        let tenant = "acme".into();
        let (renamed, values) = (from == Some(to) && before.is_some() && before == after, None);
        Transition {
            tenant,
            from,
            to,
            before,
            after,
            since,
            entered,
            by_itself,
            trial_ended,
            retention_days,
            why,
            renamed,
            values,
        }
    }

    fn said(from: Option<Phase>, to: Phase, before: Option<Terms>, after: Option<Terms>) -> String {
        phrases(&transition(from, to, before, after)).join(", ")
    }

    #[test]
    fn a_heading_says_what_happens_to_a_tenant() {
        let (small, large) = (|| Some(terms("small", "49.00")), || Some(terms("large", "199.00")));
        let active = Some(Phase::Active);
        assert_eq!(said(None, Phase::Trial, None, small()), "new, trial, tier small, 49.00 usd a month");
        assert_eq!(said(active, Phase::Active, small(), large()), "tier small → large, 49.00 → 199.00 usd a month");
        assert_eq!(said(active, Phase::Active, small(), Some(terms("small", "59.00"))), "49.00 → 59.00 usd a month");
        assert_eq!(
            said(active, Phase::Active, small(), Some(terms("free", ""))),
            "tier small → free, 49.00 usd a month → no price"
        );
        assert_eq!(said(active, Phase::Suspended, small(), small()), "active → suspended, loses access");
        assert_eq!(
            said(Some(Phase::Suspended), Phase::Active, small(), small()),
            "suspended → active, has access again"
        );
        assert_eq!(
            said(active, Phase::Deleting, small(), small()),
            "leaves: active → deleting, loses access, 49.00 usd a month → no price"
        );
        assert_eq!(said(Some(Phase::Deleting), Phase::Deleted, small(), small()), "gone for good: deleting → deleted");
        assert_eq!(said(active, Phase::Active, small(), small()), "renamed, still active");
        // What is not on record is not guessed.
        assert_eq!(said(active, Phase::Active, None, large()), "");
        assert_eq!(said(active, Phase::Suspended, None, large()), "active → suspended, loses access");
    }

    #[test]
    fn amounts_are_added_without_rounding() {
        let sum = |texts: &[&str]| {
            let amounts = texts.iter().map(|text| Amount::of(text).expect("an amount"));
            amounts.fold(Amount::default(), Amount::plus).to_string()
        };
        assert_eq!(sum(&["0.1", "0.2", "4999.00"]), "4999.30");
        assert_eq!(sum(&["5", "7"]), "12");
        assert_eq!(sum(&[]), "0");
        assert!(Amount::of("1.0000000001").is_none() && Amount::of("99999999999999999999").is_none());
    }
}
