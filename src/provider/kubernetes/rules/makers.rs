//! Which Secrets and ConfigMaps are made, by whom, and with which keys.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::Object;
use tenantry_core::model::value::{Map, Value};

/// One that makes a Secret or ConfigMap.
pub struct Maker<'a> {
    pub object: Object<'a>,
    /// `None` if they are not known.
    pub keys: Option<BTreeSet<&'a str>>,
    /// Whether it only adds to what another makes.
    pub adds: bool,
}

/// A Secret or ConfigMap, with those that make it.
pub struct Made<'a> {
    /// `Secret` or `ConfigMap`.
    pub kind: &'static str,
    pub name: &'a str,
    pub makers: Vec<Maker<'a>>,
}

/// What is made, by kind, namespace and name.
#[derive(Default)]
pub struct Makers<'a>(BTreeMap<String, Made<'a>>);

impl<'a> Makers<'a> {
    pub fn of(objects: &[Object<'a>]) -> Self {
        let mut all = Self::default();
        for object in objects {
            for (kind, name, keys, adds) in made_by(object) {
                let key = format!("{kind}/{}/{name}", object.namespace);
                let made = all.0.entry(key).or_insert_with(|| Made { kind, name, makers: Vec::new() });
                made.makers.push(Maker { object: *object, keys, adds });
            }
        }
        all
    }

    pub fn find(&self, kind: &'static str, namespace: &str, name: &str) -> &[Maker<'a>] {
        self.0.get(&format!("{kind}/{namespace}/{name}")).map_or(&[], |made| &made.makers)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Made<'a>> {
        self.0.values()
    }
}

/// What an object makes: kind, name, keys, and whether it only adds to it.
fn made_by<'a>(object: &Object<'a>) -> Vec<(&'static str, &'a str, Option<BTreeSet<&'a str>>, bool)> {
    let own = |path: &[&str]| object.text(path).unwrap_or(object.name);
    match (object.of.group, object.of.kind) {
        ("", "Secret") => {
            // The token controller fills it.
            let is_filled = object.text(&["type"]) == Some("kubernetes.io/service-account-token");
            let keys = if is_filled { None } else { keys(object, &["data", "stringData"]) };
            vec![("Secret", object.name, keys, false)]
        }
        ("", "ConfigMap") => vec![("ConfigMap", object.name, keys(object, &["data", "binaryData"]), false)],
        ("external-secrets.io", "ExternalSecret") => {
            let is_open = object.at(&["spec", "dataFrom"]).is_some()
                || object.at(&["spec", "target", "template"]).is_some()
                || object.at(&["spec", "data"]).is_some_and(Value::has_deferred);
            let data = object.list(&["spec", "data"]).iter();
            let keys = data.filter_map(|item| item.get("secretKey")?.as_str()).collect();
            let policy = object.text(&["spec", "target", "creationPolicy"]);
            let adds = matches!(policy, Some("Merge" | "None"));
            vec![("Secret", own(&["spec", "target", "name"]), (!is_open).then_some(keys), adds)]
        }
        ("bitnami.com", "SealedSecret") => {
            let mut found = BTreeSet::new();
            for path in [&["spec", "encryptedData"][..], &["spec", "template", "data"][..]] {
                found.extend(object.at(path).and_then(Value::as_map).into_iter().flat_map(names));
            }
            vec![("Secret", own(&["spec", "template", "metadata", "name"]), Some(found), false)]
        }
        ("cert-manager.io", "Certificate") => {
            let has_more = ["keystores", "additionalOutputFormats", "secretTemplate"];
            let is_open = has_more.iter().any(|field| object.at(&["spec", field]).is_some());
            let keys = BTreeSet::from(["ca.crt", "tls.crt", "tls.key"]);
            let name = object.text(&["spec", "secretName"]);
            name.map(|name| ("Secret", name, (!is_open).then_some(keys), false)).into_iter().collect()
        }
        ("secrets.hashicorp.com", _) => {
            let name = object.text(&["spec", "destination", "name"]);
            let creates = object.at(&["spec", "destination", "create"]).and_then(Value::as_bool) == Some(true);
            name.map(|name| ("Secret", name, None, !creates)).into_iter().collect()
        }
        // cert-manager makes a Certificate of an annotated Ingress.
        ("networking.k8s.io", "Ingress") => {
            let annotations = object.at(&["metadata", "annotations"]).and_then(Value::as_map);
            let mut annotated = annotations.into_iter().flat_map(names);
            if !annotated.any(|key| matches!(key, "cert-manager.io/cluster-issuer" | "cert-manager.io/issuer")) {
                return Vec::new();
            }
            let tls = object.list(&["spec", "tls"]).iter();
            tls.filter_map(|tls| Some(("Secret", tls.get("secretName")?.as_str()?, None, false))).collect()
        }
        _ => Vec::new(),
    }
}

/// The keys in some maps of an object.
fn keys<'a>(object: &Object<'a>, fields: &[&str]) -> Option<BTreeSet<&'a str>> {
    let mut found = BTreeSet::new();
    for field in fields {
        match object.at(&[field]) {
            Some(Value::Map(map)) => found.extend(names(map)),
            None => {}
            // An expression that is only known after apply.
            Some(_) => return None,
        }
    }
    Some(found)
}

fn names(map: &Map) -> impl Iterator<Item = &str> {
    map.iter().map(|(name, _)| &**name)
}
