//! Passwords as the server keeps them, so that no password ever stands in a statement.
//!
//! MariaDB keeps `mysql_native_password`: `*` and the SHA-1 of the SHA-1 in hexadecimal (MySQL manual, "Native Pluggable
//! Authentication"). MySQL keeps `caching_sha2_password`: `$A$005$`, twenty characters of salt, and SHA-256-crypt of 5,000
//! rounds (U. Drepper, "Unix crypt using SHA-256 and SHA-512"). Libraries cut the salt to sixteen characters, as that paper
//! has it; MySQL uses all twenty, hence the own code.

use rand::RngExt as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::connection::Flavour;
use tenantry_core::model::names::hex;

const SALT_LENGTH: usize = 20;
const ROUNDS: u32 = 5_000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A password as the server of a flavour keeps it: its plugin and the text.
pub fn verifier(flavour: Flavour, password: &str) -> (&'static str, String) {
    match flavour {
        Flavour::MariaDb => ("mysql_native_password", native(password)),
        Flavour::MySql => {
            let mut random = rand::rng();
            // Letters and digits alone: neither `$`, which separates, nor what would have to be quoted.
            let salt: String = (0..SALT_LENGTH).map(|_| char::from(ALPHABET[random.random_range(2..64)])).collect();
            ("caching_sha2_password", caching_sha2(password, &salt))
        }
    }
}

/// A password that nobody knows, for users that are not to log in with one.
pub fn unknown_password() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// A sign of a verifier, too short to tell a password by it: of 2³² passwords one is as good as another.
pub fn fingerprint(plugin: &str, verifier: &str) -> String {
    let mut digits = hex(&Sha256::digest(format!("{plugin} {verifier}")));
    digits.truncate(8);
    digits
}

fn native(password: &str) -> String {
    format!("*{}", hex(&Sha1::digest(Sha1::digest(password))).to_uppercase())
}

fn caching_sha2(password: &str, salt: &str) -> String {
    let digest = sha256_crypt(password.as_bytes(), salt.as_bytes(), ROUNDS);
    format!("$A${:03X}${salt}{}", ROUNDS / 1000, encode(&digest))
}

/// Steps are numbered as in the paper.
fn sha256_crypt(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let repeated = |block: &[u8], length: usize| -> Vec<u8> { block.iter().copied().cycle().take(length).collect() };
    // 4 to 8: what the paper calls B.
    let other = Sha256::digest([password, salt, password].concat());
    // 1 to 12: A.
    let mut first = [password, salt, &repeated(&other, password.len())].concat();
    let mut length = password.len();
    while length > 0 {
        first.extend(if length & 1 == 1 { other.as_slice() } else { password });
        length >>= 1;
    }
    let mut digest: [u8; 32] = Sha256::digest(first).into();
    // 13 to 16: P, and 17 to 20: S.
    let long_password = repeated(&Sha256::digest(password.repeat(password.len())), password.len());
    let long_salt = repeated(&Sha256::digest(salt.repeat(16 + usize::from(digest[0]))), salt.len());
    // 21.
    for round in 0..rounds {
        let is_odd = round % 2 == 1;
        let mut hash = Sha256::new();
        hash.update(if is_odd { long_password.as_slice() } else { &digest });
        if round % 3 != 0 {
            hash.update(&long_salt);
        }
        if round % 7 != 0 {
            hash.update(&long_password);
        }
        hash.update(if is_odd { digest.as_slice() } else { &long_password });
        digest = hash.finalize().into();
    }
    digest
}

/// 22: the order of bytes and the alphabet of crypt.
fn encode(digest: &[u8; 32]) -> String {
    let mut text = String::with_capacity(43);
    let mut put = |high: u8, middle: u8, low: u8, characters: usize| {
        let mut bits = u32::from(high) << 16 | u32::from(middle) << 8 | u32::from(low);
        for _ in 0..characters {
            text.push(char::from(ALPHABET[(bits & 0x3f) as usize]));
            bits >>= 6;
        }
    };
    let (mut first, mut second, mut third) = (0, 10, 20);
    for _ in 0..10 {
        put(digest[first], digest[second], digest[third], 4);
        (first, second, third) = (third + 1, first + 1, second + 1);
    }
    put(0, digest[31], digest[30], 3);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paper's own examples. MySQL differs in the length of the salt alone.
    #[test]
    fn the_digest_is_that_of_the_paper() {
        let digest =
            |password: &str, salt: &str, rounds| encode(&sha256_crypt(password.as_bytes(), salt.as_bytes(), rounds));
        assert_eq!(digest("Hello world!", "saltstring", 5_000), "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5");
        assert_eq!(digest("Hello world!", "saltstringsaltst", 10_000), "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA");
        assert_eq!(
            digest("This is just a test", "toolongsaltstrin", 5_000),
            "Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"
        );
    }

    #[test]
    fn a_native_password_is_hashed_twice() {
        assert_eq!(native("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }

    #[test]
    fn a_verifier_has_the_form_of_the_server() {
        let (plugin, text) = verifier(Flavour::MySql, "pencil");
        assert_eq!((plugin, text.len()), ("caching_sha2_password", 70));
        assert!(text.starts_with("$A$005$") && !text.contains("pencil"));
        assert_ne!(verifier(Flavour::MySql, "pencil").1, text);
    }
}
