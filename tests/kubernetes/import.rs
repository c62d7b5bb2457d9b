//! Namespaces of a live cluster become an estate, which then finds nothing to do but to take them over.

use std::path::Path;
use std::process::Command;

use assert_fs::TempDir;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use crate::support::api_proxy::Fate;
use crate::support::kubernetes::{World, object, on_server, with};

const RBAC: &str = "rbac.authorization.k8s.io";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How an object came to be.
#[derive(Clone, Copy)]
enum By {
    /// `kubectl apply`
    Kubectl,
    /// `kubectl apply --server-side`, or Flux
    ServerSide,
    /// `kubectl create`, or a program
    Post,
}

fn collection(object: &Json) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let plural = match kind.as_str() {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    match text("/metadata/namespace").as_str() {
        "" => format!("/{root}/{api_version}/{plural}"),
        namespace => format!("/{root}/{api_version}/namespaces/{namespace}/{plural}"),
    }
}

async fn make(world: &World, mut object: Json, by: By) {
    let path = collection(&object);
    match by {
        By::Kubectl => {
            object["metadata"]["annotations"] = json!({});
            let record = object.to_string() + "\n";
            object["metadata"]["annotations"] = json!({LAST_APPLIED: record});
            world.by_hand("POST", &format!("{path}?fieldManager=kubectl-client-side-apply"), object).await;
        }
        By::ServerSide => {
            let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
            world.by_hand("PATCH", &format!("{path}/{name}?fieldManager=flux&force=true"), object).await;
        }
        By::Post => {
            world.by_hand("POST", &path, object).await;
        }
    }
}

/// A tenant as a platform team has it.
fn tenant(namespace: &str, team: &str, pods: u32) -> Vec<Json> {
    let of =
        |api_version: &str, kind: &str, name: &str, more| with(object(api_version, kind, Some(namespace), name), more);
    let mut own = object("v1", "Namespace", None, namespace);
    own["metadata"]["labels"] = json!({"team": team});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{
        "name": "web", "image": "web:1", "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1000m", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}},
    }]}});
    let ports = json!([{"port": 80, "protocol": "TCP", "targetPort": 8080}]);
    let view = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"});
    let limits = json!([{"type": "Container", "default": {"memory": "128Mi"}, "defaultRequest": {"cpu": "100m"}}]);
    vec![
        own,
        of(
            "v1",
            "ResourceQuota",
            "quota",
            json!({"spec": {"hard": {"pods": pods.to_string(), "limits.cpu": "8000m"}}}),
        ),
        of("v1", "LimitRange", "limits", json!({"spec": {"limits": limits}})),
        of(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "isolation",
            json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}}),
        ),
        of("v1", "ConfigMap", "settings", json!({"data": {"url": format!("https://{namespace}.example.com")}})),
        of("v1", "Service", "web", json!({"spec": {"selector": {"app": "web"}, "ports": ports}})),
        of(
            "apps/v1",
            "Deployment",
            "web",
            json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}}),
        ),
        of(
            &format!("{RBAC}/v1"),
            "RoleBinding",
            "viewers",
            json!({"roleRef": view, "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": team}]}),
        ),
    ]
}

/// Three tenants, each made in another way.
async fn platform(world: &World) -> [String; 3] {
    let names = ["alpha", "beta", "gamma"].map(|name| world.name(name));
    let tenants = [("red", 10, By::Kubectl), ("blue", 10, By::ServerSide), ("green", 40, By::Post)];
    for (namespace, (team, pods, by)) in names.iter().zip(tenants) {
        for object in tenant(namespace, team, pods) {
            make(world, object, by).await;
        }
    }
    names
}

struct Said {
    exit: Option<i32>,
    out: String,
    err: String,
}

