//! Who gets at a schema that is to be exclusive, or at what is in it, without being meant to.
//!
//! Privileges are one way among several: a column may have privileges of its own, objects to come may have them already, a role
//! may be a member of the owner, an object may belong to somebody else, and a policy may permit the rows that others hide.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlx::{PgConnection, Row as _};

use crate::error::Failure;
use crate::mark;
use crate::quote::{NulCharacter, quote_identifier, quote_qualified};
use crate::types::grant::{Class, Extent, GrantSpec, Signature, of_column};

/// One way in for somebody who is not meant to have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    pub schema: String,
    pub way: Way,
}

/// How somebody gets in.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Privileges on one object, or on a column of it.
    Privileges {
        object: Object,
        column: Option<String>,
        /// `public` for everybody.
        grantee: String,
        /// Who granted them, and whether that is the owner of the object.
        grantor: String,
        is_of_owner: bool,
        privileges: Vec<String>,
    },
    /// Privileges on objects that a role will make, here or in every schema.
    ToCome { maker: String, here: bool, class: Class, grantee: String, privileges: Vec<String> },
    /// Membership in a role that has the owner's rights.
    Member { group: String, member: String, grantor: String },
    /// An object that belongs to somebody else.
    Owned { object: Object, owner: String, schema_owner: String },
    /// A policy that permits rows beside ours.
    Policy { table: String, name: String, roles: Vec<String> },
}

/// The schema itself, or something in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub class: Class,
    /// `None` for the schema itself.
    pub name: Option<String>,
    /// Of a function, its arguments as the server writes them.
    pub arguments: Option<String>,
}

/// Who is meant to get in, besides the owner.
#[derive(Default)]
pub struct Meant<'a> {
    pub grants: &'a [GrantSpec],
    /// Roles of the estate with the groups that they are members of.
    pub memberships: BTreeSet<(&'a str, &'a str)>,
    /// Policies of the estate by schema, table and name, marked or not yet.
    pub policies: BTreeSet<(&'a str, &'a str, &'a str)>,
}

const OBJECTS: &str = "
WITH objects AS (
  SELECT n.nspname AS schema, 'n' AS class, NULL::name AS name, NULL::text AS arguments, NULL::name AS col,
         n.nspowner AS schema_owner, n.nspowner AS owner, n.nspacl AS acl, n.oid AS oid
  FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::text[]::name[])
  UNION ALL
  SELECT n.nspname, CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END, c.relname, NULL, NULL, n.nspowner, c.relowner, c.relacl, c.oid
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
  WHERE n.nspname = ANY ($1::text[]::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT n.nspname, 'r', c.relname, NULL, t.attname, n.nspowner, c.relowner, t.attacl, c.oid
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
  JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND t.attacl IS NOT NULL AND NOT t.attisdropped
  WHERE n.nspname = ANY ($1::text[]::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT n.nspname, 'f', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid), NULL, n.nspowner, p.proowner, p.proacl, p.oid
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid
  WHERE n.nspname = ANY ($1::text[]::name[])
)";

/// What everybody may do with a function by default is not counted: it is there as soon as the function is, and reaches nobody who
/// may not use the schema.
const PRIVILEGES: &str = "
SELECT o.schema::text, o.class, o.name::text, o.arguments, o.col::text,
       CASE a.grantee WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END,
       pg_catalog.pg_get_userbyid(a.grantor)::text, a.grantor = o.owner,
       pg_catalog.array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type)
FROM objects o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
WHERE a.grantee NOT IN (o.owner, o.schema_owner) AND NOT (o.class = 'f' AND a.grantee = 0)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8";

/// Whoever may do everything anyway is no stranger, nor is the login of Tenantry, as which scripts run: the one that asks, and
/// the one that keeps the records of scripts. A sequence of a column goes with its table.
const OWNERS: &str = "
SELECT o.schema::text, o.class, o.name::text, o.arguments, r.rolname::text, pg_catalog.pg_get_userbyid(o.schema_owner)::text
FROM objects o JOIN pg_catalog.pg_roles r ON r.oid = o.owner
WHERE o.name IS NOT NULL AND o.col IS NULL AND o.owner <> o.schema_owner AND NOT r.rolsuper AND r.rolname <> current_user
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = $2::text::name AND c.relname = 'scripts' AND c.relowner = o.owner)
  AND NOT (o.class = 'S' AND EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = o.oid AND d.deptype IN ('a', 'i')
      AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass))
