//! The resources of one owner during expansion, as expressions of later ones see them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Outputs;
use super::blueprint::CompiledResource;
use crate::expression::{ExpressionError, Failure, Resources, field_of};
use crate::model::resource::Desired;
use crate::model::value::{Deferred, Map, Part, Value};
use crate::plan::sensitive;

/// The resources of one owner during expansion.
pub struct Built<'a> {
    /// Of resources that exist.
    outputs: &'a Outputs,
    resources: RefCell<Vec<Desired>>,
    by_id: RefCell<HashMap<Arc<str>, Entry>>,
    /// Places of the resources of a `forEach` that expressions have looked at since this was last taken.
    seen: RefCell<BTreeSet<usize>>,
    /// Whether expressions find a mask in place of sensitive values.
    masks: bool,
}

/// The result for a blueprint's resource, with indexes into the list of resources.
pub enum Entry {
    One(usize),
    Each(Instances),
    /// Its `when` is false.
    Left,
    /// It has a problem that was reported.
    Broken,
}

/// The resources of one `forEach`, in its order.
#[derive(Default)]
pub struct Instances {
    places: Vec<(Arc<str>, usize)>,
    by_key: HashMap<Arc<str>, usize>,
}

impl Instances {
    pub fn insert(&mut self, key: Arc<str>, place: usize) {
        self.by_key.insert(key.clone(), place);
        self.places.push((key, place));
    }

    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.places.iter().map(|(_, place)| *place)
    }
}

impl<'a> Built<'a> {
    pub fn new(outputs: &'a Outputs, capacity: usize) -> Self {
        Self {
            outputs,
            resources: RefCell::new(Vec::with_capacity(capacity)),
            by_id: RefCell::new(HashMap::with_capacity(capacity)),
            seen: RefCell::default(),
            masks: false,
        }
    }

