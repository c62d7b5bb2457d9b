//! Where the value of a field comes from.

use std::sync::Arc;

use super::evidence::{Cause, Others, differs};
use super::{Provenance, Source, Subject, TIER};
use crate::desired::blueprint::CompiledResource;
use crate::diagnostics::Origin;
use crate::expression::Compiled;
use crate::model::address::Address;
use crate::model::resource::Applied;
use crate::model::value::{Value, unescape_token};

impl<'e> Provenance<'_, 'e> {
    /// The place that decides about a field of a resource that is asked for.
    pub(super) fn field(&self, subject: Subject<'_, 'e>, resource: &CompiledResource<'e>, pointer: &str) -> Origin {
        let declared = resource.origin(&format!("/spec{pointer}"));
        let (part, below) = part_at(&resource.spec, pointer);
        let Some(source) = self.source(subject, part, &below) else { return declared };
        let Some(desired) = self.desired(subject.address) else { return source.origin() };
        let Some(applied) = self.applied(desired).filter(|applied| differs(desired, applied, pointer)) else {
            return source.origin();
        };
        // An expression that is more than a path may have been edited itself.
        let is_path = is_plain_path(part);
        if !is_path && !fits(&resource.template.spec, applied, pointer) {
            return declared;
        }
        let address = subject.address;
        match (source, subject.tenant) {
            (Source::Own(_), Some(tenant)) if !is_path && self.everyone(tenant, address, pointer) == Others::All => {
                declared
            }
            (Source::Own(origin), _) | (Source::Tier(origin, _), None) => origin,
            (Source::Tier(origin, written), Some(tenant)) => {
                match self.cause_in_tier(tenant, applied, pointer, origin) {
                    Cause::Choice => tenant.document.positions.origin(TIER),
                    // What is no longer there stood below the nearest value around it.
                    Cause::Override => tenant.document.positions.origin(&written),
                    Cause::Document if !is_path && self.strangers(tenant, address, pointer) == Others::All => declared,
                    Cause::Document => origin,
                }
            }
        }
    }

    /// Where the value of a field is written, whatever it was before; `None` if only the blueprint has it.
    pub(super) fn source_of_field(&self, address: &Address, pointer: &str) -> Option<Origin> {
        let subject = self.subject(address)?;
        let (part, below) = part_at(&self.resource(subject)?.spec, pointer);
        self.source(subject, part, &below).map(|source| source.origin())
    }
}

/// The part of a spec that has a pointer's value, and the steps that lead on below it.
///
/// Nothing is left below a field that is not there any more: the mapping around it has to be edited.
pub(super) fn part_at<'c>(spec: &'c Compiled, pointer: &str) -> (&'c Compiled, Vec<Arc<str>>) {
    static NOTHING: Compiled = Compiled::Literal(Value::Null);
    let mut part = spec;
    let mut tokens = pointer.split('/').skip(1).map(unescape_token);
    while let Some(token) = tokens.next() {
        let next = match part {
            Compiled::List(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
            Compiled::Map(fields) => fields.iter().find(|(key, _)| **key == *token).map(|(_, part)| part),
            Compiled::Literal(_) => None,
            Compiled::Template(_) => {
                let below = std::iter::once(token).chain(tokens).map(|token| Arc::from(&*token)).collect();
                return (part, below);
            }
        };
        match next {
            Some(next) => part = next,
            None => return (&NOTHING, Vec::new()),
        }
    }
    (part, Vec::new())
}

/// Whether a value is another one passed on, and nothing else.
pub fn is_plain_path(part: &Compiled) -> bool {
    let Compiled::Template(template) = part else { return false };
    template.is_one_expression() && template.expressions().all(|expression| expression.is_path())
}

/// Whether the text that was applied begins and ends as the blueprint's text does around its expressions. If not, it is the
/// blueprint's text that changed.
fn fits(spec: &Value, applied: &Applied, pointer: &str) -> bool {
    let Some(template) = spec.pointer(pointer).and_then(Value::as_str).filter(|text| !text.contains("$${")) else {
        return true;
    };
    let Some(before) = applied.spec_value().map(|spec| Value::Map(Arc::new(spec))) else { return true };
    let Some(before) = before.pointer(pointer).and_then(Value::as_str) else { return true };
    let beginning = template.split("${").next().unwrap_or_default();
    let end = template.rsplit('}').next().unwrap_or_default();
    before.starts_with(beginning) && before.ends_with(end)
}
