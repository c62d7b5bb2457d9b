//! Parameters as Stripe wants them: `items[0][price]=…`, everything as text, an empty value to clear a field.

use url::form_urlencoded::Serializer;

/// Parameters of one request, in order: the same parameters are the same text.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    pub fn extend(&mut self, other: Form) {
        self.0.extend(other.0);
    }

    /// These parameters as parts of another: the name `_decimal` below `tiers[0]` and `unit_amount` is
    /// `tiers[0][unit_amount_decimal]`.
    #[must_use]
    pub fn below(self, parent: &str, stem: &str) -> Self {
        Self(self.0.into_iter().map(|(name, value)| (format!("{parent}[{stem}{name}]"), value)).collect())
    }

    pub fn encoded(&self) -> String {
        Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_encoded() {
        let form = Form::new().with("metadata[a&b]", "x=1 ü").with("name", "");
        assert_eq!(form.encoded(), "metadata%5Ba%26b%5D=x%3D1+%C3%BC&name=");
    }
}
