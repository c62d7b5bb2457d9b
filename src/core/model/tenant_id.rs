//! A tenant's name from a company's: a DNS label that people recognise, with a suffix that keeps two companies of one name apart.
//!
//! Pure: chance comes in as bytes.

use unicode_normalization::UnicodeNormalization as _;

/// The most characters of the part that is made of the company's name.
pub const MOST_CHARACTERS: usize = 20;

/// Letters of a suffix: without vowels, so that it is no word, and without those that look like a digit.
const SUFFIX: &[u8; 27] = b"bcdfghjkmnpqrstvwxz23456789";

/// Characters of a suffix: half a million of them.
pub const SUFFIX_CHARACTERS: usize = 4;

/// Names that a system keeps for itself, or that a person would take for something else than a tenant: in marks and addresses
/// (`estate`), namespaces (Kubernetes), databases and roles (PostgreSQL, MySQL), users (Redis, RabbitMQ), host names.
const RESERVED: [&str; 24] = [
    "admin",
    "administrator",
    "api",
    "app",
    "default",
    "estate",
    "guest",
    "information-schema",
    "kube",
    "localhost",
    "mail",
    "mysql",
    "performance-schema",
    "postgres",
    "public",
    "root",
    "support",
    "sys",
    "system",
    "template0",
    "template1",
    "tenantry",
    "tier",
    "www",
];

/// Beginnings of names that a system keeps for itself: namespaces of Kubernetes, roles and schemas of PostgreSQL, encoded
/// domain names (RFC 5890).
const RESERVED_BEGINNINGS: [&str; 3] = ["kube-", "pg-", "xn--"];

/// Whether no tenant should have this name.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// The readable part of an id: lower-case letters, digits and single hyphens, at most [`MOST_CHARACTERS`]. `None` if nothing of
/// the name can be written in Latin letters.
pub fn readable(company: &str) -> Option<String> {
    let mut words: Vec<String> = vec![String::new()];
    for character in company.nfkd() {
        // Accents, which stand behind their letter now, and apostrophes belong to the word that they are in.
        if is_mark(character) || matches!(character, '\'' | '’' | '‘' | 'ʼ' | '`') {
            continue;
        }
        let latin: &str = &if character.is_ascii_alphanumeric() {
            character.to_ascii_lowercase().to_string()
        } else if character == '&' {
            "-and-".to_owned()
        } else {
            transliterated(character).unwrap_or("-").to_owned()
        };
        for letter in latin.chars() {
            match (letter, words.last_mut()) {
                ('-', Some(word)) if !word.is_empty() => words.push(String::new()),
                ('-', _) => {}
                (letter, Some(word)) => word.push(letter),
                (_, None) => {}
            }
        }
    }
    words.retain(|word| !word.is_empty());
    let (first, rest) = words.split_first()?;
    let mut id: String = first.chars().take(MOST_CHARACTERS).collect();
    // Whole words, as many as there is room for.
    for word in rest {
        if id.len() + 1 + word.len() > MOST_CHARACTERS {
            break;
        }
        id.push('-');
        id.push_str(word);
    }
    Some(id.trim_end_matches("-and").to_owned())
}

/// A suffix of random bytes.
pub fn suffix(random: [u8; SUFFIX_CHARACTERS]) -> String {
    random.iter().map(|byte| char::from(SUFFIX[usize::from(*byte) % SUFFIX.len()])).collect()
}

/// Combining marks (Unicode, blocks of combining diacritical marks).
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

