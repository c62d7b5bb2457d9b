//! Pieces of Markdown for pull requests and issues, in which names and messages of others are text and nothing else.

use std::fmt::Write as _;

use crate::difference::{Difference, Sign};
use crate::visible::visible;
use crate::words;
use tenantry_core::plan::Plan;

/// Lines of a list that is not folded, and what they take at most: a comment has several lists, and room for more.
const LISTED: usize = 30;
const LIST_LIMIT: usize = 7_000;

/// The most bytes of a text. GitHub takes comments of 65,536 characters:
/// <https://github.com/orgs/community/discussions/41331>.
pub const LIMIT: usize = 65_000;

/// A first line that nobody sees, by which an earlier text of the same sort is found and replaced.
pub fn marker(sort: &str, plan: &Plan) -> String {
    let name = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let environment = plan.environment.as_deref().map(name).unwrap_or_default();
    format!("<!-- tenantry:{sort}:{}:{environment} -->", name(&plan.estate))
}

/// Lines of a block in the format `diff` for a field that differs, with who changed it. The sign in the first column is that of
/// the format.
pub fn difference(lines: &mut Vec<String>, field: &str, difference: &Difference, by: Option<&str>) {
    let by = by.map(|by| format!("  {by}")).unwrap_or_default();
    match difference {
        Difference::Values { before, after } => {
            lines.push(format!("-     {field}: {before}"));
            lines.push(format!("+     {field}: {after}{by}"));
        }
        Difference::Lines(differing) => {
            lines.push(format!("      {field}:{by}"));
            for line in differing {
                let (sign, mark) = match line.sign {
                    Sign::Removed => ('-', ' '),
                    Sign::Added => ('+', ' '),
                    Sign::Moved => ('!', '>'),
                    Sign::Same => (' ', ' '),
                    Sign::Gap => (' ', '…'),
                };
                lines.push(format!("{sign}     {mark} {}", line.text));
            }
        }
    }
}

/// A heading with its lines; nothing without lines.
pub fn list(text: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "#### {heading}\n");
    let begin = text.len();
    for (at, line) in lines.iter().enumerate() {
        let line = format!("- {}\n", cut(line));
        if at == LISTED || text.len() - begin + line.len() > LIST_LIMIT {
            let _ = writeln!(text, "- … and {} more", lines.len() - at);
            break;
        }
        text.push_str(&line);
    }
    text.push('\n');
}

/// A line that is longer than any that people read is cut where nothing is open.
fn cut(line: &str) -> String {
    const LONGEST: usize = 600;
    if line.len() <= LONGEST {
        return line.to_owned();
    }
    let end = line.char_indices().take_while(|(at, _)| *at < LONGEST).last().map_or(0, |(at, _)| at);
    let kept = &line[..end];
    // Not within an entity, and not within a tag.
    let kept = &kept[..kept.rfind('&').filter(|at| !kept[*at..].contains(';')).unwrap_or(kept.len())];
    let kept = &kept[..kept.rfind('<').filter(|at| !kept[*at..].contains('>')).unwrap_or(kept.len())];
    let close = if kept.matches("<code>").count() > kept.matches("</code>").count() { "</code>" } else { "" };
    format!("{kept}…{close}")
}

/// Longer than any row of backticks in the text, which would end the block.
pub fn fence(body: &str) -> String {
    let longest = body.split(|character| character != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

/// The first names, and how many more there are.
pub fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    words::listed(names.map(|name| code(&name)))
}

/// A name or value of others.
pub fn code(text: &str) -> String {
    let text = visible(text);
    format!("<code>{}</code>", text.chars().map(entity).collect::<String>())
}

/// A sentence of Tenantry's with names and values of others in it. What it has in backticks becomes code.
///
/// Mentions of people and references to other issues are looked for in the finished text, where an entity is its character
/// again, but not in code.
pub fn plain(text: &str) -> String {
    let text = visible(text);
    let parts: Vec<&str> = text.split('`').collect();
    let is_paired = !parts.len().is_multiple_of(2);
    let mut shown = String::with_capacity(text.len() * 2);
    for (at, part) in parts.iter().enumerate() {
        match is_paired && at % 2 == 1 {
            true => shown.push_str(&code(part)),
            false => part.chars().for_each(|character| match character {
                '@' | '#' => _ = write!(shown, "<code>{character}</code>"),
                character => shown.push_str(&entity(character)),
            }),
        }
        if !is_paired && at + 1 < parts.len() {
            shown.push_str(&entity('`'));
        }
    }
    shown
}

/// A character as Markdown and HTML show it and do not obey it. With colons and full stops as entities, no address becomes a
/// link.
fn entity(character: char) -> String {
    let is_harmless = !character.is_ascii_punctuation() || " ,-/();=%?'\"+".contains(character);
    if is_harmless { character.to_string() } else { format!("&#{};", u32::from(character)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(code("a`b</code><img src=x>"), "<code>a&#96;b&#60;/code&#62;&#60;img src=x&#62;</code>");
        assert_eq!(
            plain("the phase `new*` of @team, see #12"),
            "the phase <code>new&#42;</code> of <code>@</code>team, see <code>#</code>12"
        );
        assert_eq!(plain("one ` alone"), "one &#96; alone");
        assert_eq!(plain("www.example.com http://x"), "www&#46;example&#46;com http&#58;//x");
        assert_eq!(code("\u{202e}x\n# y"), "<code>&#92;u&#123;202e&#125;x&#92;n&#35; y</code>");
    }

    #[test]
    fn a_fence_is_longer_than_every_row_of_backticks() {
        assert_eq!(fence("no backtick"), "```");
        assert_eq!(fence("a ``` b"), "````");
    }

    #[test]
    fn a_list_of_long_lines_leaves_room_for_the_rest() {
        let mut text = String::new();
        list(&mut text, "Findings", std::iter::repeat_n("x".repeat(900), 40));
        assert!(text.len() < LIST_LIMIT + 100, "{}", text.len());
        let shown = text.matches("\n- x").count();
        assert!(text.ends_with(&format!("- … and {} more\n\n", 40 - shown)) && shown > 5, "{shown}");
    }

    #[test]
    fn a_long_line_is_cut_where_nothing_is_open() {
        let line = format!("{} <code>{}</code>", "x".repeat(590), "&#96;".repeat(50));
        let cut = cut(&line);
        assert!(cut.len() < 640 && cut.ends_with("…</code>"), "{cut}");
        assert_eq!(cut.matches("<code>").count(), cut.matches("</code>").count());
        assert!(!cut.contains("&#…") && !cut.contains("&…"), "{cut}");
    }
}
