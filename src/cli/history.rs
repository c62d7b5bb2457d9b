//! `tenantry history`: the journal.

use std::sync::Arc;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::list::table;
use super::output::Output;
use super::session::Session;
use jiff::SignedDuration;
use serde_json::Value as Json;
use tenantry_core::model::address::Owner;
use tenantry_core::model::kind::{Catalogue, readable_identity};
use tenantry_core::model::value::Value;
use tenantry_core::plan::sensitive;
use tenantry_render::words::count;
use tenantry_store::OpenMode;
use tenantry_store::contract::{
    HistoryQuery, JournalEntry, JournalEvent, JournalHead, RunId, RunOutcome, RunRecord, Store,
};

pub async fn run(global: &Global, command: &arguments::History, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let store = session.store().await?;
    if command.verify {
        return verify(&*store, command.head.as_deref(), output).await;
    }
    if command.runs {
        return runs(&store.runs(command.limit).await?, output);
    }
    let query = HistoryQuery {
        owner: command.owner.as_deref().map(Owner::from),
        run: command.run.map(RunId),
        limit: Some(command.limit),
    };
    let mut entries = store.history(&query).await?;
    // A tenant that is gone may have a history; one that is in neither is a slip.
    if let (Some(owner), true) = (&command.owner, entries.is_empty()) {
        session.owner(owner)?;
    }
    entries.iter_mut().for_each(|entry| mask(&mut entry.detail, &session.catalogue));
    if output.is_json() {
        output.json(&entries)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<[String; 5]> = entries.iter().map(row).collect();
    table(output, ["AT", "RUN", "EVENT", "OWNER", "WHAT"], &rows)?;
    Ok(Exit::Done)
}

/// A line for each run.
fn runs(runs: &[RunRecord], output: &Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(&runs)?;
        return Ok(Exit::Done);
    }
    let row = |record: &RunRecord| {
        let RunRecord { run, begun, ended, outcome, actor, command, revision, approvals, owners, steps } = record;
        let took = ended.map(|ended| duration(begun.duration_until(ended)));
        let outcome = match outcome {
            Some(RunOutcome::Done) => "done",
            Some(RunOutcome::Partly) => "partly done",
            Some(RunOutcome::Interrupted) => "interrupted",
            Some(RunOutcome::Failed) => "failed",
            None => "not ended",
        };
        let revision = revision.as_deref().unwrap_or("-");
        [
            run.to_string(),
            begun.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            took.unwrap_or_else(|| "-".to_owned()),
            command.to_string(),
            outcome.to_owned(),
            format!(
                "{} of {}",
                count(usize::try_from(*steps).unwrap_or(usize::MAX), "step"),
                count(usize::try_from(*owners).unwrap_or(usize::MAX), "owner")
            ),
            actor.to_string(),
            revision.get(..12).unwrap_or(revision).to_owned(),
            approvals.join(", "),
        ]
    };
    let rows: Vec<[String; 9]> = runs.iter().map(row).collect();
    table(output, ["RUN", "BEGUN", "TOOK", "COMMAND", "OUTCOME", "WHAT", "WHO", "COMMIT", "APPROVALS"], &rows)?;
    Ok(Exit::Done)
}

