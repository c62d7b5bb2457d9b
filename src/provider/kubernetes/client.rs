//! Requests to one API server.
//!
//! What kube-rs brings is the way there: kubeconfig, `exec` credentials, tokens that are renewed, TLS. Requests are sent and
//! answers read here, because its own reading writes an answer that it cannot parse into the log, and an answer may hold
//! secrets.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use kube::client::{AuthError, Body};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::Status;
use kube::{Client, Config};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::sync::Semaphore;

use super::error::Failure;
use tenantry_provider::contract::{ErrorClass, ProviderError, Settings};
use tenantry_provider::timeouts::{Timeouts, seconds};
use tenantry_transport::body::{MOST_BYTES, Unfinished, collect};
use tenantry_transport::{Asked, anonymous, channel, is_this_machine, may_be_done, note_warnings, note_write};

/// How often a read that is throttled is tried again, and the longest that it waits for its turn.
const READ_TRIES: usize = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Of words that are not those of an API server, the most characters that are told.
const LONGEST_WORDS: usize = 300;

/// Where a pod finds the credentials of its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Characters that stand for themselves in a segment of a path or a value of a query (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Between the paths of a `$KUBECONFIG`.
const PATH_SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

pub const JSON: &str = "application/json";
pub const APPLY: &str = "application/apply-patch+yaml";
pub const MERGE: &str = "application/merge-patch+json";
/// Objects without anything but their metadata.
pub const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
pub const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// One segment of a path, or one value of a query.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Where the credentials come from.
enum Source {
    Kubeconfig { config: Box<Kubeconfig>, context: Option<String> },
    ServiceAccount,
}

/// The API server of one target. Nothing is connected before the first request.
pub struct Cluster {
    source: Source,
    client: tokio::sync::OnceCell<Client>,
    permits: Semaphore,
    timeouts: Timeouts,
    /// Whether the target says that a network without encryption will do.
    allows_plaintext: bool,
    /// Where it is, once that is known, for messages.
    server: OnceLock<String>,
}

/// A request, all but its body.
pub struct Ask<'a> {
    pub method: Method,
    /// With its query, encoded.
    pub path: &'a str,
    pub accept: &'a str,
    pub content_type: Option<&'a str>,
}

impl Ask<'_> {
    /// Whether it changes anything.
    fn is_write(&self) -> bool {
        self.method != Method::GET && !self.path.contains("dryRun=")
    }
}

/// The object that an answer has to be.
pub struct Expected<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub namespace: Option<&'a str>,
    pub name: &'a str,
}

impl Expected<'_> {
    /// Whether an answer is it.
    pub fn is(&self, answer: &Json) -> bool {
        let text = |pointer: &str| answer.pointer(pointer).and_then(Json::as_str);
        text("/apiVersion") == Some(self.api_version) && text("/kind") == Some(self.kind) && self.is_named(answer)
    }

    /// Whether an answer has its name, and is a resource of the server at all.
    pub fn is_named(&self, answer: &Json) -> bool {
        let text = |pointer: &str| answer.pointer(pointer).and_then(Json::as_str).filter(|text| !text.is_empty());
        text("/metadata/name") == Some(self.name)
            && text("/metadata/namespace") == self.namespace.filter(|namespace| !namespace.is_empty())
            && text("/metadata/uid").is_some()
    }

    /// The failure of an answer that is something else.
    pub fn missed(&self, so: &str) -> Failure {
        let Self { kind, name, .. } = self;
        Failure::Invalid {
            message: format!("the answer is not the requested {kind} `{name}`: {so}"),
            remedy: Some("check the `server` of the kubeconfig: it must be the address of an API server".to_owned()),
        }
    }
}

/// An answer that is no refusal.
pub struct Answer<T> {
    pub status: StatusCode,
    pub body: T,
}

