//! The Kubernetes provider's directory mode, on temporary folders.

use crate::support::said;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use assert_fs::TempDir;
use serde_json::{Value as Json, json};
use tenantry_core::diagnostics::{FileId, Origin, Span};
use tenantry_core::model::kind::{Catalogue, Kind};
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Desired, KindObservation, Observed, Present};
use tenantry_core::model::secret::{SecretReference, SecretVersion};
use tenantry_core::model::value::{Deferred, Map, Part, Value};
use tenantry_kubernetes::files::{FilesReader, FilesWriter};
use tenantry_kubernetes::types::{OBJECT, kinds, object};
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::conformance::{Case, Subject, check};
use tenantry_provider::contract::{ErrorClass, ObserveRequest, ProviderError, Reader as _, Step, StepAction};

fn namespace(name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn config(namespace: &str, name: &str, data: Json) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data})
}

fn spec(json: Json) -> Map {
    let Value::Map(spec) = Value::from(json) else { panic!("a map") };
    kind().canonical(&spec)
}

fn kind() -> Arc<Kind> {
    Arc::new(kinds().remove(0))
}

fn mark(address: &str) -> Mark {
    Mark { estate: "shop".into(), address: address.parse().expect("an address"), secret_hash: None }
}

fn step(address: &str, spec: &Map, action: StepAction) -> Step {
    let identity = object::identity(spec).expect("an identity");
    Step { kind: kind(), identity, action, mark: mark(address), idempotency_key: address.into() }
}

fn create(address: &str, json: Json) -> Step {
    let spec = spec(json);
    step(address, &spec, StepAction::Create { spec: spec.clone(), secrets: Vec::new() })
}

fn update(address: &str, json: Json, before: Present, removed: &[&str]) -> Step {
    let spec = spec(json);
    let removed = removed.iter().map(|pointer| (*pointer).to_owned()).collect();
    let action = StepAction::Update {
        spec: spec.clone(),
        before,
        applied: None,
        changed: Vec::new(),
        removed,
        secrets: Vec::new(),
    };
    step(address, &spec, action)
}

fn delete(address: &str, json: Json) -> Step {
    let spec = spec(json);
    step(address, &spec, StepAction::Delete { before: Present::default() })
}

fn desired(address: &str, spec: Map) -> Desired {
    Desired {
        address: address.parse().expect("an address"),
        kind: kind(),
        target: "cluster".into(),
        identity: object::identity(&spec),
        spec: kind().normal(&spec),
        sensitive: Arc::default(),
        protect: false,
        optional: false,
        adopt: false,
        depends_on: Vec::new(),
        previously: Vec::new(),
        origin: Origin { file: FileId(0), span: Span::default() },
    }
}

async fn observe(root: &Path, wanted: &[Desired]) -> KindObservation {
    let request = ObserveRequest {
        estate: "shop",
        wanted: BTreeMap::from([(OBJECT, wanted.iter().collect())]),
        known: BTreeMap::new(),
        recorded: HashMap::new(),
    };
    FilesReader::new(root.to_owned()).observe(&request).await.remove(OBJECT).expect("an answer")
}

async fn write(root: &Path, steps: &[Step]) -> Result<(), ProviderError> {
    let written = FilesWriter::new(root.to_owned()).write(steps).await;
    written.map(|done| assert_eq!(done.len(), steps.len())).map_err(|error| error.error)
}

/// Every file below a folder with what is in it, as one text.
fn tree(root: &Path) -> String {
    fn below(root: &Path, folder: &Path, out: &mut Vec<String>) {
        let mut entries: Vec<_> =
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                below(root, &path, out);
            } else {
                let text = std::fs::read_to_string(&path).expect("text");
                out.push(format!("== {}\n{text}", path.strip_prefix(root).expect("below").display()));
            }
        }
    }
    let mut out = Vec::new();
    below(root, root, &mut out);
    out.join("")
}

