//! Promise 3: a saved plan is applied exactly or refused, where the world changed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use proptest::prelude::*;
use proptest::sample::Index;
use tenantry_core::model::address::Address;
use tenantry_core::model::document::Phase;
use tenantry_core::model::resource::Identity;
use tenantry_core::outcome::Outcome;
use tenantry_core::plan::passes::billing::is_growth;
use tenantry_core::plan::{Action, Change, Plan, json};

use super::bank::CATALOGUE;
use super::bed::{Bed, WorldRow, assert_all_done, block_on, cases, undone};
use super::edits::{Edit, Place, Tampering, edited, edits, tamper, tampering};
use super::model::{Model, Parts, model, plain};

/// Saves a plan and reads it again.
fn saved(plan: &Plan) -> Plan {
    let text = serde_json::to_string_pretty(&crate::support::as_json(json::Written::saved(plan))).expect("JSON");
    let read = json::from_json(&text).expect("a saved plan is read back");
    assert_eq!(read, *plan, "nothing is lost in a saved plan");
    read
}

/// Every address with what it needed when it was last written.
type Needs = BTreeMap<Address, Vec<Address>>;

/// The changes that cannot be written where `stale` was not, and those that cannot be done to their end: what is needed by
/// something that was not done is not deleted.
fn held_back(plan: &Plan, needs: &Needs, stale: &Address) -> (BTreeSet<Address>, BTreeSet<Address>) {
    let now = |needed: &Address| {
        let renamed = plan.changes.iter().find(|change| change.renamed_from.as_ref() == Some(needed));
        renamed.map_or_else(|| needed.clone(), |change| change.address.clone())
    };
    let needed_before = |change: &Change| -> Vec<Address> {
        let mut addresses = std::iter::once(&change.address).chain(&change.renamed_from);
        addresses.find_map(|address| needs.get(address)).into_iter().flatten().map(now).collect()
    };
    let mut unwritten = BTreeSet::from([stale.clone()]);
    let mut undone = unwritten.clone();
    loop {
        let found = undone.len();
        for change in &plan.changes {
            let ends = change.action() == Action::Delete || change.work.replaces().is_some();
            let is_write = !matches!(change.action(), Action::Delete | Action::Forget);
            // A customer pays for nothing that is not there.
            let is_bill = |change: &Change| {
                change.address.owner.tenant().is_some() && CATALOGUE.get(&change.kind).is_some_and(|kind| kind.bills)
            };
            let shrinks = change.address.owner.tenant().is_some_and(|tenant| plan.shrinking.contains(tenant));
            let is_billed = is_bill(change) && is_growth(change, shrinks);
            // And nothing is taken away that is still billed.
            let is_unsettled =
                |bill: &Change| is_bill(bill) && bill.action() != Action::Create && undone.contains(&bill.address);
            let mut bills = plan.changes.iter().filter(|bill| bill.address.owner == change.address.owner);
            if change.action() == Action::Delete && !is_bill(change) && bills.any(is_unsettled) {
                undone.insert(change.address.clone());
            }
            let is_unpaid = is_billed && unwritten.iter().any(|other| other.owner == change.address.owner);
            if is_unpaid || is_write && change.depends_on.iter().any(|needed| unwritten.contains(needed)) {
                unwritten.insert(change.address.clone());
                undone.insert(change.address.clone());
            }
            let users = plan.changes.iter().filter(|user| undone.contains(&user.address));
            if ends && users.into_iter().any(|user| needed_before(user).contains(&change.address)) {
                undone.insert(change.address.clone());
            }
        }
        if undone.len() == found {
            return (unwritten, undone);
        }
    }
}

fn of_change<'r>(rows: &'r [WorldRow], change: &Change, identity: Option<&Identity>) -> Option<&'r WorldRow> {
    let identity = &**identity?;
    rows.iter()
        .find(|[target, kind, found, ..]| *target == *change.target && *kind == *change.kind && found == identity)
}

