use super::*;
use serde_json::json;

struct OneRole;

impl Resources for OneRole {
    fn field(&self, id: &str, path: &[Arc<str>]) -> Result<Value, ExpressionError> {
        match (id, path) {
            ("role", [field]) if &**field == "oid" => Ok(Value::Deferred(Arc::new(Deferred {
                parts: vec![super::super::model::value::Part::Output {
                    address: "acme/role".parse().expect("address"),
                    name: "oid".into(),
                }],
            }))),
            ("role", path) => field_of(&self.whole("role").expect("role"), "resources.role", path),
            _ => NoResources.field(id, path),
        }
    }

    fn whole(&self, id: &str) -> Option<Value> {
        (id == "role").then(|| json!({"name": "acme_app", "limit": 3}).into())
    }
}

fn evaluate(text: &str) -> Result<Value, ExpressionError> {
    let mut compiler = Compiler::default();
    let template = match Template::compile(text, None, &mut compiler) {
        Ok(template) => template.expect("an expression"),
        Err((_, error)) => return Err(error),
    };
    let owner = Owner::Tenant("acme".into());
    let tenant = json!({
        "name": "acme-corp", "phase": "trial", "quotas": {"users": 150, "storage": "500Gi", "calls": "unlimited"},
        "values": {"services": ["auth", "orders"]}
    });
    let variables = [("tenant", tenant.into()), ("now", "2026-01-01T00:00:00Z".into())];
    let scope = Scope::new(&owner, &variables, compiler.slots());
    template.evaluate(&scope, Some(&"auth".into()), &OneRole).map_err(|(_, error)| error)
}

fn value(text: &str) -> serde_json::Value {
    evaluate(text).expect(text).to_json()
}

fn error(text: &str) -> String {
    let error = evaluate(text).expect_err(text);
    format!("{:?}: {}{}", error.failure, error.message, error.help.map(|help| format!(" | {help}")).unwrap_or_default())
}

#[test]
fn a_whole_expression_keeps_its_type() {
    assert_eq!(value("${tenant.quotas.users}"), json!(150));
    assert_eq!(value("${tenant.phase in ['trial', 'active']}"), json!(true));
    assert_eq!(value("${tenant.values.services}"), json!(["auth", "orders"]));
    assert_eq!(value("${ {'a': tenant.quotas.users + 1} }"), json!({"a": 151}));
}

#[test]
fn inside_a_text_it_becomes_text() {
    assert_eq!(value("tenant_${ident(tenant.name)}_${each}"), json!("tenant_acme_corp_auth"));
    assert_eq!(value("$${literal} ${tenant.quotas.users}"), json!("${literal} 150"));
    assert_eq!(value("${'}' + tenant.name}!"), json!("}acme-corp!"));
}

#[test]
fn functions_agree_inside_and_outside_the_interpreter() {
    for (simple, interpreted) in [
        ("${ident(tenant.name)}", "${true ? ident(tenant.name) : ''}"),
        ("${unlimited(tenant.quotas.calls, -1)}", "${unlimited(tenant.quotas.calls, 0 - 1)}"),
        ("${quantity(tenant.quotas.storage)}", "${quantity(tenant.quotas.storage) + 0}"),
        ("${secret('db')}", "${true ? secret('db') : ''}"),
    ] {
        assert_eq!(value(simple), value(interpreted), "{simple}");
    }
    assert_eq!(value("${quantity(tenant.quotas.storage)}"), json!(536_870_912_000_i64));
    assert_eq!(value("${secret('db', 2)}"), json!("secret(acme/db, v2)"));
}

#[test]
fn resources_are_seen_and_their_outputs_are_deferred() {
    assert_eq!(value("${resources.role.name}"), json!("acme_app"));
    assert_eq!(value("${resources.role.limit + 1}"), json!(4));
    assert_eq!(value("id:${resources.role.oid}"), json!("id:(acme/role.oid, known after apply)"));
    assert!(error("${resources.role.oid == 'x'}").starts_with("Deferred: "));
    assert!(error("${ident(secret('db'))}").contains("cannot be used in a computation"));
}

