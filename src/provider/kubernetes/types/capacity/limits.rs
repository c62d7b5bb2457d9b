//! LimitRanges: what they allow, what they fill in, and what is wrong with one by itself.

use super::pods::{Amounts, Workload};
use crate::types::object::{self, Type, at};
use crate::types::quantity::Quantity;
use tenantry_core::model::kind::Problem;
use tenantry_core::model::value::{Map, Value, push_token};

/// All LimitRanges of a namespace.
#[derive(Default)]
pub struct Bounds {
    ranges: Vec<Range>,
    pub default_limits: Amounts,
    pub default_requests: Amounts,
}

/// One item of a LimitRange.
struct Range {
    /// The LimitRange's name.
    name: String,
    /// `Container`, `Pod` or `PersistentVolumeClaim`.
    of: String,
    min: Amounts,
    max: Amounts,
    ratio: Amounts,
}

impl Bounds {
    pub fn of<'a>(limit_ranges: impl Iterator<Item = &'a Map>) -> Self {
        let mut bounds = Self::default();
        for spec in limit_ranges {
            for item in items(spec) {
                let list = |name: &str| Amounts::of(item.get(name));
                let of = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
                let (min, max) = (list("min"), list("max"));
                if of == "Container" {
                    // SetDefaults_LimitRangeItem.
                    let (mut limits, mut requests) = (list("default"), list("defaultRequest"));
                    limits.fill(&max);
                    requests.fill(&limits);
                    requests.fill(&min);
                    bounds.default_limits.fill(&limits);
                    bounds.default_requests.fill(&requests);
                }
                let name = object::name(spec).unwrap_or_default().to_owned();
                bounds.ranges.push(Range { name, of, min, max, ratio: list("maxLimitRequestRatio") });
            }
        }
        bounds
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

fn items(spec: &Map) -> &[Value] {
    at(spec, &["spec", "limits"]).and_then(Value::as_list).unwrap_or_default()
}

/// What the LimitRanges of its namespace do not allow a workload's pods.
pub fn problems_of_pod(workload: &Workload<'_>, bounds: &Bounds) -> Vec<Problem> {
    let mut problems = Vec::new();
    for range in &bounds.ranges {
        match &*range.of {
            "Container" => {
                for container in &workload.containers {
                    let whose = format!("container `{}`", container.name);
                    range.hold(&whose, &container.pointer, &container.requests, &container.limits, &mut problems);
                }
            }
            "Pod" => {
                let pointer = workload.containers.first().and_then(|container| container.pointer.rsplit_once('/'));
                let pointer = pointer.map_or("/spec", |(list, _)| list);
                range.hold("a pod", pointer, &workload.requests, &workload.limits, &mut problems);
            }
            _ => {}
        }
    }
    problems
}

impl Range {
    fn hold(&self, whose: &str, pointer: &str, requests: &Amounts, limits: &Amounts, problems: &mut Vec<Problem>) {
        let mut add = |message: String| {
            let message = format!("{whose} {message} of LimitRange `{}`: its pods would be refused", self.name);
            problems.push(Problem::error(pointer, message).help("change its resources, or the LimitRange"));
        };
        for (resource, most) in known(&self.max) {
            // Both are held against the maximum (`maxConstraint`).
            match (limits.get(resource), requests.get(resource)) {
                (Some(limit), _) if limit > most => {
                    add(format!("has the limit {limit} of {resource}, more than the maximum {most}"));
                }
                (_, Some(request)) if request > most => {
                    add(format!("requests {request} of {resource}, more than the maximum {most}"));
                }
                _ => {}
            }
        }
        for (resource, least) in known(&self.min) {
            if let Some(request) = requests.get(resource).filter(|request| *request < least) {
                add(format!("requests {request} of {resource}, less than the minimum {least}"));
            }
        }
        for (resource, most) in known(&self.ratio) {
            if let (Some(limit), Some(request)) = (limits.get(resource), requests.get(resource))
                && limit.exceeds_ratio(request, most)
            {
                add(format!("has the limit {limit} of {resource} and requests {request}, more than the ratio {most}"));
            }
        }
    }
}

fn known(amounts: &Amounts) -> impl Iterator<Item = (&String, Quantity)> {
    amounts.0.iter().filter_map(|(name, amount)| Some((name, (*amount)?)))
}

/// Of each pair the first must not be more than the second.
const ORDER: [(&str, &str); 6] = [
    ("min", "max"),
    ("min", "default"),
    ("min", "defaultRequest"),
    ("defaultRequest", "default"),
    ("defaultRequest", "max"),
    ("default", "max"),
];

/// What the server refuses in a LimitRange by itself (`ValidateLimitRange`).
pub fn limit_range_problems(of: Type<'_>, spec: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !of.is("", "LimitRange") {
        return problems;
    }
    for (index, item) in items(spec).iter().enumerate() {
        for (low, high) in ORDER {
            let (lower, upper) = (Amounts::of(item.get(low)), Amounts::of(item.get(high)));
            for (resource, least) in known(&lower) {
                if let Some(most) = upper.get(resource).filter(|most| least > *most) {
                    let mut pointer = format!("/spec/limits/{index}/{low}");
                    push_token(&mut pointer, resource);
                    let message = format!("`{low}` of {resource} is {least}, more than `{high}`, which is {most}");
                    problems.push(Problem::error(pointer, message).help("the server refuses such a LimitRange"));
                }
            }
        }
        let is_pod = item.get("type").and_then(Value::as_str) == Some("Pod");
        for field in ["default", "defaultRequest"].into_iter().filter(|field| is_pod && item.get(field).is_some()) {
            let message = format!("`{field}` is for containers, not for pods");
            problems
                .push(Problem::error(format!("/spec/limits/{index}/{field}"), message).help("write `type: Container`"));
        }
    }
    problems
}
