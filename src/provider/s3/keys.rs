//! What is noted of a user's access keys, in a tag of the user: which is ours, and what is being made.
//!
//! A key cannot be marked. So before one is made, the tag says which there are already: should the run end before the new
//! one is noted, whatever came since is ours, and nobody has its secret.

use super::mark::{PREFIX, Tags};

/// The tag.
const TAG: &str = "access-key";

/// In the place of an id.
const NONE: &str = "-";

/// An access key of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: String,
    pub is_active: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// One is being made, after our own that is there, and beside all of these.
    Making {
        previous: Option<String>,
        beside: Vec<String>,
    },
    Has {
        rotation: u32,
        current: String,
        previous: Option<String>,
    },
}

impl Note {
    pub fn tag() -> String {
        format!("{PREFIX}{TAG}")
    }

    /// What tags say; `None` if they say nothing that can be read.
    pub fn of(tags: &Tags) -> Option<Self> {
        let text = tags.get(&Self::tag())?;
        let mut words = text.split(' ');
        match words.next()? {
            "making" => Some(Self::Making {
                previous: words.next().filter(|word| *word != NONE).map(str::to_owned),
                beside: words.map(str::to_owned).collect(),
            }),
            rotation => Some(Self::Has {
                rotation: rotation.parse().ok()?,
                current: words.next()?.to_owned(),
                previous: words.next().map(str::to_owned),
            }),
        }
    }

    pub fn text(&self) -> String {
        match self {
            Self::Making { previous, beside } => {
                let mut words = vec!["making", previous.as_deref().unwrap_or(NONE)];
                words.extend(beside.iter().map(String::as_str));
                words.join(" ")
            }
            Self::Has { rotation, current, previous } => match previous {
                Some(previous) => format!("{rotation} {current} {previous}"),
                None => format!("{rotation} {current}"),
            },
        }
    }

    /// Those that came while one was being made.
    pub fn orphans<'a>(&self, there: &'a [Key]) -> Vec<&'a Key> {
        match self {
            Self::Making { beside, .. } => there.iter().filter(|key| !beside.contains(&key.id)).collect(),
            Self::Has { .. } => Vec::new(),
        }
    }

    /// The keys that are ours.
    pub fn keys<'a>(&'a self, there: &'a [Key]) -> Vec<&'a str> {
        match self {
            Self::Making { previous, .. } => {
                let orphans = self.orphans(there).into_iter().map(|key| key.id.as_str());
                previous.as_deref().into_iter().chain(orphans).collect()
            }
            Self::Has { current, previous, .. } => {
                std::iter::once(current).chain(previous).map(String::as_str).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_its_tag() {
        let has = |previous: Option<&str>| Note::Has {
            rotation: 3,
            current: "AKIA1".to_owned(),
            previous: previous.map(str::to_owned),
        };
        let making = |previous: Option<&str>, beside: &[&str]| Note::Making {
            previous: previous.map(str::to_owned),
            beside: beside.iter().map(|id| (*id).to_owned()).collect(),
        };
        for note in [
            has(None),
            has(Some("AKIA0")),
            making(None, &[]),
            making(None, &["AKIA0"]),
            making(Some("AKIA0"), &["AKIA0", "AKIA1"]),
        ] {
            let tags = Tags::from([(Note::tag(), note.text())]);
            assert_eq!(Note::of(&tags), Some(note));
        }
        assert_eq!(Note::of(&Tags::new()), None);
        assert_eq!(Note::of(&Tags::from([(Note::tag(), "x AKIA1".to_owned())])), None);
    }

    #[test]
    fn what_came_while_one_was_being_made_is_ours_and_what_was_there_is_not() {
        let there = ["THEIRS", "AKIA1"].map(|id| Key { id: id.to_owned(), is_active: true });
        let making = Note::Making { previous: None, beside: vec!["THEIRS".to_owned()] };
        assert_eq!(making.keys(&there), ["AKIA1"]);
        let after = Note::Making { previous: Some("AKIA1".to_owned()), beside: vec!["THEIRS".into(), "AKIA1".into()] };
        assert_eq!(after.keys(&there), ["AKIA1"]);
        assert_eq!(after.orphans(&there), [&there[1]; 0]);
    }
}