impl Cluster {
    /// # Errors
    /// If the settings name no cluster.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let invalid = |cause: String| {
            let attempted = format!("reading the settings of target \"{}\"", settings.target);
            ProviderError::new(ErrorClass::Fatal, attempted, cause)
        };
        let context = settings.text("context").map(str::to_owned);
        let config = match settings.text("kubeconfig") {
            Some(text) => Some(read(text, &settings.folder, settings.secrets.contains_key("kubeconfig"))),
            None if context.is_some() => Some(Kubeconfig::read().map_err(|error| match error {
                // Its words quote the text, with the credentials in it.
                KubeconfigError::Parse(_) => "the user's own kubeconfig is not valid".to_owned(),
                error => explained(&error),
            })),
            None => None,
        };
        let source = match config.transpose().map_err(invalid)? {
            Some(config) => {
                let wanted = context.as_ref().or(config.current_context.as_ref());
                let wanted =
                    wanted.ok_or_else(|| invalid("the kubeconfig has no current context; name a `context`".into()))?;
                if !config.contexts.iter().any(|named| named.name == *wanted) {
                    let names: Vec<&str> = config.contexts.iter().map(|named| &*named.name).collect();
                    let cause =
                        format!("the kubeconfig has no context `{wanted}`; its contexts are: {}", names.join(", "));
                    return Err(invalid(cause));
                }
                Source::Kubeconfig { config: Box::new(config), context }
            }
            None if Path::new(SERVICE_ACCOUNT).exists() => Source::ServiceAccount,
            None => {
                return Err(invalid(
                    "`kubeconfig` is missing, and Tenantry does not run in a pod with a service account".into(),
                )
                .with_remedy("write `kubeconfig = \"PATH\"`, `\"file:PATH\"` or `\"env:NAME\"`"));
            }
        };
        Ok(Self {
            source,
            client: tokio::sync::OnceCell::new(),
            permits: Semaphore::new(settings.concurrency.max(1)),
            timeouts: settings.timeouts,
            allows_plaintext: settings.values.get("plaintext").and_then(Json::as_bool) == Some(true),
            server: OnceLock::new(),
        })
    }

    /// The URL of the server, once one was connected to.
    pub fn server(&self) -> &str {
        self.server.get().map_or("the API server", |server| server)
    }

    /// Credentials that could not be had, with the command that should have brought them.
    fn no_credentials(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let command = match &self.source {
            Source::Kubeconfig { config, context } => command_of(config, context.as_deref()),
            Source::ServiceAccount => None,
        };
        let by = command.map(|command| format!("the command `{command}` of the kubeconfig: ")).unwrap_or_default();
        Failure::Credentials(format!("{by}{}", explained(error)))
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let failed = |error: &(dyn std::error::Error + 'static)| self.no_credentials(error);
        let mut config = match &self.source {
            Source::Kubeconfig { config, context } => {
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                let config = Config::from_custom_kubeconfig(Kubeconfig::clone(config), &options);
                config.await.map_err(|error| failed(&error))?
            }
            Source::ServiceAccount => Config::incluster().map_err(|error| failed(&error))?,
        };
        config.connect_timeout = Some(self.timeouts.connect);
        // How long an answer may take is decided where it is read.
        config.read_timeout = None;
        // The engine decides what is tried again.
        config.default_retry = false;
        let url = &config.cluster_url;
        if url.scheme_str() == Some("http") {
            let asked = if self.allows_plaintext { Asked::Plain } else { Asked::Unencrypted };
            let is_local = url.host().is_some_and(is_this_machine);
            channel(asked, is_local, false).map_err(|refused| Failure::Invalid {
                message: format!("the kubeconfig's server is {url}: {refused}"),
                remedy: Some(
                    "name the server's https address in the kubeconfig; if the network between is trusted, write \
                     `plaintext = true` into the target's table"
                        .to_owned(),
                ),
            })?;
        }
        let _ = self.server.set(url.to_string());
        Client::try_from(config).map_err(|error| failed(&error))
    }

    /// Sends one request and reads its answer as JSON. Waits while as many as allowed are under way.
    ///
    /// # Errors
    /// If there is no answer, not a whole one, or a refusal.
    pub async fn request<T: DeserializeOwned>(&self, ask: &Ask<'_>, body: Vec<u8>) -> Result<Answer<T>, Failure> {
        let client = self.client.get_or_try_init(|| self.connect()).await?;
        let _permit = self.permits.acquire().await.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let began = tokio::time::Instant::now();
        let answer = self.exchange(client, ask, body).await;
        // Without the query and the bodies: they have the values.
        let path = ask.path.split('?').next().unwrap_or_default();
        let result = match &answer {
            Ok((parts, _)) => parts.status.as_str().to_owned(),
            Err(_) => "no answer".to_owned(),
        };
        tracing::debug!("{} {}: {result} in {} ms", ask.method, anonymous(path), began.elapsed().as_millis());
        if ask.is_write() {
            let is_written = match &answer {
                Ok((parts, _)) => may_be_done(parts.status),
                Err(failure) => matches!(failure, Failure::Unreachable(_)),
            };
            if is_written {
                note_write();
            }
        }
        let (parts, bytes) = answer?;
        if ask.is_write() {
            note_warnings(&parts.headers);
        }
        if !parts.status.is_success() {
            return Err(refusal(&parts, &bytes));
        }
        // The parser's own message may quote the answer.
        let body = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::Unreachable(format!(
                "the answer breaks off or is not JSON (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        Ok(Answer { status: parts.status, body })
    }

    async fn exchange(
        &self,
        client: &Client,
        ask: &Ask<'_>,
        body: Vec<u8>,
    ) -> Result<(http::response::Parts, Vec<u8>), Failure> {
        let Timeouts { idle, request: whole, .. } = self.timeouts;
        let lost = |error: &(dyn std::error::Error + 'static)| Failure::Unreachable(explained(error));
        let late = |what: &str, within: Duration| Failure::Unreachable(format!("no {what} within {}", seconds(within)));
        let mut request =
            Request::builder().method(ask.method.clone()).uri(ask.path).header(header::ACCEPT, ask.accept);
        if let Some(content_type) = ask.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(Body::from(body)).map_err(|error| lost(&error))?;
        let exchange = async {
            let patience = idle.min(whole);
            let answer = tokio::time::timeout(patience, client.send(request)).await;
            let answer = answer.map_err(|_| late("answer", patience))?.map_err(|error| match &error {
                kube::Error::Auth(_) => self.no_credentials(&error),
                _ => lost(&error),
            })?;
            let (parts, mut body) = answer.into_parts();
            // A body that ends before its time is an error here.
            let bytes = collect(&mut body, MOST_BYTES, idle).await.map_err(|unfinished| match unfinished {
                Unfinished::Broken(error) => lost(&error),
                Unfinished::Silent => late("whole answer", idle),
                Unfinished::TooLong => Failure::Unreachable(format!("the answer is longer than {MOST_BYTES} bytes")),
            })?;
            Ok((parts, bytes))
        };
        tokio::time::timeout(whole, exchange).await.map_err(|_| late("whole answer", whole))?
    }

    /// Writes one object. The answer has to be that object: anything else says nothing about it.
    ///
    /// # Errors
    /// As [`Cluster::request`], or if the answer is about something else.
    pub async fn write(&self, ask: &Ask<'_>, body: &Json, written: &Expected<'_>) -> Result<Answer<Json>, Failure> {
        // JSON is YAML.
        let answer = self.request::<Json>(ask, body.to_string().into_bytes()).await?;
        match written.is(&answer.body) {
            true => Ok(answer),
            false => Err(written.missed("it is not known whether it was written")),
        }
    }

    /// Reads one path. A server that asks to wait is asked again, within limits.
    ///
    /// # Errors
    /// As [`Cluster::request`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, accept: &str) -> Result<T, Failure> {
        let ask = Ask { method: Method::GET, path, accept, content_type: None };
        for _ in 1..READ_TRIES {
            match self.request(&ask, Vec::new()).await {
                Err(Failure::Refused { status, retry_after }) if status.code == 429 => {
                    tokio::time::sleep(retry_after.unwrap_or(Duration::from_secs(1)).min(LONGEST_WAIT)).await;
                }
                other => return other.map(|answer| answer.body),
            }
        }
        self.request(&ask, Vec::new()).await.map(|answer| answer.body)
    }
}

/// The command by which a context's user gets credentials.
fn command_of<'a>(config: &'a Kubeconfig, context: Option<&str>) -> Option<&'a str> {
    let context = context.or(config.current_context.as_deref())?;
    let context = config.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let user = config.auth_infos.iter().find(|named| Some(&named.name) == context.user.as_ref())?;
    user.auth_info.as_ref()?.exec.as_ref()?.command.as_deref()
}

