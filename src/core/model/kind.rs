//! What a provider says about a kind of resource, as data. The planner decides from this description alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::normal::Normal;
use super::spec::Fields;
use super::text::Identity;
use super::value::{Map, Value, is_within, unescape_token};
use crate::diagnostics::Severity;

/// A type of resource of a provider, such as `postgres.schema`.
pub struct Kind {
    /// `provider.kind`, lower case with underscores.
    pub name: &'static str,
    /// One sentence for documentation and completion.
    pub summary: &'static str,
    /// JSON Schema (2020-12) of the spec.
    pub schema: schemars::Schema,
    /// Top-level fields whose values, joined by `/`, name the resource in its target. A field that is absent counts as
    /// empty, so that an optional qualifier may be part of the identity.
    pub identity: &'static [&'static str],
    /// Pointers of fields that cannot change while the resource lives: a change of one replaces the resource.
    pub immutable: &'static [&'static str],
    /// Pointers of secrets that the target never returns, such as a password: compared by the mark's hash.
    pub write_only: &'static [&'static str],
    /// Pointers of fields that are masked wherever they are shown.
    pub sensitive: &'static [&'static str],
    /// Pointers of fields that a plan shows of every new resource, because they say who may do what, or what it costs.
    pub reviewed: &'static [&'static str],
    /// Pointers of maps that are owned key by key: keys that the blueprint does not name are left alone.
    pub owned_by_key: &'static [&'static str],
    /// Outputs: values that the target returns when the resource exists. Name and meaning.
    pub outputs: &'static [(&'static str, &'static str)],
    /// One-time secrets, which the target generates and returns once, such as a signing secret: kept in the secret store.
    pub captures: &'static [Capture],
    /// Limits on the length of names, in bytes.
    pub name_limits: &'static [NameLimit],
    /// Fields that name another resource of the same target, from which the order is inferred.
    pub references: &'static [FieldReference],
    /// Whether deleting it destroys data that cannot be recreated.
    pub loses_data: bool,
    /// Whether it charges a customer: written last when a tenant grows and first when a tenant shrinks.
    pub bills: bool,
    /// Where the mark is kept.
    pub mark: MarkPlace,
    /// How writes of one tenant are batched.
    pub batch: Batch,
    /// Values of absent fields, by name. The schema has them, so that they are written once.
    pub defaults: Map,
    /// Brings a spec, desired or observed, to its one canonical form: equal spellings made the same, unordered lists sorted.
    /// The defaults are filled in before. Pure; applied to both sides before they are compared.
    pub normalise: fn(&mut Fields<'_>),
    /// What an observation has in place of a value that was written and that the target does not return: pointer and value. With
    /// it, what the repository has changed is told apart from what somebody else has.
    pub told: Option<fn(&str, &Value) -> Option<Value>>,
    /// Checks that the schema cannot express: problems of one spec, found without the target. Pointers are those of the normal
    /// form.
    pub check: fn(&Normal) -> Vec<Problem>,
    /// Checks of all specs of one owner's resources of the kind in one target together. Each problem has the index of its spec
    /// in the list.
    pub check_together: Option<CheckTogether>,
    /// For a kind that covers many types of resource: the properties that depend on the spec. If present, it replaces
    /// `identity` and adds to the other fields.
    pub by_spec: Option<BySpec>,
    /// For a kind whose resources hold others of their target, or may be held, by their names.
    pub nesting: Option<Nesting>,
}

/// Where a resource is among those of its target that hold each other by their names, as a prefix of a bucket holds objects.
#[derive(Clone, Copy, Debug)]
pub struct Nesting {
    /// Its place as a text: the place of everything that it holds begins with it. `None` while a part of it is deferred.
    pub place: fn(&Normal) -> Option<String>,
    /// Whether deleting it deletes everything below its place.
    pub holds: bool,
}

/// A one-time secret: the target generates it and returns it once.
#[derive(Clone, Debug)]
pub struct Capture {
    /// As `${resources.ID.NAME}` has it.
    pub name: Cow<'static, str>,
    pub meaning: Cow<'static, str>,
    /// Pointer of the field whose change causes a new secret; `None` if every resource of the kind has one that never changes.
    pub field: Option<&'static str>,
    /// How to get a new secret if this one is not recorded: by replacing the resource, or by an update, whose changed pointers
    /// then name it.
    pub replaces: bool,
}

impl Capture {
    /// Whether the target has one for such a resource.
    pub fn is_told(&self, spec: &Map) -> bool {
        self.field.is_none_or(|field| at(spec, field).is_some_and(|value| !value.is_null()))
    }

    /// How a difference in it is written.
    pub fn pointer(&self) -> String {
        format!("/{}", self.name)
    }

