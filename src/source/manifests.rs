//! A folder of YAML manifests: every document with its place, for an import.
//!
//! These files were written for kubectl, so what kubectl accepts is only a warning here: if a key appears twice, the later
//! value counts. Numbers are read as kubectl reads them: `0644` is octal.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::listing::{Problem, holds_documents, is_hidden};
use super::node::{Data, Node, first_line};
use super::spelling::{Number, yaml_1_1_number};
use super::{scalar, text, yaml};
use tenantry_core::diagnostics::{self, Diagnostic, Severity, SourceFiles, codes};
use tenantry_core::diagnostics::{Origin, Span};
use tenantry_core::model::value::Value;

/// The limit, which is more than any such file has.
const MOST_BYTES: u64 = 16 << 20;

/// One document.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The folder below the root that it is in, at the first level; `None` for a file in the root itself.
    pub folder: Option<Arc<str>>,
    pub value: Value,
    /// Its first line.
    pub origin: Origin,
}

/// Everything in a folder.
#[derive(Debug, Default)]
pub struct Manifests {
    pub files: SourceFiles,
    /// In order of path.
    pub documents: Vec<Manifest>,
    /// Errors are what could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads every YAML file of a folder and its subfolders, except hidden ones.
pub fn manifests(root: &Path) -> Manifests {
    let mut manifests = Manifests::default();
    let mut paths = Vec::new();
    list(root, "", &mut paths, &mut manifests.diagnostics);
    paths.sort();
    for path in paths {
        read(root, &path, &mut manifests);
    }
    diagnostics::sort(&mut manifests.diagnostics);
    manifests
}

fn list(folder: &Path, prefix: &str, paths: &mut Vec<String>, diagnostics: &mut Vec<Diagnostic>) {
    let mut failed = |path: &str, why: &dyn std::fmt::Display| {
        let message = format!("`{path}` cannot be read: {why}");
        diagnostics.push(Diagnostic::error(codes::FILE_UNREADABLE, message).help("check its permissions"));
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return failed(&folder.display().to_string(), &error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
            Ok((kind, entry)) => {
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = format!("{prefix}{name}");
                if is_hidden(&name) {
                } else if kind.is_symlink() {
                    failed(&path, &"it is a symbolic link, which is not followed");
                } else if kind.is_dir() {
                    folders.push((entry.path(), format!("{path}/")));
                } else if holds_documents(&name) {
                    paths.push(path);
                }
            }
            Err(error) => failed(&folder.display().to_string(), &error),
        }
    }
    for (folder, prefix) in folders {
        list(&folder, &prefix, paths, diagnostics);
    }
}

fn read(root: &Path, path: &str, manifests: &mut Manifests) {
    let bytes = fs::metadata(root.join(path)).and_then(|metadata| match metadata.len() {
        len if len > MOST_BYTES => Ok(Err(Problem::too_large(len, MOST_BYTES))),
        _ => fs::read(root.join(path)).map(Ok),
    });
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(problem)) => return unread(path, problem, manifests),
        Err(error) => return unread(path, Problem::unreadable(error), manifests),
    };
    let decoded = text::decode(bytes);
    let file = manifests.files.add(path, &*decoded.text);
    if let Some((problem, span)) = decoded.problem {
        manifests.diagnostics.push(problem.at(Origin { file, span }));
        return;
    }
    let folder: Option<Arc<str>> = path.split_once('/').map(|(folder, _)| folder.into());
    let documents = &mut manifests.documents;
    let mut on_document = |tree: yaml::Tree| {
        let value = Value::from(tree.root.to_json());
        // Nothing stands in a file of comments, or behind the last dashes.
        if !value.is_null() {
            let origin = first_line(file, &decoded.text, tree.root.span);
            documents.push(Manifest { folder: folder.clone(), value, origin });
            legacy(&tree.root, Origin { file, span: Span::default() }, &mut manifests.diagnostics);
        }
    };
    for mut diagnostic in yaml::parse_with(file, &decoded.text, resolve_as_kubectl, &mut on_document) {
        if diagnostic.code == codes::DUPLICATE_KEY {
            diagnostic.severity = Severity::Warning;
            diagnostic.help = Some("the later one was taken, as kubectl does".into());
        }
        manifests.diagnostics.push(diagnostic);
    }
}

/// The meaning of a plain scalar to kubectl: numbers are those of YAML 1.1. `08`, which is no octal number, is 8 all the same.
fn resolve_as_kubectl(text: &str) -> Data {
    match yaml_1_1_number(text) {
        Some(Number::Integer(value)) => Data::Integer(value),
        Some(Number::Float(value)) => Data::Float(value),
        None => scalar::resolve(text),
    }
}

/// Plain words that a reader of YAML 1.1 takes for booleans.
fn legacy(root: &Node, at: Origin, diagnostics: &mut Vec<Diagnostic>) {
    root.visit(&mut |_, node| {
        if let Data::Text { text, plain: true } = &node.data
            && matches!(text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off")
        {
            let message = format!("`{text}` without quotes is a boolean for kubectl and a text here");
            diagnostics.push(
                Diagnostic::warning(codes::IMPORT_CHANGED, message)
                    .at(Origin { span: node.span, ..at }, "read as a text")
                    .help("write true or false, or put it in quotes"),
            );
        }
    });
}

fn unread(path: &str, problem: Problem, manifests: &mut Manifests) {
    let file = manifests.files.add(path, "");
    manifests.diagnostics.push(problem.at(Origin { file, span: Span::default() }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_kubectl_reads() {
        let text = "mode: 0644\nzone: 08\nsize: 1_000\nmask: 0x1F\nbits: 0b11\nratio: 1.50\nnot: 12:30\nquoted: \"0644\"\nlist: [&m 0600, *m]\n";
        let mut values = Vec::new();
        let on_document = &mut |tree: yaml::Tree| values.push(tree.root.to_json());
        let diagnostics = yaml::parse_with(diagnostics::FileId(0), text, resolve_as_kubectl, on_document);
        assert_eq!(diagnostics, []);
        let expected = serde_json::json!({
            "mode": 420, "zone": 8, "size": 1000, "mask": 31, "bits": 3, "ratio": 1.5, "not": "12:30", "quoted": "0644",
            "list": [384, 384],
        });
        assert_eq!(values, [expected]);
    }
}
