//! New bytes in the place of old ones.

use super::super::node::{Data, Field};
use super::place::{Found, Notation, Step, column, end_of};
use tenantry_core::model::value::Value;
use tenantry_core::yaml::{self, Yaml, in_one_line, scalar, within_brackets};

type Why = &'static str;

/// The order of a tenant's fields: that of the type.
pub const ORDER: [&str; 8] = ["displayName", "tier", "phase", "placement", "quotas", "features", "contacts", "values"];

fn with(text: &str, start: usize, end: usize, new: &str) -> String {
    format!("{}{new}{}", &text[..start], &text[end..])
}

/// The line break that the file uses.
fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Exchanges a value that is there.
pub fn replaced(text: &str, found: &Found<'_>, value: &Value) -> Result<String, Why> {
    let Some(step) = found.steps.last() else { return Err("it is the whole document") };
    let (start, end) = (step.start, step.end);
    if step.field.is_none() && !matches!(step.notation, Notation::Plain | Notation::Quoted(_) | Notation::Flow) {
        return Err("it is an item of a list that is written over several lines");
    }
    let is_collection = matches!(value, Value::List(_) | Value::Map(_));
    match step.notation {
        Notation::Alias => Err("it is an alias"),
        Notation::Empty => Ok(with(text, start, end, &format!(" {}", written(step, value)))),
        Notation::Block | Notation::BlockScalar => {
            let Some(field) = step.field else { return Err("it has no key") };
            let has_lines = match value {
                Value::List(items) => !items.is_empty(),
                Value::Map(map) => !map.is_empty(),
                Value::Text(text) => text.contains('\n') && step.notation == Notation::BlockScalar,
                _ => false,
            };
            // What had lines of its own has them again.
            let new = if has_lines && (is_collection == (step.notation == Notation::Block)) {
                below(text, field, value)
            } else {
                format!(" {}", written(step, value))
            };
            // The comment behind the key stays.
            let first_line = text[start..end].split('\n').next().unwrap_or_default().trim_end_matches('\r');
            let comment = first_line.find('#').map(|at| &first_line[at..]).unwrap_or_default();
            let start = if step.notation == Notation::BlockScalar { start - blanks_before(text, start) } else { start };
            let new = match (comment, new.split_once('\n')) {
                ("", _) => new,
                (comment, Some((first, rest))) => format!("{} {comment}{}\n{rest}", first.trim_end(), cr(first)),
                (comment, None) => format!("{new} {comment}"),
            };
            Ok(with(text, start, end, &new))
        }
        _ => Ok(with(text, start, end, &written(step, value))),
    }
}

fn cr(line: &str) -> &'static str {
    if line.ends_with('\r') { "\r" } else { "" }
}

fn blanks_before(text: &str, at: usize) -> usize {
    text[..at].len() - text[..at].trim_end_matches([' ', '\t']).len()
}

/// A value on one line, with the quotation marks of the one before where it is a text as that was.
fn written(step: &Step<'_>, value: &Value) -> String {
    match (step.notation, value) {
        (Notation::Quoted('"'), Value::Text(text)) => yaml::quoted(text),
        (Notation::Quoted('\''), Value::Text(text)) if !text.contains(|c: char| c.is_control()) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ if step.within_flow => within_brackets(value),
        _ => in_one_line(value),
    }
}

/// A list, a mapping or a text with lines of its own, as it stands behind the colon of a key.
fn below(text: &str, field: &Field, value: &Value) -> String {
    let entry = yaml::Entry::new("k", value);
    let lines = yaml::text(&Yaml::Map(vec![entry]), 0);
    let lines = lines.strip_prefix("k:").unwrap_or(&lines).trim_end_matches('\n');
    let indentation = " ".repeat(column(text, field));
    let indented = lines.split('\n').enumerate().map(|(number, line)| match (number, line.is_empty()) {
        (0, _) | (_, true) => line.to_owned(),
        _ => format!("{indentation}{line}"),
    });
    indented.collect::<Vec<_>>().join(line_break(text))
}

