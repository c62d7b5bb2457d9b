//! `tenantry event`: the edit that an event means, as a commit on a branch.

use std::io::Read as _;
use std::path::Path;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::arguments::{self, Global};
use super::change::{self, Done, Edits, Place};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use super::system;
use tenantry_core::model::config::EventsTable;
use tenantry_source::commit::Branch;
use tenantry_source::edit::new::{self, Tenant};
use tenantry_source::event::{self, Body, Event, Form, Meaning, Past, Read, Refused, signature};

/// The most bytes of an event. Stripe's are a few kilobytes.
const MOST_BYTES: u64 = 1 << 20;

pub fn run(global: &Global, command: &arguments::Event, output: &Output) -> Result<Exit, Failure> {
    change::check_is_folder(global)?;
    let bytes = read(&command.file)?;
    let body = Body::parse(&bytes).map_err(refused)?;
    check_is_signed(command, body.form)?;
    let now = match global.now {
        Some(now) => now,
        None => system::clock()?,
    };
    let branch = change::opened(Branch::following(&global.estate, &command.branch, now))?;
    let place = Place::on(global, branch);
    let session = place.open(output)?;
    let table = &session.estate.config.events;
    if let Some(header) = &command.signature {
        check_signature(&session, table, header, body.form, &bytes)?;
    }
    let event = match body.read(table).map_err(refused)? {
        Read::Event(event) => event,
        Read::Other { id, sort } => {
            output.note(&format!("{id} is of the type {sort}, which changes no tenant; nothing was written."));
            return told(&place, None, &id, "ignored", output);
        }
    };
    let messages = place.branch().map_or_else(|| Ok(Vec::new()), change::messages)?;
    let past = Past::of(messages.iter().map(String::as_str));
    if past.has(&event.id) {
        output.note(&format!("{} was already taken; nothing was written.", event.id));
        return told(&place, None, &event.id, "repeated", output);
    }
    let meaning = event::meaning(&session.estate, table, &event).map_err(refused)?;
    let tenant = meaning.tenant();
    if let Some(newer) = meaning.names().find_map(|name| past.newer(name, event.time)) {
        let id = &event.id;
        output.note(&format!("{id} is older than {newer}, which was already taken for {tenant}; nothing was written."));
        return told(&place, Some(tenant.as_str()), id, "outdated", output);
    }
    let edits = edits(&session, &meaning)?;
    if let Meaning::Edit { notes, .. } = &meaning {
        notes.iter().for_each(|note| output.say(&format!("{}: {note}", event.id)));
    }
    place.check(&edits, output)?;
    commit(&place, &session, &event, &meaning, &edits, output)
}

fn commit(
    place: &Place,
    session: &Session,
    event: &Event,
    meaning: &Meaning<'_>,
    edits: &Edits,
    output: &Output,
) -> Result<Exit, Failure> {
    let tenant = meaning.tenant();
    // Without an edit too: an older event that comes later must not change anything.
    let commit = place.write(edits, &event::message(event, tenant, !edits.is_empty()), session)?;
    if edits.is_empty() {
        output.note(&format!("It changes nothing in the document of {tenant}; only the event was recorded."));
    }
    let more = json!({"event": event.id, "outcome": if edits.is_empty() { "unchanged" } else { "edited" }});
    Done { place, edits, tenant: Some(tenant.as_str()), commit, more }.show(output)
}

/// The end of a run that wrote nothing.
fn told(place: &Place, tenant: Option<&str>, id: &str, outcome: &str, output: &Output) -> Result<Exit, Failure> {
    let more = json!({"event": id, "outcome": outcome});
    Done { place, edits: &Edits::default(), tenant, commit: None, more }.show(output)
}

fn edits(session: &Session, meaning: &Meaning<'_>) -> Result<Edits, Failure> {
    let estate = &session.estate;
    let mut edits = Edits::default();
    match meaning {
        Meaning::Edit { tenant, changes, .. } => {
            let (file, start) = change::start(tenant);
            edits.edit(estate, file, start, changes)?;
        }
        Meaning::New { name, display_name, tier, phase, values } => {
            let path = new::path(estate, name);
            let tenant = Tenant { name, display_name, tier: tier.as_str(), phase: *phase, values };
            edits.add(path.clone(), new::text(estate, &path, &tenant));
        }
    }
    Ok(edits)
}

/// Whether an event has a signature, unless it need not have one: before anything else is done with it.
fn check_is_signed(command: &arguments::Event, form: Form) -> Result<(), Failure> {
    let (message, help) = match (form, &command.signature, command.unsigned) {
        (_, Some(_), _) | (Form::Generic, None, true) => return Ok(()),
        (Form::Stripe, None, _) => {
            let help = "give the value of the header `Stripe-Signature` with `--signature`";
            ("an event of Stripe is not taken without its signature", help)
        }
        (Form::Generic, None, false) => {
            ("the event has no signature", "give it with `--signature`; `--unsigned` takes the event without one")
        }
    };
    Err(Failure::new(Exit::Refused, message).help(help))
}

/// Nobody but its sender can make us edit anything.
fn check_signature(
    session: &Session,
    table: &EventsTable,
    header: &str,
    form: Form,
    bytes: &[u8],
) -> Result<(), Failure> {
    let (reference, place) = match form {
        Form::Stripe => (table.stripe.as_ref().and_then(|stripe| stripe.secret.as_ref()), "[events.stripe]"),
        Form::Generic => (table.secret.as_ref(), "[events]"),
    };
    let wrong = |why: String| {
        Failure::new(Exit::Error, format!("setting `secret` in the table {place} of tenantry.toml: {why}"))
            .help("write `secret = \"env:NAME\"`, and set the variable to the signing secret")
    };
    let reference = reference.ok_or_else(|| wrong("it is missing".to_owned()))?;
    let secret = session.lookup(reference).map_err(wrong)?;
    let secret = secret.ok_or_else(|| wrong("it is not a reference".to_owned()))?;
    let tolerance = table.tolerance_seconds.unwrap_or(signature::TOLERANCE_SECONDS);
    signature::verify(header, bytes, secret.expose_secret(), session.now, tolerance).map_err(refused)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::io(format!("reading {}", file.display()), &error);
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::new(Exit::Error, format!("the event has more than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

fn refused(refused: Refused) -> Failure {
    let Refused { message, help, is_signature } = refused;
    Failure::new(if is_signature { Exit::Refused } else { Exit::Error }, message).help(help)
}
