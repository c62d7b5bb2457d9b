//! A process that is killed while it writes: what was reported as done is there, and everything can be read.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

/// Names the store that the process below writes to.
const STORE: &str = "TENANTRY_TEST_STORE";

/// Not a test by itself: the process that is killed. It applies until then, and writes down after each step how many
/// entries it was told are durable.
#[expect(clippy::disallowed_methods, reason = "the environment tells the process that it is the one")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_until_killed() {
    let Ok(path) = std::env::var(STORE) else { return };
    let path = PathBuf::from(path);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, &scope(), OpenMode::ReadWrite).await.expect("opens"));
    let mut reported = std::fs::File::create(path.with_extension("reported")).expect("creates");
    let already = store.verify_journal().await.expect("holds");
    store.unlock(&unlock(&owners(&["acme"]), time(0), "me")).await.expect("unlocks");
    let fence = fence(&*store, "acme").await;
    for round in 1.. {
        let names: Vec<String> = (0..50).map(|index| format!("acme/r{index}")).collect();
        let begun: Vec<_> = names.iter().map(|name| begun(name, round)).collect();
        store.begin(&fence, &begun).await.expect("begins");
        writeln!(reported, "{}", already + round * 100 - 50).expect("writes");
        let result = |name| StepResult::Applied(applied(name, round));
        let ended: Vec<_> = names.iter().map(|name| ended(name, round, result(name))).collect();
        store.finish(&fence, &ended).await.expect("ends");
        writeln!(reported, "{}", already + round * 100).expect("writes");
    }
}

#[expect(clippy::disallowed_macros, reason = "how hard the test was is worth knowing")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_durable_survives_a_kill() {
    let place = Place::sqlite();
    let mut hot = 0;
    let reported = place.path().with_extension("reported");
    for round in 0..12_u64 {
        let _ = std::fs::remove_file(&reported);
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "tests::crashes::apply_until_killed"])
            .env(STORE, place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let started = async {
            while std::fs::read(&reported).unwrap_or_default().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), started).await.expect("the process applies");
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        child.kill().expect("kills");
        child.wait().expect("is gone");
        let reported = std::fs::read_to_string(&reported).expect("reads");
        let reported: u64 = reported.lines().next_back().map_or(0, |line| line.parse().expect("a number"));

        let folder = place.path().parent().expect("a folder").to_owned();
        let before = contents(&folder);
        let journal = before.iter().find(|(path, _)| path.to_string_lossy().ends_with("-journal"));
        hot += usize::from(journal.is_some_and(|(_, bytes)| bytes.starts_with(&[0xd9])));
        let reader = place.open(OpenMode::ReadOnly).await.expect("opens");
        let entries = reader.verify_journal().await.expect("holds");
        assert!(entries >= reported, "{entries} entries are there and {reported} were reported");
        let inventory = reader.inventory().await.expect("reads");
        assert_eq!(contents(&folder), before, "reading writes nothing");

        let writer = place.writing().await;
        assert_eq!(writer.verify_journal().await.expect("holds"), entries);
        assert_eq!(writer.inventory().await.expect("reads"), inventory);
    }
    eprintln!("{hot} of 12 kills fell into a transaction");
}
