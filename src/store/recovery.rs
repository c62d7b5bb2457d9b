//! Reading a store that a crash left in the middle of a transaction, without writing.
//!
//! SQLite undoes such a transaction when the file is next opened, but it has to write for that, and `plan` and `drift`
//! write nothing. So the transaction is undone in memory here and the file stays as the crash left it.
//!
//! The format of the rollback journal: <https://www.sqlite.org/fileformat2.html#the_rollback_journal>.

use std::io;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// How often a file that another process is writing is read again.
const ATTEMPTS: usize = 20;

/// The committed state of the database, as the bytes of a database file. `None` if nothing has to be undone any more.
pub async fn committed(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let journal = journal_of(path);
    for _ in 0..ATTEMPTS {
        let before = read(&journal).await?;
        if !before.starts_with(&MAGIC) {
            return Ok(None);
        }
        let database = tokio::fs::read(path).await?;
        // Every transaction has a nonce of its own: as long as the journal is the same, nothing but its pages can have
        // changed while the database was read, and those are put back anyway.
        if read(&journal).await? == before {
            return Ok(Some(undo(database, &before)));
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is being written to all the time"))
}

fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    match tokio::fs::read(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Puts back every page that the journal holds, up to the first that does not fit its checksum.
fn undo(mut database: Vec<u8>, journal: &[u8]) -> Vec<u8> {
    let mut at = 0;
    while let Some(header) = journal.get(at..at + 28).filter(|header| header.starts_with(&MAGIC)) {
        let [count, nonce, pages, sector, page] = [8, 12, 16, 20, 24].map(|offset| word(header, offset));
        let (sector, page) = (sector as usize, page as usize);
        if !sector.is_power_of_two() || !page.is_power_of_two() || page < 512 || sector < 32 {
            break;
        }
        if at == 0 {
            database.resize(pages as usize * page, 0);
        }
        let mut record = at + sector;
        // All ones stand for "to the end of the file".
        let records = if count == u32::MAX { usize::MAX } else { count as usize };
        for _ in 0..records {
            let Some(bytes) = journal.get(record..record + page + 8) else { return database };
            let (number, content) = (word(bytes, 0) as usize, &bytes[4..4 + page]);
            if number == 0 || checksum(nonce, content) != word(bytes, 4 + page) {
                return database;
            }
            if let Some(place) = database.get_mut((number - 1) * page..number * page) {
                place.copy_from_slice(content);
            }
            record += page + 8;
        }
        at = record.next_multiple_of(sector);
    }
    database
}

fn checksum(nonce: u32, page: &[u8]) -> u32 {
    let sampled = (1..).map_while(|step: usize| page.len().checked_sub(200 * step).filter(|at| *at > 0));
    sampled.fold(nonce, |sum, at| sum.wrapping_add(u32::from(page[at])))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}
