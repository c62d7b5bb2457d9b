//! One step → a few requests.
//!
//! Nothing is proven before a replacement: an API is known by its definition alone, which names no request that tries without
//! keeping.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value as Json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::{Api, IdempotencyKey, Reply, fill};
use crate::definition::{self, Definition, Verb, Wait, WriteCall};
use crate::failure::{Failed as _, Failure};
use crate::mark;
use crate::object::{
    body, carry, changed, changed_names, fixed, id_of, is_object, name_of, outputs, placeholder, text_at, texts_at,
};
use crate::read::{Objects, find, group_key, list};
use tenantry_core::model::kind::{MarkPlace, readable_identity};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Obstacle, Steps};
use tenantry_provider::contract::{CommitGuard, Step, StepAction, Written};
use tenantry_transport::Method;

/// How often an operation is looked at: soon at first, then less and less.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub struct HttpWriter {
    api: Arc<Api>,
    /// What each group's list has, as far as it is known.
    lists: Mutex<HashMap<String, Objects>>,
    /// The keys of requests that made something, or may have: what is found of their name when the step is repeated is what they
    /// made.
    sent: Mutex<HashSet<Arc<str>>>,
    /// Those of which nobody knows what came of them, or that are not finished.
    unsettled: Mutex<HashSet<Arc<str>>>,
}

