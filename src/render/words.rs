//! Prefixes and phrases.

use jiff::Timestamp;

use super::style::Label;
use tenantry_core::lifecycle::Waits;
use tenantry_core::plan::Action;

/// The sign before a change. Always followed by the word: no meaning hangs on it alone.
pub fn symbol(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "±",
        Action::Delete => "-",
        Action::Adopt => "^",
        Action::Move => ">",
        Action::Forget => "x",
    }
}

pub fn label(action: Action) -> Label {
    match action {
        Action::Create => Label::Create,
        Action::Update => Label::Update,
        Action::Replace | Action::Delete => Label::Destroy,
        Action::Adopt | Action::Move => Label::Adopt,
        Action::Forget => Label::Quiet,
    }
}

/// The past of an action.
pub fn done(action: Action) -> &'static str {
    match action {
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace => "replaced",
        Action::Delete => "deleted",
        Action::Adopt => "adopted",
        Action::Move => "moved",
        Action::Forget => "forgotten",
    }
}

/// How many names a list shows.
const NAMES: usize = 6;

/// The first names, and how many more there are.
pub fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let first = names.take(NAMES).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// What a tenant waits for, in a few words.
pub fn waits(waits: &Waits) -> String {
    match waits {
        Waits::Apply => "the next apply".to_owned(),
        Waits::UnfinishedSteps { steps } => format!("an apply that finishes {}", count(*steps, "step")),
        Waits::TrialEnd { at } => format!("the end of its trial, {}", minute(*at)),
        Waits::Retention { until } => format!("the end of its retention, {}", minute(*until)),
        Waits::Deletion => "`phase: deleted`, which is possible now".to_owned(),
        Waits::LegalHold { hold } => match &hold.until {
            Some(until) => format!("the end of a legal hold, {until}"),
            None => "the end of a legal hold".to_owned(),
        },
    }
}

/// A time to the minute, in UTC.
pub fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `1 change`, `2 changes`, `2 entries`.
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("{number} {noun}"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

/// `1 change is`, `2 changes are`.
pub fn is_are(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_agree_with_their_number() {
        let counted = |noun: &str| [0, 1, 2].map(|number| count(number, noun));
        assert_eq!(counted("tenant"), ["0 tenants", "1 tenant", "2 tenants"]);
        assert_eq!(counted("entry"), ["0 entries", "1 entry", "2 entries"]);
        assert_eq!(counted("key"), ["0 keys", "1 key", "2 keys"]);
    }
}