/// Letters without a decomposition, in the spelling that is usual in English: of Latin as `ICU` writes them, of Cyrillic by
/// BGN/PCGN without its signs, of Greek by ISO 843 without accents.
fn transliterated(character: char) -> Option<&'static str> {
    let lower = character.to_lowercase().next().unwrap_or(character);
    Some(match lower {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ı' => "i",
        'ħ' => "h",
        'ŋ' => "ng",
        'ə' => "e",
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' | 'ґ' => "g",
        'д' => "d",
        'е' | 'э' => "e",
        'є' => "ye",
        'ж' => "zh",
        'з' => "z",
        'и' | 'і' => "i",
        'к' => "k",
        'л' => "l",
        'м' => "m",
        'н' => "n",
        'о' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'у' => "u",
        'ф' => "f",
        'х' => "kh",
        'ц' => "ts",
        'ч' => "ch",
        'ш' => "sh",
        'щ' => "shch",
        'ъ' | 'ь' => "",
        'ы' => "y",
        'ю' => "yu",
        'я' => "ya",
        'ђ' => "dj",
        'ј' => "j",
        'љ' => "lj",
        'њ' => "nj",
        'ћ' => "c",
        'џ' => "dz",
        'α' => "a",
        'β' => "v",
        'γ' => "g",
        'δ' => "d",
        'ε' => "e",
        'ζ' => "z",
        'η' | 'ι' => "i",
        'θ' => "th",
        'κ' => "k",
        'λ' => "l",
        'μ' => "m",
        'ν' => "n",
        'ξ' => "x",
        'ο' | 'ω' => "o",
        'π' => "p",
        'ρ' => "r",
        'σ' | 'ς' => "s",
        'τ' => "t",
        'υ' => "y",
        'φ' => "f",
        'χ' => "ch",
        'ψ' => "ps",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::names::Name;

    #[test]
    fn a_company_s_name_becomes_a_short_label() {
        let names = [
            "Acme Corporation",
            "  ACME--corp!  ",
            "Müller & Söhne GmbH",
            "Müller & an-astonishingly-long-word",
            "Crème Brûlée",
            "O’Reilly Media, Inc.",
            "Østergård Ærø",
            "Ｆｕｌｌｗｉｄｔｈ ＣＯ",
            "Ἀθῆναι",
            "Рога и копыта",
            "Straße 24/7",
            "Donaudampfschifffahrtsgesellschaft",
            "../../etc/passwd",
            "a\u{202e}b\u{0}c\nd",
            "株式会社",
            "🚀",
            "",
        ];
        let told: Vec<String> = names.iter().map(|name| format!("{name:?} → {:?}", readable(name))).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        "Acme Corporation" → Some("acme-corporation")
        "  ACME--corp!  " → Some("acme-corp")
        "Müller & Söhne GmbH" → Some("muller-and-sohne")
        "Müller & an-astonishingly-long-word" → Some("muller-and-an")
        "Crème Brûlée" → Some("creme-brulee")
        "O’Reilly Media, Inc." → Some("oreilly-media-inc")
        "Østergård Ærø" → Some("ostergard-aero")
        "Ｆｕｌｌｗｉｄｔｈ ＣＯ" → Some("fullwidth-co")
        "Ἀθῆναι" → Some("athinai")
        "Рога и копыта" → Some("roga-i-kopyta")
        "Straße 24/7" → Some("strasse-24-7")
        "Donaudampfschifffahrtsgesellschaft" → Some("donaudampfschifffahr")
        "../../etc/passwd" → Some("etc-passwd")
        "a\u{202e}b\0c\nd" → Some("a-b-c-d")
        "株式会社" → None
        "🚀" → None
        "" → None
        "#);
    }

    #[test]
    fn what_systems_keep_for_themselves_is_reserved() {
        for name in ["estate", "kube-system", "pg-monitor", "xn--mller-kva", "default", "www"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["acme", "estate-x7kb", "pgx", "kubernauts"] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_company_is_called_its_id_is_a_name(company in "\\PC{0,40}", random in any::<[u8; 4]>()) {
            if let Some(readable) = readable(&company) {
                prop_assert!(readable.len() <= MOST_CHARACTERS, "{readable}");
                prop_assert!(!readable.contains("--"), "{readable}");
                let id = format!("{readable}-{}", suffix(random));
                prop_assert!(Name::new(&id).is_ok(), "{id}");
            }
        }
    }
}
