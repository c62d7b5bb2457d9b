//! In which order tenants are changed.
//!
//! A tenant is in the first wave that it fits. Which tenants are in a share is decided by the hashes of their names: the ones with
//! the lowest. So it is the same in each plan, spread over the alphabet, and a larger share has those of a smaller one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Plan;
use crate::model::config::WaveTable;

/// Tenants that are changed side by side, once those of the wave before are done and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Whom it is about.
    pub of: WaveTable,
    /// Those of them that the plan changes, or that are blocked.
    pub tenants: BTreeSet<Arc<str>>,
}

/// The waves of a plan. `tiers` has all tenants of the estate with their tiers. Waves without a tenant are left out.
pub fn divide(rollout: &[WaveTable], tiers: &BTreeMap<Arc<str>, Arc<str>>, plan: &Plan) -> Vec<Wave> {
    if rollout.is_empty() {
        return Vec::new();
    }
    let mut left = concerned(plan);
    let mut waves: Vec<Wave> = Vec::with_capacity(rollout.len());
    for of in rollout {
        let tenants: BTreeSet<Arc<str>> = match of {
            WaveTable::Tier(tier) => {
                let is_on = |tenant: &Arc<str>| tiers.get(tenant).is_some_and(|on| **on == *tier.as_str());
                left.iter().filter(|tenant| is_on(tenant)).cloned().collect()
            }
            WaveTable::Tenants(share) => {
                let first = first(tiers.keys(), share);
                left.iter().filter(|tenant| first.contains(&***tenant)).cloned().collect()
            }
            WaveTable::Rest(_) => left.clone(),
        };
        left.retain(|tenant| !tenants.contains(tenant));
        waves.push(Wave { of: of.clone(), tenants });
    }
    waves.push(Wave { of: WaveTable::Rest(true), tenants: left });
    waves.retain(|wave| !wave.tenants.is_empty());
    waves
}

/// The tenants that something is to happen to.
fn concerned(plan: &Plan) -> BTreeSet<Arc<str>> {
    let changed = plan.changes.iter().filter_map(|change| change.address.owner.tenant());
    let blocked = plan.blocked.iter().filter_map(|blocked| blocked.address.owner.tenant());
    let entering = plan.transitions.iter().map(|transition| &transition.tenant);
    changed.chain(blocked).chain(entering).cloned().collect()
}

/// The tenants of a share, at least one.
fn first<'t>(tenants: impl ExactSizeIterator<Item = &'t Arc<str>>, share: &str) -> BTreeSet<&'t str> {
    // Schema and command line have checked it.
    let percent = WaveTable::percent(share).unwrap_or_default();
    let count = (tenants.len() * percent).div_ceil(100);
    let mut ranked: Vec<_> = tenants.map(|tenant| (Sha256::digest(tenant.as_bytes()), &**tenant)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count).map(|(_, tenant)| tenant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_share_has_those_of_a_smaller_one() {
        let tenants: Vec<Arc<str>> = (0..209).map(|number| format!("tenant-{number}").into()).collect();
        let mut before = BTreeSet::new();
        for (share, count) in [("1%", 3), ("5%", 11), ("25%", 53), ("100%", 209)] {
            let now = first(tenants.iter(), share);
            assert_eq!(now.len(), count, "{share}");
            assert!(now.is_superset(&before), "{share}");
            before = now;
        }
        assert_eq!(first(tenants[..1].iter(), "1%"), BTreeSet::from(["tenant-0"]), "at least one");
    }

    #[test]
    fn a_share_is_a_percentage() {
        let read = ["5%", "100%", "0%", "05%", "101%", "+5%", "5", "%", "1.5%"].map(WaveTable::percent);
        assert_eq!(read, [Some(5), Some(100), None, None, None, None, None, None, None]);
    }
}
