//! Signatures of requests as AWS and every server that speaks S3 expect them: AWS Signature Version 4.
//!
//! Source of the rules: AWS, "Create a signed AWS API request" (IAM user guide) and "Signature calculations for the
//! Authorization header" (S3 API reference). A signature is good for fifteen minutes around its time.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Failure, Request, secret_header};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What is never encoded in a signed path or query (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An access key, and the token of a session where the key is a temporary one.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
}

/// Whom a signature is for: a region such as `us-east-1`, and a service such as `s3` or `iam`.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
}

/// Signs a request with everything that is in it by now: all headers, the query and the body.
///
/// Adds the headers `host`, `x-amz-date`, `x-amz-content-sha256`, `authorization` and, with a session's key,
/// `x-amz-security-token`; those of an earlier signature are replaced. The query is brought into the order and the spelling
/// that are signed, so that no server reads it otherwise.
///
/// # Errors
/// If the URL names no host, or the credentials cannot stand in a header.
pub fn sign(request: &mut Request, credentials: &Credentials, scope: Scope<'_>, now: Timestamp) -> Result<(), Failure> {
    let body_hash = HeaderValue::from_str(&body_hash(request)).expect("hexadecimal digits are a header");
    request.headers.insert(CONTENT_HASH, body_hash);
    authorize(request, credentials, scope, now)
}

fn authorize(
    request: &mut Request,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = &time[..8];
    request.headers.remove(AUTHORIZATION);
    request.headers.insert(HOST, host(&request.url)?);
    request.headers.insert(DATE, HeaderValue::from_str(&time).expect("digits are a header"));
    if let Some(token) = &credentials.session_token {
        let (name, value) = secret_header(SESSION_TOKEN, token.expose_secret())?;
        request.headers.insert(name, value);
    }
    let query = canonical_query(&mut request.url);
    let (headers, names) = canonical_headers(&request.headers);
    let path = canonical_path(request.url.path(), scope.service);
    let canonical = format!("{}\n{path}\n{query}\n{headers}\n{names}\n{}", request.method.as_str(), body_hash(request));
    let credential_scope = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{time}\n{credential_scope}\n{}", hex(&Sha256::digest(canonical)));

    let secret = format!("AWS4{}", credentials.secret_access_key.expose_secret());
    let key = [date, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| code(&key, part));
    let signature = hex(&code(&key, &to_sign));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{credential_scope}, SignedHeaders={names}, Signature={signature}",
        credentials.access_key_id
    );
    let (name, value) = secret_header(AUTHORIZATION, &authorization)?;
    request.headers.insert(name, value);
    Ok(())
}

fn body_hash(request: &Request) -> String {
    hex(&Sha256::digest(request.body.as_deref().unwrap_or_default()))
}

/// As the client sends it: with the port unless it is the scheme's own.
fn host(url: &Url) -> Result<HeaderValue, Failure> {
    let unusable = || Failure::Settings("the URL names no host".to_owned());
    let host = url.host_str().ok_or_else(unusable)?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    HeaderValue::from_str(&host).map_err(|_| unusable())
}

/// Each segment encoded; twice, and without empty segments, for every service but S3.
fn canonical_path(path: &str, service: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let segments = path.split('/').map(|segment| {
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        percent_encoding::percent_encode(&decoded, ENCODED).to_string()
    });
    let path = if service == "s3" {
        segments.collect::<Vec<_>>().join("/")
    } else {
        let is_folder = path.len() > 1 && path.ends_with('/');
        let full = segments.filter(|segment| !segment.is_empty()).map(|segment| format!("/{}", encode(&segment)));
        full.collect::<String>() + if is_folder { "/" } else { "" }
    };
    if path.is_empty() { "/".to_owned() } else { path }
}

/// Sorted by name and value. Leaves the URL's own query in the same order; there, what has no value has no `=` either.
fn canonical_query(url: &mut Url) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut pairs: Vec<_> = url.query_pairs().map(|(name, value)| (encode(&name), encode(&value))).collect();
    pairs.sort();
    let joined = |pair: &dyn Fn(&(String, String)) -> String| pairs.iter().map(pair).collect::<Vec<_>>().join("&");
    let sent = joined(&|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") });
    let signed = joined(&|(name, value)| format!("{name}={value}"));
    url.set_query(Some(sent.as_str()).filter(|query| !query.is_empty()));
    signed
}

