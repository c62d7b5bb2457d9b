//! Every notation of a value, edited; what stays is compared byte for byte.

use tenantry_core::diagnostics::{FileId, SourceFiles};

use super::field::assignment;
use super::*;

fn document(text: &str, index: usize) -> Document<'_> {
    let start = trees(FileId(0), text).expect("YAML")[index].span.start;
    Document { file: FileId(0), text, start }
}

fn edit(text: &str, edits: &[&str]) -> String {
    edit_at(text, 0, edits)
}

fn edit_at(text: &str, index: usize, edits: &[&str]) -> String {
    attempt(text, index, edits).unwrap_or_else(|refusal| refusal)
}

fn attempt(text: &str, index: usize, edits: &[&str]) -> Result<String, String> {
    let changes: Vec<Change> = edits.iter().map(|text| assignment(text).expect("an edit")).collect();
    edited(document(text, index), &changes).map_err(|diagnostic| {
        let mut files = SourceFiles::default();
        files.add("a.yaml", text);
        let line = |origin: Origin| format!(", line {}", files.line_column(origin).0);
        let at = diagnostic.label.iter().chain(&diagnostic.related).map(|label| line(label.origin));
        format!("{}{}", diagnostic.message, at.collect::<String>())
    })
}

/// The lines that an edit takes away and adds.
fn difference(text: &str, edits: &[&str]) -> String {
    let edited = match attempt(text, 0, edits) {
        Ok(edited) => edited,
        Err(refusal) => return format!("{}:\n{refusal}\n", edits.join(" ")),
    };
    let (before, after): (Vec<&str>, Vec<&str>) = (text.lines().collect(), edited.lines().collect());
    let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - same;
    let tail = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut told = format!("{}:\n", edits.join(" "));
    before[same..before.len() - tail].iter().for_each(|line| told.push_str(&format!("- {line}\n")));
    after[same..after.len() - tail].iter().for_each(|line| told.push_str(&format!("+ {line}\n")));
    told
}

const TENANT: &str = "\
# Signed in March.
apiVersion: tenantry.dev/v1
kind: Tenant
metadata:
  name: acme
  labels: {region: us-east}   # where they are
spec:
  displayName: 'Acme Corp'  # as on the contract
  tier: professional
  # Not before they pay.
  phase: active
  quotas:
    storage: 500Gi
    users: 150   # negotiated

  contacts:
    primary: {name: Ada, email: ada@example.com}
  values:
    # What they do.
    industry: \"manufacturing\"
    notes: |
      Two lines,
      # not a comment
    services:
      - auth   # always
      - orders
    empty:
    nothing: ~
";

