//! The command itself comes to an end.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::answers::faulty::{Faulty, Manner};
use crate::command::run;
use crate::support::server::{Asked, Reply, Server};

const DOCUMENTS: &str = r#"
apiVersion: tenantry.dev/v1
kind: Tenant
metadata: {name: acme}
spec: {displayName: Acme, tier: basic, phase: active}
---
apiVersion: tenantry.dev/v1
kind: Tier
metadata: {name: basic}
spec: {rank: 1, blueprints: [project]}
---
apiVersion: tenantry.dev/v1
kind: Blueprint
metadata: {name: project}
spec:
  scope: tenant
  resources:
    - id: project
      kind: http.unmarked
      spec:
        name: "${tenant.name}"
        definition:
          name: example.project
          nameAt: /name
          list: {path: /projects, itemsAt: /data, paging: {by: token, parameter: after, nextAt: /next}}
          create: {method: POST, path: /projects}
          delete: {method: DELETE, path: "/projects/{name}"}
"#;

/// Plans with a target at a port, and says what was said.
fn planned(folder: &Path, port: u16, timeouts: &str) -> String {
    let config = format!(
        "[estate]\nname = \"shop\"\n\n[secrets]\nidentity = \"file:identity\"\n\n[targets.api]\nprovider = \"http\"\n\
         url = \"http://127.0.0.1:{port}\"\nrequests_per_second = 1000\ntimeouts = {{ {timeouts} }}\n"
    );
    std::fs::create_dir_all(folder.join("tenants")).expect("a folder");
    std::fs::write(folder.join("tenantry.toml"), config).expect("a file");
    std::fs::write(folder.join("tenants/all.yaml"), DOCUMENTS).expect("a file");
    let (identity, _) = tenantry_secret::new_identity();
    std::fs::write(folder.join("identity"), identity.expose_secret()).expect("a file");
    let said = run(folder, &["plan"]);
    let text = format!("{}{}", said.out, said.err);
    assert_eq!(said.exit, 5, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_says_nothing_is_unknown_after_a_while() {
    let server = Faulty::start(Manner::Silence).await;
    let folder = assert_fs::TempDir::new().expect("a folder");
    let said = planned(folder.path(), server.port, "idle_seconds = 1");
    assert!(said.contains("no answer within 1 s"), "{said}");
}

/// Every page is answered at once, and brings something new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_never_comes_to_an_end_is_unknown_after_a_while() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_: Asked| {
        let next = count.fetch_add(1, Ordering::Relaxed).to_string();
        async move { Reply::json(200, &json!({"data": [{"name": next}], "next": next})) }
    })
    .await;
    let port = server.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let folder = assert_fs::TempDir::new().expect("a folder");
    let said = planned(folder.path(), port, "read_seconds = 1");
    assert!(said.contains("took longer than 1 s") && said.contains("`timeouts.read_seconds`"), "{said}");
}
