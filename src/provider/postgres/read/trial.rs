//! Questions that a single wrong text makes the server refuse, asked of each text by itself.
//!
//! A query over many texts fails as a whole for one that is no value of its type. Here a block on the server asks for each
//! one under a savepoint of its own, so that the number of round trips does not grow with the number of texts.

use sqlx::PgConnection;

use crate::error::Failure;
use crate::quote::quote_literal;

/// What the server made of one text.
#[derive(Clone, Debug, PartialEq)]
pub enum Tried {
    /// Its answer, as text.
    Is(String),
    Null,
    /// Why it refused, in its own words.
    Refused(String),
}

impl Tried {
    pub fn answer(self) -> Option<String> {
        match self {
            Self::Is(text) => Some(text),
            Self::Null | Self::Refused(_) => None,
        }
    }
}

/// Settings of this transaction that hand the texts in and the answers out: a block takes no parameters and returns nothing.
const ASK: &str = "SELECT pg_catalog.set_config('tenantry.asked', $1, true)";
const ANSWERS: &str = "SELECT pg_catalog.current_setting('tenantry.answers')";

/// Asks `question`, an SQL query that returns one text for `$1`, of each text, inside a transaction.
///
/// # Errors
/// If the connection fails, or if a text holds a NUL, which nobody can send.
pub async fn each(connection: &mut PgConnection, question: &str, texts: &[String]) -> Result<Vec<Tried>, Failure> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let asked = serde_json::Value::from(texts.to_vec()).to_string();
    sqlx::query(ASK).bind(asked).execute(&mut *connection).await?;
    let body = format!(
        "DECLARE item text; found text; answers text[] := '{{}}'; BEGIN \
         FOR item IN SELECT t.item FROM pg_catalog.jsonb_array_elements_text(pg_catalog.current_setting('tenantry.asked')::jsonb) \
             WITH ORDINALITY AS t (item, i) ORDER BY t.i LOOP \
           BEGIN \
             EXECUTE {} INTO found USING item; \
             answers := pg_catalog.array_append(answers, CASE WHEN found IS NULL THEN '-' ELSE '=' || found END); \
           EXCEPTION WHEN OTHERS THEN answers := pg_catalog.array_append(answers, '!' || SQLERRM); END; \
         END LOOP; \
         PERFORM pg_catalog.set_config('tenantry.answers', pg_catalog.to_jsonb(answers)::text, true); END",
        quote_literal(question)?
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DO {}", quote_literal(&body)?))).execute(&mut *connection).await?;
    let answers: String = sqlx::query_scalar(ANSWERS).fetch_one(connection).await?;
    let answers: Vec<String> = serde_json::from_str(&answers).unwrap_or_default();
    Ok(answers
        .into_iter()
        .map(|answer| match answer.split_at_checked(1) {
            Some(("=", text)) => Tried::Is(text.to_owned()),
            Some(("!", why)) => Tried::Refused(why.to_owned()),
            _ => Tried::Null,
        })
        .collect())
}
