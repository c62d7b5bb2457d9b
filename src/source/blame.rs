//! Who last changed a line of the estate, by the history of its repository.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{BlameOptions, Oid};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::repository;

/// The commit that a line comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// In hexadecimal.
    pub id: String,
    pub author: String,
    /// The author's day, in UTC.
    pub day: String,
    /// The first line of its message.
    pub summary: String,
}

/// The history of an estate's files. Each file is looked up once, when it is first asked for.
pub struct Blame {
    located: Option<repository::Located>,
    rev: Option<Oid>,
    /// By file: the commit of each line; `None` where it is not committed yet.
    files: BTreeMap<String, Vec<Option<Commit>>>,
}

impl Blame {
    /// Of an estate in a folder, or as it was at a revision. Without a repository nothing is known of any line.
    pub fn new(estate: &Path, rev: Option<&str>) -> Self {
        let located = repository::discover(estate).ok();
        let commit = |located: &repository::Located| {
            let object = located.repository.revparse_single(rev?).ok()?;
            object.peel_to_commit().ok().map(|commit| commit.id())
        };
        let rev = located.as_ref().and_then(commit);
        Self { located, rev, files: BTreeMap::new() }
    }

    /// The commit of a line, counted from 1, of a file with this text; `None` if it is not committed.
    pub fn line(&mut self, file: &str, text: &str, line: usize) -> Option<&Commit> {
        if !self.files.contains_key(file) {
            let lines = self.lines(file, text).unwrap_or_default();
            self.files.insert(file.to_owned(), lines);
        }
        self.files.get(file)?.get(line.checked_sub(1)?)?.as_ref()
    }

    fn lines(&self, file: &str, text: &str) -> Option<Vec<Option<Commit>>> {
        let located = self.located.as_ref()?;
        let mut options = BlameOptions::new();
        if let Some(rev) = self.rev {
            options.newest_commit(rev);
        }
        let committed = located.repository.blame_file(&located.folder.join(file), Some(&mut options)).ok()?;
        // What was read may have lines that are not committed yet.
        let blame = committed.blame_buffer(text.as_bytes()).ok()?;
        let mut lines = vec![None; text.lines().count()];
        for hunk in blame.iter() {
            let commit = self.commit(hunk.final_commit_id());
            let from = hunk.final_start_line().saturating_sub(1);
            for line in lines.iter_mut().skip(from).take(hunk.lines_in_hunk()) {
                line.clone_from(&commit);
            }
        }
        Some(lines)
    }

    fn commit(&self, id: Oid) -> Option<Commit> {
        if id.is_zero() {
            return None;
        }
        let commit = self.located.as_ref()?.repository.find_commit(id).ok()?;
        let author = commit.author();
        let time = Timestamp::from_second(author.when().seconds()).ok()?;
        Some(Commit {
            id: id.to_string(),
            author: String::from_utf8_lossy(author.name_bytes()).into_owned(),
            day: time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string(),
            summary: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
        })
    }
}
