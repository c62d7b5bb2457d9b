//! Streams: data to stdout, everything else to stderr.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};

use super::arguments::{Format, Global};
use super::error::{Exit, Failure};
use tenantry_core::diagnostics::{Diagnostic, SourceFiles};
use tenantry_render::style::Label;

/// Where a command writes to.
pub struct Output {
    choice: ColorChoice,
    format: Format,
    quiet: bool,
}

impl Output {
    pub fn new(global: &Global) -> Self {
        Self { choice: global.color.choice(), format: global.format, quiet: global.quiet }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes data. A reader that went away is no failure.
    pub fn data(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let mut stream = BufWriter::new(AutoStream::new(io::stdout(), self.choice));
        match write(&mut stream).and_then(|()| stream.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::io("writing to stdout", &error)),
            _ => Ok(()),
        }
    }

    /// Writes a JSON document.
    pub fn json(&self, json: &impl serde::Serialize) -> Result<(), Failure> {
        self.data(|out| {
            serde_json::to_writer_pretty(&mut *out, json)?;
            writeln!(out)
        })
    }

    /// Writes a JSON document as one line.
    pub fn json_line(&self, json: &impl serde::Serialize) -> Result<(), Failure> {
        self.data(|out| {
            serde_json::to_writer(&mut *out, json)?;
            writeln!(out)
        })
    }

    /// Says something that is not data.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Says something that has to be said.
    pub fn say(&self, text: &str) {
        // There is nobody to tell that stderr does not work.
        let _ = writeln!(self.stderr(), "{text}");
    }

    pub fn stderr(&self) -> AutoStream<io::Stderr> {
        AutoStream::new(io::stderr(), self.choice)
    }

    /// Shows diagnostics: on stderr, for they are not what was asked for.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic], files: &SourceFiles) {
        let mut stream = BufWriter::new(self.stderr());
        let _ = tenantry_render::diagnostics::write_text(&mut stream, diagnostics, files, true)
            .and_then(|()| stream.flush());
    }

    /// Says why a command failed.
    pub fn failure(&self, failure: &Failure) -> ExitCode {
        let Failure { exit, message, help, diagnostics } = failure;
        if let Some((diagnostics, files)) = diagnostics {
            self.diagnostics(diagnostics, files);
        }
        let word = match exit {
            Exit::Refused => Label::Error.paint("refused"),
            _ => Label::Error.paint("error"),
        };
        self.say(&format!("{word}: {message}"));
        if let Some(help) = help {
            self.say(&format!("  help: {help}"));
        }
        (*exit).into()
    }
}
