//! Fields of a tenant as they are named on a command line and in events: `tier`, `quotas.users`, `values.regions[0]`,
//! `labels."example.org/team"`.

use super::super::node::Data;
use super::super::schemas::{self, DocumentKind};
use super::super::wanted::{Wanted, wanted};
use super::super::{scalar, yaml};
use super::Change;
use tenantry_core::diagnostics::{FileId, nearest};
use tenantry_core::model::value::{Value, push_token};

/// Fields below `spec`.
const SPEC: [&str; 13] = [
    "displayName",
    "tier",
    "phase",
    "placement",
    "quotas",
    "features",
    "contacts",
    "values",
    "trialEnds",
    "suspension",
    "deletion",
    "legalHold",
    "reuseName",
];
/// Fields below `metadata`.
const METADATA: [&str; 2] = ["labels", "annotations"];

/// Why a field or value cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    pub message: String,
    pub help: String,
}

fn invalid(message: impl Into<String>, help: impl Into<String>) -> Invalid {
    Invalid { message: message.into(), help: help.into() }
}

/// `FIELD=VALUE` sets a field, `FIELD-` removes it.
///
/// # Errors
/// If it is neither, or if a tenant has no such field.
pub fn assignment(text: &str) -> Result<Change, Invalid> {
    match split(text) {
        Some((field, value)) => {
            let pointer = pointer(field)?;
            let to = Some(self::value(&pointer, value)?);
            Ok(Change { pointer, to })
        }
        None => match text.strip_suffix('-') {
            Some(field) => Ok(Change { pointer: pointer(field)?, to: None }),
            None => Err(invalid(
                format!("`{text}` is not an edit"),
                "write FIELD=VALUE to set a field, such as quotas.users=200, or FIELD- to remove it",
            )),
        },
    }
}

/// The field and the value around the first equals sign that is in no quotation marks.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = text.find(|c| {
        quoted ^= c == '"';
        c == '=' && !quoted
    })?;
    Some((&text[..at], &text[at + 1..]))
}

/// The JSON pointer, in a tenant's document, of a field.
///
/// # Errors
/// If a tenant has no such field, or it cannot be edited.
pub fn pointer(field: &str) -> Result<String, Invalid> {
    let steps = match field.strip_prefix('/') {
        Some(_) => {
            let tokens = field.split('/').skip(1).map(tenantry_core::model::value::unescape_token);
            tokens.skip_while(|token| matches!(&**token, "spec" | "metadata")).map(Into::into).collect()
        }
        None => steps(field).ok_or_else(|| {
            invalid(
                format!("`{field}` is not the name of a field"),
                "write it as in expressions: quotas.users, values.regions[0], labels.\"example.org/team\"",
            )
        })?,
    };
    let steps: Vec<String> = steps;
    let first = steps.first().map(String::as_str).unwrap_or_default();
    let mut pointer = match first {
        first if SPEC.contains(&first) => "/spec".to_owned(),
        first if METADATA.contains(&first) => "/metadata".to_owned(),
        "name" | "previously" => {
            return Err(invalid(
                "a tenant is not renamed by an edit of one field",
                "write the new `name` and the old one in `previously` into the document, and look at the plan",
            ));
        }
        first => {
            let known = SPEC.into_iter().chain(METADATA);
            let help = match nearest(first, known.clone()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("fields of a tenant are {}", known.collect::<Vec<_>>().join(", ")),
            };
            return Err(invalid(format!("a tenant has no field `{first}`"), help));
        }
    };
    steps.iter().for_each(|step| push_token(&mut pointer, step));
    Ok(pointer)
}

/// The names of a path. `None` if it is not well formed.
fn steps(field: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut rest = field;
    loop {
        let step = if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = quoted.split_once('"')?;
            rest = after;
            name
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let name = &rest[..end];
            rest = &rest[end..];
            name
        };
        if step.is_empty() || step.contains(char::is_control) {
            return None;
        }
        steps.push(step.to_owned());
        while let Some(index) = rest.strip_prefix('[') {
            let (number, after) = index.split_once(']')?;
            number.parse::<usize>().ok()?;
            steps.push(number.to_owned());
            rest = after;
        }
        match rest.strip_prefix('.') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Some(steps),
            None => return None,
        }
    }
}

/// A value as YAML has it: a number, a boolean or a text; within quotation marks a text; within brackets a list or mapping. A
/// field that is a text takes what is given as one.
fn value(pointer: &str, text: &str) -> Result<Value, Invalid> {
    if text.is_empty() {
        let help = "write FIELD=\"\" in quotation marks for an empty text, or FIELD- to remove the field";
        return Err(invalid("a value is missing behind the equals sign", help));
    }
    let data = if text.starts_with(['"', '\'', '[', '{']) {
        let mut roots = Vec::new();
        let problems = yaml::parse(FileId(0), text, &mut |tree| roots.push(tree.root));
        match (problems.first(), &roots[..]) {
            (None, [root]) if root.span.end as usize == text.trim_end().len() => root.to_json(),
            (problem, _) => {
                let why = problem.map_or("something follows behind it".to_owned(), |problem| {
                    problem.message.replace("the file is", "it is")
                });
                let help = "write a list as [a, b], a mapping as {a: 1}, a text in quotation marks as \"…\"";
                return Err(invalid(format!("the value `{text}` cannot be read: {why}"), help));
            }
        }
    } else if is_text(pointer) {
        text.into()
    } else {
        match scalar::resolve(text) {
            Data::Huge(_) | Data::NotFinite => {
                let message = format!("`{text}` is not a number that can be kept");
                return Err(invalid(message, "write it in quotation marks if it is a text"));
            }
            Data::Null => {
                return Err(invalid("a field is removed, not set to nothing", "write FIELD- to remove it"));
            }
            Data::Bool(value) => value.into(),
            Data::Integer(value) => value.into(),
            Data::Float(value) => value.into(),
            _ => text.into(),
        }
    };
    Ok(Value::from(data).with_whole_numbers())
}

