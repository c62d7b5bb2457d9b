//! Rollout in waves: a mistake meets few tenants.

use std::path::Path;

use assert_fs::TempDir;
use serde_json::{Value as Json, json};

use crate::command::{Said, change_world, run, wait};

/// By the hashes of their names: bee, ant, cat, dog.
const ROLLOUT: &str = "rollout = [{tier = \"free\"}, {tenants = \"25%\"}, {rest = true}]\n";

/// An estate of four tenants; `odd` is one whose price is for a product that does not exist.
fn estate(rollout: &str, odd: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("tenants")).expect("a folder");
    let config = format!("{rollout}[estate]\nname = \"shop\"\n[targets.main]\nprovider = \"stripe\"\nsandbox = true\n");
    std::fs::write(folder.path().join("tenantry.toml"), config).expect("writes");
    write(folder.path(), odd);
    folder
}

fn write(folder: &Path, odd: &str) {
    let mut documents = String::from(
        "apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: shared}\nspec:\n  scope: tier\n  resources:\n    \
         - {id: product, kind: stripe.product, spec: {key: \"${tier.name}\", name: \"${tier.name}\"}}\n---\n\
         apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: saas}\nspec:\n  scope: tenant\n  resources:\n    \
         - {id: customer, kind: stripe.customer, spec: {key: \"${tenant.name}\", name: \"${tenant.displayName}\"}}\n    \
         - {id: price, kind: stripe.price, spec: {lookupKey: \"${tenant.name}\", product: \"${tenant.values.product}\", currency: usd, amount: \"5.00\", interval: month}}\n",
    );
    for (tier, rank) in [("free", 0), ("standard", 1)] {
        documents.push_str(&format!(
            "---\napiVersion: tenantry.dev/v1\nkind: Tier\nmetadata: {{name: {tier}}}\nspec: {{rank: {rank}, blueprints: [shared, saas]}}\n"
        ));
    }
    for tenant in ["ant", "bee", "cat", "dog"] {
        let tier = if tenant == "ant" { "free" } else { "standard" };
        let product = if tenant == odd { "nothing" } else { tier };
        documents.push_str(&format!(
            "---\napiVersion: tenantry.dev/v1\nkind: Tenant\nmetadata: {{name: {tenant}}}\nspec: {{displayName: {tenant}, tier: {tier}, phase: active, values: {{product: {product}}}}}\n"
        ));
    }
    std::fs::write(folder.join("tenants/all.yaml"), documents).expect("writes");
}

fn done(said: &Said) {
    assert_eq!(said.exit, 0, "{said:#?}");
}

