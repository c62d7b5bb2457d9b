//! Who has privileges in a schema that is to be exclusive.

use sqlx::{PgConnection, Row as _};

use crate::error::Failure;
use crate::quote::{NulCharacter, quote_identifier, quote_qualified};
use crate::types::grant::{Class, Extent, GrantSpec, Signature};

/// Privileges on one object of somebody who owns neither it nor its schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    pub schema: String,
    pub class: Class,
    /// The object's name; `None` for the schema itself.
    pub name: Option<String>,
    /// Of a function, the types of its arguments as the server writes them.
    pub arguments: Option<String>,
    /// `public` for everybody.
    pub grantee: String,
    pub privileges: Vec<String>,
}

/// What everybody may do with a function by default is not counted: it is there as soon as the function is, and reaches nobody who
/// may not use the schema.
const QUERY: &str = "
WITH objects AS (
  SELECT n.nspname AS schema, 'n' AS class, NULL::name AS name, NULL::text AS arguments,
         n.nspowner AS schema_owner, n.nspowner AS owner, n.nspacl AS acl
  FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY ($1::text[]::name[])
  UNION ALL
  SELECT n.nspname, CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END, c.relname, NULL, n.nspowner, c.relowner, c.relacl
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
  WHERE n.nspname = ANY ($1::text[]::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT n.nspname, 'f', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid), n.nspowner, p.proowner, p.proacl
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid
  WHERE n.nspname = ANY ($1::text[]::name[])
)
SELECT o.schema::text, o.class, o.name::text, o.arguments,
       CASE a.grantee WHEN 0 THEN 'public' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END,
       pg_catalog.array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type)
FROM objects o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
WHERE a.grantee NOT IN (o.owner, o.schema_owner) AND NOT (o.class = 'f' AND a.grantee = 0)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5";

/// Privileges in some schemas of all who own neither the object nor the schema.
pub async fn fetch(connection: &mut PgConnection, schemas: &[String]) -> Result<Vec<Foreign>, Failure> {
    let rows = sqlx::query(QUERY).bind(schemas).fetch_all(connection).await?;
    let found = rows.iter().map(|row| {
        Ok(Foreign {
            schema: row.try_get(0)?,
            class: match row.try_get::<&str, _>(1)? {
                "n" => Class::Schema,
                "S" => Class::Sequence,
                "f" => Class::Function,
                _ => Class::Table,
            },
            name: row.try_get(2)?,
            arguments: row.try_get(3)?,
            grantee: row.try_get(4)?,
            privileges: row.try_get(5)?,
        })
    });
    Ok(found.collect::<Result<_, sqlx::Error>>()?)
}

impl Foreign {
    /// Whether a wanted grant gives this role privileges on this object, alone or with all of its sort.
    pub fn is_wanted<'a>(&self, grants: impl IntoIterator<Item = &'a GrantSpec>) -> bool {
        grants.into_iter().any(|grant| {
            let schema = grant.schema.as_deref();
            grant.role == self.grantee
                && grant.on.class() == self.class
                && match (grant.on.extent(), self.class) {
                    (Extent::One, Class::Schema) | (Extent::All, _) => schema == Some(&self.schema),
                    (Extent::One, Class::Function) => {
                        let name = grant.name.as_deref().and_then(Signature::parse).map(|signature| signature.name);
                        schema == Some(&self.schema) && name == self.name.as_deref()
                    }
                    (Extent::One, _) => schema == Some(&self.schema) && grant.name == self.name,
                    (Extent::Default, _) => schema.is_none_or(|schema| schema == self.schema),
                }
        })
    }

    /// As the plan shows it: `analyst: SELECT on table invoices`.
    pub fn text(&self) -> String {
        let Self { class, name, arguments, grantee, privileges, .. } = self;
        let mut text = format!("{grantee}: {} on {}", privileges.join(", "), class.sql().to_lowercase());
        if let Some(name) = name {
            text.push(' ');
            text.push_str(name);
        }
        if let Some(arguments) = arguments {
            text.push_str(&format!("({arguments})"));
        }
        text
    }

    /// The statement that takes the privileges away.
    ///
    /// # Errors
    /// Never for what the server told.
    pub fn revoke(&self) -> Result<String, NulCharacter> {
        let object = match &self.name {
            Some(name) => quote_qualified(&self.schema, name)?,
            None => quote_identifier(&self.schema)?,
        };
        let arguments = self.arguments.as_ref().map(|arguments| format!("({arguments})")).unwrap_or_default();
        let grantee = if self.grantee == "public" { "PUBLIC".to_owned() } else { quote_identifier(&self.grantee)? };
        let privileges = self.privileges.join(", ");
        Ok(format!("REVOKE {privileges} ON {} {object}{arguments} FROM {grantee} CASCADE", self.class.sql()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: serde_json::Value) -> GrantSpec {
        serde_json::from_value(json).expect("a grant")
    }

    fn foreign(class: Class, name: Option<&str>) -> Foreign {
        Foreign {
            schema: "s".to_owned(),
            class,
            name: name.map(str::to_owned),
            arguments: (class == Class::Function).then(|| "a integer".to_owned()),
            grantee: "r".to_owned(),
            privileges: vec!["SELECT".to_owned(), "UPDATE".to_owned()],
        }
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
        let t = foreign(Class::Table, Some("t"));
        assert!(t.is_wanted([&table]) && t.is_wanted([&tables]));
        assert!(!t.is_wanted([&usage]));
        assert!(!foreign(Class::Table, Some("u")).is_wanted([&table]));
        assert!(!foreign(Class::Sequence, Some("t")).is_wanted([&table, &tables]));
        assert!(foreign(Class::Schema, None).is_wanted([&usage]));
        assert!(foreign(Class::Function, Some("f")).is_wanted([&function]));
        let mut other = foreign(Class::Schema, None);
        other.grantee = "other".to_owned();
        assert!(!other.is_wanted([&usage]));
    }

    #[test]
    fn the_words_and_the_statement() {
        let function = foreign(Class::Function, Some("f"));
        assert_eq!(function.text(), "r: SELECT, UPDATE on routine f(a integer)");
        assert_eq!(
            function.revoke().expect("no NUL"),
            r#"REVOKE SELECT, UPDATE ON ROUTINE "s"."f"(a integer) FROM "r" CASCADE"#
        );
        assert_eq!(foreign(Class::Schema, None).text(), "r: SELECT, UPDATE on schema");
    }
}
