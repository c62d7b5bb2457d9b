//! What the target itself has on record as Tenantry's, or as somebody else's.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tenantry_core::diff::{Known, Update, Verdict, diff};
use tenantry_core::model::resource::{Applied, Desired, Observed, Present};
use tenantry_core::plan::Cause;
use tenantry_kubernetes::Kubernetes;

use crate::support::{ESTATE, Workbench, map, mark};

fn config(data: &Json) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "a"}, "data": data})
}

/// What is there, with the data that it has.
fn there(desired: &Desired, data: &Json) -> Present {
    Present { spec: Arc::new(map(config(data))), mark: Some(mark(desired)), ..Present::default() }
}

fn on_record(desired: &Desired, data: &Json) -> Applied {
    Applied {
        address: desired.address.clone(),
        kind: desired.kind.name.into(),
        marked: None,
        target: desired.target.clone(),
        identity: desired.identity.clone().expect("an identity"),
        spec: serde_json::to_string(&map(config(data))).expect("a text").into(),
        outputs: "{}".into(),
        generation: 1,
        protect: false,
        depends_on: Vec::new(),
    }
}

fn verdict(desired: &Desired, present: Present, applied: Option<&Applied>) -> Verdict {
    let observed = Observed::Present(present);
    diff(&Known {
        scope: ESTATE,
        desired,
        earlier: &[],
        observed: &observed,
        applied,
        begun: None,
        secret: tenantry_core::diff::Secret::Hash(None),
    })
}

fn update(verdict: Verdict) -> Update {
    match verdict {
        Verdict::Update(update) => update,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_field_that_is_ours_in_the_target_is_given_up_whatever_is_on_record() {
    let desired = Workbench::new(&Kubernetes).desired("kubernetes.object", "acme/c", config(&json!({"kept": "1"})));
    let data = json!({"kept": "1", "ours": "2"});
    let claimed = || Present { claimed: ["/data/ours".into()].into(), ..there(&desired, &data) };
    let record = on_record(&desired, &json!({"kept": "1"}));
    for applied in [None, Some(&record)] {
        let update = update(verdict(&desired, claimed(), applied));
        let fields: Vec<_> = update.differences.iter().map(|field| (&*field.pointer, field.after.is_none())).collect();
        assert_eq!(fields, [("/data/ours", true)]);
        assert_eq!(update.cause, Cause::Pending, "nobody has changed it outside");
    }
    assert_eq!(verdict(&desired, there(&desired, &data), Some(&record)), Verdict::Unchanged, "it is somebody else's");
}

#[test]
fn what_somebody_else_wrote_as_asked_for_is_written_once_more() {
    let desired = Workbench::new(&Kubernetes).desired("kubernetes.object", "acme/c", config(&json!({"a": "1"})));
    let record = on_record(&desired, &json!({"a": "1"}));
    let unclaimed = |data: &Json| Present { unclaimed: true, ..there(&desired, data) };
    for applied in [None, Some(&record)] {
        let update = update(verdict(&desired, unclaimed(&json!({"a": "1"})), applied));
        assert_eq!((update.differences, update.cause), (Vec::new(), Cause::Pending));
    }
    let drifted = update(verdict(&desired, unclaimed(&json!({"a": "9"})), Some(&record)));
    assert_eq!(drifted.cause, Cause::Drift, "whose the rest is does not make it the repository's doing");
}
