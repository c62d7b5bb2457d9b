//! Compiled blueprints: every expression is parsed, every resource has its kind, and each composition is in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::order::topological;
use super::sql_fields::sql_fields;
use crate::diagnostics::{Diagnostic, Origin, codes};
use crate::expression::{Compiled, Compiler, Failure, SqlFields, quoted};
use crate::model::document::{BlueprintSpec, Document, Estate, ResourceTemplate, Scope};
use crate::model::kind::{Catalogue, Kind};
use crate::model::value::{Value, unescape_token};
use crate::resolve::suggest;

/// Every blueprint of an estate, compiled, with the compositions of them.
pub struct Blueprints<'e> {
    /// By scope and tier (empty for the estate's): the resources in order of creation.
    compositions: BTreeMap<(u8, Arc<str>), Vec<Arc<CompiledResource<'e>>>>,
    /// One per kind that is used.
    validators: BTreeMap<&'static str, jsonschema::Validator>,
    slots: usize,
}

/// One resource of a blueprint, compiled.
pub struct CompiledResource<'e> {
    pub template: &'e ResourceTemplate,
    blueprint: &'e Document<BlueprintSpec>,
    /// Its place in the blueprint's list.
    index: usize,
    pub kind: Arc<Kind>,
    pub target: Option<Compiled>,
    pub when: Option<Compiled>,
    pub for_each: Option<Compiled>,
    pub spec: Compiled,
    /// Pointers of the spec that are masked: those that the blueprint names, and those computed from personal data.
    pub sensitive: Arc<[Arc<str>]>,
    /// Whether its spec or `forEach` depends on the time of the run.
    pub uses_now: bool,
    /// Ids of the same owner's resources that are referred to.
    pub needs: BTreeSet<Arc<str>>,
    /// Ids of the estate's resources that are waited for.
    pub needs_estate: Vec<Arc<str>>,
}

impl CompiledResource<'_> {
    /// Where something of this resource stands; `pointer` is relative to the resource.
    pub fn origin(&self, pointer: &str) -> Origin {
        self.blueprint.positions.origin(&self.pointer(pointer))
    }

    /// The same as a pointer in the blueprint's document.
    pub fn pointer(&self, pointer: &str) -> String {
        format!("/spec/resources/{}{pointer}", self.index)
    }

    /// The blueprint's document as a whole.
    pub fn document(&self) -> Origin {
        self.blueprint.positions.origin("")
    }

    /// Where the resource as a whole is declared: its id, which is shorter than its text.
    pub fn place(&self) -> Origin {
        self.origin("/id")
    }
}

/// The diagnostic code of an expression's failure.
pub fn code_of(failure: Failure) -> codes::Code {
    match failure {
        Failure::Syntax => codes::EXPRESSION_SYNTAX,
        Failure::Computation => codes::EXPRESSION_FAILED,
        Failure::Type => codes::EXPRESSION_TYPE,
        Failure::Deferred => codes::DEFERRED_IN_EXPRESSION,
        Failure::UnknownResource => codes::UNKNOWN_RESOURCE,
        Failure::Bound => codes::EXPRESSION_BOUND,
    }
}

