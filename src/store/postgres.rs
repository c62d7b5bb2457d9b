//! The store in a PostgreSQL database, in a schema of its own, for several runners that share it.

use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::connection::{Link, Purpose};
use super::contract::StoreError;
use super::statements::{FORMAT, POSTGRES_FORMAT_1};

/// How to connect, and what to call the store in messages.
///
/// # Errors
/// If it is not a URL of PostgreSQL. The message does not repeat it, for it has a password in it.
pub fn options(url: &SecretString) -> Result<(PgConnectOptions, String), StoreError> {
    let url = url.expose_secret();
    let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = PgConnectOptions::from_str(url).ok().filter(|_| postgres).ok_or_else(|| StoreError::Failed {
        location: "the PostgreSQL URL".into(),
        attempted: "reading the URL",
        cause: "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded".into(),
    })?;
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let location = format!("postgresql://{}:{}/{database}", options.get_host(), options.get_port());
    Ok((options.application_name("tenantry").disable_statement_logging(), location))
}

/// The format of the tables; nothing if there are none.
///
/// # Errors
/// [`StoreError::Newer`] if it is one of a later version.
pub async fn format(location: &str, link: &mut Link, purpose: Purpose) -> Result<Option<u32>, StoreError> {
    let attempted = "looking at its format";
    let mut work = link.begin(purpose).await?;
    let exists =
        work.fetch(attempted, "SELECT count(to_regclass('tenantry_store.format'))", [], |row| row.integer(0)).await?;
    if exists.first().is_none_or(|count| *count == 0) {
        if purpose == Purpose::Write {
            work.script("creating its tables", POSTGRES_FORMAT_1).await?;
            work.commit().await?;
            return Ok(Some(FORMAT));
        }
        work.end().await?;
        return Ok(None);
    }
    let found = work.fetch(attempted, "SELECT version FROM tenantry_store.format", [], |row| row.integer(0)).await?;
    let found = found.first().and_then(|found| u32::try_from(*found).ok()).unwrap_or(u32::MAX);
    if found > FORMAT {
        return Err(StoreError::Newer { location: location.to_owned(), found, supported: FORMAT });
    }
    work.end().await?;
    Ok(Some(found))
}
