//! One tree → one document of a known kind.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use super::listing::MAX_PROBLEMS;
use super::node::{Data, Node, first_line};
use super::scalars::{self, Numbers};
use super::schema::{Form, Subject};
use super::schemas::{self, DocumentKind};
use super::wanted::Wanted;
use super::words::{Notation, dotted, listed, one_of, shown};
use super::yaml::Tree;
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, codes, has_errors, nearest};
use tenantry_core::model::document::{
    API_VERSION, Allowance, ApprovalSpec, BlueprintSpec, Document, Metadata, PolicySpec, TenantSpec, TierSpec,
};
use tenantry_core::model::quantity::Quota;
use tenantry_core::model::time;
use tenantry_core::model::value::{Value, push_token};

/// Kinds that later versions have.
const RESERVED_KINDS: [&str; 1] = ["Meter"];

/// A document of any kind.
pub enum AnyDocument {
    Tenant(Document<TenantSpec>),
    Tier(Document<TierSpec>),
    Blueprint(Document<BlueprintSpec>),
    Approval(Document<ApprovalSpec>),
    Policy(Document<PolicySpec>),
}

/// A name that a document has or had.
pub struct Named {
    pub kind: DocumentKind,
    pub name: Arc<str>,
    pub origin: Origin,
    /// It stands in `metadata.previously`.
    pub previous: bool,
}

