//! The mark among the tags of a bucket.
//!
//! A tag has a key of 128 and a value of 256 characters; AWS allows letters, digits, spaces and `+ - = . _ : / @` in them.
//! Everything else in an address is written as `=` and two hexadecimal digits for each byte.

use std::collections::BTreeMap;

use crate::error::{Failed as _, Failure};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::value::unescape_token;
use tenantry_provider::contract::Step;

/// With what our tags begin; the user's must not.
pub const PREFIX: &str = "tenantry.dev/";

/// Tags that a user may set besides ours, of the fifty that there can be.
pub const USER_TAGS: usize = 44;

const MOST_VALUE: usize = 256;

const ESTATE: &str = "tenantry.dev/estate";
const ADDRESS: &str = "tenantry.dev/address";
const SECRET: &str = "tenantry.dev/secret";

/// What is looked after on it: the fields of the spec that are read back.
pub const MANAGES: &str = "tenantry.dev/manages";

pub type Tags = BTreeMap<String, String>;

/// The mark among tags. Half a mark is none.
pub fn read(tags: &Tags) -> Option<Mark> {
    let estate = decode(tags.get(ESTATE)?)?;
    let address = decode(tags.get(ADDRESS)?)?.parse().ok()?;
    Some(Mark { estate: estate.into(), address, secret_hash: tags.get(SECRET).map(|hash| hash.as_str().into()) })
}

/// The tags that are a mark.
///
/// # Errors
/// In words, if the address is longer than a tag may be.
pub fn tags(mark: &Mark) -> Result<Tags, String> {
    let address = encode(&mark.address.to_string());
    if address.len() > MOST_VALUE {
        return Err(format!("its address is longer than the {MOST_VALUE} characters that fit into a tag"));
    }
    let mut tags = Tags::from([(ESTATE.to_owned(), encode(&mark.estate)), (ADDRESS.to_owned(), address)]);
    if let Some(hash) = &mark.secret_hash {
        tags.insert(SECRET.to_owned(), hash.to_string());
    }
    Ok(tags)
}

/// The tags that are not ours.
pub fn others(tags: &Tags) -> Tags {
    tags.iter().filter(|(key, _)| !key.starts_with(PREFIX)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b" +-._:/@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("={byte:02X}"));
        }
    }
    encoded
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'=' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The tags that a resource is to have: those of others, those of its spec, and the mark.
///
/// # Errors
/// As for [`tags`].
pub fn wanted_tags(step: &Step, wanted: &Tags, existing: &Tags, removed: &[String]) -> Result<Tags, Failure> {
    let mut found = others(existing);
    for pointer in removed {
        if let Some(key) = pointer.strip_prefix("/tags/") {
            found.remove(&*unescape_token(key));
        }
    }
    found.extend(wanted.clone());
    found.extend(tags(&step.mark).map_err(Failure::invalid)?);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_fits_into_tags_and_reads_back() {
        let address = r#"acme/logo["wörds = 100%"]"#.parse().expect("an address");
        let mark = Mark { estate: "shop".into(), address, secret_hash: Some("abc".into()) };
        let tags = tags(&mark).expect("it fits");
        assert_eq!(tags[ADDRESS], "acme/logo=5B=22w=C3=B6rds =3D 100=25=22=5D");
        assert_eq!(read(&tags), Some(mark));
        assert_eq!(others(&tags), Tags::new());
    }

    #[test]
    fn half_a_mark_is_none() {
        let tags =
            |address: &str| Tags::from([(ESTATE, "shop"), (ADDRESS, address)].map(|(a, b)| (a.into(), b.into())));
        for address in ["", "acme", "acme/a=", "acme/a=Z1", "acme/a=C3"] {
            assert_eq!(read(&tags(address)), None, "{address}");
        }
        assert!(read(&tags("acme/a")).is_some());
    }
}
