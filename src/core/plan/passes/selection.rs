//! Blocks changes that depend on something that was not selected.

use std::collections::HashMap;

use super::super::build::Inputs;
use super::super::draft::Draft;
use super::super::{Action, Change, Hindrance};
use crate::model::address::{Address, Owner};

/// Blocks changes that need a resource that does not exist and is not selected, and deletions of resources that an unselected
/// resource needs.
pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
    let deletes = draft.changes.iter().any(|change| change.action() == Action::Delete);
    // What was renamed is selected by its new name.
    let is_selected = |owner: &Owner| (inputs.selected)(inputs.renamed.get(owner).unwrap_or(owner));
    let left = inputs.inventory.values().filter(|applied| deletes && !is_selected(&applied.address.owner));
    let needed: HashMap<&Address, &Address> =
        left.flat_map(|applied| applied.depends_on.iter().map(move |needed| (needed, &applied.address))).collect();
    let hindrance = |change: &Change| match change.action() {
        Action::Delete => {
            needed.get(&change.address).map(|user| Hindrance::NeededByUnselected { user: (*user).clone() })
        }
        _ => {
            let waits =
                |needed: &&Address| !(inputs.selected)(&needed.owner) && !inputs.inventory.contains_key(*needed);
            let missing = change.work.after().and_then(|_| change.depends_on.iter().find(waits));
            missing.map(|needed| Hindrance::NeedsUnselected { needed: needed.clone() })
        }
    };
    draft.block_changes(hindrance);
}
