//! `rabbitmq.user`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{check_names, name_limit};
use crate::mark::{TAG, parse_tag};
use crate::password;
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::normal::Normal;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A user of the broker.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "rabbitmq.user")]
pub struct UserSpec {
    /// The user's name.
    pub name: String,
    /// Sent only as a salted hash. If absent, the password is not compared, and a new user has none.
    pub password: Option<String>,
    /// What it may do with the management API: `management`, `policymaker`, `monitoring`, `administrator`.
    #[serde(default)]
    pub tags: Vec<String>,
}

pub const NAME: &str = "rabbitmq.user";

pub fn kind() -> Kind {
    Kind {
        write_only: &["/password"],
        sensitive: &["/password"],
        mark: MarkPlace::TargetShared,
        batch: Batch::Sequence,
        name_limits: const { &[name_limit("/name")] },
        normalise: |fields| fields.map("tags", Value::as_set),
        check,
        reviewed: &["/tags"],
        ..describe::<UserSpec>(
            NAME,
            "A user of a RabbitMQ broker.",
            &["name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems = check_names(spec, &["name"]);
    let tags = spec.get("tags").and_then(Value::as_list).unwrap_or_default();
    for (index, tag) in tags.iter().enumerate() {
        let tag = tag.as_str().unwrap_or_default();
        let pointer = format!("/tags/{index}");
        if tag.is_empty() || tag.contains(',') || tag.trim() != tag {
            problems.push(Problem::error(
                pointer,
                format!("{tag:?} is not a valid tag: it cannot be empty or contain a comma"),
            ));
        } else if tag.starts_with(TAG) {
            problems.push(Problem::error(pointer, format!("tags that begin with {TAG} are reserved for marks")));
        } else if tag == "administrator" {
            let problem = Problem::warning(pointer, "an administrator may do everything in every virtual host");
            problems.push(problem.help("give a tenant's user the tag `management`, or no tag"));
        }
    }
    problems
}

/// A user as the API has it.
pub struct Account {
    pub spec: Map,
    pub mark: Option<Mark>,
    /// Fingerprint of the password that was written, if one was.
    pub noted: Option<String>,
    /// Empty if it cannot log in with a password.
    pub password_hash: String,
    pub algorithm: String,
}

impl Account {
    pub fn of_api(object: &Json) -> Self {
        let field = |name: &str| object.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        // A list; one text with commas in earlier versions.
        let tags: Vec<String> = match object.get("tags") {
            Some(Json::Array(tags)) => tags.iter().filter_map(|tag| Some(tag.as_str()?.to_owned())).collect(),
            Some(Json::String(tags)) => tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let label = tags.iter().find_map(|tag| parse_tag(tag));
        let own = tags.iter().filter(|tag| parse_tag(tag).is_none()).map(|tag| Value::from(tag.as_str()));
        let fields = [("name", Value::from(field("name"))), ("tags", Value::list(own).as_set())];
        let (mark, noted) = label.map_or((None, None), |(mark, noted)| (Some(mark), noted));
        Self {
            spec: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            mark,
            noted,
            password_hash: field("password_hash"),
            algorithm: field("hashing_algorithm"),
        }
    }

    /// Whether the password is still the one that was written, as far as that was noted.
    pub fn password_is_ours(&self) -> bool {
        match &self.noted {
            None => true,
            Some(noted) => password::fingerprint(&self.password_hash).as_ref() == Some(noted),
        }
    }

    /// The mark, without the hash of the secret if somebody has set another password.
    pub fn seen_mark(&self) -> Option<Mark> {
        let mut mark = self.mark.clone()?;
        if !self.password_is_ours() {
            mark.secret_hash = None;
        }
        Some(mark)
    }
}

impl UserSpec {
    pub fn path(&self) -> [&str; 2] {
        ["users", &self.name]
    }
}
