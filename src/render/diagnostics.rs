//! Diagnostics with the lines of their places, and as JSON.

use std::io;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin as Heading, Renderer, Snippet};
use serde_json::{Value, json};

use super::page::Page;
use super::visible::{self, visible};

use tenantry_core::diagnostics::{Diagnostic, FileId, Label, Origin, Severity, SourceFiles, Span, codes};

/// Lines between two places of one file that are still shown together. Farther ones get a snippet of their own.
const NEAR_LINES: usize = 40;

/// Bytes of a line that is still shown. Longer ones were not written by hand, and are only named.
const LONGEST_LINE: usize = 4096;

/// Writes every diagnostic as a paragraph: code, message, the lines, other places, and what to do.
///
/// # Errors
/// Those of `out`.
pub fn write_text(out: &mut Page<'_>, diagnostics: &[Diagnostic], files: &SourceFiles, colour: bool) -> io::Result<()> {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    for diagnostic in diagnostics {
        out.laid_out(&renderer.render(&[report(diagnostic, files)]))?;
        out.laid_out("\n\n")?;
    }
    Ok(())
}

/// Writes all diagnostics as one JSON list, with lines and columns counted from 1; columns in characters. The end is
/// behind the last character.
///
/// # Errors
/// Those of `out`.
pub fn write_json(out: &mut dyn io::Write, diagnostics: &[Diagnostic], files: &SourceFiles) -> io::Result<()> {
    let list: Vec<Value> = diagnostics.iter().map(|diagnostic| to_json(diagnostic, files)).collect();
    super::json::write_pretty(out, &list)
}

/// One diagnostic as JSON: code, severity, message, help, its place and related places, each with file and positions.
pub fn to_json(diagnostic: &Diagnostic, files: &SourceFiles) -> Value {
    let Diagnostic { code, severity, message, label, related, help } = diagnostic;
    let place = |label: &Label| {
        let Origin { file, span } = label.origin;
        let (line, column) = files.line_column(label.origin);
        let end = span.end.max(span.start);
        let end = Origin { file, span: Span { start: end, end } };
        let (end_line, end_column) = files.line_column(end);
        json!({
            "file": files.get(file).path, "line": line, "column": column, "endLine": end_line, "endColumn": end_column,
            "label": label.text,
        })
    };
    let mut json = json!({
        "code": code, "severity": severity, "message": message, "help": help,
        "related": related.iter().map(place).collect::<Vec<_>>(),
        "file": null, "line": null, "column": null, "endLine": null, "endColumn": null, "label": null,
    });
    if let (Some(Value::Object(place)), Value::Object(json)) = (label.as_ref().map(place), &mut json) {
        json.extend(place);
    }
    json
}

fn report<'a>(diagnostic: &'a Diagnostic, files: &'a SourceFiles) -> Group<'a> {
    let Diagnostic { code, severity, message, label, related, help } = diagnostic;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level.primary_title(visible(message)).id(code.0).elements(Vec::<Element<'_>>::new());
    let labels: Vec<_> = label.iter().map(|label| (AnnotationKind::Primary, label)).collect();
    let labels: Vec<_> =
        labels.into_iter().chain(related.iter().map(|label| (AnnotationKind::Context, label))).collect();
    match label {
        // The line itself would publish what it has.
        Some(label) if codes::WITH_SECRET.contains(code) => group = group.element(heading(label, files)),
        _ => {
            for excerpt in excerpts(&labels, files) {
                group = group.element(excerpt);
            }
        }
    }
    match help {
        Some(help) => group.element(Level::HELP.message(visible(help))),
        None => group,
    }
}

/// Labels that are shown together, with the lines around them.
struct Excerpt<'a> {
    file: FileId,
    /// Bytes of the file's text.
    lines: std::ops::Range<usize>,
    labels: Vec<(AnnotationKind, &'a Label)>,
}

fn excerpts<'a>(labels: &[(AnnotationKind, &'a Label)], files: &'a SourceFiles) -> Vec<Element<'a>> {
    let mut excerpts: Vec<Excerpt<'a>> = Vec::new();
    for (kind, label) in labels {
        let file = label.origin.file;
        let text = &files.get(file).text;
        let lines = lines_around(text, label.origin.span);
        let near = excerpts.iter_mut().find(|excerpt| {
            let all = excerpt.lines.start.min(lines.start)..excerpt.lines.end.max(lines.end);
            excerpt.file == file && text[all].matches('\n').take(NEAR_LINES).count() < NEAR_LINES
        });
        match near {
            Some(excerpt) => {
                excerpt.lines = excerpt.lines.start.min(lines.start)..excerpt.lines.end.max(lines.end);
                excerpt.labels.push((*kind, *label));
            }
            None => excerpts.push(Excerpt { file, lines, labels: vec![(*kind, *label)] }),
        }
    }
    excerpts.into_iter().map(|excerpt| element(&excerpt, files)).collect()
}

