//! What an object's type does not allow, found before the server is asked.
//!
//! Only what is certain: a rule that depends on the server's version or on a webhook is left to the server.

use super::fields::{BYTES, INT_OR_STRING, MODES, QUANTITIES, TEXTS};
use super::names::{self, key_problem, label_problem, subdomain_problem, value_problem};
use super::normal::{FILLED, decoded};
use super::object::{self, Type, at, pod_spec_path, split_api_version};
use super::quantity::Quantity;
use super::sorts::{self, NameForm, Scope};
use super::{capacity, quota, unique};
use crate::mark;
use tenantry_core::model::kind::Problem;
use tenantry_core::model::value::{Map, Value, push_token, readable_pointer, with_article};

/// 0777: no file mode is more. Written in decimal by who means octal it nearly always is.
const MOST_MODE: i64 = 0o777;

/// "total size limit of 262144 bytes" (`ValidateAnnotationsSize`).
const ANNOTATION_BYTES: usize = 256 << 10;

/// `MaxSecretSize`, which is that of a ConfigMap too: of the values, in bytes.
const DATA_BYTES: usize = 1 << 20;

/// Everything that is wrong with one object. Deferred values are not looked at.
pub fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    type_form(spec, &mut problems);
    metadata(spec, &mut problems);
    notes(spec, &mut problems);
    status(spec, &mut problems);
    if let Some(of) = Type::of(spec) {
        values(of, spec, &mut problems);
        selector(of, spec, &mut problems);
        job(of, spec, &mut problems);
        size(of, spec, &mut problems);
        problems.extend(unique::problems(of, spec));
        problems.extend(quota::problems(of, spec));
        problems.extend(capacity::limit_range_problems(of, spec));
    }
    problems
}

fn type_form(spec: &Map, problems: &mut Vec<Problem>) {
    if let Some(api_version) = spec.get("apiVersion").and_then(Value::as_str) {
        let (group, version) = split_api_version(api_version);
        let wrong = api_version.starts_with('/')
            || label_problem(version).is_some()
            || (!group.is_empty() && subdomain_problem(group, names::SUBDOMAIN).is_some());
        if wrong {
            let help = "write a version such as v1, or a group and a version such as apps/v1";
            problems.push(Problem::error("/apiVersion", "this is not a valid API version").help(help));
        }
    }
    if let Some(kind) = spec.get("kind").and_then(Value::as_str) {
        if kind.is_empty() || !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
            problems.push(
                Problem::error("/kind", "the kind of an object has only letters and digits").help("such as Deployment"),
            );
        } else if kind.ends_with("List") && spec.contains("items") {
            let help = "write each of its items as a resource of its own";
            problems.push(Problem::error("/kind", "a list is not an object").help(help));
        }
    }
}

fn metadata(spec: &Map, problems: &mut Vec<Problem>) {
    let sort = Type::of(spec).and_then(sorts::of);
    let named = Type::of(spec).map_or_else(|| "an object".to_owned(), |of| with_article(of.kind));
    if let Some(name) = object::name(spec) {
        let form = sort.map_or(NameForm::Subdomain(names::SUBDOMAIN), |sort| sort.names);
        if let Some(problem) = names::problem(name, form) {
            problems.push(
                Problem::error("/metadata/name", format!("the name of {named} {problem}"))
                    .help("shorten it with dnsLabel(…), which keeps names apart by a hash"),
            );
        }
    }
    if let Some(namespace) = object::namespace(spec)
        && let Some(problem) = label_problem(namespace)
    {
        problems.push(Problem::error("/metadata/namespace", format!("the name of a namespace {problem}")));
    }
    let has_namespace = at(spec, &["metadata", "namespace"]).is_some_and(|namespace| !namespace.is_null());
    match sort.map(|sort| sort.scope) {
        Some(Scope::Namespaced) if !has_namespace => {
            let message = format!("{named} belongs to a namespace, but has none");
            problems.push(Problem::error("/metadata", message).help("write `namespace` beside `name`"));
        }
        Some(Scope::Cluster) if has_namespace => {
            let message = format!("{named} does not belong to a namespace");
            problems.push(Problem::error("/metadata/namespace", message).help("leave it out"));
        }
        _ => {}
    }
    filled(spec, problems);
}

