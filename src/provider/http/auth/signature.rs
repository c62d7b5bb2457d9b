//! An HMAC of a request's body, in a header, as receivers of webhooks verify it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::failure::Failure;
use tenantry_core::model::names::hex;
use tenantry_transport::Request;
use tenantry_transport::header::HeaderName;

/// HMAC-SHA-256 (RFC 2104) of the bytes of the body, none of which is a body of no length.
pub struct Signature {
    header: HeaderName,
    keyed: Hmac<Sha256>,
    encoding: Encoding,
    /// What stands before it, such as `sha256=`.
    prefix: String,
}

enum Encoding {
    Hex,
    Base64,
}

impl Signature {
    /// # Errors
    /// In words, if the settings make no sense.
    pub fn new(header: HeaderName, secret: &str, encoding: &str, prefix: &str) -> Result<Self, String> {
        let encoding = match encoding {
            "hex" => Encoding::Hex,
            "base64" => Encoding::Base64,
            other => return Err(format!("`encoding` cannot be `{other}`")),
        };
        if secret.is_empty() {
            return Err("`secret` is empty".to_owned());
        }
        let keyed = Hmac::new_from_slice(secret.as_bytes()).map_err(|_| "`secret` cannot be used".to_owned())?;
        Ok(Self { header, keyed, encoding, prefix: prefix.to_owned() })
    }

    /// # Errors
    /// If the prefix cannot stand in a header.
    pub fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        let mut keyed = self.keyed.clone();
        keyed.update(request.body.as_deref().unwrap_or_default());
        let code = keyed.finalize().into_bytes();
        let code = match self.encoding {
            Encoding::Hex => hex(&code),
            Encoding::Base64 => STANDARD.encode(code),
        };
        let (name, value) = tenantry_transport::secret_header(self.header.clone(), &format!("{}{code}", self.prefix))?;
        request.headers.insert(name, value);
        Ok(())
    }
}
