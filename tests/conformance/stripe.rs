//! Stripe.

use serde_json::json;
use tenantry_core::model::kind::Catalogue;
use tenantry_provider::conformance::{Case, Subject, check};
use tenantry_provider::contract::Provider as _;
use tenantry_stripe::Stripe;

use crate::support::stripe::{World as Account, in_account};

/// One case for each kind of Stripe.
pub fn cases() -> Vec<Case> {
    let product = || ("stripe.product", json!({"key": "pro", "name": "Pro"}));
    let price = |lookup_key: &str, amount: &str| {
        let spec = json!({"lookupKey": lookup_key, "product": "pro", "currency": "usd", "amount": amount, "interval": "month"});
        ("stripe.price", spec)
    };
    let case = |kind, needs, spec, updated, apart| Case {
        kind,
        needs,
        spec,
        updated,
        apart,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    let feature = |key: &str| ("stripe.feature", json!({"lookupKey": key, "name": key}));
    vec![
        case(
            "stripe.feature",
            vec![],
            json!({"lookupKey": "sso", "name": "SSO"}),
            json!({"lookupKey": "sso", "name": "Single sign-on", "metadata": {"a": "b"}}),
            false,
        ),
        case(
            "stripe.product",
            vec![feature("sso"), feature("audit"), feature("backup")],
            json!({"key": "pro", "name": "Pro", "features": ["sso", "audit"]}),
            json!({"key": "pro", "name": "Professional", "description": "For teams", "unitLabel": "seat", "metadata": {"a": "b"},
                "features": ["backup", "audit"]}),
            true,
        ),
        case(
            "stripe.product",
            vec![],
            json!({"key": "pro", "name": "Pro"}),
            json!({"key": "pro", "name": "Professional", "statementDescriptor": "PRO"}),
            true,
        ),
        case(
            "stripe.meter",
            vec![],
            json!({"eventName": "calls", "displayName": "Calls"}),
            json!({"eventName": "calls", "displayName": "API calls"}),
            false,
        ),
        case(
            "stripe.price",
            vec![product()],
            price("monthly", "49.00").1,
            json!({"lookupKey": "monthly", "product": "pro", "currency": "usd", "amount": "49", "interval": "month",
                "nickname": "Monthly", "metadata": {"a": "b"}}),
            false,
        ),
        case(
            "stripe.coupon",
            vec![],
            json!({"key": "welcome", "percentOff": "10"}),
            json!({"key": "welcome", "percentOff": "10", "name": "Welcome", "metadata": {"a": "b"}}),
            true,
        ),
        case(
            "stripe.customer",
            vec![],
            json!({"key": "acme", "name": "Acme"}),
            json!({"key": "acme", "name": "Acme Corp", "email": "billing@acme.example", "taxExempt": "reverse",
                "address": {"line1": "1 Street", "country": "DE"}, "preferredLocales": ["de", "en"], "metadata": {"a": "b"}}),
            true,
        ),
        case(
            "stripe.subscription",
            vec![
                product(),
                price("basic", "19.00"),
                price("pro", "49.00"),
                price("support", "9.00"),
                ("stripe.customer", json!({"key": "acme", "name": "Acme"})),
            ],
            json!({"key": "acme", "customer": "acme", "price": "basic", "trialDays": 14, "collectionMethod": "sendInvoice",
                "daysUntilDue": 30}),
            json!({"key": "acme", "customer": "acme", "price": "pro", "quantity": 5, "addOns": ["support"],
                "collectionMethod": "sendInvoice", "daysUntilDue": 14, "pauseCollection": "void", "cancelAtPeriodEnd": true,
                "metadata": {"a": "b"}}),
            true,
        ),
        case(
            "stripe.webhook_endpoint",
            vec![],
            json!({"key": "main", "url": "https://shop.example/hook", "enabledEvents": ["invoice.paid", "customer.created"]}),
            json!({"key": "main", "url": "https://shop.example/other", "enabledEvents": ["*"], "description": "Shop",
                "disabled": true, "metadata": {"a": "b"}}),
            true,
        ),
    ]
}

#[test]
fn stripe_conforms() {
    in_account("stripe_conforms", async |account: &Account| {
        let catalogue = Catalogue::new(Stripe.kinds());
        let mut nobody = account.settings("sk_test_tenantry");
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        nobody.values.insert("url".to_owned(), "http://127.0.0.1:9".into());
        let unreachable = Stripe.reader(&nobody).expect("valid settings");
        let (reader, writer) = (account.reader(), account.writer());
        let other = account.reader();
        let subject = Subject {
            catalogue: &catalogue,
            reader: &*reader,
            other: &*other,
            writer: &*writer,
            unreachable: &*unreachable,
        };
        let mut violations = Vec::new();
        for case in cases() {
            violations.extend(check(&subject, &case).await);
        }
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    });
}