/// Seconds with a decimal, or minutes and hours.
fn duration(time: SignedDuration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        seconds @ 60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Masks what the plan does not show either, whatever the format: the journal is kept wherever it is piped to.
fn mask(detail: &mut Json, catalogue: &Catalogue) {
    let recorded: Option<Vec<Arc<str>>> =
        detail.get("sensitive").and_then(|sensitive| serde_json::from_value(sensitive.clone()).ok());
    let Some(applied) = detail.pointer_mut("/result/applied") else { return };
    let kind = applied.get("kind").and_then(Json::as_str).and_then(|kind| catalogue.get(kind));
    let Some(Json::String(text)) = applied.get_mut("spec") else { return };
    *text = match serde_json::from_str::<Value>(text) {
        Ok(Value::Map(spec)) => {
            let of_kind = kind.map(|kind| kind.sensitive_in(&kind.normal(&spec))).unwrap_or_default();
            let mut pointers = recorded.unwrap_or_else(|| sensitive::unless_recorded(kind.map(|kind| &**kind), &spec));
            pointers.extend(of_kind.iter().map(|pointer| Arc::from(&**pointer)));
            sensitive::mask(Value::Map(spec), &pointers).to_json().to_string()
        }
        _ => sensitive::MASK.to_owned(),
    };
}

async fn verify(store: &dyn Store, noted: Option<&str>, output: &Output) -> Result<Exit, Failure> {
    store.verify_journal().await?;
    let head = store.head().await?;
    if let Some(noted) = noted {
        let noted = parse_head(noted)?;
        if !store.contains(&noted).await? {
            let message =
                format!("the journal does not have the {} entries that this head was shown for", noted.length);
            return Err(Failure::new(Exit::Error, message).help(
                "the end of the journal was cut off, or the store was exchanged; compare it with a backup before you apply anything",
            ));
        }
    }
    if output.is_json() {
        output.json(&head)?;
        return Ok(Exit::Done);
    }
    let entries = count(usize::try_from(head.length).unwrap_or(usize::MAX), "entry");
    output.data(|out| {
        writeln!(out, "the journal is complete: {entries} in one chain")?;
        writeln!(out, "head {}:{}", head.length, head.hash)
    })?;
    Ok(Exit::Done)
}

fn parse_head(text: &str) -> Result<JournalHead, Failure> {
    let parsed = text.split_once(':').and_then(|(length, hash)| {
        let is_hash = hash.len() == 64 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        is_hash.then_some(JournalHead { length: length.parse().ok()?, hash: hash.into() })
    });
    parsed.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` is not the head of a journal"))
            .help("write it as `history --verify` shows it: the number of entries, a colon, 64 hexadecimal digits")
    })
}

fn row(entry: &JournalEntry) -> [String; 5] {
    let JournalEntry { run, at, event, owner, detail, .. } = entry;
    let text = |field: &str| match detail.pointer(field) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let what = match event {
        JournalEvent::RunBegun => format!(
            "{} by {}{}",
            text("/command"),
            text("/actor"),
            prefixed(" at ", text("/revision").get(..12).unwrap_or(&text("/revision")))
        ),
        JournalEvent::StepBegun => format!("{} {} begun", text("/action"), text("/address")),
        JournalEvent::StepEnded => {
            let result = match detail.pointer("/result") {
                Some(Json::Object(result)) if result.contains_key("failed") => {
                    format!("failed: {}", text("/result/failed"))
                }
                _ => "done".to_owned(),
            };
            format!("{} {} {result}", text("/action"), text("/address"))
        }
        JournalEvent::PhaseEntered => {
            let tier = prefixed("tier ", &text("/terms/tier"));
            match (text("/from") == text("/to"), tier.is_empty()) {
                (true, false) => tier,
                (_, true) => format!("{} → {}", non_empty(text("/from"), "new"), text("/to")),
                _ => format!("{} → {}, {tier}", non_empty(text("/from"), "new"), text("/to")),
            }
        }
        JournalEvent::RunEnded => text("/outcome"),
        JournalEvent::RecordMoved => {
            format!("{} has the record of {}", text("/applied/address"), text("/from"))
        }
        JournalEvent::Forgotten => {
            format!(
                "{} is no longer managed: {} {} stays in {}, by {}",
                text("/address"),
                text("/kind"),
                readable_identity(&text("/identity")),
                text("/target"),
                text("/actor")
            )
        }
        JournalEvent::Unlocked => format!("lock of {} removed by {}", text("/holder"), text("/actor")),
        JournalEvent::TargetAccepted => {
            let instead = prefixed(" instead of ", &text("/insteadOf"));
            let fingerprint = non_empty(text("/fingerprint"), "a system that does not reveal its identity");
            format!("{} is {fingerprint}{instead}, accepted by {}", text("/target"), text("/actor"))
        }
        JournalEvent::DriftReported => {
            format!("{} drifted, told by {}", text("/resources"), text("/actor"))
        }
        JournalEvent::SecretShown => {
            format!("secret {} v{} shown to {} ({})", text("/name"), text("/version"), text("/actor"), text("/to"))
        }
        JournalEvent::Migrated => format!("from format {}, {} entries", text("/format"), text("/length")),
    };
    let at = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let run = run.map_or_else(|| "-".to_owned(), |run| run.to_string());
    [at, run, event.as_str().to_owned(), owner.as_ref().map(ToString::to_string).unwrap_or_default(), what]
}

fn prefixed(prefix: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{prefix}{text}") }
}

fn non_empty(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}
