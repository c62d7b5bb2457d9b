use proptest::prelude::*;

use super::*;

fn masker(secrets: &[&str]) -> Masker {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    Masker::new(&secrets)
}

/// Base64 by way of bits as text: slow, and nothing like the code under test.
fn base64(bytes: &[u8]) -> String {
    let mut bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    while !bits.len().is_multiple_of(6) {
        bits.push('0');
    }
    let sextets = bits.as_bytes().chunks(6).map(|bits| std::str::from_utf8(bits).expect("ASCII"));
    let mut text: String =
        sextets.map(|bits| char::from(BASE64[usize::from_str_radix(bits, 2).expect("bits")])).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn url(base64: &str) -> String {
    base64.replace('+', "-").replace('/', "_").replace('=', "")
}

fn percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn json_ascii(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

#[test]
fn base64_is_that_of_rfc_4648() {
    for (bytes, expected) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(bytes.as_bytes()), expected);
    }
    assert_eq!(**base64_core(b"foobar", 0), *b"Zm9vYmFy");
}

#[test]
fn a_text_without_secrets_is_left_as_it_is() {
    let masker = masker(&["correct horse", "short", ""]);
    for text in ["", "short", "correct", "100 % of \\u12 and %zz", "größer"] {
        assert!(matches!(masker.mask(text), Cow::Borrowed(same) if same == text));
    }
    assert_eq!(Masker::default().mask("anything"), "anything");
}

#[test]
fn what_stands_around_a_secret_stays() {
    let masker = masker(&["hunter2hunter2", "tröstlich\n"]);
    assert_eq!(masker.mask("role: password 'hunter2hunter2' is wrong"), "role: password '***' is wrong");
    assert_eq!(masker.mask("hunter2hunter2"), "***");
    assert_eq!(masker.mask("ä hunter2hunter2hunter2hunter2 ö"), "ä *** ö");
    assert_eq!(masker.mask("hunter2hunter2, HUNTER2hunter2"), "***, ***");
    assert_eq!(masker.mask("postgres://me:tr%C3%b6stlich@db/x%20y"), "postgres://me:***@db/x%20y");
    assert_eq!(masker.mask(r#"{"p":"tr\u00F6stlich","n":"\u00F6"}"#), r#"{"p":"***","n":"\u00F6"}"#);
    let user = base64(b"me:hunter2hunter2");
    let masked = masker.mask(&user);
    assert!(masked.starts_with("bWU") && masked.contains(MASK) && masked.len() < 12, "{masked}");
}

#[test]
fn overlapping_secrets_share_one_mask() {
    let masker = masker(&["abcdefgh", "efghijkl", "abcdefghijklmn"]);
    assert_eq!(masker.mask("1 abcdefghijkl 2"), "1 *** 2");
    assert_eq!(masker.mask("1 abcdefghijklmn 2"), "1 *** 2");
}

#[test]
fn wrapped_base64_is_found() {
    let secret = "a long key that is wrapped over several lines of text, as PEM does it";
    let encoded = base64(secret.as_bytes());
    let wrapped: Vec<&str> =
        encoded.as_bytes().chunks(20).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let masked = masker(&[secret]).mask(&format!("key:\n{}\nend", wrapped.join("\r\n"))).into_owned();
    assert!(masked.starts_with("key:\n***") && masked.ends_with("\nend") && masked.len() < 20, "{masked}");
}

#[test]
fn ten_thousand_secrets_are_found_among_each_other() {
    let secrets: Vec<SecretString> = (0..10_000).map(|index| format!("postgres://u:{index:08}@db").into()).collect();
    let masker = Masker::new(&secrets);
    let text: String = (0..300).map(|index| format!("<{}>", secrets[index * 33].expose_secret())).collect();
    assert_eq!(masker.mask(&text), "<***>".repeat(300));
}

/// Every way of writing it down that is promised, and some on top of each other.
fn spellings(secret: &str, before: &str, after: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let within = base64(format!("{before}{secret}{after}").as_bytes());
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent_encoded = percent(secret, unreserved);
    vec![
        secret.to_owned(),
        percent(secret, |_| false).to_lowercase(),
        percent(secret, |byte| unreserved(byte) || b"!'()*".contains(&byte)),
        percent(secret, |byte| unreserved(byte) || byte == b' ').replace(' ', "+"),
        base64(bytes),
        url(&base64(bytes)),
        url(&within),
        percent(&within, unreserved),
        json(&within),
        within,
        hexadecimal.to_uppercase(),
        hexadecimal,
        json(secret),
        json(secret).replace('/', "\\/"),
        json_ascii(secret),
        json(&json(secret)),
        json(&percent_encoded),
        percent(&json(secret), unreserved),
        percent_encoded,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_spelling_of_a_secret_survives(
        // Asterisks are left out because they are what a mask is made of.
        secret in r"[ -)+-~äß€😀]{6,40}".prop_filter("a secret", |secret| secret.trim().len() >= SHORTEST),
        others in prop::collection::vec("[a-z0-9]{3,12}", 0..4),
        before in "[ -)+-~ü]{0,8}",
        after in "[ -)+-~ü]{0,8}",
    ) {
        let secret = secret.trim();
        let mut secrets: Vec<&str> = others.iter().map(String::as_str).collect();
        secrets.push(secret);
        let masker = masker(&secrets);
        let core = String::from_utf8(base64_core(secret.as_bytes(), before.len() % 3).to_vec()).expect("ASCII");
        for spelling in spellings(secret, &before, &after) {
            let text = format!("error: {spelling} (sorry)");
            let masked = masker.mask(&text);
            prop_assert!(masked.contains(MASK), "{text} became {masked}");
            for survivor in [spelling.as_str(), secret, &core, &url(&core)] {
                prop_assert!(!masked.contains(survivor), "{survivor} of {text} survived in {masked}");
            }
        }
    }

    #[test]
    fn any_text_is_masked_without_a_panic(text in r"(\\u[0-9a-fD]{0,4}|%[0-9a-f]{0,2}|[\\%+a-c\r\nüé😀]){0,60}") {
        let masked = masker(&["abcabc", "üéüéüé", "aaaaaa", "%%%%%%", "\\\\\\\\\\\\"]).mask(&text).into_owned();
        prop_assert!(!masked.to_ascii_lowercase().contains("abcabc"));
    }
}
