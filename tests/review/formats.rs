//! Plans as Markdown and as a page: below the limit, complete, and harmless whatever others wrote.

use super::Estate;

/// What would end a code block, a tag, an attribute, a table; mention somebody, load an image, run a script, or reorder a text.
const HOSTILE: &str = "x\n```\n</code></details>\n# Head @team #1 <img src=http://evil.example onerror=alert(1)> ![i](http://evil.example) `b` | \u{1b}[31m \u{202e}txt";

fn hostile() -> Estate {
    let estate = Estate::new();
    estate.tenant("bee", "small", HOSTILE);
    estate.apply();
    estate.tenant("ant", "small", HOSTILE);
    estate.tenant("bee", "small", "harmless");
    estate
}

/// The lines of a comment that are not in a fenced block, by the rules of `CommonMark`.
fn outside_of_fences(comment: &str) -> Vec<&str> {
    let mut open: Option<usize> = None;
    let mut outside = Vec::new();
    for line in comment.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match open {
            None if ticks >= 3 => open = Some(ticks),
            None => outside.push(line),
            Some(opened) if ticks >= opened && line.trim_start_matches('`').trim().is_empty() => open = None,
            Some(_) => {}
        }
    }
    assert_eq!(open, None, "a block is never closed:\n{comment}");
    outside
}

fn assert_nothing_hidden(text: &str) {
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
}

#[test]
fn a_comment_obeys_nothing_that_others_wrote() {
    let comment = hostile().stdout(&["plan", "--format", "markdown"]);
    assert_nothing_hidden(&comment);
    let outside = outside_of_fences(&comment).join("\n");
    for hostile in ["@team", "<img", "![", "evil.example", "# Head"] {
        assert!(!outside.contains(hostile), "{hostile}:\n{outside}");
    }
    assert_eq!(outside.matches("<details>").count(), outside.matches("</details>").count());
    assert!(comment.contains("2 to update"), "{comment}");
}

#[test]
fn a_page_obeys_nothing_that_others_wrote() {
    let page = hostile().stdout(&["plan", "--format", "html"]);
    assert_nothing_hidden(&page);
    assert!(!page.contains("<img") && !page.contains("onerror=alert(1)>"), "{page}");
    assert!(page.contains("&lt;img src=http"), "it is shown as it is");
    assert_eq!((page.matches("<script>").count(), page.matches("</script>").count()), (1, 1));
    for loaded in ["src=\"", "href=\"", "@import", "url("] {
        assert!(!page.contains(loaded), "{loaded} loads something");
    }
}

#[test]
fn a_comment_says_first_what_has_to_be_seen() {
    let estate = Estate::new();
    estate.apply();
    estate.remove("tenants/ant.yaml");
    estate.edit("tenants/tiers.yaml", "blueprints: [base, reports]", "blueprints: [base]");
    let comment = estate.stdout(&["plan", "--format", "markdown"]);
    let places: Vec<Option<usize>> = [
        "<!-- tenantry:plan:shop: -->",
        "A guard refuses this plan",
        "#### Deleted or replaced",
        "#### Findings",
        "#### Blocked",
        "#### Changes",
    ]
    .into_iter()
    .map(|part| comment.find(part))
    .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{comment}");
    assert!(comment.contains("**delete** <code>dog</code>: <code>reports</code>"), "{comment}");
    assert!(comment.contains("**The data in it is lost.**"), "{comment}");
}

#[test]
fn a_comment_of_thousands_of_tenants_fits() {
    let estate = Estate::new();
    for number in 0..1500 {
        estate.tenant(&format!("tenant-{number}"), "small", &format!("Number {number}"));
    }
    estate.apply();
    for number in 0..1500 {
        estate.tenant(
            &format!("tenant-{number}"),
            "small",
            &format!("Renamed, and so that no two are alike: {number}"),
        );
    }
    let comment = estate.stdout(&["plan", "--format", "markdown"]);
    assert!(comment.len() < 65_536, "{}", comment.len());
    assert!(comment.contains("**1500 to update"), "the counts are of all");
    outside_of_fences(&comment);
    let shown = comment.matches("<details><summary><code>tenant-").count();
    assert!(shown > 50, "{shown} are shown");
    assert!(comment.contains(&format!("<summary>{} more owners; ", 1500 - shown)), "{shown} are shown");
    assert!(
        comment.ends_with(" more\n\n</details>\n"),
        "as many names as there is room for, and the number of the others"
    );
    assert!(comment.matches("<code>tenant-").count() > 700, "{}", comment.matches("<code>tenant-").count());
}

#[test]
fn only_plans_have_these_formats() {
    let estate = Estate::new();
    for command in [&["list"][..], &["history"], &["show", "ant"], &["validate"], &["apply"]] {
        let output = estate.run(&[command, &["--format", "markdown"]].concat());
        assert_eq!(output.status.code(), Some(64), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("only plans have the formats"), "{command:?}");
    }
    assert!(estate.stdout(&["drift", "--format", "markdown"]).starts_with("<!-- tenantry:drift:shop: -->"));
}

#[test]
fn what_is_created_is_shown_when_more_is_asked_for() {
    let estate = Estate::new();
    let (brief, verbose) = (estate.stdout(&["plan"]), estate.stdout(&["plan", "-v"]));
    assert!(!brief.contains("columns.title:"), "{brief}");
    assert!(verbose.contains("      columns.title: dog\n"), "{verbose}");
    assert!(
        verbose.contains("      columns.title: (differs)\n"),
        "of a group, what its members have in common: {verbose}"
    );
    assert!(verbose.contains("      columns.users: 10\n"), "{verbose}");
}

#[test]
fn a_new_binding_shows_whom_it_gives_what() {
    let estate = Estate::new();
    estate.write(
        "tenantry.toml",
        "[estate]\nname = \"shop\"\n\n[targets.main]\nprovider = \"postgres\"\nsandbox = true\n\n[targets.cluster]\nprovider = \
         \"kubernetes\"\nsandbox = true\n",
    );
    estate.write(
        "tenants/rights.yaml",
        "apiVersion: tenantry.dev/v1\nkind: Blueprint\nmetadata: {name: rights}\nspec:\n  scope: estate\n  resources:\n    - id: root\n      \
         kind: kubernetes.object\n      spec:\n        apiVersion: rbac.authorization.k8s.io/v1\n        kind: ClusterRoleBinding\n        \
         metadata: {name: root, labels: {team: blue}}\n        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: \
         cluster-admin}\n        subjects: [{kind: Group, name: interns, apiGroup: rbac.authorization.k8s.io}]\n",
    );
    let plan = estate.stdout(&["plan"]);
    assert!(plan.contains("      roleRef.name: cluster-admin\n"), "{plan}");
    assert!(plan.contains("      subjects.0.name: interns\n"), "{plan}");
    assert!(!plan.contains("team"), "what gives nobody anything is shown when more is asked for: {plan}");
}
