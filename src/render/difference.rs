//! How two values differ, for somebody who has to judge it: texts line by line, lists and maps element by element.

use std::borrow::Cow;
use std::collections::BTreeMap;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use tenantry_core::model::value::{Value, readable_pointer};
use tenantry_core::plan::FieldChange;

/// Characters of a value before it is shortened.
pub const VALUE: usize = 72;
/// Characters that are alike and kept before the first that differs, of values that are shortened.
const BEFORE: usize = 20;
/// Lines that are alike and kept around those that differ.
const AROUND: usize = 2;

/// A difference as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// Both sides in one line, long ones shortened around what differs.
    Values { before: String, after: String },
    /// Lines of a text, or elements of a list or map.
    Lines(Vec<Line>),
}

/// One line of a difference.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub sign: Sign,
    pub text: String,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Removed,
    Added,
    /// An element of a list that is in another place afterwards.
    Moved,
    Same,
    /// Stands for lines that are alike and are not shown.
    Gap,
}

impl Sign {
    /// Before the line. Every line has one, so that colour is not needed.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Removed => "-",
            Self::Added => "+",
            Self::Moved => ">",
            Self::Same => " ",
            Self::Gap => "…",
        }
    }
}

/// The difference of a field of a plan. Of one that is left out it says what the target will have there.
pub fn of_field(field: &FieldChange) -> Difference {
    match (&field.after, &field.becomes) {
        (None, Some(value)) => {
            let (before, value) = (shortened(&shown(field.before.as_ref())), shortened(&in_one_line(value)));
            let after = match field.becomes == field.before {
                true => "(none), but it stays as it is: others keep it, or it is the default".to_owned(),
                false => format!("(none), so the target sets {value}"),
            };
            Difference::Values { before, after }
        }
        (after, _) => of(field.before.as_ref(), after.as_ref()),
    }
}

/// The difference of two values; `None` is a field that does not exist.
pub fn of(before: Option<&Value>, after: Option<&Value>) -> Difference {
    match (before, after) {
        (Some(Value::List(old)), Some(Value::List(new)))
            if old.len().max(new.len()) > 1 || !is_flat(old) || !is_flat(new) =>
        {
            // Of one map that takes the place of another the fields are compared.
            match old.len() == new.len() && !is_flat(old) && !is_flat(new) {
                true => Difference::Lines(fields(before, after)),
                false => Difference::Lines(elements(old, new)),
            }
        }
        (Some(Value::Map(_)), Some(Value::Map(_))) => Difference::Lines(fields(before, after)),
        (before, after) if [before, after].into_iter().flatten().any(is_multiline) && is_text(before, after) => {
            Difference::Lines(lines(text(before), text(after)))
        }
        (before, after) => {
            let (mut old, mut new) = (shown(before), shown(after));
            // A number and a text of the same digits.
            if old == new
                && let (Some(before), Some(after)) = (before, after)
                && before != after
            {
                (old, new) = (before.to_json().to_string().into(), after.to_json().to_string().into());
            }
            let (before, after) = short(&old, &new);
            Difference::Values { before, after }
        }
    }
}

/// A value in one line. A text is quoted where it could be misread without: if it is empty, has blanks at its ends or in a row,
/// quotes, or control characters.
pub fn in_one_line(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Deferred(deferred) => Cow::Owned(deferred.to_string()),
        Value::Text(text) if !is_ambiguous(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_json().to_string()),
    }
}

fn is_ambiguous(text: &str) -> bool {
    text.is_empty()
        || text.contains(['\n', '\t', '"'])
        || text.contains("  ")
        || text.starts_with(' ')
        || text.ends_with(' ')
}

/// Whether a list has neither lists nor maps in it.
fn is_flat(items: &[Value]) -> bool {
    !items.iter().any(|item| matches!(item, Value::Map(_) | Value::List(_)))
}

fn shown(value: Option<&Value>) -> Cow<'_, str> {
    value.map_or(Cow::Borrowed("(none)"), in_one_line)
}

/// Begin of a text, at most [`VALUE`] characters.
pub fn shortened(text: &str) -> String {
    short(text, text).0
}

fn is_multiline(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim_end().contains('\n'))
}

fn is_text(before: Option<&Value>, after: Option<&Value>) -> bool {
    [before, after].into_iter().flatten().all(|value| value.as_str().is_some())
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn lines(before: &str, after: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    // A text ends with a newline, or it does not: that is a difference too, and no line of its own.
    let (old, new) = match (old.last(), new.last()) {
        (Some(&""), Some(&"")) => (&old[..old.len() - 1], &new[..new.len() - 1]),
        _ if before.is_empty() => (&old[..0], without_last_empty(&new)),
        _ if after.is_empty() => (without_last_empty(&old), &new[..0]),
        _ => (&old[..], &new[..]),
    };
    let old: Vec<String> = old.iter().map(|line| (*line).to_owned()).collect();
    let new: Vec<String> = new.iter().map(|line| (*line).to_owned()).collect();
    fitted(around(compared(&old, &new)))
}

fn without_last_empty<'s, 't>(lines: &'s [&'t str]) -> &'s [&'t str] {
    match lines.split_last() {
        Some((&"", rest)) => rest,
        _ => lines,
    }
}

