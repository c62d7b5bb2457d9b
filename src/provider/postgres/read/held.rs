//! What privileges roles hold, as access control lists say.
//!
//! One query for each class of objects that is asked about. Lists of all objects of a schema are counted on the server, so that
//! what comes back grows with schemas and roles and not with tables.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::error::{Failed as _, Failure};
use crate::quote::quote_qualified;
use crate::types::grant::{Class, Extent, GrantSpec, Signature};

/// Something that privileges are held on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    Schema(String),
    /// Schema and name of a table or sequence.
    Relation(Class, String, String),
    /// The signature as the server is asked for it.
    Function(String),
    /// The one that the connection is to.
    Database,
    /// Class, schema or nothing for all, and the role that makes the objects or nothing for any.
    Default(Class, String, String),
}

/// What one role holds on one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// Each privilege, and whether it may be given on.
    pub privileges: BTreeMap<String, bool>,
    /// Whether the role owns the object, and so may do everything whatever the list says.
    pub is_owner: bool,
}

/// What roles hold on all objects of one class in one schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldOnAll {
    /// The number of objects of each owner.
    pub objects: HashMap<String, i64>,
    /// By role and privilege, on objects that the role does not own.
    pub counts: HashMap<String, BTreeMap<String, Count>>,
}

/// On how many objects a privilege is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    pub objects: i64,
    pub all_grantable: bool,
    pub any_grantable: bool,
}

/// Everything that the answers are made of.
#[derive(Default)]
pub struct Privileges {
    pub roles: HashSet<String>,
    pub schemas: HashSet<String>,
    one: HashMap<(Object, String), Held>,
    all: HashMap<(Class, String), HeldOnAll>,
}

const NAMES_QUERY: &str = "
SELECT 'r', r.rolname::text FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1::text[]::name[])
UNION ALL
SELECT 'n', n.nspname::text FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($2::text[]::name[])";

/// Of objects by name: `{objects}` yields name parts, owner and list.
const ONE_QUERY: &str = "
SELECT o.a::text, o.b::text, CASE a.grantee WHEN 0 THEN 'public' ELSE r.rolname::text END,
       a.privilege_type, pg_catalog.bool_or(a.is_grantable), a.grantee = o.owner
FROM ({objects}) o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE a.grantee = 0 OR r.rolname = ANY ($1::text[]::name[])
GROUP BY 1, 2, 3, 4, 6";

const SCHEMAS: &str = "
SELECT n.nspname AS a, '' AS b, n.nspowner AS owner,
       COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) AS acl
FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($2::text[]::name[])";

const RELATIONS: &str = "
SELECT n.nspname AS a, c.relname AS b, c.relowner AS owner,
       COALESCE(c.relacl, pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, c.relowner)) AS acl
FROM (SELECT DISTINCT * FROM ROWS FROM (pg_catalog.unnest($2::text[]::name[]), pg_catalog.unnest($3::text[]::name[])) AS w (s, t)) w
JOIN pg_catalog.pg_namespace n ON n.nspname = w.s
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.t";

/// A function is looked for only once all types of its arguments are found: asking for one with a type that does not exist is
/// an error, and would spoil the answers for all others.
const FUNCTIONS: &str = "
SELECT w.signature AS a, '' AS b, p.proowner AS owner,
       COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl
FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) AS w (signature, types)
JOIN pg_catalog.pg_proc p ON p.oid = CASE
  WHEN NOT EXISTS (SELECT FROM pg_catalog.unnest(pg_catalog.string_to_array(w.types, E'\\x1F')) AS t (name)
                   WHERE pg_catalog.to_regtype(t.name) IS NULL)
  THEN pg_catalog.to_regprocedure(w.signature) END";

const DATABASE: &str = "
SELECT d.datname AS a, '' AS b, d.datdba AS owner, COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba)) AS acl
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

