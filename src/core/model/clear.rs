//! Secrets in the clear: how they are recognised, by the name of a field or by the form of a text.
//!
//! Two measures. `tenantry.toml` should hold no secret at all, so a setting is suspected early ([`names_a_secret`]). The fields
//! of documents are the user's own, so only a name that can hardly mean anything else counts ([`is_name_of_secret`]).

/// Whether a setting of this name is a secret: `password`, `api_key`, `secretAccessKey`, but not `key_prefix`.
pub fn names_a_secret(name: &str) -> bool {
    const SECRET: [&str; 10] =
        ["password", "passwd", "pwd", "passphrase", "secret", "token", "key", "apikey", "identity", "credential"];
    // What is about a secret without being one.
    const ABOUT: [&str; 16] = [
        "name",
        "path",
        "file",
        "url",
        "uri",
        "prefix",
        "suffix",
        "namespace",
        "type",
        "field",
        "label",
        "version",
        "length",
        "algorithm",
        "ttl",
        "days",
    ];
    let words = words(name);
    let last = words.last().map(String::as_str).unwrap_or_default();
    let about = ABOUT.contains(&last)
        || words.first().is_some_and(|first| first == "public")
        || (last == "id" && !words.iter().any(|word| word == "secret"));
    !about
        && words
            .iter()
            .any(|word| SECRET.contains(&word.strip_suffix('s').unwrap_or(word)) || SECRET.contains(&word.as_str()))
}