/// Adds a value where none is; `missing` are the keys that lead to it from the last one that there is.
pub fn inserted(text: &str, found: &Found<'_>, missing: &[String], value: &Value) -> Result<String, Why> {
    let Some(step) = found.steps.last() else { return Err("there is no document") };
    let Some((key, rest)) = missing.split_first() else { return Err("it is there already") };
    let nested = rest.iter().rev().fold(value.clone(), |value, key| Value::map([(key.as_str(), value)]));
    let in_brackets = || format!("{}: {}", within_brackets(&Value::from(key.as_str())), within_brackets(&nested));
    match (&step.node.data, step.notation) {
        (Data::Map(fields), Notation::Flow) => {
            let Some(last) = fields.get(following(fields, key).saturating_sub(1)).filter(|_| !fields.is_empty()) else {
                return Ok(with(text, step.start, step.end, &format!("{{{}}}", in_brackets())));
            };
            if following(fields, key) == 0 {
                let at = last.key_span.start as usize;
                return Ok(with(text, at, at, &format!("{}, ", in_brackets())));
            }
            let at = end_of(text, &last.value).max(last.key_span.end as usize);
            // A key without a value has its colon behind it.
            let at = if text[at..].starts_with(':') { at + 1 } else { at };
            Ok(with(text, at, at, &format!(", {}", in_brackets())))
        }
        (Data::Map(fields), Notation::Block) => {
            let Some(any) = fields.first() else { return Err("the mapping has no keys") };
            let indentation = indentation(text, fields).unwrap_or_else(|| " ".repeat(column(text, any)));
            let lines = lines(text, key, rest, value, &indentation, step_of(found, text));
            let at = following(fields, key);
            match at.checked_sub(1).and_then(|before| fields.get(before)) {
                Some(before) => Ok(after(text, end_of_entry(text, before, step), &lines)),
                // Before the first one, unless that shares its line with something.
                None if is_first_on_line(text, any) => {
                    let start = any.key_span.start as usize - column(text, any);
                    Ok(with(text, start, start, &format!("{lines}{}", line_break(text))))
                }
                None => Ok(after(text, end_of_entry(text, &fields[fields.len() - 1], step), &lines)),
            }
        }
        (Data::Null, Notation::Empty) if step.within_flow => {
            Ok(with(text, step.start, step.end, &format!(" {{{}}}", in_brackets())))
        }
        (Data::Null, Notation::Empty) => {
            let Some(field) = step.field else { return Err("the document is empty") };
            let own = column(text, field) + step_of(found, text);
            let lines = lines(text, key, rest, value, &" ".repeat(own), step_of(found, text));
            let line = text[step.start..].split('\n').next().unwrap_or_default();
            Ok(after(text, step.start + line.trim_end_matches('\r').len(), &lines))
        }
        (Data::Null, _) => Ok(with(text, step.start, step.end, &format!("{{{}}}", in_brackets()))),
        _ => Err("it is no mapping"),
    }
}

/// Puts lines below the line that ends at a place.
fn after(text: &str, end: usize, lines: &str) -> String {
    with(text, end, end, &format!("{}{lines}", line_break(text)))
}

/// Where the last line of an entry ends.
fn end_of_entry(text: &str, field: &Field, parent: &Step<'_>) -> usize {
    let found = super::place::find_entry(text, field, parent.within_flow);
    let end = found.map_or(field.value.span.end as usize, |step| step.end);
    let line = text[end..].split('\n').next().unwrap_or_default();
    end + line.trim_end_matches('\r').len()
}

/// The key with its value, line by line.
fn lines(text: &str, key: &str, rest: &[String], value: &Value, indentation: &str, step: usize) -> String {
    let mut lines = vec![];
    let mut indentation = indentation.to_owned();
    let mut key = key;
    for next in rest {
        lines.push(format!("{indentation}{}:", scalar(key)));
        indentation.push_str(&" ".repeat(step));
        key = next;
    }
    lines.push(format!("{indentation}{}: {}", scalar(key), in_one_line(value)));
    lines.join(line_break(text))
}

