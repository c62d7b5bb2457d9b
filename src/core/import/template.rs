//! Things of one role → one template with holes.
//!
//! What is equal everywhere stands in the template; what follows the tenant's name is an expression; the rest is a value,
//! taken out of the smallest part that differs: of a list whose items differ in one field only, that field.

use std::collections::{BTreeMap, BTreeSet};

use super::{Group, Item, pattern};
use crate::model::value::{Map, Value};

/// A spec with holes.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// The same for everybody; texts are written so that nothing in them is an expression.
    Literal(Value),
    /// With [`pattern::TENANT`] and [`pattern::EACH`] for the names.
    Pattern(String),
    Map(BTreeMap<String, Template>),
    List(Vec<Template>),
    /// The value of a name, as it is.
    Value(Hole),
    /// The value of a name is a list of texts; each becomes a map with the text in one field.
    Wrapped {
        hole: Hole,
        field: String,
        rest: Map,
    },
}

impl Template {
    /// Scalars, each value counting as one.
    fn leaves(&self) -> usize {
        match self {
            Self::Literal(value) => {
                let mut leaves = 0;
                value.for_each_leaf(&mut |_, _| leaves += 1);
                leaves
            }
            Self::Pattern(_) | Self::Value(_) | Self::Wrapped { .. } => 1,
            Self::Map(map) => map.values().map(Self::leaves).sum(),
            Self::List(items) => items.iter().map(Self::leaves).sum(),
        }
    }

    /// Whether more than values is in it.
    fn says_something(&self) -> bool {
        match self {
            Self::Literal(_) | Self::Pattern(_) | Self::Wrapped { .. } => true,
            Self::Map(fields) => fields.values().any(Self::says_something),
            Self::List(items) => items.iter().any(Self::says_something),
            Self::Value(_) => false,
        }
    }
}

/// Where a value goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Hole {
    pub name: String,
    /// Whether some do not have it.
    pub is_optional: bool,
    /// Whether who does not have it takes the item's name.
    pub or_each: bool,
}

/// A role with its template and the values of its items.
pub struct Role<'a> {
    pub id: String,
    /// The role whose switch is this one's too: that of the first which the very same tenants have.
    pub switch: String,
    pub is_each: bool,
    /// Whether the value of an item is the item itself.
    pub is_whole: bool,
    pub items: Vec<&'a Item>,
    pub spec: Template,
    /// By hole, one for each item; `None` if it has none.
    pub values: BTreeMap<String, Vec<Option<Value>>>,
}

/// Makes the template of a group.
pub fn role(group: Group<'_>) -> Role<'_> {
    let Group { id, is_each, is_whole, items } = group;
    let mut builder = Builder { items: &items, is_each, values: BTreeMap::new() };
    let spec = if is_whole {
        whole(&items)
    } else {
        let specs: Vec<Value> = items.iter().map(|item| Value::from(item.spec.clone())).collect();
        builder.build(&mut Vec::new(), &specs.iter().collect::<Vec<_>>())
    };
    let values = builder.values;
    Role { switch: id.clone(), id, is_each, is_whole, spec, values, items }
}

/// How much of a group's template is values: leaves that differ, and all leaves.
pub fn variety(items: &[&Item]) -> (usize, usize) {
    let specs: Vec<Value> = items.iter().map(|item| Value::from(item.spec.clone())).collect();
    let mut builder = Builder { items, is_each: false, values: BTreeMap::new() };
    let template = builder.build(&mut Vec::new(), &specs.iter().collect::<Vec<_>>());
    (builder.values.len(), template.leaves())
}

/// Every field of the first level is taken from the value as it is.
fn whole(items: &[&Item]) -> Template {
    let fields: BTreeSet<&str> = items.iter().flat_map(|item| item.spec.iter().map(|(name, _)| &**name)).collect();
    let hole = |name: &str| {
        let is_optional = !items.iter().all(|item| item.spec.contains(name));
        Template::Value(Hole { name: name.to_owned(), is_optional, or_each: false })
    };
    Template::Map(fields.into_iter().map(|name| (name.to_owned(), hole(name))).collect())
}

struct Builder<'b, 'a> {
    items: &'b [&'a Item],
    is_each: bool,
    values: BTreeMap<String, Vec<Option<Value>>>,
}