fn elements(before: &[Value], after: &[Value]) -> Vec<Line> {
    let texts = |items: &[Value]| items.iter().map(|item| in_one_line(item).into_owned()).collect::<Vec<_>>();
    fitted(around(with_moves(compared(&texts(before), &texts(after)))))
}

fn fields(before: Option<&Value>, after: Option<&Value>) -> Vec<Line> {
    let leaves = |value: Option<&Value>| {
        let mut leaves = Vec::new();
        if let Some(value) = value {
            value.for_each_leaf(&mut |pointer, leaf| {
                leaves.push(format!("{}: {}", readable_pointer(pointer), in_one_line(leaf)));
            });
        }
        leaves
    };
    fitted(around(compared(&leaves(before), &leaves(after))))
}

fn compared(old: &[String], new: &[String]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut push = |sign: Sign, texts: &[String]| {
        lines.extend(texts.iter().map(|text| Line { sign, text: text.clone() }));
    };
    for operation in capture_diff_slices(Algorithm::Myers, old, new) {
        match operation {
            DiffOp::Equal { old_index, len, .. } => push(Sign::Same, &old[old_index..old_index + len]),
            DiffOp::Delete { old_index, old_len, .. } => push(Sign::Removed, &old[old_index..old_index + old_len]),
            DiffOp::Insert { new_index, new_len, .. } => push(Sign::Added, &new[new_index..new_index + new_len]),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                push(Sign::Removed, &old[old_index..old_index + old_len]);
                push(Sign::Added, &new[new_index..new_index + new_len]);
            }
        }
    }
    lines
}

/// What is removed in one place and added in another has moved.
fn with_moves(lines: Vec<Line>) -> Vec<Line> {
    let mut removed: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.sign == Sign::Removed) {
        *removed.entry(line.text.clone()).or_default() += 1;
    }
    let mut moved: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Line> = lines
        .into_iter()
        .map(|line| match (line.sign, removed.get_mut(&line.text)) {
            (Sign::Added, Some(left)) if *left > 0 => {
                *left -= 1;
                *moved.entry(line.text.clone()).or_default() += 1;
                Line { sign: Sign::Moved, ..line }
            }
            _ => line,
        })
        .collect();
    kept.retain(|line| match (line.sign, moved.get_mut(&line.text)) {
        (Sign::Removed, Some(left)) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    kept
}

/// Leaves out what is alike and far from every line that differs.
fn around(lines: Vec<Line>) -> Vec<Line> {
    let differs = |line: &Line| line.sign != Sign::Same;
    let mut is_near = vec![false; lines.len()];
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| differs(line)) {
        let last = (at + AROUND).min(lines.len() - 1);
        is_near[at.saturating_sub(AROUND)..=last].fill(true);
    }
    let mut kept = Vec::new();
    let mut skipped: Vec<Line> = Vec::new();
    for (line, is_near) in lines.into_iter().zip(is_near) {
        if is_near {
            gap(&mut kept, &mut skipped);
            kept.push(line);
        } else {
            skipped.push(line);
        }
    }
    gap(&mut kept, &mut skipped);
    kept
}

/// Shortens long lines. Of one that takes the place of another the part that differs is kept.
fn fitted(mut lines: Vec<Line>) -> Vec<Line> {
    let mut at = 0;
    while at < lines.len() {
        let run = |from: usize, sign: Sign| lines[from..].iter().take_while(|line| line.sign == sign).count();
        let removed = run(at, Sign::Removed);
        let added = run(at + removed, Sign::Added);
        let pairs = removed.min(added);
        let paired: Vec<(String, String)> =
            (0..pairs).map(|pair| short(&lines[at + pair].text, &lines[at + removed + pair].text)).collect();
        for (pair, (before, after)) in paired.into_iter().enumerate() {
            lines[at + pair].text = before;
            lines[at + removed + pair].text = after;
        }
        let end = at + (removed + added).max(1);
        for (place, line) in lines.iter_mut().enumerate().take(end).skip(at) {
            let is_paired = place < at + pairs || (at + removed..at + removed + pairs).contains(&place);
            if !is_paired {
                line.text = shortened(&line.text);
            }
        }
        at = end;
    }
    lines
}

/// A gap takes a line itself, so a single line that is alike stays.
fn gap(kept: &mut Vec<Line>, skipped: &mut Vec<Line>) {
    match skipped.len() {
        0 => {}
        1 => kept.append(skipped),
        count => kept.push(Line { sign: Sign::Gap, text: format!("{count} unchanged") }),
    }
    skipped.clear();
}