/// What the normal form leaves out, and what is therefore seen in the written object only.
pub fn left_out(written: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    filled(written, &mut problems);
    status(written, &mut problems);
    problems
}

fn status(spec: &Map, problems: &mut Vec<Problem>) {
    if spec.get("status").is_some_and(|status| !status.is_null() && *status != Value::from(Map::default())) {
        let help = "remove it; it is not written or compared";
        problems.push(Problem::warning("/status", "`status` is written by the cluster").help(help));
    }
}

fn filled(spec: &Map, problems: &mut Vec<Problem>) {
    for name in FILLED {
        let given = at(spec, &["metadata", name]).is_some_and(|value| !value.is_null());
        match (given, name) {
            (false, _) => {}
            (true, "generateName") => problems.push(
                Problem::error("/metadata/generateName", "a name that the server generates cannot be found again")
                    .help("write `name`"),
            ),
            (true, name) => problems.push(
                Problem::error(format!("/metadata/{name}"), format!("`{name}` is set by the server"))
                    .help("leave it out"),
            ),
        }
    }
}

/// Labels and annotations.
fn notes(spec: &Map, problems: &mut Vec<Problem>) {
    for notes in ["labels", "annotations"] {
        let Some(map) = at(spec, &["metadata", notes]).and_then(Value::as_map) else { continue };
        let mut bytes = 0;
        for (key, value) in map.iter() {
            let mut pointer = format!("/metadata/{notes}");
            push_token(&mut pointer, key);
            // Of annotations the server takes upper case in the prefix too (`ValidateAnnotations`).
            let written = if notes == "annotations" { key.to_lowercase() } else { key.to_string() };
            if mark::is_reserved(key) {
                problems.push(
                    Problem::error(&*pointer, format!("`{key}` is part of the mark that Tenantry writes"))
                        .help("leave it out"),
                );
            } else if let Some(problem) = key_problem(&written) {
                problems.push(Problem::error(&*pointer, format!("the key `{key}` {problem}")));
            }
            let text = value.as_str().unwrap_or_default();
            bytes += key.len() + text.len();
            if notes == "labels"
                && let Some(problem) = value_problem(text)
            {
                let help = "use an annotation for text of any form";
                problems.push(Problem::error(&*pointer, format!("the value of a label {problem}")).help(help));
            }
        }
        if notes == "annotations" && bytes > ANNOTATION_BYTES {
            let message = format!("annotations have {bytes} bytes together; at most {ANNOTATION_BYTES} are allowed");
            problems.push(Problem::error("/metadata/annotations", message));
        }
    }
}

/// Values whose type YAML easily gets wrong, and quantities.
fn values(of: Type<'_>, spec: &Map, problems: &mut Vec<Problem>) {
    QUANTITIES.visit(of, spec, &mut |pointer, value| {
        // Null is as good as absent.
        if !matches!(value, Value::Deferred(_) | Value::Null) && Quantity::of(value).is_none() {
            let message = format!("`{}` must be a quantity, such as 500m, 2 or 4Gi", readable_pointer(pointer));
            problems.push(Problem::error(pointer, message).help(suffix_help(value)));
        }
    });
    BYTES.visit(of, spec, &mut |pointer, value| {
        if value.as_str().is_some_and(|text| decoded(text).is_none()) {
            let help = match of.is("", "Secret") {
                true => {
                    "write plain text under `stringData`, or encode it with base64, with `+`, `/` and `=` at the end"
                }
                false => "encode it with base64, with `+`, `/` and `=` at the end",
            };
            let message = format!("`{}` is not base64", readable_pointer(pointer));
            problems.push(Problem::error(pointer, message).help(help));
        }
    });
    TEXTS.visit(of, spec, &mut |pointer, value| {
        if matches!(value, Value::Bool(_) | Value::Integer(_) | Value::Float(_)) {
            let message =
                format!("`{}` must be text, not {}", readable_pointer(pointer), with_article(value.type_name()));
            problems.push(Problem::error(pointer, message).help("put it in quotes"));
        }
    });
    INT_OR_STRING.visit(of, spec, &mut |pointer, value| {
        if value.as_str().is_some_and(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())) {
            let message =
                format!("`{}` is a text of digits, which is not a number or a name", readable_pointer(pointer));
            problems.push(Problem::error(pointer, message).help("leave out the quotes"));
        }
    });
    MODES.visit(of, spec, &mut |pointer, value| {
        let Some(mode) = value.as_integer().filter(|mode| *mode > MOST_MODE) else { return };
        let octal = i64::from_str_radix(&mode.to_string(), 8).ok().filter(|octal| *octal <= MOST_MODE);
        let help = match octal {
            Some(octal) => format!("YAML reads {mode} as a decimal number: write 0o{mode}, or {octal}"),
            None => "write it as 0o644, or in decimal".to_owned(),
        };
        let message = format!("`{}` is more than 0o777, the largest file mode", readable_pointer(pointer));
        problems.push(Problem::error(pointer, message).help(help));
    });
}

