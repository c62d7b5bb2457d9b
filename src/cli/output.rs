//! Streams: data to stdout, everything else to stderr.
//!
//! The one place that has them. What is written goes through a [`Page`], or through JSON: both show what would otherwise act
//! on a terminal. `tests/rooms.rs` holds every other file to that.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use serde_json::json;

use super::arguments::{Format, Global};
use super::error::{Exit, Failure};
use tenantry_core::diagnostics::{Diagnostic, SourceFiles};
use tenantry_render as render;
use tenantry_render::page::{self, Page};
use tenantry_render::style::Label;

/// Where a command writes to.
pub struct Output {
    choice: ColorChoice,
    format: Format,
    quiet: bool,
    verbose: bool,
}

impl Output {
    pub fn new(global: &Global) -> Self {
        Self { choice: global.color.choice(), format: global.format, quiet: global.quiet, verbose: global.verbose > 0 }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether more is asked for than has to be seen.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether stdout is a terminal, so that personal data may be shown on it.
    pub fn is_seen_only(&self) -> bool {
        self.format == Format::Human && is_terminal()
    }

    /// Writes data, line by line.
    pub fn data(&self, write: impl FnOnce(&mut Page<'_>) -> io::Result<()>) -> Result<(), Failure> {
        self.stdout(|out| write(&mut Page::new(out)))
    }

    /// Writes what was laid out as a whole, in which everything that came from others is visible already.
    pub fn document(&self, text: &str) -> Result<(), Failure> {
        self.stdout(|out| Page::new(out).laid_out(text))
    }

    /// Writes bytes as they are, for another program. Nothing of them may reach a terminal.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout(|out| out.write_all(bytes))
    }

    /// Writes a JSON document.
    pub fn json(&self, json: &impl serde::Serialize) -> Result<(), Failure> {
        self.stdout(|out| render::json::write_pretty(out, json))
    }

    /// Writes a JSON document as one line.
    pub fn json_line(&self, json: &impl serde::Serialize) -> Result<(), Failure> {
        self.stdout(|out| render::json::write_line(out, json))
    }

    /// A closed pipe is not a failure.
    fn stdout(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let mut stream = BufWriter::new(AutoStream::new(io::stdout(), self.choice));
        match write(&mut stream).and_then(|()| stream.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::io("writing to stdout", &error)),
            _ => Ok(()),
        }
    }

    /// Writes a remark in one line, unless it is quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Writes a message in one line, even if it is quiet.
    pub fn say(&self, text: &str) {
        self.stderr(|page| writeln!(page, "{text}"));
    }

    /// Writes a question; the user types the answer behind it.
    pub fn ask(&self, question: &str) {
        self.stderr(|page| page.laid_out(&page::shown(question)));
    }

    pub fn stderr(&self, write: impl FnOnce(&mut Page<'_>) -> io::Result<()>) {
        let mut stream = BufWriter::new(AutoStream::new(io::stderr(), self.choice));
        // There is nobody to tell that stderr does not work.
        let _ = write(&mut Page::new(&mut stream)).and_then(|()| stream.flush());
    }

    /// Shows diagnostics: on stderr, for they are not what was asked for.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic], files: &SourceFiles) {
        self.stderr(|page| render::diagnostics::write_text(page, diagnostics, files, true));
    }

    /// Writes why a command failed: for people to stderr, and for a program that reads JSON as the last line of stdout.
    pub fn failure(&self, failure: &Failure) -> ExitCode {
        let Failure { exit, message, details, help, diagnostics } = failure;
        if self.is_json() {
            let list = diagnostics.as_ref().map_or_else(Vec::new, |(diagnostics, files)| {
                diagnostics.iter().map(|diagnostic| render::diagnostics::to_json(diagnostic, files)).collect()
            });
            let error = json!({
                "message": message, "details": details, "help": help, "exitCode": *exit as u8, "diagnostics": list,
            });
            // It is on stderr in any case.
            let _ = self.json_line(&json!({"error": error}));
        }
        if let Some((diagnostics, files)) = diagnostics {
            self.diagnostics(diagnostics, files);
        }
        let word = match exit {
            Exit::Refused => Label::Error.paint("refused"),
            _ => Label::Error.paint("error"),
        };
        self.say(&format!("{word}: {message}"));
        for detail in details {
            self.say(&format!("  {detail}"));
        }
        if let Some(help) = help {
            self.say(&format!("  help: {help}"));
        }
        (*exit).into()
    }
}

/// The writer to stderr of the log and of messages from before there is an [`Output`]: one line at a time.
pub struct Stderr;

impl Stderr {
    /// Says something in one line, whatever the options were.
    pub fn line(text: &str) {
        let _ = writeln!(io::stderr(), "{}", page::shown(text));
    }
}

impl Write for Stderr {
    /// An event of the log, whole: what is in it stays in one line.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        writeln!(io::stderr(), "{}", page::shown(text.strip_suffix('\n').unwrap_or(&text)))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Whether stdout is a terminal, whatever is written to it.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
