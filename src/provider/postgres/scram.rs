//! Passwords as SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), so that no password ever reaches the server or its logs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use tenantry_core::model::names::hex;

/// The server's own default (`scram_iterations`), and the least that RFC 7677 allows.
const ITERATIONS: u32 = 4096;

/// What `pg_authid.rolpassword` holds of a password.
///
/// The server takes a string of exactly this form as a verifier; one that is malformed it would hash as if it were the
/// password, so the form is covered by a test against the server.
pub struct Verifier {
    salt: [u8; 16],
    text: String,
}

impl Verifier {
    /// A verifier with a fresh salt.
    pub fn new(password: &str) -> Self {
        Self::with_salt(password, rand::random())
    }

    fn with_salt(password: &str, salt: [u8; 16]) -> Self {
        let (stored_key, server_key) = keys(password, &salt, ITERATIONS);
        let text = format!(
            "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
            BASE64.encode(salt),
            BASE64.encode(stored_key),
            BASE64.encode(server_key)
        );
        Self { salt, text }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// A sign of this very verifier that may stand in a comment.
    ///
    /// It is made of the salt alone, which the server tells everybody who begins to log in and which is new for every password
    /// that is set: it shows that the password was set again and is of no help in guessing it, as a hash of the keys
    /// would be.
    pub fn fingerprint(&self) -> String {
        let mut digits = hex(&Sha256::digest(BASE64.encode(self.salt)));
        digits.truncate(FINGERPRINT_DIGITS);
        digits
    }
}

/// Hexadecimal digits of a fingerprint. The reader computes the same on the server.
pub const FINGERPRINT_DIGITS: usize = 16;

/// StoredKey and ServerKey.
fn keys(password: &str, salt: &[u8], iterations: u32) -> ([u8; 32], [u8; 32]) {
    // Like the server and its clients: where the preparation is impossible the bytes are used as they are.
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let key = prepared.as_bytes();

    // Keyed once: half of the work of an HMAC is its key.
    let keyed = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    let mut block = finish(keyed.clone(), &[salt, &1_u32.to_be_bytes()]);
    let mut salted = block;
    for _ in 1..iterations {
        block = finish(keyed.clone(), &[&block]);
        for (sum, byte) in salted.iter_mut().zip(block) {
            *sum ^= byte;
        }
    }
    let stored_key = Sha256::digest(hmac_sha256(&salted, &[b"Client Key"])).into();
    (stored_key, hmac_sha256(&salted, &[b"Server Key"]))
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    finish(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"), parts)
}

fn finish(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_prove_the_exchange_of_rfc_7677() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let (stored_key, server_key) = keys("pencil", &salt, 4096);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server_signature = hmac_sha256(&server_key, &[message.as_bytes()]);
        assert_eq!(BASE64.encode(server_signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

        let proof = BASE64.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").expect("base64");
        let signature = hmac_sha256(&stored_key, &[message.as_bytes()]);
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(client_key)), stored_key);
    }

    #[test]
    fn a_verifier_has_the_form_of_the_server() {
        let verifier = Verifier::with_salt("pencil", [7; 16]);
        assert!(verifier.text().starts_with("SCRAM-SHA-256$4096:BwcHBwcHBwcHBwcHBwcHBw==$"), "{}", verifier.text());
        assert_eq!(verifier.text().len(), "SCRAM-SHA-256$4096:".len() + 24 + 1 + 44 + 1 + 44);
        assert!(!verifier.text().contains("pencil"));
        assert_eq!(verifier.fingerprint().len(), FINGERPRINT_DIGITS);
        assert_ne!(Verifier::new("pencil").text(), Verifier::new("pencil").text());
    }

    #[test]
    fn a_password_is_prepared_like_the_clients_do() {
        // RFC 4013, section 3: a soft hyphen is mapped to nothing, and the Roman numeral IX to its letters.
        assert_eq!(keys("I\u{AD}X", b"salt", 2), keys("IX", b"salt", 2));
        assert_eq!(keys("\u{2168}", b"salt", 2), keys("IX", b"salt", 2));
    }
}
