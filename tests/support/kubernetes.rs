//! Names of its own for each test, on the API server of `TENANTRY_KUBECONFIG`.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use futures::FutureExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed, Present};
use tenantry_kubernetes::Kubernetes;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{Provider as _, Reader, Settings, Step, WriteError, Writer};

use super::api_proxy::{ApiProxy, Fate};
use super::{Workbench, create, observe};

const VARIABLE: &str = "TENANTRY_KUBECONFIG";
const OBJECT: &str = "kubernetes.object";

/// Whatever has its suffix in its name, or in that of its estate, belongs to one test.
pub struct World {
    pub bench: Workbench,
    pub suffix: String,
    pub kubeconfig: String,
    client: kube::Client,
}

/// Runs a test with names of its own, and removes what carries them whatever came of the test.
#[expect(clippy::disallowed_methods, reason = "the environment names the server")]
pub fn on_server(name: &str, test: impl AsyncFnOnce(&World)) {
    let Some(kubeconfig) = std::env::var(VARIABLE).ok().filter(|path| !path.is_empty()) else {
        let advice = format!("{name} skipped: {VARIABLE} is not set; run `scripts/services up kubernetes` first");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{advice}");
        // Past the test runner, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "{advice}");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let world = World {
            bench: Workbench::new(&Kubernetes),
            suffix: format!("{:08x}", rand::random::<u32>()),
            client: client(&kubeconfig, "admin").await,
            kubeconfig,
        };
        let result = AssertUnwindSafe(test(&world)).catch_unwind().await;
        world.remove().await;
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Waits until no other test program has the operators' own types, which a cluster has once. Until it is dropped, none gets
/// them.
pub fn alone() -> std::fs::File {
    let lock = std::fs::File::create(std::env::temp_dir().join("tenantry-tests-of-types.lock")).expect("a file");
    lock.lock().expect("a lock");
    lock
}

/// A client of the tests' own.
pub async fn client(kubeconfig: &str, context: &str) -> kube::Client {
    let config = Kubeconfig::read_from(kubeconfig).expect(VARIABLE);
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(config, &options).await.expect("the context exists");
    config.default_retry = false;
    kube::Client::try_from(config).expect("valid credentials")
}

/// Sends a request; a PATCH with `force=` in its path is an apply, any other a merge.
pub async fn ask(client: &kube::Client, method: &str, path: &str, body: Json) -> (u16, Json) {
    let content_type = match method {
        "PATCH" if path.contains("force=") => "application/apply-patch+yaml",
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = http::Request::builder().method(method).uri(path).header("content-type", content_type);
    let request = request.body(Body::from(body.into_bytes())).expect("a request");
    let answer = client.send(request).await.expect("the server answers");
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect_bytes().await.expect("a whole answer");
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// An object without anything but its name.
pub fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Json {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

/// An object with further fields.
pub fn with(mut object: Json, fields: Json) -> Json {
    for (name, value) in fields.as_object().expect("fields") {
        object[name] = value.clone();
    }
    object
}

impl World {
    /// A name that no other test uses.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.suffix)
    }

    pub fn desired(&self, address: &str, spec: Json) -> Desired {
        self.bench.desired(OBJECT, address, spec)
    }

    #[expect(clippy::unused_self, reason = "asked of the world, like everything else")]
    pub fn settings(&self, kubeconfig: &str, context: &str) -> Settings {
        let values = [("kubeconfig", kubeconfig), ("context", context)];
        Settings {
            target: "main".into(),
            estate: super::ESTATE.into(),
            values: values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
            secrets: std::collections::BTreeMap::new(),
            concurrency: 4,
            timeouts: tenantry_provider::timeouts::Timeouts::default(),
            folder: PathBuf::from("/"),
        }
    }

    pub fn reader(&self) -> Box<dyn Reader> {
        Kubernetes.reader(&self.settings(&self.kubeconfig, "admin")).expect("valid settings")
    }

    pub fn writer(&self) -> Box<dyn Writer> {
        Kubernetes.writer(&self.settings(&self.kubeconfig, "admin")).expect("valid settings")
    }

    /// As a user to whom only tests grant anything.
    pub fn restricted(&self) -> Settings {
        self.settings(&self.kubeconfig, "restricted")
    }

    /// Settings of an API server without TLS at a port, which may be a proxy or nobody.
    pub fn settings_at(&self, port: u16) -> Settings {
        let config = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
            "current-context": "here",
        });
        let mut settings = self.settings("", "here");
        settings.values.clear();
        settings.secrets.insert("kubeconfig".to_owned(), config.to_string().into());
        settings
    }

    pub async fn proxy(&self, decide: impl Fn(&str) -> Fate + Send + Sync + 'static) -> ApiProxy {
        ApiProxy::start(self.client.clone(), decide).await
    }

    /// Asks the server behind the provider's back.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn by_hand(&self, method: &str, path: &str, body: Json) -> Json {
        let (status, answer) = self.try_by_hand(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
        answer
    }

    pub async fn try_by_hand(&self, method: &str, path: &str, body: Json) -> (u16, Json) {
        ask(&self.client, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Json {
        self.by_hand("GET", path, Json::Null).await
    }

    pub async fn write(&self, batch: &[Step]) {
        if let Err(error) = self.try_write(batch).await {
            panic!("step {}: {error} ({:?})", error.step, error.error.remedy);
        }
    }

    pub async fn try_write(&self, batch: &[Step]) -> Result<(), WriteError> {
        self.writer().write(batch).await.map(|_| ())
    }

    pub async fn create(&self, desired: &[&Desired]) {
        self.write(&desired.iter().map(|desired| create(desired)).collect::<Vec<_>>()).await;
    }

    /// A namespace of the test, with our mark.
    pub async fn namespace(&self, name: &str) -> String {
        let name = self.name(name);
        self.create(&[&self.desired("acme/ns", object("v1", "Namespace", None, &name))]).await;
        name
    }

    pub async fn observe(&self, desired: &Desired) -> Observed {
        self.observe_with(&*self.reader(), desired).await
    }

    pub async fn observe_with(&self, reader: &dyn Reader, desired: &Desired) -> Observed {
        let observations = observe(reader, &[desired], &[]).await;
        observations[OBJECT].get(desired.identity.as_deref().expect("an identity"))
    }

    /// As one that the repository no longer asks for.
    pub async fn observe_known(&self, desired: &Desired) -> Observed {
        let observations = observe(&*self.reader(), &[], &[desired]).await;
        observations[OBJECT].get(desired.identity.as_deref().expect("an identity"))
    }

    /// Asserts that a plan would be empty.
    pub async fn assert_settled(&self, desired: &[&Desired]) {
        let observations = observe(&*self.reader(), desired, &[]).await;
        for desired in desired {
            let observed = observations[OBJECT].get(desired.identity.as_deref().expect("an identity"));
            let Observed::Present(Present { spec, mark, .. }) = &observed else {
                panic!("{}: {observed:?}", desired.address)
            };
            let differences = tenantry_core::diff::compare(&desired.kind, &desired.spec, spec, Some(&desired.spec));
            assert!(differences.is_empty(), "{}: {differences:?}", desired.address);
            assert_eq!(mark.as_ref(), Some(&super::mark(desired)), "{}", desired.address);
        }
    }

    async fn remove(&self) {
        for (collection, kind) in [
            ("/api/v1/namespaces", "Namespace"),
            ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "CustomResourceDefinition"),
            ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "ClusterRoleBinding"),
            ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRole"),
        ] {
            let list = self.get(collection).await;
            for item in list["items"].as_array().expect(kind) {
                let name = item["metadata"]["name"].as_str().unwrap_or_default();
                let estate = item["metadata"]["labels"]["tenantry.dev/estate"].as_str().unwrap_or_default();
                if name.contains(&self.suffix) || estate.contains(&self.suffix) {
                    self.try_by_hand("DELETE", &format!("{collection}/{name}"), Json::Null).await;
                }
            }
        }
    }
}
