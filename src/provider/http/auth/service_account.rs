//! Google's service accounts: a key signs who asks, and gets a token for it.
//!
//! Written from <https://developers.google.com/identity/protocols/oauth2/service-account> and RFC 7523.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;

use crate::failure::{Failed as _, Failure};
use tenantry_transport::Url;

/// What is asked for where the target names no scope: the account's roles decide then.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long a claim counts: the longest that Google takes, in seconds.
const LASTS: i64 = 3600;

/// An account that can sign.
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
    scope: String,
    /// On whose behalf, where the account may act for others.
    subject: Option<String>,
    /// Whom the claim is for: the address that gives tokens out.
    audience: String,
}

/// A key file, as Google's console and `gcloud iam service-accounts keys create` make it.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    sort: String,
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

impl ServiceAccount {
    /// An account, and the address that gives tokens out.
    ///
    /// # Errors
    /// In words, which hold nothing of the file.
    pub fn read(file: &str, scope: Option<&str>, subject: Option<&str>) -> Result<(Url, Self), String> {
        // An error of the parser would quote what it found.
        let file: KeyFile =
            serde_json::from_str(file).map_err(|_| "it is not a key file of a service account".to_owned())?;
        if file.sort != "service_account" {
            return Err("it is another kind of key; that of a service account has \"type\": \"service_account\"".into());
        }
        let url = tenantry_transport::base_url(&file.token_uri).map_err(|why| format!("its `token_uri`: {why}"))?;
        let unusable = || "its `private_key` is not an RSA key in PKCS #8".to_owned();
        let der = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.as_bytes()).map_err(|_| unusable())?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable())?;
        let account = Self {
            email: file.client_email,
            key_id: file.private_key_id,
            key,
            scope: scope.unwrap_or(SCOPE).to_owned(),
            subject: subject.map(str::to_owned),
            audience: file.token_uri,
        };
        Ok((url, account))
    }

    pub fn email(&self) -> &str {
        &self.email
    }

    /// A signed claim (RFC 7519), at a second of the epoch.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn assertion(&self, now: i64) -> Result<String, Failure> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.key_id {
            header["kid"] = id.as_str().into();
        }
        let mut claim =
            json!({"iss": self.email, "scope": self.scope, "aud": self.audience, "iat": now, "exp": now + LASTS});
        if let Some(subject) = &self.subject {
            claim["sub"] = subject.as_str().into();
        }
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(header), part(claim));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| Failure::invalid("the key of the service account cannot sign"))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