ORDER BY 1, 2, 3, 4";

/// In the schema by anybody, and in every schema by the owner of this one.
const TO_COME: &str = "
SELECT n.nspname::text, pg_catalog.pg_get_userbyid(d.defaclrole)::text, d.defaclnamespace <> 0, d.defaclobjtype::text,
       CASE a.grantee WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END,
       pg_catalog.array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type)
FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_default_acl d ON d.defaclnamespace = n.oid OR (d.defaclnamespace = 0 AND d.defaclrole = n.nspowner)
CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
WHERE n.nspname = ANY ($1::text[]::name[]) AND d.defaclobjtype IN ('r', 'S', 'f')
  AND a.grantee NOT IN (d.defaclrole, n.nspowner) AND NOT (d.defaclobjtype = 'f' AND a.grantee = 0)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5";

/// Members of the owners, and their members. Whoever may only give the membership on has no access: it is what the server
/// gives to a login that has made a role.
const MEMBERS: &str = "
WITH RECURSIVE edges AS (
  SELECT m.roleid, m.member, m.grantor,
         COALESCE((pg_catalog.to_jsonb(m) ->> 'inherit_option')::bool OR (pg_catalog.to_jsonb(m) ->> 'set_option')::bool, true) AS counts
  FROM pg_catalog.pg_auth_members m
), reached AS (
  SELECT DISTINCT n.nspowner AS role FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::text[]::name[])
  UNION
  SELECT e.member FROM reached r JOIN edges e ON e.roleid = r.role AND e.counts
)
SELECT g.rolname::text, u.rolname::text, pg_catalog.pg_get_userbyid(e.grantor)::text,
       u.rolsuper OR u.rolname = current_user
       OR EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = $2::text::name AND c.relname = 'scripts' AND c.relowner = u.oid)
FROM reached r JOIN edges e ON e.roleid = r.role AND e.counts
JOIN pg_catalog.pg_roles g ON g.oid = e.roleid
JOIN pg_catalog.pg_roles u ON u.oid = e.member
ORDER BY 1, 2, 3";

const SCHEMA_OWNERS: &str = "
SELECT n.nspname::text, pg_catalog.pg_get_userbyid(n.nspowner)::text FROM pg_catalog.pg_namespace n
WHERE n.nspname = ANY ($1::text[]::name[])";

/// Policies without our mark on tables that have one with it: the server shows a row that any policy permits.
const POLICIES: &str = r"
WITH policies AS (
  SELECT n.nspname AS schema, c.relname AS tab, c.oid AS relid, p.polname AS name, p.polpermissive AS permits, p.polroles AS roles,
         EXISTS (SELECT FROM pg_catalog.pg_description d, pg_catalog.unnest($2::text[]) AS w (line)
                 WHERE d.objoid = p.oid AND d.classoid = 'pg_catalog.pg_policy'::pg_catalog.regclass
                   AND pg_catalog.strpos(E'\n' || d.description, w.line) > 0) AS ours
  FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY ($1::text[]::name[])
)
SELECT p.schema::text, p.tab::text, p.name::text,
       ARRAY(SELECT CASE u.oid WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(u.oid)::text END
             FROM pg_catalog.unnest(p.roles) AS u (oid) ORDER BY 1)
FROM policies p
WHERE p.permits AND NOT p.ours AND EXISTS (SELECT FROM policies o WHERE o.relid = p.relid AND o.ours)
ORDER BY 1, 2, 3";