/// A kubeconfig: the text itself, or the path of one, or several paths as in `$KUBECONFIG`.
fn read(text: &str, folder: &Path, is_reference: bool) -> Result<Kubeconfig, String> {
    if is_reference && (text.contains('\n') || text.trim_start().starts_with('{')) {
        // The parser's own message may quote credentials.
        return Kubeconfig::from_yaml(text)
            .map_err(|_| "`kubeconfig` refers to a text that is not a valid kubeconfig".to_owned());
    }
    let mut merged = Kubeconfig::default();
    for path in text.split(PATH_SEPARATOR).filter(|path| !path.is_empty()) {
        let path = folder.join(path);
        let unreadable = |error: &dyn std::error::Error| format!("{} cannot be read: {error}", path.display());
        // Read first, so that a missing file is told from one that is not a valid kubeconfig.
        std::fs::metadata(&path).map_err(|error| unreadable(&error))?;
        let config =
            Kubeconfig::read_from(&path).map_err(|_| format!("{} is not a valid kubeconfig", path.display()))?;
        merged = merged.merge(config).map_err(|error| unreadable(&error))?;
    }
    Ok(merged)
}

/// What an API server answers for a path that it does not serve, such as that of a type whose definition is gone
/// (`http.NotFound` of Go).
const NOT_SERVED: &str = "404 page not found";

