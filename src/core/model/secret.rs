//! A reference to a secret. The value itself never enters `core`.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::address::{Address, Owner};
use super::names::hex;

/// Which value of a secret it is: counted from 1; a higher one is a rotation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct SecretVersion(u32);

impl SecretVersion {
    pub const FIRST: Self = Self(1);

    /// `None` for 0, which no version has.
    pub fn new(number: u32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    pub fn get(self) -> u32 {
        self.0
    }

    /// The version that comes after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for SecretVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Names one version of one secret of one owner.
///
/// Written into specs, plans and journals in place of the value. A higher version is a rotation.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct SecretReference {
    pub owner: Owner,
    /// The name in `secret(name)`.
    pub name: Arc<str>,
    pub version: SecretVersion,
}

impl fmt::Display for SecretReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, name, version } = self;
        write!(formatter, "secret({owner}/{name}, v{version})")
    }
}

impl SecretReference {
    /// A one-time secret of a resource. Its name has a dot, which no name in `secret(name)` has.
    pub fn captured(address: &Address, name: &str, version: SecretVersion) -> Self {
        let Address { owner, id, each } = address;
        let name = match each {
            // Stores take letters, digits and a few signs; a key may be any text.
            Some(each) => format!("{id}-{}.{name}", &hex(&Sha256::digest(each.as_bytes()))[..12]),
            None => format!("{id}.{name}"),
        };
        Self { owner: owner.clone(), name: name.into(), version }
    }

    /// Whether a target generated the value: then Tenantry cannot generate it.
    pub fn is_captured(&self) -> bool {
        self.name.contains('.')
    }

    /// Reads what [`fmt::Display`] writes; `None` if the text is not a reference.
    pub fn from_text(text: &str) -> Option<Self> {
        let (name, version) = text.strip_prefix("secret(")?.strip_suffix(')')?.rsplit_once(", v")?;
        let (owner, name) = name.split_once('/')?;
        Some(Self { owner: Owner::from(owner), name: name.into(), version: SecretVersion::new(version.parse().ok()?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_reference_survives_its_text_and_differs_for_each_key() {
        let of = |address: &str| {
            let address = address.parse().expect("an address");
            SecretReference::captured(&address, "signingSecret", SecretVersion(3))
        };
        for address in ["acme/hook", r#"tier:pro/hook["a/b, v1)"]"#, "estate/hook"] {
            let reference = of(address);
            assert!(reference.is_captured());
            assert_eq!(SecretReference::from_text(&reference.to_string()), Some(reference));
        }
        assert_ne!(of(r#"acme/hook["a"]"#), of(r#"acme/hook["b"]"#));
        assert_eq!(SecretReference::from_text("sim-0123"), None);
        assert_eq!(SecretReference::from_text("secret(acme/hook, v0)"), None);
    }
}
