//! Promises 1 and 2: a plan writes nothing, is always the same, and is empty once it was applied.

use std::sync::Arc;

use proptest::prelude::*;
use tenantry_core::diff::{self, Known, Verdict};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Applied, Observed, Present};
use tenantry_core::plan::json;
use tenantry_engine::plan::validate;
use tenantry_sandbox::Mode;
use tenantry_sandbox::faults::NoFaults;

use super::bed::{Bed, block_on, cases};
use super::edits::{Edit, edited, edits};
use super::model::{Model, model};

/// Plans again and again and sees the same plan, and the same files.
async fn assert_repeatable(bed: &Bed) {
    let files = bed.files();
    let text =
        |plan: &_| serde_json::to_string_pretty(&crate::support::as_json(json::Written::saved(plan))).expect("JSON");
    let one = bed.plan_with(Arc::new(NoFaults), 1, &|_| true).await;
    let two = bed.plan_with(Arc::new(NoFaults), 2, &|_| true).await;
    let five = bed.plan_with(Arc::new(NoFaults), 5, &|_| true).await;
    assert_eq!(text(&one), text(&two));
    assert_eq!(text(&one), text(&five));
    let read = json::from_json(&text(&one)).expect("a saved plan is read back");
    assert_eq!(read, one, "nothing is lost in a saved plan");
    assert!(bed.files() == files, "planning wrote, or left a file");
}

/// What is observed exactly as it is desired is unchanged.
async fn assert_same_is_unchanged(bed: &Bed) {
    let opened = bed.open(Mode::ReadOnly, Arc::new(NoFaults));
    let (owners, diagnostics) = validate(&opened.estate, &opened.targets(), bed.now(), 2);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    for desired in owners.iter().flat_map(|owner| &owner.resources) {
        if desired.spec.value().has_deferred() {
            continue;
        }
        let estate = "drawn";
        let mark = Mark { estate: estate.into(), address: desired.address.clone(), secret_hash: None };
        let applied = Applied {
            address: desired.address.clone(),
            kind: desired.kind.name.into(),
            marked: None,
            target: desired.target.clone(),
            identity: desired.identity.clone().expect("nothing of it is deferred"),
            spec: serde_json::to_string(&*desired.spec).expect("JSON").into(),
            outputs: "{}".into(),
            generation: 1,
            protect: desired.protect,
            depends_on: desired.depends_on.clone(),
        };
        let observed = Observed::Present(Present {
            spec: desired.spec.shared(),
            mark: Some(mark),
            outputs: Arc::default(),
            ..Present::default()
        });
        let known = Known {
            scope: estate,
            desired,
            earlier: &[],
            observed: &observed,
            applied: Some(&applied),
            begun: None,
            secret: tenantry_core::diff::Secret::Hash(None),
        };
        assert_eq!(diff::diff(&known), Verdict::Unchanged, "{}", desired.address);
        assert_eq!(diff::compare(&desired.kind, &desired.spec, &desired.spec, None), []);
    }
}

async fn check(model: &Model, versions: &[Vec<Edit>]) {
    let bed = Bed::new(model);
    assert_same_is_unchanged(&bed).await;
    assert_repeatable(&bed).await;
    assert!(bed.settle().await, "a first plan destroys nothing, and so is not refused");
    assert_repeatable(&bed).await;
    bed.assert_settled().await;

    let mut model = model.clone();
    for changes in versions {
        model = edited(&model, changes);
        bed.write(&model);
        assert_repeatable(&bed).await;
        if !bed.settle().await {
            return;
        }
        assert_repeatable(&bed).await;
        bed.assert_settled().await;
    }
}

proptest! {
    #![proptest_config(cases(96, "tests/properties/plans.proptest-regressions"))]

    #[test]
    fn planning_writes_nothing_and_after_an_apply_nothing_is_left(model in model(3), versions in prop::collection::vec(edits(5), 1..4)) {
        block_on(check(&model, &versions));
    }
}
