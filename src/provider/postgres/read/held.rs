//! What privileges roles hold, as access control lists say.
//!
//! One query for each class of objects that is asked about. Lists of all objects of a schema are counted on the server, so that
//! what comes back grows with schemas and roles and not with tables.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::trial::{self, Tried};
use crate::error::{Failed as _, Failure};
use crate::types::grant::{Class, Extent, GrantSpec, Signature, of_column};

/// Something that privileges are held on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    Schema(String),
    /// Schema and name of a table or sequence.
    Relation(Class, String, String),
    /// Schema and signature as they were written.
    Function(String, String),
    /// The one that the connection is to.
    Database,
    /// Class, schema or nothing for all, and the role that makes the objects; nothing for the one that applies.
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
    /// As `server_version_num` has it.
    pub version: i32,
    /// Whom we log in as.
    login: String,
    pub roles: HashSet<String>,
    pub schemas: HashSet<String>,
    objects: HashSet<Object>,
    /// Functions of which nobody can tell whether they are there, with the reason.
    doubtful: HashMap<Object, String>,
    /// Of objects to come: by class, schema and role who has said something.
    grantors: HashMap<(Class, String, String), BTreeSet<String>>,
    one: HashMap<(Object, String), Held>,
    all: HashMap<(Class, String), HeldOnAll>,
}

const NAMES_QUERY: &str = "
SELECT 'r', r.rolname::text FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1::text[]::name[])
UNION ALL
SELECT 'n', n.nspname::text FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($2::text[]::name[])
UNION ALL
SELECT 'v', pg_catalog.current_setting('server_version_num')
UNION ALL
SELECT 'u', current_user::text";

/// Of objects by name: `{objects}` yields name parts, owner and list.
const ONE_QUERY: &str = "
SELECT o.a::text, o.b::text, CASE a.grantee WHEN 0 THEN 'public' ELSE r.rolname::text END,
       a.privilege_type, pg_catalog.bool_or(a.is_grantable), a.grantee = o.owner
FROM ({objects}) o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE a.grantee = 0 OR r.rolname = ANY ($1::text[]::name[])
GROUP BY 1, 2, 3, 4, 6
UNION ALL
SELECT o.a::text, o.b::text, NULL, NULL, false, false FROM ({objects}) o";

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

/// By the numbers of the types of its arguments: to ask for a function by its signature takes a privilege on its schema.
const FUNCTIONS: &str = "
SELECT w.s AS a, w.signature AS b, p.proowner AS owner,
       COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl
FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]),
                pg_catalog.unnest($5::text[])) AS w (s, signature, name, types)
JOIN pg_catalog.pg_namespace n ON n.nspname = w.s::name
JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = w.name::name AND p.proargtypes::text = w.types";

/// Privileges on single columns of tables.
const COLUMNS_QUERY: &str = "
SELECT n.nspname::text, c.relname::text, t.attname::text, CASE a.grantee WHEN 0 THEN 'public' ELSE r.rolname::text END,
       a.privilege_type, pg_catalog.bool_or(a.is_grantable)
FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND t.attacl IS NOT NULL AND NOT t.attisdropped
CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE n.nspname = ANY ($2::text[]::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.grantee <> c.relowner
  AND (a.grantee = 0 OR r.rolname = ANY ($1::text[]::name[]))
GROUP BY 1, 2, 3, 4, 5";

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

/// Whoever has said nothing of what it will make in any schema has the server's own default.
const DEFAULTS_QUERY: &str = "
WITH lists AS (
  SELECT COALESCE(n.nspname, '') AS schema, d.defaclobjtype AS class, d.defaclrole AS grantor, d.defaclacl AS acl
  FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
  WHERE COALESCE(n.nspname, '') = ANY ($2::text[]::name[])
  UNION ALL
  SELECT '', t.stored::\"char\", r.oid, pg_catalog.acldefault(t.letter::\"char\", r.oid)
  FROM pg_catalog.pg_roles r CROSS JOIN (VALUES ('r', 'r'), ('S', 's'), ('f', 'f')) AS t (stored, letter)
  WHERE '' = ANY ($2::text[]) AND (r.rolname = ANY ($3::text[]::name[]) OR r.rolname = current_user)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_default_acl d
                    WHERE d.defaclrole = r.oid AND d.defaclnamespace = 0 AND d.defaclobjtype = t.stored::\"char\")
)
SELECT l.schema::text, l.class::text, pg_catalog.pg_get_userbyid(l.grantor)::text,
       CASE a.grantee WHEN 0 THEN 'public' ELSE r.rolname::text END, a.privilege_type, a.is_grantable,
       a.grantee = l.grantor AND l.schema = ''
FROM lists l CROSS JOIN LATERAL pg_catalog.aclexplode(l.acl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE a.grantee = 0 OR r.rolname = ANY ($1::text[]::name[])";

/// Reads what the roles of some grants hold on the objects of those grants.
pub async fn fetch(connection: &mut PgConnection, grants: &[GrantSpec]) -> Result<Privileges, Failure> {
    let mut asked = Asked::default();
    for grant in grants {
        asked.add(grant);
    }
    let roles: Vec<String> = asked.roles.iter().cloned().collect();
    let mut privileges = Privileges { roles: HashSet::from(["public".to_owned()]), ..Privileges::default() };
    privileges.objects.insert(Object::Database);

    let all_schemas: Vec<String> = asked.all_schemas.iter().cloned().collect();
    for row in sqlx::query(NAMES_QUERY).bind(&roles).bind(&all_schemas).fetch_all(&mut *connection).await? {
        let name: String = row.try_get(1)?;
        match row.try_get::<&str, _>(0)? {
            "r" => drop(privileges.roles.insert(name)),
            "v" => privileges.version = name.parse().unwrap_or_default(),
            "u" => privileges.login = name,
            _ => drop(privileges.schemas.insert(name)),
        }
    }
    if !asked.schemas.is_empty() {
        let schemas: Vec<String> = asked.schemas.into_iter().collect();
        let query = one_query(SCHEMAS);
        let rows = sqlx::query(query).bind(&roles).bind(&schemas).fetch_all(&mut *connection).await?;
        privileges.add_one(&rows, |a, _| vec![Object::Schema(a)])?;
    }
    let in_schemas: BTreeSet<&String> =
        asked.relations.iter().map(|(schema, _)| schema).chain(&asked.all_relations).collect();
    let in_schemas: Vec<String> = in_schemas.into_iter().cloned().collect();
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
        privileges.add_functions(connection, &roles, asked.functions).await?;
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
    if !in_schemas.is_empty() {
        let rows = sqlx::query(COLUMNS_QUERY).bind(&roles).bind(&in_schemas).fetch_all(&mut *connection).await?;
        privileges.add_columns(&rows)?;
    }
    if !asked.defaults.is_empty() {
        let schemas: Vec<String> = asked.defaults.into_iter().collect();
        let grantors: Vec<String> = asked.grantors.into_iter().collect();
        let query = sqlx::query(DEFAULTS_QUERY).bind(&roles).bind(&schemas).bind(&grantors);
        privileges.add_defaults(&query.fetch_all(&mut *connection).await?)?;
    }
    Ok(privileges)
}

/// Functions by schema and signature, each with the numbers of its types as the server writes them; nothing where a type is
/// missing, and a reason where nobody can tell.
///
/// # Errors
/// If the connection fails.
pub async fn types_of(
    connection: &mut PgConnection,
    functions: &BTreeSet<(String, String)>,
) -> Result<HashMap<(String, String), Result<Option<String>, String>>, Failure> {
    let mut texts: BTreeSet<&str> = BTreeSet::new();
    for (_, signature) in functions {
        let arguments = Signature::parse(signature).map(|signature| signature.arguments()).unwrap_or_default();
        texts.extend(arguments.into_iter().flat_map(Signature::types_of));
    }
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    let tried = trial::each(connection, "SELECT pg_catalog.to_regtype($1)::oid::text", &texts).await?;
    let tried: HashMap<String, Tried> = texts.into_iter().zip(tried).collect();
    let of = |signature: &str| -> Result<Option<String>, String> {
        let Some(parsed) = Signature::parse(signature) else {
            return Err(format!("{signature:?} is not the signature of a function"));
        };
        let mut numbers = Vec::new();
        for argument in parsed.arguments() {
            let candidates = || Signature::types_of(argument).into_iter().filter_map(|text| tried.get(text));
            let number = candidates().find_map(|tried| tried.clone().answer());
            let denied = candidates().find_map(|tried| match tried {
                Tried::Refused(why) if why.contains("permission denied") => Some(why.clone()),
                _ => None,
            });
            match (number, denied) {
                (Some(number), _) => numbers.push(number),
                (None, Some(why)) => return Err(format!("the type of its argument {argument:?} is unknown: {why}")),
                (None, None) => return Ok(None),
            }
        }
        Ok(Some(numbers.join(" ")))
    };
    Ok(functions.iter().map(|function| (function.clone(), of(&function.1))).collect())
}

fn one_query(objects: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(ONE_QUERY.replace("{objects}", objects))
}

/// The object of a grant on one object, or on objects to come.
pub fn object_of(grant: &GrantSpec) -> Object {
    let schema = || grant.schema.clone().unwrap_or_default();
    let name = || grant.name.clone().unwrap_or_default();
    match (grant.on.extent(), grant.on.class()) {
        (Extent::Default, class) => Object::Default(class, schema(), grant.grantor.clone().unwrap_or_default()),
        (_, Class::Schema) => Object::Schema(schema()),
        (_, Class::Database) => Object::Database,
        (_, Class::Function) => Object::Function(schema(), name()),
        (_, class) => Object::Relation(class, schema(), name()),
    }
}

/// The number of a function.
///
/// # Errors
/// If there is none, or nobody can tell.
pub async fn function(connection: &mut PgConnection, schema: &str, signature: &str) -> Result<String, Failure> {
    let asked = (schema.to_owned(), signature.to_owned());
    let mut types = types_of(connection, &BTreeSet::from([asked.clone()])).await?;
    let missing = || Failure::invalid(format!("there is no function {signature} in schema \"{schema}\""));
    let types = types.remove(&asked).unwrap_or(Ok(None)).map_err(Failure::invalid)?.ok_or_else(missing)?;
    let name = Signature::parse(signature).map(|signature| signature.name.to_owned());
    let query = "SELECT p.oid::text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE n.nspname = $1::text::name AND p.proname = $2::text::name AND p.proargtypes::text = $3";
    let found: Option<String> =
        sqlx::query_scalar(query).bind(schema).bind(name).bind(types).fetch_optional(connection).await?;
    found.ok_or_else(missing)
}

/// What the queries ask for. Sets, because tenants share objects.
#[derive(Default)]
struct Asked {
    roles: BTreeSet<String>,
    all_schemas: BTreeSet<String>,
    schemas: BTreeSet<String>,
    relations: BTreeSet<(String, String)>,
    functions: BTreeSet<(String, String)>,
    database: bool,
    all_relations: BTreeSet<String>,
    all_functions: BTreeSet<String>,
    defaults: BTreeSet<String>,
    grantors: BTreeSet<String>,
}

impl Asked {
    fn add(&mut self, grant: &GrantSpec) {
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
            Extent::One | Extent::Default => match object_of(grant) {
                Object::Schema(schema) => drop(self.schemas.insert(schema)),
                Object::Relation(_, schema, name) => drop(self.relations.insert((schema, name))),
                Object::Function(schema, signature) => drop(self.functions.insert((schema, signature))),
                Object::Database => self.database = true,
                Object::Default(_, schema, grantor) => {
                    self.defaults.insert(schema);
                    self.grantors.insert(grantor);
                }
            },
        }
    }
}

impl Privileges {
    /// What a role holds on one object; `None` if it holds nothing or there is no such object.
    pub fn on_one(&self, object: Object, role: &str) -> Option<&Held> {
        self.one.get(&(object, role.to_owned()))
    }

    /// Whether there is such an object. What is yet to be made always is.
    pub fn exists(&self, object: &Object) -> bool {
        matches!(object, Object::Default(..)) || self.objects.contains(object)
    }

    /// Why nobody can tell whether there is such an object.
    pub fn doubt(&self, object: &Object) -> Option<&str> {
        self.doubtful.get(object).map(String::as_str)
    }

    /// What roles have said of the objects that they will make, each apart: that of the login first.
    pub fn on_objects_to_come(&self, class: Class, schema: &str, role: &str) -> Vec<&Held> {
        let Some(grantors) = self.grantors.get(&(class, schema.to_owned(), role.to_owned())) else { return Vec::new() };
        let own = grantors.iter().filter(|grantor| **grantor == self.login);
        let others = grantors.iter().filter(|grantor| **grantor != self.login);
        let of = |grantor: &String| self.on_one(Object::Default(class, schema.to_owned(), grantor.clone()), role);
        own.chain(others).filter_map(of).collect()
    }

    /// Whether the first of them is of the login itself.
    pub fn is_of_login(&self, class: Class, schema: &str, role: &str) -> bool {
        let grantors = self.grantors.get(&(class, schema.to_owned(), role.to_owned()));
        grantors.is_some_and(|grantors| grantors.contains(&self.login))
    }

    async fn add_functions(
        &mut self,
        connection: &mut PgConnection,
        roles: &[String],
        asked: BTreeSet<(String, String)>,
    ) -> Result<(), Failure> {
        let (mut schemas, mut signatures) = (Vec::new(), Vec::new());
        let (mut names, mut types) = (Vec::new(), Vec::new());
        for ((schema, signature), found) in types_of(connection, &asked).await? {
            match found {
                Ok(Some(numbers)) => {
                    let name = Signature::parse(&signature).map(|signature| signature.name.to_owned());
                    names.push(name.unwrap_or_default());
                    types.push(numbers);
                    schemas.push(schema);
                    signatures.push(signature);
                }
                Ok(None) => {}
                Err(why) => drop(self.doubtful.insert(Object::Function(schema, signature), why)),
            }
        }
        let query =
            sqlx::query(one_query(FUNCTIONS)).bind(roles).bind(schemas).bind(signatures).bind(names).bind(types);
        let rows = query.fetch_all(connection).await?;
        self.add_one(&rows, |schema, signature| vec![Object::Function(schema, signature)])?;
        Ok(())
    }

    fn add_columns(&mut self, rows: &[PgRow]) -> Result<(), sqlx::Error> {
        for row in rows {
            let (schema, table, column): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (role, grantable): (String, bool) = (row.try_get(3)?, row.try_get(5)?);
            let name = of_column(row.try_get(4)?, &column);
            let object = Object::Relation(Class::Table, schema.clone(), table);
            if self.objects.contains(&object) {
                let held = self.one.entry((object, role.clone())).or_default();
                *held.privileges.entry(name.clone()).or_default() |= grantable;
            }
            if let Some(held) = self.all.get_mut(&(Class::Table, schema)) {
                let none = Count { objects: 0, all_grantable: true, any_grantable: false };
                let count = held.counts.entry(role).or_default().entry(name).or_insert(none);
                count.objects += 1;
                count.all_grantable &= grantable;
                count.any_grantable |= grantable;
            }
        }
        Ok(())
    }

    pub fn on_all(&self, class: Class, schema: &str) -> Option<&HeldOnAll> {
        self.all.get(&(class, schema.to_owned()))
    }

    fn add_one(&mut self, rows: &[PgRow], objects: impl Fn(String, String) -> Vec<Object>) -> Result<(), sqlx::Error> {
        for row in rows {
            for object in objects(row.try_get(0)?, row.try_get(1)?) {
                let Some(role) = row.try_get::<Option<String>, _>(2)? else {
                    self.objects.insert(object);
                    continue;
                };
                let held = self.one.entry((object, role)).or_default();
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
            let role: String = row.try_get(3)?;
            self.grantors.entry((class, schema.clone(), role.clone())).or_default().insert(grantor.clone());
            let held = self.one.entry((Object::Default(class, schema, grantor), role)).or_default();
            *held.privileges.entry(row.try_get(4)?).or_default() |= row.try_get::<bool, _>(5)?;
            held.is_owner |= row.try_get::<bool, _>(6)?;
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
