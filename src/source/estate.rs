//! Checks over all documents: duplicate names, and values against the user's own schema.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::document::{AnyDocument, Named, merged_values};
use super::listing::VALUES_SCHEMA_PATH;
use super::node::Node;
use super::schema::{Beneath, Form, Subject};
use super::schemas::DocumentKind;
use super::words::{Notation, lower_first, shown};
use super::yaml;
use tenantry_core::diagnostics::{Diagnostic, FileId, Origin, SourceFiles, Span, codes, sort};
use tenantry_core::model::document::{ApprovalSpec, BlueprintSpec, Document, PolicySpec, TenantSpec, TierSpec};

/// All documents by kind, in order of file and place.
#[derive(Default)]
pub struct Documents {
    pub tenants: Vec<Document<TenantSpec>>,
    pub tiers: Vec<Document<TierSpec>>,
    pub blueprints: Vec<Document<BlueprintSpec>>,
    pub approvals: Vec<Document<ApprovalSpec>>,
    pub policies: Vec<Document<PolicySpec>>,
}

impl Documents {
    pub fn add(&mut self, document: AnyDocument) {
        match document {
            AnyDocument::Tenant(document) => self.tenants.push(document),
            AnyDocument::Tier(document) => self.tiers.push(document),
            AnyDocument::Blueprint(document) => self.blueprints.push(document),
            AnyDocument::Approval(document) => self.approvals.push(document),
            AnyDocument::Policy(document) => self.policies.push(document),
        }
    }
}

/// Says which names are used twice among the documents of a kind, those of the past included.
pub fn check_names(names: &[Named]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut current: HashMap<(DocumentKind, &str), Origin> = HashMap::new();
    for named in names.iter().filter(|named| !named.previous) {
        let Some(first) = current.get(&(named.kind, &*named.name)) else {
            current.insert((named.kind, &named.name), named.origin);
            continue;
        };
        let message = format!("two {} have the name `{}`", named.kind.plural(), shown(&named.name));
        diagnostics.push(
            Diagnostic::error(codes::DUPLICATE_NAME, message)
                .at(named.origin, "again here")
                .related(*first, "first here")
                .help("give one of them another name, or remove it"),
        );
    }
    let mut former: HashMap<(DocumentKind, &str), Origin> = HashMap::new();
    for named in names.iter().filter(|named| named.previous) {
        let key = (named.kind, &*named.name);
        let (taken, whose) = match (current.get(&key), former.get(&key)) {
            (Some(taken), _) => (*taken, "the name is in use here"),
            (None, Some(taken)) => (*taken, "already claimed here"),
            (None, None) => {
                former.insert(key, named.origin);
                continue;
            }
        };
        let message = format!("`{}` cannot be the former name of this {}", shown(&named.name), named.kind.noun());
        diagnostics.push(
            Diagnostic::error(codes::DUPLICATE_NAME, message)
                .at(named.origin, "claimed as a former name")
                .related(taken, whose)
                .help("remove it from one of the two; a former name belongs to one document and cannot be in use"),
        );
    }
    diagnostics
}

/// Reads the user's own schema.
///
/// # Errors
/// If it is not a valid JSON Schema.
pub fn values_form(file: FileId, text: &str) -> Result<Form, Box<Diagnostic>> {
    let invalid = |origin: Origin, why: String| {
        let message = format!("`{VALUES_SCHEMA_PATH}` is not a valid JSON Schema");
        let help = "correct the schema, or remove the file; then the `values` of tenants are not checked";
        Box::new(Diagnostic::error(codes::VALUES_SCHEMA, message).at(origin, why).help(help))
    };
    let json = serde_json::from_str(text).map_err(|error| {
        let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let start = text.floor_char_boundary((line_start + error.column().saturating_sub(1)).min(text.len()));
        let span = Span { start: to_u32(start), end: to_u32(text.ceil_char_boundary((start + 1).min(text.len()))) };
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default().to_owned();
        invalid(Origin { file, span }, why)
    })?;
    Form::new(json).map_err(|why| {
        let why = match why.split_once(" is not present in a registry") {
            Some((resource, _)) => format!("{} is another document, but only this one is read", lower_first(resource)),
            None => why,
        };
        invalid(Origin { file, span: Span::default() }, why)
    })
}

/// Checks every tenant's values, merged over those of its tier, against the user's own schema.
///
/// A mistake is shown where the value is written, be it in the tenant or in its tier.
pub fn check_values(form: &Form, documents: &Documents, files: &SourceFiles) -> Vec<Diagnostic> {
    let tiers: BTreeMap<&str, &Document<TierSpec>> =
        documents.tiers.iter().map(|tier| (tier.metadata.name.as_str(), tier)).collect();
    let mut trees = Trees { files, by_place: HashMap::new() };
    let mut diagnostics = Vec::new();
    for tenant in &documents.tenants {
        let tier = tiers.get(tenant.spec.tier.as_str());
        let values = merged_values(tier.iter().flat_map(|tier| &tier.spec.values), &tenant.spec.values);
        if form.is_valid(&values) {
            continue;
        }
        let (place, beneath) = (tenant.positions.origin(""), tier.map(|tier| tier.positions.origin("")));
        trees.read(place);
        beneath.iter().for_each(|place| trees.read(*place));
        let Some(root) = trees.get(place) else { continue };
        let beneath = beneath.and_then(|place| {
            trees.get(place).map(|root| Beneath { file: place.file, text: &files.get(place.file).text, root })
        });
        let subject = Subject {
            file: place.file,
            text: &files.get(place.file).text,
            root,
            beneath,
            base: "/spec/values",
            // What is missing may stand in the tier that nobody found.
            incomplete: tier.is_none(),
            notation: Notation::Yaml,
            code: Some(codes::VALUES_SCHEMA),
        };
        diagnostics.extend(form.check(&values, &subject, &mut HashSet::new()));
    }
    // What is wrong in a tier was found once for each of its tenants.
    sort(&mut diagnostics);
    diagnostics
}

/// Trees of documents that turned out to need one again, a file at a time.
struct Trees<'f> {
    files: &'f SourceFiles,
    by_place: HashMap<FileId, BTreeMap<u32, Node>>,
}

impl Trees<'_> {
    fn read(&mut self, place: Origin) {
        let files = self.files;
        self.by_place.entry(place.file).or_insert_with(|| {
            let mut trees = BTreeMap::new();
            yaml::parse(place.file, &files.get(place.file).text, &mut |tree| {
                trees.insert(tree.root.span.start, tree.root);
            });
            trees
        });
    }

    fn get(&self, place: Origin) -> Option<&Node> {
        self.by_place.get(&place.file)?.get(&place.span.start)
    }
}

fn to_u32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