/// What one tree holds.
#[derive(Default)]
pub struct Read {
    /// `None` if it has errors.
    pub document: Option<AnyDocument>,
    /// Also of a document that has errors, so that collisions show at once.
    pub names: Vec<Named>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a tree and makes a document of it. `values` is the user's own schema, if there is one.
pub fn read(file: FileId, text: &str, tree: &Tree, values: Option<&Form>) -> Read {
    let root = &tree.root;
    match &root.data {
        // `---` with nothing behind it.
        Data::Null => return Read::default(),
        Data::Map(_) => {}
        _ => {
            let diagnostic = Diagnostic::error(codes::SCHEMA, "a document is not a mapping")
                .at(first_line(file, text, root.span), "expected `apiVersion: …`")
                .help("a document has the fields `apiVersion`, `kind`, `metadata` and `spec`");
            return Read { diagnostics: vec![diagnostic], ..Read::default() };
        }
    }
    let kind = match kind(file, text, root) {
        Ok(kind) => kind,
        Err(diagnostics) => return Read { diagnostics, ..Read::default() },
    };
    let names = names(file, kind, root);
    let mut reported = HashSet::new();
    let mut diagnostics = Vec::new();
    if matches!(kind, DocumentKind::Tenant | DocumentKind::Tier) {
        check_quotas(file, root, &mut reported, &mut diagnostics);
    }
    let wanted = |pointer: &str| wanted(kind, values, pointer);
    scalars::check(file, text, root, Numbers::Yaml(&wanted), &mut reported, &mut diagnostics);
    let json = root.to_json();
    let subject = Subject {
        file,
        text,
        root,
        beneath: None,
        base: "",
        incomplete: tree.incomplete,
        notation: Notation::Yaml,
        code: None,
    };
    diagnostics.extend(form(kind).check(&json, &subject, &mut reported));
    match kind {
        DocumentKind::Blueprint => check_ids(file, root, &mut diagnostics),
        DocumentKind::Approval => {
            check_time(file, root, "/spec/expires", &reported, &mut diagnostics);
            check_addresses(file, root, &reported, &mut diagnostics);
        }
        DocumentKind::Tenant => {
            for pointer in ["/spec/trialEnds", "/spec/legalHold/until"] {
                check_time(file, root, pointer, &reported, &mut diagnostics);
            }
        }
        // Its rules are checked where expressions are compiled.
        DocumentKind::Tier | DocumentKind::Policy => {}
    }
    let mut document = None;
    if !has_errors(&diagnostics) && !tree.incomplete {
        match typed(kind, json, root, file) {
            Ok(typed) => document = Some(typed),
            Err(error) => diagnostics.push(
                Diagnostic::error(codes::SCHEMA, format!("the {} cannot be read: {error}", kind.noun()))
                    .at(first_line(file, text, root.span), "this document")
                    .help("correct the value that the message names"),
            ),
        }
    }
    Read { document, names, diagnostics }
}

fn kind(file: FileId, text: &str, root: &Node) -> Result<DocumentKind, Vec<Diagnostic>> {
    let names = DocumentKind::ALL.map(DocumentKind::name);
    let mut diagnostics = Vec::new();
    let missing = |field: &str, help: String| {
        Diagnostic::error(codes::UNKNOWN_KIND, format!("the document has no `{field}`"))
            .at(first_line(file, text, root.span), format!("`{field}` is missing here"))
            .help(help)
    };
    let place = |node: &Node| first_line(file, text, node.span);
    match root.get("apiVersion") {
        None => diagnostics.push(missing("apiVersion", format!("write `apiVersion: {API_VERSION}`"))),
        Some(node) if node.as_str() != Some(API_VERSION) => {
            let written = node.as_str().map_or_else(|| "this".to_owned(), |version| format!("`{}`", shown(version)));
            diagnostics.push(
                Diagnostic::error(codes::UNKNOWN_KIND, format!("{written} is not a known version of documents"))
                    .at(place(node), "unknown version")
                    .help(format!("write `apiVersion: {API_VERSION}`; keep documents of other tools out of `tenants/` and `policies/`")),
            );
        }
        Some(_) => {}
    }
    let known = DocumentKind::ALL.into_iter().find(|kind| root.get("kind").and_then(Node::as_str) == Some(kind.name()));
    match (root.get("kind"), known) {
        (None, _) => diagnostics.push(missing("kind", format!("write `kind:` and {}", one_of(&names)))),
        (Some(node), None) => {
            let raw = text.get(node.span.start as usize..node.span.end as usize).unwrap_or_default();
            let written = node.as_str().unwrap_or(raw);
            diagnostics.push(if RESERVED_KINDS.contains(&written) {
                Diagnostic::error(
                    codes::UNKNOWN_KIND,
                    format!("this version of Tenantry does not know documents of the kind `{written}`"),
                )
                .at(place(node), "not known yet")
                .help("remove the document, or use a newer version of Tenantry")
            } else {
                let help = match nearest(written, names) {
                    Some(guess) => format!("did you mean `{guess}`?"),
                    None => format!("known kinds are {}", listed(&names)),
                };
                Diagnostic::error(codes::UNKNOWN_KIND, format!("`{}` is not a known kind of document", shown(written)))
                    .at(place(node), "unknown kind")
                    .help(help)
            });
        }
        (Some(_), Some(kind)) if diagnostics.is_empty() => return Ok(kind),
        (Some(_), Some(_)) => {}
    }
    Err(diagnostics)
}

fn names(file: FileId, kind: DocumentKind, root: &Node) -> Vec<Named> {
    let Some(metadata) = root.get("metadata") else { return Vec::new() };
    let named = |node: &Node, previous| {
        let origin = Origin { file, span: node.span };
        node.as_str().map(|name| Named { kind, name: name.into(), origin, previous })
    };
    let previous = metadata.get("previously").map(Node::items).unwrap_or_default();
    metadata
        .get("name")
        .and_then(|name| named(name, false))
        .into_iter()
        .chain(previous.iter().filter_map(|name| named(name, true)))
        .collect()
}

/// Checks quotas with their own messages, which are better than those of the schema.
fn check_quotas(file: FileId, root: &Node, reported: &mut HashSet<String>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(quotas) = root.get("spec").and_then(|spec| spec.get("quotas")) else { return };
    let invalid =
        quotas.fields().iter().filter_map(|field| Some((field, Quota::from_json(&field.value.to_json()).err()?)));
    for (field, invalid) in invalid.take(MAX_PROBLEMS + 1) {
        let mut pointer = "/spec/quotas".to_owned();
        push_token(&mut pointer, &field.key);
        let help = match field.value.as_str().and_then(|text| nearest(text, ["unlimited"])) {
            Some(guess) => format!("did you mean `{guess}`?"),
            None => "write a whole number, a quantity such as `10M` or `500Gi`, or `unlimited`".to_owned(),
        };
        diagnostics.push(
            Diagnostic::error(codes::INVALID_QUANTITY, format!("`{}` is not a valid quota", dotted(&pointer)))
                .at(Origin { file, span: field.value.span }, invalid.to_string())
                .help(help),
        );
        reported.insert(pointer);
    }
}

/// What the schemas of a kind want at a pointer of a document.
fn wanted(kind: DocumentKind, values: Option<&Form>, pointer: &str) -> Wanted {
    let own = form(kind).wanted(pointer);
    let has_values = matches!(kind, DocumentKind::Tenant | DocumentKind::Tier);
    match (own, values.filter(|_| has_values), pointer.strip_prefix("/spec/values")) {
        (Wanted::Any, Some(values), Some(below)) => values.wanted(below),
        _ => own,
    }
}

/// Ids are unique within a blueprint, those of the past included.
fn check_ids(file: FileId, root: &Node, diagnostics: &mut Vec<Diagnostic>) {
    let resources = root.get("spec").and_then(|spec| spec.get("resources")).map(Node::items).unwrap_or_default();
    let mut taken: HashMap<&str, Origin> = HashMap::new();
    let ids = resources.iter().filter_map(|resource| resource.get("id"));
    let previous = resources.iter().filter_map(|resource| resource.get("previously")).flat_map(Node::items);
    for (node, is_previous) in ids.map(|node| (node, false)).chain(previous.map(|node| (node, true))) {
        let Some(id) = node.as_str() else { continue };
        let origin = Origin { file, span: node.span };
        let Some(first) = taken.get(id) else {
            taken.insert(id, origin);
            continue;
        };
        let (message, help) = if is_previous {
            (
                format!("the former id `{}` belongs to another resource", shown(id)),
                "remove it from `previously`: a former id belongs to one resource",
            )
        } else {
            (format!("two resources of the blueprint have the id `{}`", shown(id)), "give one of them another id")
        };
        diagnostics.push(
            Diagnostic::error(codes::DUPLICATE_RESOURCE_ID, message)
                .at(origin, "again here")
                .related(*first, "first here")
                .help(help),
        );
    }
}

/// Reports a value that is to be a date or a time and is neither.
fn check_time(file: FileId, root: &Node, pointer: &str, reported: &HashSet<String>, diagnostics: &mut Vec<Diagnostic>) {
    let node = pointer.split('/').skip(1).try_fold(root, |node, key| node.get(key));
    let Some((node, text)) = node.and_then(|node| Some((node, node.as_str()?))) else { return };
    if !reported.contains(pointer) && time::until(text).is_none() {
        diagnostics.push(
            Diagnostic::error(codes::SCHEMA, format!("`{}` is not a date or a time", shown(text)))
                .at(Origin { file, span: node.span }, "expected a date")
                .help("write a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z"),
        );
    }
}

/// An Approval names what it is for, and with `policy` which policies.
fn check_addresses(file: FileId, root: &Node, reported: &HashSet<String>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(spec) = root.get("spec") else { return };
    let items = |field: &str| spec.get(field).map(Node::items).unwrap_or_default();
    let mut report = |node: &Node, message: String, label: &str, help: &str| {
        diagnostics
            .push(Diagnostic::error(codes::SCHEMA, message).at(Origin { file, span: node.span }, label).help(help));
    };
    for (index, node) in items("addresses").iter().enumerate() {
        let Some(text) = node.as_str().filter(|_| !reported.contains(&format!("/spec/addresses/{index}"))) else {
            continue;
        };
        if text.chars().all(|character| matches!(character, '*' | '/')) {
            report(
                node,
                format!("the address `{}` names no resource", shown(text)),
                "matches everything",
                "name the owner or the resource, such as `acme-corp/*` or `*/schema`",
            );
        }
    }
    let is_of_policy = |node: &&Node| {
        let name = node.as_str().unwrap_or_default();
        serde_json::from_value::<Allowance>(name.into()).is_ok_and(|allowance| allowance == Allowance::Policy)
    };
    let of_policy = items("allow").iter().find(is_of_policy);
    match (of_policy, spec.get("policies")) {
        (Some(node), policies) if policies.is_none_or(|policies| policies.items().is_empty()) => report(
            node,
            "`allow: [policy]` does not say which policies".to_owned(),
            "allows nothing without `policies`",
            "add `policies:` with the names of the policies whose rules it lifts",
        ),
        (None, Some(policies)) => report(
            policies,
            "`policies` has no effect without `allow: [policy]`".to_owned(),
            "of no effect",
            "add `policy` to `allow`, or remove `policies`",
        ),
        _ => {}
    }
    for node in items("policies").iter().filter(|node| node.as_str().is_some_and(|text| text.chars().all(|c| c == '*')))
    {
        report(node, "`policies` names no policy".to_owned(), "matches every policy", "name the policies");
    }
}

fn typed(
    kind: DocumentKind,
    json: serde_json::Value,
    root: &Node,
    file: FileId,
) -> Result<AnyDocument, serde_json::Error> {
    Ok(match kind {
        DocumentKind::Tenant => AnyDocument::Tenant(assemble(json, root, file)?),
        DocumentKind::Tier => AnyDocument::Tier(assemble(json, root, file)?),
        DocumentKind::Blueprint => AnyDocument::Blueprint(assemble(json, root, file)?),
        DocumentKind::Approval => AnyDocument::Approval(assemble(json, root, file)?),
        DocumentKind::Policy => AnyDocument::Policy(assemble(json, root, file)?),
    })
}

fn assemble<S: DeserializeOwned>(
    mut json: serde_json::Value,
    root: &Node,
    file: FileId,
) -> Result<Document<S>, serde_json::Error> {
    let metadata: Metadata = serde_json::from_value(json["metadata"].take())?;
    let spec = serde_json::from_value(json["spec"].take())?;
    Ok(Document { metadata, spec, positions: root.positions(file) })
}

/// The compiled schema of a kind.
fn form(kind: DocumentKind) -> &'static Form {
    static FORMS: OnceLock<HashMap<DocumentKind, Form>> = OnceLock::new();
    let compile = |kind| (kind, Form::new(schemas::document(kind)).expect("a generated schema compiles"));
    &FORMS.get_or_init(|| DocumentKind::ALL.into_iter().map(compile).collect())[&kind]
}

/// A tenant's values merged over its tier's, as JSON for the user's schema.
pub fn merged_values<'a>(
    tier: impl IntoIterator<Item = (&'a Arc<str>, &'a Value)>,
    tenant: impl IntoIterator<Item = (&'a Arc<str>, &'a Value)>,
) -> serde_json::Value {
    let map = |fields: &mut dyn Iterator<Item = (&'a Arc<str>, &'a Value)>| {
        fields.map(|(name, value)| (name.clone(), value.clone())).collect::<tenantry_core::model::value::Map>()
    };
    let (below, above) = (map(&mut tier.into_iter()), map(&mut tenant.into_iter()));
    Value::from(below.overlaid(&above)).to_json()
}
