//! Records as a file with one JSON document per line: a header, the records, and an end, which a truncated file lacks.
//!
//! The same records give the same bytes, from either database.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tenantry_core::model::document::Phase;
use tenantry_core::model::names::hex;
use tenantry_core::model::resource::{Applied, TargetName};

use crate::contract::{JournalHead, KnownTarget, Scope, StoreError};
use crate::journal::Line;
use crate::records::Records;

/// The format of the file. A file of another format is refused.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Record {
    Store { format_version: u32, scope: Scope, journal: JournalHead, runs: i64, tokens: i64 },
    Entry(Line),
    Applied { sequence: i64, applied: Applied },
    OpenStep { sequence: i64 },
    Phase { tenant: Arc<str>, phase: Phase },
    Target { target: TargetName, known: KnownTarget },
    End { lines: usize, sha256: String },
}

impl Records {
    /// Writes them as lines.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_lines(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { scope, token, run, lines, inventory, open_steps, phases, targets, locks: _ } = self;
        let mut digest = Sha256::new();
        let mut count = 0;
        let mut write = |record: &Record| {
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            digest.update(&line);
            count += 1;
            out.write_all(&line)
        };
        let (scope, journal) = (scope.clone(), self.head());
        write(&Record::Store { format_version: FORMAT, scope, journal, runs: *run, tokens: *token })?;
        for line in lines {
            write(&Record::Entry(line.clone()))?;
        }
        for (sequence, applied) in inventory {
            write(&Record::Applied { sequence: *sequence, applied: applied.clone() })?;
        }
        for sequence in open_steps {
            write(&Record::OpenStep { sequence: *sequence })?;
        }
        for (tenant, phase) in phases {
            write(&Record::Phase { tenant: tenant.clone(), phase: *phase })?;
        }
        for (target, known) in targets {
            write(&Record::Target { target: target.clone(), known: known.clone() })?;
        }
        let (lines, sha256) = (count, hex(&digest.finalize()));
        serde_json::to_writer(&mut *out, &Record::End { lines, sha256 })?;
        out.write_all(b"\n")
    }

    /// Reads lines back, and checks that none is missing or changed.
    ///
    /// # Errors
    /// [`StoreError::Export`] with the line that cannot be used.
    pub fn read_lines(input: impl BufRead) -> Result<Self, StoreError> {
        let mut digest = Sha256::new();
        let mut records: Option<(Self, JournalHead)> = None;
        let mut count = 0;
        let mut ended = false;
        for (index, line) in input.split(b'\n').enumerate() {
            let wrong = |cause: String| StoreError::Export { line: index + 1, cause };
            let line = line.map_err(|error| wrong(error.to_string()))?;
            if ended {
                return Err(wrong("there are lines after the end".into()));
            }
            let record: Record = serde_json::from_slice(&line).map_err(|error| wrong(error.to_string()))?;
            match (record, &mut records) {
                (Record::Store { format_version, scope, journal, runs, tokens }, none @ None) => {
                    if format_version != FORMAT {
                        return Err(wrong(format!(
                            "it has format {format_version}; this version reads format {FORMAT}"
                        )));
                    }
                    *none = Some((Self { token: tokens, run: runs, ..Self::empty(scope) }, journal));
                }
                (Record::Entry(line), Some((records, _))) => records.lines.push(line),
                (Record::Applied { sequence, applied }, Some((records, _))) => {
                    records.inventory.push((sequence, applied));
                }
                (Record::OpenStep { sequence }, Some((records, _))) => records.open_steps.push(sequence),
                (Record::Phase { tenant, phase }, Some((records, _))) => records.phases.push((tenant, phase)),
                (Record::Target { target, known }, Some((records, _))) => records.targets.push((target, known)),
                (Record::End { lines, sha256 }, Some((records, journal))) => {
                    if lines != count || sha256 != hex(&digest.clone().finalize()) {
                        return Err(wrong("the lines before it were changed after the export".into()));
                    }
                    if records.head() != *journal {
                        return Err(wrong("the journal does not end where the header says".into()));
                    }
                    ended = true;
                }
                (Record::Store { .. }, Some(_)) => return Err(wrong("a second header".into())),
                (_, None) => return Err(wrong("it does not begin with the header of an export".into())),
            }
            digest.update(&line);
            digest.update(b"\n");
            count += 1;
        }
        match (records, ended) {
            (Some((records, _)), true) => Ok(records),
            _ => Err(StoreError::Export { line: count + 1, cause: "the file was cut off: its end is missing".into() }),
        }
    }
}
