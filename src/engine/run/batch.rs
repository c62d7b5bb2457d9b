//! Which steps of one owner go out together.

use std::sync::Arc;

use super::super::fresh::Ready;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::{Batch, Kind, at};
use tenantry_core::model::value::{Part, Value};
use tenantry_core::plan::{Action, Change, Work};

/// The most steps in one batch: enough for any sane tenant, and a transaction that still ends soon.
const MOST: usize = 200;

/// Cuts changes, which stay in their order, into batches: of one target, and of kinds that go out in the same way; those of a
/// transaction of one database. What needs an output of another change waits until that one's batch has ended, and so does
/// what is proven before the old one goes: the target may judge it by what comes before.
pub fn batches<'r, 'a>(ready: &'r [Ready<'a>], kind_of: &dyn Fn(&Change) -> Option<Arc<Kind>>) -> Vec<&'r [Ready<'a>]> {
    let mut batches = Vec::new();
    let mut start = 0;
    let mut way = None;
    for (index, next) in ready.iter().enumerate() {
        let next_way = Way::of(next.change, kind_of);
        let current = &ready[start..index];
        let together = match &way {
            Some(way) => Way::together(way, &next_way),
            None => Some(next_way.clone()),
        };
        let cut = current.first().is_some_and(|first| {
            next.change.target != first.change.target
                || together.is_none()
                || is_proven(next, &next_way)
                || current.len() >= MOST
                || needs_output_of(next.change, current)
        });
        if cut {
            batches.push(current);
            start = index;
            way = Some(next_way);
        } else {
            way = together;
        }
    }
    if start < ready.len() {
        batches.push(&ready[start..]);
    }
    batches
}

/// How a change, or all of a batch, goes out.
#[derive(Clone, Debug, PartialEq)]
enum Way<'a> {
    /// With anything: it is only struck from the record.
    Any,
    /// In a transaction; nothing within that does not matter to.
    Transaction(Option<Database<'a>>),
    Sequence,
    Alone,
}

/// The database of a transaction; nothing within for the target's own.
#[derive(Clone, Debug, PartialEq)]
struct Database<'a>(Option<&'a Value>);

impl<'a> Way<'a> {
    fn of(change: &'a Change, kind_of: &dyn Fn(&Change) -> Option<Arc<Kind>>) -> Self {
        if change.action() == Action::Forget {
            return Self::Any;
        }
        // In one transaction with others it would take them along when it fails.
        if change.optional {
            return Self::Alone;
        }
        let spec = change.work.after().or(change.work.before());
        match kind_of(change).map(|kind| kind.batch) {
            Some(Batch::Transaction { within }) => {
                let database =
                    |pointer| Database(spec.and_then(|spec| at(spec, pointer)).filter(|name| !name.is_null()));
                Self::Transaction(within.map(database))
            }
            Some(Batch::Sequence) => Self::Sequence,
            Some(Batch::Single) | None => Self::Alone,
        }
    }

    /// The way of both, if they can go out together.
    fn together(one: &Self, other: &Self) -> Option<Self> {
        match (one, other) {
            (Self::Alone, _) | (_, Self::Alone) => None,
            (Self::Any, way) | (way, Self::Any) => Some(way.clone()),
            (Self::Sequence, Self::Sequence) => Some(Self::Sequence),
            (Self::Transaction(None), Self::Transaction(within))
            | (Self::Transaction(within), Self::Transaction(None)) => Some(Self::Transaction(within.clone())),
            (Self::Transaction(Some(one)), Self::Transaction(Some(other))) => {
                (one == other).then(|| Self::Transaction(Some(one.clone())))
            }
            (Self::Sequence, Self::Transaction(_)) | (Self::Transaction(_), Self::Sequence) => None,
        }
    }
}

/// Whether the old one of a replacement is deleted first, and stays where the new one would be refused.
fn is_proven(ready: &Ready<'_>, way: &Way<'_>) -> bool {
    let Work::Replace { identity, .. } = &ready.change.work else { return false };
    // A name that is not known yet may turn out to be the old one's.
    !matches!(way, Way::Transaction(_)) && (ready.present.is_some() || identity.is_none())
}

fn needs_output_of(change: &Change, batch: &[Ready<'_>]) -> bool {
    let Some(after) = change.work.after() else { return false };
    let mut needs = false;
    let in_batch = |address: &Address| batch.iter().any(|ready| ready.change.address == *address);
    Value::Map(after.clone()).for_each_leaf(&mut |_, value| {
        if let Value::Deferred(deferred) = value {
            needs |=
                deferred.parts.iter().any(|part| matches!(part, Part::Output { address, .. } if in_batch(address)));
        }
    });
    needs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transaction(database: Option<&Value>) -> Way<'_> {
        Way::Transaction(Some(Database(database)))
    }

    #[test]
    fn a_transaction_is_within_one_database() {
        let (main, other) = (Value::from(json!("main")), Value::from(json!("other")));
        let role = Way::Transaction(None);
        assert_eq!(Way::together(&role, &role), Some(Way::Transaction(None)));
        assert_eq!(Way::together(&role, &transaction(Some(&main))), Some(transaction(Some(&main))));
        assert_eq!(Way::together(&transaction(Some(&main)), &role), Some(transaction(Some(&main))));
        assert_eq!(Way::together(&transaction(Some(&main)), &transaction(Some(&main))), Some(transaction(Some(&main))));
        assert_eq!(Way::together(&transaction(Some(&main)), &transaction(Some(&other))), None);
        assert_eq!(Way::together(&transaction(None), &transaction(Some(&other))), None);
    }

    #[test]
    fn what_is_only_struck_from_the_record_goes_out_with_anything_but_what_goes_alone() {
        for way in [Way::Any, Way::Sequence, transaction(None)] {
            assert_eq!(Way::together(&Way::Any, &way), Some(way.clone()));
            assert_eq!(Way::together(&way, &Way::Alone), None);
        }
        assert_eq!(Way::together(&Way::Sequence, &transaction(None)), None);
    }
}