/// Every way into some schemas that is not meant.
pub async fn fetch(
    connection: &mut PgConnection,
    schemas: &[String],
    bookkeeping_schema: &str,
    estate: &str,
    meant: &Meant<'_>,
) -> Result<Vec<Foreign>, Failure> {
    let mut found = privileges(connection, schemas).await?;
    let members = members(connection, schemas, bookkeeping_schema, meant).await?;
    let may_own = |schema: &str, owner: &str| {
        members.accepted.get(schema).is_some_and(|roles| roles.contains(owner))
            || meant.grants.iter().any(|grant| grant.role == owner && grant.schema.as_deref() == Some(schema))
    };
    let query = sqlx::query(sqlx::AssertSqlSafe(format!("{OBJECTS}{OWNERS}")));
    for row in query.bind(schemas).bind(bookkeeping_schema).fetch_all(&mut *connection).await? {
        let (schema, owner): (String, String) = (row.try_get(0)?, row.try_get(4)?);
        if !may_own(&schema, &owner) {
            let object = Object { class: class_of(row.try_get(1)?), name: row.try_get(2)?, arguments: row.try_get(3)? };
            let schema_owner = row.try_get(5)?;
            found.push(Foreign { schema, way: Way::Owned { object, owner, schema_owner } });
        }
    }
    for row in sqlx::query(TO_COME).bind(schemas).fetch_all(&mut *connection).await? {
        let (maker, here, class) = (row.try_get(1)?, row.try_get(2)?, class_of(row.try_get(3)?));
        let (grantee, privileges) = (row.try_get(4)?, row.try_get(5)?);
        found.push(Foreign { schema: row.try_get(0)?, way: Way::ToCome { maker, here, class, grantee, privileges } });
    }
    found.extend(members.strangers);
    for row in sqlx::query(POLICIES).bind(schemas).bind(mark::search_texts(estate)).fetch_all(connection).await? {
        let (table, name, roles) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        found.push(Foreign { schema: row.try_get(0)?, way: Way::Policy { table, name, roles } });
    }
    Ok(found.into_iter().filter_map(|foreign| foreign.unless_meant(meant)).collect())
}

async fn privileges(connection: &mut PgConnection, schemas: &[String]) -> Result<Vec<Foreign>, Failure> {
    let query = sqlx::query(sqlx::AssertSqlSafe(format!("{OBJECTS}{PRIVILEGES}")));
    let mut found = Vec::new();
    for row in query.bind(schemas).fetch_all(connection).await? {
        let object = Object { class: class_of(row.try_get(1)?), name: row.try_get(2)?, arguments: row.try_get(3)? };
        let column: Option<String> = row.try_get(4)?;
        let privileges: Vec<String> = row.try_get(8)?;
        // On a column each counts by itself: a grant may be meant to give some of them.
        let apart: Vec<Vec<String>> = match column {
            Some(_) => privileges.into_iter().map(|name| vec![name]).collect(),
            None => vec![privileges],
        };
        for privileges in apart {
            let way = Way::Privileges {
                object: object.clone(),
                column: column.clone(),
                grantee: row.try_get(5)?,
                grantor: row.try_get(6)?,
                is_of_owner: row.try_get(7)?,
                privileges,
            };
            found.push(Foreign { schema: row.try_get(0)?, way });
        }
    }
    Ok(found)
}

/// Who has the rights of the owner of a schema by being a member.
#[derive(Default)]
struct Members {
    /// By schema: those who are meant to.
    accepted: BTreeMap<String, HashSet<String>>,
    strangers: Vec<Foreign>,
}

