//! What a plan says about a tenant as a whole: new, on another tier, suspended, leaving; and what it costs.

use serde_json::{Value as Json, json};

use crate::command::tenantry;
use crate::review::Estate;

/// Tiers with prices: 49.00 and 199.50 a month.
fn priced() -> Estate {
    let estate = Estate::new();
    for (users, amount) in [("{users: 10}", "49.00"), ("{users: 100}", "199.50")] {
        let price = format!("{users}\n  price: {{currency: eur, amount: \"{amount}\", interval: month}}");
        estate.edit("tenants/tiers.yaml", users, &price);
    }
    estate
}

fn plan(estate: &Estate, arguments: &[&str]) -> String {
    estate.stdout(&[&["plan"][..], arguments].concat())
}

fn transitions(estate: &Estate) -> Json {
    let plan: Json = serde_json::from_str(&plan(estate, &["--format", "json"])).expect("JSON");
    plan["transitions"].clone()
}

#[test]
fn a_new_tenant_is_told_with_its_tier_and_price() {
    let estate = priced();
    let text = plan(&estate, &[]);
    assert!(text.contains("\nNew: ant, bee, cat, dog\n"), "{text}");
    assert!(text.contains("\nPrice of 4 tenants, eur a month: 0 → 346.50\n"), "{text}");
    assert!(text.contains("\ndog  new, active, tier large, 199.50 eur a month\n"), "{text}");
    assert!(text.contains("\n3 tenants with the same changes: ant, bee, cat\n"), "{text}");
    assert!(text.contains("\n  new, active, tier small, 49.00 eur a month\n"), "{text}");
}

#[test]
fn a_move_to_another_tier_is_told_once_with_both_prices_and_recorded() {
    let estate = priced();
    estate.apply();
    assert_eq!(transitions(&estate), json!([]));
    estate.edit("tenants/bee.yaml", "tier: small", "tier: large");
    let text = plan(&estate, &[]);
    assert!(text.contains("\nTier small → large: bee\nPrice of 1 tenant, eur a month: 49.00 → 199.50\n"), "{text}");
    assert!(text.contains("\nbee  tier small → large, 49.00 → 199.50 eur a month\n"), "{text}");
    assert!(text.contains("1 tier change, "), "{text}");
    let markdown = plan(&estate, &["--format", "markdown"]);
    assert!(markdown.contains("- Tier small → large: <code>bee</code>\n"), "{markdown}");
    assert!(
        markdown.contains("<code>bee</code> (tier small → large, 49&#46;00 → 199&#46;50 eur a month)"),
        "{markdown}"
    );
    let html = plan(&estate, &["--format", "html"]);
    assert!(html.contains("<li>Tier small → large: <code>bee</code></li>"), "{html}");
    let before = json!({"tier": "small", "price": {"currency": "eur", "amount": "49.00", "interval": "month"}});
    assert_eq!(transitions(&estate)[0]["before"], before);

    let applied = estate.run(&["apply", "--auto-approve"]);
    assert!(applied.status.success(), "{applied:?}");
    assert!(String::from_utf8_lossy(&applied.stderr).contains("bee: now on tier large\n"), "{applied:?}");
    assert_eq!(transitions(&estate), json!([]), "it is on record");
    assert!(estate.stdout(&["history", "bee"]).contains("tier large"));
}

#[test]
fn a_price_that_changes_is_told_though_no_resource_does() {
    let estate = priced();
    estate.apply();
    estate.edit("tenants/tiers.yaml", "49.00", "59.00");
    let text = plan(&estate, &[]);
    assert!(text.contains("\nPrice of 3 tenants, eur a month: 147.00 → 177.00\n"), "{text}");
    assert!(text.contains("3 price changes, "), "{text}");
    assert_eq!(estate.run(&["plan", "--detailed-exitcode"]).status.code(), Some(2));
    estate.apply();
    assert_eq!(estate.run(&["plan", "--detailed-exitcode"]).status.code(), Some(0));
}

#[test]
fn whoever_loses_access_or_data_is_named() {
    let estate = priced();
    estate.apply();
    estate.edit("tenants/ant.yaml", "phase: active", "phase: suspended");
    estate.edit("tenants/dog.yaml", "tier: large", "tier: small");
    let text = plan(&estate, &[]);
    assert!(text.contains("\nSuspended: ant\nLoses access: ant\n"), "{text}");
    assert!(text.contains("\nant  active → suspended, loses access\n"), "{text}");
    assert!(text.contains("\nLoses data: dog (reports)\n"), "{text}");
    assert!(text.contains("loses the data of reports"), "{text}");
    estate.edit("tenants/dog.yaml", "tier: small", "tier: large");
    estate.apply();
    estate.edit("tenants/ant.yaml", "phase: suspended", "phase: active");
    let text = plan(&estate, &[]);
    assert!(text.contains("\nant  suspended → active, has access again\n"), "{text}");
    estate.edit("tenants/ant.yaml", "phase: active", "phase: deleting");
    let text = plan(&estate, &[]);
    assert!(text.contains("\nLeaves: ant\n"), "{text}");
    assert!(text.contains("ant  leaves: suspended → deleting, 49.00 eur a month → no price"), "{text}");
}

