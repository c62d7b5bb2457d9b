//! How a connection to a target or to the store is protected: one rule for all drivers.
//!
//! A connection to another machine is encrypted, and the server's certificate is verified, unless the settings explicitly turn
//! this off. A connection on this machine cannot be intercepted, and a local server seldom has a signed certificate: there the
//! driver's default applies.

use core::net::IpAddr;

/// What the settings require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing, or optional encryption: encrypted if the server supports it.
    Nothing,
    /// The scheme of the URL has no encryption, and no setting allows that.
    Unencrypted,
    /// Explicitly no encryption.
    Plain,
    /// Encryption, without naming a certificate to verify.
    Encrypted,
    /// A certificate of a known authority, with any name.
    VerifiedAuthority,
    /// A certificate of a known authority, for the name of the server.
    Verified,
}

/// How the connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The driver's default, because the connection cannot be intercepted.
    AsItComes,
    Plain,
    VerifiedAuthority,
    Verified,
}

/// Why a connection is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("`roots` is for TLS, but `url` does not use TLS")]
    RootsWithoutTls,
    #[error("without TLS, everybody on the network between could read what is sent, including the password")]
    InTheClear,
}

impl Refused {
    /// What the user can do about it. `scheme` is how the target's `url` begins with encryption.
    pub fn remedy(self, scheme: &str) -> String {
        match self {
            Self::RootsWithoutTls => format!("begin `url` with {scheme}, or leave `roots` out"),
            Self::InTheClear => format!(
                "begin `url` with {scheme}; if the network between is trusted, write `plaintext = true` into the \
                 target's table"
            ),
        }
    }
}

/// How a connection is to be made. `is_local` says that it does not leave this machine, `has_roots` that they name
/// the certificates to trust.
///
/// # Errors
/// If the settings contradict each other, or the connection would send secrets in the clear to another machine.
pub fn channel(asked: Asked, is_local: bool, has_roots: bool) -> Result<Channel, Refused> {
    match asked {
        Asked::Plain | Asked::Unencrypted if has_roots => Err(Refused::RootsWithoutTls),
        Asked::Plain => Ok(Channel::Plain),
        Asked::Unencrypted if is_local => Ok(Channel::Plain),
        Asked::Unencrypted => Err(Refused::InTheClear),
        Asked::Nothing if is_local && !has_roots => Ok(Channel::AsItComes),
        Asked::Nothing | Asked::Encrypted | Asked::Verified => Ok(Channel::Verified),
        Asked::VerifiedAuthority => Ok(Channel::VerifiedAuthority),
    }
}

/// Whether what is sent to a host of a URL stays on this machine.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_this_machine_is_verified_or_refused() {
        let (away, here) = (false, true);
        for (asked, is_local, has_roots, expected) in [
            (Asked::Nothing, away, false, Ok(Channel::Verified)),
            (Asked::Nothing, here, false, Ok(Channel::AsItComes)),
            (Asked::Nothing, here, true, Ok(Channel::Verified)),
            (Asked::Encrypted, away, false, Ok(Channel::Verified)),
            (Asked::Encrypted, here, false, Ok(Channel::Verified)),
            (Asked::VerifiedAuthority, away, true, Ok(Channel::VerifiedAuthority)),
            (Asked::Verified, here, false, Ok(Channel::Verified)),
            (Asked::Unencrypted, here, false, Ok(Channel::Plain)),
            (Asked::Unencrypted, away, false, Err(Refused::InTheClear)),
            (Asked::Unencrypted, here, true, Err(Refused::RootsWithoutTls)),
            (Asked::Plain, away, false, Ok(Channel::Plain)),
            (Asked::Plain, away, true, Err(Refused::RootsWithoutTls)),
        ] {
            assert_eq!(channel(asked, is_local, has_roots), expected, "{asked:?} {is_local} {has_roots}");
        }
    }

    #[test]
    fn only_loopback_is_this_machine() {
        for local in ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(is_this_machine(local), "{local}");
        }
        for away in ["localhost.example.com", "10.0.0.1", "0.0.0.0", "db", ""] {
            assert!(!is_this_machine(away), "{away}");
        }
    }
}
