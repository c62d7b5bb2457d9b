//! Access control lists line by line: who granted what to a role on which object. Only the one who granted a privilege can
//! take it away, so whoever revokes has to know.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::error::Failure;
use crate::types::grant::{Class, Extent, GrantSpec, of_column};

/// What one role has granted another on one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What comes before `GRANT` or `REVOKE`: `ALTER DEFAULT PRIVILEGES …`, or nothing.
    pub before: String,
    /// The word for the type of object, such as `TABLE`.
    pub word: String,
    /// The object as SQL; empty for default privileges.
    pub object: String,
    pub owner: String,
    pub grantor: String,
    /// In upper case.
    pub privilege: String,
    /// The column that it is on, if it is not on the whole object.
    pub column: Option<String>,
    pub grantable: bool,
}

impl Line {
    /// The privilege as a spec has it.
    pub fn name(&self) -> String {
        match &self.column {
            Some(column) => of_column(&self.privilege, column),
            None => self.privilege.clone(),
        }
    }

    /// Whether the role holds it from whoever owns the object.
    pub fn is_of_owner(&self) -> bool {
        self.grantor == self.owner
    }
}

/// Each part yields: before, word, object, column, owner, list.
const SCHEMA: &str = "
SELECT '', 'SCHEMA', pg_catalog.format('%I', n.nspname), NULL::name, n.nspowner,
       COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))
FROM pg_catalog.pg_namespace n WHERE n.nspname = $2::text::name";

const DATABASE: &str = "
SELECT '', 'DATABASE', pg_catalog.format('%I', d.datname), NULL::name, d.datdba,
       COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

/// `{which}` narrows it down.
const RELATIONS: &str = "
SELECT '', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, pg_catalog.format('%I.%I', n.nspname, c.relname),
       NULL::name, c.relowner,
       COALESCE(c.relacl, pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END, c.relowner))
FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
WHERE {which}
UNION ALL
SELECT '', 'TABLE', pg_catalog.format('%I.%I', n.nspname, c.relname), a.attname, c.relowner, a.attacl
FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
WHERE {which}";

const FUNCTIONS: &str = "
SELECT '', 'ROUTINE',
       pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
       NULL::name, p.proowner, COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))
FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid
WHERE {which}";

/// A role that has said nothing for all schemas has the server's own default there.
const DEFAULTS: &str = "
SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s', r.rolname,
                         CASE WHEN $2::text IS NOT NULL THEN pg_catalog.format('IN SCHEMA %I ', $2::text) END),
       '{word}', '', NULL::name, r.oid,
       COALESCE(d.defaclacl, CASE WHEN $2::text IS NULL THEN pg_catalog.acldefault('{letter}', r.oid) END)
FROM pg_catalog.pg_roles r
LEFT JOIN pg_catalog.pg_default_acl d ON d.defaclrole = r.oid AND d.defaclobjtype = '{stored}'
  AND d.defaclnamespace = COALESCE((SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = $2::text::name), 0)
WHERE r.rolname = COALESCE($3::text::name, current_user)";

const LINES: &str = "
SELECT o.before, o.word, o.object, o.col::text, pg_catalog.pg_get_userbyid(o.owner)::text,
       pg_catalog.pg_get_userbyid(a.grantor)::text, a.privilege_type, a.is_grantable
FROM ({objects}) o (before, word, object, col, owner, acl) CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
WHERE a.grantee = COALESCE((SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1::text::name), 0)
  AND ($1 = 'public' OR a.grantee <> 0)
ORDER BY 3, 6, 7, 4";

const OWNERS: &str = "
SELECT DISTINCT pg_catalog.pg_get_userbyid(o.owner)::text
FROM ({objects}) o (before, word, object, col, owner, acl)
WHERE ($1::text IS NULL OR $2::text IS NULL OR $3::text IS NULL OR true)";

/// Everything that depends on a role in this database and has a list: what its privileges are on.
const OF_ROLE: &str = "
WITH named AS (
  SELECT d.classid, d.objid FROM pg_catalog.pg_shdepend d
  WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.deptype = 'a'
    AND d.refobjid = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1::text::name)
    AND d.dbid IN (0, (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()))
)
SELECT '', 'SCHEMA', pg_catalog.format('%I', n.nspname), NULL::name, n.nspowner, n.nspacl
FROM named JOIN pg_catalog.pg_namespace n ON named.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND n.oid = named.objid
UNION ALL
SELECT '', 'DATABASE', pg_catalog.format('%I', d.datname), NULL, d.datdba, d.datacl
FROM named JOIN pg_catalog.pg_database d ON named.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND d.oid = named.objid
UNION ALL
SELECT '', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, pg_catalog.format('%I.%I', n.nspname, c.relname), NULL,
       c.relowner, c.relacl
