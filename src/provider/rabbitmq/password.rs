//! Passwords as salted hashes, so that no password ever reaches the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use tenantry_core::model::names::hex;

/// The name of the algorithm, as the server has it.
pub const ALGORITHM: &str = "rabbit_password_hashing_sha256";

const SALT: usize = 4;

/// A password as the server keeps it: four bytes of salt and the SHA-256 of salt and password, in Base64 (RabbitMQ manual,
/// "Passwords").
pub fn hash(password: &str) -> String {
    hash_with(password, rand::random())
}

fn hash_with(password: &str, salt: [u8; SALT]) -> String {
    let mut bytes = salt.to_vec();
    bytes.extend(Sha256::digest([&salt, password.as_bytes()].concat()));
    BASE64.encode(bytes)
}

/// A sign of a hash that may be seen by everybody: of its salt alone, which is new whenever a password is set and is of no
/// help in guessing it.
pub fn fingerprint(hash: &str) -> Option<String> {
    let bytes = BASE64.decode(hash).ok()?;
    let mut digits = hex(&Sha256::digest(bytes.get(..SALT)?));
    digits.truncate(16);
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the manual.
    #[test]
    fn the_hash_is_that_of_the_manual() {
        let hash = hash_with("test12", [0x90, 0x8d, 0xc6, 0x0a]);
        assert_eq!(hash, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
        assert_eq!(fingerprint(&hash).map(|digits| digits.len()), Some(16));
    }

    #[test]
    fn every_hash_has_a_salt_of_its_own() {
        assert_ne!(fingerprint(&hash("x")), fingerprint(&hash("x")));
        assert_eq!(fingerprint(""), None);
    }
}