fn element<'a>(excerpt: &Excerpt<'a>, files: &'a SourceFiles) -> Element<'a> {
    let file = files.get(excerpt.file);
    let shown = &file.text[excerpt.lines.clone()];
    let path = visible(&file.path);
    if file.text.is_empty() {
        return Heading::path(path).into();
    }
    if let Some((_, first)) = excerpt.labels.first()
        && shown.lines().any(|line| line.len() > LONGEST_LINE)
    {
        return heading(first, files);
    }
    let line = file.text[..excerpt.lines.start].matches('\n').count() + 1;
    let source = Source::new(shown);
    let annotations = excerpt.labels.iter().map(|(kind, label)| annotation(*kind, label, excerpt, shown, &source));
    let annotations: Vec<_> = annotations.collect();
    Snippet::source(source.text).line_start(line).path(path).fold(true).annotations(annotations).into()
}

/// A place without its line.
fn heading<'a>(label: &Label, files: &'a SourceFiles) -> Element<'a> {
    let (line, column) = files.line_column(label.origin);
    Heading::path(visible(&files.get(label.origin.file).path)).line(line).char_column(column).into()
}

fn annotation<'a>(
    kind: AnnotationKind,
    label: &'a Label,
    excerpt: &Excerpt<'a>,
    shown: &str,
    source: &Source,
) -> Annotation<'a> {
    let within = |byte: u32| shown.floor_char_boundary((byte as usize).saturating_sub(excerpt.lines.start));
    let start = within(label.origin.span.start);
    // A mapping of many lines is marked at its first.
    let line_end = shown[start..].find(['\r', '\n']).map_or(shown.len(), |at| start + at);
    let end = within(label.origin.span.end).clamp(start, line_end.max(start));
    let annotation = kind.span(source.at(start)..source.at(end));
    if label.text.is_empty() { annotation } else { annotation.label(visible(&label.text)) }
}

/// Lines of a file as they are shown, and where their bytes have gone.
struct Source {
    text: String,
    /// The end of each character that is shown in another length, and by how much all behind it has moved.
    moved: Vec<(usize, isize)>,
}

impl Source {
    fn new(lines: &str) -> Self {
        let mut source = Self { text: String::with_capacity(lines.len()), moved: Vec::new() };
        let mut characters = lines.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let ends_line = characters.peek().is_none_or(|(_, next)| *next == '\n');
            match character {
                '\n' | '\t' => source.text.push(character),
                // The first half of the end of a line.
                '\r' if ends_line => {}
                other => visible::push(&mut source.text, other),
            }
            let end = at + character.len_utf8();
            let by = source.text.len().cast_signed() - end.cast_signed();
            if source.moved.last().map_or(0, |(_, by)| *by) != by {
                source.moved.push((end, by));
            }
        }
        source
    }

    /// Where a byte of the lines is in the text.
    fn at(&self, byte: usize) -> usize {
        let passed = self.moved.partition_point(|(end, _)| *end <= byte);
        let by = passed.checked_sub(1).map_or(0, |last| self.moved[last].1);
        byte.saturating_add_signed(by).min(self.text.len())
    }
}

