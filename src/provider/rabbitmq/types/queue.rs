//! `rabbitmq.queue`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::unmarked::Unmarked;
use super::{check_names, check_reserved, name_limit, reference, spec_of, text};
use tenantry_core::model::kind::{Kind, Problem};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A queue. None of its properties can change; a replacement begins empty.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.queue")]
pub struct QueueSpec {
    /// Its virtual host.
    pub vhost: String,
    /// The queue's name.
    pub name: String,
    /// `classic`, `quorum` or `stream`.
    #[serde(default = "classic", rename = "type")]
    pub sort: String,
    /// Whether it survives a restart of the broker.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Whether it is deleted once its last consumer is gone.
    #[serde(default)]
    pub auto_delete: bool,
    /// Such as `x-max-length` or `x-dead-letter-exchange`, but not the queue type, which is `type`. Set what a policy can set
    /// in a policy, where it can change.
    #[serde(default)]
    pub arguments: serde_json::Map<String, Json>,
}

fn classic() -> String {
    "classic".to_owned()
}

fn yes() -> bool {
    true
}

const SORTS: [&str; 3] = ["classic", "quorum", "stream"];
const SORT_ARGUMENT: &str = "x-queue-type";

pub const NAME: &str = "rabbitmq.queue";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/type", "/durable", "/autoDelete", "/arguments"],
        name_limits: const { &[name_limit("/name")] },
        references: const { &[reference("/vhost", "rabbitmq.vhost")] },
        check,
        ..describe::<QueueSpec>(
            NAME,
            "A queue of a virtual host of a RabbitMQ broker.",
            &["vhost", "name"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems = check_names(spec, &["vhost", "name"]);
    problems.extend(check_reserved(spec, "name"));
    let sort = text(spec, "type");
    if spec.get("type").is_some_and(|sort| !sort.has_deferred()) && !SORTS.contains(&sort) {
        let problem = Problem::error("/type", format!("there is no queue type {sort:?}"));
        problems.push(problem.help("write classic, quorum or stream"));
    }
    let is = |field: &str, value: bool| spec.get(field).and_then(Value::as_bool) == Some(value);
    if sort != "classic" && is("durable", false) {
        problems.push(Problem::error("/durable", format!("a {sort} queue is always durable")));
    }
    if sort != "classic" && is("autoDelete", true) {
        problems.push(Problem::error("/autoDelete", format!("a {sort} queue cannot have `autoDelete`")));
    }
    if spec.get("arguments").is_some_and(|arguments| arguments.get(SORT_ARGUMENT).is_some()) {
        let problem = Problem::error(format!("/arguments/{SORT_ARGUMENT}"), "the queue type is not an argument here");
        problems.push(problem.help("use the field `type`"));
    }
    problems
}

impl Unmarked for QueueSpec {
    const LIST: &'static str = "queues";

    /// The sort stands among the arguments there; without it the queue is a classic one.
    fn of_api(object: &Json) -> Map {
        let names = [("vhost", "vhost"), ("name", "name"), ("durable", "durable"), ("autoDelete", "auto_delete")];
        let arguments = Value::from(object.get("arguments").unwrap_or(&Json::Null));
        let arguments = arguments.as_map().cloned().unwrap_or_default();
        let sort = arguments.get(SORT_ARGUMENT).cloned().unwrap_or_else(|| "classic".into());
        spec_of(object, &names).with("arguments", arguments.without(SORT_ARGUMENT).into()).with("type", sort)
    }

    fn path(&self) -> Vec<&str> {
        vec!["queues", &self.vhost, &self.name]
    }

    fn body(&self) -> Json {
        let mut arguments = self.arguments.clone();
        arguments.insert(SORT_ARGUMENT.to_owned(), self.sort.as_str().into());
        serde_json::json!({"durable": self.durable, "auto_delete": self.auto_delete, "arguments": arguments})
    }
}
