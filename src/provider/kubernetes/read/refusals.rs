//! What the server would refuse of what a plan makes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;

use super::{KubernetesReader, definitions_of};
use crate::apply::{Apply, apply};
use crate::discovery::Resource;
use crate::refused::{Changing, told};
use crate::trial;
use crate::types::object::{self, Type};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::{Trial, TrialRequest};

impl KubernetesReader {
    /// One dry run for each object; as many at a time as the target allows. Not asked about are Namespaces, whose own fields are
    /// checked without the server, and what lies in a namespace, or is of a type, that is made by the same plan.
    pub(super) async fn try_all(&self, request: &TrialRequest<'_>) -> Vec<(usize, Arc<str>)> {
        let changing = &request.changing;
        let kinds: HashSet<&str> = changing.iter().filter_map(|desired| desired.spec.get("kind")?.as_str()).collect();
        let definitions = definitions_of(changing.iter().map(|desired| -> &Map { &desired.spec }));
        let made: HashSet<&str> =
            request.trials.iter().filter(|trial| is_namespace(trial)).filter_map(name_of).collect();
        let trials: Vec<(usize, &Trial<'_>)> = request
            .trials
            .iter()
            .enumerate()
            .filter(|(_, trial)| !is_namespace(trial))
            .filter(|(_, trial)| {
                object::namespace(&trial.desired.spec).is_none_or(|namespace| !made.contains(namespace))
            })
            .collect();
        let types: BTreeSet<(&str, &str)> = trials.iter().filter_map(|(_, trial)| type_of(trial)).collect();
        let resources = types.into_iter().map(async |(api_version, kind)| {
            let found = self.discovery.find(&self.cluster, api_version, kind).await.ok().flatten();
            ((api_version, kind), found)
        });
        let resources: HashMap<(&str, &str), Option<Arc<Resource>>> = join_all(resources).await.into_iter().collect();
        let tried = trials.into_iter().map(async |(at, trial)| {
            let resource = resources.get(&type_of(trial)?)?.as_ref()?;
            let failure = self.try_one(request.estate, resource, trial).await?;
            let definition = |of: Type<'_>| definitions.contains_key(&(of.group, of.kind));
            let changing = Changing { kind: &|kind| kinds.contains(kind), definition: &definition };
            Some((at, told(&failure, &trial.desired.spec, &changing)?))
        });
        join_all(tried).await.into_iter().flatten().collect()
    }

    async fn try_one(&self, estate: &str, resource: &Resource, trial: &Trial<'_>) -> Option<crate::error::Failure> {
        let spec: &Map = &trial.desired.spec;
        if resource.is_namespaced != object::namespace(spec).is_some() {
            return None;
        }
        let mark = Mark { estate: estate.into(), address: trial.desired.address.clone(), secret_hash: None };
        if trial.replaces {
            let seed = trial.desired.address.to_string();
            return trial::in_place_of(&self.cluster, resource, spec, &mark, &seed).await.err();
        }
        let (uid, resource_version) = (None, None);
        let request = Apply { resource, spec, mark: Some(&mark), uid, resource_version, force: false, dry_run: true };
        apply(&self.cluster, &request).await.err()
    }
}

fn is_namespace(trial: &Trial<'_>) -> bool {
    Type::of(&trial.desired.spec).is_some_and(|of| of.is("", "Namespace"))
}

fn name_of<'a>(trial: &'a Trial<'_>) -> Option<&'a str> {
    object::name(&trial.desired.spec)
}

/// API version and kind.
fn type_of<'a>(trial: &'a Trial<'_>) -> Option<(&'a str, &'a str)> {
    let text = |field: &str| trial.desired.spec.get(field).and_then(Value::as_str);
    Some((text("apiVersion")?, text("kind")?))
}
