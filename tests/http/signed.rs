//! Requests that are signed, at stand-ins that verify the signature.

use crate::support::said;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value as Json, json};
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_http::Http;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::contract::{ErrorClass, Provider as _, Reader, Settings};

use crate::support::server::{Asked, Reply, Server};
use crate::support::vendors::{Api, Vendor};
use crate::support::{create, observe};

/// Made for nothing but these tests.
const KEY: &str = include_str!("certificate/service-account.key");
const EMAIL: &str = "tenantry@example-project.iam.gserviceaccount.com";

/// Who gives out tokens: <https://developers.google.com/identity/protocols/oauth2/service-account>.
#[derive(Default)]
struct Issuer {
    url: String,
    /// The claims for which a token was given.
    claims: Vec<Json>,
    /// How much later it is there than here, in seconds.
    later: i64,
    expires_in: u64,
    scope: String,
}

impl Issuer {
    fn answer(&mut self, asked: &Asked, public: &[u8]) -> Reply {
        let refused = |error: &str, why: &str| Reply::json(400, &json!({"error": error, "error_description": why}));
        let form: std::collections::HashMap<String, String> =
            url::form_urlencoded::parse(&asked.body).into_owned().collect();
        if form.get("grant_type").map(String::as_str) != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
            return refused("unsupported_grant_type", "Invalid grant_type");
        }
        let (text, signature) = form["assertion"].rsplit_once('.').expect("a signed claim");
        let (header, claim) = text.split_once('.').expect("a header and a claim");
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url without padding");
        let header: Json = serde_json::from_slice(&decoded(header)).expect("JSON");
        assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        if public.verify(text.as_bytes(), &decoded(signature)).is_err() {
            // A server that quotes what it was sent.
            return refused("invalid_grant", &format!("Invalid JWT Signature: {}", form["assertion"]));
        }
        let claim: Json = serde_json::from_slice(&decoded(claim)).expect("JSON");
        let (begins, ends) = (claim["iat"].as_i64().expect("seconds"), claim["exp"].as_i64().expect("seconds"));
        let now = now() + self.later;
        if begins > now + 30 || ends < now || ends - begins > 3600 {
            return refused(
                "invalid_grant",
                "Token must be a short-lived token (60 minutes) and in a reasonable timeframe",
            )
            .header("date", date(now));
        }
        if claim["iss"] != EMAIL || claim["aud"] != format!("{}/token", self.url) || claim["scope"] != self.scope {
            return refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.");
        }
        self.claims.push(claim);
        let token = format!("ya29.secret-{}", self.claims.len());
        Reply::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}))
    }
}

#[expect(clippy::disallowed_methods, reason = "the stand-in has a clock of its own")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn date(second: i64) -> String {
    let time = jiff::Timestamp::from_second(second).expect("a time");
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("a date")
}

/// An issuer, and an API that takes its newest token.
struct Google {
    issuer: Arc<Mutex<Issuer>>,
    settings: Settings,
    desired: Desired,
    api: Arc<Mutex<Vec<Asked>>>,
    _bench: Api,
    _servers: [Server; 2],
}

async fn google() -> Google {
    let public = {
        let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key").public().as_ref().to_vec()
    };
    let scope = "https://www.googleapis.com/auth/cloud-platform".to_owned();
    let issuer = Arc::new(Mutex::new(Issuer { expires_in: 3599, scope, ..Issuer::default() }));
    let shared = issuer.clone();
    let tokens = Server::start(move |asked: Asked| {
        let reply = shared.lock().expect("no panic").answer(&asked, &public);
        async { reply }
    })
    .await;
    issuer.lock().expect("no panic").url.clone_from(&tokens.url);
    let (shared, noted) = (issuer.clone(), Arc::new(Mutex::new(Vec::new())));
    let api = noted.clone();
    let server = Server::start(move |asked: Asked| {
        let token = format!("Bearer ya29.secret-{}", shared.lock().expect("no panic").claims.len());
        let is_let_in = asked.header("authorization") == Some(&token);
        noted.lock().expect("no panic").push(asked);
        async move {
            if is_let_in {
                return Reply::json(200, &json!({"totalSize": 0}));
            }
            let message = "Request had invalid authentication credentials.";
            Reply::json(401, &json!({"error": {"code": 401, "message": message, "status": "UNAUTHENTICATED"}}))
        }
    })
    .await;
    let bench = Api::start(Vendor::SecretManager).await;
    let spec = json!({"use": "secretmanager.secret", "name": "acme", "parameters": {"project": "p"},
        "fields": {"replication": {"automatic": {}}}});
    let desired = bench.bench.desired("http.resource", "acme/secret", spec);
    let mut settings = with(&bench, &json!({"url": server.url, "auth": "service_account", "requests_per_second": 500}));
    let key = key_file(KEY, &format!("{}/token", tokens.url));
    settings.secrets = [("service_account".to_owned(), key.into())].into();
    Google { issuer, settings, desired, api, _bench: bench, _servers: [tokens, server] }
}