impl<'e> Blueprints<'e> {
    /// Compiles all blueprints of an estate and puts each composition in order.
    pub fn compile(estate: &'e Estate, catalogue: &Catalogue, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut compiler = Compiler::default();
        let mut by_name: BTreeMap<&str, (&'e Document<BlueprintSpec>, Vec<Arc<CompiledResource<'e>>>)> =
            BTreeMap::new();
        for blueprint in &estate.blueprints {
            let resources = (blueprint.spec.resources.iter().enumerate())
                .filter_map(|(index, template)| {
                    compile_resource(estate, blueprint, index, template, catalogue, &mut compiler, diagnostics)
                })
                .map(Arc::new)
                .collect();
            by_name.insert(blueprint.metadata.name.as_str(), (blueprint, resources));
        }

        let mut compositions = BTreeMap::new();
        let of_estate = by_name.values().filter(|(blueprint, _)| blueprint.spec.scope == Scope::Estate);
        let of_estate: Vec<_> = of_estate.flat_map(|(_, resources)| resources.iter().cloned()).collect();
        let estate_ids: BTreeSet<Arc<str>> = of_estate.iter().map(|resource| resource.template.id.clone()).collect();
        compositions.insert((Scope::Estate as u8, "".into()), compose(of_estate, &estate_ids, diagnostics));
        for tier in &estate.tiers {
            let name = tier.metadata.name.as_str();
            let mut parts: BTreeMap<u8, Vec<Arc<CompiledResource<'e>>>> = BTreeMap::new();
            for (index, wanted) in tier.spec.blueprints.iter().enumerate() {
                let place = tier.positions.origin(&format!("/spec/blueprints/{index}"));
                match by_name.get(wanted.as_str()) {
                    None => diagnostics.push(
                        Diagnostic::error(
                            codes::UNKNOWN_BLUEPRINT,
                            format!("tier `{name}` names blueprint `{wanted}`, which does not exist"),
                        )
                        .at(place, "no blueprint has this name")
                        .help(suggest(
                            wanted.as_str(),
                            by_name.keys().copied(),
                            "blueprints are",
                            "add a document of kind Blueprint",
                        )),
                    ),
                    Some((blueprint, _)) if blueprint.spec.scope == Scope::Estate => diagnostics.push(
                        Diagnostic::error(
                            codes::WRONG_SCOPE,
                            format!("blueprint `{wanted}` has scope `estate`, so a tier cannot use it"),
                        )
                        .at(place, "named by a tier")
                        .related(blueprint.positions.origin("/spec/scope"), "declared here")
                        .help("remove it from the tier, or change its scope to `tenant` or `tier`"),
                    ),
                    Some((blueprint, resources)) => {
                        parts.entry(blueprint.spec.scope as u8).or_default().extend(resources.iter().cloned());
                    }
                }
            }
            for scope in [Scope::Tier, Scope::Tenant] {
                let resources = parts.remove(&(scope as u8)).unwrap_or_default();
                compositions.insert((scope as u8, name.into()), compose(resources, &estate_ids, diagnostics));
            }
        }

        let mut validators = BTreeMap::new();
        for resource in by_name.values().flat_map(|(_, resources)| resources) {
            validators.entry(resource.kind.name).or_insert_with(|| {
                jsonschema::validator_for(resource.kind.schema.as_value())
                    .expect("a kind's schema is generated from its type")
            });
        }
        Self { compositions, validators, slots: compiler.slots() }
    }

    /// The resources of a scope in order of creation.
    pub fn composition(&self, scope: Scope, tier: Option<&str>) -> &[Arc<CompiledResource<'e>>] {
        self.compositions.get(&(scope as u8, tier.unwrap_or_default().into())).map_or(&[], Vec::as_slice)
    }

    /// One resource of a composition.
    pub fn find(&self, scope: Scope, tier: Option<&str>, id: &str) -> Option<&Arc<CompiledResource<'e>>> {
        self.composition(scope, tier).iter().find(|resource| &*resource.template.id == id)
    }

    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The schema check of a kind that some blueprint uses.
    pub fn validator(&self, kind: &Kind) -> Option<&jsonschema::Validator> {
        self.validators.get(kind.name)
    }
}