/// Whether a field of a tenant takes nothing but a text.
fn is_text(pointer: &str) -> bool {
    wanted(&schemas::document(DocumentKind::Tenant), pointer) == Wanted::Text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match assignment(text) {
            Ok(Change { pointer, to: Some(value) }) => format!("{text} → {pointer} = {}", value.to_json()),
            Ok(Change { pointer, to: None }) => format!("{text} → {pointer} is removed"),
            Err(Invalid { message, help }) => format!("{text} → {message}; {help}"),
        }
    }

    #[test]
    fn fields_and_values_are_those_of_a_document() {
        let rows = [
            "tier=professional",
            "displayName=Acme: 7 # and more",
            "displayName=7",
            "quotas.users=200",
            "quotas.storage=500Gi",
            "values.a.b=1.50",
            "values.on=no",
            "values.zone=\"08\"",
            "values.regions[1]=eu",
            "values.list=[a, {b: 1}]",
            "features-",
            "labels.\"example.org/team=x\"=red",
            "labels.zone=7",
            "/metadata/labels/a~1b=c",
            "values.text=a=b",
            "contacts.primary.email=a@example.com",
        ];
        insta::assert_snapshot!(rows.map(told).join("\n"), @r#"
        tier=professional → /spec/tier = "professional"
        displayName=Acme: 7 # and more → /spec/displayName = "Acme: 7 # and more"
        displayName=7 → /spec/displayName = "7"
        quotas.users=200 → /spec/quotas/users = 200
        quotas.storage=500Gi → /spec/quotas/storage = "500Gi"
        values.a.b=1.50 → /spec/values/a/b = 1.5
        values.on=no → /spec/values/on = "no"
        values.zone="08" → /spec/values/zone = "08"
        values.regions[1]=eu → /spec/values/regions/1 = "eu"
        values.list=[a, {b: 1}] → /spec/values/list = ["a",{"b":1}]
        features- → /spec/features is removed
        labels."example.org/team=x"=red → /metadata/labels/example.org~1team=x = "red"
        labels.zone=7 → /metadata/labels/zone = "7"
        /metadata/labels/a~1b=c → /metadata/labels/a~1b = "c"
        values.text=a=b → /spec/values/text = "a=b"
        contacts.primary.email=a@example.com → /spec/contacts/primary/email = "a@example.com"
        "#);
    }

    /// The properties of the spec of a tenant, wherever the schema has them.
    fn properties(schema: &serde_json::Value) -> Option<Vec<&str>> {
        let fields = schema.get("properties").and_then(serde_json::Value::as_object);
        if let Some(fields) = fields.filter(|fields| fields.contains_key("displayName")) {
            return Some(fields.keys().map(String::as_str).collect());
        }
        match schema {
            serde_json::Value::Object(fields) => fields.values().find_map(properties),
            serde_json::Value::Array(items) => items.iter().find_map(properties),
            _ => None,
        }
    }

    #[test]
    fn every_field_of_a_tenant_can_be_edited() {
        let schema = schemas::document(DocumentKind::Tenant);
        let mut fields = properties(&schema).expect("the spec of a tenant");
        let mut known = SPEC.to_vec();
        fields.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, fields);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_remedy() {
        let rows = [
            "tier",
            "=x",
            "teir=x",
            "name=other",
            "values.=1",
            "values.a",
            "values.a=",
            "values.a=~",
            "values.a=[1",
            "values.a=\"x\" y",
            "values.a=1e999",
            "values[x]=1",
            "values.a\nb=1",
            "price.amount=1",
        ];
        insta::assert_snapshot!(rows.map(told).join("\n"), @r#"
        tier → `tier` is not an edit; write FIELD=VALUE to set a field, such as quotas.users=200, or FIELD- to remove it
        =x → `` is not the name of a field; write it as in expressions: quotas.users, values.regions[0], labels."example.org/team"
        teir=x → a tenant has no field `teir`; did you mean `tier`?
        name=other → a tenant is not renamed by an edit of one field; write the new `name` and the old one in `previously` into the document, and look at the plan
        values.=1 → `values.` is not the name of a field; write it as in expressions: quotas.users, values.regions[0], labels."example.org/team"
        values.a → `values.a` is not an edit; write FIELD=VALUE to set a field, such as quotas.users=200, or FIELD- to remove it
        values.a= → a value is missing behind the equals sign; write FIELD="" in quotation marks for an empty text, or FIELD- to remove the field
        values.a=~ → a field is removed, not set to nothing; write FIELD- to remove it
        values.a=[1 → the value `[1` cannot be read: it is not valid YAML; write a list as [a, b], a mapping as {a: 1}, a text in quotation marks as "…"
        values.a="x" y → the value `"x" y` cannot be read: it is not valid YAML; write a list as [a, b], a mapping as {a: 1}, a text in quotation marks as "…"
        values.a=1e999 → `1e999` is not a number that can be kept; write it in quotation marks if it is a text
        values[x]=1 → `values[x]` is not the name of a field; write it as in expressions: quotas.users, values.regions[0], labels."example.org/team"
        values.a
        b=1 → `values.a
        b` is not the name of a field; write it as in expressions: quotas.users, values.regions[0], labels."example.org/team"
        price.amount=1 → a tenant has no field `price`; fields of a tenant are displayName, tier, phase, placement, quotas, features, contacts, values, trialEnds, suspension, deletion, legalHold, reuseName, labels, annotations
        "#);
    }
}