    /// Whether a change at `pointer` causes a new one.
    pub fn is_renewed_by(&self, pointer: &str) -> bool {
        let is_field = |field: &str| is_within(field, pointer) || is_within(pointer, field);
        is_within(pointer, &self.pointer()) || self.field.is_some_and(is_field)
    }
}

/// The value at a JSON pointer of a spec.
pub fn at<'a>(spec: &'a Map, pointer: &str) -> Option<&'a Value> {
    let (field, rest) = match pointer.strip_prefix('/')?.split_once('/') {
        Some((field, _)) => (field, &pointer[field.len() + 1..]),
        None => (&pointer[1..], ""),
    };
    spec.get(&unescape_token(field))?.pointer(rest)
}

/// An output that distinguishes a resource from another one that had the same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    /// Another value means another resource, which somebody created in place of ours.
    Made(&'static str),
    /// Another value means the same resource, written by somebody else.
    Written(&'static str),
}

/// See [`Kind::check_together`].
pub type CheckTogether = fn(&[&Normal]) -> Vec<(usize, Problem)>;

/// The properties of a kind that covers many types of resource, such as any object of a cluster or any REST resource.
#[derive(Clone, Copy)]
pub struct BySpec {
    /// The name in the target, or `None` while a part of it is deferred. Unique within kind and target.
    pub identity: fn(&Normal) -> Option<Identity>,
    /// Identities of the same kind and target that must exist first, if they are desired.
    pub needs: fn(&Normal) -> Vec<Identity>,
    /// Those among them without which the target refuses the resource when it is written.
    pub requires: fn(&Normal) -> Vec<Identity>,
    /// Pointers of fields that cannot change while the resource lives.
    pub immutable: fn(&Normal) -> Vec<Cow<'static, str>>,
    /// Pointers of fields that are masked wherever they are shown.
    pub sensitive: fn(&Normal) -> Vec<Cow<'static, str>>,
    /// Pointers of fields that the target never returns: fields that are not secret are compared with what was last written.
    pub write_only: fn(&Map) -> Vec<Cow<'static, str>>,
    /// Names of outputs, which are known when the resource exists.
    pub outputs: fn(&Map) -> Vec<Cow<'static, str>>,
    /// One-time secrets.
    pub captures: fn(&Map) -> Vec<Capture>,
    /// For a kind without room for a mark: the output that distinguishes our resource from another one with its name.
    pub instance: fn(&Map) -> Option<Instance>,
    /// The source of that output: values from different sources cannot be compared.
    pub instance_source: fn(&Map) -> Option<Arc<str>>,
    /// Whether deleting it destroys data that cannot be recreated.
    pub loses_data: fn(&Normal) -> bool,
    /// Whether it is created if it is missing and then left alone, because the product changes it.
    pub left_alone: fn(&Map) -> bool,
    /// Problems of fields that the normal form drops, because they have no effect.
    pub left_out: fn(&Map) -> Vec<Problem>,
}

impl BySpec {
    /// For a kind in which only the name depends on the spec.
    pub const fn named(identity: fn(&Normal) -> Option<Identity>) -> Self {
        Self {
            identity,
            needs: |_| Vec::new(),
            requires: |_| Vec::new(),
            immutable: |_| Vec::new(),
            sensitive: |_| Vec::new(),
            write_only: |_| Vec::new(),
            outputs: |_| Vec::new(),
            captures: |_| Vec::new(),
            instance: |_| None,
            instance_source: |_| None,
            loses_data: |_| false,
            left_alone: |_| false,
            left_out: |_| Vec::new(),
        }
    }
}

/// How writes of one tenant and target are batched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// In one transaction: all or nothing. A transaction is within one database: `within` points at the field that names it,
    /// where a spec does not say so within the target's own. What has no such field joins any.
    Transaction { within: Option<&'static str> },
    /// In one call and in their order. Each is safe to repeat, whether or not it was done before. Only for kinds whose mark
    /// stands on the resource: what was begun and not written must not be taken for ours by its name.
    Sequence,
    /// Alone.
    Single,
}

/// Something in a spec that its kind does not allow, or advises against.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// JSON pointer, relative to the spec.
    pub pointer: String,
    /// In one sentence without a full stop.
    pub message: String,
    pub severity: Severity,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    pub fn error(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), severity: Severity::Error, help: None }
    }

    pub fn warning(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(pointer, message) }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Kind").field(&self.name).finish()
    }
}

/// Where the mark of a kind is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkPlace {
    /// On the resource itself.
    Target,
    /// On the resource itself, but on some servers only by a second request: what a run began to make, and did not mark
    /// before it ended, is its own.
    TargetAfterwards,
    /// On the resource itself, in a field that other tools replace as a whole, such as tags or a description. Whoever sets the
    /// field by hand removes the mark, so a recorded resource stays ours without a mark.
    TargetShared,
    /// In the inventory, because the target has no room for one.
    Inventory,
}