fn compile_resource<'e>(
    estate: &'e Estate,
    blueprint: &'e Document<BlueprintSpec>,
    index: usize,
    template: &'e ResourceTemplate,
    catalogue: &Catalogue,
    compiler: &mut Compiler,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<CompiledResource<'e>> {
    let origin = |pointer: &str| blueprint.positions.origin(&format!("/spec/resources/{index}{pointer}"));
    let Some(kind) = catalogue.get(&template.kind) else {
        let known = catalogue.iter().map(|kind| kind.name);
        diagnostics.push(
            Diagnostic::error(codes::UNKNOWN_RESOURCE_KIND, format!("no provider has a kind `{}`", template.kind))
                .at(origin("/kind"), "unknown kind")
                .help(match crate::diagnostics::nearest(&template.kind, known) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => "`tenantry schema` lists every kind".into(),
                }),
        );
        return None;
    };
    let mut problems = Vec::new();
    let mut compile = |value: &Value, sql: &SqlFields, pointer: &str| {
        Compiled::new(value, sql, &mut pointer.to_owned(), compiler, &mut problems)
    };
    let no_sql = SqlFields::new();
    let spec = compile(&template.spec, &sql_fields(kind), "/spec");
    let when = template.when.as_ref().map(|value| compile(value, &no_sql, "/when"));
    let for_each = template.for_each.as_ref().map(|value| compile(value, &no_sql, "/forEach"));
    let target = template.target.as_ref().map(|target| compile(&Value::Text(target.clone()), &no_sql, "/target"));
    for problem in problems {
        let mut diagnostic = Diagnostic::error(
            code_of(problem.error.failure),
            format!(
                "expression `{}` of resource `{}`: {}",
                quoted(&problem.source),
                template.id,
                problem.error.message
            ),
        )
        .at(estate.files.within(origin(&problem.pointer), &problem.source), "in this expression");
        diagnostic.help =
            problem.error.help.or_else(|| Some("write an expression in CEL, such as ${tenant.name}".to_owned()));
        diagnostics.push(diagnostic);
    }
    let mut needs = BTreeSet::new();
    for compiled in std::iter::once(&spec).chain(&when).chain(&for_each).chain(&target) {
        compiled.for_each_expression(&mut |expression| {
            needs.extend(expression.references().resources.iter().filter_map(|path| path.first().cloned()));
        });
    }
    let mut uses_now = false;
    for compiled in std::iter::once(&spec).chain(&for_each) {
        compiled.for_each_expression(&mut |expression| {
            uses_now |= expression.references().variables.iter().any(|name| &**name == "now");
        });
    }
    for (position, pointer) in template.sensitive.iter().enumerate() {
        let place = origin(&format!("/sensitive/{position}"));
        diagnostics.extend(masks_nothing(kind, pointer).map(|problem| problem.at(place, "masks nothing")));
    }
    let mut sensitive = template.sensitive.clone();
    spec.personal(&mut String::new(), &mut sensitive);
    let mut needs_estate = Vec::new();
    for wanted in &template.depends_on {
        match wanted.strip_prefix("estate/") {
            Some(id) => needs_estate.push(id.into()),
            None => {
                needs.insert(wanted.clone());
            }
        }
    }
    Some(CompiledResource {
        template,
        blueprint,
        index,
        kind: kind.clone(),
        target,
        when,
        for_each,
        spec,
        sensitive: sensitive.into(),
        uses_now,
        needs,
        needs_estate,
    })
}

/// What is wrong with the pointer of a field that is to be masked. A wrong pointer would leave the field in the clear.
fn masks_nothing(kind: &Kind, pointer: &str) -> Option<Diagnostic> {
    let Some(path) = pointer.strip_prefix('/') else {
        let message = format!("`{pointer}` is not a JSON pointer");
        return Some(Diagnostic::error(codes::RESOURCE_SCHEMA, message).help(format!("write /{pointer}")));
    };
    let fields = kind.schema.as_value().get("properties")?.as_object()?;
    let field = unescape_token(path.split('/').next().unwrap_or_default());
    if fields.contains_key(&*field) {
        return None;
    }
    let known = fields.keys().map(String::as_str);
    Some(
        Diagnostic::error(codes::RESOURCE_SCHEMA, format!("{} has no field `{field}` to mask", kind.name))
            .help(suggest(&field, known, "its fields are", "remove it")),
    )
}