/// The values of a ConfigMap or Secret have a limit together. Deferred ones are not counted.
fn size(of: Type<'_>, spec: &Map, problems: &mut Vec<Problem>) {
    if !of.is("", "ConfigMap") && !of.is("", "Secret") {
        return;
    }
    let bytes_of = |field: &str| -> usize {
        let values = spec.get(field).and_then(Value::as_map).into_iter().flat_map(Map::iter);
        let is_encoded = field == "binaryData" || (field == "data" && of.kind == "Secret");
        let length = |text: &str| match decoded(text).filter(|_| is_encoded) {
            Some(bytes) => bytes.len(),
            None => text.len(),
        };
        values.filter_map(|(_, value)| value.as_str()).map(length).sum()
    };
    let fields = ["binaryData", "data", "stringData"];
    let bytes: usize = fields.iter().map(|field| bytes_of(field)).sum();
    if bytes > DATA_BYTES
        && let Some(field) = fields.into_iter().max_by_key(|field| bytes_of(field))
    {
        let message = format!(
            "the values of {} have {bytes} bytes together; at most {DATA_BYTES} are allowed",
            with_article(of.kind)
        );
        let help = "split it into several, or keep the content in a volume or an image";
        problems.push(Problem::error(format!("/{field}"), message).help(help));
    }
}

fn suffix_help(value: &Value) -> &'static str {
    let text = value.as_str().unwrap_or_default();
    match text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "KB" | "MB" | "GB" | "TB" | "kB" | "KiB" | "MiB" | "GiB" | "TiB" | "kb" | "mb" | "gb" => {
            "leave out the B: Ki, Mi, Gi, Ti are powers of 1,024, and k, M, G, T powers of 1,000"
        }
        "K" => "write k for a thousand or Ki for 1,024",
        _ => "suffixes are n, u, m, k, M, G, T, P, E and Ki, Mi, Gi, Ti, Pi, Ei",
    }
}

/// The pods of a workload must be among those that it selects.
fn selector(of: Type<'_>, spec: &Map, problems: &mut Vec<Problem>) {
    if of.group != "apps" || !matches!(of.kind, "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") {
        return;
    }
    let Some(selected) = at(spec, &["spec", "selector", "matchLabels"]).and_then(Value::as_map) else { return };
    let labels = at(spec, &["spec", "template", "metadata", "labels"]);
    for (key, value) in selected.iter() {
        let label = labels.and_then(|labels| labels.get(key));
        let known = |value: &Value| !value.has_deferred();
        if known(value) && label.is_none_or(known) && label != Some(value) {
            let mut pointer = "/spec/selector/matchLabels".to_owned();
            push_token(&mut pointer, key);
            let message = format!("the pod template does not have the label `{key}` of the selector");
            problems
                .push(Problem::error(pointer, message).help("write the same label in spec.template.metadata.labels"));
        }
    }
}

