//! One contract, run against every provider on its real server.
//!
//! A provider is done when [`check`] finds nothing for each of its kinds. The cases are the provider's; what must hold of
//! them is written here once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::contract::{
    CommitGuard, ErrorClass, Known, LeaseLost, ObserveRequest, Reader, Step, StepAction, WriteError, Writer, Written,
};
use tenantry_core::diagnostics::{FileId, Origin, Span};
use tenantry_core::diff::compare;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::{Catalogue, Kind, MarkPlace};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_core::model::value::{Map, Value};

/// One kind's example.
pub struct Case {
    pub kind: &'static str,
    /// What has to exist first, in order: kind and spec.
    pub needs: Vec<(&'static str, serde_json::Value)>,
    pub spec: serde_json::Value,
    /// The same resource after an edit of every field that can change.
    pub updated: serde_json::Value,
    /// Whether making it only adds to what is there and takes nothing from anybody, as privileges do.
    pub adds: bool,
    /// Pointers of references that the target takes whether or not what they name is there.
    pub lenient: &'static [&'static str],
    /// Whether each estate has resources of its own under one name, so that none can stand in another's way.
    pub apart: bool,
    /// What is written below it once it exists, kind and spec, and goes with it. For a kind that is nothing but what it holds.
    pub holds: Vec<(&'static str, serde_json::Value)>,
}

/// A target that the provider can be tried on.
pub struct Subject<'a> {
    pub catalogue: &'a Catalogue,
    pub reader: &'a dyn Reader,
    /// Another reader of the same target, with connections of its own.
    pub other: &'a dyn Reader,
    pub writer: &'a dyn Writer,
    /// A reader of a server that does not answer.
    pub unreachable: &'a dyn Reader,
}

const ESTATE: &str = "conformance";

/// For writes that no lock protects.
struct Unguarded;

#[async_trait]
impl CommitGuard for Unguarded {
    fn grace(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn check(&self) -> Result<(), LeaseLost> {
        Ok(())
    }
}

/// Writing where no lock is at stake: in tests. A run has no way to it (`tests/rooms.rs`).
#[async_trait]
pub trait WriteUnguarded {
    /// As [`Writer::write_guarded`], with nobody to ask.
    ///
    /// # Errors
    /// Those of [`Writer::write_guarded`].
    async fn write(&self, batch: &[Step]) -> Result<Vec<Written>, WriteError>;
}

#[async_trait]
impl<W: Writer + ?Sized> WriteUnguarded for W {
    async fn write(&self, batch: &[Step]) -> Result<Vec<Written>, WriteError> {
        self.write_guarded(batch, &Unguarded).await
    }
}

/// Takes one resource through its life and returns everything that the contract does not allow.
pub async fn check(subject: &Subject<'_>, case: &Case) -> Vec<String> {
    let mut trial = Trial { subject, violations: Vec::new(), case: case.kind };
    let mut made = Vec::new();
    for (index, (kind, spec)) in case.needs.iter().enumerate() {
        let needed = trial.desired(&format!("conformance/needed_{index}"), kind, spec);
        if let Err(error) = trial.write(&needed, Trial::create(&needed), ESTATE).await {
            trial.violations.push(format!("{}: what it needs cannot be made: {error}", case.kind));
        }
        made.push(needed);
    }
    trial.fingerprint().await;
    trial.life(case).await;
    trial.ownership(case).await;
    trial.second(case).await;
    trial.missing(case).await;
    trial.outage(case).await;
    for needed in made.iter().rev() {
        if let Err(error) = trial.delete(needed, ESTATE).await {
            trial.violations.push(format!("{}: what it needed cannot be deleted: {error}", case.kind));
        }
    }
    trial.violations
}

struct Trial<'a> {
    subject: &'a Subject<'a>,
    violations: Vec<String>,
    case: &'static str,
}