/// All headers, a line each, and their names.
fn canonical_headers(headers: &HeaderMap) -> (String, String) {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let mut lines = String::new();
    for name in &names {
        let values = headers.get_all(*name).iter().map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        });
        let _ = writeln!(lines, "{name}:{}", values.collect::<Vec<_>>().join(","));
    }
    (lines, names.join(";"))
}

fn code(key: &[u8], text: &str) -> Vec<u8> {
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("any length makes a key");
    code.update(text.as_bytes());
    code.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Method;

    fn request(method: Method, url: &str, headers: &[(&'static str, &'static str)], body: &str) -> Request {
        let mut request = Request {
            method,
            url: url.parse().expect("a URL"),
            headers: HeaderMap::new(),
            body: (!body.is_empty()).then(|| body.as_bytes().to_vec()),
            effect: crate::Effect::Once,
        };
        for (name, value) in headers {
            request.headers.append(*name, HeaderValue::from_static(value));
        }
        request
    }

    fn signature(request: &Request) -> &str {
        let header = request.headers[AUTHORIZATION].to_str().expect("text");
        header.rsplit('=').next().expect("a signature")
    }

    /// Method, path with query, headers, body, and the signature that is published for them.
    type Signed<'a> = (Method, &'a str, &'a [(&'static str, &'static str)], &'a str, &'a str);

    fn credentials(id: &str, secret: &str) -> Credentials {
        Credentials { access_key_id: id.to_owned(), secret_access_key: secret.into(), session_token: None }
    }

    /// From AWS's "Signature Version 4 test suite", whose requests have no hash among their headers.
    #[test]
    fn general_requests_are_signed_as_in_the_published_suite() {
        let keys = credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().expect("a time");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let cases: [Signed<'_>; 7] = [
            (Method::GET, "/", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (Method::POST, "/", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                Method::GET,
                "/?Param2=value2&Param1=value1",
                &[],
                "",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                Method::GET,
                "/?Param1=value2&Param1=value1",
                &[],
                "",
                "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
            ),
            (Method::GET, "//example//", &[], "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
            (
                Method::GET,
                "/",
                &[("my-header1", "value1"), ("my-header2", "\"a   b   c\"")],
                "",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                Method::POST,
                "/",
                &form,
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (method, path, headers, body, expected) in cases {
            let mut request = request(method, &format!("https://example.amazonaws.com{path}"), headers, body);
            authorize(&mut request, &keys, Scope { region: "us-east-1", service: "service" }, now).expect("signed");
            assert_eq!(signature(&request), expected, "{path} {headers:?}");
        }
    }

    /// From the S3 API reference, "Examples: Signature calculations".
    #[test]
    fn requests_of_s3_are_signed_as_in_its_manual() {
        let keys = credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().expect("a time");
        let put = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let cases: [Signed<'_>; 4] = [
            (
                Method::GET,
                "test.txt",
                &[("range", "bytes=0-9")],
                "",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                Method::PUT,
                "test$file.text",
                &put,
                "Welcome to Amazon S3.",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (Method::GET, "?lifecycle", &[], "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (
                Method::GET,
                "?max-keys=2&prefix=J",
                &[],
                "",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ];
        for (method, path, headers, body, expected) in cases {
            let mut request = request(method, &format!("https://examplebucket.s3.amazonaws.com/{path}"), headers, body);
            sign(&mut request, &keys, Scope { region: "us-east-1", service: "s3" }, now).expect("signed");
            assert_eq!(signature(&request), expected, "{path}");
        }
    }

    #[test]
    fn what_is_sent_is_what_was_signed_and_shows_no_secret() {
        let mut keys = credentials("AKID", "hunter2");
        keys.session_token = Some("token-of-a-session".into());
        let mut request = request(Method::GET, "http://127.0.0.1:8333/b?prefix=a+b/%C3%A9&tagging&x=~", &[], "");
        for _ in 0..2 {
            sign(&mut request, &keys, Scope { region: "r", service: "s3" }, Timestamp::UNIX_EPOCH).expect("signed");
        }
        assert_eq!(request.url.as_str(), "http://127.0.0.1:8333/b?prefix=a%20b%2F%C3%A9&tagging&x=~");
        assert_eq!(request.headers[HOST], "127.0.0.1:8333");
        let names = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        assert!(request.headers[AUTHORIZATION].to_str().expect("text").contains(names));
        let shown = format!("{:?} {keys:?}", request.headers);
        assert!(!shown.contains("hunter2") && !shown.contains("token-of") && !shown.contains("Signature="), "{shown}");
    }
}
