//! How requests say who asks.
//!
//! ```text
//! token.rs            tokens that another address gives out (OAuth 2), and how long they last
//! service_account.rs  what a Google service account signs to get one (RFC 7523)
//! signature.rs        an HMAC of what is sent
//! ```
//!
//! The signer of AWS is `transport`'s own: storage needs it too.

mod service_account;
mod signature;
mod token;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use crate::failure::Failure;
use service_account::ServiceAccount;
use signature::Signature;
use tenantry_provider::contract::Settings;
use tenantry_transport::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tenantry_transport::{Request, Transport, sigv4};
use token::{Grant, Tokens};

/// Who asks.
pub enum Credentials {
    None,
    Header(HeaderName, HeaderValue),
    Tokens(Box<Tokens>),
    Signature(Signature),
    Aws(Aws),
}

/// An access key of AWS, and whom its signatures are for.
pub struct Aws {
    key: sigv4::Credentials,
    region: String,
    service: String,
}

/// Settings that hold secrets.
const SECRETS: [&str; 6] = ["token", "password", "client_secret", "secret", "secret_access_key", "session_token"];

/// Credentials, and what of them must stand in no message.
pub type Opened = (Credentials, Vec<SecretString>);

/// # Errors
/// In words, if the settings make no sense.
pub fn open(settings: &Settings) -> Result<Opened, String> {
    settings.refuse_in_the_clear(&SECRETS)?;
    settings.refuse_in_the_clear(&["service_account"])?;
    let need = |name: &str| settings.text(name).ok_or_else(|| format!("`auth` needs `{name}`"));
    let header = |name: HeaderName, value: &str| {
        tenantry_transport::secret_header(name, value).map_err(|failure| failure.to_string())
    };
    let named =
        |name: &str| name.parse::<HeaderName>().map_err(|_| format!("`{name}` is not a valid name of a header"));
    let basic = |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let scope = settings.text("scope");
    let mut secrets: Vec<&str> = SECRETS.iter().filter_map(|name| settings.text(name)).collect();
    let credentials = match settings.text("auth").unwrap_or("none") {
        "none" => Credentials::None,
        "bearer" => {
            let (name, value) = header(AUTHORIZATION, &format!("Bearer {}", need("token")?))?;
            Credentials::Header(name, value)
        }
        "header" => {
            let (name, value) = header(named(need("header")?)?, need("token")?)?;
            Credentials::Header(name, value)
        }
        "basic" => {
            let (name, value) = header(AUTHORIZATION, &basic(need("username")?, need("password")?))?;
            Credentials::Header(name, value)
        }
        "client_credentials" => {
            let url = settings.text("token_url").ok_or("`token_url` is missing")?;
            let url = tenantry_transport::base_url(url).map_err(|why| format!("`token_url` cannot be used: {why}"))?;
            let grant = Grant::Client {
                authorization: header(AUTHORIZATION, &basic(need("client_id")?, need("client_secret")?))?.1,
                scope: scope.map(str::to_owned),
            };
            Credentials::Tokens(Box::new(Tokens::new(url, grant)))
        }
        "service_account" => {
            let file = need("service_account")?;
            secrets.push(file);
            let (url, account) = ServiceAccount::read(file, scope, settings.text("subject"))
                .map_err(|why| format!("`service_account` cannot be used: {why}"))?;
            Credentials::Tokens(Box::new(Tokens::new(url, Grant::Account(Box::new(account)))))
        }
        "hmac" => Credentials::Signature(Signature::new(
            named(need("header")?)?,
            need("secret")?,
            settings.text("encoding").unwrap_or("hex"),
            settings.text("prefix").unwrap_or_default(),
        )?),
        "aws" => Credentials::Aws(Aws {
            key: sigv4::Credentials {
                access_key_id: need("access_key_id")?.to_owned(),
                secret_access_key: need("secret_access_key")?.to_owned().into(),
                session_token: settings.text("session_token").map(|token| token.to_owned().into()),
            },
            region: need("region")?.to_owned(),
            service: need("service")?.to_owned(),
        }),
        other => return Err(format!("`auth` cannot be `{other}`")),
    };
    let secrets = secrets.into_iter().filter(|text| !text.is_empty());
    Ok((credentials, secrets.map(|text| text.to_owned().into()).collect()))
}

impl Credentials {
    /// Adds to a request what says who asks.
    ///
    /// # Errors
    /// If nobody gives out what is needed for that.
    pub async fn add_to(&self, request: &mut Request, transport: &Transport) -> Result<(), Failure> {
        match self {
            Self::None => {}
            Self::Header(name, value) => {
                request.headers.insert(name.clone(), value.clone());
            }
            Self::Tokens(tokens) => {
                request.headers.insert(AUTHORIZATION, tokens.current(transport).await?);
            }
            Self::Signature(signature) => signature.sign(request)?,
            Self::Aws(Aws { key, region, service }) => {
                sigv4::sign(request, key, sigv4::Scope { region, service }, token::now())?;
            }
        }
        Ok(())
    }

    /// Whether it is worth asking again after a "who are you": a token may end before its time.
    pub async fn renew(&self) -> bool {
        let Self::Tokens(tokens) = self else { return false };
        tokens.forget().await;
        true
    }
}
