//! What the login of a writer may do, and how it gets a role's privileges for one transaction.
//!
//! Services that are run for their users give no superuser, but a login with CREATEROLE and CREATEDB. It may grant itself the
//! roles that it administers: before PostgreSQL 16 every role that is no superuser, since then those that it has ADMIN OPTION
//! on, among them all that it made. What it takes this way it gives back in the same transaction, so nobody else ever sees it.

use sqlx::{PgConnection, Row as _};

use crate::error::{Failed as _, Failure};
use crate::quote::{NulCharacter, quote_identifier};

/// The first version in which a membership has a grantor and options of its own.
pub const MEMBERSHIP_OPTIONS: i32 = 160_000;

/// The login of a writer.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub name: String,
    pub is_superuser: bool,
    creates_roles: bool,
    /// As `server_version_num` has it.
    pub version: i32,
}

/// What the login is to a role.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It has the role's privileges and may act as it, or it cannot get them.
    AsItIs,
    /// It may become a member; `before` are the options of a membership that it has granted itself earlier.
    MayJoin { before: Option<(bool, bool)> },
}

const QUERY: &str = "
SELECT current_user::text, r.rolsuper, r.rolcreaterole,
       pg_catalog.current_setting('server_version_num')::int4
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

const STANDING_BEFORE_16: &str = "
SELECT pg_catalog.pg_has_role(r.oid, 'MEMBER'),
       $2 AND NOT r.rolsuper OR pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'), NULL::bool, NULL::bool
FROM pg_catalog.pg_roles r WHERE r.rolname = $1::text::name";

const STANDING: &str = "
SELECT pg_catalog.pg_has_role(r.oid, 'USAGE') AND pg_catalog.pg_has_role(r.oid, 'SET'),
       $2 IS NOT NULL AND pg_catalog.pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION'), m.inherit_option, m.set_option
FROM pg_catalog.pg_roles r
LEFT JOIN (pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles me ON me.rolname = current_user)
  ON m.roleid = r.oid AND m.member = me.oid AND m.grantor = me.oid
WHERE r.rolname = $1::text::name";

impl Login {
    pub async fn fetch(connection: &mut PgConnection) -> Result<Self, Failure> {
        let row = sqlx::query(QUERY).fetch_one(connection).await?;
        Ok(Self {
            name: row.try_get(0)?,
            is_superuser: row.try_get(1)?,
            creates_roles: row.try_get(2)?,
            version: row.try_get(3)?,
        })
    }

    pub fn has_membership_options(&self) -> bool {
        self.version >= MEMBERSHIP_OPTIONS
    }

    pub async fn standing(&self, connection: &mut PgConnection, role: &str) -> Result<Standing, Failure> {
        let sql = if self.has_membership_options() { STANDING } else { STANDING_BEFORE_16 };
        let Some(row) = sqlx::query(sql).bind(role).bind(self.creates_roles).fetch_optional(connection).await? else {
            return Ok(Standing::AsItIs);
        };
        let (has, may_join): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        let before = row.try_get::<Option<bool>, _>(2)?.zip(row.try_get::<Option<bool>, _>(3)?);
        Ok(if !has && may_join { Standing::MayJoin { before } } else { Standing::AsItIs })
    }

    /// The statement that makes us a member.
    pub fn join(&self, role: &str) -> Result<String, NulCharacter> {
        let options = if self.has_membership_options() { " WITH INHERIT TRUE, SET TRUE" } else { "" };
        Ok(format!("GRANT {} TO CURRENT_USER{options}", quote_identifier(role)?))
    }

    /// The statement that ends what [`Self::join`] began.
    pub fn leave(&self, role: &str, before: Option<(bool, bool)>) -> Result<String, NulCharacter> {
        let role = quote_identifier(role)?;
        Ok(match before {
            Some((inherit, set)) => {
                format!("GRANT {role} TO CURRENT_USER WITH INHERIT {}, SET {}", word(inherit), word(set))
            }
            None if self.has_membership_options() => {
                format!("REVOKE {role} FROM CURRENT_USER GRANTED BY CURRENT_USER")
            }
            None => format!("REVOKE {role} FROM CURRENT_USER"),
        })
    }

    /// Refuses to go on if we could not come back.
    pub async fn check_access(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let sql = "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CONNECT')";
        match sqlx::query_scalar(sql).fetch_one(connection).await? {
            true => Ok(()),
            false => Err(Failure::invalid(format!(
                "it would take the privilege to connect to this database from \"{}\", which Tenantry logs in as; grant it CONNECT first",
                self.name
            ))),
        }
    }
}

fn word(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_is_given_back_as_it_was() {
        let login = |version| Login { name: "admin".into(), version, ..Login::default() };
        assert_eq!(login(150_004).join("a\"b").as_deref(), Ok(r#"GRANT "a""b" TO CURRENT_USER"#));
        assert_eq!(login(150_004).leave("o", None).as_deref(), Ok(r#"REVOKE "o" FROM CURRENT_USER"#));
        assert_eq!(login(180_000).join("o").as_deref(), Ok(r#"GRANT "o" TO CURRENT_USER WITH INHERIT TRUE, SET TRUE"#));
        assert_eq!(
            login(180_000).leave("o", None).as_deref(),
            Ok(r#"REVOKE "o" FROM CURRENT_USER GRANTED BY CURRENT_USER"#)
        );
        assert_eq!(
            login(180_000).leave("o", Some((false, true))).as_deref(),
            Ok(r#"GRANT "o" TO CURRENT_USER WITH INHERIT FALSE, SET TRUE"#)
        );
    }
}