FROM named JOIN pg_catalog.pg_class c ON named.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = named.objid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT '', 'TABLE', pg_catalog.format('%I.%I', n.nspname, c.relname), a.attname, c.relowner, a.attacl
FROM named JOIN pg_catalog.pg_class c ON named.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = named.objid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
UNION ALL
SELECT '', 'ROUTINE', pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
       NULL, p.proowner, p.proacl
FROM named JOIN pg_catalog.pg_proc p ON named.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = named.objid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
UNION ALL
SELECT '', 'TYPE', pg_catalog.format('%I.%I', n.nspname, t.typname), NULL, t.typowner, t.typacl
FROM named JOIN pg_catalog.pg_type t ON named.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = named.objid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
UNION ALL
SELECT pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s', r.rolname, CASE WHEN n.oid IS NOT NULL THEN pg_catalog.format('IN SCHEMA %I ', n.nspname) END),
       CASE a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END,
       '', NULL, a.defaclrole, a.defaclacl
FROM named JOIN pg_catalog.pg_default_acl a ON named.classid = 'pg_catalog.pg_default_acl'::pg_catalog.regclass AND a.oid = named.objid
JOIN pg_catalog.pg_roles r ON r.oid = a.defaclrole
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace";

/// The parts of the query about a grant's objects. A function is known by its number.
fn objects(grant: &GrantSpec) -> String {
    let class = grant.on.class();
    match (grant.on.extent(), class) {
        (Extent::Default, _) => {
            let (stored, letter) = match class {
                Class::Sequence => ("S", "s"),
                Class::Function => ("f", "f"),
                _ => ("r", "r"),
            };
            DEFAULTS
                .replace("{word}", &format!("{}S", class.sql()))
                .replace("{stored}", stored)
                .replace("{letter}", letter)
        }
        (_, Class::Schema) => SCHEMA.to_owned(),
        (_, Class::Database) => DATABASE.to_owned(),
        (Extent::One, Class::Function) => {
            FUNCTIONS.replace("{which}", "p.oid = $3::text::oid AND $2::text IS NOT NULL")
        }
        (Extent::All, Class::Function) => FUNCTIONS.replace("{which}", "n.nspname = $2::text::name"),
        (Extent::One, _) => RELATIONS.replace("{which}", "n.nspname = $2::text::name AND c.relname = $3::text::name"),
        (Extent::All, Class::Sequence) => {
            RELATIONS.replace("{which}", "n.nspname = $2::text::name AND c.relkind = 'S'")
        }
        (Extent::All, _) => {
            RELATIONS.replace("{which}", "n.nspname = $2::text::name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')")
        }
    }
}

/// The third parameter: the name of a single object, or the role that makes the objects to come.
fn third<'a>(grant: &'a GrantSpec, function: Option<&'a str>) -> Option<&'a str> {
    match grant.on.extent() {
        Extent::Default => grant.grantor.as_deref(),
        Extent::One => function.or(grant.name.as_deref()),
        Extent::All => None,
    }
}

/// What the role of a grant holds on its objects. `function` is the number of the function that it names.
pub async fn of_grant(
    connection: &mut PgConnection,
    grant: &GrantSpec,
    function: Option<&str>,
) -> Result<Vec<Line>, Failure> {
    // Every parameter is used somewhere, or the server could not tell its type.
    let sql = LINES
        .replace("{objects}", &objects(grant))
        .replace("ORDER BY", "AND ($2::text IS NULL OR $3::text IS NULL OR true) ORDER BY");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&grant.role);
    lines(&query.bind(grant.schema.as_deref()).bind(third(grant, function)).fetch_all(connection).await?)
}

/// Who owns the objects of a grant.
pub async fn owners(
    connection: &mut PgConnection,
    grant: &GrantSpec,
    function: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let sql = OWNERS.replace("{objects}", &objects(grant));
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&grant.role);
    Ok(query.bind(grant.schema.as_deref()).bind(third(grant, function)).fetch_all(connection).await?)
}

/// Everything that a role holds in this database.
pub async fn of_role(connection: &mut PgConnection, role: &str) -> Result<Vec<Line>, Failure> {
    lines(
        &sqlx::query(sqlx::AssertSqlSafe(LINES.replace("{objects}", OF_ROLE))).bind(role).fetch_all(connection).await?,
    )
}

fn lines(rows: &[PgRow]) -> Result<Vec<Line>, Failure> {
    let lines = rows.iter().map(|row| {
        Ok(Line {
            before: row.try_get(0)?,
            word: row.try_get(1)?,
            object: row.try_get(2)?,
            owner: row.try_get(4)?,
            grantor: row.try_get(5)?,
            privilege: row.try_get(6)?,
            column: row.try_get(3)?,
            grantable: row.try_get(7)?,
        })
    });
    Ok(lines.collect::<Result<_, sqlx::Error>>()?)
}
