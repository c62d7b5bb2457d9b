//! The clipboard of the terminal that the command was started in, by the escape sequence OSC 52.
//!
//! The sequence goes to the controlling terminal and nowhere else: stdout and stderr may be files. So the value is in no output, and
//! it works through SSH, where a clipboard program would fill that of the other machine. Terminals do not answer whether they took it.
//!
//! The sequence: <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html#h3-Operating-System-Commands>.

use std::fs::{File, OpenOptions};
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::zeroize::Zeroizing;

use super::error::{Exit, Failure};
use super::system;

/// The most bytes of a value: what is longer is cut or dropped by several terminals (tmux, xterm and hterm take about 100,000
/// characters of base64).
const LONGEST: usize = 74_994;

/// Terminals, by the variable `TERM`, that print the sequence or drop it.
const INCAPABLE: [&str; 3] = ["dumb", "linux", ""];

/// The controlling terminal.
#[derive(Debug)]
pub struct Clipboard(File);

impl Clipboard {
    /// Opens the controlling terminal.
    ///
    /// # Errors
    /// If there is none, or if it is known to have no clipboard.
    pub fn open() -> Result<Self, Failure> {
        let otherwise = "use `tenantry secret show`, which shows the value";
        let terminal = OpenOptions::new().write(true).open(if cfg!(unix) { "/dev/tty" } else { "CONOUT$" });
        let Ok(terminal) = terminal else {
            let message = "there is no terminal whose clipboard could be used; nothing was copied";
            return Err(Failure::new(Exit::Usage, message).help(otherwise));
        };
        let term = system::variable("TERM").unwrap_or_default();
        if cfg!(unix) && INCAPABLE.contains(&&*term) {
            let message = format!("this terminal (`TERM={term}`) has no clipboard; nothing was copied");
            return Err(Failure::new(Exit::Usage, message).help(otherwise));
        }
        Ok(Self(terminal))
    }

    /// Puts a text on the clipboard.
    ///
    /// # Errors
    /// If the text is too long, or the terminal is gone.
    pub fn put(&mut self, text: &str) -> Result<(), Failure> {
        if text.len() > LONGEST {
            let message = format!("the value has {} bytes, more than terminals take for their clipboard", text.len());
            return Err(Failure::new(Exit::Error, message)
                .help("use `tenantry secret show … --to-pipe` with the program that is meant to read it"));
        }
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(text));
        let sequence = Zeroizing::new(format!("\x1b]52;c;{}\x07", *encoded));
        let sent = self.0.write_all(sequence.as_bytes()).and_then(|()| self.0.flush());
        sent.map_err(|error| Failure::io("writing to the terminal", &error))
    }
}
