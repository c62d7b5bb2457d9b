//! Stand-ins for the APIs of the ready definitions, written from their vendors' public documentation.
//!
//! Each file names the pages that it was written from.

mod cloud_run;
mod cloudflare;
mod google;
mod grafana;
mod neon;
mod secret_manager;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};
use tenantry_http::Http;
use tenantry_provider::contract::{Provider as _, Reader, Settings, Writer};

use super::Workbench;
use super::server::{Asked, Reply, Server};

/// Which API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    Neon,
    CloudRun,
    SecretManager,
    Cloudflare,
    Grafana,
    Webhooks,
}

type Fault = Box<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

#[derive(Default)]
pub struct State {
    pub objects: Vec<Json>,
    pub asked: Vec<Asked>,
    pub fault: Option<Fault>,
    /// How often an operation says that it goes on.
    pub patience: usize,
    /// Why operations fail.
    pub failure: Option<String>,
    /// The status of certificates.
    pub certificate: Option<String>,
    /// Whether the test itself says who is let in.
    pub is_signed: bool,
    /// What a Neon project has beside its branches, which are the objects.
    pub neon: neon::Project,
    /// What secrets of Secret Manager hold, which are the objects.
    pub secrets: secret_manager::Contents,
    counter: usize,
    operations: Vec<(String, usize, Json)>,
}

/// A stand-in that runs.
pub struct Api {
    pub bench: Workbench,
    pub url: String,
    pub vendor: Vendor,
    state: Arc<Mutex<State>>,
    _server: Server,
}

impl Api {
    pub async fn start(vendor: Vendor) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = Server::start(move |asked| {
            let state = shared.clone();
            async move {
                let mut state = state.lock().expect("no panic");
                state.asked.push(asked.clone());
                if let Some(reply) = state.fault.as_ref().and_then(|fault| fault(&asked)) {
                    return reply;
                }
                let wanted = if vendor == Vendor::Grafana { "Basic YWRtaW46c2VjcmV0" } else { "Bearer secret-token" };
                if !state.is_signed && asked.header("authorization") != Some(wanted) {
                    return Reply::json(401, &json!({"message": "Unauthorized"}));
                }
                match vendor {
                    Vendor::Neon => neon::answer(&mut state, &asked),
                    Vendor::CloudRun => cloud_run::answer(&mut state, &asked),
                    Vendor::SecretManager => secret_manager::answer(&mut state, &asked),
                    Vendor::Cloudflare => cloudflare::answer(&mut state, &asked),
                    Vendor::Grafana => grafana::answer(&mut state, &asked),
                    Vendor::Webhooks => webhooks::answer(&mut state, &asked),
                }
            }
        })
        .await;
        Self { bench: Workbench::new(&Http), url: server.url.clone(), vendor, state, _server: server }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn settings(&self) -> Settings {
        let (values, secret) = match self.vendor {
            Vendor::Grafana => (json!({"url": self.url, "auth": "basic", "username": "admin"}), ("password", "secret")),
            _ => (json!({"url": self.url, "auth": "bearer"}), ("token", "secret-token")),
        };
        let mut values = values.as_object().expect("an object").clone();
        values.insert("requests_per_second".to_owned(), 500.into());
        Settings {
            target: "main".into(),
            estate: super::ESTATE.into(),
            values,
            secrets: [(secret.0.to_owned(), secret.1.to_owned().into())].into(),
            concurrency: 8,
            timeouts: tenantry_provider::timeouts::Timeouts::default(),
            folder: std::path::PathBuf::new(),
        }
    }

    pub fn reader(&self) -> Box<dyn Reader> {
        Http.reader(&self.settings()).expect("valid settings")
    }

    pub fn writer(&self) -> Box<dyn Writer> {
        Http.writer(&self.settings()).expect("valid settings")
    }

    pub fn take_asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.state().asked);
        asked.into_iter().map(|asked| format!("{} {}?{}", asked.method, asked.path, asked.query)).collect()
    }
}

/// Lays JSON over JSON, as a merge patch (RFC 7396) does.
fn patch(object: &mut Json, over: &Json) {
    let Json::Object(fields) = over else {
        *object = over.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            object.as_object_mut().expect("an object").remove(name);
        } else {
            patch(&mut object[name], value);
        }
    }
}

impl State {
    fn position(&self, at: &str, value: &str) -> Option<usize> {
        let is_it = |object: &Json| match object.pointer(at) {
            Some(Json::String(text)) => text == value,
            Some(Json::Number(number)) => number.as_u64().map(|number| number.to_string()).as_deref() == Some(value),
            _ => false,
        };
        self.objects.iter().position(is_it)
    }

    fn next(&mut self) -> usize {
        self.counter += 1;
        self.counter
    }

    /// A page by token, which is a place in the list.
    fn page(&self, token: Option<String>, size: usize) -> (Vec<Json>, Option<String>) {
        let start = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        let page: Vec<Json> = self.objects.iter().skip(start).take(size).cloned().collect();
        let end = start + page.len();
        (page, (end < self.objects.len()).then(|| end.to_string()))
    }
}

fn size(asked: &Asked, parameter: &str) -> usize {
    asked.parameter(parameter).and_then(|size| size.parse().ok()).expect("the size of a page")
}

fn segments(asked: &Asked) -> Vec<String> {
    let decode = |segment: &str| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
    asked.path.split('/').skip(1).map(decode).collect()
}
