//! The part of the world that a batch touches: read at once before the first step, and written at once after the last.
//!
//! A statement costs a hand-over to the thread of the database. Of a batch there are as many of them as there are tables, and
//! not as there are steps. `CROSS JOIN` keeps the batch on the outside, whose rows are looked up by key; with the order left to
//! it, SQLite goes through all rows of the target for each batch: <https://www.sqlite.org/optoverview.html#crossjoin>.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use tenantry_core::model::kind::Kind;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::Identity;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::Step;

/// A resource of the world.
#[derive(Clone)]
pub struct Stored {
    /// By which others refer to it.
    pub name: String,
    pub spec: Map,
    pub mark: Option<Mark>,
    pub outputs: Map,
}

/// The most rows of one statement, each of seven values: SQLite takes 32,766 placeholders.
const MOST_ROWS: usize = 1000;

/// Kind and identity.
type At = (&'static str, Identity);
/// Kind and name.
type Named = (String, String);

/// What is there, with what the batch has changed of it so far.
pub struct Part<'t> {
    target: &'t str,
    resources: HashMap<At, Stored>,
    /// What was there before the batch.
    before: HashSet<At>,
    /// Who has a name that others may refer to, or that was given in this batch.
    names: HashMap<Named, BTreeSet<Identity>>,
    /// Who needs what may be deleted, or was written in this batch.
    needed: HashMap<Named, BTreeSet<(String, String)>>,
    /// The same from the other side: what each of those needs.
    needs: HashMap<(String, String), Vec<Named>>,
    /// Everything that was changed, in order; nothing of what was deleted.
    changed: BTreeMap<At, Option<Change>>,
    /// What may be held by something that the batch deletes, by its place.
    nested: Vec<(String, At)>,
}

struct Change {
    stored: Stored,
    needs: Vec<Named>,
}

impl<'t> Part<'t> {
    /// Reads what the steps may look at.
    pub async fn read(connection: &mut SqliteConnection, target: &'t str, steps: &[Step]) -> Result<Self, sqlx::Error> {
        let mut part = Self {
            target,
            resources: HashMap::new(),
            before: HashSet::new(),
            names: HashMap::new(),
            needed: HashMap::new(),
            needs: HashMap::new(),
            changed: BTreeMap::new(),
            nested: Vec::new(),
        };
        let kinds: HashMap<&str, &'static str> = steps.iter().map(|step| (step.kind.name, step.kind.name)).collect();
        let touched: Vec<(&str, &str)> = steps.iter().map(|step| (step.kind.name, &*step.identity)).collect();
        let select = "SELECT r.kind, r.identity, r.name, r.spec, r.mark, r.outputs";
        let from = "resources r ON r.kind = j.column1 AND r.identity = j.column2 AND r.target =";
        let rows = look_up(connection, select, &touched, from, target).await?;
        for row in rows {
            let Some(kind) = kinds.get(row.try_get::<&str, _>(0)?) else { continue };
            let mark = row.try_get::<Option<&str>, _>(4)?.map(serde_json::from_str).transpose().map_err(decode)?;
            let (spec, outputs) = (map(row.try_get(3)?)?, map(row.try_get(5)?)?);
            let stored = Stored { name: row.try_get(2)?, spec, mark, outputs };
            let at = (*kind, Identity::from(row.try_get::<&str, _>(1)?));
            part.before.insert(at.clone());
            part.resources.insert(at, stored);
        }

        let referred: BTreeSet<Named> = steps
            .iter()
            .filter(|step| !step.is_delete())
            .flat_map(|step| {
                let spec = step.kind.normal(step.spec());
                let all = step.kind.requires(&spec).into_iter().flatten();
                all.map(|reference| (reference.kind.to_owned(), reference.name.to_string())).collect::<Vec<_>>()
            })
            .collect();
        if !referred.is_empty() {
            let referred: Vec<(&str, &str)> = referred.iter().map(|(kind, name)| (&**kind, &**name)).collect();
            let select = "SELECT r.kind, r.name, r.identity";
            let from = "resources r ON r.kind = j.column1 AND r.name = j.column2 AND r.target =";
            let rows = look_up(connection, select, &referred, from, target).await?;
            for row in rows {
                let identity = row.try_get::<&str, _>(2)?.into();
                part.names.entry((row.try_get(0)?, row.try_get(1)?)).or_default().insert(identity);
            }
        }

        let ending = steps.iter().filter(|step| step.is_delete());
        let ending: BTreeSet<Named> = ending
            .filter_map(|step| {
                let stored = part.resources.get(&(step.kind.name, step.identity.clone()))?;
                Some((step.kind.name.to_owned(), stored.name.clone()))
            })
            .collect();
        if !ending.is_empty() {
            let ending: Vec<(&str, &str)> = ending.iter().map(|(kind, name)| (&**kind, &**name)).collect();
            let select = "SELECT n.needed_kind, n.needed_name, n.kind, n.identity";
            let from = "needs n ON n.needed_kind = j.column1 AND n.needed_name = j.column2 AND n.target =";
            let rows = look_up(connection, select, &ending, from, target).await?;
            for row in rows {
                let holder: (String, String) = (row.try_get(2)?, row.try_get(3)?);
                let named: Named = (row.try_get(0)?, row.try_get(1)?);
                part.needs.entry(holder.clone()).or_default().push(named.clone());
                part.needed.entry(named).or_default().insert(holder);
            }
        }
        Ok(part)
    }

