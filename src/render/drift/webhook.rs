//! Drift as a message for a chat: what is new to people, in a few lines.
//!
//! The text is Slack's `mrkdwn`, in which `&`, `<` and `>` are the only characters that others must not write:
//! <https://docs.slack.dev/messaging/formatting-message-text>.

use std::fmt::Write as _;

use super::view::{DriftView, word};
use crate::visible::visible;
use crate::words;

/// Groups that the message shows.
const GROUPS: usize = 10;
/// Resources of a group that it shows.
const RESOURCES: usize = 10;

/// The message. Values are not in it: a chat has more readers than a repository.
pub fn message(view: &DriftView<'_>) -> String {
    written(view, &escaped, "*")
}

/// The message with headings between `strong`, and everything that others wrote `escaped`.
pub(super) fn written(view: &DriftView<'_>, escaped: &dyn Fn(&str) -> String, strong: &str) -> String {
    let mut text = format!("{strong}{}{strong}\n{}\n", escaped(&view.title), escaped(&view.counts));
    for group in view.groups.iter().take(GROUPS) {
        let owners = escaped(&words::listed(group.owners.iter().map(ToString::to_string)));
        let _ = writeln!(text, "{strong}{owners}{strong}");
        for resource in group.resources.iter().take(RESOURCES) {
            let fields: Vec<String> = resource
                .fields
                .iter()
                .map(|field| match &field.by {
                    Some(by) => format!("{} ({by})", field.name),
                    None => field.name.clone(),
                })
                .collect();
            let fields = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
            let line = format!("{} {} {}{fields}", word(resource.state), resource.id, resource.kind);
            let _ = writeln!(text, "• {}", escaped(&line));
        }
        if group.resources.len() > RESOURCES {
            let _ = writeln!(text, "• … and {} more", group.resources.len() - RESOURCES);
        }
    }
    if view.groups.len() > GROUPS {
        let _ = writeln!(text, "… and {} more groups; `tenantry drift` shows all", view.groups.len() - GROUPS);
    }
    text
}

fn escaped(text: &str) -> String {
    visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(['*', '`'], "·")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_mentions_nobody() {
        assert_eq!(escaped("<!channel> & *bold* `code`\n"), r"&lt;!channel&gt; &amp; ·bold· ·code·\n");
    }
}
