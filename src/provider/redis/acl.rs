//! Users as the server describes them, and the one spelling of their rules.

use sha2::{Digest as _, Sha256};

use super::mark::Label;
use tenantry_core::model::names::hex;

/// A user of the server's access control list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    pub name: String,
    pub enabled: bool,
    /// Anybody may log in as it, with any password.
    pub nopass: bool,
    /// SHA-256 of each password, in hexadecimal.
    pub passwords: Vec<String>,
    pub keys: Vec<String>,
    pub read_keys: Vec<String>,
    pub write_keys: Vec<String>,
    pub channels: Vec<String>,
    /// In their order, without the `-@all` that the server begins with.
    pub commands: Vec<String>,
    pub label: Option<Label>,
    /// Selectors that are not the mark.
    pub selectors: Vec<String>,
}

impl User {
    /// Reads a line of `ACL LIST`: `user NAME on #hash ~key resetchannels &channel -@all +command (selector)`.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        if words.next()? != "user" {
            return None;
        }
        let mut user = Self { name: words.next()?.to_owned(), ..Self::default() };
        let mut rules = Vec::new();
        while let Some(word) = words.next() {
            if let Some(selector) = word.strip_prefix('(') {
                let mut text = selector.to_owned();
                while !text.ends_with(')') {
                    text.push(' ');
                    text.push_str(words.next()?);
                }
                text.pop();
                match Label::parse(&text) {
                    Some(label) if user.label.is_none() => user.label = Some(label),
                    _ => user.selectors.push(text),
                }
                continue;
            }
            match word {
                "on" => user.enabled = true,
                "nopass" => user.nopass = true,
                "allkeys" => user.keys.push("*".to_owned()),
                "allchannels" => user.channels.push("*".to_owned()),
                // Valkey 9.1 says of everybody which databases are open to them: all, unless it is told otherwise.
                "off" | "resetchannels" | "alldbs" | "sanitize-payload" | "skip-sanitize-payload" => {}
                _ => match (word.as_bytes()[0], word) {
                    (b'#', _) => user.passwords.push(word[1..].to_owned()),
                    (b'~', _) => user.keys.push(word[1..].to_owned()),
                    (b'&', _) => user.channels.push(word[1..].to_owned()),
                    (b'+' | b'-', _) | (_, "allcommands" | "nocommands") => rules.push(word),
                    (b'%', _) => {
                        let (access, pattern) = word[1..].split_once('~')?;
                        match access.to_ascii_uppercase().as_str() {
                            "R" => user.read_keys.push(pattern.to_owned()),
                            "W" => user.write_keys.push(pattern.to_owned()),
                            _ => user.keys.push(pattern.to_owned()),
                        }
                    }
                    // Something that a later server says of a user: better not to know the user than half of it.
                    _ => return None,
                },
            }
        }
        user.commands = canonical_commands(rules);
        Some(user)
    }

    /// Whether the passwords are those that were written, as far as that was noted.
    pub fn passwords_are_ours(&self) -> bool {
        match self.label.as_ref().and_then(|label| label.password.as_deref()) {
            None => true,
            Some(written) => !self.nopass && fingerprint(&self.passwords) == written,
        }
    }

    /// The rules about commands: those that are wanted, if the server's are what it made of them.
    pub fn commands_for(&self, wanted: &[String]) -> Vec<String> {
        let note = self.label.as_ref().and_then(|label| label.rules.as_deref());
        let is_same = note.is_some_and(|note| note == rules_note(wanted, &self.commands));
        if is_same { wanted.to_vec() } else { self.commands.clone() }
    }
}

/// A password as the server keeps it.
pub fn password_hash(password: &str) -> String {
    hex(&Sha256::digest(password))
}

/// A sign of some passwords' hashes that may stand beside them.
pub fn fingerprint(hashes: &[String]) -> String {
    let mut hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
    hashes.sort_unstable();
    short_digest(&hashes.join(" "))
}

fn short_digest(text: &str) -> String {
    let mut digits = hex(&Sha256::digest(text));
    digits.truncate(16);
    digits
}

/// What stands in the mark of rules that the server spells in its own way: a digest of the rules as they were written, and
/// one of the server's spelling.
///
/// Redis 7.0 makes rules up from the commands that they allow, so that `-@admin -@dangerous` reads back as `-@dangerous`;
/// later versions remember the rules.
pub fn rules_note(written: &[String], found: &[String]) -> String {
    format!("{}.{}", short_digest(&written.join(" ")), short_digest(&found.join(" ")))
}

/// Rules about commands as the server remembers them: a later rule takes earlier ones about the same command or category
/// away, and `+@all` or `-@all` all of them (`ACLSelectorUpdateCommandRules` in the server's source, 7.0).
pub fn canonical_commands<'a>(rules: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for rule in rules.into_iter().flat_map(str::split_ascii_whitespace) {
        let rule = rule.to_ascii_lowercase();
        match rule.as_str() {
            "allcommands" | "+@all" => kept = vec!["+@all".to_owned()],
            "nocommands" | "-@all" => kept.clear(),
            _ => {
                let about = rule.get(1..).unwrap_or_default();
                kept.retain(|earlier| {
                    let rest = earlier.get(1..).and_then(|earlier| earlier.strip_prefix(about));
                    !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
                });
                kept.push(rule);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = "user app on sanitize-payload #ab #cd ~app:* %R~shared:* resetchannels &news -@all +@read -get \
            (resetchannels &tenantry:estate=shop:address=acme/user -@all) (~x resetchannels -@all +set)";
        let user = User::parse(line).expect("a user");
        assert_eq!((user.name.as_str(), user.enabled, user.nopass), ("app", true, false));
        assert_eq!(user.passwords, ["ab", "cd"]);
        assert_eq!(
            (user.keys, user.read_keys, user.channels),
            (vec!["app:*".to_owned()], vec!["shared:*".to_owned()], vec!["news".to_owned()])
        );
        assert_eq!(user.commands, ["+@read", "-get"]);
        assert_eq!(&*user.label.expect("a mark").mark.estate, "shop");
        assert_eq!(user.selectors, ["~x resetchannels -@all +set"]);
    }

    #[test]
    fn a_user_of_every_database_is_one_as_ever() {
        let line = "user app on sanitize-payload #ab ~app:* resetchannels alldbs -@all +get \
            (resetchannels &tenantry:estate=shop:address=acme/user alldbs -@all)";
        let user = User::parse(line).expect("a user");
        assert_eq!((user.commands, user.selectors), (vec!["+get".to_owned()], Vec::new()));
        assert_eq!(&*user.label.expect("a mark").mark.estate, "shop");
    }

    #[test]
    fn a_line_with_an_unknown_word_is_no_user() {
        assert_eq!(User::parse("user app on ~a -@all novelty"), None);
        assert_eq!(User::parse("user app on ~a resetdbs db=1 -@all"), None);
    }

    #[test]
    fn a_later_rule_replaces_earlier_ones() {
        let canonical = |rules: &str| canonical_commands([rules]).join(" ");
        assert_eq!(canonical("-@all +GET +set -get"), "+set -get");
        assert_eq!(canonical("+get +@all -@dangerous"), "+@all -@dangerous");
        assert_eq!(canonical("+@all +get nocommands +config|get"), "+config|get");
        assert_eq!(canonical("+config|get +config|set -config"), "-config");
        assert_eq!(canonical("+config +config|get"), "+config +config|get");
        assert_eq!(canonical("+geta +get"), "+geta +get");
    }
}