impl Builder<'_, '_> {
    /// `values` are those of all items at one place.
    fn build(&mut self, path: &mut Vec<String>, values: &[&Value]) -> Template {
        let Some(first) = values.first() else { return Template::Literal(Value::Null) };
        let all_equal = values.iter().all(|value| value == first);
        // Of a single thing nothing tells what is particular to it, but its name.
        if all_equal
            && is_writable(first)
            && !(self.is_each && matches!(path.as_slice(), [at, name] if at == "metadata" && name == "name"))
        {
            return Template::Literal((*first).clone());
        }
        if let Some(pattern) = self.pattern(values) {
            return Template::Pattern(pattern);
        }
        let known = self.values.clone();
        let maps: Option<Vec<&Map>> = values.iter().map(|value| value.as_map()).collect();
        let lists: Option<Vec<&[Value]>> = values.iter().map(|value| value.as_list()).collect();
        let parts = match (maps, lists) {
            (Some(maps), _) => Some(self.fields(path, &maps)),
            (_, Some(lists)) => self.list(path, &lists),
            _ => None,
        };
        match parts {
            // Of one among several, parts that have nothing in common are one value: there is no tier to have defaults.
            Some(parts) if self.is_each && !path.is_empty() && !parts.says_something() => self.values = known,
            Some(parts) => return parts,
            None => {}
        }
        let or_each = self.is_each && self.follows_name(values);
        let own = |(item, value): (&&Item, &&Value)| {
            (!(or_each && value.as_str() == Some(&*item.name))).then(|| (*value).clone())
        };
        let own = self.items.iter().zip(values).map(own).collect();
        Template::Value(self.hole(path, own, or_each))
    }

    fn pattern(&self, values: &[&Value]) -> Option<String> {
        let common = |with_name: bool| {
            let mut patterns = self
                .items
                .iter()
                .zip(values)
                .map(|(item, value)| pattern::of(value.as_str()?, &item.tenant, with_name.then_some(&*item.name)));
            let first = patterns.next()??;
            patterns.all(|pattern| pattern.as_ref() == Some(&first)).then_some(first)
        };
        // Where both say it, the tenant's name says more.
        common(false).or_else(|| self.is_each.then(|| common(true)).flatten())
    }

    /// Whether a good part of the texts are the names of their things.
    fn follows_name(&self, values: &[&Value]) -> bool {
        let same = self.items.iter().zip(values).filter(|(item, value)| value.as_str() == Some(&*item.name)).count();
        same * 3 >= values.len()
    }

    fn fields(&mut self, path: &mut Vec<String>, maps: &[&Map]) -> Template {
        let keys: BTreeSet<&str> = maps.iter().flat_map(|map| map.iter().map(|(key, _)| &**key)).collect();
        let mut fields = BTreeMap::new();
        for key in keys {
            let values: Vec<Option<&Value>> = maps.iter().map(|map| map.get(key)).collect();
            path.push(key.to_owned());
            let present: Option<Vec<&Value>> = values.iter().copied().collect();
            let template = match present {
                Some(present) => self.build(path, &present),
                None => {
                    let values = values.iter().map(|value| value.cloned()).collect();
                    Template::Value(self.hole(path, values, false))
                }
            };
            path.pop();
            fields.insert(key.to_owned(), template);
        }
        Template::Map(fields)
    }

    fn list(&mut self, path: &mut Vec<String>, lists: &[&[Value]]) -> Option<Template> {
        let length = lists.first()?.len();
        if length == 1 && lists.iter().all(|list| list.len() == 1) {
            let items: Vec<&Value> = lists.iter().map(|list| &list[0]).collect();
            return match items.iter().all(|item| item.as_map().is_some()) {
                true => Some(Template::List(vec![self.build(path, &items)])),
                false => None,
            };
        }
        let (field, rest) = uniform(lists)?;
        let texts = |list: &&[Value]| Some(Value::list(list.iter().filter_map(|item| item.get(&field)).cloned()));
        let hole = self.hole(path, lists.iter().map(texts).collect(), false);
        Some(Template::Wrapped { hole, field, rest })
    }

