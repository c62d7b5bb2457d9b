//! Where each value of a resource is written, whether or not anything changes.

use super::fields::part_at;
use super::{Provenance, line_of_key};
use crate::diagnostics::Origin;
use crate::expression::Compiled;
use crate::model::address::Address;
use crate::model::resource::Desired;
use crate::model::value::{Map, Value};

/// Where a resource and its values come from.
pub struct Explanation<'a> {
    pub desired: &'a Desired,
    /// Where it is decided that the resource exists.
    pub existence: Option<Origin>,
    /// In order of the spec.
    pub fields: Vec<Explained>,
}

/// Where a value comes from.
#[derive(Debug)]
pub struct Explained {
    /// JSON pointer into the spec.
    pub pointer: String,
    pub value: Value,
    /// The line of the blueprint, and then the line of the document that an expression in it takes the value from. Empty for
    /// a value that no document has: the default of the kind.
    pub origins: Vec<Origin>,
}

impl<'a> Provenance<'a, '_> {
    /// `None` if nothing asks for a resource at the address.
    pub fn explain(&self, address: &Address) -> Option<Explanation<'a>> {
        let subject = self.subject(address)?;
        let (resource, desired) = (self.resource(subject)?, self.desired(address)?);
        let files = &self.inputs.estate.files;
        let mut fields = Vec::new();
        desired.spec.value().for_each(&is_shown_whole, &mut |pointer, value| {
            let mut origins = Vec::new();
            // Normalising may have put a value where no blueprint has one: then what is around it counts.
            if let Some(written) = ancestors(pointer).find(|pointer| is_written(&resource.spec, pointer)) {
                let (part, below) = part_at(&resource.spec, written);
                origins.push(line_of_key(files, resource.origin(&format!("/spec{written}"))));
                let source = self.source(subject, part, &below).map(|source| line_of_key(files, source.origin()));
                origins.extend(source.filter(|source| *source != origins[0]));
            }
            fields.push(Explained { pointer: pointer.to_owned(), value: value.clone(), origins });
        });
        Some(Explanation { desired, existence: self.origin(address, ""), fields })
    }
}

/// Whether a value is explained as one: lists of plain values are sorted and completed, so that an item has no line.
fn is_shown_whole(value: &Value) -> bool {
    match value {
        Value::List(items) => !items.iter().any(|item| matches!(item, Value::Map(_) | Value::List(_))),
        Value::Map(map) => Map::is_empty(map),
        _ => true,
    }
}

/// A pointer and those around it, but for the root.
fn ancestors(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |pointer| pointer.rfind('/').map(|at| &pointer[..at]))
        .take_while(|pointer| !pointer.is_empty())
}

fn is_written(spec: &Compiled, pointer: &str) -> bool {
    !matches!(part_at(spec, pointer).0, Compiled::Literal(Value::Null))
}