fn tenantry(folder: &Path, arguments: &[&str]) -> Said {
    let identity = tenantry_secret::new_identity().0;
    let output = Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .env_clear()
        .env("TENANTRY_AGE_IDENTITY", identity.expose_secret())
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { exit: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[track_caller]
fn expect(code: i32, folder: &Path, arguments: &[&str]) -> Said {
    let said = tenantry(folder, arguments);
    assert_eq!(said.exit, Some(code), "{arguments:?}\n{}\n{}", said.out, said.err);
    said
}

#[track_caller]
fn parsed(said: &Said) -> Json {
    serde_json::from_str(&said.out).expect("JSON")
}

/// A kubeconfig of another server, or another user of the same.
fn kubeconfig(folder: &Path, config: &Json) -> String {
    let path = folder.join("kubeconfig");
    std::fs::write(&path, config.to_string()).expect("a file");
    path.to_string_lossy().into_owned()
}

#[test]
fn namespaces_become_tenants_and_are_only_taken_over() {
    on_server("namespaces_become_tenants_and_are_only_taken_over", async |world| {
        let [alpha, beta, gamma] = platform(world).await;
        let secret = with(object("v1", "Secret", Some(&alpha), "credentials"), json!({"stringData": {"a": "hunter2"}}));
        make(world, secret, By::Kubectl).await;
        let mut foreign = object("v1", "ConfigMap", Some(&alpha), "foreign");
        foreign["metadata"]["labels"] = json!({"tenantry.dev/estate": format!("other-{}", world.suffix)});
        make(world, foreign, By::Post).await;
        let mut owned = object("v1", "ConfigMap", Some(&alpha), "owned");
        let owner = world.get(&format!("/api/v1/namespaces/{alpha}/configmaps/settings")).await;
        owned["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": owner["metadata"]["uid"]}]);
        make(world, owned, By::Post).await;
        // Asked for once and not so any more: what is there counts.
        let settings = format!("/api/v1/namespaces/{alpha}/configmaps/settings?fieldManager=kubectl-edit");
        world.by_hand("PATCH", &settings, json!({"data": {"url": "https://edited.example.com"}})).await;

        let folder = TempDir::new().expect("a folder");
        let globs = format!("*-{}", world.suffix);
        let name = format!("taken-{}", world.suffix);
        let from = ["--kubeconfig", &world.kubeconfig, "--context", "admin", "--namespace", &globs, "--name", &name];
        let arguments = [&["import", "kubernetes", "--format", "json"], &from[..]].concat();
        let told = parsed(&expect(5, folder.path(), &arguments));
        assert_eq!((&told["objects"], &told["tenants"]), (&json!(24), &json!([alpha, beta, gamma])), "{told}");
        let left_out = |words: &str| {
            let mut reasons = told["leftOut"].as_object().expect("reasons").iter();
            let (_, names) = reasons.find(|(reason, _)| reason.contains(words)).unwrap_or_else(|| panic!("{told}"));
            names.as_array().expect("names").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
        };
        let names: Vec<String> = left_out("Secrets with values");
        assert_eq!(names, [format!("Secret {alpha} credentials")]);
        let names: Vec<String> = left_out("by another estate");
        assert_eq!(names, [format!("ConfigMap {alpha} foreign")]);
        let names: Vec<String> = left_out("ownerReferences");
        assert!(names.contains(&format!("ConfigMap {alpha} owned")), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with(&format!("ReplicaSet.apps {beta} web-"))), "{names:?}");
        let names: Vec<String> = left_out("in every namespace");
        assert!(names.contains(&format!("ServiceAccount {gamma} default")), "{names:?}");
        let names: Vec<String> = left_out("these types");
        assert!(["events", "endpoints", "leases"].iter().all(|of| names.contains(&(*of).to_owned())), "{names:?}");

        let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).expect("a file");
        let all = read("tenants/blueprints/tenant.yaml") + &read(&format!("tenants/customers/{alpha}.yaml"));
        assert!(all.contains("https://edited.example.com"), "{all}");
        for absent in ["hunter2", LAST_APPLIED, "clusterIP", "resourceVersion", "managedFields", "status:"] {
            assert!(!all.contains(absent), "{absent}: {all}");
        }
        // Of what was only made, nobody knows what was asked for; of the others it is on record.
        for (namespace, has_defaults) in [(&alpha, false), (&beta, false), (&gamma, true)] {
            let shown = expect(0, folder.path(), &["show", namespace]);
            assert_eq!(shown.out.contains("termination_grace_period_seconds: 30"), has_defaults, "{}", shown.out);
        }
        let valid = expect(0, folder.path(), &["validate"]);
        assert_eq!(valid.err, "", "{}", valid.out);

        let config = read("tenantry.toml") + "\n[limits]\nready_seconds = 0\n";
        std::fs::write(folder.path().join("tenantry.toml"), config).expect("a file");
        let plan = || {
            let plan = parsed(&expect(0, folder.path(), &["plan", "--env", "production", "--format", "json"]));
            assert_eq!(plan["blocked"], json!([]), "{plan}");
            plan["changes"].as_array().expect("changes").clone()
        };
        let planned = plan();
        assert!(planned.iter().all(|change| change["action"] == "adopt"), "{planned:#?}");
        assert_eq!(planned.len(), 24);
        let specs = async || {
            let mut specs = Vec::new();
            for namespace in [&alpha, &beta, &gamma] {
                let live = world.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/web")).await;
                specs.push(live["spec"].clone());
            }
            specs
        };
        let before = specs().await;
        expect(0, folder.path(), &["apply", "--auto-approve", "--env", "production"]);
        assert_eq!(plan(), Vec::<Json>::new());
        // Whoever runs there notices nothing.
        assert_eq!(specs().await, before);
    });
}

