//! `tenantry explain`: where each value of a resource comes from.

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::desired::{Explained, OwnerResources};
use tenantry_core::diagnostics::Origin;
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::{Value, readable_pointer};
use tenantry_core::plan::sensitive::{self, MASK};
use tenantry_engine::plan::Recorded;
use tenantry_render::difference::in_one_line;
use tenantry_render::explain::{self, Commit, Explanation, Field, Line};
use tenantry_source::Blame;
use tenantry_store::OpenMode;

pub async fn run(global: &Global, command: &arguments::Explain, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let recorded = Recorded::of(&*session.store().await?).await?;
    let targets = session.targets();
    let mut blame = Blame::new(&global.estate, global.rev.as_deref());
    let explanation =
        tenantry_engine::plan::explain(&session.estate, &targets, &recorded, session.now, session.threads, |all| {
            let (desired, field) = find(&command.subject, all.owners())?;
            let found = all.explain(&desired.address).ok_or_else(|| unknown(&command.subject, all.owners()))?;
            let mut line = |origin: Origin| line(&session, &mut blame, origin);
            let fields: Vec<Field> = found
                .fields
                .iter()
                .filter(|explained| is_at_or_below(&readable_pointer(&explained.pointer), field))
                .map(|explained| self::field(desired, explained, output, &mut line))
                .collect();
            if fields.is_empty() && !field.is_empty() {
                return Err(no_field(desired, field));
            }
            Ok(Explanation {
                address: desired.address.to_string(),
                kind: desired.kind.name.to_owned(),
                target: desired.target.to_string(),
                identity: desired.identity.as_deref().map(readable_identity),
                existence: found.existence.map(&mut line),
                fields,
            })
        })
        .map_err(|diagnostics| Failure::diagnostics(diagnostics, session.files.clone()))??;
    if output.is_json() {
        output.json(&explanation)?;
    } else {
        output.data(|out| explain::write(out, &explanation))?;
    }
    Ok(Exit::Done)
}

/// The resource that a subject begins with, and the field that may follow behind a full stop.
fn find<'s, 'o>(subject: &'s str, owners: &'o [OwnerResources]) -> Result<(&'o Desired, &'s str), Failure> {
    let all = owners.iter().flat_map(|owner| &owner.resources);
    let fitting = all.filter_map(|desired| {
        let rest = subject.strip_prefix(&desired.address.to_string())?;
        let field = if rest.is_empty() { Some("") } else { rest.strip_prefix('.') };
        Some((desired, field?))
    });
    // An id may be the beginning of another one.
    fitting.min_by_key(|(_, field)| field.len()).ok_or_else(|| unknown(subject, owners))
}

fn unknown(subject: &str, owners: &[OwnerResources]) -> Failure {
    let addresses: Vec<String> =
        owners.iter().flat_map(|owner| &owner.resources).map(|desired| desired.address.to_string()).collect();
    let otherwise = "write an address such as acme-corp/schema; `tenantry show TENANT` lists those of a tenant";
    let message = format!("the estate has no resource `{subject}`");
    Failure::unknown(message, subject, addresses.iter().map(String::as_str), otherwise)
}

fn no_field(desired: &Desired, field: &str) -> Failure {
    let names: Vec<&str> = desired.spec.iter().map(|(name, _)| &**name).collect();
    let message = format!("{} has no field `{field}`", desired.address);
    Failure::unknown(message, field, names.iter().copied(), format!("its fields are {}", names.join(", ")))
}

fn is_at_or_below(field: &str, asked: &str) -> bool {
    asked.is_empty() || field.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn field(desired: &Desired, explained: &Explained, output: &Output, line: &mut impl FnMut(Origin) -> Line) -> Field {
    // A reference to a secret shows nothing of it.
    let is_hidden = !output.is_seen_only()
        && !matches!(explained.value, Value::Deferred(_))
        && sensitive::covers(&sensitive::of(desired), &explained.pointer);
    Field {
        field: readable_pointer(&explained.pointer),
        value: if is_hidden { MASK.to_owned() } else { in_one_line(&explained.value).into_owned() },
        lines: explained
            .origins
            .iter()
            .map(|origin| {
                let mut line = line(*origin);
                // The line has the value too.
                if is_hidden {
                    MASK.clone_into(&mut line.text);
                }
                line
            })
            .collect(),
    }
}

fn line(session: &Session, blame: &mut Blame, origin: Origin) -> Line {
    let source = session.files.get(origin.file);
    let (line, _) = session.files.line_column(origin);
    let commit = blame.line(&source.path, &source.text, line).map(|commit| Commit {
        id: commit.id.clone(),
        author: commit.author.clone(),
        day: commit.day.clone(),
        summary: commit.summary.clone(),
    });
    let text = source.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().to_owned();
    Line { file: source.path.to_string(), line, text, commit }
}
