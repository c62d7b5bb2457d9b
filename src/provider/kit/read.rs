//! The frame of the reading half: what is asked of each kind, and what is answered.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;

use crate::{Failed, Kinds, ProviderKind};
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::Kind;
use tenantry_core::model::resource::{Identity, KindObservation, Observed, Present};
use tenantry_core::model::value::{Map, Value};
use tenantry_provider::contract::ObserveRequest;

/// A resource that is asked for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub identity: &'a Identity,
    /// Wanted, or what was last written. A wanted one may hold deferred values beside its identity.
    pub spec: &'a Map,
    /// `None` if the repository no longer asks for it.
    pub address: Option<&'a Address>,
    /// Whether the inventory has it.
    pub is_recorded: bool,
}

impl<'a> Subject<'a> {
    pub fn is_wanted(&self) -> bool {
        self.address.is_some()
    }

    /// The spec, if somebody wants it to be so.
    pub fn asked(&self) -> Option<&'a Map> {
        self.is_wanted().then_some(self.spec)
    }

    pub fn text(&self, field: &str) -> Option<&'a str> {
        self.spec.get(field).and_then(Value::as_str)
    }
}

/// What is asked of one kind.
pub struct Asked<'a, K> {
    pub kind: K,
    pub description: &'a Kind,
    pub estate: &'a str,
    pub subjects: Vec<Subject<'a>>,
}

/// What is known of each resource that was asked for, and of others that carry the estate's mark.
pub type Answers = Vec<(Identity, Observed)>;

/// A reader that reads each kind by itself: what fails in one makes no other unknown.
#[async_trait]
pub trait KindReader: Send + Sync {
    type Kind: ProviderKind;
    type Failure: Failed;

    fn kinds(&self) -> &Kinds<Self::Kind>;

    /// Such as `reading redis.key of cache:6379`.
    fn attempted(&self, kind: &str) -> String;

    /// Reads one kind.
    ///
    /// # Errors
    /// If the kind is unknown as a whole.
    async fn read(&self, asked: &Asked<'_, Self::Kind>) -> Result<KindObservation, Self::Failure>;
}

/// Reads all kinds of a request at the same time.
pub async fn side_by_side<R: KindReader>(
    reader: &R,
    request: &ObserveRequest<'_>,
) -> BTreeMap<&'static str, KindObservation> {
    let asked = subjects(request).into_iter();
    join_all(asked.map(|(name, subjects)| one(reader, request.estate, name, subjects))).await.into_iter().collect()
}

/// Reads one kind of a request after the other, over one connection.
pub async fn in_turn<R: KindReader>(
    reader: &R,
    request: &ObserveRequest<'_>,
) -> BTreeMap<&'static str, KindObservation> {
    let mut observations = BTreeMap::new();
    for (name, subjects) in subjects(request) {
        observations.extend([one(reader, request.estate, name, subjects).await]);
    }
    observations
}

async fn one<R: KindReader>(
    reader: &R,
    estate: &str,
    name: &'static str,
    subjects: Vec<Subject<'_>>,
) -> (&'static str, KindObservation) {
    let Some((kind, description)) = reader.kinds().get(name) else {
        return (name, KindObservation::unknown(format!("{} has no kind {name}", R::Kind::PRODUCT)));
    };
    let asked = Asked { kind, description, estate, subjects };
    let observation = match reader.read(&asked).await {
        Ok(observation) => observation,
        Err(failure) => unknown(&asked.subjects, &failure.into_reason(reader.attempted(name))),
    };
    (name, observation)
}

/// Everything that is asked for, by kind. A kind that is asked only for what carries the mark has an empty list.
pub fn subjects<'a>(request: &'a ObserveRequest<'_>) -> BTreeMap<&'static str, Vec<Subject<'a>>> {
    let mut subjects: BTreeMap<&'static str, Vec<Subject<'a>>> = BTreeMap::new();
    for (kind, wanted) in &request.wanted {
        subjects.entry(kind).or_default().extend(wanted.iter().filter_map(|desired| {
            let identity = desired.identity.as_ref()?;
            let is_recorded = request.recorded.contains_key(&(*kind, identity));
            Some(Subject { identity, spec: &desired.spec, address: Some(&desired.address), is_recorded })
        }));
    }
    for (kind, known) in &request.known {
        subjects.entry(kind).or_default().extend(known.iter().map(|known| Subject {
            identity: known.identity,
            spec: &known.spec,
            address: None,
            is_recorded: true,
        }));
    }
    subjects
}

/// The observation of a kind that was read.
pub fn known(answers: Answers) -> KindObservation {
    KindObservation { resources: answers.into_iter().collect(), incomplete: None }
}

