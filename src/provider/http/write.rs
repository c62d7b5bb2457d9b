//! One step → a few requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value as Json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::api::{Api, Failure, Reply, fill};
use super::definition::{self, Definition, Verb, Wait, WriteCall};
use super::mark;
use super::object::{body, changed, changed_names, id_of, name_of, placeholder, text_at};
use super::read::{Objects, find, group_key, list};
use crate::core::model::kind::{MarkPlace, readable_identity};
use crate::core::model::value::{Map, Value};
use crate::provider::contract::{Step, StepAction, WriteError, Writer, Written};
use crate::provider::transport::Method;

/// How often an operation is looked at: soon at first, then less and less.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub struct HttpWriter {
    api: Arc<Api>,
    /// What each group's list has, as far as it is known.
    lists: Mutex<HashMap<String, Objects>>,
}

impl HttpWriter {
    pub fn new(api: Arc<Api>) -> Self {
        Self { api, lists: Mutex::default() }
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

    async fn step(&self, step: &Step) -> Result<Written, Failure> {
        let spec = step.spec();
        let definition = definition::of(spec).map_err(|(_, reason)| Failure::Invalid(reason))?;
        let found = self.current(&definition, spec).await?;
        if let Some(object) = &found {
            check_owner(step, &definition, object)?;
        }
        match (&step.action, found) {
            (StepAction::Create { .. }, None) => self.create(step, &definition, spec).await,
            (StepAction::Update { .. }, None) => Err(Failure::Conflict("it no longer exists; plan again".to_owned())),
            (StepAction::Create { .. } | StepAction::Update { .. }, Some(object)) => {
                self.update(step, &definition, spec, &object).await
            }
            (StepAction::Delete { .. }, None) => Ok(Written::default()),
            (StepAction::Delete { .. }, Some(object)) => {
                let id = id_of(&definition, &object);
                let reply = self.send(&definition.delete, spec, id.as_deref(), None, "", None).await?;
                if !definition.absent.contains(&reply.status) {
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

    async fn create(&self, step: &Step, definition: &Definition, spec: &Map) -> Result<Written, Failure> {
        let call = &definition.create;
        let body = body(definition, call, &step.action, None, &step.mark);
        let reply = self.send(call, spec, None, Some(&body), "", Some(&step.idempotency_key)).await?;
        if definition.exists.contains(&reply.status) {
            // Ours, of a try whose answer was lost, or somebody's who was faster.
            self.note(definition, spec, None).await;
            let Some(object) = self.current(definition, spec).await? else { return Err(refusal(&self.api, reply)) };
            if step.kind.mark == MarkPlace::Inventory {
                return Err(Failure::Conflict("there is one of this name already; plan again".to_owned()));
            }
            check_owner(step, definition, &object)?;
            return self.update(step, definition, spec, &object).await;
        }
        let reply = self.api.done(reply)?;
        let location = reply.location.as_deref().and_then(|location| location.trim_end_matches('/').rsplit('/').next());
        let object = self.settled(call, spec, &reply.json).await?;
        let told = match call.id_from.as_deref() {
            Some("Location") => location.map(str::to_owned),
            Some(at) => text_at(&reply.json, at),
            None => None,
        };
        // Where the answer does not tell, the list does.
        let object = match object.filter(|object| name_of(definition, object).is_some()) {
            Some(object) => Some(object),
            None => {
                self.note(definition, spec, None).await;
                self.current(definition, spec).await?
            }
        };
        self.note(definition, spec, object.as_ref()).await;
        Ok(written(definition, object.as_ref(), told))
    }

    async fn update(
        &self,
        step: &Step,
        definition: &Definition,
        spec: &Map,
        current: &Json,
    ) -> Result<Written, Failure> {
        let Some(call) = &definition.update else {
            // What cannot change is there as it was made.
            return Ok(written(definition, Some(current), None));
        };
        let id = id_of(definition, current);
        if call.only_changed && changed_names(definition, &step.action).is_empty() {
            return Ok(written(definition, Some(current), None));
        }
        let body = body(definition, call, &step.action, Some(current), &step.mark);
        let inner = body.pointer(&call.within).unwrap_or(&body);
        let changed = changed(definition, inner, &step.action);
        let reply = self.send(call, spec, id.as_deref(), Some(&body), &changed, None).await?;
        let reply = self.api.done(reply)?;
        let object = self.settled(call, spec, &reply.json).await?;
        let object = object.filter(|object| name_of(definition, object).is_some());
        self.note(definition, spec, object.as_ref()).await;
        Ok(written(definition, object.as_ref().or(Some(current)), id))
    }

    async fn send(
        &self,
        call: &WriteCall,
        spec: &Map,
        id: Option<&str>,
        body: Option<&Json>,
        changed: &str,
        idempotency_key: Option<&str>,
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

    /// Watches the operation that an answer names, until it ends or its time is over. Returns what it said last.
    async fn wait(&self, call: &WriteCall, spec: &Map, answer: &Json) -> Result<Option<Json>, Failure> {
        let Some(wait) = &call.wait else { return Ok(None) };
        let Some(operation) = text_at(answer, &wait.operation_at) else { return Ok(None) };
        if ended(wait, answer)? {
            return Ok(None);
        }
        let url = if operation.contains("://") {
            self.api.answered(&operation)?
        } else {
            let path = fill(&wait.path, |name| match name {
                "operation" => Some(operation.as_str().into()),
                other => placeholder(spec, None, other),
            })?;
            self.api.url(&path)?
        };
        let until = Instant::now() + Duration::from_secs(wait.seconds);
        let mut pause = FIRST_LOOK;
        loop {
            let reply = self.api.done(self.api.call(Method::GET, url.clone(), None, None).await?)?;
            if ended(wait, &reply.json)? {
                return Ok(Some(reply.json));
            }
            // Not failed: whoever observes it says what it waits for.
            if Instant::now() + pause > until {
                return Ok(Some(reply.json));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether an operation has ended well.
fn ended(wait: &Wait, answer: &Json) -> Result<bool, Failure> {
    if wait.failed.as_ref().is_some_and(|failed| failed.holds(answer)) {
        let message = wait.message_at.as_ref().and_then(|at| text_at(answer, at));
        let message = message.filter(|message| !message.is_empty());
        return Err(Failure::Operation(message.unwrap_or_else(|| "the API does not say why".to_owned())));
    }
    Ok(wait.done.holds(answer))
}

fn refusal(api: &Api, reply: Reply) -> Failure {
    api.done(reply).err().unwrap_or_else(|| Failure::Conflict("it exists, and is not to be found".to_owned()))
}

fn written(definition: &Definition, object: Option<&Json>, told: Option<String>) -> Written {
    let id = object.and_then(|object| id_of(definition, object)).or(told);
    let uri = definition.uri_at.as_ref().and_then(|at| text_at(object?, at));
    let outputs = [("id", id), ("uri", uri)];
    Written {
        outputs: outputs.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))).collect(),
        ..Written::default()
    }
}

/// Whether a step may change an object.
fn check_owner(step: &Step, definition: &Definition, object: &Json) -> Result<(), Failure> {
    if step.kind.mark == MarkPlace::Inventory {
        return Ok(());
    }
    let current = mark::take(&definition.mark, &mut object.clone());
    step.check_owner(current.as_ref()).map_err(Failure::Conflict)
}

#[async_trait]
impl Writer for HttpWriter {
    async fn write(&self, batch: &[Step]) -> Result<Vec<Written>, WriteError> {
        let mut done = Vec::with_capacity(batch.len());
        for (index, step) in batch.iter().enumerate() {
            match self.step(step).await {
                Ok(written) => done.push(written),
                Err(failure) => {
                    let mut error =
                        failure.into_provider_error(format!("{} {}", step.verb(), readable_identity(&step.identity)));
                    error.mask(step.secret_values());
                    return Err(WriteError { step: index, done, error });
                }
            }
        }
        Ok(done)
    }
}
