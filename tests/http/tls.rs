//! Certificates that verify, and those that do not.

use crate::support::said;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use serde_json::json;
use tenantry_core::model::resource::Observed;
use tenantry_http::Http;
use tenantry_provider::contract::Provider as _;
use tokio::net::TcpListener;

use crate::support::observe;
use crate::support::server::{Reply, converse};
use crate::support::tls::{CERTIFICATE, acceptor};
use crate::support::vendors::{Api, Vendor};

#[tokio::test]
async fn a_certificate_is_verified_against_the_file_of_the_target() {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    converse(TokioIo::new(stream), Arc::new(|_| Box::pin(async { Reply::json(200, &json!([])) })))
                        .await;
                }
            });
        }
    });

    let folder = assert_fs::TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("roots.pem"), CERTIFICATE).expect("a file");
    let api = Api::start(Vendor::Grafana).await;
    let desired = api.bench.desired("http.unmarked", "acme/folder", json!({"use": "grafana.folder", "name": "acme"}));
    let mut settings = api.settings();
    settings.folder = folder.path().to_owned();
    for (host, roots, says) in [
        ("localhost", Some("roots.pem"), None),
        ("localhost", None, Some("certificate does not verify")),
        // Not the name that the certificate is for.
        ("127.0.0.1", Some("roots.pem"), Some("certificate does not verify")),
    ] {
        settings.values.insert("url".to_owned(), format!("https://{host}:{port}").into());
        settings.values.remove("roots");
        if let Some(roots) = roots {
            settings.values.insert("roots".to_owned(), roots.into());
        }
        let reader = Http.reader(&settings).expect("valid settings");
        let observed = observe(&*reader, &[&desired], &[]).await;
        let observed = observed["http.unmarked"].get(desired.identity.as_deref().expect("an identity"));
        match (says, observed) {
            (None, Observed::Absent) => {}
            (Some(says), Observed::Unknown(reason)) if said(&reason).contains(says) => {}
            (_, other) => panic!("{host} {roots:?}: {other:?}"),
        }
    }
    server.abort();
}
