//! The mark: the last line of a database's comment (MariaDB), a field of a user's attribute (MySQL), or a row of a table.
//!
//! The table is `marks` in the bookkeeping database. Its row is written before the resource is made: what dies in between
//! leaves a row for nothing, which means nothing, and never a resource without a mark. A row of a resource that was removed
//! by hand and made again by somebody else still counts; a comment or attribute would have gone with it.

use std::collections::HashMap;

use serde_json::{Value as Json, json};
use sqlx::{MySqlConnection, Row as _};

use super::error::{Failed as _, Failure};
use super::quote::quote_qualified;
use tenantry_core::model::mark::{self, Mark, Notes, names_of};

/// The field of a user's attribute.
const FIELD: &str = "tenantry";

/// Whether the row that is there is of the scope that is written, or of its estate before marks named environments.
const OURS: &str = "(estate = VALUES(estate) OR VALUES(estate) LIKE CONCAT(estate, '.%'))";

/// The table of marks, in the bookkeeping database.
pub const TABLE: &str = "marks";

/// A mark, and the fingerprint of the password that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub mark: Mark,
    pub password: Option<String>,
}

impl Label {
    /// What a person wrote in a comment, and the mark below it.
    pub fn parse_comment(comment: &str) -> (String, Option<Self>) {
        match mark::parse_comment(comment) {
            (text, Some((mark, notes))) if mark.secret_hash.is_none() && notes.is_empty() => {
                (text.to_owned(), Some(Self { mark, password: None }))
            }
            _ => (comment.to_owned(), None),
        }
    }

    /// A comment with this mark below what a person wrote.
    pub fn comment(&self, text: &str) -> String {
        // Of a database, which has no secrets.
        mark::comment(text, &Mark { secret_hash: None, ..self.mark.clone() }, &Notes::new(), mark::fits_line)
    }

    /// The mark in a user's attribute.
    pub fn parse_attribute(attribute: &str) -> Option<Self> {
        let attribute: Json = serde_json::from_str(attribute).ok()?;
        let field = |name: &str| attribute.get(FIELD)?.get(name)?.as_str();
        let mark = Mark {
            estate: field("estate")?.into(),
            address: field("address")?.parse().ok()?,
            secret_hash: field("secret").map(Into::into),
        };
        Some(Self { mark, password: field("password").map(str::to_owned) })
    }

    /// What is merged into a user's attribute; a null takes a field away.
    pub fn attribute(&self) -> String {
        let Self { mark: Mark { estate, address, secret_hash }, password } = self;
        let fields = json!({
            "estate": &**estate, "address": address.to_string(), "secret": secret_hash.as_deref(), "password": password,
        });
        json!({FIELD: fields}).to_string()
    }
}

/// Marks of one kind in the table, by name and host. No table is no mark.
pub async fn fetch(
    connection: &mut MySqlConnection,
    bookkeeping: &str,
    kind: &str,
    only: Option<(&str, &str)>,
) -> Result<HashMap<(String, String), Label>, Failure> {
    let table = quote_qualified(bookkeeping, TABLE)?;
    let (filter, (name, host)) =
        (if only.is_some() { "AND name = ? AND host = ?" } else { "" }, only.unwrap_or_default());
    let sql = format!("SELECT name, host, estate, address, secret_hash, password FROM {table} WHERE kind = ? {filter}");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(kind);
    if only.is_some() {
        query = query.bind(name).bind(host);
    }
    let rows = match query.fetch_all(connection).await.map_err(Failure::from) {
        Ok(rows) => rows,
        Err(failure) if failure.is_missing() => return Ok(HashMap::new()),
        Err(failure) => return Err(failure),
    };
    let mut labels = HashMap::with_capacity(rows.len());
    for row in &rows {
        let text = |index: usize| row.try_get_unchecked::<String, _>(index);
        let optional = |index: usize| row.try_get_unchecked::<Option<String>, _>(index);
        let Ok(address) = text(3)?.parse() else { continue };
        let mark = Mark { estate: text(2)?.into(), address, secret_hash: optional(4)?.map(Into::into) };
        labels.insert((text(0)?, text(1)?), Label { mark, password: optional(5)? });
    }
    Ok(labels)
}