/// The longest name that a target accepts in a field.
#[derive(Clone, Copy, Debug)]
pub struct NameLimit {
    pub pointer: &'static str,
    /// In bytes of UTF-8.
    pub bytes: usize,
    /// The source of the rule, such as `PostgreSQL NAMEDATALEN`.
    pub source: &'static str,
}

/// A field that holds the name of a resource of another kind of the same target.
#[derive(Clone, Copy, Debug)]
pub struct FieldReference {
    /// Pointer to a text, or to a list of texts.
    pub pointer: &'static str,
    pub kind: &'static str,
    /// Whether the resource holds what it names: the target does not delete that while the resource exists.
    pub required: bool,
}

impl Kind {
    /// The provider's name: the part before the dot.
    pub fn provider(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The identity of a spec, or `None` while a field of it is deferred or missing altogether.
    pub fn identity_of(&self, spec: &Normal) -> Option<Identity> {
        if let Some(by_spec) = &self.by_spec {
            return (by_spec.identity)(spec);
        }
        if let [field] = self.identity
            && let Some(Value::Text(text)) = spec.get(field)
        {
            return Some(if text.contains('/') { escape(text).into_owned().into() } else { text.clone().into() });
        }
        let mut identity = String::new();
        for (index, field) in self.identity.iter().enumerate() {
            if index > 0 {
                identity.push('/');
            }
            match spec.get(field) {
                None | Some(Value::Null) => {}
                Some(value) if value.has_deferred() => return None,
                Some(Value::Text(text)) => identity.push_str(&escape(text)),
                Some(other) => identity.push_str(&escape(&other.to_json().to_string())),
            }
        }
        Some(identity.into())
    }
}

/// A resource of the same target that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    pub kind: &'static str,
    /// As [`Kind::name_of`] has it.
    pub name: Cow<'a, str>,
    /// Whether the resource holds what it names: the target does not delete that while the resource exists.
    pub required: bool,
}

