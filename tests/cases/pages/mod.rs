//! The examples of the documentation, run as they are printed.
//!
//! A page is a session in one shell and one folder. Of its fenced blocks,
//!
//! - one with lines that begin with `$ ` is run: what a command says has to be what is printed below it, which is stdout alone or
//!   stdout and then stderr, and both if the command fails. A line that is `…` stands for any lines, `…` within a line for any
//!   characters. A command that continues on the next line has `> ` before it. A command with nothing below it has to print
//!   nothing to stdout and to succeed;
//! - one of YAML or TOML that begins with a comment of nothing but a path is written to that file;
//! - one of the language `diff` whose first line is `--- PATH` changes that file, where its lines are found;
//! - every other is only read.
//!
//! What a reader does not see are three comments: `<!-- estate: empty -->` for a page that begins in an empty folder and not in
//! the sample estate; `<!-- run: COMMAND -->` for something that happens outside the page, such as `export LATER=TIME` for time that
//! goes by; and `<!-- not run: REASON -->` before
//! a block whose commands need what a test does not have.
//!
//! Revisions and hashes of the journal depend on the whole estate, so any of them stands for any other.

mod blocks;
mod compare;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use blocks::{Action, Step};
pub use compare::check;

/// When every page happens. Approvals on pages end later in that year.
const NOW: &str = "2026-06-15T09:00:00Z";

/// Ends each of what a command wrote to stdout, what it wrote to stderr, and its exit code. No program of the pages writes this character.
const END: char = '\u{1e}';

/// Every page that has something to run, with its name in the list of tests.
pub fn all() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = BTreeMap::new();
    for name in std::iter::once("README.md".into()).chain(below(&root.join("docs"), "docs")) {
        let path = root.join(&name);
        let text = fs::read_to_string(&path).expect("a page");
        if blocks::steps(&text).is_ok_and(|steps| steps.is_empty()) {
            continue;
        }
        pages.insert(name.trim_end_matches(".md").replace('/', "::"), path);
    }
    pages.into_iter().collect()
}

fn below(folder: &Path, name: &str) -> Vec<String> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{name}/{}", path.file_name().expect("a name").to_string_lossy());
        match path.is_dir() {
            true => pages.extend(below(&path, &name)),
            false if path.extension().is_some_and(|end| end == "md") => pages.push(name),
            false => {}
        }
    }
    pages
}

/// Runs a page in a new folder.
#[expect(clippy::disallowed_methods, reason = "what a test run is to do is asked of its environment")]
pub fn play(page: &Path) -> Result<(), String> {
    let text = fs::read_to_string(page).expect("a page");
    let steps = blocks::steps(&text)?;
    let folder = assert_fs::TempDir::new().expect("a temporary folder");
    let session = Session::new(folder.path(), blocks::begins_empty(&text));
    let said = session.run(&steps);
    let mut wrong = String::new();
    let mut corrected = text.clone();
    // From the last to the first, so that places before stay where they are.
    for (step, said) in steps.iter().zip(&said).rev() {
        let Some(problem) = problem(step, said) else { continue };
        wrong.insert_str(0, &format!("line {}: {problem}\n", step.line));
        if let (Action::Command { .. }, Some(place)) = (&step.action, &step.output) {
            let output = if said.has_failed() { said.whole() } else { said.out.clone() };
            corrected.replace_range(place.clone(), &blocks::indented(&output, step.indent));
        }
    }
    if said.len() < steps.len() {
        let last = said.last().map(Said::whole).unwrap_or_default();
        let _ = writeln!(wrong, "line {}: the shell ended before this; last it said {last:?}", steps[said.len()].line);
    }
    if std::env::var_os(super::BLESS).is_some() && corrected != text {
        fs::write(page, corrected).expect("the page can be written");
        return Ok(());
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}:\n{wrong}", page.display())) }
}

/// What a step said.
struct Said {
    exit: i32,
    out: String,
    err: String,
}

impl Said {
    /// Changes and drift, which 2 says, are no failure.
    fn has_failed(&self) -> bool {
        !matches!(self.exit, 0 | 2)
    }