/// The line in which a span begins, without its line break.
fn lines_around(text: &str, span: Span) -> std::ops::Range<usize> {
    let at = text.floor_char_boundary(span.start as usize);
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> SourceFiles {
        let mut files = SourceFiles::default();
        files.add("tenantry.toml", "");
        files.add("tenants/a.yaml", "kind: Tenant\r\n\tname: 'Ünïted'\tx\nspec:\n  a: 1\n  b: 2\n");
        files.add("tenants/b.yaml", format!("a: {}\n", "x".repeat(5000)));
        files
    }

    fn origin(files: &SourceFiles, file: u32, found: &str) -> Origin {
        let start = files.get(FileId(file)).text.find(found).expect("the text is there");
        let offset = |at: usize| u32::try_from(at).expect("a short file");
        Origin { file: FileId(file), span: Span { start: offset(start), end: offset(start + found.len()) } }
    }

    fn text(diagnostic: Diagnostic, files: &SourceFiles) -> String {
        let mut out = Vec::new();
        write_text(&mut Page::new(&mut out), &[diagnostic], files, false).expect("writing to memory");
        String::from_utf8(out).expect("messages are UTF-8")
    }

    #[test]
    fn a_diagnostic_needs_no_place() {
        let files = SourceFiles::default();
        let diagnostic = Diagnostic::error(codes::ESTATE_MISSING, "there is no estate").help("make one");
        insta::assert_snapshot!(text(diagnostic, &files), @r"
        error[TY0006]: there is no estate
         |
         = help: make one
        ");
        insta::assert_snapshot!(text(Diagnostic::warning(codes::APPROVAL_UNUSED, "of no use"), &files), @"warning[TY0412]: of no use");
    }

    #[test]
    fn places_are_shown_with_their_lines() {
        let files = files();
        let diagnostic = Diagnostic::error(codes::SCHEMA, "something is wrong")
            .at(origin(&files, 1, "'Ünïted'"), "here")
            .related(origin(&files, 1, "b: 2"), "and here")
            .related(origin(&files, 0, ""), "")
            .help("change it");
        insta::assert_snapshot!(text(diagnostic, &files), @r"
        error[TY0102]: something is wrong
         --> tenants/a.yaml:2:8
          |
        2 |     name: 'Ünïted'    x
          |           ^^^^^^^^ here
        ...
        5 |   b: 2
          |   ---- and here
         ::: tenantry.toml
          = help: change it
        ");
    }

    #[test]
    fn a_value_of_many_lines_is_marked_at_its_first() {
        let files = files();
        let diagnostic = Diagnostic::error(codes::SCHEMA, "wrong").at(origin(&files, 1, "spec:\n  a: 1"), "from here");
        insta::assert_snapshot!(text(diagnostic, &files), @r"
        error[TY0102]: wrong
         --> tenants/a.yaml:3:1
          |
        3 | spec:
          | ^^^^^ from here
        ");
    }

    #[test]
    fn an_endless_line_is_named_only() {
        let files = files();
        let diagnostic = Diagnostic::error(codes::SCHEMA, "wrong").at(origin(&files, 2, "xxx"), "unseen");
        insta::assert_snapshot!(text(diagnostic, &files), @r"
        error[TY0102]: wrong
        --> tenants/b.yaml:1:4
        ");
    }

    #[test]
    fn nothing_of_the_input_steers_the_terminal() {
        let mut files = SourceFiles::default();
        files.add("a\u{1b}[31m.yaml", "a: \u{1b}[31m\u{9b}31m\rx\u{202e}\u{7}\n");
        let at = Origin { file: FileId(0), span: Span { start: 3, end: 4 } };
        let diagnostic = Diagnostic::error(codes::SCHEMA, "a\u{1b}b").at(at, "c\u{9b}d").help("e\u{7}f");
        let text = text(diagnostic, &files);
        assert_eq!(text.chars().find(|c| visible::is_hidden(*c) && *c != '\n'), None, "{text:?}");
        insta::assert_snapshot!(text, @r"
        error[TY0102]: a\u{1b}b
         --> a\u{1b}[31m.yaml:1:4
          |
        1 | a: \u{1b}[31m\u{9b}31m\rx\u{202e}\u{7}
          |    ^^^^^^ c\u{9b}d
          |
          = help: e\u{7}f
        ");
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let files = files();
        let diagnostic =
            Diagnostic::error(codes::SCHEMA, "wrong").at(origin(&files, 1, "a: 1"), "here").help("change it");
        let mut coloured = Vec::new();
        write_text(&mut Page::new(&mut coloured), std::slice::from_ref(&diagnostic), &files, true)
            .expect("writing to memory");
        assert!(coloured.contains(&0x1b));
        let plain = anstream::adapter::strip_bytes(&coloured).into_vec();
        assert_eq!(String::from_utf8(plain).expect("messages are UTF-8"), text(diagnostic, &files));
    }

    #[test]
    fn json_has_every_place() {
        let files = files();
        let diagnostic = Diagnostic::error(codes::SCHEMA, "wrong")
            .at(origin(&files, 1, "Ünïted"), "here")
            .related(origin(&files, 1, "a: 1\n  b"), "there");
        insta::assert_snapshot!(format!("{:#}", to_json(&diagnostic, &files)), @r#"
        {
          "code": "TY0102",
          "column": 9,
          "endColumn": 15,
          "endLine": 2,
          "file": "tenants/a.yaml",
          "help": null,
          "label": "here",
          "line": 2,
          "message": "wrong",
          "related": [
            {
              "column": 3,
              "endColumn": 4,
              "endLine": 5,
              "file": "tenants/a.yaml",
              "label": "there",
              "line": 4
            }
          ],
          "severity": "error"
        }
        "#);
        insta::assert_snapshot!(to_json(&Diagnostic::warning(codes::SCHEMA, "somewhere"), &files), @r#"{"code":"TY0102","column":null,"endColumn":null,"endLine":null,"file":null,"help":null,"label":null,"line":null,"message":"somewhere","related":[],"severity":"warning"}"#);
    }
}
