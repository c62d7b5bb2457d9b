//! S3 servers as tests use them, behind a proxy that counts and can break. It lets the host's name through, which is signed.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tenantry_core::diff::compare;
use tenantry_core::model::kind::MarkPlace;
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{Provider as _, Reader, Settings, Step, WriteError, Writer, Written};
use tenantry_s3::S3;

use super::server::{Asked, Cut, Reply, Server};
use super::{Workbench, create, delete, mark, observe, present, update};

/// The servers of the tests, by the variable with their address.
pub const SERVERS: [&str; 2] = ["TENANTRY_S3_URL", "TENANTRY_S3_MINISTACK_URL"];

type Decide = Box<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

#[derive(Default)]
struct State {
    asked: Vec<String>,
    decide: Option<Decide>,
}

/// One server.
pub struct World {
    pub bench: Workbench,
    /// Whether it is `SeaweedFS`, which can less.
    pub is_seaweedfs: bool,
    /// Part of every name that a test makes, so that tests can share a server.
    pub suffix: String,
    /// The server's own address.
    pub url: String,
    /// The proxy's.
    pub proxy: String,
    access_key: String,
    secret_key: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

/// Runs a test against each server, and deletes the buckets that it leaves.
#[expect(clippy::disallowed_methods, reason = "the environment names the servers")]
pub fn on_servers(name: &str, test: impl AsyncFn(&World)) {
    for variable in SERVERS {
        let read = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let (Some(url), Some(access_key), Some(secret_key)) =
            (read(variable), read("TENANTRY_S3_ACCESS_KEY_ID"), read("TENANTRY_S3_SECRET_ACCESS_KEY"))
        else {
            let advice = format!("{name} skipped: {variable} is not set; run `scripts/services up s3` first");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
            // Past the test runner, which shows nothing of a test that passes.
            let _ = writeln!(std::io::stderr(), "{advice}");
            continue;
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let world = World::start(url, access_key, secret_key, variable == SERVERS[0]).await;
            let result = AssertUnwindSafe(test(&world)).catch_unwind().await;
            if let Err(panic) = result {
                let _ = writeln!(std::io::stderr(), "{name} failed on {variable}");
                std::panic::resume_unwind(panic);
            }
        });
    }
}

