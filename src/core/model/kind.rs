//! What a provider says about a kind of resource, as data. The planner decides from this description alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::value::{Map, Value};

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
    /// Pointers of fields that the target never gives back, such as a password: compared by the mark's secret hash.
    pub write_only: &'static [&'static str],
    /// Pointers of fields that are masked wherever they are shown.
    pub sensitive: &'static [&'static str],
    /// Pointers of maps that are owned key by key: keys that the blueprint does not name are left alone.
    pub owned_by_key: &'static [&'static str],
    /// What the target knows about the resource only once it exists: name and meaning.
    pub outputs: &'static [(&'static str, &'static str)],
    /// Limits on the length of names, in bytes.
    pub name_limits: &'static [NameLimit],
    /// Fields that name another resource of the same target, from which the order is inferred.
    pub references: &'static [FieldReference],
    /// Whether deleting it destroys what cannot be made again.
    pub loses_data: bool,
    /// Whether its existence costs the tenant or the operator money.
    pub bills: bool,
    /// Where the mark stands.
    pub mark: MarkPlace,
    /// Whether a write can take part in one transaction with others of its tenant and target.
    pub transactional: bool,
    /// Brings a spec, desired or observed, to its one canonical form: server defaults filled in, equal spellings made
    /// the same, unordered lists sorted. Pure; applied to both sides before they are compared.
    pub normalise: fn(&Map) -> Map,
    /// What the schema cannot say: problems of one spec, as pointer and message, found without the target.
    pub check: fn(&Map) -> Vec<(String, String)>,
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
    /// In the inventory, because the target has no room for one.
    Inventory,
}

/// The longest name a target takes in a field.
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
    /// Whether the target refuses the resource while what it names is missing.
    pub required: bool,
}

impl Kind {
    /// The provider's name: the part before the dot.
    pub fn provider(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The identity of a spec, or nothing while a field of it is deferred or missing altogether.
    pub fn identity_of(&self, spec: &Map) -> Option<Arc<str>> {
        if let [field] = self.identity
            && let Some(Value::Text(text)) = spec.get(field)
        {
            return (!text.contains('/')).then(|| text.clone()).or_else(|| Some(escape(text).into()));
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

/// Keeps the separator of identities unambiguous.
fn escape(text: &str) -> std::borrow::Cow<'_, str> {
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