fn with(api: &Api, values: &Json) -> Settings {
    let mut settings = api.settings();
    settings.values.clone_from(values.as_object().expect("an object"));
    settings
}

fn key_file(key: &str, token_uri: &str) -> String {
    json!({"type": "service_account", "project_id": "example-project", "private_key_id": "key-1", "private_key": key,
        "client_email": EMAIL, "client_id": "1", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_uri})
    .to_string()
}

impl Google {
    fn issuer(&self) -> MutexGuard<'_, Issuer> {
        self.issuer.lock().expect("no panic")
    }

    fn reader(&self) -> Box<dyn Reader> {
        Http.reader(&self.settings).expect("valid settings")
    }

    async fn observe(&self, reader: &dyn Reader) -> Observed {
        let observed = observe(reader, &[&self.desired], &[]).await;
        observed["http.resource"].get(self.desired.identity.as_deref().expect("an identity"))
    }

    async fn unknown(&self) -> String {
        let reason = match self.observe(&*self.reader()).await {
            Observed::Unknown(reason) => said(&reason),
            other => panic!("{other:?} is no refusal"),
        };
        for secret in ["ya29", "BEGIN PRIVATE", "eyJ", &KEY[40..80]] {
            assert!(!reason.contains(secret), "{reason}");
        }
        reason
    }
}

#[tokio::test]
async fn a_service_account_signs_once_for_many_requests() {
    let google = google().await;
    let reader = google.reader();
    for _ in 0..3 {
        assert_eq!(google.observe(&*reader).await, Observed::Absent);
    }
    assert_eq!(google.issuer().claims.len(), 1, "the token is kept");
    assert_eq!(google.api.lock().expect("no panic").len(), 3);
    // Ended before its time: asked for again, once.
    google.issuer().claims.push(Json::Null);
    assert_eq!(google.observe(&*reader).await, Observed::Absent);
    assert_eq!(google.issuer().claims.len(), 3);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let google = google().await;
    google.issuer().expires_in = 1;
    let reader = google.reader();
    assert_eq!(google.observe(&*reader).await, Observed::Absent);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    google.api.lock().expect("no panic").clear();
    assert_eq!(google.observe(&*reader).await, Observed::Absent);
    assert_eq!(google.issuer().claims.len(), 2);
    assert_eq!(google.api.lock().expect("no panic").len(), 1, "nothing was asked with the old one");
}

