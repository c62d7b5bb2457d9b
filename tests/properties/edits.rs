//! Edits between two versions of an estate, and changes of the world behind Tenantry's back.

use proptest::prelude::*;
use proptest::sample::Index;
use tenantry_core::model::document::Phase;

use super::bed::Bed;
use super::model::{Model, NAMES, TIERS};

/// One thing that somebody does to the repository.
#[derive(Clone, Debug)]
pub enum Edit {
    Limit(Index, u8),
    Sso(Index),
    Services(Index),
    Tier(Index),
    /// To the phase that may follow.
    Phase(Index, Index),
    Join,
    Rename(Index),
    RenameResource,
    Suffix,
    RotateSecret,
    Script,
    Policy,
    Database,
    Account,
    Settings,
    Flag(usize),
}

pub fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let index = any::<Index>;
    let edit = prop_oneof![
        1 => (index(), 4_u8..9).prop_map(|(tenant, limit)| Edit::Limit(tenant, limit)),
        1 => index().prop_map(Edit::Sso),
        1 => index().prop_map(Edit::Services),
        1 => index().prop_map(Edit::Tier),
        2 => (index(), index()).prop_map(|(tenant, phase)| Edit::Phase(tenant, phase)),
        1 => Just(Edit::Join),
        1 => index().prop_map(Edit::Rename),
        1 => Just(Edit::RenameResource),
        1 => Just(Edit::Suffix),
        1 => Just(Edit::RotateSecret),
        1 => Just(Edit::Script),
        1 => Just(Edit::Policy),
        1 => Just(Edit::Database),
        1 => Just(Edit::Account),
        1 => Just(Edit::Settings),
        4 => (0_usize..11).prop_map(Edit::Flag),
    ];
    prop::collection::vec(edit, 1..=most)
}

/// The model after the edits. What cannot be done, such as a phase after the last, changes nothing; names that a tenant had
/// before are not kept for longer than one version.
pub fn edited(model: &Model, edits: &[Edit]) -> Model {
    let mut model = model.clone();
    model.tenants.iter_mut().for_each(|tenant| tenant.previously = None);
    // Of one version to the next, a tenant makes one step in its life and has one name.
    let mut moved = Vec::new();
    for edit in edits {
        let parts = &mut model.parts;
        let next = |variant: Option<u8>| match variant {
            None => Some(0),
            Some(2) => None,
            Some(variant) => Some(variant + 1),
        };
        match edit {
            Edit::Limit(at, limit) => at.get_mut(&mut model.tenants).limit = *limit,
            Edit::Sso(at) => at.get_mut(&mut model.tenants).sso ^= true,
            Edit::Services(at) => {
                let services = &mut at.get_mut(&mut model.tenants).services;
                if services.pop().is_none() {
                    services.extend(["orders", "mail"]);
                }
            }
            Edit::Tier(at) => {
                let tenant = at.get_mut(&mut model.tenants);
                tenant.tier = (tenant.tier + 1) % TIERS.len();
            }
            Edit::Phase(at, to) => {
                let tenant = at.get_mut(&mut model.tenants);
                let to = to.get_next(tenant.phase);
                if !moved.contains(&tenant.name)
                    && let Some(to) = to
                {
                    tenant.phase = to;
                    moved.push(tenant.name.clone());
                }
            }
            Edit::Join => {
                let used = |name: &str| {
                    model
                        .tenants
                        .iter()
                        .any(|tenant| tenant.name == *name || tenant.previously.as_deref() == Some(name))
                };
                if let Some(name) = NAMES.iter().find(|name| !used(name)) {
                    let like = model.tenants[0].clone();
                    let phase = Phase::Active;
                    moved.push((*name).to_owned());
                    model.tenants.push(super::model::Tenant {
                        name: (*name).to_owned(),
                        previously: None,
                        phase,
                        ..like
                    });
                }
            }
            Edit::Rename(at) => {
                let tenant = at.get_mut(&mut model.tenants);
                if !moved.contains(&tenant.name) && tenant.previously.is_none() && tenant.phase != Phase::Deleted {
                    // Cut, a name may end with a dash, which is none.
                    let cut = tenant.name[..tenant.name.len().min(20)].trim_end_matches('-');
                    let new = format!("new-{cut}");
                    tenant.previously = Some(std::mem::replace(&mut tenant.name, new));
                    moved.push(tenant.name.clone());
                }
            }
            Edit::RenameResource => parts.renamed = true,
            Edit::Suffix => parts.suffix += 1,
            Edit::RotateSecret => parts.secret_version += 1,
            Edit::Script => parts.script = next(parts.script),
            Edit::Policy => parts.policy = next(parts.policy),
            Edit::Database => parts.database = next(parts.database),
            Edit::Account => parts.account = next(parts.account),
            Edit::Settings => {
                if parts.settings.pop().is_none() {
                    parts.settings.push("tone");
                }
            }
            Edit::Flag(which) => {
                let flags: [&mut bool; 11] = [
                    &mut parts.team,
                    &mut parts.tier_role,
                    &mut parts.token,
                    &mut parts.schema,
                    &mut parts.exclusive,
                    &mut parts.protect,
                    &mut parts.usage,
                    &mut parts.row,
                    &mut parts.services,
                    &mut parts.card,
                    &mut parts.note,
                ];
                if let Some(flag) = flags.into_iter().nth(*which) {
                    *flag ^= true;
                }
            }
        }
    }
    model
}