fn refusal(parts: &http::response::Parts, bytes: &[u8]) -> Failure {
    let json: Option<Json> = serde_json::from_slice(bytes).ok();
    let is_own = json.as_ref().and_then(|json| json.get("kind")?.as_str()) == Some("Status");
    let own = json.filter(|_| is_own).and_then(|json| serde_json::from_value::<Status>(json).ok());
    let mut status = own.unwrap_or_else(|| Status {
        // A proxy, or a server that is too busy to speak JSON.
        message: String::from_utf8_lossy(bytes).trim().chars().take(LONGEST_WORDS).collect(),
        ..Status::default()
    });
    status.code = parts.status.as_u16();
    // Whoever stands in front of the server, and does not find it, says 404 as well.
    if status.code == 404 && !is_own && status.message != NOT_SERVED {
        return Failure::Invalid {
            message: format!("the answer (status 404) did not come from an API server: {}", status.message),
            remedy: Some("check the `server` of the kubeconfig: it must be the address of an API server".to_owned()),
        };
    }
    if status.reason.is_empty() && is_own && status.code == 404 {
        "NotFound".clone_into(&mut status.reason);
    }
    if status.reason.is_empty() {
        parts.status.canonical_reason().unwrap_or_default().clone_into(&mut status.reason);
    }
    let header = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let detail =
        status.details.as_ref().map(|details| u64::from(details.retry_after_seconds)).filter(|seconds| *seconds > 0);
    let retry_after = header.or(detail).map(Duration::from_secs);
    Failure::Refused { status: Box::new(status), retry_after }
}

/// What may be told of a command for credentials that failed. kube-rs quotes all that the command was given, its variables
/// too, and all that it printed: either may hold a secret. Only what it said to the user is passed on.
fn credentials_words(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<AuthError>() {
            Some(AuthError::AuthExecRun { out, .. }) => {
                let said = String::from_utf8_lossy(&out.stderr);
                let said: String = said.trim().chars().take(LONGEST_WORDS).collect();
                let said = if said.is_empty() { said } else { format!(": {said}") };
                return Some(format!("it ended with {}{said}", out.status));
            }
            Some(AuthError::AuthExecParse(_)) => return Some("its output is not an ExecCredential".to_owned()),
            _ => cause = error.source(),
        }
    }
    None
}

/// An error with what caused it, in one line.
fn explained(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(words) = credentials_words(error) {
        return words;
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