    /// Of resources that were expanded before, by ids in their blueprints.
    pub fn again(
        outputs: &'a Outputs,
        resources: &[Desired],
        composition: &[Arc<CompiledResource<'_>>],
        masks: bool,
    ) -> Self {
        let built = Self { masks, ..Self::new(outputs, resources.len()) };
        for resource in composition {
            let entry = if resource.for_each.is_some() { Entry::Each(Instances::default()) } else { Entry::Left };
            built.insert(resource.template.id.clone(), entry);
        }
        for desired in resources {
            let at = built.push(desired.clone());
            let mut by_id = built.by_id.borrow_mut();
            match (by_id.get_mut(&desired.address.id), &desired.address.each) {
                (Some(Entry::Each(instances)), Some(each)) => instances.insert(each.clone(), at),
                _ => {
                    by_id.insert(desired.address.id.clone(), Entry::One(at));
                }
            }
        }
        built
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.resources.borrow().len()
    }

    /// Takes which resources of a `forEach` were looked at.
    pub fn take_seen(&self) -> BTreeSet<usize> {
        self.seen.take()
    }

    pub fn push(&self, desired: Desired) -> usize {
        let mut resources = self.resources.borrow_mut();
        resources.push(desired);
        resources.len() - 1
    }

    pub fn insert(&self, id: Arc<str>, entry: Entry) {
        self.by_id.borrow_mut().insert(id, entry);
    }

    pub fn into_parts(self) -> (Vec<Desired>, HashMap<Arc<str>, Entry>) {
        (self.resources.into_inner(), self.by_id.into_inner())
    }

    fn spec(&self, desired: &Desired) -> Value {
        match self.masks {
            true => sensitive::mask(desired.spec.value(), &sensitive::of(desired)),
            false => desired.spec.value(),
        }
    }

    fn of(&self, desired: &Desired, path: &[Arc<str>]) -> Result<Value, ExpressionError> {
        let [field, rest @ ..] = path else {
            return Ok(self.spec(desired));
        };
        let name = format!("resources.{}", desired.address.id);
        if !desired.spec.contains(field)
            && let Some(output) = names_of_outputs(desired).into_iter().find(|output| **output == **field)
        {
            let mut addresses = std::iter::once(&desired.address).chain(&desired.previously);
            let known = addresses.find_map(|address| self.outputs.get(address)?.get(&output));
            let is_captured = || desired.kind.captures_of(&desired.spec).iter().any(|capture| capture.name == output);
            return match known {
                Some(Value::Null) if is_captured() => Err(ExpressionError {
                    failure: Failure::Computation,
                    message: format!(
                        "{name}.{output} is not known: it was returned once, before {name} was taken over"
                    ),
                    help: Some("give the resource another id, so that it is recreated".into()),
                }),
                Some(value) => field_of(value, &format!("{name}.{output}"), rest),
                None => {
                    let part = Part::Output { address: desired.address.clone(), name: output.as_ref().into() };
                    Ok(Value::Deferred(Arc::new(Deferred { parts: vec![part] })))
                }
            };
        }
        field_of(&self.spec(desired), &name, path)
    }
}

impl Resources for Built<'_> {
    fn field(&self, id: &str, path: &[Arc<str>]) -> Result<Value, ExpressionError> {
        let resources = self.resources.borrow();
        let by_id = self.by_id.borrow();
        let computation =
            |message: String, help: Option<String>| ExpressionError { failure: Failure::Computation, message, help };
        match by_id.get(id) {
            Some(Entry::One(at)) => self.of(&resources[*at], path),
            Some(Entry::Each(entries)) => {
                let [key, path @ ..] = path else {
                    return Err(computation(
                        format!("`{id}` has `forEach`, so it stands for several resources"),
                        Some(format!("write resources.{id}[\"…\"].FIELD")),
                    ));
                };
                match entries.by_key.get(key) {
                    Some(at) => {
                        self.seen.borrow_mut().insert(*at);
                        self.of(&resources[*at], path)
                    }
                    None => {
                        let known: Vec<&str> = entries.places.iter().map(|(each, _)| &**each).collect();
                        let help = match known.as_slice() {
                            [] => format!("the `forEach` of `{id}` is empty here"),
                            known => format!("write resources.{id}[\"…\"].FIELD with one of {}", known.join(", ")),
                        };
                        Err(computation(format!("there is no `{id}` for {key:?}"), Some(help)))
                    }
                }
            }
            Some(Entry::Left) => Err(computation(
                format!("resource `{id}` does not exist here"),
                Some("its `when` is false: give this resource the same `when`".into()),
            )),
            Some(Entry::Broken) => Err(computation(String::new(), None)),
            None => Err(ExpressionError {
                failure: Failure::UnknownResource,
                message: format!("there is no resource `{id}` here"),
                help: None,
            }),
        }
    }

    fn whole(&self, id: &str) -> Option<Value> {
        let resources = self.resources.borrow();
        let with_outputs = |desired: &Desired| {
            let outputs = names_of_outputs(desired).into_iter().filter_map(|output| {
                let name = Arc::from(&*output);
                let value = self.of(desired, std::slice::from_ref(&name)).ok()?;
                Some((name, value))
            });
            let spec = self.spec(desired);
            let fields = spec.as_map().into_iter().flat_map(Map::iter);
            Value::from(fields.map(|(key, value)| (key.clone(), value.clone())).chain(outputs).collect::<Map>())
        };
        match self.by_id.borrow().get(id)? {
            Entry::One(at) => Some(with_outputs(&resources[*at])),
            Entry::Each(entries) => {
                self.seen.borrow_mut().extend(entries.places());
                let places = entries.places.iter();
                Some(Value::map(places.map(|(each, at)| (each.clone(), with_outputs(&resources[*at])))))
            }
            Entry::Left | Entry::Broken => None,
        }
    }
}

/// What expressions may use of a resource besides its spec.
fn names_of_outputs(desired: &Desired) -> Vec<Cow<'static, str>> {
    let mut names = desired.kind.outputs_of(&desired.spec);
    names.extend(desired.kind.captures_of(&desired.spec).iter().map(|capture| capture.name.clone()));
    names
}
