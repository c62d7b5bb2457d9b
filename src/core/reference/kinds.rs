//! The page of a provider's kinds: what the planner knows of each, and of each of its fields.

use std::fmt::Write as _;

use super::fields::{Field, fields};
use super::{GENERATED, cell};
use crate::model::kind::{Batch, Kind, MarkPlace};

/// The page of all kinds, and of the words of the others.
pub fn index(kinds: &[Kind]) -> String {
    let mut page = format!("# Kinds of resources\n\n{GENERATED}\n\n| kind | |\n|---|---|\n");
    for kind in kinds {
        let (anchor, provider) = (anchor(kind.name), kind.provider());
        let _ = writeln!(page, "| [`{}`]({provider}.md#{anchor}) | {} |", kind.name, cell(kind.summary));
    }
    page.push_str(WORDS);
    page
}

/// The page for the kinds of one provider, which the sandbox has no kinds of its own for.
pub fn page(title: &str, provider: &str, kinds: &[Kind]) -> String {
    let mut page = format!(
        "# Kinds of {title}\n\n{GENERATED}\n\n\
         How they behave is on the page of [the provider](../providers/{provider}.md), what the column *is* means on that of \
         [all kinds](kinds.md).\n"
    );
    for (index, kind) in kinds.iter().enumerate() {
        page.push_str(&section(kind, &kinds[..index]));
    }
    page
}

const WORDS: &str = "
## What a field is

| word | meaning |
|---|---|
| identity | part of the name in the target: with another value it is another resource, and the old one is replaced |
| replaces | cannot change while the resource lives: a change deletes it and creates it again |
| write-only | the target never returns it; what is compared is a keyed hash in the mark, or what was last written |
| secret | masked in plans, reports and records |
| reviewed | shown in the plan of every new resource, because it grants rights, opens access or costs money |
| by key | owned key by key: keys that the blueprint does not name are left alone |
| names a KIND | the resource with that name is written first, if the estate has it |
";

/// The anchor of a kind's heading.
fn anchor(name: &str) -> String {
    name.replace('.', "")
}

/// The section of a kind, behind those of the kinds before it.
fn section(kind: &Kind, before: &[Kind]) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n| | |\n|---|---|\n", kind.name, kind.summary);
    let mut row = |what: &str, value: &str| {
        let _ = writeln!(text, "| {what} | {} |", cell(value));
    };
    if kind.by_spec.is_some() && kind.identity.is_empty() {
        row("identity", "follows from the spec");
    }
    row("mark", mark(kind.mark));
    row(
        "deleting it loses data",
        match (kind.loses_data, &kind.by_spec) {
            (true, _) => "yes",
            (false, Some(_)) => "depends on the spec",
            (false, None) => "no",
        },
    );
    if kind.bills {
        row("charges a customer", "yes: written last when a tenant grows, and first when it shrinks");
    }
    row(
        "writes of one tenant",
        match kind.batch {
            Batch::Transaction { .. } => "one transaction in a database",
            Batch::Sequence => "one call, in their order; each may be repeated",
            Batch::Single => "each by itself",
        },
    );
    for (name, meaning) in kind.outputs {
        row(&format!("output `{name}`"), meaning);
    }
    for capture in kind.captures {
        row(&format!("one-time secret `{}`", capture.name), &capture.meaning);
    }
    let own = fields(kind.schema.as_value());
    if let Some(same) = before.iter().find(|other| fields(other.schema.as_value()) == own) {
        let _ = write!(text, "\nThe fields are those of [`{}`](#{}).\n", same.name, anchor(same.name));
        return text;
    }
    text.push_str("\n| field | holds | default | is | meaning |\n|---|---|---|---|---|\n");
    for field in own {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            field.path,
            cell(&field.form),
            field.absent(),
            cell(&properties(kind, &field).join(", ")),
            cell(&field.meaning)
        );
    }
    text
}

fn mark(place: MarkPlace) -> &'static str {
    match place {
        MarkPlace::Target => "on the resource",
        MarkPlace::TargetAfterwards => "on the resource; on some servers by a second request",
        MarkPlace::TargetShared => {
            "on the resource, in a field that other tools may replace; without it, the inventory counts"
        }
        MarkPlace::Inventory => "none: the inventory records who owns it",
    }
}

/// What the planner knows of a field.
fn properties(kind: &Kind, field: &Field) -> Vec<String> {
    // `a[].b` is `/a/*/b`, and `a.NAME` the values of `/a`.
    let pointer = format!("/{}", field.path.replace("[]", ".*").replace('.', "/"));
    let has = |pointers: &[&str]| pointers.contains(&pointer.as_str());
    let mut found = Vec::new();
    let mut add = |is: bool, word: &str| {
        if is {
            found.push(word.to_owned());
        }
    };
    add(kind.identity.contains(&field.path.as_str()), "identity");
    add(has(kind.immutable), "replaces");
    add(has(kind.write_only), "write-only");
    add(has(kind.sensitive), "secret");
    add(has(kind.reviewed), "reviewed");
    add(has(kind.owned_by_key), "by key");
    let named: Vec<_> = kind.references.iter().filter(|reference| reference.pointer == pointer).collect();
    if !named.is_empty() {
        let kinds: Vec<String> = named.iter().map(|reference| format!("`{}`", reference.kind)).collect();
        found.push(format!("names a {}", kinds.join(" or ")));
    }
    for limit in kind.name_limits.iter().filter(|limit| limit.pointer == pointer) {
        found.push(format!("at most {} bytes ({})", limit.bytes, limit.source));
    }
    found
}
