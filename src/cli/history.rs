//! `tenantry history`: the journal.

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::list::table;
use super::output::Output;
use super::session::Session;
use tenantry_core::model::address::Owner;
use tenantry_render::words::count;
use tenantry_store::OpenMode;
use tenantry_store::contract::{HistoryQuery, JournalEntry};

pub async fn run(global: &Global, command: &arguments::History, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let store = session.store().await?;
    if command.verify {
        let entries = store.verify_journal().await?;
        let text = format!(
            "the journal is whole: {} in one chain",
            count(usize::try_from(entries).unwrap_or(usize::MAX), "entry").replace("entrys", "entries")
        );
        output.data(|out| writeln!(out, "{text}"))?;
        return Ok(Exit::Done);
    }
    let query =
        HistoryQuery { owner: command.owner.as_deref().map(Owner::from), run: command.run, limit: Some(command.limit) };
    let entries = store.history(&query).await?;
    if output.is_json() {
        output.json(&entries)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<[String; 5]> = entries.iter().map(row).collect();
    table(output, ["AT", "RUN", "EVENT", "OWNER", "WHAT"], &rows)?;
    Ok(Exit::Done)
}

fn row(entry: &JournalEntry) -> [String; 5] {
    let JournalEntry { run, at, event, owner, detail, .. } = entry;
    let text = |field: &str| match detail.pointer(field) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let what = match &**event {
        "runBegun" => format!("{} by {}{}", text("/command"), text("/actor"), prefixed(" at ", &text("/revision"))),
        "stepBegun" => format!("{} {} begun", text("/action"), text("/address")),
        "stepEnded" => {
            let result = match detail.pointer("/result") {
                Some(serde_json::Value::Object(result)) if result.contains_key("failed") => {
                    format!("failed: {}", text("/result/failed"))
                }
                _ => "done".to_owned(),
            };
            format!("{} {} {result}", text("/action"), text("/address"))
        }
        "phaseEntered" => format!("{} → {}", non_empty(text("/from"), "new"), text("/to")),
        "runEnded" => text("/outcome"),
        _ => detail.to_string(),
    };
    let at = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let run = run.map_or_else(|| "-".to_owned(), |run| run.to_string());
    [at, run, event.to_string(), owner.as_ref().map(ToString::to_string).unwrap_or_default(), what]
}

fn prefixed(prefix: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{prefix}{}", text.get(..12).unwrap_or(text)) }
}

fn non_empty(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}
