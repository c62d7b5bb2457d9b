//! The name of a resource in the estate.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a resource belongs to. The order is the order of creation: shared resources come first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    Estate,
    Tier(Arc<str>),
    Tenant(Arc<str>),
}

/// A resource's name in the estate: `acme-corp/schema`, `acme-corp/queue["orders"]`, `tier:pro/price`, `estate/meter`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    pub owner: Owner,
    /// The resource's id in its blueprint.
    pub id: Arc<str>,
    /// Which one of a `forEach`.
    pub each: Option<Arc<str>>,
}

/// A text that is not an address.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error(
    "'{0}' is not a valid address: write owner/id, such as acme-corp/schema, acme-corp/queue[\"orders\"] or estate/meter"
)]
pub struct InvalidAddress(String);

impl Owner {
    /// The tenant's name, if it is one.
    pub fn tenant(&self) -> Option<&Arc<str>> {
        match self {
            Self::Tenant(name) => Some(name),
            Self::Estate | Self::Tier(_) => None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Estate => formatter.write_str("estate"),
            Self::Tier(name) => write!(formatter, "tier:{name}"),
            Self::Tenant(name) => formatter.write_str(name),
        }
    }
}

impl From<&str> for Owner {
    fn from(text: &str) -> Self {
        match text.strip_prefix("tier:") {
            Some(tier) => Self::Tier(tier.into()),
            None if text == "estate" => Self::Estate,
            None => Self::Tenant(text.into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.owner, self.id)?;
        match &self.each {
            Some(each) => write!(formatter, "[{}]", serde_json::Value::from(&**each)),
            None => Ok(()),
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAddress(text.to_owned());
        let (owner, rest) = text.split_once('/').ok_or_else(invalid)?;
        let (id, each) = match rest.split_once('[') {
            Some((id, each)) => {
                let each = each.strip_suffix(']').ok_or_else(invalid)?;
                (id, Some(serde_json::from_str::<String>(each).map_err(|_| invalid())?))
            }
            None => (rest, None),
        };
        if owner.is_empty() || id.is_empty() {
            return Err(invalid());
        }
        Ok(Self { owner: Owner::from(owner), id: id.into(), each: each.map(Into::into) })
    }
}

impl schemars::JsonSchema for Owner {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Owner".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "A tenant's name, `tier:NAME` or `estate`."})
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Owner and id, such as `acme-corp/schema`, `acme-corp/queue[\"orders\"]`, `tier:pro/price` or `estate/meter`."
        })
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(deserializer)?.as_str()))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_are_written() {
        for text in ["acme-corp/schema", "tier:pro/price", "estate/meter", r#"acme-corp/queue["or\"d/e[r]s"]"#] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["acme", "/x", "acme/", "acme/queue[", "acme/queue[x]"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
