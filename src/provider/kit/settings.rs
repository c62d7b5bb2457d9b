//! The `url` of a target, for providers whose driver reads it.

use std::fmt::Display;

use serde_json::Value as Json;

use tenantry_provider::contract::{ErrorClass, ProviderError, Settings};

/// The error of settings that make no sense. A driver's own message does not belong into `cause` where it may quote a URL.
pub fn invalid(settings: &Settings, cause: impl Display) -> ProviderError {
    ProviderError::new(ErrorClass::Fatal, format!("reading the settings of target \"{}\"", settings.target), cause)
}

/// The target's `url`.
///
/// # Errors
/// If it is missing, or begins with none of `schemes`, such as `redis://`.
pub fn url<'a>(settings: &'a Settings, schemes: &[&str]) -> Result<&'a str, ProviderError> {
    let url = settings.text("url").ok_or_else(|| invalid(settings, "`url` is missing"))?;
    match schemes.iter().any(|scheme| url.starts_with(scheme)) {
        true => Ok(url),
        false => Err(invalid(settings, format!("`url` does not begin with {}", schemes.join(" or ")))),
    }
}

/// # Errors
/// If `url` has a password and stands in `tenantry.toml` itself.
pub fn refuse_password(settings: &Settings, has_password: bool) -> Result<(), ProviderError> {
    if !has_password || settings.secrets.contains_key("url") {
        return Ok(());
    }
    Err(invalid(settings, "`url` contains a password in the clear")
        .with_remedy("put the URL into an environment variable or a file and write `env:NAME` or `file:PATH`"))
}

/// Whether a URL has a password in its authority or its query.
pub fn has_password(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let user_info = authority.rsplit_once('@').map_or("", |(user_info, _)| user_info);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    user_info.split_once(':').is_some_and(|(_, password)| !password.is_empty())
        || query.split('&').any(|pair| pair.starts_with("password="))
}

/// Whether the target says in so many words that what is sent need not be encrypted.
pub fn says_plain(settings: &Settings) -> bool {
    settings.values.get("plaintext").and_then(Json::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_url_is_there_and_of_a_known_scheme() {
        let settings = fixture::settings("db://hunter2@host", true);
        assert_eq!(url(&settings, &["db://"]).ok(), Some("db://hunter2@host"));
        let refused = url(&settings, &["sql://", "sqls://"]).expect_err("another scheme").to_string();
        assert!(refused.ends_with("`url` does not begin with sql:// or sqls://"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_password_is_refused_unless_it_came_from_elsewhere() {
        for (url, has) in [
            ("db://ann:hunter2@host/a", true),
            ("db://ann@host/a?password=hunter2", true),
            ("db://ann:@host", false),
            ("db://host/a:b@c", false),
        ] {
            assert_eq!(has_password(url), has, "{url}");
            assert_eq!(refuse_password(&fixture::settings(url, false), has_password(url)).is_err(), has, "{url}");
            assert!(refuse_password(&fixture::settings(url, true), has_password(url)).is_ok(), "{url}");
        }
    }
}