async fn check(model: &Model, changes: &[Edit], at: &Index, what: Tampering) {
    let bed = Bed::new(model);
    bed.settle().await;
    bed.write(&edited(model, changes));
    let plan = saved(&bed.plan().await);
    if plan.is_refused() || plan.changes.is_empty() {
        return;
    }
    let store = bed.store(tenantry_store::OpenMode::ReadOnly).await;
    let needs: Needs = store
        .inventory()
        .await
        .expect("read")
        .into_iter()
        .map(|applied| (applied.address, applied.depends_on))
        .collect();
    drop(store);

    // Somebody changes one of the resources that the plan is about.
    let existing: Vec<(&Change, Place)> = plan
        .changes
        .iter()
        .filter_map(|change| {
            let identity = change.work.replaces().or(change.work.identity())?;
            let place = Place {
                target: change.target.to_string(),
                kind: change.kind.to_string(),
                identity: identity.to_string(),
            };
            (change.work.before().is_some()).then_some((change, place))
        })
        .collect();
    if existing.is_empty() {
        return;
    }
    let (change, place) = at.get(&existing);
    if !tamper(&bed, place, what).await {
        return;
    }
    let before = bed.rows().await;
    let report = bed.apply(&plan).await;
    let after = bed.rows().await;
    let (_, outcome) = &report.outcomes[&change.address];

    // A mark that is not there is nothing to lose.
    let refuses = match (what, change.action()) {
        (Tampering::NotOwned, _) => false,
        // Deleted by somebody else: that was wanted.
        (Tampering::Delete, Action::Delete) => false,
        (Tampering::Delete, _) if change.work.replaces().is_some() => false,
        _ => true,
    };
    if !refuses {
        let tolerated = undone(&report);
        assert!(tolerated.is_empty(), "{what:?} of {}: {:#?}", change.address, report.outcomes);
        assert_all_done(&report, &plan);
        bed.assert_settled().await;
        return;
    }
    assert!(
        matches!(outcome, Outcome::Stale(_)),
        "{what:?} of {} before {:?}: {outcome:?}",
        change.address,
        change.action()
    );
    let (unwritten, held) = held_back(&plan, &needs, &change.address);
    assert_eq!(
        undone(&report),
        held,
        "the rest goes on, and what hangs together with it does not: {:#?}",
        report.outcomes
    );
    for change in plan.changes.iter().filter(|change| held.contains(&change.address)) {
        let row = |rows, identity| of_change(rows, change, identity).cloned();
        assert_eq!(
            row(&before, change.work.replaces()),
            row(&after, change.work.replaces()),
            "{} was deleted",
            change.address
        );
        if unwritten.contains(&change.address) || change.action() == Action::Delete {
            assert_eq!(
                row(&before, change.work.identity()),
                row(&after, change.work.identity()),
                "{} was written",
                change.address
            );
        }
    }
    if what != Tampering::Unmark {
        assert!(bed.settle().await, "the next plan takes the change into account");
        bed.assert_settled().await;
    }
}

proptest! {
    #![proptest_config(cases(160, "tests/properties/saved.proptest-regressions"))]

    #[test]
    fn a_saved_plan_is_applied_exactly_or_refused(
        model in model(3),
        changes in edits(5),
        (at, what) in tampering(),
    ) {
        block_on(check(&model, &changes, &at, what));
    }
}

/// A plan does not know the name of a card whose account is replaced. Where an earlier run has made the new account already,
/// the name stays, and with it the card and its record.
#[test]
fn what_turns_out_to_keep_its_name_is_kept() {
    let mut model = plain(&["bolt-two"]);
    model.parts = Parts { account: Some(0), card: true, note: true, row: true, ..model.parts };
    // Of a tenant who pays for nothing new, the account does not wait for the row.
    model.tenants[0].phase = Phase::Suspended;
    block_on(async {
        let bed = Bed::new(&model);
        bed.settle().await;
        let mut renamed = model.clone();
        renamed.tenants[0].previously =
            Some(std::mem::replace(&mut renamed.tenants[0].name, "new-bolt-two".to_owned()));
        bed.write(&renamed);
        let plan = bed.plan().await;
        let row = Place {
            target: "main".to_owned(),
            kind: "postgres.row".to_owned(),
            identity: r#"/control/tenants/{"id":"bolt-two"}"#.to_owned(),
        };
        assert!(tamper(&bed, &row, Tampering::Owned).await);
        let report = bed.apply(&plan).await;
        let account = Address::from_str("new-bolt-two/account").expect("an address");
        assert!(
            matches!(report.outcomes[&account].1, Outcome::Failed(_)),
            "the old account is needed by the row that stays: {:#?}",
            report.outcomes
        );

        let nameless = |change: &&Change| change.work.identity().is_none();
        let plan = bed.plan().await;
        assert_eq!(plan.changes.iter().filter(nameless).count(), 2, "card and note have a name that is not known");
        let before = bed.rows().await;
        let cards = |rows: &[WorldRow]| {
            let of_card = |row: &&WorldRow| row[1] == "bank.card" || row[1] == "bank.note";
            rows.iter().filter(of_card).map(|row| row[2].clone()).collect::<Vec<_>>()
        };
        assert!(bed.settle().await);
        assert_eq!(cards(&bed.rows().await), cards(&before));
        bed.assert_settled().await;
    });
}
