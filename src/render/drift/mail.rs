//! Drift as a mail: plain text, as for a chat.

use super::view::DriftView;
use super::webhook;
use crate::visible::visible;

/// The subject, which is one line whatever others wrote, and the text. Values are not in it: a mail is kept by whoever gets it.
pub fn mail(view: &DriftView<'_>) -> (String, String) {
    let subject = format!("{}: {}", view.title, view.counts.trim_end_matches('.'));
    (visible(&subject).into_owned(), webhook::written(view, &|text| visible(text).into_owned(), ""))
}