    fn whole(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// What a step did otherwise than the page says.
fn problem(step: &Step, said: &Said) -> Option<String> {
    let (text, is_right) = match &step.action {
        Action::Command { expected, text } if expected.is_empty() => (text, said.exit == 0 && said.out.is_empty()),
        Action::Command { expected, text } => {
            let out_fits = !said.has_failed() && compare::fits(expected, &said.out);
            (text, out_fits || compare::fits(expected, &said.whole()))
        }
        Action::Hidden(text) => (text, said.exit == 0),
        Action::Write { path, .. } | Action::Change { path, .. } => (path, said.exit == 0),
    };
    (!is_right).then(|| format!("`{text}` ended with {} and said otherwise:\n{}---\n{}", said.exit, said.out, said.err))
}

struct Session<'f> {
    folder: &'f Path,
    /// Where the page's commands are run.
    estate: PathBuf,
}

impl<'f> Session<'f> {
    fn new(folder: &'f Path, is_empty: bool) -> Self {
        let (bin, estate) = (folder.join("bin"), folder.join("harbour"));
        fs::create_dir_all(&bin).expect("a folder");
        fs::create_dir_all(folder.join("home")).expect("a folder");
        fs::create_dir_all(&estate).expect("a folder");
        let program = env!("CARGO_BIN_EXE_tenantry");
        let program = format!("#!/bin/sh\nexec '{program}' --now \"${{LATER:-{NOW}}}\" \"$@\"\n");
        fs::write(bin.join("tenantry"), program).expect("a file");
        fs::set_permissions(bin.join("tenantry"), fs::Permissions::from_mode(0o755)).expect("it can be run");
        let session = Self { folder, estate };
        if !is_empty {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            fs::copy(root.join("tenantry.toml"), session.estate.join("tenantry.toml")).expect("the sample estate");
            for part in ["tenants", "policies", "schemas", "examples"] {
                for (name, content) in crate::command::files(&root.join(part)) {
                    let file = session.estate.join(part).join(name);
                    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                    fs::write(file, content).expect("a file");
                }
            }
            let begin = "echo .tenantry/ > .gitignore && git init -q -b main && git add -A && git commit -q -m 'The estate' \
                         && git update-ref refs/remotes/origin/main HEAD";
            let made = session.shell().args(["-c", begin]).output().expect("git runs");
            assert!(made.status.success(), "{made:?}");
        }
        session
    }

    fn shell(&self) -> Command {
        let mut shell = Command::new("bash");
        shell.env_clear().current_dir(&self.estate);
        shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.folder.join("bin").display()));
        shell
            .env("HOME", self.folder.join("home"))
            .env("TENANTRY_ACTOR", "ada@harbour.example")
            .env("LC_ALL", "C.UTF-8");
        shell.env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{who}_NAME"), "Ada Lovelace").env(format!("GIT_{who}_EMAIL"), "ada@harbour.example");
            shell.env(format!("GIT_{who}_DATE"), NOW);
        }
        shell
    }

    /// The exit code and the words of each step, as far as the shell came.
    fn run(&self, steps: &[Step]) -> Vec<Said> {
        let mut script = String::from("exec < /dev/null\n");
        let err = self.folder.join("stderr").display().to_string();
        for (number, step) in steps.iter().enumerate() {
            let command = match &step.action {
                Action::Command { text, .. } | Action::Hidden(text) => text.clone(),
                Action::Write { path, text } => {
                    let prepared = self.folder.join(format!("block-{number}"));
                    fs::write(&prepared, text).expect("a file");
                    format!("mkdir -p \"$(dirname {path})\" && cp {} {path}", prepared.display())
                }
                // `git apply` wants to be told the lines' numbers; these say where they are by themselves.
                Action::Change { path, from, to } => {
                    let (old, new) =
                        (self.folder.join(format!("old-{number}")), self.folder.join(format!("new-{number}")));
                    fs::write(&old, from).expect("a file");
                    fs::write(&new, to).expect("a file");
                    format!(
                        "perl -0777 -i -pe 'BEGIN {{ local $/; open F, q({}); $o = <F>; open F, q({}); $n = <F> }} \
                         s/^\\Q$o\\E/$n/m or die qq({path} has no such lines\\n)' {path}",
                        old.display(),
                        new.display()
                    )
                }
            };
            let _ = writeln!(
                script,
                "{{ {command}\n}} 2> {err}\n__exit=$?; printf '{END}'; cat {err}; printf '{END}%d{END}' \"$__exit\"; \
                 (exit \"$__exit\")"
            );
        }
        let output = self.shell().args(["--noprofile", "--norc", "-c", &script]).output().expect("bash runs");
        let stderr = output.stderr;
        let output = String::from_utf8(output.stdout).expect("output is UTF-8");
        let mut parts: Vec<&str> = output.split(END).collect();
        // What a shell says as it ends for a mistake of the page.
        let rest = parts.pop().unwrap_or_default();
        let whole = |part: &[&str]| Said {
            exit: part[2].parse().expect("a number"),
            out: part[0].to_owned(),
            err: part[1].to_owned(),
        };
        let mut said: Vec<Said> = parts.chunks_exact(3).map(whole).collect();
        if said.len() < steps.len() {
            said.push(Said { exit: -1, out: rest.to_owned(), err: String::from_utf8_lossy(&stderr).into_owned() });
        }
        said
    }
}