async fn members(
    connection: &mut PgConnection,
    schemas: &[String],
    bookkeeping_schema: &str,
    meant: &Meant<'_>,
) -> Result<Members, Failure> {
    let mut by_group: BTreeMap<String, Vec<(String, String, bool)>> = BTreeMap::new();
    let rows = sqlx::query(MEMBERS).bind(schemas).bind(bookkeeping_schema).fetch_all(&mut *connection).await?;
    for row in &rows {
        by_group.entry(row.try_get(0)?).or_default().push((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
    }
    let mut members = Members::default();
    if by_group.is_empty() {
        return Ok(members);
    }
    for row in sqlx::query(SCHEMA_OWNERS).bind(schemas).fetch_all(connection).await? {
        let (schema, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let mut seen = HashSet::from([owner.clone()]);
        let mut open = vec![owner];
        while let Some(group) = open.pop() {
            for (member, grantor, is_privileged) in by_group.get(&group).into_iter().flatten() {
                if *is_privileged {
                    continue;
                }
                if meant.memberships.contains(&(&**member, &*group)) {
                    if seen.insert(member.clone()) {
                        open.push(member.clone());
                    }
                } else {
                    let way = Way::Member { group: group.clone(), member: member.clone(), grantor: grantor.clone() };
                    members.strangers.push(Foreign { schema: schema.clone(), way });
                }
            }
        }
        members.accepted.insert(schema, seen);
    }
    Ok(members)
}

fn class_of(letter: &str) -> Class {
    match letter {
        "n" => Class::Schema,
        "S" => Class::Sequence,
        "f" => Class::Function,
        _ => Class::Table,
    }
}

impl Object {
    fn text(&self) -> String {
        let mut text = self.class.sql().to_lowercase();
        if let Some(name) = &self.name {
            text.push(' ');
            text.push_str(name);
        }
        if let Some(arguments) = &self.arguments {
            text.push_str(&format!("({arguments})"));
        }
        text
    }

    fn sql(&self, schema: &str) -> Result<String, NulCharacter> {
        let object = match &self.name {
            Some(name) => quote_qualified(schema, name)?,
            None => quote_identifier(schema)?,
        };
        let arguments = self.arguments.as_ref().map(|arguments| format!("({arguments})")).unwrap_or_default();
        Ok(format!("{} {object}{arguments}", self.class.sql()))
    }
}

/// Whether a grant gives privileges on an object, alone or with all of its sort.
fn covers(grant: &GrantSpec, schema: &str, object: &Object) -> bool {
    let is_here = grant.schema.as_deref() == Some(schema);
    grant.on.class() == object.class
        && match (grant.on.extent(), object.class) {
            (Extent::One, Class::Schema) | (Extent::All, _) => is_here,
            (Extent::One, Class::Function) => {
                let name = grant.name.as_deref().and_then(Signature::parse).map(|signature| signature.name);
                is_here && name == object.name.as_deref()
            }
            (Extent::One, _) => is_here && grant.name == object.name,
            (Extent::Default, _) => grant.schema.as_deref().is_none_or(|named| named == schema),
        }
}

impl Foreign {
    /// Nothing, where a wanted grant or policy is the reason; of privileges on columns what is left of them.
    fn unless_meant(mut self, meant: &Meant<'_>) -> Option<Self> {
        let Self { schema, way } = &mut self;
        let is_meant = match way {
            Way::Privileges { object, column, grantee, privileges, .. } => {
                let mut grants =
                    meant.grants.iter().filter(|grant| grant.role == *grantee && covers(grant, schema, object));
                match column {
                    // On the whole object the grant itself shows what is too much.
                    None => grants.next().is_some(),
                    Some(column) => {
                        let said: Vec<&String> = grants.flat_map(|grant| &grant.privileges).collect();
                        let is_said = |name: &String| {
                            let of_column = of_column(name, column);
                            said.iter().any(|said| *said == name || **said == of_column || *said == "ALL")
                        };
                        privileges.retain(|name| !is_said(name));
                        privileges.is_empty()
                    }
                }
            }
            Way::ToCome { maker, here, class, grantee, .. } => meant.grants.iter().any(|grant| {
                grant.on.extent() == Extent::Default
                    && grant.on.class() == *class
                    && grant.role == *grantee
                    && grant.grantor.as_ref().is_none_or(|grantor| grantor == maker)
                    && if *here { grant.schema.as_deref() == Some(schema) } else { grant.schema.is_none() }
            }),
            Way::Policy { table, name, .. } => meant.policies.contains(&(&**schema, &**table, &**name)),
            Way::Member { .. } | Way::Owned { .. } => false,
        };
        (!is_meant).then_some(self)
    }

    /// As the plan shows it: `analyst: SELECT on table invoices`.
    pub fn text(&self) -> String {
        match &self.way {
            Way::Privileges { object, column, grantee, privileges, .. } => {
                let names = privileges.iter().map(|name| match column {
                    Some(column) => of_column(name, column),
                    None => name.clone(),
                });
                format!("{grantee}: {} on {}", names.collect::<Vec<_>>().join(", "), object.text())
            }
            Way::ToCome { maker, here, class, grantee, privileges } => {
                let place = if *here { "" } else { " of any schema" };
                let objects = format!("{}s", class.sql().to_lowercase());
                format!("{grantee}: {} on {objects}{place} that {maker} will create", privileges.join(", "))
            }
            Way::Member { group, member, .. } => {
                format!("{member}: member of {group}, which has the rights of the owner")
            }
            Way::Owned { object, owner, .. } => format!("{owner}: owner of {}", object.text()),
            Way::Policy { table, name, roles } => format!("{}: policy {name} on table {table}", roles.join(", ")),
        }
    }

    /// Roles whose rights it takes to end it; the first of them has to do it in person if `true` is told.
    pub fn acts_as(&self) -> (Vec<&str>, bool) {
        match &self.way {
            Way::Privileges { grantor, is_of_owner, .. } => (vec![grantor], !is_of_owner),
            Way::ToCome { maker, .. } => (vec![maker], false),
            Way::Member { grantor, .. } => (vec![grantor], false),
            Way::Owned { owner, schema_owner, .. } => (vec![owner, schema_owner], false),
            Way::Policy { .. } => (Vec::new(), false),
        }
    }

    /// The statement that ends it.
    ///
    /// # Errors
    /// Never for what the server told.
    pub fn end(&self, has_membership_options: bool) -> Result<String, NulCharacter> {
        let role = |name: &str| if name == "public" { Ok("PUBLIC".to_owned()) } else { quote_identifier(name) };
        Ok(match &self.way {
            Way::Privileges { object, column, grantee, privileges, .. } => {
                let column = column.as_deref().map(quote_identifier).transpose()?;
                let column = column.map(|column| format!(" ({column})")).unwrap_or_default();
                let privileges: Vec<String> = privileges.iter().map(|name| format!("{name}{column}")).collect();
                let object = object.sql(&self.schema)?;
                format!("REVOKE {} ON {object} FROM {} CASCADE", privileges.join(", "), role(grantee)?)
            }
            Way::ToCome { maker, here, class, grantee, privileges } => {
                let place =
                    if *here { format!("IN SCHEMA {} ", quote_identifier(&self.schema)?) } else { String::new() };
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {} {place}REVOKE {} ON {}S FROM {} CASCADE",
                    quote_identifier(maker)?,
                    privileges.join(", "),
                    class.sql(),
                    role(grantee)?
                )
            }
            Way::Member { group, member, grantor } => {
                let (group, member) = (quote_identifier(group)?, quote_identifier(member)?);
                match has_membership_options {
                    true => format!("REVOKE {group} FROM {member} GRANTED BY {} CASCADE", quote_identifier(grantor)?),
                    false => format!("REVOKE {group} FROM {member}"),
                }
            }
            Way::Owned { object, schema_owner, .. } => {
                format!("ALTER {} OWNER TO {}", object.sql(&self.schema)?, quote_identifier(schema_owner)?)
            }
            Way::Policy { table, name, .. } => {
                format!("DROP POLICY {} ON {}", quote_identifier(name)?, quote_qualified(&self.schema, table)?)
            }
        })
    }

    /// The table whose owner's rights it takes to end it.
    pub fn table(&self) -> Option<&str> {
        match &self.way {
            Way::Policy { table, .. } => Some(table),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: serde_json::Value) -> GrantSpec {
        serde_json::from_value(json).expect("a grant")
    }

    fn foreign(class: Class, name: Option<&str>, column: Option<&str>) -> Foreign {
        let way = Way::Privileges {
            object: Object {
                class,
                name: name.map(str::to_owned),
                arguments: (class == Class::Function).then(|| "a integer".to_owned()),
            },
            column: column.map(str::to_owned),
            grantee: "r".to_owned(),
            grantor: "o".to_owned(),
            is_of_owner: true,
            privileges: vec!["SELECT".to_owned(), "UPDATE".to_owned()],
        };
        Foreign { schema: "s".to_owned(), way }
    }

    fn left(foreign: Foreign, grants: &[GrantSpec]) -> Option<String> {
        foreign.unless_meant(&Meant { grants, ..Meant::default() }).map(|foreign| foreign.text())
    }

    #[test]
    fn a_wanted_grant_covers_its_own_objects_only() {
        let table = grant(
            serde_json::json!({"role": "r", "on": "table", "schema": "s", "name": "t", "privileges": ["SELECT"]}),
        );
        let tables = grant(serde_json::json!({"role": "r", "on": "defaultTables", "privileges": ["SELECT"]}));
        let usage = grant(serde_json::json!({"role": "r", "on": "schema", "schema": "s", "privileges": ["USAGE"]}));
        let function = grant(
            serde_json::json!({"role": "r", "on": "function", "schema": "s", "name": "f(int)", "privileges": ["EXECUTE"]}),
        );
        let t = || foreign(Class::Table, Some("t"), None);
        assert_eq!((left(t(), std::slice::from_ref(&table)), left(t(), std::slice::from_ref(&tables))), (None, None));
        assert!(left(t(), std::slice::from_ref(&usage)).is_some());
        assert!(left(foreign(Class::Table, Some("u"), None), std::slice::from_ref(&table)).is_some());
        assert!(left(foreign(Class::Sequence, Some("t"), None), &[table.clone(), tables]).is_some());
        assert_eq!(left(foreign(Class::Schema, None, None), &[usage]), None);
        assert_eq!(left(foreign(Class::Function, Some("f"), None), &[function]), None);
        // On a column what the grant does not say is too much.
        let column = || foreign(Class::Table, Some("t"), Some("pan"));
        assert_eq!(left(column(), &[table]).as_deref(), Some("r: UPDATE (pan) on table t"));
        assert_eq!(left(column(), &[]).as_deref(), Some("r: SELECT (pan), UPDATE (pan) on table t"));
    }

    #[test]
    fn the_words_and_the_statement() {
        let of = |way| Foreign { schema: "s".to_owned(), way };
        let function = foreign(Class::Function, Some("f"), None);
        let table = Object { class: Class::Table, name: Some("t".to_owned()), arguments: None };
        for (foreign, text, statement) in [
            (
                function,
                "r: SELECT, UPDATE on routine f(a integer)",
                r#"REVOKE SELECT, UPDATE ON ROUTINE "s"."f"(a integer) FROM "r" CASCADE"#,
            ),
            (
                of(Way::ToCome {
                    maker: "o".into(),
                    here: true,
                    class: Class::Table,
                    grantee: "public".into(),
                    privileges: vec!["SELECT".into()],
                }),
                "public: SELECT on tables that o will create",
                r#"ALTER DEFAULT PRIVILEGES FOR ROLE "o" IN SCHEMA "s" REVOKE SELECT ON TABLES FROM PUBLIC CASCADE"#,
            ),
            (
                of(Way::Member { group: "o".into(), member: "spy".into(), grantor: "p".into() }),
                "spy: member of o, which has the rights of the owner",
                r#"REVOKE "o" FROM "spy" GRANTED BY "p" CASCADE"#,
            ),
            (
                of(Way::Owned { object: table, owner: "spy".into(), schema_owner: "o".into() }),
                "spy: owner of table t",
                r#"ALTER TABLE "s"."t" OWNER TO "o""#,
            ),
            (
                of(Way::Policy { table: "t".into(), name: "open".into(), roles: vec!["public".into()] }),
                "public: policy open on table t",
                r#"DROP POLICY "open" ON "s"."t""#,
            ),
        ] {
            assert_eq!(foreign.text(), text);
            assert_eq!(foreign.end(true).expect("no NUL"), statement);
        }
    }
}