#[test]
fn groups_can_be_expanded() {
    let estate = Estate::new();
    let text = plan(&estate, &["--expand"]);
    assert!(!text.contains("with the same changes"), "{text}");
    for name in ["ant", "bee", "cat"] {
        assert!(text.contains(&format!("\n{name}  new, active, tier small\n")), "{text}");
        assert!(text.contains(&format!("\n  + create  role postgres.role {name}\n")), "{text}");
    }
    let grouped = plan(&estate, &[]);
    assert!(
        grouped.contains("they differ in role.name, row.columns.title, row.key.id; --expand shows each of them\n"),
        "{grouped}"
    );
}

#[test]
fn the_head_says_what_a_plan_is_narrowed_to_and_which_approvals_it_uses() {
    let estate = Estate::new();
    estate.apply();
    assert!(!plan(&estate, &[]).contains("Narrowed"));
    estate.tenant("bee", "small", "Bees");
    estate.edit("tenants/dog.yaml", "tier: large", "tier: small");
    estate.write(
        "tenants/approvals.yaml",
        "apiVersion: tenantry.dev/v1\nkind: Approval\nmetadata: {name: reports-end}\nspec:\n  reason: they have a copy\n  \
         expires: \"2100-01-01\"\n  allow: [delete]\n  addresses: [\"dog/reports\"]\n",
    );
    let text = plan(&estate, &["--tenant", "d*", "--tier", "small", "--out", "some.plan"]);
    let narrowed = "Narrowed to tenants d*, and of them tenants of tier small; everything else is left out";
    assert!(text.contains(&format!("\n{narrowed}.\n")), "{text}");
    let approval = "Uses the Approval reports-end, which expires at 2100-01-01: they have a copy";
    assert!(text.contains(&format!("\n{approval}\n")), "{text}");
    let saved = estate.stdout(&["show", "some.plan"]);
    assert!(saved.contains(narrowed) && saved.contains(approval), "{saved}");
    let markdown = plan(&estate, &["--tenant", "dog", "--format", "markdown"]);
    assert!(markdown.contains("**Narrowed to tenants dog; everything else is left out.**"), "{markdown}");
    assert!(
        markdown.contains("- <code>reports-end</code>, until <code>2100-01-01</code>: they have a copy\n"),
        "{markdown}"
    );
    let html = plan(&estate, &["--tenant", "dog", "--format", "html"]);
    assert!(html.contains("<b>Narrowed to tenants dog; everything else is left out.</b>"), "{html}");
    assert!(html.contains("<dd>they have a copy (expires at 2100-01-01)</dd>"), "{html}");
    assert!(estate.run(&["apply", "some.plan"]).status.success(), "it is still exactly that plan");
}

#[test]
fn a_long_plan_has_a_summary_first() {
    let estate = Estate::new();
    for number in 0..320 {
        // Each has a title of its own, so that none is grouped away.
        estate.tenant(&format!("t{number:03}"), "small", &format!("Tenant {number}"));
    }
    let text = plan(&estate, &["--expand"]);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part}"));
    assert!(at("Summary of a plan of ") < at("\nant  new"), "{}", &text[..400]);
    assert!(text.contains("more groups of owners\n"));
    assert!(!plan(&Estate::new(), &[]).contains("Summary of a plan"));
}

/// On a terminal of 80 columns and some rows, as people see it.
fn on_terminal(estate: &Estate, rows: usize, variables: &[(&str, &str)], command: &str) -> String {
    let program = env!("CARGO_BIN_EXE_tenantry");
    let line = format!("stty cols 80 rows {rows}; {program} {command}");
    let mut script = std::process::Command::new("script");
    // The command's own variables, on a terminal that `script` makes.
    let environment = tenantry(estate.path());
    script
        .current_dir(estate.path())
        .env_clear()
        .envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("SHELL", "/bin/sh").envs(variables.iter().copied());
    let output =
        script.args(["-qec", &line, "/dev/null"]).stdin(std::process::Stdio::null()).output().expect("script runs");
    String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
}

#[test]
fn a_plan_fits_a_terminal_and_says_how_long_it_took() {
    let estate = priced();
    estate.tenant("ant", "small", &"a long title ".repeat(12));
    let text = on_terminal(&estate, 500, &[], "--color never plan -v");
    let wide: Vec<&str> =
        text.lines().filter(|line| line.chars().count() > 80 && !line.trim_start().starts_with("INFO ")).collect();
    assert_eq!(wide, [""; 0], "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("Planned in ") && last.ends_with(" s."), "{text}");
    assert!(!String::from_utf8_lossy(&estate.run(&["plan"]).stderr).contains("Planned in"), "nobody waits for it");
}

#[test]
fn the_pager_is_used_on_a_terminal_that_is_too_small() {
    let estate = priced();
    let pager = [("PAGER", "sed 's/^/paged: /'")];
    let small = on_terminal(&estate, 10, &pager, "--color never plan");
    assert!(small.contains("paged: Plan for estate shop"), "{small}");
    for (rows, arguments) in [(500, "plan"), (10, "plan --no-pager"), (10, "plan --format json"), (10, "plan > out")] {
        let text = on_terminal(&estate, rows, &pager, arguments);
        assert!(!text.contains("paged:"), "{arguments} on {rows} rows: {text}");
    }
    let without = on_terminal(&estate, 10, &[("PAGER", "no-such-pager-anywhere")], "--color never plan");
    assert!(without.contains("Plan for estate shop"), "{without}");
    let own = on_terminal(&estate, 10, &[("PAGER", "false"), ("TENANTRY_PAGER", "cat")], "--color never plan");
    assert!(own.contains("Plan for estate shop"), "{own}");
}