const ALL_QUERY: &str = "
WITH objects AS MATERIALIZED (
  SELECT n.nspname AS schema, CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END AS class, c.oid, c.relowner AS owner, c.relacl AS acl
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
  WHERE n.nspname = ANY ($2::text[]::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT n.nspname, 'f', p.oid, p.proowner, COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid
  WHERE n.nspname = ANY ($3::text[]::name[])
)
SELECT o.schema::text, o.class, pg_catalog.pg_get_userbyid(o.owner)::text, NULL, pg_catalog.count(*), false, false
FROM objects o GROUP BY o.schema, o.class, o.owner
UNION ALL
SELECT o.schema::text, o.class, CASE a.grantee WHEN 0 THEN 'public' ELSE r.rolname::text END, a.privilege_type,
       pg_catalog.count(DISTINCT o.oid), pg_catalog.bool_and(a.is_grantable), pg_catalog.bool_or(a.is_grantable)
FROM objects o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE a.grantee <> o.owner AND (a.grantee = 0 OR r.rolname = ANY ($1::text[]::name[]))
GROUP BY 1, 2, 3, 4";

const DEFAULTS_QUERY: &str = "
SELECT COALESCE(n.nspname, '')::text, d.defaclobjtype::text, pg_catalog.pg_get_userbyid(d.defaclrole)::text,
       CASE a.grantee WHEN 0 THEN 'public' ELSE r.rolname::text END, a.privilege_type, a.is_grantable,
       a.grantee = d.defaclrole AND d.defaclnamespace = 0
FROM pg_catalog.pg_default_acl d
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE COALESCE(n.nspname, '') = ANY ($2::text[]::name[]) AND (a.grantee = 0 OR r.rolname = ANY ($1::text[]::name[]))";

/// Reads what the roles of some grants hold on the objects of those grants.
pub async fn fetch(connection: &mut PgConnection, grants: &[GrantSpec]) -> Result<Privileges, Failure> {
    let mut asked = Asked::default();
    for grant in grants {
        asked.add(grant)?;
    }
    let roles: Vec<String> = asked.roles.iter().cloned().collect();
    let mut privileges = Privileges { roles: HashSet::from(["public".to_owned()]), ..Privileges::default() };

    let all_schemas: Vec<String> = asked.all_schemas.iter().cloned().collect();
    for row in sqlx::query(NAMES_QUERY).bind(&roles).bind(&all_schemas).fetch_all(&mut *connection).await? {
        let name = row.try_get(1)?;
        match row.try_get::<&str, _>(0)? {
            "r" => privileges.roles.insert(name),
            _ => privileges.schemas.insert(name),
        };
    }
    if !asked.schemas.is_empty() {
        let schemas: Vec<String> = asked.schemas.into_iter().collect();
        let query = one_query(SCHEMAS);
        let rows = sqlx::query(query).bind(&roles).bind(&schemas).fetch_all(&mut *connection).await?;
        privileges.add_one(&rows, |a, _| vec![Object::Schema(a)])?;
    }
    if !asked.relations.is_empty() {
        let (schemas, names): (Vec<String>, Vec<String>) = asked.relations.into_iter().unzip();
        let query = one_query(RELATIONS);
        let rows = sqlx::query(query).bind(&roles).bind(&schemas).bind(&names).fetch_all(&mut *connection).await?;
        // The name is the same whether it was asked for as a table or as a sequence; the server refuses the wrong word.
        privileges.add_one(&rows, |a, b| {
            vec![Object::Relation(Class::Table, a.clone(), b.clone()), Object::Relation(Class::Sequence, a, b)]
        })?;
    }
    if !asked.functions.is_empty() {
        let (signatures, types): (Vec<String>, Vec<String>) = asked.functions.into_iter().unzip();
        let query = one_query(FUNCTIONS);
        let rows = sqlx::query(query).bind(&roles).bind(&signatures).bind(&types).fetch_all(&mut *connection).await?;
        privileges.add_one(&rows, |a, _| vec![Object::Function(a)])?;
    }
    if asked.database {
        let rows = sqlx::query(one_query(DATABASE)).bind(&roles).fetch_all(&mut *connection).await?;
        privileges.add_one(&rows, |_, _| vec![Object::Database])?;
    }
    if !asked.all_relations.is_empty() || !asked.all_functions.is_empty() {
        let relations: Vec<String> = asked.all_relations.into_iter().collect();
        let functions: Vec<String> = asked.all_functions.into_iter().collect();
        let rows =
            sqlx::query(ALL_QUERY).bind(&roles).bind(&relations).bind(&functions).fetch_all(&mut *connection).await?;
        privileges.add_all(&rows)?;
    }
    if !asked.defaults.is_empty() {
        let schemas: Vec<String> = asked.defaults.into_iter().collect();
        let rows = sqlx::query(DEFAULTS_QUERY).bind(&roles).bind(&schemas).fetch_all(&mut *connection).await?;
        privileges.add_defaults(&rows)?;
    }
    Ok(privileges)
}

fn one_query(objects: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(ONE_QUERY.replace("{objects}", objects))
}

/// The object of a grant on one object, or on objects to come.
///
/// # Errors
/// If a name holds a NUL.
pub fn object_of(grant: &GrantSpec) -> Result<Object, Failure> {
    let schema = || grant.schema.clone().unwrap_or_default();
    let name = grant.name.as_deref().unwrap_or_default();
    Ok(match (grant.on.extent(), grant.on.class()) {
        (Extent::Default, class) => Object::Default(class, schema(), grant.grantor.clone().unwrap_or_default()),
        (_, Class::Schema) => Object::Schema(schema()),
        (_, Class::Database) => Object::Database,
        (_, Class::Function) => Object::Function(signature(&schema(), name)?),
        (_, class) => Object::Relation(class, schema(), name.to_owned()),
    })
}

/// A function as `to_regprocedure` reads it.
///
/// # Errors
/// If it is no signature.
pub fn signature(schema: &str, text: &str) -> Result<String, Failure> {
    let Some(Signature { name, arguments }) = Signature::parse(text) else {
        return Err(Failure::invalid(format!("{text:?} is not the signature of a function")));
    };
    Ok(format!("{}({arguments})", quote_qualified(schema, name)?))
}

/// What the queries ask for. Sets, because tenants share objects.
#[derive(Default)]
struct Asked {
    roles: BTreeSet<String>,
    all_schemas: BTreeSet<String>,
    schemas: BTreeSet<String>,
    relations: BTreeSet<(String, String)>,
    /// Signatures, and the types of their arguments with a separator between them.
    functions: BTreeMap<String, String>,
    database: bool,
    all_relations: BTreeSet<String>,
    all_functions: BTreeSet<String>,
    defaults: BTreeSet<String>,
}

impl Asked {
    fn add(&mut self, grant: &GrantSpec) -> Result<(), Failure> {
        self.roles.insert(grant.role.clone());
        self.all_schemas.extend(grant.schema.clone());
        match grant.on.extent() {
            Extent::All => {
                let schemas = match grant.on.class() {
                    Class::Function => &mut self.all_functions,
                    _ => &mut self.all_relations,
                };
                schemas.extend(grant.schema.clone());
            }
            Extent::One | Extent::Default => match object_of(grant)? {
                Object::Schema(schema) => drop(self.schemas.insert(schema)),
                Object::Relation(_, schema, name) => drop(self.relations.insert((schema, name))),
                Object::Function(signature) => {
                    let name = grant.name.as_deref().and_then(Signature::parse);
                    let types = name.map(|signature| signature.types().join("\u{1F}")).unwrap_or_default();
                    self.functions.insert(signature, types);
                }
                Object::Database => self.database = true,
                Object::Default(_, schema, _) => drop(self.defaults.insert(schema)),
            },
        }
        Ok(())
    }
}

impl Privileges {
    /// What a role holds on one object; `None` if it holds nothing or there is no such object.
    pub fn on_one(&self, object: Object, role: &str) -> Option<&Held> {
        self.one.get(&(object, role.to_owned()))
    }

    pub fn on_all(&self, class: Class, schema: &str) -> Option<&HeldOnAll> {
        self.all.get(&(class, schema.to_owned()))
    }

    fn add_one(&mut self, rows: &[PgRow], objects: impl Fn(String, String) -> Vec<Object>) -> Result<(), sqlx::Error> {
        for row in rows {
            for object in objects(row.try_get(0)?, row.try_get(1)?) {
                let held = self.one.entry((object, row.try_get(2)?)).or_default();
                *held.privileges.entry(row.try_get(3)?).or_default() |= row.try_get::<bool, _>(4)?;
                held.is_owner |= row.try_get::<bool, _>(5)?;
            }
        }
        Ok(())
    }

    fn add_all(&mut self, rows: &[PgRow]) -> Result<(), sqlx::Error> {
        for row in rows {
            let class = class_of(row.try_get(1)?);
            let held = self.all.entry((class, row.try_get(0)?)).or_default();
            let role: String = row.try_get(2)?;
            match row.try_get::<Option<String>, _>(3)? {
                None => *held.objects.entry(role).or_default() += row.try_get::<i64, _>(4)?,
                Some(privilege) => {
                    let count = Count {
                        objects: row.try_get(4)?,
                        all_grantable: row.try_get(5)?,
                        any_grantable: row.try_get(6)?,
                    };
                    held.counts.entry(role).or_default().insert(privilege, count);
                }
            }
        }
        Ok(())
    }

    fn add_defaults(&mut self, rows: &[PgRow]) -> Result<(), sqlx::Error> {
        for row in rows {
            let class = class_of(row.try_get(1)?);
            let (schema, grantor): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            for grantor in [grantor, String::new()] {
                let object = Object::Default(class, schema.clone(), grantor);
                let held = self.one.entry((object, row.try_get(3)?)).or_default();
                *held.privileges.entry(row.try_get(4)?).or_default() |= row.try_get::<bool, _>(5)?;
                held.is_owner |= row.try_get::<bool, _>(6)?;
            }
        }
        Ok(())
    }
}

fn class_of(letter: &str) -> Class {
    match letter {
        "S" => Class::Sequence,
        "f" => Class::Function,
        _ => Class::Table,
    }
}