/// The events of an apply with `--format json`.
fn events(said: &Said) -> Vec<Json> {
    said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What happened, in order: `wave 1`, `ant`, …, each owner once in a row.
fn order(events: &[Json]) -> Vec<String> {
    let mut order = Vec::new();
    for event in events {
        let what = match event["event"].as_str() {
            Some("waveBegun") => format!("wave {} of {}", event["wave"], event["of"]),
            Some("waveStopped") => format!("stopped at {}", event["undone"].as_str().expect("an address")),
            Some("stepBegun") => {
                event["address"].as_str().expect("an address").split('/').next().expect("an owner").into()
            }
            _ => continue,
        };
        if order.last() != Some(&what) {
            order.push(what);
        }
    }
    order
}

#[test]
fn a_plan_names_the_tenants_of_each_wave_in_each_format() {
    let estate = estate(ROLLOUT, "");
    let folder = estate.path();
    let text = run(folder, &["plan"]);
    done(&text);
    assert!(text.out.contains("3 waves. Each wave begins once the one before is done and verified."), "{}", text.out);
    for line in ["Wave 1, tier free: ant", "Wave 2, 25% of the tenants: bee", "Wave 3, the rest: cat, dog"] {
        assert!(text.out.contains(line), "{line}: {}", text.out);
    }
    let json = run(folder, &["plan", "--format", "json"]);
    assert_eq!(
        json.json()["waves"],
        json!([
            {"of": {"tier": "free"}, "tenants": ["ant"]},
            {"of": {"tenants": "25%"}, "tenants": ["bee"]},
            {"of": {"rest": true}, "tenants": ["cat", "dog"]},
        ])
    );
    assert_eq!(run(folder, &["plan", "--format", "json"]), json, "the same each time");
    let markdown = run(folder, &["plan", "--format", "markdown"]);
    assert!(markdown.out.contains("- Wave 3, the rest: <code>cat</code>, <code>dog</code>"), "{}", markdown.out);
    let html = run(folder, &["plan", "--format", "html"]);
    assert!(html.out.contains("<li>Wave 1, tier free: <code>ant</code></li>"), "{}", html.out);

    let at_once = run(folder, &["plan", "--no-waves"]);
    assert!(!at_once.out.contains("Wave 1"), "{}", at_once.out);
    let other = run(folder, &["plan", "--waves=75%", "--format", "json"]);
    assert_eq!(
        other.json()["waves"],
        json!([
            {"of": {"tenants": "75%"}, "tenants": ["ant", "bee", "cat"]},
            {"of": {"rest": true}, "tenants": ["dog"]},
        ]),
        "who fits no wave is in the last"
    );
    let one = run(folder, &["plan", "--tenant", "cat", "--format", "json"]);
    assert_eq!(one.json()["waves"], json!([{"of": {"rest": true}, "tenants": ["cat"]}]));
}

#[test]
fn waves_begin_one_after_the_other() {
    let estate = estate(ROLLOUT, "");
    let folder = estate.path();
    let applied = run(folder, &["apply", "--auto-approve", "--format", "json"]);
    done(&applied);
    let order = order(&events(&applied));
    let (shared, waves) = order.split_at(2);
    assert_eq!(shared, ["tier:free", "tier:standard"]);
    assert_eq!(waves[..5], ["wave 1 of 3", "ant", "wave 2 of 3", "bee", "wave 3 of 3"]);
    assert!(waves[5..].iter().all(|what| what == "cat" || what == "dog"), "{waves:?}");
    let plan = run(folder, &["plan", "--detailed-exitcode"]);
    done(&plan);
    assert!(!plan.out.contains("wave"), "{}", plan.out);
}

#[test]
fn a_failure_stops_the_waves_after_it_and_the_next_apply_goes_on() {
    let estate = estate(ROLLOUT, "bee");
    let folder = estate.path();
    let failed = run(folder, &["apply", "--auto-approve", "--format", "json"]);
    assert_eq!(failed.exit, 5, "{failed:#?}");
    let all = events(&failed);
    assert_eq!(
        order(&all)[2..],
        ["wave 1 of 3", "ant", "wave 2 of 3", "bee", "stopped at bee/price"],
        "{:?}",
        order(&all)
    );
    let ended = |address: &str| {
        let is_it = |event: &&Json| event["event"] == "stepEnded" && event["address"] == address;
        all.iter().find(is_it).unwrap_or_else(|| panic!("{address} ended"))["result"].clone()
    };
    let held = json!({"outcome": "skipped", "reason": {"code": "earlierWave", "wave": 2, "undone": "bee/price"}});
    for address in ["cat/customer", "cat/price", "dog/customer", "dog/price"] {
        assert_eq!(ended(address), held, "{address}");
    }
    assert_eq!(ended("ant/price"), json!({"outcome": "done"}));
    assert!(!run(folder, &["history", "cat"]).out.contains("cat/customer"), "nothing of it was begun");

    // People get one line of it, and the waves that wait.
    let again = run(folder, &["apply", "--auto-approve"]);
    assert_eq!(again.exit, 5, "{again:#?}");
    assert!(
        again
            .out
            .contains("Wave 1 stopped at bee/price, which is not done or not verified. Not begun: wave 2 (the rest)."),
        "{}",
        again.out
    );
    assert!(again.out.contains("cat: 0 of 2 changes done, 2 not begun"), "{}", again.out);
    assert!(!again.err.contains("cat/customer"), "{}", again.err);

    write(folder, "");
    let mended = run(folder, &["apply", "--auto-approve", "--format", "json"]);
    done(&mended);
    let order = order(&events(&mended));
    assert_eq!(order[..3], ["wave 1 of 2", "bee", "wave 2 of 2"], "only what is left: {order:?}");
    done(&run(folder, &["plan", "--detailed-exitcode"]));
}

#[test]
fn a_blocked_tenant_holds_the_waves_after_its_own() {
    let estate = estate(ROLLOUT, "");
    let folder = estate.path();
    done(&run(folder, &["apply", "--auto-approve"]));
    wait(change_world(
        folder,
        "UPDATE resources SET mark = NULL WHERE kind = 'stripe.customer' AND identity = 'bee';\n",
    ));
    let documents = std::fs::read_to_string(folder.join("tenants/all.yaml")).expect("reads");
    let renamed = documents.replace("name: \"${tenant.displayName}\"", "name: \"The ${tenant.displayName}\"");
    std::fs::write(folder.join("tenants/all.yaml"), renamed).expect("writes");
    let held = run(folder, &["apply", "--auto-approve", "--format", "json"]);
    assert_eq!(held.exit, 5, "{held:#?}");
    let order = order(&events(&held));
    assert_eq!(order, ["wave 1 of 3", "ant", "wave 2 of 3", "stopped at bee/customer"]);
}

#[test]
fn a_saved_plan_holds_its_waves() {
    let estate = estate(ROLLOUT, "ant");
    let folder = estate.path();
    done(&run(folder, &["plan", "--out", "plan.json"]));
    let config = std::fs::read_to_string(folder.join("tenantry.toml")).expect("reads");
    std::fs::write(folder.join("tenantry.toml"), config.replace(ROLLOUT, "")).expect("writes");
    for option in ["--no-waves", "--waves=rest"] {
        let refused = run(folder, &["apply", "plan.json", option]);
        assert_eq!(refused.exit, 64, "{refused:#?}");
        assert!(refused.err.contains("a saved plan has its waves already"), "{}", refused.err);
    }
    let failed = run(folder, &["apply", "plan.json"]);
    assert_eq!(failed.exit, 5, "{failed:#?}");
    assert!(failed.out.contains("Not begun: wave 2 (25% of the tenants), wave 3 (the rest)."), "{}", failed.out);
    // Without waves the others go on.
    let at_once = run(folder, &["apply", "--auto-approve"]);
    assert_eq!(at_once.exit, 5, "{at_once:#?}");
    assert!(!at_once.out.contains("not begun"), "{}", at_once.out);
    let left = run(folder, &["plan", "--format", "json"]).json();
    assert_eq!(left["summary"]["create"], 1, "{left:#}");
}

#[test]
fn what_is_no_wave_is_said() {
    let plain = estate("", "");
    for (option, message) in [
        ("--waves", "tenantry.toml has no rollout"),
        ("--waves=half", "`half` is not a wave"),
        ("--waves=0%", "`0%` is not a wave"),
        ("--waves=tier:fre", "did you mean `free`?"),
    ] {
        let refused = run(plain.path(), &["plan", option]);
        assert_eq!(refused.exit, 64, "{refused:#?}");
        assert!(refused.err.contains(message), "{option}: {}", refused.err);
    }
    for (rollout, message) in [
        ("rollout = [{tier = \"fre\"}]\n", "a wave is for tier `fre`, which does not exist"),
        ("rollout = [{rest = true}, {tier = \"free\"}]\n", "no tenant is left for this wave"),
        ("rollout = [{tenants = \"0%\"}]\n", "0%"),
        ("rollout = [{rest = false}]\n", "false"),
    ] {
        let wrong = estate(rollout, "");
        let refused = run(wrong.path(), &["validate"]);
        assert_eq!(refused.exit, 1, "{refused:#?}");
        assert!(refused.err.contains(message) || refused.out.contains(message), "{rollout}: {refused:#?}");
        assert!(refused.err.contains("tenantry.toml:1:"), "{rollout}: {refused:#?}");
    }
}
