//! TLS by rustls with ring, as everywhere in this program, and what is said of a certificate that does not verify.
//!
//! Drivers that bring a client of their own take from here what all targets have in common: [`roots`] is the setting,
//! [`pem`] the file that it names, [`Unverified`] the message. Nothing here switches verification off.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use tenantry_provider::contract::Settings;

/// A server whose certificate does not verify.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the server's certificate does not verify: {0}")]
pub struct Unverified(CertificateError);

impl Unverified {
    /// If that is what an error is about, or what caused it.
    pub fn among(error: &(dyn StdError + 'static)) -> Option<Self> {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return Some(Self(reason.clone()));
        }
        // An IO error and a shared one show what they wrap, but not as their source.
        let inner: Option<&(dyn StdError + 'static)> =
            if let Some(shared) = error.downcast_ref::<Arc<dyn StdError + Send + Sync>>() {
                Some(&**shared)
            } else {
                let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
                wrapped.map(|wrapped| wrapped as _)
            };
        inner.and_then(Self::among).or_else(|| error.source().and_then(Self::among))
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match &self.0 {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "write a name of the certificate into the target's `url`, or give the server another certificate"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "renew the server's certificate",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "check the clock of this machine, or give the server another certificate"
            }
            _ => "name a file with the certificates to trust in the target's `roots`",
        }
    }
}

/// The file with the certificates to trust, if the target's setting `roots` names one relative to the estate's folder.
pub fn roots(settings: &Settings) -> Option<PathBuf> {
    settings.text("roots").map(|roots| settings.folder.join(roots))
}

/// The text of a file of certificates, every one of which can be trusted.
///
/// # Errors
/// In words, if the file cannot be used.
pub fn pem(file: &Path) -> Result<Vec<u8>, String> {
    load(file).map(|(text, _)| text)
}

/// A configuration that trusts the system's certificates, or those of one file only.
///
/// # Errors
/// In words, if the file cannot be used.
pub fn configuration(file: Option<&Path>) -> Result<ClientConfig, String> {
    let roots = match file {
        Some(file) => load(file)?.1,
        None => {
            let mut roots = RootCertStore::empty();
            // One bad certificate among those of the system takes nothing from the others.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
}

fn load(file: &Path) -> Result<(Vec<u8>, RootCertStore), String> {
    let unusable = |why: String| format!("the certificates in {} cannot be used: {why}", file.display());
    let text = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it contains no certificate".to_owned()));
    }
    Ok((text, roots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_does_not_verify_is_found_however_deep_it_is() {
        let about = |reason| rustls::Error::InvalidCertificate(reason);
        let io = std::io::Error::other(about(CertificateError::UnknownIssuer));
        let found = Unverified::among(&io).expect("within an IO error");
        assert_eq!(found.to_string(), "the server's certificate does not verify: UnknownIssuer");
        assert!(found.remedy().contains("`roots`"));
        let shared: Arc<dyn StdError + Send + Sync> = Arc::new(io);
        assert!(Unverified::among(&shared).is_some());
        let other = Unverified::among(&about(CertificateError::NotValidForName)).expect("itself");
        assert!(other.remedy().contains("`url`"));
        assert!(Unverified::among(&std::io::Error::other("broken pipe")).is_none());
        assert!(Unverified::among(&rustls::Error::DecryptError).is_none());
    }
}
