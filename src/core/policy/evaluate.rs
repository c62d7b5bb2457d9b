//! One rule on one subject.

use std::sync::Arc;

use super::compile::CompiledRule;
use super::matches;
use crate::expression::{Expression, ExpressionError, NoResources, Scope, quoted};
use crate::model::address::Owner;
use crate::model::document::Narrow;
use crate::model::value::{Value, with_article};

/// What a rule says of one subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It does not apply, or its expression is true.
    Holds,
    /// With the message.
    Broken(String),
    /// An expression cannot be computed: why, and what to do.
    Failed { message: String, help: Option<String> },
}

/// The variables of one subject.
pub type Variables = Vec<(&'static str, Value)>;

impl CompiledRule<'_> {
    /// Evaluates the rule. `owner` is only whom the limits are counted for.
    pub fn evaluate(&self, owner: &Owner, variables: &Variables) -> Outcome {
        if !applies(&self.rule.only, variables) {
            return Outcome::Holds;
        }
        let scope = Scope::new(owner, variables, 0);
        let holds = |expression: &Arc<Expression>| {
            let failed = |error: ExpressionError| failed(&expression.source, error);
            match expression.evaluate(&scope, None, &NoResources).map_err(failed)? {
                Value::Bool(holds) => Ok(holds),
                other => Err(Outcome::Failed {
                    message: format!(
                        "`{}` yields {}, not true or false",
                        quoted(&expression.source),
                        with_article(other.type_name())
                    ),
                    help: None,
                }),
            }
        };
        let outcome = match self.when.as_ref().map(&holds) {
            Some(Ok(false)) => return Outcome::Holds,
            Some(Err(failed)) => return failed,
            Some(Ok(true)) | None => holds(&self.expression),
        };
        match outcome {
            Ok(true) => Outcome::Holds,
            Err(failed) => failed,
            Ok(false) => match &self.message {
                None => Outcome::Broken(self.rule.message.trim_end().to_owned()),
                Some(template) => match template.evaluate(&scope, None, &NoResources) {
                    Ok(Value::Text(text)) => Outcome::Broken(text.trim_end().to_owned()),
                    Ok(Value::Deferred(deferred)) => Outcome::Broken(deferred.to_string()),
                    Ok(other) => Outcome::Broken(other.to_json().to_string()),
                    Err((source, error)) => failed(&source, error),
                },
            },
        }
    }
}

fn failed(source: &str, error: ExpressionError) -> Outcome {
    Outcome::Failed { message: format!("`{}`: {}", quoted(source), error.message), help: error.help }
}

/// Whether a rule is about this subject at all.
fn applies(only: &Narrow, variables: &Variables) -> bool {
    let of = |variable: &str, field: &str| {
        let (_, value) = variables.iter().find(|(name, _)| *name == variable)?;
        Some(value.get(field)?.as_str()?.to_owned())
    };
    let thing = |field: &str| of("change", field).or_else(|| of("resource", field));
    let fits = |is_all: bool, value: Option<String>, fits: &dyn Fn(&str) -> bool| {
        is_all || value.is_some_and(|value| fits(&value))
    };
    let Narrow { kinds, actions, tiers, phases } = only;
    fits(kinds.is_empty(), thing("kind"), &|kind| kinds.iter().any(|glob| matches(glob, kind)))
        && fits(actions.is_empty(), of("change", "action"), &|one| actions.iter().any(|action| action.as_str() == one))
        && fits(tiers.is_empty(), of("tenant", "tier"), &|one| tiers.iter().any(|tier| **tier == *one))
        && fits(phases.is_empty(), of("tenant", "phase"), &|one| phases.iter().any(|phase| phase.as_str() == one))
}
