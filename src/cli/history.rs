//! `tenantry history`: the journal.

use std::sync::Arc;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::list::table;
use super::output::Output;
use super::session::Session;
use serde_json::Value as Json;
use tenantry_core::model::address::Owner;
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::value::Value;
use tenantry_core::plan::sensitive;
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
    let mut entries = store.history(&query).await?;
    entries.iter_mut().for_each(|entry| mask(&mut entry.detail, &session.catalogue));
    if output.is_json() {
        output.json(&entries)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<[String; 5]> = entries.iter().map(row).collect();
    table(output, ["AT", "RUN", "EVENT", "OWNER", "WHAT"], &rows)?;
    Ok(Exit::Done)
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

fn row(entry: &JournalEntry) -> [String; 5] {
    let JournalEntry { run, at, event, owner, detail, .. } = entry;
    let text = |field: &str| match detail.pointer(field) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let what = match &**event {
        "runBegun" => format!("{} by {}{}", text("/command"), text("/actor"), prefixed(" at ", &text("/revision"))),
        "stepBegun" => format!("{} {} begun", text("/action"), text("/address")),
        "stepEnded" => {
            let result = match detail.pointer("/result") {
                Some(Json::Object(result)) if result.contains_key("failed") => {
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
