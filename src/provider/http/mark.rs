//! The mark on an object: in a map of texts, or on the last line of a text.

use serde_json::Value as Json;

use super::definition::MarkAt;
use tenantry_core::model::mark::Mark;

const OPENING: &str = "[tenantry ";

/// Takes the mark out of an object.
pub fn take(at: &MarkAt, object: &mut Json) -> Option<Mark> {
    match at {
        MarkAt::Inventory => None,
        MarkAt::Map { at, prefix } => {
            let map = object.pointer_mut(at)?.as_object_mut()?;
            let mut part =
                |name: &str| map.remove(&format!("{prefix}{name}")).and_then(|text| text.as_str().map(str::to_owned));
            let (estate, address, secret) = (part("estate"), part("address"), part("secret"));
            Some(Mark {
                estate: estate?.into(),
                address: address?.parse().ok()?,
                secret_hash: secret.filter(|secret| !secret.is_empty()).map(Into::into),
            })
        }
        MarkAt::Text { at } => {
            let text = object.pointer(at)?.as_str()?;
            let (own, line) = text.rsplit_once('\n').unwrap_or(("", text));
            let mark = parse(line)?;
            let own = Json::from(own);
            *object.pointer_mut(at)? = own;
            Some(mark)
        }
    }
}

/// Puts a mark on the body of a request.
pub fn put(at: &MarkAt, object: &mut Json, mark: &Mark) {
    match at {
        MarkAt::Inventory => {}
        MarkAt::Map { at, prefix } => {
            let mut set = |name: &str, value: &str| {
                let pointer = format!("{at}/{}", token(&format!("{prefix}{name}")));
                super::object::set(object, &pointer, value.into());
            };
            set("estate", &mark.estate);
            set("address", &mark.address.to_string());
            if let Some(secret) = &mark.secret_hash {
                set("secret", secret);
            }
        }
        MarkAt::Text { at } => {
            let own = object.pointer(at).and_then(Json::as_str).filter(|text| !text.is_empty());
            let mut text = own.map(|own| format!("{own}\n")).unwrap_or_default();
            text.push_str(&line(mark));
            super::object::set(object, at, text.into());
        }
    }
}

fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// JSON, because an address may hold any character.
fn line(mark: &Mark) -> String {
    let json = serde_json::to_string(mark).unwrap_or_default();
    format!("{OPENING}{json}]")
}

fn parse(line: &str) -> Option<Mark> {
    serde_json::from_str(line.strip_prefix(OPENING)?.strip_suffix(']')?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mark_reads_back_and_leaves_what_people_wrote() {
        let mark = Mark {
            estate: "shop".into(),
            address: r#"acme/service["a \"b\"\n]"]"#
                .parse()
                .unwrap_or_else(|_| r#"acme/service["a b]"]"#.parse().expect("an address")),
            secret_hash: Some("abc".into()),
        };
        for at in [MarkAt::Map { at: "/meta".into(), prefix: "x.dev/".into() }, MarkAt::Text { at: "/text".into() }] {
            let own = json!({"meta": {"theirs": "1"}, "text": "Two\nlines"});
            let mut object = own.clone();
            put(&at, &mut object, &mark);
            assert_ne!(object, own);
            assert_eq!(take(&at, &mut object).as_ref(), Some(&mark));
            assert_eq!(object, own);
            assert_eq!(take(&at, &mut object), None);
        }
    }
}
