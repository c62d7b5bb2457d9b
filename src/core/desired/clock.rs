//! Finds values that depend on the time of the run, and so would differ in every plan.

use super::blueprint::CompiledResource;
use super::built::Built;
use crate::diagnostics::{Diagnostic, codes};
use crate::expression::{Compiled, Scope};
use crate::model::value::{Value, readable_pointer};

/// Two times of one run's day, a minute apart: what differs between them differs at every plan, what only a day or a date
/// changes does not. They are not the run's own time, so that the finding does not depend on the minute.
const TIMES: [&str; 2] = ["T12:00:00Z", "T12:01:01Z"];

/// The variables of an owner at these times.
pub fn variables_at(variables: &[(&'static str, Value)], now: &str) -> [Vec<(&'static str, Value)>; 2] {
    let day = now.get(..10).unwrap_or(now);
    TIMES.map(|time| {
        let moved = |(name, value): &(&'static str, Value)| match *name {
            "now" => (*name, Value::from(format!("{day}{time}"))),
            _ => (*name, value.clone()),
        };
        variables.iter().map(moved).collect()
    })
}

/// The warning for a resource whose spec or `forEach` differs between two times.
pub fn finding(
    resource: &CompiledResource<'_>,
    compiled: &Compiled,
    pointer: &str,
    scopes: &[Scope<'_>; 2],
    each: Option<&Value>,
    built: &Built<'_>,
) -> Option<Diagnostic> {
    let [earlier, later] =
        scopes.each_ref().map(|scope| compiled.evaluate(scope, each, built, &mut pointer.to_owned()).ok());
    let (earlier, later) = (earlier?, later?);
    // What is only written once stays as it was.
    if earlier.get("createOnly").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let at = format!("{pointer}{}", difference(&earlier, &later)?);
    let field = readable_pointer(&at);
    let message = format!(
        "`{field}` of resource `{}` is computed from the time of the run, so it differs in every plan",
        resource.template.id
    );
    Some(
        Diagnostic::warning(codes::DIFFERS_AT_EVERY_PLAN, message)
            .at(resource.origin(&at), "computed from `now`")
            .help("compare `now` with a value of the tenant, such as ${timestamp(now) < timestamp(tenant.values.until)}, or use only the day: ${now.substring(0, 10)}"),
    )
}

/// The place of the first difference.
fn difference(one: &Value, other: &Value) -> Option<String> {
    if one == other {
        return None;
    }
    let mut place = None;
    one.for_each_leaf(&mut |pointer, value| {
        if place.is_none() && other.pointer(pointer) != Some(value) {
            place = Some(pointer.to_owned());
        }
    });
    Some(place.unwrap_or_default())
}
