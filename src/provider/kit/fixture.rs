//! Settings for the tests of providers.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use tenantry_provider::contract::Settings;
use tenantry_provider::timeouts::Timeouts;

/// Those of a target with this `url`, which came from a secret reference or stands in the table itself.
pub fn settings(url: &str, is_secret: bool) -> Settings {
    match is_secret {
        true => settings_of(Json::Null, &[("url", url)]),
        false => settings_of(json!({"url": url}), &[]),
    }
}

/// Those of a target with these values in its table and these from secret references.
pub fn settings_of(values: Json, secrets: &[(&str, &str)]) -> Settings {
    let secrets = secrets.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned().into()));
    Settings {
        target: "main".into(),
        estate: "shop".into(),
        values: values.as_object().cloned().unwrap_or_default(),
        secrets: secrets.collect(),
        concurrency: 4,
        timeouts: Timeouts::default(),
        folder: PathBuf::new(),
    }
}

#[cfg(test)]
pub(crate) use for_kit::{Trouble, jar, step};

#[cfg(test)]
mod for_kit {
    use std::borrow::Cow;
    use std::sync::Arc;

    use crate::{Failed, Obstacle, Stakes, describe};
    use tenantry_core::model::kind::Kind;
    use tenantry_core::model::mark::Mark;
    use tenantry_core::model::value::Map;
    use tenantry_provider::contract::{ErrorClass, Step, StepAction};

    /// The failure of a provider that has nothing but obstacles and one word of its server.
    #[derive(Debug, thiserror::Error)]
    pub enum Trouble {
        #[error(transparent)]
        Obstacle(#[from] Obstacle),
        #[error("no such user")]
        Login,
    }

    impl Failed for Trouble {
        fn class(&self) -> ErrorClass {
            match self {
                Self::Obstacle(obstacle) => obstacle.class(),
                Self::Login => ErrorClass::Denied,
            }
        }

        fn remedy(&self) -> Option<Cow<'static, str>> {
            match self {
                Self::Obstacle(obstacle) => obstacle.remedy(),
                Self::Login => Some("check the user".into()),
            }
        }
    }

    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct JarSpec {
        name: String,
        password: String,
    }

    pub fn jar() -> Kind {
        describe::<JarSpec>("kitchen.jar", "A jar.", &["name"], Stakes { loses_data: false, bills: false })
    }

    /// Makes a jar, whose password is `hunter2`.
    pub fn step(name: &str) -> Step {
        let address = format!("acme/{name}").parse().expect("an address");
        let fields = [("name".into(), name.into()), ("password".into(), "hunter2".into())];
        Step {
            kind: Arc::new(jar()),
            identity: name.into(),
            action: StepAction::Create { spec: Map::from_fields(fields), secrets: vec!["/password".to_owned()] },
            mark: Mark { estate: "shop".into(), address, secret_hash: None },
            idempotency_key: "key".into(),
        }
    }
}
