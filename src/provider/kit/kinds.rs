//! The kinds of a provider as an enum of its own.
//!
//! What depends on the kind is a `match` over the enum: a kind that nobody handles does not compile. The name of a kind
//! becomes a variant in one place, [`ProviderKind::of`].

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::Obstacle;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace};
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};

/// The kinds of one provider. Implemented by [`kinds!`](crate::kinds!).
pub trait ProviderKind: Copy + Eq + Send + Sync + 'static {
    /// The product, for messages.
    const PRODUCT: &'static str;
    /// Every kind, in the order in which they depend on each other.
    const ALL: &'static [Self];

    /// As blueprints name it.
    fn name(self) -> &'static str;

    /// What the planner has to know of it.
    fn description(self) -> Kind;

    /// What the planner has to know of all of them.
    fn descriptions() -> Vec<Kind> {
        Self::ALL.iter().map(|kind| kind.description()).collect()
    }

    /// # Errors
    /// If the provider has no kind of that name.
    fn of(name: &str) -> Result<Self, Obstacle> {
        let found = Self::ALL.iter().copied().find(|kind| kind.name() == name);
        found.ok_or_else(|| Obstacle::Invalid(format!("{} has no kind {name}", Self::PRODUCT)))
    }
}

/// Declares the kinds of a provider: a variant for each module that holds one, with its `NAME` and its `kind()`.
///
/// ```text
/// kinds! {
///     /// The kinds of this provider.
///     pub enum RedisKind of "Redis" { AclUser = acl_user, Key = key }
/// }
/// ```
#[macro_export]
macro_rules! kinds {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident of $product:literal { $($variant:ident = $($module:ident)::+),+ $(,)? }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name {
            $($variant),+
        }

        impl $crate::ProviderKind for $name {
            const PRODUCT: &'static str = $product;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $($module)::+::NAME),+
                }
            }

            fn description(self) -> $crate::Kind {
                match self {
                    $(Self::$variant => $($module)::+::kind()),+
                }
            }
        }
    };
}

/// The descriptions of a provider's kinds, made once.
pub struct Kinds<K>(BTreeMap<&'static str, (K, Kind)>);

impl<K: ProviderKind> Default for Kinds<K> {
    fn default() -> Self {
        Self(K::ALL.iter().map(|kind| (kind.name(), (*kind, kind.description()))).collect())
    }
}

impl<K: ProviderKind> Kinds<K> {
    pub fn get(&self, name: &str) -> Option<(K, &Kind)> {
        self.0.get(name).map(|(kind, description)| (*kind, description))
    }
}

/// What a mistake with a kind would cost. Every kind has to say it: a default would be wrong for the kind that forgets.
#[derive(Clone, Copy, Debug)]
pub struct Stakes {
    /// See [`Kind::loses_data`].
    pub loses_data: bool,
    /// See [`Kind::bills`].
    pub bills: bool,
}

/// A kind with nothing but its name, its spec, its identity and its stakes: no mark on the resource, each written by itself,
/// nothing hidden, and nothing to normalise but the defaults of its schema. A kind says with `..describe(…)` what is different.
pub fn describe<Spec: JsonSchema>(
    name: &'static str,
    summary: &'static str,
    identity: &'static [&'static str],
    Stakes { loses_data, bills }: Stakes,
) -> Kind {
    let schema = schemars::schema_for!(Spec);
    Kind {
        name,
        summary,
        defaults: defaults(&schema),
        schema,
        identity,
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        reviewed: &[],
        owned_by_key: &[],
        outputs: &[],
        captures: &[],
        name_limits: &[],
        references: &[],
        loses_data,
        bills,
        mark: MarkPlace::Inventory,
        batch: Batch::Single,
        normalise: |_| {},
        told: None,
        check: |_| Vec::new(),
        check_together: None,
        by_spec: None,
        nesting: None,
    }
}

/// The defaults of a type that is a part of a spec, by field.
pub fn defaults_of<Part: JsonSchema>() -> Map {
    defaults(&schemars::schema_for!(Part))
}

/// A part of a spec without nulls and with its defaults. What is no map stays as it is.
pub fn filled(part: &Value, defaults: &Map) -> Value {
    match part {
        Value::Map(fields) => Fields::of(fields, defaults).build().into(),
        other => other.clone(),
    }
}

/// What the schema says of absent fields.
fn defaults(schema: &schemars::Schema) -> Map {
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    let default = |(name, property): (&String, &serde_json::Value)| {
        let default = property.get("default").filter(|default| !default.is_null())?;
        Some((name.as_str().into(), Value::from(default)))
    };
    properties.into_iter().flatten().filter_map(default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    mod jar {
        use super::*;

        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema is used")]
        struct JarSpec {
            name: String,
        }

        pub const NAME: &str = "kitchen.jar";

        pub fn kind() -> Kind {
            describe::<JarSpec>(NAME, "A jar.", &["name"], Stakes { loses_data: true, bills: false })
        }
    }

    kinds! {
        enum Kitchen of "Kitchen" { Jar = jar }
    }

    #[test]
    fn a_name_is_a_kind_or_is_told() {
        assert_eq!(Kitchen::of("kitchen.jar").ok(), Some(Kitchen::Jar));
        let unknown = Kitchen::of("kitchen.cup").expect_err("there is none");
        assert_eq!(unknown.to_string(), "Kitchen has no kind kitchen.cup");
        let kinds = Kinds::<Kitchen>::default();
        assert!(kinds.get("kitchen.jar").is_some_and(|(_, kind)| kind.loses_data && kind.identity == ["name"]));
        assert!(kinds.get("kitchen.cup").is_none());
    }
}
