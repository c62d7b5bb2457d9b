//! The objects of a live cluster to import, and a diagnostic for everything that is left out.

use std::collections::BTreeSet;

use super::Found;
use tenantry_core::diagnostics::{Diagnostic, Origin, SourceFiles, Span, codes};
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::value::Value;
use tenantry_kubernetes::inventory::{Inventory, Reason};

/// How many names are shown with each reason; JSON has all of them.
const SHOWN_NAMES: usize = 8;

/// The objects of a cluster, each in an empty file with its name, and one diagnostic for each reason for which others are left
/// out.
pub fn found(inventory: Inventory) -> (SourceFiles, Vec<Found>, Vec<Diagnostic>) {
    let Inventory { objects, left_out, unread } = inventory;
    let mut files = SourceFiles::default();
    let objects = objects.into_iter().map(|(identity, object)| {
        let origin = Origin { file: files.add(readable_identity(&identity), ""), span: Span::default() };
        Found { folder: None, value: Value::from(object), origin }
    });
    let found = objects.collect();
    let mut diagnostics: Vec<Diagnostic> =
        left_out.iter().map(|(reason, names)| left_out_for(*reason, names)).collect();
    for error in unread {
        let help =
            error.remedy.clone().unwrap_or_else(|| "import again into another folder when the server answers".into());
        let message = format!("some objects could not be read: {error}");
        diagnostics.push(Diagnostic::error(codes::IMPORT_UNREAD, message).help(help));
    }
    (files, found, diagnostics)
}

fn left_out_for(reason: Reason, names: &BTreeSet<String>) -> Diagnostic {
    let what = match reason {
        Reason::System => "namespace",
        Reason::ClustersOwn => "type",
        _ => "object",
    };
    let (count, plural) = (names.len(), if names.len() == 1 { "" } else { "s" });
    let message = format!("{count} {what}{plural} left out: {}", reason.words());
    let code = if reason.is_loss() { codes::IMPORT_LEFT_OUT } else { codes::IMPORT_NOT_NEEDED };
    let mut shown: Vec<&str> = names.iter().map(String::as_str).take(SHOWN_NAMES).collect();
    let more = names.len().saturating_sub(SHOWN_NAMES);
    let rest = format!("{more} more (`--format json` lists all)");
    if more > 0 {
        shown.push(&rest);
    }
    let remedy = reason.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Diagnostic::warning(code, message).help(format!("these are {}{remedy}", shown.join(", ")))
}
