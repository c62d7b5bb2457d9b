//! The store in a PostgreSQL database, in a schema of its own, for several runners that share it.

use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tenantry_core::channel::{Asked, Channel, channel, is_this_machine};

use crate::OpenMode;
use crate::connection::{Link, Purpose, Work};
use crate::contract::{Scope, StoreError};
use crate::formats::{self, FORMAT};
use crate::migration::Earlier;
use crate::records::{add_scope, find_scope};
use crate::sqlite::write_all;
use crate::statements::POSTGRES_ALONE;

/// How to connect, and what to call the store in messages.
///
/// # Errors
/// If it is not a URL of PostgreSQL. The message does not repeat it, because it contains a password.
pub fn options(url: &SecretString) -> Result<(PgConnectOptions, String), StoreError> {
    let url = url.expose_secret();
    let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = PgConnectOptions::from_str(url).ok().filter(|_| postgres).ok_or_else(|| StoreError::Failed {
        location: "the PostgreSQL URL".into(),
        attempted: "reading the URL",
        cause: "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded".into(),
    })?;
    let options = protected(options);
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let location = format!("postgresql://{}:{}/{database}", options.get_host(), options.get_port());
    Ok((options.application_name("tenantry").disable_statement_logging(), location))
}

/// With the server's certificate verified, wherever that protects anything: as for a target of PostgreSQL. Which certificates
/// are trusted is `sslrootcert` of the URL.
fn protected(options: PgConnectOptions) -> PgConnectOptions {
    let is_local = options.get_socket().is_some() || is_this_machine(options.get_host());
    let asked = match options.get_ssl_mode() {
        PgSslMode::Allow | PgSslMode::Prefer => Asked::Nothing,
        PgSslMode::Disable => Asked::Plain,
        PgSslMode::Require => Asked::Encrypted,
        PgSslMode::VerifyCa => Asked::VerifiedAuthority,
        PgSslMode::VerifyFull => Asked::Verified,
    };
    match channel(asked, is_local, false) {
        Ok(Channel::AsItComes) => options,
        Ok(Channel::Plain) => options.ssl_mode(PgSslMode::Disable),
        Ok(Channel::VerifiedAuthority) => options.ssl_mode(PgSslMode::VerifyCa),
        // What is refused is what a URL cannot ask for.
        Ok(Channel::Verified) | Err(_) => options.ssl_mode(PgSslMode::VerifyFull),
    }
}

/// The state of a database for a scope.
pub enum Found {
    /// No tables.
    Nothing,
    /// Tables of the current format, with the number of the scope if it holds something.
    Current(Option<i64>),
    /// Tables of an earlier format.
    Earlier(Earlier),
}

/// Determines that state, without writing.
///
/// # Errors
/// [`StoreError::Newer`] if it is of a later version.
pub async fn look(location: &str, link: &mut Link, scope: &Scope, mode: OpenMode) -> Result<Found, StoreError> {
    let mut work = link.begin(Purpose::Read).await?;
    let found = match format(location, &mut work).await? {
        None => Found::Nothing,
        Some(FORMAT) => Found::Current(find_scope(&mut work, scope).await?),
        // To be read again when nobody else can write.
        Some(_) if mode == OpenMode::ReadWrite => Found::Nothing,
        Some(_) => Found::Earlier(Earlier::read(&mut work).await?),
    };
    work.end().await?;
    Ok(found)
}

/// Creates the tables or brings them up to date, and returns the number of the scope. All in one transaction; the tables
/// of an earlier format stay in a schema beside.
pub async fn prepare(location: &str, link: &mut Link, scope: &Scope) -> Result<i64, StoreError> {
    let mut work = link.begin(Purpose::Write).await?;
    work.script("waiting for others", POSTGRES_ALONE).await?;
    match format(location, &mut work).await? {
        None => work.script("creating its tables", formats::POSTGRES).await?,
        Some(FORMAT) => {}
        Some(_) => {
            let records = Earlier::read(&mut work).await?.attribute(location, scope)?;
            work.script("migrating it", formats::POSTGRES_PUT_FORMAT_1_ASIDE).await?;
            work.script("migrating it", formats::POSTGRES).await?;
            write_all(&mut work, &records).await?;
            work.script("migrating it", formats::POSTGRES_PRIVILEGES_OF_FORMAT_1).await?;
            tracing::warn!(
                "the store was migrated to format {FORMAT}; the tables of the earlier format stay in schema tenantry_store_format_1"
            );
        }
    }
    let number = match find_scope(&mut work, scope).await? {
        Some(number) => number,
        None => add_scope(&mut work, scope).await?,
    };
    work.commit().await?;
    Ok(number)
}

async fn format(location: &str, work: &mut Work<'_>) -> Result<Option<u32>, StoreError> {
    let attempted = "reading its format";
    let exists =
        work.fetch(attempted, "SELECT count(to_regclass('tenantry_store.format'))", [], |row| row.integer(0)).await?;
    if exists.first().is_none_or(|count| *count == 0) {
        return Ok(None);
    }
    let found = work.fetch(attempted, "SELECT version FROM tenantry_store.format", [], |row| row.integer(0)).await?;
    let found = found.first().and_then(|found| u32::try_from(*found).ok()).unwrap_or(u32::MAX);
    if found > FORMAT {
        return Err(StoreError::Newer { location: location.to_owned(), found, supported: FORMAT });
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_elsewhere_is_verified_unless_its_url_says_in_so_many_words_that_it_is_not() {
        let mode = |url: &str| {
            let (options, _) = options(&url.to_owned().into()).expect("a URL");
            format!("{:?}", options.get_ssl_mode())
        };
        for (url, expected) in [
            ("postgres://u@records.example.com/tenantry", "VerifyFull"),
            ("postgres://u@192.0.2.7/tenantry?sslmode=prefer", "VerifyFull"),
            ("postgresql://u@records/tenantry?sslmode=allow", "VerifyFull"),
            // Encrypted, but for whoever answers.
            ("postgres://u@records/tenantry?sslmode=require", "VerifyFull"),
            ("postgres://u@records/tenantry?sslmode=verify-ca", "VerifyCa"),
            ("postgres://u@records/tenantry?sslmode=disable", "Disable"),
            ("postgres://u@127.0.0.1/tenantry", "Prefer"),
            ("postgres://u@[::1]/tenantry?sslmode=disable", "Disable"),
            ("postgres://u@localhost/tenantry?sslmode=require", "VerifyFull"),
            ("postgres://u@records/tenantry?host=/run/postgresql", "Prefer"),
        ] {
            assert_eq!(mode(url), expected, "{url}");
        }
    }
}
