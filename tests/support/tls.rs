//! Certificates that verify, and those that do not.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Reader, Settings};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::target::Target;
use super::{create, observe, said};

/// Self-signed for the name "localhost", for a hundred years, and for nothing but tests.
pub const CERTIFICATE: &[u8] = include_bytes!("../http/certificate/localhost.pem");
const KEY: &[u8] = include_bytes!("../http/certificate/localhost.key");

/// What makes a server one of TLS.
pub fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a configuration");
    TlsAcceptor::from(Arc::new(config))
}

/// The port of a proxy that takes TLS and passes on to a server without.
pub async fn in_front_of(upstream: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(stream).await.ok()?;
                let mut server = TcpStream::connect(&upstream).await.ok()?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()
            });
        }
    });
    port
}

/// Asserts that a server of TLS at 127.0.0.1, with the certificate, is told from one that cannot be trusted: then nothing is
/// known and nothing is written, and the message says what to do.
pub async fn assert_verified(target: &Target, url: &str, desired: &Desired) {
    let folder = assert_fs::TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("roots.pem"), CERTIFICATE).expect("a file");
    let settings = |host: &str, roots: Option<&str>| -> Settings {
        let mut settings = target.settings(&url.replace("127.0.0.1", host));
        settings.folder = folder.path().into();
        settings.values.extend(roots.map(|roots| ("roots".to_owned(), roots.into())));
        settings
    };
    for (host, roots, remedy) in [("localhost", None, "`roots`"), ("127.0.0.1", Some("roots.pem"), "`url`")] {
        let settings = settings(host, roots);
        let reader = target.reader_with(&settings);
        let Observed::Unknown(reason) = observed(&*reader, desired).await else { panic!("{host} is trusted") };
        let reason = said(&reason);
        assert!(reason.contains("certificate does not verify") && reason.contains(remedy), "{reason}");
        assert!(reason.contains(host), "{reason}");
        let probed = reader.probe().await.expect_err("not trusted");
        let written = target.writer_with(&settings).write(&[create(desired)]).await.expect_err("not trusted").error;
        for error in [probed, written] {
            assert_eq!(error.class, ErrorClass::Fatal, "{error}");
            assert!(error.to_string().contains("certificate does not verify"), "{error}");
            assert!(error.remedy.as_ref().is_some_and(|words| words.contains(remedy)), "{:?}", error.remedy);
        }
    }
    assert_eq!(target.observe(desired).await, Observed::Absent);
    let settings = settings("localhost", Some("roots.pem"));
    let reader = target.reader_with(&settings);
    assert_eq!(observed(&*reader, desired).await, Observed::Absent);
    target.writer_with(&settings).write(&[create(desired)]).await.expect("it is written");
    target.assert_is(desired, observed(&*reader, desired).await);
}

async fn observed(reader: &dyn Reader, desired: &Desired) -> Observed {
    let observations = observe(reader, &[desired], &[]).await;
    observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
}