    /// Reads everything of the target that some kinds have, where a step deletes what holds others.
    pub async fn read_nested<'k>(
        &mut self,
        connection: &mut SqliteConnection,
        kinds: impl Iterator<Item = &'k Kind>,
    ) -> Result<(), sqlx::Error> {
        for kind in kinds {
            let select = "SELECT identity, name, spec, mark, outputs FROM resources WHERE target = ? AND kind = ?";
            for row in sqlx::query(select).bind(self.target).bind(kind.name).fetch_all(&mut *connection).await? {
                let at = (kind.name, Identity::from(row.try_get::<&str, _>(0)?));
                let spec = map(row.try_get(2)?)?;
                self.nested.extend(kind.place_of(&kind.normal(&spec)).map(|place| (place, at.clone())));
                self.before.insert(at.clone());
                let mark = row.try_get::<Option<&str>, _>(3)?.map(serde_json::from_str).transpose().map_err(decode)?;
                let stored = Stored { name: row.try_get(1)?, spec, mark, outputs: map(row.try_get(4)?)? };
                self.resources.entry(at).or_insert(stored);
            }
        }
        Ok(())
    }

    /// Kinds and identities of what is below a place.
    pub fn below(&self, place: &str) -> Vec<(&'static str, Identity)> {
        self.nested.iter().filter(|(of, _)| of.starts_with(place)).map(|(_, at)| at.clone()).collect()
    }

    pub fn stored(&self, kind: &Kind, identity: &Identity) -> Option<&Stored> {
        self.resources.get(&(kind.name, identity.clone()))
    }

    /// Whether a resource of a kind has a name.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.names.get(&(kind.to_owned(), name.to_owned())).is_some_and(|holders| !holders.is_empty())
    }

    /// Who needs the resource of a kind that has a name: kind and identity of the first.
    pub fn needed_by(&self, kind: &Kind, name: &str) -> Option<&(String, String)> {
        self.needed.get(&(kind.name.to_owned(), name.to_owned()))?.first()
    }

    pub fn store(&mut self, kind: &Kind, identity: &Identity, stored: Stored, needs: Vec<Named>) {
        self.leave(kind, identity);
        self.names.entry((kind.name.to_owned(), stored.name.clone())).or_default().insert(identity.clone());
        let holder = (kind.name.to_owned(), identity.to_string());
        for needed in &needs {
            self.needed.entry(needed.clone()).or_default().insert(holder.clone());
        }
        self.needs.insert(holder, needs.clone());
        self.resources.insert((kind.name, identity.clone()), stored.clone());
        self.changed.insert((kind.name, identity.clone()), Some(Change { stored, needs }));
    }

    pub fn delete(&mut self, kind: &Kind, identity: &Identity) {
        self.leave(kind, identity);
        self.resources.remove(&(kind.name, identity.clone()));
        self.changed.insert((kind.name, identity.clone()), None);
    }

    /// Takes a resource's name and needs away.
    fn leave(&mut self, kind: &Kind, identity: &Identity) {
        if let Some(before) = self.resources.get(&(kind.name, identity.clone()))
            && let Some(holders) = self.names.get_mut(&(kind.name.to_owned(), before.name.clone()))
        {
            holders.remove(identity);
        }
        let holder = (kind.name.to_owned(), identity.to_string());
        for needed in self.needs.remove(&holder).into_iter().flatten() {
            if let Some(holders) = self.needed.get_mut(&needed) {
                holders.remove(&holder);
            }
        }
    }

    /// Writes everything that was changed.
    pub async fn write(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let replaced: Vec<&At> = self.changed.keys().filter(|at| self.before.contains(*at)).collect();
        for table in ["needs", "resources"] {
            for replaced in replaced.chunks(MOST_ROWS) {
                let mut delete = QueryBuilder::<Sqlite>::new(format!("DELETE FROM {table} WHERE target = "));
                delete.push_bind(self.target).push(" AND (kind, identity) IN (");
                delete.push_values(replaced, |mut row, (kind, identity)| {
                    row.push_bind(*kind).push_bind(&**identity);
                });
                delete.push(")").build().execute(&mut *connection).await?;
            }
        }
        let (mut resources, mut needs) = (Vec::new(), Vec::new());
        for ((kind, identity), change) in &self.changed {
            let Some(Change { stored, needs: of_it }) = change else { continue };
            let mark = stored.mark.as_ref().map(text).transpose()?;
            resources.push((*kind, identity, &stored.name, text(&stored.spec)?, mark, text(&stored.outputs)?));
            needs.extend(of_it.iter().map(|needed| (*kind, identity, needed)));
        }
        for resources in resources.chunks(MOST_ROWS) {
            let into = "INSERT INTO resources (target, kind, identity, name, spec, mark, outputs) ";
            let mut insert = QueryBuilder::<Sqlite>::new(into);
            insert.push_values(resources, |mut row, (kind, identity, name, spec, mark, outputs)| {
                row.push_bind(self.target).push_bind(*kind).push_bind(&***identity).push_bind(&***name);
                row.push_bind(&**spec).push_bind(mark.as_deref()).push_bind(&**outputs);
            });
            insert.build().execute(&mut *connection).await?;
        }
        for needs in needs.chunks(MOST_ROWS) {
            let into = "INSERT OR IGNORE INTO needs (target, kind, identity, needed_kind, needed_name) ";
            let mut insert = QueryBuilder::<Sqlite>::new(into);
            insert.push_values(needs, |mut row, (kind, identity, (needed_kind, needed_name))| {
                row.push_bind(self.target).push_bind(*kind).push_bind(&***identity);
                row.push_bind(&**needed_kind).push_bind(&**needed_name);
            });
            insert.build().execute(&mut *connection).await?;
        }
        Ok(())
    }
}

/// Looks pairs up in a table. `from` names them `j.column1` and `j.column2`, and ends before the target.
async fn look_up(
    connection: &mut SqliteConnection,
    select: &str,
    pairs: &[(&str, &str)],
    from: &str,
    target: &str,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let mut rows = Vec::new();
    for pairs in pairs.chunks(MOST_ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(format!("{select} FROM ("));
        query.push_values(pairs, |mut row, (first, second)| {
            row.push_bind(*first).push_bind(*second);
        });
        query.push(format!(") AS j CROSS JOIN {from} ")).push_bind(target);
        rows.extend(query.build().fetch_all(&mut *connection).await?);
    }
    Ok(rows)
}

fn text(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn decode(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

fn map(text: &str) -> Result<Map, sqlx::Error> {
    Ok(serde_json::from_str::<Value>(text).map_err(decode)?.as_map().cloned().unwrap_or_default())
}
