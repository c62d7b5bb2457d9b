//! Everything that has no room for a mark.

use crate::client::Client;
use crate::error::{Failed as _, Failure};
use crate::types::limits::UNLIMITED;
use crate::types::unmarked::Unmarked;
use tenantry_core::diff::{Difference, compare};
use tenantry_kit::parse;
use tenantry_provider::contract::{Step, StepAction};

pub async fn write<Spec: Unmarked>(client: &Client, step: &Step) -> Result<(), Failure> {
    let spec: Spec = parse(step.spec())?;
    match (&step.action, spec.current(client, step).await?) {
        (StepAction::Delete { .. }, None) => Ok(()),
        (StepAction::Delete { .. }, Some(found)) => spec.remove(client, &found).await,
        (StepAction::Update { .. }, None) => Err(Failure::vanished()),
        (StepAction::Create { .. }, Some(found)) => {
            let (wanted, found) = (step.kind.normal(step.spec()), step.kind.normal(&found.spec));
            let differences = compare(&step.kind, &wanted, &found, Some(step.spec()));
            let is_unset = |field: &Difference| Spec::IN_PARTS && field.before == Some(UNLIMITED.into());
            match differences.iter().find(|field| !is_unset(field)) {
                Some(first) => {
                    Err(Failure::conflict(format!("it exists already, and {} differs", &first.pointer[1..])))
                }
                None if differences.is_empty() => Ok(()),
                None => spec.put(client).await,
            }
        }
        (StepAction::Create { .. }, None) | (StepAction::Update { .. }, Some(_)) => spec.put(client).await,
    }
}
