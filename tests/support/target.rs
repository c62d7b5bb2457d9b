//! A target of any provider on its real server, as tests use it.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tenantry_core::diff::compare;
use tenantry_core::model::kind::{Catalogue, MarkPlace};
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_provider::conformance::{Case, Subject, WriteUnguarded as _, check};
use tenantry_provider::contract::{ErrorClass, Provider, Reader, Settings, Step, WriteError, Writer, Written};

use super::tcp::TcpProxy;
use super::{Workbench, create, delete, mark, observe, present, update};

/// The server that a variable names.
pub struct Target {
    pub bench: Workbench,
    /// Part of every name that a test makes, so that tests can share a server.
    pub suffix: String,
    pub url: String,
    provider: Box<dyn Provider>,
    values: serde_json::Map<String, serde_json::Value>,
}

/// Runs a test against the server, and cleans up whatever came of the test.
///
/// The settings of the target are made from the suffix of the test.
#[expect(clippy::disallowed_methods, reason = "the environment names the server")]
pub fn on_server(
    name: &str,
    provider: impl Provider + 'static,
    values: impl FnOnce(&str) -> serde_json::Value,
    test: impl AsyncFnOnce(&Target),
    clean: impl AsyncFnOnce(&Target),
) {
    let service = provider.name();
    let variable = format!("TENANTRY_{}_URL", service.to_uppercase());
    let Some(url) = std::env::var(&variable).ok().filter(|url| !url.is_empty()) else {
        let advice = format!("{name} skipped: {variable} is not set; run `scripts/services up {service}` first");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
        // Past the test runner, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "{advice}");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let suffix = format!("{:08x}", rand::random::<u32>());
        let serde_json::Value::Object(values) = values(&suffix) else { panic!("settings are an object") };
        let target = Target { bench: Workbench::new(&provider), suffix, url, provider: Box::new(provider), values };
        let result = AssertUnwindSafe(test(&target)).catch_unwind().await;
        clean(&target).await;
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Target {
    /// A name that no other test uses.
    pub fn name(&self, name: &str) -> String {
        format!("{name}_{}", self.suffix)
    }

    pub fn desired(&self, kind: &str, address: &str, spec: serde_json::Value) -> Desired {
        self.bench.desired(&format!("{}.{kind}", self.provider.name()), address, spec)
    }

    /// Host and port of the server.
    pub fn host(&self) -> String {
        let authority = self.url.split("://").nth(1).expect("a URL").split('/').next().expect("an authority");
        authority.rsplit('@').next().expect("a host").to_owned()
    }

    /// The server's URL with another port.
    pub fn url_at(&self, port: u16) -> String {
        self.url.replace(&self.host(), &format!("127.0.0.1:{port}"))
    }

    /// The server's URL with another user; no word of it needs to be encoded.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let (scheme, rest) = self.url.split_once("://").expect("a URL");
        let (_, rest) = rest.split_once('@').expect("a user");
        format!("{scheme}://{user}:{password}@{rest}")
    }

    pub fn settings(&self, url: &str) -> Settings {
        Settings {
            target: "main".into(),
            estate: super::ESTATE.into(),
            values: self.values.clone(),
            secrets: [("url".to_owned(), url.to_owned().into())].into(),
            concurrency: 4,
            timeouts: tenantry_provider::timeouts::Timeouts::default(),
            folder: std::path::PathBuf::new(),
        }
    }

    pub fn reader_with(&self, settings: &Settings) -> Box<dyn Reader> {
        self.provider.reader(settings).expect("valid settings")
    }

    pub fn writer_with(&self, settings: &Settings) -> Box<dyn Writer> {
        self.provider.writer(settings).expect("valid settings")
    }

    pub fn reader_at(&self, url: &str) -> Box<dyn Reader> {
        self.reader_with(&self.settings(url))
    }

    pub fn writer_at(&self, url: &str) -> Box<dyn Writer> {
        self.writer_with(&self.settings(url))
    }

    pub fn reader(&self) -> Box<dyn Reader> {
        self.reader_at(&self.url)
    }

    pub fn writer(&self) -> Box<dyn Writer> {
        self.writer_at(&self.url)
    }

    /// Writes steps one by one, as kinds that stand alone ask for.
    pub async fn try_write(&self, steps: &[Step]) -> Result<Vec<Written>, WriteError> {
        let writer = self.writer();
        let mut written = Vec::new();
        for step in steps {
            written.extend(writer.write(std::slice::from_ref(step)).await?);
        }
        Ok(written)
    }

    pub async fn write(&self, steps: &[Step]) {
        if let Err(error) = self.try_write(steps).await {
            panic!("step {}: {error} ({:?})", error.step, error.error.remedy);
        }
    }

    pub async fn create(&self, desired: &[&Desired]) {
        self.write(&desired.iter().map(|desired| create(desired)).collect::<Vec<_>>()).await;
    }

    /// Keeps the contract of providers, with a case for each of its kinds.
    pub async fn assert_conforms(&self, cases: Vec<Case>) {
        let catalogue = Catalogue::new(self.provider.kinds());
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        let unreachable = self.reader_at(&self.url_at(9));
        let (reader, other, writer) = (self.reader(), self.reader(), self.writer());
        let subject = Subject {
            catalogue: &catalogue,
            reader: &*reader,
            other: &*other,
            writer: &*writer,
            unreachable: &*unreachable,
        };
        let mut violations = Vec::new();
        for case in cases {
            violations.extend(check(&subject, &case).await);
        }
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }

    /// When the server goes down everything is unknown and nothing absent, and a write may be tried again. Returns what the
    /// server called itself before.
    pub async fn assert_outage_is_unknown(&self, wanted: &[Desired]) -> String {
        let proxy = TcpProxy::start(self.host()).await;
        let url = self.url_at(proxy.port);
        let (reader, writer) = (self.reader_at(&url), self.writer_at(&url));
        let answer = reader.probe().await.expect("it answers");
        proxy.go_down();
        let observations = observe(&*reader, &wanted.iter().collect::<Vec<_>>(), &[]).await;
        for desired in wanted {
            let observation = &observations[desired.kind.name];
            assert!(observation.incomplete.is_some());
            assert!(matches!(observation.get(desired.identity.as_deref().expect("an identity")), Observed::Unknown(_)));
        }
        let error = writer.write(&[create(&wanted[0])]).await.expect_err("it is down").error;
        assert_eq!(error.class, ErrorClass::Retryable, "{error}");
        assert_eq!(reader.probe().await.expect_err("it is down").class, ErrorClass::Retryable);
        answer
    }

    pub async fn observe(&self, desired: &Desired) -> Observed {
        let observations = observe(&*self.reader(), &[desired], &[]).await;
        observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
    }

    /// As one that the repository no longer asks for.
    pub async fn observe_known(&self, desired: &Desired) -> Observed {
        let observations = observe(&*self.reader(), &[], &[desired]).await;
        observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
    }

    /// Asserts that a plan would be empty.
    #[expect(clippy::unused_self, reason = "asked of the target, like everything else")]
    #[track_caller]
    pub fn assert_is(&self, desired: &Desired, observed: Observed) -> Present {
        assert!(matches!(observed, Observed::Present(_)), "{} is not present: {observed:?}", desired.address);
        let found = present(observed);
        let differences = compare(&desired.kind, &desired.spec, &found.spec, Some(&desired.spec));
        assert_eq!(differences, [], "{}", desired.address);
        let expected = (desired.kind.mark != MarkPlace::Inventory).then(|| mark(desired));
        assert_eq!(found.mark, expected, "{}", desired.address);
        found
    }

    pub async fn assert_settled(&self, desired: &[&Desired]) {
        let observations = observe(&*self.reader(), desired, &[]).await;
        for desired in desired {
            let observed = observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"));
            self.assert_is(desired, observed);
        }
    }

    /// Asserts that what was done behind the provider's back shows, and that an update repairs it.
    pub async fn assert_repairs(&self, desired: &Desired, drift: &str) {
        let drifted = present(self.observe(desired).await);
        let differences = compare(&desired.kind, &desired.spec, &drifted.spec, Some(&desired.spec));
        let secret = desired.kind.mark != MarkPlace::Inventory && drifted.mark != Some(mark(desired));
        assert!(!differences.is_empty() || secret, "drift by {drift} does not show: {drifted:?}");
        self.write(&[update(desired, &drifted, &[])]).await;
        self.assert_settled(&[desired]).await;
    }

    /// Deletes, and again; what was there is gone afterwards.
    pub async fn assert_deletes(&self, desired: &Desired) {
        let known = present(self.observe_known(desired).await);
        self.write(&[delete(desired, &known)]).await;
        assert_eq!(self.observe_known(desired).await, Observed::Absent, "{}", desired.address);
        self.write(&[delete(desired, &known)]).await;
    }
}