impl Kind {
    /// The name by which other resources of the target refer to one of this kind: the last field of its identity, or the
    /// whole of an identity that is made of the spec.
    pub fn name_of<'a>(&self, spec: &'a Normal) -> Option<Cow<'a, str>> {
        match &self.by_spec {
            Some(by_spec) => (by_spec.identity)(spec).map(|identity| Cow::Owned(identity.to_string())),
            None => spec.get(self.identity.last()?)?.as_str().map(Cow::Borrowed),
        }
    }

    /// Every resource of the same target that a spec names.
    pub fn references_in<'a>(&self, spec: &'a Normal) -> Vec<Reference<'a>> {
        let mut found = Vec::new();
        for reference in self.references {
            let mut add = |name: &'a str| {
                found.push(Reference { kind: reference.kind, name: name.into(), required: reference.required });
            };
            match reference.pointer.strip_prefix('/').and_then(|field| spec.get(field)) {
                Some(Value::Text(name)) => add(name),
                Some(Value::List(names)) => names.iter().filter_map(Value::as_str).for_each(add),
                _ => {}
            }
        }
        if let Some(by_spec) = &self.by_spec {
            let needs = (by_spec.needs)(spec).into_iter();
            found.extend(needs.map(|name| Reference {
                kind: self.name,
                name: Cow::Owned(name.to_string()),
                required: false,
            }));
        }
        found
    }

    /// The references without which the target refuses a resource of this spec: alternatives, one of which must exist. A field
    /// may name resources of several kinds, as the destination of a binding names a queue or an exchange.
    pub fn requires<'a>(&self, spec: &'a Normal) -> Vec<Vec<Reference<'a>>> {
        let mut found: Vec<(&str, Vec<Reference<'a>>)> = Vec::new();
        for reference in self.references {
            let names: Vec<&'a str> = match reference.pointer.strip_prefix('/').and_then(|field| spec.get(field)) {
                Some(Value::Text(name)) => vec![name],
                Some(Value::List(names)) => names.iter().filter_map(Value::as_str).collect(),
                _ => Vec::new(),
            };
            for name in names {
                let one = Reference { kind: reference.kind, name: name.into(), required: reference.required };
                let is_same = |(pointer, alternatives): &&mut (&str, Vec<Reference<'a>>)| {
                    *pointer == reference.pointer && alternatives.iter().any(|other| other.name == one.name)
                };
                match found.iter_mut().find(is_same) {
                    Some((_, alternatives)) => alternatives.push(one),
                    None => found.push((reference.pointer, vec![one])),
                }
            }
        }
        let by_spec = self.by_spec.iter().flat_map(|by_spec| (by_spec.requires)(spec));
        let by_spec = by_spec
            .map(|name| vec![Reference { kind: self.name, name: Cow::Owned(name.to_string()), required: false }]);
        found.into_iter().map(|(_, alternatives)| alternatives).chain(by_spec).collect()
    }

    /// Whether a change at `pointer` needs a new resource.
    pub fn is_immutable(&self, spec: &Normal, pointer: &str) -> bool {
        self.immutable.iter().any(|fixed| is_within(pointer, fixed))
            || self
                .by_spec
                .is_some_and(|by_spec| (by_spec.immutable)(spec).iter().any(|fixed| is_within(pointer, fixed)))
    }

    /// Names of the outputs of a resource of this spec.
    pub fn outputs_of(&self, spec: &Map) -> Vec<Cow<'static, str>> {
        let of_kind = self.outputs.iter().map(|(name, _)| Cow::Borrowed(*name));
        of_kind.chain(self.by_spec.iter().flat_map(|by_spec| (by_spec.outputs)(spec))).collect()
    }

    /// The one-time secrets of a resource of this spec.
    pub fn captures_of(&self, spec: &Map) -> Cow<'static, [Capture]> {
        match &self.by_spec {
            Some(by_spec) => (by_spec.captures)(spec).into(),
            None => self.captures.into(),
        }
    }

    /// The output that distinguishes a resource of this spec from another one of its name.
    pub fn instance_of(&self, spec: &Map) -> Option<Instance> {
        (self.by_spec.as_ref()?.instance)(spec)
    }

    /// Whether the output of [`Self::instance_of`] means the same of two specs.
    pub fn tells_alike(&self, one: &Map, other: &Map) -> bool {
        let source = |spec: &Map| self.by_spec.as_ref().and_then(|by_spec| (by_spec.instance_source)(spec));
        self.instance_of(one) == self.instance_of(other) && source(one) == source(other)
    }

    /// Pointers of fields of a spec that are masked wherever they are shown.
    pub fn sensitive_in(&self, spec: &Normal) -> Vec<Cow<'static, str>> {
        let of_kind = self.sensitive.iter().map(|pointer| Cow::Borrowed(*pointer));
        of_kind.chain(self.by_spec.iter().flat_map(|by_spec| (by_spec.sensitive)(spec))).collect()
    }

    /// Whether deleting a resource of this spec destroys what cannot be made again.
    pub fn loses_data_of(&self, spec: &Normal) -> bool {
        self.loses_data || self.by_spec.is_some_and(|by_spec| (by_spec.loses_data)(spec))
    }

    /// Whether a resource of this spec is created if it is missing and then left alone.
    pub fn leaves_alone(&self, spec: &Map) -> bool {
        self.by_spec.is_some_and(|by_spec| (by_spec.left_alone)(spec))
    }

    /// Problems of fields that were written and have no effect.
    pub fn left_out_of(&self, written: &Map) -> Vec<Problem> {
        self.by_spec.map(|by_spec| (by_spec.left_out)(written)).unwrap_or_default()
    }

    /// Why a name of a spec is longer than the target takes, if one is.
    pub fn too_long(&self, spec: &Map) -> Option<String> {
        self.name_limits.iter().find_map(|NameLimit { pointer, bytes, source }| {
            let name = at(spec, pointer).and_then(Value::as_str).unwrap_or_default();
            (name.len() > *bytes).then(|| format!("{pointer} has {} bytes, but {source} takes {bytes}", name.len()))
        })
    }

    /// Where a resource is among those that hold each other by their names: see [`Nesting::place`].
    pub fn place_of(&self, spec: &Normal) -> Option<String> {
        (self.nesting?.place)(spec)
    }

    /// Whether deleting a resource deletes others of its target with it.
    pub fn holds_others(&self) -> bool {
        self.nesting.is_some_and(|nesting| nesting.holds)
    }

    /// Whether a field is part of the resource's name.
    pub fn names(&self, field: &str) -> bool {
        self.identity.contains(&field)
    }
}

/// Keeps the separator of identities unambiguous.
pub fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(['/', '%']) { text.replace('%', "%25").replace('/', "%2F").into() } else { text.into() }
}

/// An identity as it can be read: without the empty parts that a qualifier leaves.
pub fn readable_identity(identity: &str) -> String {
    let parts = identity.split('/').filter(|part| !part.is_empty());
    parts.map(|part| part.replace("%2F", "/").replace("%25", "%")).collect::<Vec<_>>().join(" ")
}

/// Every kind that is known, by name.
#[derive(Default)]
pub struct Catalogue {
    kinds: BTreeMap<&'static str, Arc<Kind>>,
}

impl Catalogue {
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { kinds: kinds.into_iter().map(|kind| (kind.name, Arc::new(kind))).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }

    /// Whether a provider of this name is known.
    pub fn has_provider(&self, provider: &str) -> bool {
        self.kinds.values().any(|kind| kind.provider() == provider)
    }
}