/// The observation of a kind that could not be read.
pub fn unknown(subjects: &[Subject<'_>], reason: &Arc<str>) -> KindObservation {
    let unknown = subjects.iter().map(|subject| (subject.identity.clone(), Observed::Unknown(reason.clone().into())));
    KindObservation { resources: unknown.collect(), incomplete: Some(reason.clone().into()) }
}

/// Answers for resources that are found by one key: those asked for, in their order, and the rest where it carries the
/// estate's mark. `present` gets the spec that is asked for, if any is.
pub fn by_key<'q, 's, State: 's, Key: Hash + Eq>(
    kind: &Kind,
    estate: &str,
    subjects: &[Subject<'q>],
    states: impl IntoIterator<Item = (Key, &'s State)>,
    key_asked: impl Fn(&Subject<'q>) -> Option<Key>,
    present: impl Fn(&State, Option<&Map>) -> Present,
) -> Answers {
    let mut states: HashMap<Key, (&State, bool)> =
        states.into_iter().map(|(key, state)| (key, (state, false))).collect();
    let mut answers = Answers::with_capacity(subjects.len());
    for subject in subjects {
        let observed = match key_asked(subject).map(|key| states.get_mut(&key)) {
            None => Observed::Unknown("its spec does not say what it is called".into()),
            Some(None) => Observed::Absent,
            Some(Some((state, is_asked))) => {
                *is_asked = true;
                Observed::Present(present(state, Some(subject.spec)))
            }
        };
        answers.push((subject.identity.clone(), observed));
    }
    for (state, _) in states.into_values().filter(|(_, is_asked)| !is_asked) {
        let found = present(state, None);
        if found.mark.as_ref().is_some_and(|mark| mark.is_of(estate))
            && let Some(identity) = kind.identity_of(&kind.normal(&found.spec))
        {
            answers.push((identity, Observed::Present(found)));
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Trouble, jar};
    use tenantry_core::model::mark::Mark;
    use tenantry_provider::contract::Known;

    mod pot {
        pub(super) use crate::fixture::jar as kind;
        pub const NAME: &str = "kitchen.jar";
    }

    crate::kinds! {
        enum Kitchen of "Kitchen" { Jar = pot }
    }

    struct Broken(Kinds<Kitchen>);

    #[async_trait]
    impl KindReader for Broken {
        type Kind = Kitchen;
        type Failure = Trouble;

        fn kinds(&self) -> &Kinds<Kitchen> {
            &self.0
        }

        fn attempted(&self, kind: &str) -> String {
            format!("reading {kind} of the kitchen")
        }

        async fn read(&self, asked: &Asked<'_, Kitchen>) -> Result<KindObservation, Trouble> {
            match asked.kind {
                Kitchen::Jar => Err(Trouble::Login),
            }
        }
    }

    fn spec(name: &str) -> Map {
        Map::from_fields([("name".into(), name.into())])
    }

    #[tokio::test]
    async fn an_outage_is_unknown_and_so_is_a_kind_that_there_is_not() {
        let identity = Identity::from("a");
        let known = vec![Known { identity: &identity, spec: spec("a") }];
        let request = ObserveRequest {
            estate: "shop",
            wanted: BTreeMap::from([("kitchen.cup", Vec::new())]),
            known: BTreeMap::from([("kitchen.jar", known)]),
            recorded: HashMap::new(),
        };
        let reader = Broken(Kinds::default());
        for observed in [side_by_side(&reader, &request).await, in_turn(&reader, &request).await] {
            let why = "reading kitchen.jar of the kitchen: no such user; check the user";
            assert_eq!(observed["kitchen.jar"].get("a"), Observed::Unknown(why.into()));
            assert_eq!(observed["kitchen.jar"].incomplete, Some(why.into()));
            assert_eq!(observed["kitchen.cup"].incomplete, Some("Kitchen has no kind kitchen.cup".into()));
        }
    }

    #[test]
    fn what_is_asked_for_is_answered_and_what_carries_the_mark_is_listed() {
        let (here, gone) = (Identity::from("here"), Identity::from("gone"));
        let (here_spec, gone_spec, nameless) = (spec("here"), spec("gone"), Map::default());
        let of = |identity, spec| Subject { identity, spec, address: None, is_recorded: true };
        let subjects = [of(&here, &here_spec), of(&gone, &gone_spec), of(&gone, &nameless)];
        let states = ["here", "ours", "theirs"];
        let present = |name: &&str, _: Option<&Map>| {
            let address = "acme/jar".parse().expect("an address");
            let mark = Mark { estate: "shop".into(), address, secret_hash: None };
            Present { spec: Arc::new(spec(name)), mark: (*name == "ours").then_some(mark), ..Present::default() }
        };
        let found = states.iter().map(|name| (*name, name));
        let answers = by_key(&jar(), "shop", &subjects, found, |subject| subject.text("name"), present);
        let told: Vec<(&str, bool)> = answers
            .iter()
            .map(|(identity, observed)| (&**identity, matches!(observed, Observed::Present(_))))
            .collect();
        assert_eq!(told, [("here", true), ("gone", false), ("gone", false), ("ours", true)]);
        assert_eq!(answers[1].1, Observed::Absent);
        assert!(matches!(answers[2].1, Observed::Unknown(_)));
    }
}