impl Trial<'_> {
    fn desired(&self, address: &str, kind: &str, spec: &serde_json::Value) -> Desired {
        let kind: Arc<Kind> = self.subject.catalogue.get(kind).expect("the case names a kind of the catalogue").clone();
        let spec = Value::from(spec).as_map().cloned().unwrap_or_default();
        let spec = kind.normal(&spec);
        Desired {
            address: address.parse::<Address>().expect("an address"),
            identity: kind.identity_of(&spec),
            target: "target".into(),
            spec,
            kind,
            sensitive: Arc::default(),
            protect: false,
            optional: false,
            adopt: false,
            depends_on: Vec::new(),
            previously: Vec::new(),
            origin: Origin { file: FileId(0), span: Span::default() },
        }
    }

    fn expect(&mut self, holds: bool, what: &str, found: impl std::fmt::Debug) {
        if !holds {
            self.violations.push(format!("{}: {what}; found {found:?}", self.case));
        }
    }

    fn create(desired: &Desired) -> StepAction {
        StepAction::Create { spec: Map::clone(&desired.spec), secrets: Vec::new() }
    }

    fn update(desired: &Desired, before: Present) -> StepAction {
        Self::update_from(desired, before, None)
    }

    fn update_from(desired: &Desired, before: Present, applied: Option<&Map>) -> StepAction {
        let differences = compare(&desired.kind, &desired.spec, &before.spec, applied);
        let (changed, removed): (Vec<_>, Vec<_>) =
            differences.iter().partition(|difference| difference.after.is_some());
        let pointers = |all: Vec<&tenantry_core::diff::Difference>| {
            all.iter().map(|difference| difference.pointer.to_string()).collect()
        };
        StepAction::Update {
            spec: Map::clone(&desired.spec),
            before,
            applied: applied.cloned(),
            changed: pointers(changed),
            removed: pointers(removed),
            secrets: Vec::new(),
        }
    }

    fn step(desired: &Desired, action: StepAction, estate: &str) -> Step {
        Step {
            kind: desired.kind.clone(),
            identity: desired.identity.clone().expect("a case has no deferred values"),
            action,
            mark: Mark { estate: estate.into(), address: desired.address.clone(), secret_hash: None },
            idempotency_key: format!("{estate}-{}", desired.address).into(),
        }
    }

    async fn write(&self, desired: &Desired, action: StepAction, estate: &str) -> Result<Written, String> {
        let step = Self::step(desired, action, estate);
        self.subject
            .writer
            .write(&[step])
            .await
            .map(|written| written.into_iter().next().unwrap_or_default())
            .map_err(|error| format!("{:?}: {error}", error.error.class))
    }

    async fn delete(&self, desired: &Desired, estate: &str) -> Result<Written, String> {
        let before = match self.observe(self.subject.reader, desired).await {
            Observed::Present(present) => present,
            _ => Present { spec: desired.spec.shared(), ..Present::default() },
        };
        self.write(desired, StepAction::Delete { before }, estate).await
    }

    async fn observe(&self, reader: &dyn Reader, desired: &Desired) -> Observed {
        let request = ObserveRequest {
            estate: ESTATE,
            wanted: BTreeMap::from([(desired.kind.name, vec![desired])]),
            known: BTreeMap::new(),
            recorded: HashMap::new(),
        };
        let mut answer = reader.observe(&request).await;
        let identity = desired.identity.as_deref().unwrap_or_default();
        answer.remove(desired.kind.name).map_or(Observed::Unknown("no answer".into()), |kind| kind.get(identity))
    }

    /// The target tells which system it is, the same to everybody, and an outage is no denial.
    async fn fingerprint(&mut self) {
        let Subject { reader, other, unreachable, .. } = self.subject;
        let (first, again, elsewhere) = (reader.identify().await, reader.identify().await, other.identify().await);
        match (&first, &again, &elsewhere) {
            (Ok(Some(first)), Ok(Some(again)), Ok(Some(elsewhere))) => {
                self.expect(first == again, "it is the same system when it is asked twice", (first, again));
                self.expect(first == elsewhere, "it is the same system over another connection", (first, elsewhere));
                self.expect(!first.as_str().trim().is_empty(), "its fingerprint is not empty", first);
            }
            told => self.expect(false, "it tells which system it is", told),
        }
        let told = unreachable.identify().await;
        let is_denied = told.as_ref().is_err_and(|error| error.class == ErrorClass::Denied);
        self.expect(!is_denied, "without an answer nothing is denied", &told);
    }

    /// Absent → created → created again → updated → updated again → deleted → deleted again.
    async fn life(&mut self, case: &Case) {
        let desired = self.desired("conformance/subject", case.kind, &case.spec);
        let updated = self.desired("conformance/subject", case.kind, &case.updated);
        let again = desired.kind.canonical(&desired.spec);
        self.expect(again == *desired.spec, "normalising twice is normalising once", again);
        self.expect(desired.identity == updated.identity, "an edit keeps the identity", &updated.identity);
        let observed = self.observe(self.subject.reader, &desired).await;
        self.expect(observed == Observed::Absent, "nothing is there before", &observed);

        for attempt in ["creating", "creating again"] {
            let result = self.write(&desired, Self::create(&desired), ESTATE).await;
            self.expect(result.is_ok(), attempt, &result);
            self.is_silent(&result, attempt);
            if let (Ok(written), "creating") = (&result, attempt) {
                let told: Vec<&str> = written.captured.keys().map(|name| &**name).collect();
                let captures = desired.kind.captures_of(&desired.spec);
                let due = captures.iter().filter(|capture| capture.is_told(&desired.spec));
                let due: Vec<&str> = due.map(|capture| &*capture.name).collect();
                self.expect(told == due, "what is told once is told with the creation", &told);
            }
            if attempt == "creating" {
                self.fill(case).await;
            }
            self.is_as(&desired, attempt).await;
        }
        for attempt in ["updating", "updating again"] {
            let Observed::Present(before) = self.observe(self.subject.reader, &updated).await else { continue };
            let differences = compare(&updated.kind, &updated.spec, &before.spec, Some(&desired.spec));
            let is_left_alone = updated.kind.leaves_alone(&updated.spec) && desired.kind.leaves_alone(&desired.spec);
            self.expect(!is_left_alone || differences.is_empty(), "what is left alone does not differ", &differences);
            let action = Self::update_from(&updated, before, Some(&desired.spec));
            let result = self.write(&updated, action, ESTATE).await;
            self.expect(result.is_ok(), attempt, &result);
            self.is_silent(&result, attempt);
            self.is_as(&updated, attempt).await;
        }
        for attempt in ["deleting", "deleting again"] {
            let result = self.delete(&updated, ESTATE).await;
            self.expect(result.is_ok(), attempt, &result);
            self.is_silent(&result, attempt);
            self.wait_until_gone(&updated).await;
            let observed = self.observe(self.subject.reader, &updated).await;
            self.expect(observed == Observed::Absent, &format!("nothing is there after {attempt}"), &observed);
            for held in self.held(case) {
                let observed = self.observe(self.subject.reader, &held).await;
                self.expect(observed == Observed::Absent, &format!("what it held is gone after {attempt}"), &observed);
            }
        }
    }

    /// What the resource of a case holds.
    fn held(&self, case: &Case) -> Vec<Desired> {
        let held = case.holds.iter().enumerate();
        held.map(|(index, (kind, spec))| self.desired(&format!("conformance/held_{index}"), kind, spec)).collect()
    }

    async fn fill(&mut self, case: &Case) {
        for held in self.held(case) {
            let result = self.write(&held, Self::create(&held), ESTATE).await;
            self.expect(result.is_ok(), "what it holds is written", &result);
            let observed = self.observe(self.subject.reader, &held).await;
            self.expect(matches!(observed, Observed::Present(_)), "what it holds is there", &observed);
        }
    }

    /// Of a write that went as it should nobody has to read anything.
    fn is_silent(&mut self, result: &Result<Written, String>, attempt: &str) {
        let notices = result.as_ref().map(|written| written.notices.as_slice()).unwrap_or_default();
        self.expect(notices.is_empty(), &format!("{attempt} says nothing beside success"), notices);
    }

    /// Waits while what was deleted is still there and says why.
    async fn wait_until_gone(&self, desired: &Desired) {
        let identity = desired.identity.clone().expect("the suite asks for what has a name");
        for _ in 0..600 {
            let known = Known { identity: &identity, spec: Map::clone(&desired.spec) };
            let request = ObserveRequest {
                estate: ESTATE,
                wanted: BTreeMap::from([(desired.kind.name, Vec::new())]),
                known: BTreeMap::from([(desired.kind.name, vec![known])]),
                recorded: HashMap::new(),
            };
            let answer = self.subject.reader.observe(&request).await.remove(desired.kind.name);
            match answer.map(|kind| kind.get(&identity)) {
                Some(Observed::Present(Present { pending: Some(_), .. })) => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                _ => return,
            }
        }
    }

    /// Observed as desired, with our mark, whether it is asked for or only known.
    async fn is_as(&mut self, desired: &Desired, after: &str) {
        let observed = self.observe(self.subject.reader, desired).await;
        let Observed::Present(present) = &observed else {
            return self.expect(false, &format!("it is there after {after}"), &observed);
        };
        let differences = compare(&desired.kind, &desired.spec, &present.spec, Some(&desired.spec));
        self.expect(differences.is_empty(), &format!("after {after} it plans empty"), &differences);
        let again = desired.kind.canonical(&present.spec);
        self.expect(again == *present.spec, "what is observed is normalised", (&again, &present.spec));
        if desired.kind.mark != MarkPlace::Inventory {
            let mark = present.mark.as_ref().map(|mark| (mark.estate.to_string(), mark.address.to_string()));
            let ours = Some((ESTATE.to_owned(), desired.address.to_string()));
            self.expect(mark == ours, &format!("after {after} it carries our mark"), &mark);
        }
        let identity = desired.identity.clone().expect("the suite asks for what has a name");
        let known = Known { identity: &identity, spec: Map::clone(&desired.spec) };
        let request = ObserveRequest {
            estate: ESTATE,
            wanted: BTreeMap::from([(desired.kind.name, Vec::new())]),
            known: BTreeMap::from([(desired.kind.name, vec![known])]),
            recorded: HashMap::new(),
        };
        let answer = self.subject.reader.observe(&request).await.remove(desired.kind.name);
        let found = answer.map(|kind| kind.get(&identity));
        self.expect(matches!(found, Some(Observed::Present(_))), "it is found when it is only known", &found);
    }

    /// What another estate marked is neither taken over nor deleted.
    async fn ownership(&mut self, case: &Case) {
        let theirs = self.desired("other/subject", case.kind, &case.spec);
        if theirs.kind.mark == MarkPlace::Inventory || case.apart {
            return;
        }
        let result = self.write(&theirs, Self::create(&theirs), "somebody-else").await;
        self.expect(result.is_ok(), "creating for another estate", &result);
        let ours = self.desired("conformance/subject", case.kind, &case.spec);
        let conflict = format!("{:?}", ErrorClass::Conflict);
        let is_conflict =
            |result: &Result<Written, String>| result.as_ref().is_err_and(|error| error.starts_with(&conflict));
        let created = self.write(&ours, Self::create(&ours), ESTATE).await;
        self.expect(is_conflict(&created), "creating what another estate has is a conflict", &created);
        let updated = self.desired("conformance/subject", case.kind, &case.updated);
        let action = Self::update(&updated, Present { spec: ours.spec.shared(), ..Present::default() });
        let changed = self.write(&updated, action, ESTATE).await;
        self.expect(is_conflict(&changed), "updating what another estate has marked since is a conflict", &changed);
        let deleted = self.delete(&ours, ESTATE).await;
        self.expect(is_conflict(&deleted), "deleting what another estate has is a conflict", &deleted);
        let observed = self.observe(self.subject.reader, &ours).await;
        let whose = match &observed {
            Observed::Present(Present { mark: Some(mark), .. }) => Some(mark.estate.to_string()),
            _ => None,
        };
        self.expect(whose.as_deref() == Some("somebody-else"), "it is still the other's", &observed);
        let cleaned = self.delete(&theirs, "somebody-else").await;
        self.expect(cleaned.is_ok(), "the other deletes it", &cleaned);
        self.wait_until_gone(&theirs).await;
    }

    /// What stands at another address of the estate is not made a second time, nor deleted for this one.
    async fn second(&mut self, case: &Case) {
        let first = self.desired("conformance/first", case.kind, &case.spec);
        let second = self.desired("conformance/second", case.kind, &case.updated);
        let differences = compare(&second.kind, &second.spec, &first.spec, Some(&second.spec));
        let is_marked = first.kind.mark != MarkPlace::Inventory;
        // Without a mark, what is just as it is wanted may be what an earlier attempt made.
        let is_question = is_marked || !differences.is_empty();
        if first.identity != second.identity || !is_question || case.adds || case.apart {
            return;
        }
        let created = self.write(&first, Self::create(&first), ESTATE).await;
        self.expect(created.is_ok(), "creating the first of two", &created);
        let again = self.write(&second, Self::create(&second), ESTATE).await;
        self.expect(again.is_err(), "creating what another address has is refused", &again);
        if is_marked {
            let deleted = self.delete(&second, ESTATE).await;
            self.expect(deleted.is_err(), "deleting what another address has is refused", &deleted);
        }
        self.is_as(&first, "a second creation").await;
        let cleaned = self.delete(&first, ESTATE).await;
        self.expect(cleaned.is_ok(), "deleting the first of two", &cleaned);
        self.wait_until_gone(&first).await;
    }

    /// What refers to something that is not there is refused, and nothing is left of the attempt.
    async fn missing(&mut self, case: &Case) {
        let kind = self.subject.catalogue.get(case.kind).expect("the case names a kind of the catalogue").clone();
        let mut pointers: Vec<&str> = kind.references.iter().map(|reference| reference.pointer).collect();
        pointers.dedup();
        for pointer in pointers.into_iter().filter(|pointer| !case.lenient.contains(pointer)) {
            let with_field = [&case.spec, &case.updated].into_iter().find(|spec| spec.pointer(pointer).is_some());
            let Some(mut spec) = with_field.cloned() else { continue };
            match spec.pointer_mut(pointer) {
                Some(serde_json::Value::String(name)) => name.push('x'),
                Some(serde_json::Value::Array(names)) if !names.is_empty() => {
                    *names = vec![format!("{}x", names[0].as_str().unwrap_or_default()).into()];
                }
                _ => continue,
            }
            let desired = self.desired("conformance/subject", case.kind, &spec);
            let created = self.write(&desired, Self::create(&desired), ESTATE).await;
            self.expect(
                created.is_err(),
                &format!("creating it is refused while its {pointer} is not there"),
                &created,
            );
            let observed = self.observe(self.subject.reader, &desired).await;
            let nothing = !matches!(observed, Observed::Present(_));
            self.expect(nothing, &format!("nothing is left where its {pointer} is not there"), &observed);
            if !nothing {
                _ = self.delete(&desired, ESTATE).await;
            }
        }
    }

    /// A server that does not answer makes everything unknown.
    async fn outage(&mut self, case: &Case) {
        let desired = self.desired("conformance/subject", case.kind, &case.spec);
        let observed = self.observe(self.subject.unreachable, &desired).await;
        self.expect(matches!(observed, Observed::Unknown(_)), "without an answer it is unknown", &observed);
    }
}
