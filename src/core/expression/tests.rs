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
    let template = match Template::compile(text, &mut compiler) {
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
    assert!(error("${ident(secret('db'))}").contains("is a secret"));
}

#[test]
fn mistakes_are_explained() {
    insta::assert_snapshot!(error("${tenant.quotas.user}"), @"Computation: `tenant.quotas` has no field `user` | did you mean `users`?");
    insta::assert_snapshot!(error("${tennant.name}"), @"Computation: `tennant` is not a variable | did you mean `tenant`?");
    insta::assert_snapshot!(error("${idnet(tenant.name)}"), @"Computation: there is no function `idnet` | did you mean `ident`?");
    insta::assert_snapshot!(error("${ident(1)}"), @"Type: ident(integer) does not exist | write ident(text) or ident(text, limit)");
    insta::assert_snapshot!(error("${resources.rol.name}"), @"UnknownResource: there is no resource `rol` here");
    insta::assert_snapshot!(error("x ${tenant.values.services}"), @"Type: a list cannot stand inside a text | write json(…) to have it as JSON text");
    assert!(error("${tenant.name").starts_with("Syntax: the expression is not closed"));
    assert!(error("${tenant.}").starts_with("Syntax: "));
}

#[test]
fn plain_paths_stay_out_of_the_interpreter() {
    let mut compiler = Compiler::default();
    for (source, simple) in
        [("tenant.name", true), ("ident(tenant.name)", true), ("resources[\"a\"].b", true), ("1 + 1", false)]
    {
        let expression = compiler.expression(source).expect(source);
        assert_eq!(matches!(expression.evaluator, Evaluator::Simple(_)), simple, "{source}");
    }
}
