//! Certificates that verify, and those that do not.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tenantry::core::model::resource::Observed;
use tenantry::provider::contract::Provider as _;
use tenantry::provider::http::Http;
use tokio::net::TcpListener;

use crate::support::observe;
use crate::support::server::{Reply, converse};
use crate::support::vendors::{Api, Vendor};

const CERTIFICATE: &[u8] = include_bytes!("certificate/localhost.pem");
const KEY: &[u8] = include_bytes!("certificate/localhost.key");

#[tokio::test]
async fn a_certificate_is_verified_against_the_file_of_the_target() {
    // Self-signed for the name "localhost", for a hundred years, and for nothing but this test.
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
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
            (Some(says), Observed::Unknown(reason)) if reason.contains(says) => {}
            (_, other) => panic!("{host} {roots:?}: {other:?}"),
        }
    }
    server.abort();
}