#[test]
fn every_notation_of_a_value_can_be_changed() {
    let told = [
        &["tier=enterprise"][..],
        &["displayName=Acme's"],
        &["displayName=Ⅻ: Zürich"],
        &["quotas.users=200"],
        &["quotas.users=unlimited"],
        &["labels.region=eu"],
        &["contacts.primary.email=eve@example.com"],
        &["values.industry=no"],
        &["values.industry=3"],
        &["values.notes=short"],
        &["values.notes=\"three\\nnew\\nlines\\n\""],
        &["values.services=[auth, billing]"],
        &["values.services=none"],
        &["values.services[1]=mail"],
        &["values.services=[]"],
        &["values.empty=1"],
        &["values.nothing=[1, 2]"],
        &["features=[sso]", "phase=suspended"],
    ]
    .map(|edits| difference(TENANT, edits));
    insta::assert_snapshot!(told.join("\n"), @r#"
    tier=enterprise:
    -   tier: professional
    +   tier: enterprise

    displayName=Acme's:
    -   displayName: 'Acme Corp'  # as on the contract
    +   displayName: 'Acme''s'

    displayName=Ⅻ: Zürich:
    -   displayName: 'Acme Corp'  # as on the contract
    +   displayName: 'Ⅻ: Zürich'

    quotas.users=200:
    -     users: 150   # negotiated
    +     users: 200   # negotiated

    quotas.users=unlimited:
    -     users: 150   # negotiated
    +     users: unlimited   # negotiated

    labels.region=eu:
    -   labels: {region: us-east}   # where they are
    +   labels: {region: eu}   # where they are

    contacts.primary.email=eve@example.com:
    -     primary: {name: Ada, email: ada@example.com}
    +     primary: {name: Ada, email: eve@example.com}

    values.industry=no:
    -     industry: "manufacturing"
    +     industry: "no"

    values.industry=3:
    -     industry: "manufacturing"
    +     industry: 3

    values.notes=short:
    -     notes: |
    -       Two lines,
    -       # not a comment
    +     notes: short

    values.notes="three\nnew\nlines\n":
    -       Two lines,
    -       # not a comment
    +       three
    +       new
    +       lines

    values.services=[auth, billing]:
    -       - auth   # always
    -       - orders
    +       - auth
    +       - billing

    values.services=none:
    -     services:
    -       - auth   # always
    -       - orders
    +     services: none

    values.services[1]=mail:
    -       - orders
    +       - mail

    values.services=[]:
    -     services:
    -       - auth   # always
    -       - orders
    +     services: []

    values.empty=1:
    -     empty:
    +     empty: 1

    values.nothing=[1, 2]:
    -     nothing: ~
    +     nothing: [1, 2]

    features=[sso] phase=suspended:
    -   phase: active
    -   quotas:
    -     storage: 500Gi
    -     users: 150   # negotiated
    +   phase: suspended
    +   quotas:
    +     storage: 500Gi
    +     users: 150   # negotiated
    +   features: [sso]
    "#);
}

#[test]
fn what_is_not_there_is_put_where_it_belongs() {
    let told = [
        &["quotas.records=5"][..],
        &["quotas.zebras=5"],
        &["placement.database=us-1"],
        &["features=[sso, audit]"],
        &["labels.team=red"],
        &["labels.\"example.org/a\"=b"],
        &["annotations.\"a/b\"=\"no\""],
        &["contacts.primary.phone=+1 555"],
        &["contacts.billing.email=b@example.com"],
        &["values.deep.er.still=true"],
        &["values.empty.a=1"],
        &["values.nothing.a.b=1"],
        &["values.zone=\"a\\nb\""],
    ]
    .map(|edits| difference(TENANT, edits));
    insta::assert_snapshot!(told.join("\n"), @r#"
    quotas.records=5:
    +     records: 5

    quotas.zebras=5:
    +     zebras: 5

    placement.database=us-1:
    +   placement:
    +     database: us-1

    features=[sso, audit]:
    +   features: [sso, audit]

    labels.team=red:
    -   labels: {region: us-east}   # where they are
    +   labels: {region: us-east, team: red}   # where they are

    labels."example.org/a"=b:
    -   labels: {region: us-east}   # where they are
    +   labels: {region: us-east, example.org/a: b}   # where they are

    annotations."a/b"="no":
    +   annotations:
    +     a/b: "no"

    contacts.primary.phone=+1 555:
    -     primary: {name: Ada, email: ada@example.com}
    +     primary: {name: Ada, email: ada@example.com, phone: "+1 555"}

    contacts.billing.email=b@example.com:
    +     billing:
    +       email: b@example.com

    values.deep.er.still=true:
    +     deep:
    +       er:
    +         still: true

    values.empty.a=1:
    +       a: 1

    values.nothing.a.b=1:
    -     nothing: ~
    +     nothing: {a: {b: 1}}

    values.zone="a\nb":
    +     zone: "a\nb"
    "#);
}

#[test]
fn what_is_removed_takes_its_lines_along_and_no_others() {
    let told = [
        &["quotas.users-"][..],
        &["quotas.users-", "quotas.storage-"],
        &["quotas-"],
        &["labels.region-"],
        &["contacts.primary.name-"],
        &["contacts.primary.email-"],
        &["values.notes-"],
        &["values.nothing-"],
        &["values-"],
        &["values.services-"],
        &["placement-"],
        &["values.absent.deeply-"],
        &["values.services[0]-"],
        &["values.services[2]=x"],
    ]
    .map(|edits| difference(TENANT, edits));
    insta::assert_snapshot!(told.join("\n"), @r#"
    quotas.users-:
    -     users: 150   # negotiated

    quotas.users- quotas.storage-:
    -   quotas:
    -     storage: 500Gi
    -     users: 150   # negotiated
    +   quotas: {}

    quotas-:
    -   quotas:
    -     storage: 500Gi
    -     users: 150   # negotiated

    labels.region-:
    -   labels: {region: us-east}   # where they are
    +   labels: {}   # where they are

    contacts.primary.name-:
    -     primary: {name: Ada, email: ada@example.com}
    +     primary: {email: ada@example.com}

    contacts.primary.email-:
    -     primary: {name: Ada, email: ada@example.com}
    +     primary: {name: Ada}

    values.notes-:
    -     notes: |
    -       Two lines,
    -       # not a comment

    values.nothing-:
    -     nothing: ~

    values-:
    -   values:
    -     # What they do.
    -     industry: "manufacturing"
    -     notes: |
    -       Two lines,
    -       # not a comment
    -     services:
    -       - auth   # always
    -       - orders
    -     empty:
    -     nothing: ~

    values.services-:
    -     services:
    -       - auth   # always
    -       - orders

    placement-:

    values.absent.deeply-:

    values.services[0]-:
    `spec.values.services.0` cannot be changed here: it is an item of a list; give the whole list instead: `FIELD=[a, b]`, line 25

    values.services[2]=x:
    the list has no item 2; its items are counted from 0, line 24
    "#);
}

#[test]
fn what_is_so_already_leaves_every_byte() {
    for edits in [&["tier=professional"][..], &["quotas.users=150"], &["placement-"], &["displayName=Acme Corp"]] {
        assert_eq!(edit(TENANT, edits), TENANT, "{edits:?}");
    }
}

#[test]
fn line_endings_stay_as_they_are() {
    let windows = TENANT.replace('\n', "\r\n");
    for edits in [
        &["tier=enterprise"][..],
        &["placement.database=us-1", "quotas.records=5"],
        &["quotas.users-", "values.notes-"],
        &["values.services=[a, b]"],
        &["values.notes=\"a\\nb\\n\""],
        &["values.empty.a=1"],
        &["quotas.users-", "quotas.storage-"],
    ] {
        assert_eq!(edit(&windows, edits), edit(TENANT, edits).replace('\n', "\r\n"), "{edits:?}");
    }
}

#[test]
fn a_file_may_end_without_a_line_break() {
    let text = "spec:\n  tier: a\n  values:\n    a: 1\n    b: 2";
    assert_eq!(edit(text, &["values.c=3"]), format!("{text}\n    c: 3"));
    assert_eq!(edit(text, &["values.b=x"]), "spec:\n  tier: a\n  values:\n    a: 1\n    b: x");
    assert_eq!(edit(text, &["values.b-"]), "spec:\n  tier: a\n  values:\n    a: 1");
    assert_eq!(edit("spec: {tier: a}", &["phase=trial"]), "spec: {tier: a, phase: trial}");
    assert_eq!(
        edit("spec:\n  tier: a\n  values:", &["values.a.b=1"]),
        "spec:\n  tier: a\n  values:\n    a:\n      b: 1"
    );
}

#[test]
fn one_document_of_a_file_is_edited_and_its_neighbours_are_not() {
    let text = "# one\nspec: {tier: a}\n---\n# two\nspec:\n    tier: a\n...\n---\nspec: {tier: a}\n";
    assert_eq!(edit_at(text, 0, &["tier=b"]), text.replacen("{tier: a}", "{tier: b}", 1));
    assert_eq!(
        edit_at(text, 1, &["tier=b", "quotas.users=1"]),
        text.replace("    tier: a\n", "    tier: b\n    quotas:\n        users: 1\n")
    );
    assert!(edit_at(text, 2, &["tier=b"]).ends_with("---\nspec: {tier: b}\n"));
}

#[test]
fn mappings_in_brackets_stay_in_brackets() {
    let text = "{spec: {tier: a, phase: trial, values: {\n  a: 1, # one\n  b: [x, 'y'],\n}, quotas: {}}}\n";
    let told = [
        &["tier=b"][..],
        &["values.b[1]=it's"],
        &["values.b=[]"],
        &["values.c=\"a, b\""],
        &["quotas.users=3"],
        &["features=[x]"],
        &["values.a-"],
        &["values.b-"],
        &["quotas-"],
        &["displayName=A {B}"],
        &["values-"],
        &["values.a-", "values.b-"],
    ]
    .map(|edits| difference(text, edits));
    insta::assert_snapshot!(told.join("\n"), @r#"
    tier=b:
    - {spec: {tier: a, phase: trial, values: {
    + {spec: {tier: b, phase: trial, values: {

    values.b[1]=it's:
    -   b: [x, 'y'],
    +   b: [x, 'it''s'],

    values.b=[]:
    -   b: [x, 'y'],
    +   b: [],

    values.c="a, b":
    -   b: [x, 'y'],
    +   b: [x, 'y'], c: "a, b",

    quotas.users=3:
    - }, quotas: {}}}
    + }, quotas: {users: 3}}}

    features=[x]:
    - }, quotas: {}}}
    + }, quotas: {}, features: [x]}}

    values.a-:
    -   a: 1, # one

    values.b-:
    -   b: [x, 'y'],

    quotas-:
    - }, quotas: {}}}
    + }}}

    displayName=A {B}:
    - {spec: {tier: a, phase: trial, values: {
    + {spec: {displayName: "A {B}", tier: a, phase: trial, values: {

    values-:
    - {spec: {tier: a, phase: trial, values: {
    -   a: 1, # one
    -   b: [x, 'y'],
    - }, quotas: {}}}
    + {spec: {tier: a, phase: trial, quotas: {}}}

    values.a- values.b-:
    - {spec: {tier: a, phase: trial, values: {
    -   a: 1, # one
    -   b: [x, 'y'],
    - }, quotas: {}}}
    + {spec: {tier: a, phase: trial, values: {}, quotas: {}}}
    "#);
}

#[test]
fn nothing_is_edited_through_an_alias() {
    let text = "spec:\n  tier: a\n  quotas: &limits {users: 1}\n  values:\n    same: *limits\n    own: &free 5\n    b: &t !!str 7\n    c: *t\n";
    let told = [
        &["values.same.users=2"][..],
        &["values.same=2"],
        &["quotas.users=2"],
        &["quotas.mails=2"],
        &["values.own=6"],
        &["values.b=6"],
        &["values.c=6"],
        &["values.d=6"],
        &["values.same-"],
        &["values-"],
        &["quotas-"],
    ]
    .map(|edits| difference(text, edits));
    insta::assert_snapshot!(told.join("\n"), @"
    values.same.users=2:
    the value is an alias, which repeats a value that is written elsewhere, line 5

    values.same=2:
    the value is an alias, which repeats a value that is written elsewhere, line 5

    quotas.users=2:
    the value has the anchor `&limits`, and an alias repeats it, line 3, line 5

    quotas.mails=2:
    the value has the anchor `&limits`, and an alias repeats it, line 3, line 5

    values.own=6:
    -     own: &free 5
    +     own: &free 6

    values.b=6:
    the value has the anchor `&t`, and an alias repeats it, line 7, line 8

    values.c=6:
    the value is an alias, which repeats a value that is written elsewhere, line 8

    values.d=6:
    +     d: 6

    values.same-:
    the value is an alias, which repeats a value that is written elsewhere, line 5

    values-:
    -   values:
    -     same: *limits
    -     own: &free 5
    -     b: &t !!str 7
    -     c: *t

    quotas-:
    the value has the anchor `&limits`, and an alias repeats it, line 3, line 5
    ");
}

#[test]
fn odd_notations_are_edited_or_refused_but_never_spoilt() {
    for text in [
        "spec:\n  ? tier\n  : a\n  phase: trial\n",
        "spec:\n  tier:\n    a\n  phase: trial\n",
        "spec:\n  \"tier\" : a\n  phase: trial\n",
        "spec:\n  tier: !!str a # tagged\n  phase: trial\n",
        "spec:\n  tier: >-\n    a\n\n  # c\n  phase: trial\n",
        "spec:\n  tier: |+\n    a\n\n  phase: trial\n",
        "spec:\n  tier: 'a\n    b'\n  phase: trial\n",
        "spec:\n  tier: a\n    b\n  phase: trial\n",
        "spec: {tier: a, phase: trial}\n",
        "spec: {tier, phase: trial}\n",
        "spec: {\"tier\":a, phase: trial}\n",
        "--- {spec: {tier: a, phase: trial}}\n",
        "%YAML 1.2\n---\nspec:\n  tier: a\n  phase: trial\n...\n",
        "spec:\n- tier: a\n",
        "spec:\n  tier: *x\n",
    ] {
        let Ok(before) = trees(FileId(0), text) else { continue };
        for change in ["tier=b", "tier-", "quotas.users=1", "tier=\"x\\ny\\n\""] {
            let change = assignment(change).expect("an edit");
            let Ok(after) = edited(document(text, 0), std::slice::from_ref(&change)) else { continue };
            let mut expected = before[0].to_json();
            set(&mut expected, &change);
            let after = trees(FileId(0), &after).expect("YAML");
            assert_eq!(after[0].to_json(), expected, "{text}\n{change:?}");
        }
    }
}