/// Writes a mark into the table.
///
/// # Errors
/// If another estate has marked the name, which may be making the resource at this moment.
pub async fn store(
    connection: &mut MySqlConnection,
    bookkeeping: &str,
    kind: &str,
    (name, host): (&str, &str),
    label: &Label,
) -> Result<(), Failure> {
    let table = quote_qualified(bookkeeping, TABLE)?;
    // In one statement, so that of two who write at once one sees the other's.
    let ours = ["address", "secret_hash", "password"]
        .map(|field| format!("{field} = IF({OURS}, VALUES({field}), {field})"))
        .join(", ");
    // The estate last: until then the others compare with what was there.
    let sql = format!(
        "INSERT INTO {table} (kind, name, host, estate, address, secret_hash, password) VALUES (?, ?, ?, ?, ?, ?, ?) \
         ON DUPLICATE KEY UPDATE {ours}, estate = IF({OURS}, VALUES(estate), estate)"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(kind)
        .bind(name)
        .bind(host)
        .bind(&*label.mark.estate)
        .bind(label.mark.address.to_string())
        .bind(label.mark.secret_hash.as_deref())
        .bind(label.password.as_deref())
        .execute(&mut *connection)
        .await?;
    match fetch(connection, bookkeeping, kind, Some((name, host))).await?.into_values().next() {
        Some(Label { mark, .. }) if !mark.is_of(&label.mark.estate) => Err(Failure::conflict(format!(
            "the table `{bookkeeping}`.`{TABLE}` has a row for this name of {} in estate \"{}\"; if that resource was never created, or was removed by hand, delete the row",
            mark.address, mark.estate
        ))),
        _ => Ok(()),
    }
}

/// Takes a mark out of the table, if it is this one.
pub async fn remove(
    connection: &mut MySqlConnection,
    bookkeeping: &str,
    kind: &str,
    (name, host): (&str, &str),
    mark: &Mark,
) -> Result<(), Failure> {
    let table = quote_qualified(bookkeeping, TABLE)?;
    let sql =
        format!("DELETE FROM {table} WHERE kind = ? AND name = ? AND host = ? AND estate IN (?, ?) AND address = ?");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(kind).bind(name).bind(host);
    let query = query.bind(&*mark.estate).bind(names_of(&mark.estate).last().unwrap_or_default());
    let query = query.bind(mark.address.to_string());
    match query.execute(connection).await.map_err(Failure::from) {
        Err(failure) if !failure.is_missing() => Err(failure),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(secret: Option<&str>, password: Option<&str>) -> Label {
        let address = r#"acme/db["two words] 100%"]"#.parse().expect("an address");
        let mark = Mark { estate: "shop".into(), address, secret_hash: secret.map(Into::into) };
        Label { mark, password: password.map(str::to_owned) }
    }

    #[test]
    fn a_mark_reads_back() {
        let plain = label(None, None);
        assert_eq!(Label::parse_comment(&plain.comment("Ask Ann.")), ("Ask Ann.".to_owned(), Some(plain.clone())));
        assert_eq!(Label::parse_comment(&plain.comment("")), (String::new(), Some(plain.clone())));
        for label in [plain, label(Some("abc"), Some("0123"))] {
            assert_eq!(Label::parse_attribute(&label.attribute()), Some(label));
        }
    }

    #[test]
    fn what_is_no_mark_stays_text() {
        for text in ["", "[tenantry]", "[tenantry estate=a]", "[tenantry estate=a address=a/b]\nx"] {
            assert_eq!(Label::parse_comment(text), (text.to_owned(), None));
        }
        assert_eq!(Label::parse_attribute(r#"{"comment": "x"}"#), None);
    }
}
