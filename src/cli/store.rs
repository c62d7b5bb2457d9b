//! `tenantry store`: the records of an environment as a file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tenantry_render::words::count;
use tenantry_store::{OpenMode, Records};

use super::arguments::{Global, Store};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;

pub async fn run(global: &Global, command: &Store, output: &Output) -> Result<Exit, Failure> {
    match command {
        Store::Export { file } => export(global, file, output).await,
        Store::Import { file } => import(global, file, output).await,
    }
}

async fn export(global: &Global, file: &Path, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let records = session.store().await?.export().await?;
    write_new(file, &records).map_err(|error| {
        let failure = Failure::io(format!("exporting to {}", file.display()), &error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failure.help("choose another name, or move the existing file away; an export overwrites nothing")
            }
            _ => failure,
        }
    })?;
    output.note(&format!("Exported {} to {}.", described(&records), file.display()));
    Ok(Exit::Done)
}

async fn import(global: &Global, file: &Path, output: &Output) -> Result<Exit, Failure> {
    let failed = |error| Failure::io(format!("reading {}", file.display()), &error);
    let records = Records::read_lines(BufReader::new(File::open(file).map_err(failed)?))?;
    let session = Session::open(global, OpenMode::ReadWrite, output)?;
    let store = session.store().await?;
    store.import(&records).await?;
    output.note(&format!("Imported {} into {}.", described(&records), store.location()));
    Ok(Exit::Done)
}

fn described(records: &Records) -> String {
    let entries = usize::try_from(records.head().length).unwrap_or(usize::MAX);
    let entries = count(entries, "entry").replace("entrys", "entries");
    format!("{entries} of the journal and {} of {}", count(records.resources(), "resource"), records.scope())
}

/// Writes a file that only the user may read, atomically.
fn write_new(path: &Path, records: &Records) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:08x}", rand::random::<u32>()));
    let unfinished: PathBuf = path.with_file_name(name);
    let written = write(&unfinished, records).and_then(|()| {
        // Unlike a rename, a link never takes the place of something.
        std::fs::hard_link(&unfinished, path)
    });
    let removed = std::fs::remove_file(&unfinished);
    written.and(removed)
}

fn write(path: &Path, records: &Records) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut out = BufWriter::new(options.open(path)?);
    records.write_lines(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()
}
