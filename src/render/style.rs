//! The table of colours. No meaning is expressed by colour alone.
//!
//! Painted text carries marks and no escape sequences: [`Page`](super::page::Page) makes colours of the marks, and shows every
//! escape sequence that it finds as text. The marks hold a key that differs in each process, so that nobody else writes one.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use anstyle::{AnsiColor, Reset, Style};

/// What a piece of text is, from which its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Heading,
    Create,
    Update,
    Destroy,
    Adopt,
    Quiet,
    Warning,
    Error,
    Good,
}

/// Begins a mark. No character: Unicode keeps it for uses within a program.
const MARK: char = '\u{fdd0}';

static KEY: LazyLock<String> = LazyLock::new(|| format!("{:016x}", RandomState::new().hash_one(MARK)));

/// Behind the key: the end of a painted text. Otherwise the place of the label in [`Label::ALL`].
const END: char = '.';

impl Label {
    const ALL: [Self; 9] = [
        Self::Heading,
        Self::Create,
        Self::Update,
        Self::Destroy,
        Self::Adopt,
        Self::Quiet,
        Self::Warning,
        Self::Error,
        Self::Good,
    ];

    pub const fn style(self) -> Style {
        match self {
            Self::Heading => Style::new().bold(),
            Self::Create | Self::Good => AnsiColor::Green.on_default(),
            Self::Update | Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Destroy | Self::Error => AnsiColor::Red.on_default().bold(),
            Self::Adopt => AnsiColor::Cyan.on_default(),
            Self::Quiet => Style::new().dimmed(),
        }
    }

    /// `text` in this label's colour, for a [`Page`](super::page::Page).
    pub fn paint(self, text: impl std::fmt::Display) -> String {
        let place = Self::ALL.iter().position(|label| *label == self).unwrap_or_default();
        let key = &*KEY;
        format!("{MARK}{key}{place}{text}{MARK}{key}{END}")
    }
}

/// The colour that a text begins with, and what is behind it; `None` if it does not begin with paint.
pub fn painted(text: &str) -> Option<(String, &str)> {
    let behind = text.strip_prefix(MARK)?.strip_prefix(KEY.as_str())?;
    let place = behind.chars().next()?;
    let sequence = match place {
        END => Reset.render().to_string(),
        place => Label::ALL.get(usize::try_from(place.to_digit(10)?).ok()?)?.style().render().to_string(),
    };
    Some((sequence, &behind[place.len_utf8()..]))
}