#[tokio::test]
async fn another_key_another_scope_and_another_clock_are_refused_and_say_so() {
    let mut google = google().await;
    google.issuer().later = -600;
    let reason = google.unknown().await;
    assert!(reason.contains("invalid_grant") && reason.contains(EMAIL), "{reason}");
    let skew = reason.split("set the clock of this machine: it is ").nth(1).unwrap_or_else(|| panic!("{reason}"));
    let seconds: u64 = skew.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    assert!((598..=602).contains(&seconds) && skew.contains("ahead of the server's"), "{reason}");
    google.issuer().later = 7200;
    assert!(google.unknown().await.contains("seconds behind the server's"));
    google.issuer().later = 0;

    google.settings.values.insert("scope".to_owned(), "other".into());
    let reason = google.unknown().await;
    assert!(reason.contains("invalid_scope") && !reason.contains("clock"), "{reason}");
    google.settings.values.remove("scope");

    let public_of_another = vec![0; 270];
    let (issuer, url) = (google.issuer.clone(), google.issuer().url.clone());
    let other = Server::start(move |asked: Asked| {
        let reply = issuer.lock().expect("no panic").answer(&asked, &public_of_another);
        async { reply }
    })
    .await;
    google.settings.secrets =
        [("service_account".to_owned(), key_file(KEY, &format!("{}/token", other.url)).into())].into();
    let reason = google.unknown().await;
    assert!(reason.contains("invalid_grant") && !reason.contains("Signature"), "{reason}");
    let writer = Http.writer(&google.settings).expect("valid settings");
    let error = writer.write(&[create(&google.desired)]).await.expect_err("it is refused");
    assert_eq!(error.error.class, ErrorClass::Denied);
    assert_eq!(error.error.remedy.as_deref(), Some("check the credentials of the target"));
    assert_ne!(url, other.url);
    assert_eq!(google.issuer().claims, [Json::Null; 0], "no token was given out");
}

#[tokio::test]
async fn a_key_file_that_is_none_is_refused_without_quoting_it() {
    let google = google().await;
    let mut other = serde_json::from_str::<Json>(&key_file(KEY, "https://oauth2.example/token")).expect("JSON");
    other["type"] = "authorized_user".into();
    for (file, says) in [
        ("not JSON: hunter2".to_owned(), "it is not a key file of a service account"),
        (other.to_string(), "has \"type\": \"service_account\""),
        (key_file(KEY, "http://oauth2.example/token"), "must begin with https"),
        (
            key_file("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", "https://e.example/t"),
            "not an RSA key",
        ),
    ] {
        let mut settings = google.settings.clone();
        settings.secrets = [("service_account".to_owned(), file.into())].into();
        let error = Http.reader(&settings).err().expect("it is refused");
        assert!(error.cause.contains(says), "{error}");
        assert!(!error.cause.contains("hunter2") && !error.cause.contains("MII"), "{error}");
    }
}

#[tokio::test]
async fn a_body_is_signed_as_its_receiver_verifies_it() {
    for (encoding, prefix) in [("hex", "sha256="), ("base64", "")] {
        let api = Api::start(Vendor::Webhooks).await;
        api.state().is_signed = true;
        let verified = Arc::new(Mutex::new(0));
        let count = verified.clone();
        api.state().fault = Some(Box::new(move |asked| {
            let mut keyed = Hmac::<sha2::Sha256>::new_from_slice(b"whsec-1").expect("a key");
            keyed.update(&asked.body);
            let code = asked.header("x-signature-256").and_then(|text| text.strip_prefix(prefix)).unwrap_or_default();
            let code = if encoding == "hex" { unhex(code) } else { STANDARD.decode(code).unwrap_or_default() };
            if keyed.verify_slice(&code).is_err() {
                return Some(Reply::json(401, &json!({"detail": "signature does not match"})));
            }
            *count.lock().expect("no panic") += 1;
            None
        }));
        let spec = json!({"use": "webhook.subscription", "name": "acme", "parameters": {"collection": "hooks"},
            "fields": {"url": "https://acme.example/ü"}});
        let desired = api.bench.desired("http.resource", "acme/hook", spec);
        let mut settings = with(
            &api,
            &json!({"url": api.url, "auth": "hmac", "header": "X-Signature-256", "encoding": encoding, "prefix": prefix}),
        );
        settings.secrets = [("secret".to_owned(), "whsec-1".to_owned().into())].into();
        Http.writer(&settings).expect("valid settings").write(&[create(&desired)]).await.expect("it is made");
        assert_eq!(*verified.lock().expect("no panic"), 2, "one list, one creation");
        settings.secrets = [("secret".to_owned(), "whsec-2".to_owned().into())].into();
        let error = Http.writer(&settings).expect("valid settings").write(&[create(&desired)]).await;
        let error = error.expect_err("it is refused");
        assert_eq!(error.error.class, ErrorClass::Denied);
        assert!(
            error.to_string().contains("signature does not match") && !error.to_string().contains("whsec"),
            "{error}"
        );
    }
}

