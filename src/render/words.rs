//! Prefixes and phrases.

use super::style::Label;
use crate::core::plan::Action;

/// The sign before a change. Always followed by the word: no meaning hangs on it alone.
pub fn symbol(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "±",
        Action::Delete => "-",
        Action::Adopt => "^",
        Action::Forget => "x",
    }
}

pub fn label(action: Action) -> Label {
    match action {
        Action::Create => Label::Create,
        Action::Update => Label::Update,
        Action::Replace | Action::Delete => Label::Destroy,
        Action::Adopt => Label::Adopt,
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
        Action::Forget => "forgotten",
    }
}

/// `1 change`, `2 changes`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// An identity as it can be read: without the empty parts that a qualifier leaves.
pub fn identity(identity: &str) -> String {
    identity
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| part.replace("%2F", "/").replace("%25", "%"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A JSON pointer as a path: `/columns/max_users` is `columns.max_users`.
pub fn path(pointer: &str) -> String {
    pointer
        .split('/')
        .skip(1)
        .map(|token| crate::core::model::value::unescape_token(token).into_owned())
        .collect::<Vec<_>>()
        .join(".")
}