    fn hole(&mut self, path: &[String], values: Vec<Option<Value>>, or_each: bool) -> Hole {
        // The shortest name that says enough: what every object has, says nothing.
        const NOISE: [&str; 7] = ["annotations", "hard", "labels", "limits", "matchLabels", "metadata", "spec"];
        let last = |token: &String| pattern::snake(token.rsplit('/').next().unwrap_or(token));
        let all: Vec<String> = path.iter().map(last).filter(|token| !token.is_empty()).collect();
        let mut telling: Vec<String> = path
            .iter()
            .filter(|token| !NOISE.contains(&token.as_str()))
            .map(last)
            .filter(|token| !token.is_empty())
            .collect();
        if telling.is_empty() {
            telling.extend(all.last().cloned());
        }
        let mut name = telling.join("_");
        if name.is_empty() || name == "enabled" || self.values.contains_key(&name) {
            name = all.join("_");
        }
        while name.is_empty() || name == "enabled" || self.values.contains_key(&name) {
            name.push_str("_2");
        }
        let is_optional = values.iter().any(Option::is_none);
        self.values.insert(name.clone(), values);
        Hole { name, is_optional, or_each }
    }
}

/// Whether all texts in a value can stand in a blueprint.
fn is_writable(value: &Value) -> bool {
    let mut writable = true;
    value.for_each_leaf(&mut |_, leaf| writable &= leaf.as_str().is_none_or(pattern::is_writable));
    writable
}

/// The one field in which the items of all lists differ, and what they have in common.
fn uniform(lists: &[&[Value]]) -> Option<(String, Map)> {
    let first = lists.iter().find_map(|list| list.first())?.as_map()?;
    let differs = |key: &str| lists.iter().flat_map(|list| list.iter()).any(|item| item.get(key) != first.get(key));
    let mut items = lists.iter().flat_map(|list| list.iter());
    let same_fields = items.all(|item| {
        item.as_map().is_some_and(|map| map.len() == first.len() && map.iter().all(|(key, _)| first.contains(key)))
    });
    if !same_fields || first.len() < 2 {
        return None;
    }
    let differing: Vec<&str> = first.iter().map(|(key, _)| &**key).filter(|key| differs(key)).collect();
    let [field] = differing.as_slice() else { return None };
    let all_texts =
        lists.iter().flat_map(|list| list.iter()).all(|item| item.get(field).and_then(Value::as_str).is_some());
    let rest = first.without(field);
    let plain = |(_, value): (_, &Value)| value.as_str().is_some_and(|text| !text.contains(['\'', '\\', '\n', '$']));
    (all_texts && rest.iter().all(plain)).then(|| ((*field).to_owned(), rest))
}

/// The item of each list that keeps a group from being uniform in the most usual way; for leaving few out for the many.
pub fn misfits(lists: &[&[Value]]) -> Vec<bool> {
    let shape = |item: &Value| {
        let map = item.as_map()?;
        let texts = map.iter().filter(|(key, _)| matches!(&***key, "apiGroup" | "kind" | "namespace"));
        Some((
            map.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(),
            texts.map(|(_, value)| value.to_json().to_string()).collect::<Vec<_>>(),
        ))
    };
    let mut shapes: BTreeMap<_, usize> = BTreeMap::new();
    for item in lists.iter().flat_map(|list| list.iter()) {
        *shapes.entry(shape(item)).or_default() += 1;
    }
    let usual = shapes.into_iter().max_by_key(|(_, count)| *count).and_then(|(shape, _)| shape);
    lists.iter().map(|list| usual.is_none() || list.iter().any(|item| shape(item) != usual)).collect()
}