/// The rules of "Create a signed AWS API request" (IAM user guide), written down a second time: what a gateway verifies.
fn is_signed_for_aws(asked: &Asked, secret: &str, later: i64) -> Result<(), &'static str> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = |bytes: &[u8]| hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    let code = |key: &[u8], text: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let authorization = asked.header("authorization").ok_or("Missing Authentication Token")?;
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("Missing Authentication Token")?;
    let part = |name: &str| parts.split(", ").find_map(|part| part.strip_prefix(name)).expect("a part");
    let names = part("SignedHeaders=");
    for needed in ["host", "x-amz-date", "content-type"] {
        if needed != "content-type" || !asked.body.is_empty() {
            assert!(names.split(';').any(|name| name == needed), "{needed} is signed");
        }
    }
    let headers: String =
        names.split(';').map(|name| format!("{name}:{}\n", asked.header(name).expect(name))).collect();
    let mut query: Vec<&str> = asked.query.split('&').collect();
    query.sort_unstable();
    let canonical =
        format!("{}\n{}\n{}\n{headers}\n{names}\n{}", asked.method, asked.path, query.join("&"), digest(&asked.body));
    let time = asked.header("x-amz-date").expect("a time");
    let then = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).expect("a time");
    let then = then.to_zoned(jiff::tz::TimeZone::UTC).expect("a time").timestamp().as_second();
    if (now() + later - then).abs() > 900 {
        return Err("Signature expired");
    }
    let (day, scope) = (&time[..8], format!("{}/eu-central-1/execute-api/aws4_request", &time[..8]));
    assert_eq!(part("Credential="), format!("AKIDEXAMPLE/{scope}"));
    let key = [day, "eu-central-1", "execute-api", "aws4_request"];
    let key = key.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| code(&key, part));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", digest(canonical.as_bytes()));
    match part("Signature=") == hex(&code(&key, &to_sign)) {
        true => Ok(()),
        false => Err("The request signature we calculated does not match the signature you provided."),
    }
}

#[tokio::test]
async fn a_request_is_signed_as_aws_verifies_it() {
    let api = Api::start(Vendor::Webhooks).await;
    api.state().is_signed = true;
    let later = Arc::new(Mutex::new(0));
    let clock = later.clone();
    api.state().fault = Some(Box::new(move |asked| {
        let verified = is_signed_for_aws(asked, "wJalrXUtnFEMI", *clock.lock().expect("no panic"));
        let refused = verified.err()?;
        Some(Reply::json(403, &json!({"message": refused})))
    }));
    let spec = json!({"use": "webhook.subscription", "name": "acme", "parameters": {"collection": "hooks"},
        "fields": {"url": "https://acme.example/ü"}});
    let desired = api.bench.desired("http.resource", "acme/hook", spec);
    let settings = with(
        &api,
        &json!({"url": api.url, "auth": "aws", "access_key_id": "AKIDEXAMPLE", "region": "eu-central-1",
        "service": "execute-api"}),
    );
    let signing_with = |secret: &str| {
        let mut settings = settings.clone();
        settings.secrets = [("secret_access_key".to_owned(), secret.to_owned().into())].into();
        settings
    };
    let (right, wrong) = (signing_with("wJalrXUtnFEMI"), signing_with("another-secret"));
    Http.writer(&right).expect("valid settings").write(&[create(&desired)]).await.expect("it is made");
    let observed = observe(&*Http.reader(&right).expect("valid settings"), &[&desired], &[]).await;
    let identity = desired.identity.as_deref().expect("an identity");
    assert!(matches!(observed["http.resource"].get(identity), Observed::Present(_)));
    for (settings, at, says) in [(&wrong, 0, "does not match"), (&right, 1200, "Signature expired")] {
        *later.lock().expect("no panic") = at;
        let error = Http.writer(settings).expect("valid settings").write(&[create(&desired)]).await;
        let error = error.expect_err("it is refused");
        assert_eq!(error.error.class, ErrorClass::Denied);
        assert!(error.to_string().contains(says) && !error.to_string().contains("another-secret"), "{error}");
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).filter_map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}
