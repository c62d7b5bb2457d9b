//! Expressions on one owner, outside of any blueprint.

use super::blueprint::Blueprints;
use super::built::Built;
use super::{Inputs, OwnerResources};
use crate::expression::{Compiler, ExpressionError, Scope};
use crate::model::address::Owner;
use crate::model::document;
use crate::model::value::Value;
use crate::plan::sensitive;
use crate::resolve::Resolved;

/// What the expressions of one owner's blueprints can look at.
pub struct Console<'a> {
    owner: Owner,
    variables: Vec<(&'static str, Value)>,
    built: Built<'a>,
}

impl<'a> Console<'a> {
    /// `owners` is the expansion of `inputs`. If it `masks`, expressions find a mask in place of each sensitive value, so that
    /// no result has one. `None` if there is no such owner.
    pub fn new(
        inputs: &Inputs<'a>,
        blueprints: &Blueprints<'_>,
        resolved: &Resolved<'_>,
        owners: &[OwnerResources],
        owner: &Owner,
        masks: bool,
    ) -> Option<Self> {
        let tier = |name: &str| resolved.tiers.iter().find(|tier| tier.document.metadata.name.as_str() == name);
        let mut variables = Vec::new();
        let (scope, of_tier) = match owner {
            Owner::Estate => (document::Scope::Estate, None),
            Owner::Tier(name) => {
                variables.push(("tier", tier(name)?.value.clone()));
                (document::Scope::Tier, Some(name.clone()))
            }
            Owner::Tenant(name) => {
                let tenant = resolved.tenants.iter().find(|tenant| tenant.name() == *name)?;
                let name = tenant.tier.metadata.name.shared();
                let value = tenant.value.clone();
                variables.push(("tenant", if masks { sensitive::mask_contacts(value) } else { value }));
                variables.push(("tier", tier(&name)?.value.clone()));
                (document::Scope::Tenant, Some(name))
            }
        };
        variables.extend([("estate", resolved.estate.clone()), ("now", Value::from(inputs.now))]);
        let composition = blueprints.composition(scope, of_tier.as_deref());
        let resources = owners.iter().find(|expanded| expanded.owner == *owner).map(|expanded| &expanded.resources[..]);
        let built = Built::again(inputs.outputs, resources.unwrap_or_default(), composition, masks);
        Some(Self { owner: owner.clone(), variables, built })
    }

    /// The value of an expression, written as between `${` and `}`.
    ///
    /// # Errors
    /// If it is not an expression, or cannot be computed for this owner.
    pub fn evaluate(&self, source: &str) -> Result<Value, ExpressionError> {
        let mut compiler = Compiler::default();
        let expression = compiler.expression(source, None)?;
        let scope = Scope::new(&self.owner, &self.variables, compiler.slots());
        expression.evaluate(&scope, None, &self.built)
    }
}
