//! The built command in an estate of its own, with nothing of this machine about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The clock of every test.
pub const NOW: &str = "2026-01-01T00:00:00Z";

/// The command, with nothing of this process's environment but what a system needs to start it.
pub fn tenantry(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command.env_clear().current_dir(folder).stdin(Stdio::null()).env("TENANTRY_ACTOR", "tester@example");
    command
}

/// What a command said, and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        // A process that was killed has no code.
        Self { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// stdout as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self:#?}"))
    }
}

/// Runs the command in a folder, at the tests' time.
pub fn run(folder: &Path, arguments: &[&str]) -> Said {
    run_at(folder, NOW, arguments)
}

/// Runs the command in a folder, at another time.
pub fn run_at(folder: &Path, now: &str, arguments: &[&str]) -> Said {
    let mut command = tenantry(folder);
    command.args(arguments).args(["--now", now]);
    Said::of(command.output().expect("the command starts"))
}

/// Every file below a folder with its content.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn below(root: &Path, folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            if path.is_dir() {
                below(root, &path, all);
            } else {
                let name = path.strip_prefix(root).expect("it is below the root").to_owned();
                all.insert(name, std::fs::read(&path).expect("the file is readable"));
            }
        }
    }
    let mut all = BTreeMap::new();
    below(folder, folder, &mut all);
    all
}

/// Runs statements on the simulated world of an estate's default environment. Each has to change something.
pub async fn change_world(estate: &Path, statements: &str) {
    change(&estate.join(".tenantry/default/sandbox.db"), statements).await;
}

/// Changes the store behind Tenantry's back, as [`change_world`] does the world.
pub async fn change_store(estate: &Path, statements: &str) {
    change(&estate.join(".tenantry/default/store.db"), statements).await;
}

async fn change(file: &Path, statements: &str) {
    use sqlx::{ConnectOptions as _, Connection as _};
    assert!(file.exists(), "there is nothing yet to be changed");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.expect("the world opens");
    for statement in statements.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
        let rows = done.unwrap_or_else(|error| panic!("{statement}: {error}")).rows_affected();
        assert!(rows > 0, "changes nothing: {statement}");
    }
    connection.close().await.expect("the world closes");
}

/// Waits for what only exists asynchronously.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
