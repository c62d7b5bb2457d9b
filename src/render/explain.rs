//! Where each value of a resource comes from, line by line.

use std::io;

use serde::Serialize;

use crate::page::Page;
use crate::style::Label;

/// A resource with the lines that decide about it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub address: String,
    pub kind: String,
    pub target: String,
    /// The name in the target; `None` while it is only known after apply.
    pub identity: Option<String>,
    /// Where it is decided that it exists.
    pub existence: Option<Line>,
    pub fields: Vec<Field>,
}

/// A value and its lines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// As messages write it, such as `spec.replicas`.
    pub field: String,
    /// In one line, masked if it has to be.
    pub value: String,
    /// The blueprint's line, and that of the document that it takes the value from. Empty for a default of the kind.
    pub lines: Vec<Line>,
}

/// A line of the estate.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Without the blanks around it.
    pub text: String,
    /// The commit that it comes from; `None` if it is not committed.
    pub commit: Option<Commit>,
}

/// A commit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    pub id: String,
    pub author: String,
    /// The author's day, in UTC.
    pub day: String,
    /// The first line of the message.
    pub summary: String,
}

/// Writes an explanation.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut Page<'_>, explanation: &Explanation) -> io::Result<()> {
    let Explanation { address, kind, target, identity, existence, fields } = explanation;
    let name = identity.as_deref().unwrap_or("(name known after apply)");
    writeln!(out, "{}  {kind} {name} in target {target}", Label::Heading.paint(address))?;
    if let Some(line) = existence {
        self::line(out, line)?;
    }
    let (written, defaults): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(|field| !field.lines.is_empty());
    for Field { field, value, lines } in written {
        writeln!(out)?;
        writeln!(out, "{field}: {value}")?;
        for line in lines {
            self::line(out, line)?;
        }
    }
    if defaults.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = defaults.iter().map(|Field { field, value, .. }| format!("{field}: {value}")).collect();
    writeln!(out)?;
    writeln!(out, "{}", Label::Quiet.paint(format!("Defaults of the kind: {}", listed.join(", "))))
}

fn line(out: &mut Page<'_>, Line { file, line, text, commit }: &Line) -> io::Result<()> {
    writeln!(out, "  {file}:{line}  {text}")?;
    match commit {
        Some(Commit { id, author, day, summary }) => {
            let id = id.get(..10).unwrap_or(id);
            writeln!(out, "    {}", Label::Quiet.paint(format!("{id} {day} {author}: {summary}")))
        }
        None => writeln!(out, "    {}", Label::Quiet.paint("not committed")),
    }
}