/// Both sides of a difference, with what differs among the characters that are kept.
fn short(before: &str, after: &str) -> (String, String) {
    let alike = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let begin = if alike < VALUE - BEFORE || before == after { 0 } else { alike - BEFORE };
    let part = |text: &str| {
        let mut kept: String = if begin == 0 { String::new() } else { "…".to_owned() };
        let mut rest = text.chars().skip(begin);
        let room = VALUE - kept.chars().count();
        kept.extend(rest.by_ref().take(room));
        if rest.next().is_some() {
            kept.pop();
            kept.push('…');
        }
        kept
    };
    (part(before), part(after))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn difference(before: Json, after: Json) -> String {
        let value = |json: Json| (!json.is_null()).then(|| Value::from(json));
        match of(value(before).as_ref(), value(after).as_ref()) {
            Difference::Values { before, after } => format!("{before} → {after}"),
            Difference::Lines(lines) => {
                lines.iter().map(|line| format!("{} {}\n", line.sign.symbol(), line.text)).collect()
            }
        }
    }

    #[test]
    fn a_field_that_is_left_out_says_what_the_target_has_then() {
        let field = |before: Json, becomes: Option<Json>| FieldChange {
            path: "/spec/replicas".into(),
            before: Some(before.into()),
            after: None,
            outside: false,
            by: None,
            becomes: becomes.map(Into::into),
        };
        let shown = |field: &FieldChange| match of_field(field) {
            Difference::Values { before, after } => format!("{before} → {after}"),
            Difference::Lines(lines) => format!("{lines:?}"),
        };
        assert_eq!(shown(&field(json!(4), None)), "4 → (none)");
        assert_eq!(shown(&field(json!(4), Some(json!(1)))), "4 → (none), so the target sets 1");
        assert_eq!(
            shown(&field(json!(1), Some(json!(1)))),
            "1 → (none), but it stays as it is: others keep it, or it is the default"
        );
    }

    #[test]
    fn of_long_values_the_part_that_differs_is_shown() {
        assert_eq!(short("a", "b"), ("a".into(), "b".into()));
        let (before, after) = short(&format!("{}one", "x".repeat(200)), &format!("{}two", "x".repeat(200)));
        assert_eq!((before.as_str(), after.as_str()), ("…xxxxxxxxxxxxxxxxxxxxone", "…xxxxxxxxxxxxxxxxxxxxtwo"));
        let (before, after) = short("(none)", &"é".repeat(100));
        assert_eq!((before.as_str(), after.chars().count()), ("(none)", VALUE));
        let (before, after) = short(&"x".repeat(200), &"x".repeat(90));
        assert!(before.ends_with('…') && after.chars().count() < VALUE && before != after, "{before} {after}");
    }

    #[test]
    fn a_text_of_several_lines_differs_line_by_line() {
        let lines = |changed: &str| {
            let all: Vec<String> =
                (1..=9).map(|at| if at == 5 { changed.into() } else { format!("line {at}") }).collect();
            all.join("\n") + "\n"
        };
        assert_eq!(
            difference(lines("old").into(), lines("new").into()),
            "… 2 unchanged\n  line 3\n  line 4\n- old\n+ new\n  line 6\n  line 7\n… 2 unchanged\n"
        );
        assert_eq!(difference(Json::Null, "one\ntwo\n".into()), "+ one\n+ two\n");
        assert_eq!(difference("one\ntwo".into(), Json::Null), "- one\n- two\n");
        assert_eq!(difference("one\ntwo\n".into(), "one\ntwo".into()), "  one\n  two\n- \n", "the newline at the end");
    }

    #[test]
    fn of_long_lines_the_part_that_differs_is_shown() {
        let before = format!("{}one\nsecond {}", "x".repeat(200), "y".repeat(200));
        let after = format!("{}two\nsecond {}", "x".repeat(200), "y".repeat(200));
        let shown = difference(before.into(), after.into());
        assert!(shown.starts_with("- …xxxxxxxxxxxxxxxxxxxxone\n+ …xxxxxxxxxxxxxxxxxxxxtwo\n  second yyy"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= VALUE + 2), "{shown}");
    }

    #[test]
    fn a_list_differs_element_by_element() {
        assert_eq!(difference(json!(["a", "b", "c"]), json!(["a", "c", "d"])), "  a\n- b\n  c\n+ d\n");
        assert_eq!(difference(json!(["a", "b", "c"]), json!(["c", "a", "b"])), "> c\n  a\n  b\n");
        assert_eq!(difference(json!(["a"]), json!(["b"])), "[\"a\"] → [\"b\"]");
        assert_eq!(
            difference(json!([{"p": 80, "q": 1}]), json!([{"p": 443, "q": 1}])),
            "- 0.p: 80\n+ 0.p: 443\n  0.q: 1\n"
        );
        assert_eq!(difference(json!([{"p": 80}]), json!([{"p": 80}, {"p": 443}])), "  {\"p\":80}\n+ {\"p\":443}\n");
        assert_eq!(
            difference(json!({"a": {"b": 1}, "c": 2}), json!({"a": {"b": 3}, "c": 2})),
            "- a.b: 1\n+ a.b: 3\n  c: 2\n"
        );
    }

    #[test]
    fn blanks_that_matter_are_quoted() {
        assert_eq!(difference("a".into(), "a ".into()), "a → \"a \"");
        assert_eq!(difference("a b".into(), "a  b".into()), "a b → \"a  b\"");
        assert_eq!(difference("".into(), Json::Null), "\"\" → (none)");
        assert_eq!(difference(json!(1), "1".into()), "1 → \"1\"", "and types");
    }
}