/// What a Job, or that of a CronJob, cannot be.
fn job(of: Type<'_>, spec: &Map, problems: &mut Vec<Problem>) {
    if of.group != "batch" {
        return;
    }
    // ValidateJobSpec: the default of other pods is not allowed.
    if let Some(path) = pod_spec_path(of)
        && let Some(pod) = at(spec, path).and_then(Value::as_map)
    {
        let policy = pod.get("restartPolicy").filter(|policy| !policy.is_null());
        if policy.is_none_or(|policy| policy.as_str() == Some("Always")) {
            let message = "a Job cannot restart its pods always";
            let pointer = format!("/{}/restartPolicy", path.join("/"));
            let pointer = if policy.is_some() { pointer } else { format!("/{}", path.join("/")) };
            problems.push(Problem::error(pointer, message).help("write `restartPolicy: OnFailure`, or `Never`"));
        }
    }
    // One that removes itself cannot be told from one that somebody has deleted.
    let seconds = at(spec, &["spec", "ttlSecondsAfterFinished"]).filter(|seconds| !seconds.is_null());
    if of.kind == "Job" && seconds.is_some() {
        let message = "the cluster deletes the Job some time after its end; the next apply would run it again";
        let help = "leave it out; the Job is deleted when the blueprint has another one, or none";
        problems.push(Problem::warning("/spec/ttlSecondsAfterFinished", message).help(help));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(json: serde_json::Value) -> String {
        let Value::Map(spec) = Value::from(json) else { panic!("a map") };
        let line = |problem: Problem| {
            let help = problem.help.map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{} {}{help}", problem.pointer, problem.message)
        };
        check(&spec).into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn nothing_is_wrong_with_an_ordinary_object() {
        assert_eq!(
            found(json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "acme", "labels": {"app.kubernetes.io/name": "web"}},
                "spec": {
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"limits": {"cpu": 2, "memory": null}}}]},
                    },
                },
            })),
            ""
        );
    }

    #[test]
    fn names_namespaces_and_labels_are_checked() {
        insta::assert_snapshot!(found(json!({
            "apiVersion": "apps/v1/x", "kind": "Deploy-ment", "metadata": {"name": "Web", "namespace": "a.b"},
        })), @r"
        /apiVersion this is not a valid API version (write a version such as v1, or a group and a version such as apps/v1)
        /kind the kind of an object has only letters and digits (such as Deployment)
        /metadata/name the name of a Deploy-ment must have only lower-case letters, digits, hyphens and dots, and each part must begin and end with a letter or digit (shorten it with dnsLabel(…), which keeps names apart by a hash)
        /metadata/namespace the name of a namespace must have only lower-case letters, digits and hyphens, and begin and end with a letter or digit
        ");
        insta::assert_snapshot!(found(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": "n".repeat(64), "namespace": "x", "uid": "1", "generateName": "n-",
                "labels": {"tenantry.dev/tenant": "a", "team": "a b", "A/b": "c"},
            },
        })), @r"
        /metadata/name the name of a Namespace has 64 characters; at most 63 are allowed (shorten it with dnsLabel(…), which keeps names apart by a hash)
        /metadata/namespace a Namespace does not belong to a namespace (leave it out)
        /metadata/generateName a name that the server generates cannot be found again (write `name`)
        /metadata/uid `uid` is set by the server (leave it out)
        /metadata/labels/A~1b the key `A/b` has a prefix that must have only lower-case letters, digits, hyphens and dots, and each part must begin and end with a letter or digit
        /metadata/labels/team the value of a label must have only letters, digits, `-`, `_` and `.`, and begin and end with a letter or digit (use an annotation for text of any form)
        /metadata/labels/tenantry.dev~1tenant `tenantry.dev/tenant` is part of the mark that Tenantry writes (leave it out)
        ");
        insta::assert_snapshot!(found(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})), @"/metadata a Secret belongs to a namespace, but has none (write `namespace` beside `name`)");
    }

    #[test]
    fn traps_of_yaml_are_found() {
        insta::assert_snapshot!(found(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "other"}}, "spec": {
                    "volumes": [{"name": "s", "secret": {"secretName": "s", "defaultMode": 644}}],
                    "containers": [{
                        "name": "web", "args": [1], "env": [{"name": "DEBUG", "value": true}],
                        "resources": {"limits": {"memory": "1GB"}}, "livenessProbe": {"tcpSocket": {"port": "80"}},
                    }],
                }},
            },
        })), @r"
        /spec/template/spec/containers/0/resources/limits/memory `spec.template.spec.containers.0.resources.limits.memory` must be a quantity, such as 500m, 2 or 4Gi (leave out the B: Ki, Mi, Gi, Ti are powers of 1,024, and k, M, G, T powers of 1,000)
        /spec/template/spec/containers/0/args/0 `spec.template.spec.containers.0.args.0` must be text, not an integer (put it in quotes)
        /spec/template/spec/containers/0/env/0/value `spec.template.spec.containers.0.env.0.value` must be text, not a boolean (put it in quotes)
        /spec/template/spec/containers/0/livenessProbe/tcpSocket/port `spec.template.spec.containers.0.livenessProbe.tcpSocket.port` is a text of digits, which is not a number or a name (leave out the quotes)
        /spec/template/spec/volumes/0/secret/defaultMode `spec.template.spec.volumes.0.secret.defaultMode` is more than 0o777, the largest file mode (YAML reads 644 as a decimal number: write 0o644, or 420)
        /spec/selector/matchLabels/app the pod template does not have the label `app` of the selector (write the same label in spec.template.metadata.labels)
        ");
    }

    #[test]
    fn data_that_is_not_base64_or_too_large_is_found() {
        insta::assert_snapshot!(found(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"},
            "data": {"plain": "hunter 2!", "urls": "_-8=", "wrapped": "//79\n", "unpadded": "aGVsbG8"},
        })), @"
        /data/plain `data.plain` is not base64 (write plain text under `stringData`, or encode it with base64, with `+`, `/` and `=` at the end)
        /data/unpadded `data.unpadded` is not base64 (write plain text under `stringData`, or encode it with base64, with `+`, `/` and `=` at the end)
        /data/urls `data.urls` is not base64 (write plain text under `stringData`, or encode it with base64, with `+`, `/` and `=` at the end)
        ");
        let object = |kind: &str, fields: serde_json::Value| {
            let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "c", "namespace": "a"}});
            for (name, value) in fields.as_object().expect("fields") {
                object[name] = value.clone();
            }
            found(object)
        };
        let half = "x".repeat(1 << 19);
        assert_eq!(object("ConfigMap", json!({"data": {"a": half, "b": half}})), "");
        insta::assert_snapshot!(object("ConfigMap", json!({"data": {"a": half, "b": half, "c": "1"}})), @"/data the values of a ConfigMap have 1048577 bytes together; at most 1048576 are allowed (split it into several, or keep the content in a volume or an image)");
        insta::assert_snapshot!(object("Secret", json!({"stringData": {"a": format!("{half}{half}1")}})), @"/stringData the values of a Secret have 1048577 bytes together; at most 1048576 are allowed (split it into several, or keep the content in a volume or an image)");
        // In base64 it is longer than it is.
        let encoded = format!("{}\n", "//79".repeat((1 << 20) / 3));
        assert_eq!(object("Secret", json!({"data": {"a": encoded}})), "");
    }

    #[test]
    fn a_job_that_removes_itself_would_be_run_again() {
        let job = |spec: serde_json::Value| {
            found(
                json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "a"}, "spec": spec}),
            )
        };
        assert_eq!(job(json!({"backoffLimit": 3, "ttlSecondsAfterFinished": null})), "");
        insta::assert_snapshot!(job(json!({"ttlSecondsAfterFinished": 3600})), @"/spec/ttlSecondsAfterFinished the cluster deletes the Job some time after its end; the next apply would run it again (leave it out; the Job is deleted when the blueprint has another one, or none)");
    }

    #[test]
    fn the_pods_of_a_job_are_not_started_for_ever() {
        let job = |pod: serde_json::Value| {
            found(json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "a"},
                "spec": {"template": {"spec": pod}},
            }))
        };
        assert_eq!(job(json!({"restartPolicy": "Never"})), "");
        insta::assert_snapshot!(job(json!({"containers": []})), @"/spec/template/spec a Job cannot restart its pods always (write `restartPolicy: OnFailure`, or `Never`)");
        insta::assert_snapshot!(job(json!({"restartPolicy": "Always"})), @"/spec/template/spec/restartPolicy a Job cannot restart its pods always (write `restartPolicy: OnFailure`, or `Never`)");
    }

    #[test]
    fn a_cluster_of_databases_has_a_short_name() {
        let named = |name: &str| {
            found(
                json!({"apiVersion": "mysql.oracle.com/v2", "kind": "InnoDBCluster", "metadata": {"name": name, "namespace": "a"}}),
            )
        };
        assert_eq!(named("tenant-abc-corporation"), "");
        insta::assert_snapshot!(named("tenant-abc-corporation-7f3a9c"), @"/metadata/name the name of an InnoDBCluster has 29 characters; at most 28 are allowed (shorten it with dnsLabel(…), which keeps names apart by a hash)");
    }
}
