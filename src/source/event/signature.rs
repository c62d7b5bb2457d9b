//! Signatures of events, in the form of Stripe's header `Stripe-Signature`: `t=1492774577,v1=5257a869…`.
//!
//! HMAC-SHA-256 in hexadecimal over the time, a full stop and the body (<https://docs.stripe.com/webhooks#verify-manually>).
//! There may be several, while a secret is exchanged; entries other than `t` and `v1` are left alone.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use super::Refused;

/// Seconds that the time of a signature may differ from the clock unless configured otherwise.
pub const TOLERANCE_SECONDS: u32 = 300;

/// Checks the signature of an event's bytes, exactly as they were received.
///
/// # Errors
/// If no signature fits, or it was not made at about this time: then it may be an old one that somebody sends again.
pub fn verify(header: &str, body: &[u8], secret: &str, now: Timestamp, tolerance_seconds: u32) -> Result<(), Refused> {
    let entries = || header.trim().split(',').filter_map(|entry| entry.trim().split_once('='));
    let time = entries().find_map(|(name, value)| (name == "t").then_some(value));
    let made = time.and_then(|time| time.parse().ok()).and_then(|second| Timestamp::from_second(second).ok());
    let (Some(time), Some(made)) = (time, made) else {
        return Err(Refused::signature(
            "the signature has no time",
            "give the whole value of the header `Stripe-Signature`: t=…,v1=…",
        ));
    };
    let fits = |signature: &str| {
        let mut expected = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        [time.as_bytes(), b".", body].iter().for_each(|part| expected.update(part));
        // In constant time.
        expected.verify_slice(&bytes(signature)?).ok()
    };
    let is_signed = entries().any(|(name, value)| name == "v1" && fits(value).is_some());
    if !is_signed {
        return Err(Refused::signature(
            "the signature does not fit the event",
            "check that the secret is the one of this webhook's endpoint, and that the event has the very bytes that were received",
        ));
    }
    let age = now.duration_since(made);
    if age.abs() > SignedDuration::from_secs(tolerance_seconds.into()) {
        let message = format!("the signature was made at {made}, more than {tolerance_seconds} seconds from now");
        let help = "hand events over as they come, and check the clock; `tolerance_seconds` in the table [events] of tenantry.toml is the most";
        return Err(Refused::signature(message, help));
    }
    Ok(())
}

/// The bytes of a hexadecimal text.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `{"id":"evt_1"}` at second 1767225600 with the secret `whsec_test`, computed with OpenSSL.
    const HEADER: &str = "t=1767225600,v1=45b40331de0325606dc5400202ade162460fbe48daf9401adfdcd0d7b4f35470,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39";
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn told(header: &str, body: &[u8], secret: &str, now: &str) -> String {
        match verify(header, body, secret, now.parse().expect("a time"), 300) {
            Ok(()) => "accepted".to_owned(),
            Err(refused) => refused.message,
        }
    }

    #[test]
    fn only_the_very_bytes_the_secret_and_the_time_are_accepted() {
        let now = "2026-01-01T00:04:59Z";
        let rotated = HEADER.replace(",v1=", ",v1=00,v1=");
        let rows = [
            told(HEADER, BODY, "whsec_test", now),
            told(&rotated, BODY, "whsec_test", now),
            told(HEADER, BODY, "whsec_other", now),
            told(HEADER, br#"{"id":"evt_2"}"#, "whsec_test", now),
            told(&HEADER.replace("t=1767225600", "t=1767225601"), BODY, "whsec_test", now),
            told(&HEADER.replace("v1=", "v2="), BODY, "whsec_test", now),
            told(&HEADER.replace("v1=", "v1=é"), BODY, "whsec_test", now),
            told("v1=00", BODY, "whsec_test", now),
            told("", BODY, "whsec_test", now),
            told(HEADER, BODY, "whsec_test", "2026-01-01T00:05:01Z"),
            told(HEADER, BODY, "whsec_test", "2025-12-31T23:54:59Z"),
        ];
        insta::assert_snapshot!(rows.join("\n"), @"
        accepted
        accepted
        the signature does not fit the event
        the signature does not fit the event
        the signature does not fit the event
        the signature does not fit the event
        the signature does not fit the event
        the signature has no time
        the signature has no time
        the signature was made at 2026-01-01T00:00:00Z, more than 300 seconds from now
        the signature was made at 2026-01-01T00:00:00Z, more than 300 seconds from now
        ");
    }
}
