//! What cannot be kept as a golden case: sizes, special files, permissions, the number of threads.

use std::fs;
use std::path::Path;

use assert_fs::TempDir;
use tenantry_core::diagnostics::codes;
use tenantry_render::diagnostics::{write_json, write_text};
use tenantry_render::page::Page;
use tenantry_source::{Loaded, Options, Place, load};

fn estate(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (path, text) in files.iter().chain(&[("tenantry.toml", "[estate]\nname = \"shop\"\n")]) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("files lie in folders")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn read(folder: &Path, options: Options<'_>) -> Loaded {
    load(&Place::Directory(folder.to_owned()), options)
}

fn tenant(name: &str) -> String {
    format!(
        "apiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {name}}}\nspec: {{displayName: {name}, tier: pro, phase: active}}\n"
    )
}

#[test]
fn an_enormous_file_is_refused_by_its_size() {
    let folder = estate(&[("tenants/a.yaml", "")]);
    // A hole: four terabytes could not be read at all.
    let file = fs::OpenOptions::new().write(true).open(folder.path().join("tenants/a.yaml")).expect("opened");
    file.set_len(4 << 40).expect("a hole");
    let loaded = read(folder.path(), Options::default());
    assert_eq!(loaded.diagnostics[0].code, codes::FILE_TOO_LARGE);
    assert_eq!(loaded.diagnostics.len(), 1);
}

#[test]
fn too_many_files_are_refused() {
    let folder = estate(&[("tenants/a.yaml", "# 1"), ("tenants/b.yaml", "# 2"), ("tenants/c.yaml", "# 3")]);
    let loaded = read(folder.path(), Options { max_files: 2, ..Options::default() });
    assert_eq!(loaded.diagnostics[0].message, "the estate has more than 2 files of documents");
}

#[test]
fn of_a_file_full_of_problems_the_first_are_told() {
    for text in [
        format!("a: [{}]", "!x 1, ".repeat(100_000)),
        tenant("acme").replace("phase: active", &format!("phase: active, features: [{}]", "no, ".repeat(100_000))),
        tenant("acme").replace("phase: active", &format!("phase: active, features: [{}]", "5, ".repeat(100_000))),
        "---\n{}\n".repeat(100_000),
        format!("{}---\n", tenant("acme")).repeat(5_000),
        (0..50_000).map(|number| format!("k{}: 1\n", number % 9)).collect(),
        tenant("acme").replace("phase: active", &(0..50_000).map(|n| format!("x{n}: 1, ")).collect::<String>()),
    ] {
        let folder = estate(&[("tenants/a.yaml", &text)]);
        let loaded = read(folder.path(), Options::default());
        assert_eq!(loaded.diagnostics.len(), 201, "{}", &text[..200]);
        assert_eq!(loaded.diagnostics[200].code, codes::TOO_MANY_PROBLEMS);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = estate(&[]);
    fs::create_dir(folder.path().join("tenants")).expect("a folder");
    let pipe = folder.path().join("tenants/pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let loaded = read(folder.path(), Options::default());
    assert_eq!(loaded.diagnostics[0].message, "this is not a file or a folder");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let files: Vec<_> = (0..200)
        .map(|number| {
            let text = if number % 7 == 0 { "a: [".to_owned() } else { tenant(&format!("t-{}", number % 150)) };
            (format!("tenants/{}/{number}.yaml", number % 10), text)
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let folder = estate(&files);
    let told = |threads| {
        let loaded = read(folder.path(), Options { threads, ..Options::default() });
        let mut text = Vec::new();
        write_text(&mut Page::new(&mut text), &loaded.diagnostics, &loaded.files, false).expect("writing to memory");
        text
    };
    let alone = told(1);
    assert!(!alone.is_empty());
    assert_eq!(alone, told(2));
    assert_eq!(alone, told(13));
}

#[test]
fn positions_point_at_the_values() {
    let text = format!("# é\n{}  ---\n", "").replace("  ---\n", "")
        + &tenant("acme").replace("acme}", "acme, labels: {é: 'ü', b: \"x\"}}");
    let folder = estate(&[("tenants/a.yaml", &text)]);
    let loaded = read(folder.path(), Options::default());
    let estate = loaded.estate.expect("an estate");
    let positions = &estate.tenants[0].positions;
    let at = |pointer: &str| {
        let origin = positions.exact(pointer).expect("the pointer is there");
        &estate.files.get(origin.file).text[origin.span.start as usize..origin.span.end as usize]
    };
    assert_eq!(at("/metadata/name"), "acme");
    assert_eq!(at("/metadata/labels/é"), "'ü'");
    assert_eq!(at("/metadata/labels/b"), "\"x\"");
    assert_eq!(at("/metadata/labels"), "{é: 'ü', b: \"x\"}");
    assert_eq!(at("/spec/phase"), "active");
    assert!(at("").starts_with("apiVersion") && at("").ends_with("active}"));
}

#[test]
fn a_secret_is_in_no_output() {
    let folder = estate(&[]);
    for config in [
        "[estate]\nname = \"x\"\n[targets.db]\nprovider = \"postgres\"\npassword = \"hunter2\"\n",
        "[estate]\nname = \"x\"\n[targets.db]\nprovider = 5\nurl = \"postgres://a:hunter2@b/c\"\n",
        "[estate]\nname = \"x\"\n[targets.db]\nprovider = \"postgres\"\npassword = hunter2\n",
        "[estate]\nname = \"x\"\n[targets.db]\npassword = \"hunter2\nprovider = \"postgres\"\n",
        "[estate]\nname = \"x\"\n[targets.db]\npassword = \"hunter2\u{1}\"\n",
        "[estate]\nname = \"x\"\n[targets.db]\nauth = {token = \"hunter2\", x = }\n",
        "[estate]\nname = \"x\"\n[store]\npassword = \"hunter2\"\n",
        "[estate]\nname = \"x\"\n[targets.db]\nprovider = \"postgres\"\ntokens = [\"hunter2\", \"x\"]\n",
    ] {
        fs::write(folder.path().join("tenantry.toml"), config).expect("written");
        let loaded = read(folder.path(), Options::default());
        assert!(loaded.estate.is_none(), "{config}");
        let mut text = Vec::new();
        write_text(&mut Page::new(&mut text), &loaded.diagnostics, &loaded.files, true).expect("writing to memory");
        write_json(&mut text, &loaded.diagnostics, &loaded.files).expect("writing to memory");
        let text = String::from_utf8(text).expect("messages are UTF-8");
        assert!(!text.contains("hunter2"), "{config}\n{text}");
        assert!(!format!("{loaded:?}").contains("hunter2"), "{config}");
    }
}