/// Puts the resources of one composition in order, and reports circles.
fn compose<'e>(
    resources: Vec<Arc<CompiledResource<'e>>>,
    estate_ids: &BTreeSet<Arc<str>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Arc<CompiledResource<'e>>> {
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, resource) in resources.iter().enumerate() {
        if let Some(first) = positions.insert(&resource.template.id, index) {
            diagnostics.push(
                Diagnostic::error(
                    codes::DUPLICATE_RESOURCE_ID,
                    format!("resource id `{}` is used twice", resource.template.id),
                )
                .at(resource.place(), "used again here")
                .related(resources[first].place(), "first used here")
                .help("use another id; ids are unique among all blueprints that are used together"),
            );
        }
    }
    let mut edges: Vec<Vec<usize>> = Vec::with_capacity(resources.len());
    for resource in &resources {
        let mut needed = Vec::new();
        for id in &resource.needs {
            match positions.get(&**id) {
                Some(index) => needed.push(*index),
                None => diagnostics.push(
                    Diagnostic::error(
                        codes::UNKNOWN_RESOURCE,
                        format!("resource `{}` refers to `{id}`, which does not exist", resource.template.id),
                    )
                    .at(reference_place(resource, id), "refers to it")
                    .help(suggest(
                        id,
                        positions.keys().copied(),
                        "resources here are",
                        "declare it in this blueprint",
                    )),
                ),
            }
        }
        for id in resource.needs_estate.iter().filter(|id| !estate_ids.contains(*id)) {
            let wanted = format!("estate/{id}");
            let position = resource.template.depends_on.iter().position(|needed| **needed == *wanted);
            let place = resource.origin(&format!("/dependsOn/{}", position.unwrap_or_default()));
            diagnostics.push(
                Diagnostic::error(codes::UNKNOWN_RESOURCE, format!("the estate has no resource `{id}`"))
                    .at(place, "refers to it")
                    .help(suggest(
                        id,
                        estate_ids.iter().map(|id| &**id),
                        "the estate's resources are",
                        "declare it in a blueprint of scope `estate`",
                    )),
            );
        }
        edges.push(needed);
    }
    // Every circle is shown: each is cut where it was found, until none is left.
    loop {
        let circle = match topological(&edges) {
            Ok(order) => return order.into_iter().map(|index| resources[index].clone()).collect(),
            Err(circle) => circle,
        };
        let names: Vec<&str> = circle.iter().map(|index| &*resources[*index].template.id).collect();
        let mut diagnostic = Diagnostic::error(
            codes::CIRCULAR_REFERENCE,
            format!("resources need each other in a circle: {} → {}", names.join(" → "), names[0]),
        )
        .help("remove one of these references, for example by writing a name out instead");
        for (step, index) in circle.iter().enumerate() {
            let needed = &resources[circle[(step + 1) % circle.len()]].template.id;
            let place = reference_place(&resources[*index], needed);
            diagnostic = match step {
                0 => diagnostic.at(place, format!("needs `{needed}`")),
                _ => diagnostic.related(place, format!("needs `{needed}`")),
            };
        }
        diagnostics.push(diagnostic);
        let next = circle[1 % circle.len()];
        edges[circle[0]].retain(|needed| *needed != next);
    }
}

/// Where a resource refers to another: the first field whose expression does, else its `dependsOn`.
fn reference_place(resource: &CompiledResource<'_>, id: &str) -> Origin {
    let mut found = None;
    resource.template.spec.for_each_leaf(&mut |pointer, value| {
        let refers = value.as_str().is_some_and(|text| {
            text.contains(&format!("resources.{id}")) || text.contains(&format!("resources[\"{id}\"]"))
        });
        if refers && found.is_none() {
            found = Some(resource.origin(&format!("/spec{pointer}")));
        }
    });
    found.unwrap_or_else(|| {
        let at = resource.template.depends_on.iter().position(|wanted| &**wanted == id);
        resource.origin(&at.map_or_else(|| "/id".to_owned(), |at| format!("/dependsOn/{at}")))
    })
}
