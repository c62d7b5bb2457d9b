//! Addresses of APIs, which keep the rule of [`tenantry_core::channel`].

pub use tenantry_core::channel::{Asked, Channel, Refused, channel, is_this_machine};
use url::Url;

/// A base address of an API, to which paths are appended.
///
/// # Errors
/// If it is none, or if credentials would travel in the clear to another machine.
pub fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("it is not a URL: {error}"))?;
    let is_local = is_this_machine(url.host_str().ok_or("it names no host")?);
    let asked = match url.scheme() {
        "https" => Asked::Verified,
        "http" => Asked::Unencrypted,
        _ => return Err("it must begin with https".to_owned()),
    };
    channel(asked, is_local, false)
        .map_err(|_| "it must begin with https, unless it is an address of this machine".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it must not have a user, password, query or fragment".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_machine_encrypted_only() {
        for good in ["https://api.example.com/v1", "http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:1"] {
            assert!(base_url(good).is_ok(), "{good}");
        }
        for bad in
            ["http://example.com", "ftp://localhost", "example.com", "https://a:b@example.com", "https://e.com/?a=b"]
        {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