#[test]
fn an_estate_takes_its_own_target_over() {
    on_server("an_estate_takes_its_own_target_over", async |world| {
        let [alpha, ..] = platform(world).await;
        let folder = TempDir::new().expect("a folder");
        let target = |name: &str| {
            let path = Json::from(world.kubeconfig.as_str());
            format!("[targets.{name}]\nprovider = \"kubernetes\"\nkubeconfig = {path}\ncontext = \"admin\"\n")
        };
        let config = format!(
            "[estate]\nname = \"own-{}\"\n[secrets]\nidentity = \"env:TENANTRY_AGE_IDENTITY\"\n{}{}",
            world.suffix,
            target("here"),
            target("there")
        );
        std::fs::write(folder.path().join("tenantry.toml"), config).expect("a file");
        let simulated =
            expect(1, folder.path(), &["import", "kubernetes", "--target", "here", "--sandbox", "--namespace", &alpha]);
        assert!(simulated.err.contains("it is simulated in this environment"), "{}", simulated.err);
        let said = expect(0, folder.path(), &["import", "kubernetes", "--target", "here", "--namespace", &alpha]);
        assert!(said.out.starts_with("8 objects of 1 tenant became"), "{}", said.out);
        assert!(said.err.contains("TY0503") && !said.err.contains("TY0501"), "{}", said.err);
        let tenant = std::fs::read_to_string(folder.path().join(format!("tenants/customers/{alpha}.yaml")));
        assert!(tenant.expect("a file").contains("placement: {cluster: here}"));
        let plan = parsed(&expect(0, folder.path(), &["plan", "--format", "json"]));
        let changes = plan["changes"].as_array().expect("changes");
        assert!(changes.len() == 8 && changes.iter().all(|change| change["action"] == "adopt"), "{plan}");
    });
}

#[test]
fn the_number_of_requests_does_not_depend_on_namespaces() {
    on_server("the_number_of_requests_does_not_depend_on_namespaces", async |world| {
        platform(world).await;
        let proxy = world.proxy(|_| Fate::Pass).await;
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": format!("http://127.0.0.1:{}", proxy.port)}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        });
        let asked = |namespaces: &str| {
            let folder = TempDir::new().expect("a folder");
            let config = kubeconfig(folder.path(), &config);
            let glob = format!("{namespaces}-{}", world.suffix);
            expect(
                0,
                folder.path(),
                &["import", "kubernetes", "--kubeconfig", &config, "--namespace", &glob, "--name", "a"],
            );
            let mut asked = proxy.take();
            // Other tests bring types of their own, and objects enough for a page more.
            asked.retain(|request| {
                let group = request.strip_prefix("GET /apis/").and_then(|path| path.split(['/', '?']).next());
                group.is_none_or(|group| !group.contains('.') || group.ends_with("k8s.io"))
                    && !request.contains("&continue=")
            });
            asked.sort();
            asked
        };
        let (one, three) = (asked("alpha"), asked("*"));
        assert_eq!(one, three);
        assert!(one.iter().all(|request| request.starts_with("GET ") && !request.contains("/namespaces/")), "{one:?}");
        let lists = one.iter().filter(|request| request.contains("?limit=")).count();
        assert!(lists > 15 && one.iter().collect::<std::collections::BTreeSet<_>>().len() == one.len(), "{one:?}");
    });
}

#[test]
fn a_type_that_may_not_be_read_is_named() {
    on_server("a_type_that_may_not_be_read_is_named", async |world| {
        let [alpha, ..] = platform(world).await;
        let user = world.name("importer");
        let rules = json!([
            {"apiGroups": [""], "resources": ["namespaces", "configmaps", "services"], "verbs": ["list"]},
            {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["list"]},
        ]);
        let api_version = format!("{RBAC}/v1");
        let role = with(object(&api_version, "ClusterRole", None, &user), json!({"rules": rules}));
        make(world, role, By::Post).await;
        let binding = json!({
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": user},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
        });
        make(world, with(object(&api_version, "ClusterRoleBinding", None, &user), binding), By::Post).await;
        let folder = TempDir::new().expect("a folder");
        let text = std::fs::read_to_string(&world.kubeconfig).expect("a kubeconfig");
        let mut config: Json = serde_yaml::from_str(&text).expect("YAML");
        for named in config["users"].as_array_mut().expect("users") {
            named["user"]["as"] = user.as_str().into();
        }
        let config = kubeconfig(folder.path(), &config);
        let arguments = [
            "import",
            "kubernetes",
            "--kubeconfig",
            &config,
            "--context",
            "admin",
            "--namespace",
            &alpha,
            "--name",
            "a",
        ];
        // Rights need a moment.
        let mut said = tenantry(folder.path(), &arguments);
        for _ in 0..100 {
            if said.exit != Some(1) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            said = tenantry(folder.path(), &arguments);
        }
        assert_eq!(said.exit, Some(5), "{}\n{}", said.out, said.err);
        assert!(said.out.starts_with("4 objects of 1 tenant became"), "{}", said.out);
        for denied in ["listing networkpolicies.networking.k8s.io", "listing resourcequotas", "listing secrets"] {
            assert!(
                said.err.contains(&format!("error[TY0504]: some objects could not be read: {denied}")),
                "{}",
                said.err
            );
        }
        assert!(said.err.contains("the verb `list` on `resourcequotas`"), "{}", said.err);
        expect(0, folder.path(), &["validate"]);
    });
}