/// The words of a name, in lower case: `dbPassword`, `DB_PASSWORD` and `db-password` have the same.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_is_lower = false;
    for character in name.chars() {
        let begins = !character.is_alphanumeric() || (character.is_uppercase() && previous_is_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        previous_is_lower = character.is_lowercase() || character.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text is a secret by its own form: a URL or connection string with a password, or a well-known sort of key.
pub fn holds_a_secret(text: &str) -> bool {
    is_well_known(text)
        || url_password(text).is_some()
        || text
            .split(['?', '&', ' ', ';'])
            .any(|part| part.split_once('=').is_some_and(|(name, value)| !value.is_empty() && names_a_secret(name)))
}

fn is_well_known(text: &str) -> bool {
    const BEGINNINGS: [&str; 8] =
        ["AGE-SECRET-KEY-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "ghp_", "github_pat_"];
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
        || (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY"))
}

/// Where a URL has its password, in bytes.
fn url_password(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.find("://")? + 3;
    let authority = &text[start..];
    let end = authority.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(authority.len());
    // A password may hold an `@` or a `/` that nobody encoded.
    let has_port = || authority[..end].rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let at = authority[..end].rfind('@').or_else(|| authority.rfind('@').filter(|_| !has_port()))?;
    let colon = authority[..at].find(':')?;
    (colon + 1 < at).then_some(start + colon + 1..start + at)
}

/// What comes before `key` in the name of a key that is a secret; others, such as a partition key, are not.
const SECRET_KEYS: [&str; 7] = ["api", "encryption", "license", "master", "private", "secret", "signing"];

/// What comes before `secret` or `token` in a name that holds one, and not the name of an object with it.
const SECRET_OF: [&str; 14] = [
    "access", "api", "app", "auth", "bearer", "bot", "client", "csrf", "jwt", "refresh", "session", "shared",
    "signing", "webhook",
];

/// Whether a field of a document that has this name holds a secret: `DB_PASSWORD`, `apiKey`, `clientSecret`, but not
/// `passwordPolicy`, `secretName` or `accessKeyId`.
pub fn is_name_of_secret(name: &str) -> bool {
    let words = words(name);
    let Some((last, before)) = words.split_last() else { return false };
    let previous = before.last().map(String::as_str).unwrap_or_default();
    match last.as_str() {
        "password" | "passwd" | "passphrase" | "pwd" | "apikey" | "apitoken" => {
            !["min", "max", "reset", "forgot", "require", "requires"].contains(&previous)
        }
        // `ACCESS_KEY` is the public half where `SECRET_KEY` is the other.
        "key" if previous == "access" => before.iter().any(|word| word == "secret"),
        // In Kubernetes `secretKey` is the name of a key within a Secret.
        "key" if previous == "secret" && before.len() == 1 => !name.contains(char::is_lowercase),
        "key" => SECRET_KEYS.contains(&previous),
        "secret" | "token" => SECRET_OF.contains(&previous),
        _ => false,
    }
}

/// Whether a text can be a secret itself, and not a reference to one, a placeholder or nothing.
pub fn can_be_secret(text: &str) -> bool {
    const REFERENCES: [&str; 17] = [
        "/",
        "$",
        "<",
        "{",
        "(",
        "*",
        "env:",
        "file:",
        "vault:",
        "ref:",
        "ref+",
        "arn:",
        "op://",
        "projects/",
        "secret:",
        "ENC[",
        "secret(",
    ];
    text.len() >= 4
        && !text.chars().any(char::is_whitespace)
        && !text.contains("${")
        && !text.contains("{{")
        && !REFERENCES.iter().any(|beginning| text.starts_with(beginning))
        && !["true", "false", "none", "null"].contains(&text.to_ascii_lowercase().as_str())
}

/// Whether a text holds a secret by its form, where any text may stand: a private key, a well-known sort of key, or a URL with
/// a password. [`holds_a_secret`] suspects more.
pub fn is_secret_by_form(text: &str) -> bool {
    is_well_known(text) || text.split_whitespace().any(is_url_with_password)
}

/// Whether a word is a URL with a password, and not with a placeholder for one.
fn is_url_with_password(word: &str) -> bool {
    const PLACEHOLDERS: [char; 6] = ['$', '<', '{', '*', '%', '('];
    let Some((_, rest)) = word.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#', '"', '\'']).next().unwrap_or(rest);
    let password = authority.rsplit_once('@').and_then(|(user, _)| Some(user.split_once(':')?.1));
    password
        .is_some_and(|password| !password.is_empty() && !password.starts_with(PLACEHOLDERS) && !password.contains("${"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in [
            "password",
            "api_key",
            "secretAccessKey",
            "token",
            "identity",
            "secret_id",
            "API-KEY",
            "tokens",
            "db_password",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "host",
            "key_prefix",
            "token_url",
            "access_key_id",
            "keyspace",
            "secret_name",
            "public_key",
            "monkey",
            "url",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_form() {
        for text in [
            "postgres://admin:hunter2@db/app",
            "amqp://u:p%40ss@h:5672",
            "redis://:hunter2@h",
            "host=db password=hunter2",
            "https://h/x?api_key=1",
            "AGE-SECRET-KEY-1QQ",
            "sk_live_1",
        ] {
            assert!(holds_a_secret(text), "{text}");
        }
        for text in
            ["postgres://admin@db:5432/app", "https://h:8443/a@b", "us-east-1", "a=b", "mailto:a@b", "host=db user=x"]
        {
            assert!(!holds_a_secret(text), "{text}");
        }
    }

    #[test]
    fn a_field_of_a_document_is_a_secret_only_by_a_plain_name() {
        for name in [
            "password",
            "DB_PASSWORD",
            "adminPassword",
            "apiKey",
            "STRIPE_API_KEY",
            "clientSecret",
            "refresh-token",
            "MINIO_SECRET_KEY",
            "secretAccessKey",
        ] {
            assert!(is_name_of_secret(name), "{name}");
        }
        for name in [
            "passwordPolicy",
            "minPassword",
            "secretName",
            "secret",
            "token",
            "accessKeyId",
            "MINIO_ACCESS_KEY",
            "partitionKey",
            "secretKey",
            "key",
            "publicKey",
            "tokens",
        ] {
            assert!(!is_name_of_secret(name), "{name}");
        }
        for text in ["hunter2", "s3cr3t-value"] {
            assert!(can_be_secret(text), "{text}");
        }
        for text in [
            "",
            "abc",
            "${secret('a')}",
            "$(DB_PASSWORD)",
            "env:DB",
            "<changed at install>",
            "vault:kv/a#b",
            "true",
            "a b c d",
        ] {
            assert!(!can_be_secret(text), "{text}");
        }
        assert!(
            is_secret_by_form("url: postgres://app:hunter2@db/app")
                && !is_secret_by_form("postgres://app:$(PW)@db/app")
                && !is_secret_by_form("https://logs.example.com/#q=(time:now,sort:'@timestamp')")
        );
    }
}