#[test]
fn mistakes_are_explained() {
    insta::assert_snapshot!(error("${tenant.quotas.user}"), @"Computation: `tenant.quotas` has no field `user` | did you mean `users`?");
    insta::assert_snapshot!(error("${tennant.name}"), @"Computation: `tennant` is not a variable | did you mean `tenant`?");
    insta::assert_snapshot!(error("${idnet(tenant.name)}"), @"Computation: there is no function `idnet` | did you mean `ident`?");
    insta::assert_snapshot!(error("${ident(1)}"), @"Type: ident(integer) does not exist | write ident(text) or ident(text, limit)");
    insta::assert_snapshot!(error("${resources.rol.name}"), @"UnknownResource: there is no resource `rol` here");
    insta::assert_snapshot!(error("x ${tenant.values.services}"), @"Type: a list cannot be part of a text | convert it with json(…)");
    assert!(error("${tenant.name").starts_with("Syntax: the expression is not closed"));
    assert!(error("${tenant.}").starts_with("Syntax: "));
}

const PAGE: &str = include_str!("../../../docs/expressions.md");

#[test]
fn each_example_of_the_library_is_true() {
    let rows: Vec<_> = page::LIBRARY.iter().flat_map(|section| section.rows).collect();
    for page::Row { example, result, .. } in &rows {
        // A text with the result, so that a failure shows both.
        let both = format!("${{json([{example}, {result}])}}");
        let serde_json::Value::String(both) = value(&both) else { panic!("{example} is not a text") };
        let both: serde_json::Value = serde_json::from_str(&both).expect("JSON");
        assert_eq!(both[0], both[1], "{example}");
    }
    assert!(rows.len() > 50, "only {} examples were found", rows.len());
}

#[test]
fn the_page_has_each_function() {
    let page = page::page();
    let words: std::collections::BTreeSet<&str> = page
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
        .flat_map(|word| [word, word.trim_start_matches('.')])
        .collect();
    let methods: Vec<&str> = page.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    for name in functions::STANDARD
        .into_iter()
        .chain(functions::Function::ALL.map(functions::Function::name))
        .chain(sql::FUNCTIONS)
    {
        assert!(words.contains(name) || methods.contains(&name), "the page of functions lacks {name}");
    }
}

#[test]
fn the_page_has_each_limit() {
    let digits = |number: u64| {
        let text = number.to_string();
        let groups: Vec<&str> =
            text.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
        groups.join(",")
    };
    let sizes = [limits::SOURCE_BYTES, limits::TOKENS, limits::DEPTH, limits::ITEMS, limits::RESOURCES];
    let all = sizes.map(|size| size as u64).into_iter();
    for limit in all.chain([limits::STEPS, limits::BYTES, limits::OWNER_STEPS, limits::OWNER_BYTES]) {
        assert!(PAGE.contains(&digits(limit)), "docs/expressions.md lacks {}", digits(limit));
    }
}

