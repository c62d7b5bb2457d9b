//! What there is to run on a page.

use std::ops::Range;

/// Something that a page does.
pub struct Step {
    /// Of the page, from 1.
    pub line: usize,
    /// How far the block is indented, as within a list.
    pub indent: usize,
    pub action: Action,
    /// Where in the page the command's output is printed.
    pub output: Option<Range<usize>>,
}

pub enum Action {
    Command { text: String, expected: String },
    Hidden(String),
    Write { path: String, text: String },
    Change { path: String, from: String, to: String },
}

/// Whether a page begins in an empty folder, and not in the sample estate.
pub fn begins_empty(page: &str) -> bool {
    page.lines().any(|line| line.trim() == "<!-- estate: empty -->")
}

/// A line of the page with its number, and where it begins.
struct Line<'p> {
    number: usize,
    at: usize,
    text: &'p str,
}

/// Every step of a page, in order.
///
/// # Errors
/// If a block has commands and is neither run nor says why not.
pub fn steps(page: &str) -> Result<Vec<Step>, String> {
    let mut lines = Vec::new();
    let mut at = 0;
    for (index, text) in page.split_inclusive('\n').enumerate() {
        lines.push(Line { number: index + 1, at, text: text.trim_end_matches('\n') });
        at += text.len();
    }
    let (mut steps, mut left_out) = (Vec::new(), false);
    let mut waiting = lines.iter();
    while let Some(line) = waiting.next() {
        let text = line.text.trim();
        if let Some(fence) = text.strip_prefix("```") {
            let indent = line.text.len() - line.text.trim_start().len();
            let block: Vec<&Line<'_>> =
                waiting.by_ref().take_while(|line| !line.text.trim().starts_with("```")).collect();
            if !std::mem::take(&mut left_out) {
                steps.extend(block_steps(fence.trim(), indent, &block)?);
            }
        } else if let Some(command) = comment(text, "run") {
            let action = Action::Hidden(command.to_owned());
            steps.push(Step { line: line.number, indent: 0, action, output: None });
        } else if comment(text, "not run").is_some_and(|reason| !reason.is_empty()) {
            left_out = true;
        }
    }
    Ok(steps)
}

fn comment<'t>(text: &'t str, what: &str) -> Option<&'t str> {
    Some(text.strip_prefix("<!-- ")?.strip_suffix("-->")?.strip_prefix(what)?.strip_prefix(':')?.trim())
}

/// A line of a block without the block's own indentation.
fn text_of<'l>(line: &Line<'l>, indent: usize) -> &'l str {
    line.text.get(indent..).unwrap_or_default()
}

fn block_steps(language: &str, indent: usize, block: &[&Line<'_>]) -> Result<Vec<Step>, String> {
    let Some(first) = block.first() else { return Ok(Vec::new()) };
    let text = |line: &Line<'_>| text_of(line, indent).to_owned();
    let whole = |lines: &[&Line<'_>]| lines.iter().map(|line| text(line) + "\n").collect::<String>();
    let one = |action| Ok(vec![Step { line: first.number, indent, action, output: None }]);
    let head = text(first);
    match language {
        "yaml" | "toml" => {
            let path =
                head.strip_prefix("# ").filter(|path| path.ends_with(&format!(".{language}")) && !path.contains(' '));
            let Some(path) = path else { return Ok(Vec::new()) };
            return one(Action::Write { path: path.to_owned(), text: whole(&block[1..]) });
        }
        "diff" => {
            let Some(path) = head.strip_prefix("--- ") else { return Ok(Vec::new()) };
            let side = |without: char| {
                let lines = block[1..].iter().map(|line| text(line)).filter(|line| !line.starts_with(without));
                lines.map(|line| line.get(1..).unwrap_or_default().to_owned() + "\n").collect::<String>()
            };
            return one(Action::Change { path: path.to_owned(), from: side('+'), to: side('-') });
        }
        _ => {}
    }
    if !block.iter().any(|line| text_of(line, indent).starts_with("$ ")) {
        if let Some(line) = block.iter().find(|line| text_of(line, indent).starts_with("tenantry ")) {
            return Err(format!(
                "line {}: write `$ ` before the command, so that it is run, or `<!-- not run: REASON -->` before the block",
                line.number
            ));
        }
        return Ok(Vec::new());
    }
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        let content = text(line);
        let end = line.at + line.text.len() + 1;
        if let Some(command) = content.strip_prefix("$ ") {
            let action = Action::Command { text: command.to_owned(), expected: String::new() };
            steps.push(Step { line: line.number, indent, action, output: Some(end..end) });
            continue;
        }
        let Some(Step { action: Action::Command { text: command, expected }, output: Some(output), .. }) =
            steps.last_mut()
        else {
            return Err(format!("line {}: a block begins with a command", line.number));
        };
        match content.strip_prefix("> ").filter(|_| expected.is_empty() && !command.is_empty()) {
            Some(more) => {
                command.push_str(&format!("\n{more}"));
                output.start = end;
            }
            None => expected.push_str(&(content + "\n")),
        }
        output.end = end;
    }
    Ok(steps)
}

/// Output as a block that is indented has it.
pub fn indented(output: &str, indent: usize) -> String {
    let blanks = " ".repeat(indent);
    output.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{blanks}{line}\n") }).collect()
}
