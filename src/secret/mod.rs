//! Secrets: generated once, kept in one store, only referred to elsewhere.

pub mod contract;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};

pub fn generate() -> SecretString {
    use rand::RngExt as _;
    let mut rng = rand::rng();
    let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    (0..32).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect::<String>().into()
}

pub fn keyed_hash<'a>(key: &SecretString, parts: impl Iterator<Item = (&'a str, &'a SecretString)>) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.expose_secret().as_bytes()).expect("any length");
    for (pointer, value) in parts {
        for text in [pointer, value.expose_secret()] {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
    }
    crate::core::model::names::hex(&mac.finalize().into_bytes())[..32].to_owned()
}

pub struct Masker(Vec<SecretString>);

impl Masker {
    pub fn new<'a>(secrets: impl Iterator<Item = &'a SecretString>) -> Self {
        Self(secrets.cloned().collect())
    }
    pub fn mask(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "(secret)"))
    }
}
pub struct AgeFile;
impl AgeFile { pub fn open(_: &std::path::Path, _: &SecretString) -> Result<Box<dyn contract::SecretStore>, contract::SecretStoreError> { Err(contract::SecretStoreError::Locked{location: String::new(), cause: String::new()}) } }
pub fn new_identity() -> (SecretString, String) { (String::new().into(), String::new()) }
