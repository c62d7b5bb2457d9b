//! Streams: data to stdout, everything else to stderr.
//!
//! The one place that has them. What is written goes through a [`Page`], or through JSON: both show what would otherwise act
//! on a terminal. `tests/rooms.rs` holds every other file to that.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Instant;

use anstream::{AutoStream, ColorChoice};
use serde_json::json;

use super::arguments::{Format, Global};
use super::error::{Exit, Failure};
use super::system;
use tenantry_core::diagnostics::{Diagnostic, SourceFiles};
use tenantry_render as render;
use tenantry_render::page::{self, Page};
use tenantry_render::style::Label;

/// Where a command writes to.
pub struct Output {
    began: Instant,
    choice: ColorChoice,
    format: Format,
    pager: bool,
    quiet: bool,
    verbose: bool,
}

impl Output {
    pub fn new(global: &Global) -> Self {
        Self {
            began: Instant::now(),
            choice: global.color.choice(),
            format: global.format,
            pager: !global.no_pager,
            quiet: global.quiet,
            verbose: global.verbose > 0,
        }
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
        self.stdout(|out| write(&mut Page::new(out).within(columns())))
    }

    /// Writes data that may be long: on a terminal that is too small for it, through the pager.
    pub fn paged(&self, write: impl FnOnce(&mut Page<'_>) -> io::Result<()>) -> Result<(), Failure> {
        let is_read_by_people = self.format == Format::Human && self.pager && is_terminal();
        let Some(command) = pager().filter(|_| is_read_by_people) else { return self.data(write) };
        let choice = match self.choice {
            ColorChoice::Auto => AutoStream::choice(&io::stdout()),
            choice => choice,
        };
        let mut text = AutoStream::new(Vec::new(), choice);
        let failed = |error: io::Error| Failure::io("writing to the pager", &error);
        write(&mut Page::new(&mut text).within(columns())).map_err(failed)?;
        let text = text.into_inner();
        let lines = text.split(|byte| *byte == b'\n').skip(1).count();
        let fits = terminal_size::terminal_size().is_none_or(|(_, height)| lines < usize::from(height.0));
        if !fits && page_through(&command, &text).map_err(failed)? {
            return Ok(());
        }
        self.stdout(|out| out.write_all(&text))
    }

    /// Says on a terminal how long the command took. Nowhere else: what is kept in files and logs is the same for the same plan.
    pub fn took(&self, what: &str) {
        if is_watched() && self.format == Format::Human {
            self.note(&Label::Quiet.paint(format!("{what} in {:.1} s.", self.began.elapsed().as_secs_f64())));
        }
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

/// How wide the terminal is that stdout is; `None` if it is none.
fn columns() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0))
}

/// The command of the pager; `None` if the user wants none.
fn pager() -> Option<String> {
    let command = system::variable("TENANTRY_PAGER").or_else(|| system::variable("PAGER"));
    let command = command.unwrap_or_else(|| "less".to_owned());
    let is_dumb = system::variable("TERM").is_none_or(|terminal| terminal == "dumb");
    (!is_dumb && !matches!(command.trim(), "" | "cat")).then_some(command)
}

/// Shows a text in the pager, and waits until its user is done. False if there is no such command.
fn page_through(command: &str, text: &[u8]) -> io::Result<bool> {
    /// What a shell ends with if it does not find a command.
    const NOT_FOUND: i32 = 127;
    let mut pager = std::process::Command::new("sh");
    pager.args(["-c", command]).stdin(std::process::Stdio::piped());
    if system::variable("LESS").is_none() {
        // Colours as they are; the screen stays as it is afterwards.
        pager.env("LESS", "FRX");
    }
    // Ctrl-C is for the pager as long as it runs: without it, the terminal would stay as the pager left it.
    #[cfg(unix)]
    let _interrupts = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    let Ok(mut pager) = pager.spawn() else { return Ok(false) };
    if let Some(mut stdin) = pager.stdin.take() {
        // Somebody who has seen enough does not read to the end.
        match stdin.write_all(text) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    Ok(pager.wait()?.code() != Some(NOT_FOUND))
}

/// Whether stdout is a terminal, whatever is written to it.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