#[tokio::test]
async fn a_folder_conforms() {
    let folder = TempDir::new().expect("a folder");
    let catalogue = Catalogue::new(kinds());
    let root = folder.path().join("objects");
    let (reader, other, writer) =
        (FilesReader::new(root.clone()), FilesReader::new(root.clone()), FilesWriter::new(root));
    let unreachable = FilesReader::new(folder.path().join("not/checked/out"));
    let subject =
        Subject { catalogue: &catalogue, reader: &reader, other: &other, writer: &writer, unreachable: &unreachable };
    let case = |needs: Vec<Json>, spec: Json, updated: Json| Case {
        kind: OBJECT,
        needs: needs.into_iter().map(|spec| (OBJECT, spec)).collect(),
        spec,
        updated,
        apart: false,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    let quota = |cpu: Json| {
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota", "namespace": "acme"},
            "spec": {"hard": {"requests.cpu": cpu, "pods": 50}},
        })
    };
    let secret = |data: Json, texts: Json| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "acme"}, "type": "Opaque",
            "data": data, "stringData": texts,
        })
    };
    let mut labelled = namespace("acme");
    labelled["metadata"]["labels"] = json!({"team": "a"});
    let cases = [
        case(vec![], namespace("acme"), labelled),
        case(vec![namespace("acme")], quota(json!("6000m")), quota(json!(0.5))),
        case(
            vec![namespace("acme")],
            secret(json!({"a": "YQ=="}), json!({})),
            secret(json!({}), json!({"b": "yes", "a": "z"})),
        ),
        case(
            vec![],
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "Tenantry:Reader"},
                   "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "get"]}]}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "Tenantry:Reader"},
                   "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]}),
        ),
    ];
    let mut violations = Vec::new();
    for case in cases {
        violations.extend(check(&subject, &case).await);
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[tokio::test]
async fn objects_become_files_that_a_cluster_takes() {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path().join("objects");
    let steps = [
        create("estate/shared", namespace("shared")),
        create("acme/namespace", namespace("acme")),
        create("acme/settings", config("acme", "settings", json!({"on": "yes", "script": "a\nb\n"}))),
        create("beta/namespace", namespace("beta")),
    ];
    write(&root, &steps).await.expect("written");
    insta::assert_snapshot!(tree(&root), @r#"
    == _estate/kustomization.yaml
    # Written by Tenantry, which lists its objects here. Changes by hand are lost.
    apiVersion: kustomize.config.k8s.io/v1beta1
    kind: Kustomization
    resources:
      - namespace_shared.yaml
    == _estate/namespace_shared.yaml
    apiVersion: v1
    kind: Namespace
    metadata:
      name: shared
      annotations:
        tenantry.dev/address: estate/shared
      labels:
        app.kubernetes.io/managed-by: tenantry
        tenantry.dev/estate: shop
    == acme/configmap_settings.yaml
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: settings
      namespace: acme
      annotations:
        tenantry.dev/address: acme/settings
      labels:
        app.kubernetes.io/managed-by: tenantry
        tenantry.dev/estate: shop
        tenantry.dev/tenant: acme
    data:
      "on": "yes"
      script: |
        a
        b
    == acme/kustomization.yaml
    # Written by Tenantry, which lists its objects here. Changes by hand are lost.
    apiVersion: kustomize.config.k8s.io/v1beta1
    kind: Kustomization
    resources:
      - configmap_settings.yaml
      - namespace_acme.yaml
    == acme/namespace_acme.yaml
    apiVersion: v1
    kind: Namespace
    metadata:
      name: acme
      annotations:
        tenantry.dev/address: acme/namespace
      labels:
        app.kubernetes.io/managed-by: tenantry
        tenantry.dev/estate: shop
        tenantry.dev/tenant: acme
    == beta/kustomization.yaml
    # Written by Tenantry, which lists its objects here. Changes by hand are lost.
    apiVersion: kustomize.config.k8s.io/v1beta1
    kind: Kustomization
    resources:
      - namespace_beta.yaml
    == beta/namespace_beta.yaml
    apiVersion: v1
    kind: Namespace
    metadata:
      name: beta
      annotations:
        tenantry.dev/address: beta/namespace
      labels:
        app.kubernetes.io/managed-by: tenantry
        tenantry.dev/estate: shop
        tenantry.dev/tenant: beta
    == kustomization.yaml
    # Written by Tenantry, which lists its objects here. Changes by hand are lost.
    apiVersion: kustomize.config.k8s.io/v1beta1
    kind: Kustomization
    resources:
      - _estate
      - acme
      - beta
    "#);
    let before = tree(&root);
    write(&root, &steps).await.expect("written again");
    assert_eq!(tree(&root), before, "writing again changes nothing");

    write(&root, &[delete("beta/namespace", namespace("beta")), delete("estate/shared", namespace("shared"))])
        .await
        .expect("deleted");
    let rest = tree(&root);
    assert!(!root.join("beta").exists() && !rest.contains("- beta") && rest.contains("- acme"), "{rest}");
}

#[tokio::test]
async fn drift_in_a_file_is_seen_and_what_others_added_stays() {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path();
    let wanted = config("acme", "settings", json!({"a": "1", "b": "2"}));
    write(root, &[create("acme/settings", wanted.clone())]).await.expect("written");
    let path = root.join("acme/configmap_settings.yaml");
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, text.replace("a: \"1\"", "a: \"9\"\n  extra: x")).expect("edited");

    let wanted_now = config("acme", "settings", json!({"a": "1"}));
    let observed = observe(root, &[desired("acme/settings", spec(wanted_now.clone()))]).await;
    let Observed::Present(before) = observed.get("ConfigMap/acme/settings") else { panic!("{observed:?}") };
    assert_eq!(Value::from(Map::clone(&before.spec)).pointer("/data/a"), Some(&"9".into()));
    assert_eq!(before.mark, Some(mark("acme/settings")));

    write(root, &[update("acme/settings", wanted_now, before, &["/data/b"])]).await.expect("updated");
    let text = std::fs::read_to_string(&path).expect("a file");
    assert!(text.contains("a: \"1\"") && text.contains("extra: x") && !text.contains("b:"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_never_absent() {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path();
    let all = [
        desired("acme/settings", spec(config("acme", "settings", json!({})))),
        desired("beta/settings", spec(config("beta", "settings", json!({})))),
    ];
    write(root, &[create("acme/settings", config("acme", "settings", json!({})))]).await.expect("written");
    std::fs::write(root.join("acme/configmap_settings.yaml"), "kind: ConfigMap\nkind: Twice\n").expect("broken");
    let observed = observe(root, &all).await;
    let Observed::Unknown(reason) = observed.get("ConfigMap/acme/settings") else { panic!("{observed:?}") };
    let reason = said(&reason);
    assert!(reason.contains("configmap_settings.yaml") && reason.contains("not valid YAML"), "{reason}");
    assert_eq!(observed.get("ConfigMap/beta/settings"), Observed::Absent, "another tenant's folder is whole");
    assert!(observed.incomplete.is_some(), "there may be more that is ours");

    let missing = root.join("not/there");
    let observed = observe(&missing, &all).await;
    assert!(matches!(observed.get("ConfigMap/acme/settings"), Observed::Unknown(_)), "{observed:?}");
    let file = root.join("file");
    std::fs::write(&file, "").expect("a file");
    let observed = observe(&file, &all).await;
    assert!(matches!(observed.get("ConfigMap/acme/settings"), Observed::Unknown(_)), "{observed:?}");

    // The same object in two files: neither is it.
    let twice = root.join("twice");
    write(&twice, &[create("acme/settings", config("acme", "settings", json!({})))]).await.expect("written");
    std::fs::copy(twice.join("acme/configmap_settings.yaml"), twice.join("copy.yaml")).expect("copied");
    let observed = observe(&twice, &all).await;
    assert!(matches!(observed.get("ConfigMap/acme/settings"), Observed::Unknown(_)), "{observed:?}");
}

#[tokio::test]
async fn somebody_elses_file_is_never_written_over() {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path();
    std::fs::create_dir(root.join("acme")).expect("a folder");
    let theirs = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: acme}\n";
    std::fs::write(root.join("acme/mine.yaml"), theirs).expect("a file");
    let wanted = config("acme", "settings", json!({"a": "1"}));
    let error = write(root, &[create("acme/settings", wanted.clone())]).await.expect_err("a conflict");
    assert_eq!(error.class, ErrorClass::Conflict, "{error}");
    let error = write(root, &[delete("acme/settings", wanted.clone())]).await.expect_err("a conflict");
    assert_eq!(error.class, ErrorClass::Conflict, "{error}");
    assert_eq!(std::fs::read_to_string(root.join("acme/mine.yaml")).expect("a file"), theirs);

    // Adopted: the plan saw it without a mark. It moves to the place where it belongs.
    let observed = observe(root, &[desired("acme/settings", spec(wanted.clone()))]).await;
    let Observed::Present(before) = observed.get("ConfigMap/acme/settings") else { panic!("{observed:?}") };
    assert_eq!(before.mark, None);
    write(root, &[update("acme/settings", wanted.clone(), before, &[])]).await.expect("adopted");
    assert!(!root.join("acme/mine.yaml").exists() && root.join("acme/configmap_settings.yaml").exists());

    // Something else at the place of a file, several objects in one, a list that a person keeps.
    std::fs::write(
        root.join("acme/configmap_other.yaml"),
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: acme}\n",
    )
    .expect("a file");
    let error = write(root, &[create("acme/other", config("acme", "other", json!({})))]).await.expect_err("a conflict");
    assert_eq!(error.class, ErrorClass::Conflict, "{error}");
    let shared = root.join("acme/configmap_settings.yaml");
    let text = std::fs::read_to_string(&shared).expect("a file");
    std::fs::write(
        &shared,
        format!("{text}---\n{theirs}").replace("name: settings, namespace: acme", "name: second, namespace: acme"),
    )
    .expect("a file");
    let error = write(root, &[delete("acme/settings", wanted)]).await.expect_err("a conflict");
    assert!(error.to_string().contains("other objects"), "{error}");
    let kept = root.join("kept");
    std::fs::create_dir_all(kept.join("acme")).expect("a folder");
    std::fs::write(kept.join("acme/kustomization.yaml"), "resources: []\n").expect("a file");
    let error = write(&kept, &[create("acme/namespace", namespace("acme"))]).await.expect_err("a conflict");
    assert!(error.to_string().contains("kustomization.yaml"), "{error}");
}

#[tokio::test]
async fn secrets_are_not_written() {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "acme"}});
    let value = Value::from(Map::clone(&spec(secret.clone())));
    let reference = SecretReference { owner: "acme".into(), name: "password".into(), version: SecretVersion::FIRST };
    let deferred = Value::Deferred(Arc::new(Deferred { parts: vec![Part::Secret(reference)] }));
    let Value::Map(deferred) = value.with_pointer("/stringData/password", deferred) else { panic!("a map") };
    let observed = observe(root, &[desired("acme/secret", Map::clone(&deferred))]).await;
    let Observed::Unknown(reason) = observed.get("Secret/acme/s") else { panic!("{observed:?}") };
    let reason = said(&reason);
    assert!(reason.contains("ExternalSecret"), "{reason}");

    let Value::Map(clear) = value.with_pointer("/stringData/password", "hunter2".into()) else { panic!("a map") };
    let action = StepAction::Create { spec: Map::clone(&clear), secrets: vec!["/stringData/password".into()] };
    let error = write(root, &[step("acme/secret", &clear, action)]).await.expect_err("refused");
    assert!(error.remedy.is_some() && !format!("{error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(tree(root), "");
}

#[cfg(unix)]
#[tokio::test]
async fn symbolic_links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().expect("a folder");
    let (root, outside) = (folder.path().join("objects"), folder.path().join("outside"));
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::create_dir_all(&outside).expect("a folder");
    symlink(&outside, root.join("acme")).expect("a link");
    let wanted =
        [desired("acme/namespace", spec(namespace("acme"))), desired("beta/namespace", spec(namespace("beta")))];
    let observed = observe(&root, &wanted).await;
    assert!(matches!(observed.get("Namespace//acme"), Observed::Unknown(_)), "{observed:?}");
    let error = write(&root, &[create("acme/namespace", namespace("acme"))]).await.expect_err("refused");
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(tree(&outside), "");

    let linked = folder.path().join("linked");
    symlink(&root, &linked).expect("a link");
    let observed = observe(&linked, &wanted).await;
    assert!(matches!(observed.get("Namespace//beta"), Observed::Unknown(_)), "{observed:?}");
}

/// A tenant that is renamed keeps its objects; their files move with the mark.
#[tokio::test]
async fn a_renamed_owner_takes_its_files_along() {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path();
    write(root, &[create("acme/namespace", namespace("acme"))]).await.expect("written");
    let observed = observe(root, &[]).await;
    let Observed::Present(before) = observed.get("Namespace//acme") else { panic!("{observed:?}") };
    write(root, &[update("newname/namespace", namespace("acme"), before, &[])]).await.expect("moved");
    assert!(!root.join("acme").exists(), "{}", tree(root));
    let observed = observe(root, &[]).await;
    let Observed::Present(after) = observed.get("Namespace//acme") else { panic!("{observed:?}") };
    assert_eq!(after.mark, Some(mark("newname/namespace")));
}
