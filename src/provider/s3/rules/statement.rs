//! Statements of a policy in its normal form.

use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;

/// One statement.
pub struct Statement<'a> {
    pub value: &'a Value,
    pub pointer: String,
}

impl<'a> Statement<'a> {
    /// The texts of a list.
    pub fn texts(&self, field: &str) -> Vec<&'a str> {
        let list = self.value.get(field).and_then(Value::as_list).unwrap_or_default();
        list.iter().filter_map(Value::as_str).collect()
    }

    /// Whether all of a list is known.
    pub fn is_known(&self, field: &str) -> bool {
        self.value.get(field).is_some_and(|value| !value.has_deferred())
    }
}

/// The statements of the policy that a bucket or user has.
pub fn statements(desired: &Desired) -> Vec<Statement<'_>> {
    let list = desired.spec.get("policy").and_then(|policy| policy.get("Statement")).and_then(Value::as_list);
    let statement = |(index, value)| Statement { value, pointer: format!("/policy/Statement/{index}") };
    list.unwrap_or_default().iter().enumerate().map(statement).collect()
}