trait Next {
    fn get_next(&self, phase: Phase) -> Option<Phase>;
}

impl Next for Index {
    fn get_next(&self, phase: Phase) -> Option<Phase> {
        match phase.next() {
            [] => None,
            next => Some(*self.get(next)),
        }
    }
}

/// What somebody does to a resource by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// A field that the blueprint names.
    Owned,
    /// A field that nobody asked for, or a key of a map that is owned key by key.
    NotOwned,
    Delete,
    /// The mark is taken off. Nothing of a resource that has none.
    Unmark,
}

pub fn tampering() -> impl Strategy<Value = (Index, Tampering)> {
    let what = [Tampering::Owned, Tampering::NotOwned, Tampering::Delete, Tampering::Unmark];
    (any::<Index>(), prop::sample::select(what.to_vec()))
}

/// A row of the world, named as its target names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub target: String,
    pub kind: String,
    pub identity: String,
}

/// Does it to the row at `index`; nothing if there is no such row, or nothing to do to it.
pub async fn tamper(bed: &Bed, place: &Place, what: Tampering) -> bool {
    let Place { target, kind, identity } = place;
    let sql = match (what, kind.as_str()) {
        (Tampering::Owned, "postgres.role") => "UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 77)",
        (Tampering::Owned, "postgres.schema") => {
            "UPDATE resources SET spec = json_set(spec, '$.exclusive', json(iif(spec ->> '$.exclusive', 'false', 'true')))"
        }
        (Tampering::Owned, "postgres.grant") => {
            "UPDATE resources SET spec = json_set(spec, '$.privileges', json('[\"TRUNCATE\"]'))"
        }
        (Tampering::Owned, "postgres.script") => "UPDATE resources SET spec = json_set(spec, '$.checksum', 'changed')",
        (Tampering::Owned, "postgres.rls_policy") => {
            "UPDATE resources SET spec = json_set(spec, '$.force', json('false'))"
        }
        (Tampering::Owned, "postgres.row") => {
            "UPDATE resources SET spec = json_set(spec, '$.columns.phase', 'lost', '$.columns.since', 'lost')"
        }
        (Tampering::Owned, "postgres.database") => {
            "UPDATE resources SET spec = json_set(spec, '$.connectionLimit', 77)"
        }
        (Tampering::Owned, "bank.account") => "UPDATE resources SET spec = json_set(spec, '$.limit', 77)",
        (Tampering::Owned, "bank.card") => return false,
        (Tampering::Owned, "bank.note") => "UPDATE resources SET spec = json_set(spec, '$.text', 'scribbled')",
        (Tampering::NotOwned, "postgres.row") => {
            "UPDATE resources SET spec = json_set(spec, '$.columns.last_seen', 'now')"
        }
        (Tampering::NotOwned, _) => "UPDATE resources SET spec = json_set(spec, '$.tablespace', 'fast')",
        (Tampering::Delete, _) => "DELETE FROM resources",
        (Tampering::Unmark, _) => "UPDATE resources SET mark = NULL",
        (Tampering::Owned, other) => panic!("no field of {other} to change"),
    };
    let before = bed.rows().await;
    let condition = "WHERE target = ? AND kind = ? AND identity = ?";
    bed.execute(&format!("{sql} {condition}"), &[target, kind, identity]).await;
    if what == Tampering::Delete {
        bed.execute(&format!("DELETE FROM needs {condition}"), &[target, kind, identity]).await;
    }
    bed.rows().await != before
}