/// How far the file indents what is within something else.
fn step_of(found: &Found<'_>, text: &str) -> usize {
    let within = |step: &Step<'_>| {
        let (field, inner) = (step.field?, step.node.fields().first()?);
        (step.notation == Notation::Block).then(|| column(text, inner).checked_sub(column(text, field)))?
    };
    let root = found.steps.first().map(|root| root.node.fields()).unwrap_or_default();
    let of_root = root.iter().find_map(|field| {
        let inner = field.value.fields().first()?;
        let is_below = text[field.key_span.end as usize..inner.key_span.start as usize].contains('\n');
        is_below.then(|| column(text, inner).checked_sub(column(text, field)))?
    });
    found.steps.iter().rev().find_map(within).or(of_root).filter(|step| (1..=8).contains(step)).unwrap_or(2)
}

/// The place of a new key among others: as the fields of a tenant are ordered, else in order of the alphabet where the others
/// are, else at the end.
fn following(fields: &[Field], key: &str) -> usize {
    let rank = |key: &str| ORDER.iter().position(|known| *known == key);
    let is_spec = fields.iter().any(|field| &*field.key == "tier");
    if let (true, Some(own)) = (is_spec, rank(key)) {
        let before = fields.iter().rposition(|field| rank(&field.key).is_some_and(|rank| rank < own));
        return before.map_or(0, |at| at + 1);
    }
    if fields.len() > 1 && fields.is_sorted_by(|a, b| a.key < b.key) {
        return fields.partition_point(|field| *field.key < *key);
    }
    fields.len()
}

fn is_first_on_line(text: &str, field: &Field) -> bool {
    let start = field.key_span.start as usize;
    text[start - column(text, field)..start].trim_matches(' ').is_empty()
}

/// What stands before the keys of a mapping.
fn indentation(text: &str, fields: &[Field]) -> Option<String> {
    let field = fields.iter().find(|field| is_first_on_line(text, field))?;
    Some(" ".repeat(column(text, field)))
}

/// Takes a value away.
pub fn removed(text: &str, found: &Found<'_>) -> Result<String, Why> {
    let [.., parent, step] = &found.steps[..] else { return Err("it is the whole document") };
    let Some(field) = step.field else {
        return Err("it is an item of a list; give the whole list instead: `FIELD=[a, b]`");
    };
    let fields = parent.node.fields();
    let Some(at) = fields.iter().position(|other| std::ptr::eq(other, field)) else { return Err("it is not there") };
    let key = field.key_span.start as usize;
    if parent.notation == Notation::Flow {
        let end = step.end.max(field.key_span.end as usize);
        let rest = text[end..].split('\n').next().unwrap_or_default();
        let behind = rest.trim_start_matches([' ', '\t', ',']).trim_end();
        let is_alone = is_first_on_line(text, field) && (behind.is_empty() || behind.starts_with('#'));
        return Ok(match (at, fields.get(at + 1)) {
            (_, Some(next)) => with(text, key, next.key_span.start as usize, ""),
            (0, None) => with(text, parent.start, parent.end, "{}"),
            // With its comment; the comma of the one before may stay.
            (_, None) if is_alone => {
                without_lines(text, key - column(text, field), end + rest.trim_end_matches('\r').len())
            }
            (_, None) => {
                let before = &fields[at - 1];
                with(text, end_of(text, &before.value).max(before.key_span.end as usize), end, "")
            }
        });
    }
    let end = end_of_entry(text, field, parent);
    let is_alone = is_first_on_line(text, field);
    if fields.len() == 1 {
        // Nothing is left of the mapping but itself.
        let Some(_) = parent.field.filter(|_| is_alone) else { return Err("nothing would be left around it") };
        let line = key - column(text, field);
        let without = without_lines(text, line, end);
        return Ok(with(&without, parent.start, parent.start, " {}"));
    }
    match fields.get(at + 1) {
        _ if is_alone => Ok(without_lines(text, key - column(text, field), end)),
        Some(next) if text[end..next.key_span.start as usize].trim().is_empty() => {
            Ok(with(text, key, next.key_span.start as usize, ""))
        }
        _ => Err("it shares its line with something else"),
    }
}

/// Takes lines away, with the line break behind them, or, at the end of a file, the one before.
fn without_lines(text: &str, start: usize, end: usize) -> String {
    let rest = &text[end..];
    let after = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    if rest.is_empty() {
        let before = &text[..start];
        return before.strip_suffix("\r\n").or_else(|| before.strip_suffix('\n')).unwrap_or(before).to_owned();
    }
    format!("{}{after}", &text[..start])
}