impl World {
    pub async fn start(url: String, access_key: String, secret_key: String, is_seaweedfs: bool) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, upstream) = (state.clone(), url.clone());
        let server = Server::start(move |asked| {
            let (state, upstream) = (shared.clone(), upstream.clone());
            async move {
                let decided = {
                    let mut state = state.lock().expect("no panic");
                    let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
                    state.asked.push(format!("{} {}{query}", asked.method, asked.path));
                    state.decide.as_ref().and_then(|decide| decide(&asked))
                };
                match decided {
                    Some(reply) => reply,
                    None => pass_on(&upstream, &asked).await,
                }
            }
        })
        .await;
        Self {
            bench: Workbench::new(&S3),
            is_seaweedfs,
            suffix: format!("{:08x}", rand::random::<u32>()),
            proxy: server.url.clone(),
            url,
            access_key,
            secret_key,
            state,
            _server: server,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// A name that no other test uses.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.suffix)
    }

    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    pub fn desired(&self, kind: &str, address: &str, spec: Json) -> Desired {
        self.bench.desired(&format!("s3.{kind}"), address, spec)
    }

    pub fn settings(&self, url: &str, secret: &str) -> Settings {
        Settings {
            target: "main".into(),
            estate: super::ESTATE.into(),
            values: json!({"url": url, "access_key_id": self.access_key}).as_object().expect("an object").clone(),
            secrets: [("secret_access_key".to_owned(), secret.to_owned().into())].into(),
            concurrency: 8,
            timeouts: tenantry_provider::timeouts::Timeouts::default(),
            folder: std::path::PathBuf::new(),
        }
    }

    pub fn reader_at(&self, url: &str) -> Box<dyn Reader> {
        S3.reader(&self.settings(url, &self.secret_key)).expect("valid settings")
    }

    pub fn writer_at(&self, url: &str) -> Box<dyn Writer> {
        S3.writer(&self.settings(url, &self.secret_key)).expect("valid settings")
    }

    pub fn reader(&self) -> Box<dyn Reader> {
        self.reader_at(&self.proxy)
    }

    /// A writer as a new process would have it.
    pub fn writer(&self) -> Box<dyn Writer> {
        self.writer_at(&self.proxy)
    }

    /// What was asked since the last call: `METHOD /path?query`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// From now on requests are answered by this, where it answers.
    pub fn decide(&self, decide: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) {
        self.state().decide = Some(Box::new(decide));
    }

    pub fn heal(&self) {
        self.state().decide = None;
    }

    pub async fn try_write(&self, step: &Step) -> Result<Vec<Written>, WriteError> {
        self.writer().write(std::slice::from_ref(step)).await
    }

    pub async fn write(&self, step: &Step) -> Written {
        match self.try_write(step).await {
            Ok(mut written) => written.remove(0),
            Err(error) => panic!("{error} ({:?})", error.error.remedy),
        }
    }

    pub async fn create(&self, desired: &[&Desired]) {
        for desired in desired {
            self.write(&create(desired)).await;
        }
    }

    pub async fn observe(&self, desired: &Desired) -> Observed {
        let observations = observe(&*self.reader(), &[desired], &[]).await;
        observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
    }

    /// Asserts that a plan would be empty.
    #[track_caller]
    pub fn assert_is(&self, desired: &Desired, observed: Observed) -> Present {
        let found = present(observed);
        let differences = compare(&desired.kind, &desired.spec, &found.spec, Some(&desired.spec));
        assert_eq!(differences, [], "{} on {}", desired.address, self.url);
        if desired.kind.mark != MarkPlace::Inventory {
            assert_eq!(found.mark.as_ref(), Some(&mark(desired)), "{}", desired.address);
        }
        found
    }

    pub async fn assert_settled(&self, desired: &[&Desired]) {
        for desired in desired {
            self.assert_is(desired, self.observe(desired).await);
        }
    }

    /// Asserts that what was done behind the provider's back shows at a field, and that an update repairs it.
    pub async fn assert_repairs(&self, desired: &Desired, field: &str) {
        let drifted = present(self.observe(desired).await);
        let differences = compare(&desired.kind, &desired.spec, &drifted.spec, Some(&desired.spec));
        assert!(
            !differences.is_empty() && differences.iter().all(|difference| difference.pointer[1..].starts_with(field)),
            "{field}: {differences:?}"
        );
        self.write(&update(desired, &drifted, &[])).await;
        self.assert_settled(&[desired]).await;
    }

    pub async fn remove(&self, desired: &[&Desired]) {
        for desired in desired {
            let before = match self.observe(desired).await {
                Observed::Present(present) => present,
                _ => Present { spec: desired.spec.shared(), ..Present::default() },
            };
            self.write(&delete(desired, &before)).await;
            assert_eq!(self.observe(desired).await, Observed::Absent, "{}", desired.address);
        }
    }

    /// Asks the server itself, signed and behind the provider's back. Returns the status and the body.
    pub async fn raw(&self, method: &str, path: &str, headers: &[(&'static str, &str)], body: &str) -> (u16, String) {
        self.ask("s3", method, path, headers, body).await
    }

    /// Does something in IAM behind the provider's back, which has to succeed.
    pub async fn iam(&self, parameters: &[(&str, &str)]) -> String {
        let mut url = url::Url::parse("http://form").expect("a URL");
        url.query_pairs_mut().append_pair("Version", "2010-05-08").extend_pairs(parameters);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let (status, answer) = self.ask("iam", "POST", "/", &headers, url.query().unwrap_or_default()).await;
        assert!((200..300).contains(&status), "{parameters:?}: {status} {answer}");
        answer
    }

    async fn ask(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> (u16, String) {
        use tenantry_transport::sigv4::{Credentials, Scope, sign};
        use tenantry_transport::{Effect, Options, Request, Transport};
        let mut request = Request {
            effect: Effect::Once,
            method: method.parse().expect("a method"),
            url: format!("{}{path}", self.url).parse().expect("a URL"),
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
                .collect(),
            body: (!body.is_empty()).then(|| body.as_bytes().to_vec()),
        };
        let credentials = Credentials {
            access_key_id: self.access_key.clone(),
            secret_access_key: self.secret_key.clone().into(),
            session_token: None,
        };
        let scope = Scope { region: "us-east-1", service };
        #[expect(clippy::disallowed_methods, reason = "the server holds a signature's time against its own clock")]
        let now = jiff::Timestamp::now();
        sign(&mut request, &credentials, scope, now).expect("signed");
        let options = Options {
            roots: None,
            requests_per_second: 1000,
            concurrency: 1,
            timeouts: tenantry_provider::timeouts::Timeouts::default(),
            most_bytes: tenantry_transport::MOST_BYTES,
            secrets: Vec::new(),
        };
        let transport = Transport::new(&options);
        let answer = transport.expect("a transport").send(&request).await.expect("an answer");
        (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// [`Self::raw`] that has to succeed.
    pub async fn do_raw(&self, method: &str, path: &str, body: &str) {
        let (status, answer) = self.raw(method, path, &[], body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    }
}

/// An error as S3 words it.
pub fn error(status: u16, code: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>As the test wants it.</Message></Error>");
    Reply { body: body.into_bytes(), ..Reply::empty(status) }.header("content-type", "application/xml")
}

/// Sends a request on as it is, the host's name included.
async fn pass_on(upstream: &str, asked: &Asked) -> Reply {
    let authority = upstream.trim_start_matches("http://");
    let stream = tokio::net::TcpStream::connect(authority).await.expect("the server behind it");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
    let mut request = hyper::Request::builder().method(asked.method.as_str()).uri(format!("{}{query}", asked.path));
    for (name, value) in asked.headers.iter().filter(|(name, _)| name != "content-length") {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(asked.body.clone()))).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let headers = parts.headers.iter().filter(|(name, _)| {
        // Of an answer to HEAD the length is that of a body that does not come.
        *name != "content-length" && *name != "transfer-encoding" && *name != "connection"
    });
    Reply {
        status: parts.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.collect().await.expect("a whole answer").to_bytes().to_vec(),
        cut: Cut::Nowhere,
    }
}
