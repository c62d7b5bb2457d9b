//! The one table of colours. Everything reads without them.

use anstyle::{AnsiColor, Style};

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

impl Label {
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

    /// `text` in this label's colour.
    pub fn paint(self, text: impl std::fmt::Display) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}
