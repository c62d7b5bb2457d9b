//! Checks scalars that other YAML readers read differently, and numbers that cannot be kept exactly.

use std::collections::HashSet;

use super::listing::MAX_PROBLEMS;
use super::node::{Data, Node};
use super::scalar::yaml_1_1_boolean;
use super::spelling::{self, Spelling};
use super::wanted::Wanted;
use super::words::{dotted, shown};
use tenantry_core::diagnostics::{Code, Diagnostic, FileId, Origin, codes};

/// How numbers are written.
#[derive(Clone, Copy)]
pub enum Numbers<'a> {
    /// Without a sign of their own: any text that looks like one. What is wanted at a pointer may tell them from texts.
    Yaml(&'a dyn Fn(&str) -> Wanted),
    /// Told from texts by quotation marks.
    Toml,
}

/// Adds what is wrong with the scalars of a tree. `reported` are pointers that have a message already; more are added.
pub fn check(
    file: FileId,
    text: &str,
    root: &Node,
    numbers: Numbers<'_>,
    reported: &mut HashSet<String>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let code = match numbers {
        Numbers::Yaml(_) => codes::SCHEMA,
        Numbers::Toml => codes::CONFIG_INVALID,
    };
    root.visit(&mut |pointer, node| {
        if diagnostics.len() > MAX_PROBLEMS {
            return;
        }
        let origin = Origin { file, span: node.span };
        let written = text.get(node.span.start as usize..node.span.end as usize).unwrap_or_default();
        let problem = match numbers {
            _ if matches!(node.data, Data::Huge(_) | Data::NotFinite) => out_of_range(code, pointer, node, written),
            Numbers::Yaml(wanted) => boolean(node).or_else(|| number(node, written, || wanted(pointer))),
            Numbers::Toml => None,
        };
        if let Some((problem, label)) = problem
            && reported.insert(pointer.to_owned())
        {
            diagnostics.push(problem.at(origin, label));
        }
    });
}

type Problem = (Diagnostic, &'static str);

fn out_of_range(code: Code, pointer: &str, node: &Node, written: &str) -> Option<Problem> {
    let quoted = format!("quote it if it is a text: \"{}\"", shown(plain_text(written)?));
    Some(match node.data {
        Data::Huge(_) => (
            Diagnostic::error(code, format!("the number at `{}` is too large", dotted(pointer))).help(format!(
                "numbers are between {} and {}; {quoted}",
                i64::MIN,
                i64::MAX
            )),
            "beyond 64 bits",
        ),
        _ => (
            Diagnostic::error(code, format!("`{}` is not a finite number", dotted(pointer)))
                .help(format!("write a number, or {quoted}")),
            "infinite, or not a number",
        ),
    })
}

fn boolean(node: &Node) -> Option<Problem> {
    let Data::Text { text, plain: true } = &node.data else { return None };
    let boolean = yaml_1_1_boolean(text)?;
    let message =
        format!("`{text}` without quotes is a text to some readers of YAML and the boolean {boolean} to others");
    let help = format!("quote it for the text: \"{text}\"; write {boolean} for the boolean");
    Some((Diagnostic::error(codes::AMBIGUOUS_SCALAR, message).help(help), "either could be meant"))
}

fn number(node: &Node, written: &str, wanted: impl Fn() -> Wanted) -> Option<Problem> {
    if !matches!(node.data, Data::Integer(_) | Data::Float(_) | Data::Text { plain: true, .. }) {
        return None;
    }
    let text = plain_text(written)?;
    let spelling = spelling::check(text, &node.data)?;
    // A tag such as `!!float` says which type is meant.
    let wanted = if written.starts_with('!') { Wanted::Number } else { wanted() };
    // Where a text is wanted, a number is refused with a message of its own, and a text is just right.
    if wanted == Wanted::Text {
        return None;
    }
    let text = shown(text);
    // Where only a number will do, quotation marks would not.
    let help = |number: String| match wanted {
        Wanted::Number | Wanted::Integer => format!("write {number}"),
        _ => format!("quote it for the text: \"{text}\"; write {number} for the number"),
    };
    let ambiguous = |message: String, help: String| Diagnostic::error(codes::AMBIGUOUS_SCALAR, message).help(help);
    let either = "either could be meant";
    Some(match (spelling, wanted) {
        (Spelling::LeadingZero { decimal, octal: Some(octal) }, _) if decimal != octal => (
            ambiguous(
                format!(
                    "`{text}` without quotes is the number {decimal} to some readers of YAML and {octal} to others"
                ),
                help(format!("{decimal} or {octal}")),
            ),
            either,
        ),
        (Spelling::LeadingZero { decimal, octal }, _) => (
            ambiguous(
                format!("`{text}` without quotes is the number {decimal}, and its leading zero is lost"),
                help(decimal),
            ),
            if octal.is_none() { either } else { "read as a number" },
        ),
        (Spelling::Imprecise { number }, _) => (
            ambiguous(
                format!("`{text}` cannot be kept exactly: as a number it becomes {}", shown(&number)),
                help(shorter(&number, &text)),
            ),
            "read as a number",
        ),
        // 3.0 is an integer to JSON Schema, and a float to whoever reads it.
        (Spelling::Respelled { .. }, Wanted::Integer) if matches!(node.data, Data::Integer(_)) => return None,
        (Spelling::Respelled { .. }, Wanted::Number) => return None,
        // That a text stands where a number is wanted has a message of its own.
        (Spelling::NumberElsewhere { .. }, Wanted::Number | Wanted::Integer) => return None,
        (Spelling::Respelled { number }, _) => {
            let number = shorter(&number, &text);
            (
                ambiguous(
                    format!("`{text}` without quotes is the number {number}, and how it is written is lost"),
                    help(number),
                ),
                "read as a number",
            )
        }
        (Spelling::NumberElsewhere { number }, _) => (
            ambiguous(
                format!("`{text}` without quotes is a text to some readers of YAML and the number {number} to others"),
                help(number),
            ),
            either,
        ),
    })
}

/// The text of a plain scalar without what stands before it; `None` for an alias, whose value was checked at its anchor.
fn plain_text(written: &str) -> Option<&str> {
    (!written.starts_with('*')).then(|| written.split_whitespace().last().unwrap_or(written))
}

/// How a number is written so that it is taken for nothing else: in decimals, or with a tag if that would be long.
fn shorter(number: &str, text: &str) -> String {
    if number.len() <= 20 { number.to_owned() } else { format!("!!float {text}") }
}