impl HttpWriter {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, lists: Mutex::default(), sent: Mutex::default(), unsettled: Mutex::default() }
    }

    async fn current(&self, definition: &Definition, spec: &Map) -> Result<Option<Json>, Failure> {
        let mut lists = self.lists.lock().await;
        let key = group_key(definition, spec);
        if !lists.contains_key(&key) {
            lists.insert(key.clone(), list(&self.api, definition, spec).await?);
        }
        let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
        let known = lists[&key].get(name).cloned().unwrap_or_default();
        drop(lists);
        find(&self.api, definition, spec, &Objects::from([(name.to_owned(), known)])).await
    }

    /// Notes what a name stands for from now on. Nothing, if that has to be asked again.
    async fn note(&self, definition: &Definition, spec: &Map, object: Option<&Json>) {
        let mut lists = self.lists.lock().await;
        let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
        let known = object.filter(|object| name_of(definition, object).as_deref() == Some(name));
        match known {
            Some(object) => {
                if let Some(objects) = lists.get_mut(&group_key(definition, spec)) {
                    objects.insert(name.to_owned(), vec![object.clone()]);
                }
            }
            None => {
                lists.remove(&group_key(definition, spec));
            }
        }
    }

    async fn write(&self, step: &Step) -> Result<Written, Failure> {
        let spec = step.spec();
        let definition = definition::of(spec).map_err(|(_, reason)| Failure::invalid(reason))?;
        let found = self.current(&definition, spec).await?;
        let there = found.as_ref().filter(|object| definition.is_there(object));
        if let Some(object) = there {
            let was_sent = self.sent.lock().await.contains(&step.idempotency_key);
            match check_owner(step, &definition, object, was_sent) {
                // Of a replacement that is repeated: the old one is gone, and this is what came in its place.
                Err(Failure::Obstacle(Obstacle::Conflict(_))) if was_sent && is_replaced(step) => {
                    return Ok(Written::default());
                }
                checked => checked?,
            }
        }
        match (&step.action, there) {
            (StepAction::Create { .. }, None) => self.create(step, &definition, spec, found.as_ref()).await,
            (StepAction::Update { .. }, None) => Err(Failure::vanished()),
            (StepAction::Create { .. } | StepAction::Update { .. }, Some(object)) => {
                self.update(step, &definition, spec, object).await
            }
            (StepAction::Delete { .. }, None) => Ok(Written::default()),
            (StepAction::Delete { .. }, Some(object)) => {
                let id = id_of(&definition, object);
                let call = &definition.delete;
                let mut body = (!call.body.is_empty()).then(|| fixed(call, spec));
                if let Some(body) = &mut body {
                    carry(&definition, call, body, Some(object));
                }
                let reply = self.send(call, spec, id.as_deref(), body.as_ref(), "", None).await?;
                if !reply.says_absent(&definition.absent) {
                    let reply = self.api.done(reply)?;
                    self.wait(&definition.delete, spec, &reply.json).await?;
                }
                self.lists.lock().await.entry(group_key(&definition, spec)).and_modify(|objects| {
                    objects.remove(spec.get("name").and_then(Value::as_str).unwrap_or_default());
                });
                Ok(Written::default())
            }
        }
    }

    /// `empty` is what the API answers though nothing is there.
    async fn create(
        &self,
        step: &Step,
        definition: &Definition,
        spec: &Map,
        empty: Option<&Json>,
    ) -> Result<Written, Failure> {
        let call = &definition.create;
        let mut body = body(definition, call, &step.action, None, &step.mark);
        carry(definition, call, &mut body, empty);
        let was_sent = self.sent.lock().await.contains(&step.idempotency_key);
        if !call.is_repeatable() && self.is_unsettled(step).await {
            return Err(Failure::Unsettled);
        }
        let reply = match self.send_once(step, call, spec, None, &body, "", &definition.exists).await? {
            Sent::Done(reply) => reply,
            Sent::Exists(reply) => {
                // Ours, of a try whose answer was lost, or somebody's who was faster.
                self.note(definition, spec, None).await;
                let Some(object) = self.current(definition, spec).await? else { return Err(refusal(&self.api, reply)) };
                check_owner(step, definition, &object, was_sent)?;
                return self.update(step, definition, spec, &object).await;
            }
        };
        let location = reply.location.as_deref().and_then(|location| location.trim_end_matches('/').rsplit('/').next());
        let object = self.settled(call, spec, &reply.json).await?;
        let told = match call.id_from.as_deref() {
            Some("Location") => location.map(str::to_owned),
            Some(at) => text_at(&reply.json, at),
            None => None,
        };
        // Where the answer does not tell, the list does.
        let object = match object.filter(|object| is_object(definition, object)) {
            Some(object) => Some(object),
            None => {
                self.note(definition, spec, None).await;
                self.current(definition, spec).await?
            }
        };
        if object.is_none() && told.is_none() && call.wait.is_none() {
            return Err(Failure::Unreadable(format!(
                "the API reports success (status {}), but it returned no object and has none of this name",
                reply.status
            )));
        }
        self.note(definition, spec, object.as_ref()).await;
        let captured = captured(definition, &reply.json);
        Ok(Written { captured, ..written(definition, object.as_ref(), told) })
    }

    async fn update(
        &self,
        step: &Step,
        definition: &Definition,
        spec: &Map,
        current: &Json,
    ) -> Result<Written, Failure> {
        let id = id_of(definition, current);
        let captures = step.kind.captures_of(spec);
        let renewing = |pointer: &String| captures.iter().any(|capture| capture.is_renewed_by(pointer));
        let (renews, is_all) = match &step.action {
            StepAction::Update { changed, removed, .. } => {
                (changed.iter().any(renewing), removed.is_empty() && changed.iter().all(renewing))
            }
            _ => (false, false),
        };
        let written = match &definition.update {
            Some(call) if !(renews && is_all) => self.change(step, definition, call, spec, current).await?,
            // What cannot change is there as it was made.
            _ => written(definition, Some(current), None),
        };
        let Some(call) = definition.renew.as_ref().filter(|_| renews) else { return Ok(written) };
        let body = (!call.body.is_empty()).then(|| fixed(call, spec));
        let reply = self.api.done(self.send(call, spec, id.as_deref(), body.as_ref(), "", None).await?)?;
        self.wait(call, spec, &reply.json).await?;
        self.note(definition, spec, None).await;
        Ok(Written { captured: captured(definition, &reply.json), ..written })
    }

    /// Brings the fields of what is there to what is wanted.
    async fn change(
        &self,
        step: &Step,
        definition: &Definition,
        call: &WriteCall,
        spec: &Map,
        current: &Json,
    ) -> Result<Written, Failure> {
        let id = id_of(definition, current);
        if call.only_changed && changed_names(definition, &step.action).is_empty() {
            return Ok(written(definition, Some(current), None));
        }
        let mut body = body(definition, call, &step.action, Some(current), &step.mark);
        carry(definition, call, &mut body, Some(current));
        let inner = body.pointer(&call.within).unwrap_or(&body);
        let changed = changed(definition, inner, &step.action);
        // Each of these makes one more. Whether one of ours came of an earlier try shows by its id.
        if definition.versioned && !call.is_repeatable() && self.is_unsettled(step).await {
            let planned = match &step.action {
                StepAction::Update { before, .. } => before.outputs.get("id").and_then(Value::as_str),
                _ => None,
            };
            return match planned.is_some() && planned != id.as_deref() {
                true => Ok(written(definition, Some(current), id)),
                false => Err(Failure::Unsettled),
            };
        }
        let (Sent::Done(reply) | Sent::Exists(reply)) =
            self.send_once(step, call, spec, id.as_deref(), &body, &changed, &[]).await?;
        let object = self.settled(call, spec, &reply.json).await?;
        let object = object.filter(|object| is_object(definition, object));
        self.note(definition, spec, object.as_ref()).await;
        Ok(written(definition, object.as_ref().or(Some(current)), id))
    }

    async fn is_unsettled(&self, step: &Step) -> bool {
        self.unsettled.lock().await.contains(&step.idempotency_key)
    }

    /// Sends what makes something, and notes that it was sent unless it was refused. `exists` are statuses that say that there
    /// is one already.
    #[expect(clippy::too_many_arguments, reason = "a request is made of all of these")]
    async fn send_once(
        &self,
        step: &Step,
        call: &WriteCall,
        spec: &Map,
        id: Option<&str>,
        body: &Json,
        changed: &str,
        exists: &[u16],
    ) -> Result<Sent, Failure> {
        let key = &step.idempotency_key;
        let is_creation = matches!(step.action, StepAction::Create { .. });
        let is_first = is_creation && self.sent.lock().await.insert(key.clone());
        self.unsettled.lock().await.insert(key.clone());
        // Another request than the one that made it, and so another key.
        let sent_key = if id.is_some() { format!("{key}/update") } else { key.to_string() };
        let idempotency_key = call.idempotency_key.as_deref().map(|header| IdempotencyKey { header, key: &sent_key });
        let sent = self.send(call, spec, id, Some(body), changed, idempotency_key).await;
        let sent = sent.and_then(|reply| match exists.contains(&reply.status) {
            true => Ok(Sent::Exists(reply)),
            false => self.api.done(reply).map(Sent::Done),
        });
        let is_refused = match &sent {
            Ok(Sent::Done(_)) => false,
            Ok(Sent::Exists(_)) => true,
            Err(failure) => !failure.is_in_doubt(),
        };
        if is_refused {
            self.unsettled.lock().await.remove(key);
        }
        if is_refused && is_first {
            self.sent.lock().await.remove(key);
        }
        sent
    }

    async fn send(
        &self,
        call: &WriteCall,
        spec: &Map,
        id: Option<&str>,
        body: Option<&Json>,
        changed: &str,
        idempotency_key: Option<IdempotencyKey<'_>>,
    ) -> Result<Reply, Failure> {
        let path = fill(&call.path, |name| match name {
            "changed" => Some(changed.into()),
            other => placeholder(spec, id, other),
        })?;
        let method = match call.method {
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        self.api.call(method, self.api.url(&path)?, body, idempotency_key).await
    }

    /// The object that a request made or changed, when that has come to its end.
    async fn settled(&self, call: &WriteCall, spec: &Map, answer: &Json) -> Result<Option<Json>, Failure> {
        let end = self.wait(call, spec, answer).await?;
        let answer = end.as_ref().unwrap_or(answer);
        Ok(answer.pointer(&call.item_at).filter(|object| object.is_object()).cloned())
    }

    /// Watches the operations that an answer names, until they end or their time is over. Returns what the last one said.
    async fn wait(&self, call: &WriteCall, spec: &Map, answer: &Json) -> Result<Option<Json>, Failure> {
        let Some(wait) = &call.wait else { return Ok(None) };
        let operations = texts_at(answer, &wait.operation_at);
        if operations.is_empty() || ended(wait, answer)? {
            return Ok(None);
        }
        let until = Instant::now() + Duration::from_secs(wait.seconds);
        let mut said = None;
        for operation in operations {
            said = Some(self.watch(wait, spec, &operation, until).await?);
        }
        Ok(said)
    }

    async fn watch(&self, wait: &Wait, spec: &Map, operation: &str, until: Instant) -> Result<Json, Failure> {
        let url = if operation.contains("://") {
            self.api.answered(operation)?
        } else {
            let path = fill(&wait.path, |name| match name {
                "operation" => Some(operation.into()),
                other => placeholder(spec, None, other),
            })?;
            self.api.url(&path)?
        };
        let mut pause = FIRST_LOOK;
        loop {
            let reply = self.api.done(self.api.call(Method::GET, url.clone(), None, None).await?)?;
            // One whose time is over has not failed: whoever observes what it makes says what that waits for.
            if ended(wait, &reply.json)? || Instant::now() + pause > until {
                return Ok(reply.json);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What came of a request that makes something.
enum Sent {
    Done(Reply),
    /// There is one already.
    Exists(Reply),
}

/// Whether an operation has ended well.
fn ended(wait: &Wait, answer: &Json) -> Result<bool, Failure> {
    if wait.failed.as_ref().is_some_and(|failed| failed.holds(answer)) {
        let message = wait.message_at.as_ref().and_then(|at| text_at(answer, at));
        let message = message.filter(|message| !message.is_empty());
        return Err(Failure::Operation(message.unwrap_or_else(|| "the API gives no reason".to_owned())));
    }
    Ok(wait.done.holds(answer))
}

fn refusal(api: &Api, reply: Reply) -> Failure {
    api.done(reply).err().unwrap_or_else(|| Failure::conflict("it exists, but it is not found by its name"))
}

fn written(definition: &Definition, object: Option<&Json>, told: Option<String>) -> Written {
    let mut outputs: Map = object.map(|object| outputs(definition, object)).into_iter().flatten().collect();
    if let Some(told) = told.filter(|_| !outputs.contains("id")) {
        outputs = outputs.with("id", told.into());
    }
    Written { outputs, ..Written::default() }
}

/// What an answer tells only once.
fn captured(definition: &Definition, answer: &Json) -> BTreeMap<Cow<'static, str>, SecretString> {
    let told = definition.captures.iter();
    told.filter_map(|(name, told)| Some((name.clone().into(), text_at(answer, &told.at)?.into()))).collect()
}

/// Whether a step deletes what has no room for a mark.
fn is_replaced(step: &Step) -> bool {
    step.is_delete() && step.kind.mark == MarkPlace::Inventory
}

/// Whether a step may change an object. `was_sent` says of a creation that it is repeated.
fn check_owner(step: &Step, definition: &Definition, object: &Json, was_sent: bool) -> Result<(), Failure> {
    if step.kind.mark == MarkPlace::Inventory {
        let (StepAction::Update { before, .. } | StepAction::Delete { before }) = &step.action else {
            let is_free = was_sent.then_some(());
            return is_free.ok_or_else(|| Failure::conflict("an object of this name already exists; plan again"));
        };
        // Only an id tells what the plan saw from what has its name since.
        let planned = before.outputs.get("id").and_then(Value::as_str).filter(|_| !definition.versioned);
        let there = definition.id_at.as_ref().and_then(|_| id_of(definition, object));
        return match planned.zip(there.as_deref()) {
            Some((planned, there)) if planned != there => Err(Failure::conflict(format!(
                "it is another object than when the plan was made: its id was {planned} and is {there}"
            ))),
            _ => Ok(()),
        };
    }
    let current = mark::take(&definition.mark, &mut object.clone());
    step.check_owner(current.as_ref()).map_err(Failure::conflict)
}

#[async_trait]
impl Steps for HttpWriter {
    type Failure = Failure;

    async fn step(&self, step: &Step, _: &dyn CommitGuard) -> Result<Written, Failure> {
        let written = self.write(step).await?;
        self.unsettled.lock().await.remove(&step.idempotency_key);
        Ok(written)
    }

    fn attempted(&self, step: &Step) -> String {
        format!("{} {}", step.verb(), readable_identity(&step.identity))
    }

    async fn failed(&self, step: &Step, failure: Failure, is_written: bool) -> (Failure, bool) {
        // What was done all the same is to be seen by the next try.
        self.lists.lock().await.clear();
        let is_in_doubt = is_written || matches!(failure, Failure::Unsettled);
        (failure.masked(&step.secret_values()), is_in_doubt)
    }
}
