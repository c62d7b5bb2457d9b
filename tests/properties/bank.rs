//! A provider whose resources are named by the target: an account's id is only known once it exists, and a card is named
//! by that id. It lives in the sandbox only.

use std::sync::{Arc, LazyLock};

use schemars::json_schema;
use tenantry_core::model::kind::{Batch, Catalogue, Kind, MarkPlace};
use tenantry_provider::contract::{ErrorClass, Provider, ProviderError, Reader, Settings, Writer};

pub struct Bank;

/// Every provider of the program, and the bank.
pub static PROVIDERS: LazyLock<Vec<Arc<dyn Provider>>> = LazyLock::new(|| {
    let mut providers = tenantry_registry::providers();
    providers.push(Arc::new(Bank));
    providers
});

pub static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(tenantry_registry::catalogue(&PROVIDERS)));

fn kind(name: &'static str, schema: schemars::Schema, identity: &'static [&'static str], mark: MarkPlace) -> Kind {
    Kind {
        name,
        summary: "Of the bank.",
        schema,
        identity,
        immutable: &[],
        write_only: &[],
        reviewed: &[],
        sensitive: &[],
        owned_by_key: &[],
        outputs: &[],
        captures: &[],
        name_limits: &[],
        references: &[],
        loses_data: false,
        bills: true,
        mark,
        batch: Batch::Single,
        defaults: tenantry_core::model::value::Map::default(),
        normalise: |_| {},
        told: None,
        check: |_| Vec::new(),
        check_together: None,
        by_spec: None,
        nesting: None,
    }
}

impl Provider for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn placement_key(&self) -> &'static str {
        "bank"
    }

    fn kinds(&self) -> Vec<Kind> {
        let text = || serde_json::json!({"type": "string"});
        let fields = |fields: serde_json::Value| json_schema!({"type": "object", "properties": fields});
        let account = fields(serde_json::json!({"name": text(), "currency": text(), "limit": {"type": "integer"}}));
        let card = fields(serde_json::json!({"account": text(), "label": text(), "pin": text()}));
        let note = fields(serde_json::json!({"key": text(), "text": text(), "code": text()}));
        vec![
            Kind {
                immutable: &["/currency"],
                outputs: &[("id", "What the bank calls it.")],
                ..kind("bank.account", account, &["name"], MarkPlace::Target)
            },
            Kind {
                write_only: &["/pin"],
                reviewed: &[],
                sensitive: &["/pin"],
                ..kind("bank.card", card, &["account", "label"], MarkPlace::Target)
            },
            kind("bank.note", note, &["key"], MarkPlace::Inventory),
        ]
    }

    fn settings_schema(&self) -> schemars::Schema {
        json_schema!({"type": "object"})
    }

    fn reader(&self, _: &Settings) -> Result<Box<dyn Reader>, ProviderError> {
        Err(closed())
    }

    fn writer(&self, _: &Settings) -> Result<Box<dyn Writer>, ProviderError> {
        Err(closed())
    }
}

fn closed() -> ProviderError {
    ProviderError::new(ErrorClass::Fatal, "going to the bank", "it is only ever simulated")
}
