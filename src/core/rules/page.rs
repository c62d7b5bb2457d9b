//! `docs/findings.md`: a section for each rule, made of its own text.

use super::Rule;
use crate::diagnostics::codes;
use crate::model::config::Level;

const HEAD: &str = "\
# Findings

<!-- Generated from the rules: `TENANTRY_BLESS=1 cargo test --test all documents` rewrites it. -->

`validate` and `plan` report what is well formed and probably not what is meant. Each of these rules has a code, names the place
and the remedy, and has a level:

```toml
[rules]
TY0631 = \"off\"        # not checked
TY0623 = \"warning\"    # shown
TY0601 = \"error\"      # shown, and nothing is planned or applied
```

Rules about resources are checked once the estate has no errors. A rule is silent where it cannot know, for example if something
may be made outside the estate. Some rules need to be told more:

```toml
[rules]
unique    = [\"values.domain\"]             # TY0604: no two tenants may share it
add_ons   = [\"dedicated_support\"]         # TY0602: features that tenants of any tier may have
residency = \"values.data_residency\"       # TY0605: where a tenant names its region
regions   = [\"eu-west\", \"us-east\"]      # TY0613: what a tenant's label `region` may be
elsewhere = [\"Secret/shop/*\", \"stripe.price/legacy_*\"]   # TY0626, TY0680: exists outside the estate

[rules.estimates]
users = \"values.expected_users\"           # TY0603: a tenant's own estimate of the quota `users`

[targets.eu-1]
provider  = \"postgres\"
residency = \"eu\"                          # TY0605: where the data of this target is kept
```

";

/// The page for some rules, in their order.
pub fn markdown(rules: &[&Rule]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| code | level | finding |\n|---|---|---|\n");
    for rule in rules {
        let code = rule.code;
        let anchor = code.0.to_lowercase();
        page.push_str(&format!("| [`{code}`](#{anchor}) | {} | {} |\n", level(rule.level), meaning(rule)));
    }
    for Rule { code, level: _, cause, example, remedy } in rules {
        let meaning = codes::ALL.iter().find(|(known, _)| known == code).map_or("", |(_, meaning)| meaning);
        page.push_str(&format!(
            "\n## {code}\n\n{meaning}\n\n{cause}\n\n```yaml\n{}\n```\n\n{remedy}\n",
            example.trim_matches('\n')
        ));
    }
    page
}

fn meaning(rule: &Rule) -> &'static str {
    codes::ALL.iter().find(|(code, _)| *code == rule.code).map_or("", |(_, meaning)| meaning)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Off => "off",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}