#[test]
fn no_expression_takes_more_than_the_limits() {
    let list = format!("[{}]", vec!["1"; 30].join(","));
    let nested =
        |depth: usize| (0..depth).fold("1".to_owned(), |inner, level| format!("{list}.map(x{level}, {inner})"));
    let text = "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'";
    let grown = format!("{text}{}", ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')".repeat(8));
    let doubled = (0..40).fold("[1]".to_owned(), |list, level| format!("[{list}].map(y{level}, [y{level}, y{level}])"));
    let joined = format!(
        "{list}.map(x, {text}.replace('a', {text})).join({text}.replace('a', {text})).replace('a', {text}).replace('a', {text})"
    );
    let range = "lists.range(100000).map(x, lists.range(100000))";
    for source in [
        nested(6),
        format!("({} || true)", nested(6).replace("map", "exists").replace(", 1)", ", 1 > 2)")),
        grown,
        format!("json({doubled})"),
        doubled,
        joined,
        range.to_owned(),
        "lists.range(2000000000)".to_owned(),
        format!("lists.range(200000).map(x, {text}).distinct()"),
        "lists.range(20000).distinct()".to_owned(),
        "lists.range(9000).map(x, lists.range(9000).exists(y, y == x + 9000)).size()".to_owned(),
        "lists.range(99999).map(x, 'a').join().matches('(a+)+$')".to_owned(),
        "'a'.matches('((a{500}){500}){500}')".to_owned(),
        "lists.range(20000).map(x, 'a').join().indexOf(lists.range(10000).map(x, 'a').join() + 'b') == 1".to_owned(),
        "lists.range(90000).map(x, '%s').join().format(lists.range(90000)).size()".to_owned(),
        "lists.range(200000).map(x, 'a,').join().split(',').size()".to_owned(),
    ] {
        let result = evaluate(&format!("${{{source}}}")).map(|_| ());
        let error = result.expect_err(&source);
        assert_eq!(error.failure, Failure::Bound, "{source}: {}", error.message);
    }
}

#[test]
fn a_value_costs_the_same_whatever_is_beside_it() {
    let steps = |others: usize| {
        let values = (0..others).map(|index| (format!("key{index}"), json!({"name": "x", "list": [1, 2, 3]})));
        let tenant: Value = json!({"values": {"all": values.collect::<serde_json::Map<_, _>>()}}).into();
        let mut compiler = Compiler::default();
        let expressions = ["tenant.values.all[each].name", "tenant.values.all[each].list[0] + 1"]
            .map(|source| compiler.expression(source, None).expect(source));
        let owner = Owner::Tenant("acme".into());
        let variables = [("tenant", tenant)];
        let scope = Scope::new(&owner, &variables, compiler.slots());
        for expression in expressions {
            expression.evaluate(&scope, Some(&"key0".into()), &NoResources).expect("a value");
        }
        scope.spent.steps()
    };
    assert_eq!(steps(1), steps(1_000));
    assert!(steps(1) < 20);
}

#[test]
fn what_one_side_settles_needs_no_other() {
    assert_eq!(value("${tenant.values.none == 1 || true}"), json!(true));
    assert_eq!(value("${false && tenant.values.none == 1}"), json!(false));
    assert_eq!(value("${[1, 0].exists(x, 1 / x == 1)}"), json!(true));
    assert!(error("${[0, 2].exists(x, 1 / x == 1)}").contains("divides by zero"));
    assert!(error("${tenant.values.none == 1 || false}").contains("has no field `none`"));
}

#[test]
fn times_are_compared_and_never_leave_the_calendar() {
    assert_eq!(value("${timestamp(now) < timestamp('2026-01-01T00:00:01Z')}"), json!(true));
    assert!(error("${string(timestamp('9999-12-31T23:00:00Z') + duration('2h'))}").contains("years 1 to 9999"));
    assert!(error("${string(timestamp('0001-01-01T00:00:00Z') - duration('1s'))}").contains("years 1 to 9999"));
    assert!(error("${timestamp('2026-13-01T00:00:00Z')}").contains("timestamp()"));
    assert!(error("${timestamp(now)}").contains("no document can hold"));
}

#[test]
fn a_field_that_is_sql_takes_what_is_quoted() {
    let sql = |text: &str, dialect| {
        let mut compiler = Compiler::default();
        let template = Template::compile(text, Some(dialect), &mut compiler).map_err(|(_, error)| error)?;
        let owner = Owner::Tenant("acme".into());
        let tenant = json!({"name": "acme", "displayName": "O'Neill \\ Sons", "rank": -1, "live": true});
        let variables = [("tenant", tenant.into())];
        let scope = Scope::new(&owner, &variables, compiler.slots());
        template.expect("an expression").evaluate(&scope, None, &NoResources).map_err(|(_, error)| error)
    };
    let text =
        "SELECT ${sqlText(tenant.displayName)}, 1 -${tenant.rank}, ${tenant.live} FROM ${sqlIdent(tenant.name)}.t";
    assert_eq!(
        sql(text, sql::Dialect::Postgresql).map(|value| value.to_json()),
        Ok(json!("SELECT E'O''Neill \\\\ Sons', 1 -(-1), TRUE FROM \"acme\".t"))
    );
    assert_eq!(
        sql(text, sql::Dialect::Mysql).map(|value| value.to_json()),
        Ok(json!("SELECT _utf8mb4 X'4F274E65696C6C205C20536F6E73', 1 -(-1), TRUE FROM `acme`.t"))
    );
    for refused in [
        "SELECT '${tenant.displayName}'",
        "SELECT '${sqlText(tenant.displayName)}'",
        "SELECT ${tenant.displayName}",
        "${tenant.displayName}",
        "SELECT ${'1; DROP TABLE t' + ''}",
        "SELECT ${sqlText(sqlText(tenant.name))}",
        "SELECT ${sqlNumber(tenant.name)}",
        "SELECT ${sqlText(secret('db'))}",
        "SELECT ${sqlIdent('x'.replace('x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'))}",
    ] {
        for dialect in [sql::Dialect::Postgresql, sql::Dialect::Mysql] {
            assert!(sql(refused, dialect).is_err(), "{refused}");
        }
    }
    assert!(error("${sqlText(tenant.name)}").contains("it can only be the outermost function"));
}
