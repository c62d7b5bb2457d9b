//! Files of the estate whose content a resource has: the `contentFile` of its spec, such as the logo of an `s3.object`.
//!
//! The content takes the place of the path, in base64: so it is compared, hashed and planned like one that is written in the
//! blueprint, and a plan of a revision has the file of that revision. A path is a plain text: which files an estate is made of
//! can be read in its documents, and no value of a tenant leads to another file.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::listing::Problem;
use super::substitute;
use tenantry_core::diagnostics::{Diagnostic, codes};
use tenantry_core::model::document::{BlueprintSpec, Document};
use tenantry_core::model::value::Value;

/// Where the path stands, and what its content becomes.
const PATH: &str = "contentFile";
const CONTENT: &str = "contentBase64";

/// The most bytes of a file: it is a part of every plan that writes it.
pub const MOST_BYTES: u64 = 16 << 20;

/// Puts the contents of files in the place of their paths, and returns what is wrong with them. `read` reads a file of the estate
/// by its path.
pub fn put(
    blueprints: &mut [Document<BlueprintSpec>],
    read: &dyn Fn(&str) -> Result<Vec<u8>, Problem>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    // Many resources may have one file.
    let mut contents: BTreeMap<String, Result<Value, Problem>> = BTreeMap::new();
    for blueprint in blueprints {
        let positions = &blueprint.positions;
        for (index, resource) in blueprint.spec.resources.iter_mut().enumerate() {
            let Value::Map(spec) = &resource.spec else { continue };
            let Some(path) = spec.get(PATH) else { continue };
            let origin = positions.origin(&format!("/spec/resources/{index}/spec/{PATH}"));
            let content = match path.as_str().ok_or_else(not_a_path).and_then(checked) {
                Ok(path) => contents.entry(path.to_owned()).or_insert_with(|| content(path, read)).clone(),
                Err(problem) => Err(problem),
            };
            match content {
                Ok(_) if spec.contains(CONTENT) => {
                    let message = format!("a resource has either `{PATH}` or `{CONTENT}`");
                    let diagnostic = Diagnostic::error(codes::RESOURCE_SCHEMA, message);
                    diagnostics.push(diagnostic.at(origin, "").help("remove one of the two"));
                }
                Ok(content) => resource.spec = spec.without(PATH).with(CONTENT, content).into(),
                Err(problem) => diagnostics.push(problem.at(origin)),
            }
        }
    }
    diagnostics
}

fn not_a_path() -> Problem {
    Problem::new(
        codes::FILE_UNREADABLE,
        format!("`{PATH}` is the path of a file of the estate"),
        "",
        "write a path relative to the estate's folder, such as `assets/logo.svg`",
    )
}

/// A path that stays within the estate, as it is written.
fn checked(path: &str) -> Result<&str, Problem> {
    if path.contains("${") {
        return Err(Problem::new(
            codes::FILE_UNREADABLE,
            format!("`{PATH}` is a path without expressions"),
            "",
            "write the path itself, or the content with expressions in it as `content`",
        ));
    }
    let is_within = path.split('/').all(|segment| !matches!(segment, "" | "." | "..")) && !path.contains(['\\', '\0']);
    if is_within { Ok(path) } else { Err(not_a_path()) }
}

fn content(path: &str, read: &dyn Fn(&str) -> Result<Vec<u8>, Problem>) -> Result<Value, Problem> {
    let named = |problem: Problem| Problem { message: format!("`{path}`: {}", problem.message), ..problem };
    let bytes = read(path).map_err(named)?;
    match substitute::of_another_sort(&bytes) {
        Some((problem, _)) => Err(named(problem)),
        None => Ok(STANDARD.encode(bytes).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::of_texts_beside;

    fn estate(spec: &str, files: &[(&str, &str)]) -> Result<Value, Vec<String>> {
        let blueprint = format!(
            "apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {{name: files}}\nspec:\n  scope: estate\n  resources:\n    - {{id: logo, kind: s3.object, spec: {spec}}}\n"
        );
        let files: BTreeMap<String, String> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let texts = BTreeMap::from([
            ("tenantry.toml".to_owned(), "[estate]\nname = \"shop\"\n".to_owned()),
            ("tenants/files.yaml".to_owned(), blueprint),
        ]);
        let loaded = of_texts_beside(&texts, &files);
        match loaded.estate {
            Some(estate) => Ok(estate.blueprints[0].spec.resources[0].spec.clone()),
            None => Err(loaded.diagnostics.into_iter().map(|one| one.message.clone()).collect()),
        }
    }

    #[test]
    fn a_file_of_the_estate_is_the_content_of_a_resource() {
        let spec =
            estate("{bucket: b, key: k, contentFile: assets/logo.svg}", &[("assets/logo.svg", "<svg>${x}</svg>")]);
        let spec = spec.expect("it is read");
        assert_eq!(spec.get("contentBase64").and_then(Value::as_str), Some("PHN2Zz4ke3h9PC9zdmc+"));
        assert_eq!(spec.get("contentFile"), None);
    }

    #[test]
    fn what_is_no_file_of_the_estate_is_told_at_its_place() {
        let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        for (path, says) in [
            ("assets/none.svg", "`assets/none.svg`:"),
            ("../secret", "is the path of a file of the estate"),
            ("/etc/passwd", "is the path of a file of the estate"),
            ("\"assets/${tenant.name}.svg\"", "without expressions"),
            ("{a: b}", "is the path of a file of the estate"),
            ("assets/large.bin", "Git LFS"),
        ] {
            let told = estate(&format!("{{bucket: b, key: k, contentFile: {path}}}"), &[("assets/large.bin", lfs)]);
            let told = told.expect_err("it is refused");
            assert!(told.len() == 1 && told[0].contains(says), "{path}: {told:?}");
        }
        let both = "{bucket: b, key: k, contentFile: a.txt, contentBase64: aGk=}";
        assert!(estate(both, &[("a.txt", "x")]).is_err());
    }
}
