//! Hashes by which drift of a secret is seen without knowing it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// Hexadecimal digits that are kept: 128 bits, so that no two values ever meet, in what the shortest mark has room for.
const DIGITS: usize = 32;

/// HMAC-SHA-256 over secret values and where they stand, in hexadecimal.
///
/// `parts` are JSON pointers into the spec and the values there, in an order that is always the same, such as that of
/// the pointers. Every pointer and every value is preceded by its length, so that no two lists look alike.
pub fn keyed_hash<'a>(key: &SecretString, parts: impl IntoIterator<Item = (&'a str, &'a SecretString)>) -> String {
    let mut hash =
        Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    for (pointer, value) in parts {
        for text in [pointer, value.expose_secret()] {
            hash.update(&(text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
    }
    let hash = hash.finalize().into_bytes();
    hash.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str, parts: &[(&str, &str)]) -> String {
        let parts: Vec<(&str, SecretString)> = parts.iter().map(|(at, value)| (*at, (*value).into())).collect();
        keyed_hash(&key.into(), parts.iter().map(|(at, value)| (*at, value)))
    }

    /// Marks outlive versions, so the encoding is fixed. Computed with Python's `hmac`.
    #[test]
    fn the_encoding_never_changes() {
        assert_eq!(hash("key", &[("/password", "hunter2")]), "0827b7ab593ad1e3ea269c4b12e6a025");
        assert_eq!(hash("key", &[]), "5d5d139563c95b5967b9bd9a8c9b233a");
    }

    #[test]
    fn another_key_place_value_or_border_is_another_hash() {
        let hashes = [
            hash("key", &[("/a", "b")]),
            hash("other", &[("/a", "b")]),
            hash("key", &[("/ab", "")]),
            hash("key", &[("", "/ab")]),
            hash("key", &[("/a", "c")]),
            hash("key", &[("/a", "b"), ("", "")]),
            hash("key", &[("/a", "b"), ("/c", "d")]),
            hash("key", &[("/c", "d"), ("/a", "b")]),
        ];
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
        assert!(hashes.iter().all(|hash| hash.len() == DIGITS));
    }
}
