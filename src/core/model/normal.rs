//! A spec in the one form that its kind gives it.

use std::ops::Deref;
use std::sync::Arc;

use super::kind::Kind;
use super::spec::Fields;
use super::value::{Map, Value};

/// A spec in its kind's canonical form: defaults filled in, equal spellings the same, unordered lists sorted.
///
/// Only [`Kind::normal`] makes one, so code that takes a `Normal` does not depend on spelling: a check sees `Principal: "*"`
/// in one form, whichever spelling the blueprint uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normal(Arc<Map>);

impl Kind {
    /// The fields of a spec in their canonical form.
    pub fn canonical(&self, spec: &Map) -> Map {
        let mut fields = Fields::of(spec, &self.defaults);
        (self.normalise)(&mut fields);
        fields.whole_numbers();
        fields.build()
    }

    /// The canonical form of a spec, whether it is wanted, observed or was applied.
    pub fn normal(&self, spec: &Map) -> Normal {
        Normal(Arc::new(self.canonical(spec)))
    }

    /// The same of a spec that is held already. One that is canonical is not held twice.
    pub fn normal_shared(&self, spec: &Arc<Map>) -> Normal {
        let normal = self.canonical(spec);
        Normal(if normal == **spec { spec.clone() } else { Arc::new(normal) })
    }
}

impl Normal {
    /// The fields as they are kept.
    pub fn fields(&self) -> &Arc<Map> {
        &self.0
    }

    /// The fields, for what outlives the spec.
    pub fn shared(&self) -> Arc<Map> {
        self.0.clone()
    }

    /// The spec as a value.
    pub fn value(&self) -> Value {
        Value::Map(self.0.clone())
    }
}

impl Deref for Normal {
    type Target = Map;

    fn deref(&self) -> &Map {
        &self.0
    }
}

impl From<Normal> for Arc<Map> {
    fn from(spec: Normal) -> Self {
        spec.0
    }
}
