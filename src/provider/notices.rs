//! What servers say beside success: notices, warnings, deprecations.
//!
//! A driver hears them where an answer is read, far below the place that knows for which step it was asked. So they are
//! noted there ([`note`]), and whoever runs the step takes them ([`heard`], [`take`]). They belong to the future that was
//! running when they came: steps that are written side by side do not hear each other.

use std::cell::RefCell;
use std::sync::Arc;

use crate::contract::masked;

/// The most notices that are kept of one step: a script may raise one for each row of a table.
const MOST: usize = 20;

/// The most characters of a notice.
const LONGEST: usize = 1_000;

/// What was heard since it was last taken.
#[derive(Default)]
struct Heard {
    notices: Vec<String>,
    /// How many more there were.
    more: usize,
}

tokio::task_local! {
    static HEARD: RefCell<Heard>;
}

/// Runs something. Returns with its result what servers said meanwhile.
pub async fn heard<T>(run: impl Future<Output = T>) -> (T, Vec<String>) {
    let run = async {
        let result = run.await;
        (result, take())
    };
    HEARD.scope(RefCell::default(), run).await
}

/// Notes what a server said, in its own words. One that repeats itself is noted once; outside of [`heard`] nobody asks.
pub fn note(words: &str) {
    let _ = HEARD.try_with(|heard| {
        let Heard { notices, more } = &mut *heard.borrow_mut();
        let words = shortened(words.trim());
        if words.is_empty() || notices.contains(&words) {
            return;
        }
        if notices.len() < MOST {
            notices.push(words);
        } else {
            *more += 1;
        }
    });
}

/// Takes what was noted so far, for a step that shares its answers with others.
pub fn take() -> Vec<String> {
    let heard = HEARD.try_with(RefCell::take).unwrap_or_default();
    let Heard { mut notices, more } = heard;
    if more > 0 {
        notices.push(format!("… and {more} more"));
    }
    notices
}

/// Notices without the values of secrets, should the server have quoted one.
pub fn without_secrets(notices: Vec<String>, values: impl IntoIterator<Item = Arc<str>>) -> Vec<String> {
    if notices.is_empty() {
        return notices;
    }
    let values: Vec<Arc<str>> = values.into_iter().collect();
    notices.into_iter().map(|words| masked(&words, values.iter().cloned())).collect()
}

fn shortened(words: &str) -> String {
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn steps_side_by_side_do_not_hear_each_other() {
        let step = |words: &'static str| {
            heard(async move {
                note(words);
                tokio::task::yield_now().await;
                note(words);
                note(&format!("{words} again"));
            })
        };
        let (((), one), ((), other)) = tokio::join!(step("one"), step("other"));
        assert_eq!(one, ["one", "one again"]);
        assert_eq!(other, ["other", "other again"]);
        note("nobody asks");
    }

    #[tokio::test]
    async fn what_was_taken_is_not_heard_again() {
        let ((), rest) = heard(async {
            note("first");
            assert_eq!(take(), ["first"]);
            note("second");
        })
        .await;
        assert_eq!(rest, ["second"]);
    }

    #[tokio::test]
    async fn a_server_that_does_not_stop_is_cut_short() {
        let ((), notices) = heard(async {
            (0..100).for_each(|row| note(&format!("row {row}")));
            note(&"x".repeat(5_000));
        })
        .await;
        assert_eq!(notices.len(), MOST + 1);
        assert_eq!(notices[MOST], "… and 81 more");
        let ((), notices) = heard(async { note(&"ä".repeat(5_000)) }).await;
        assert_eq!(notices[0].chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_secret_that_was_quoted_is_masked() {
        let notices = without_secrets(vec!["NOTICE: password is hunter2".into()], ["hunter2".into()]);
        assert_eq!(notices, ["NOTICE: password is (secret)"]);
    }
}
