//! Targets that are another system than before.

use super::super::Finding;
use super::super::build::Inputs;
use super::super::draft::Draft;
use crate::diagnostics::{Severity, codes};
use crate::fingerprint::{Other, Standing};

pub fn run(inputs: &Inputs<'_>, draft: &mut Draft) {
    let environment = inputs.environment.map(|name| format!(" --env {name}")).unwrap_or_default();
    for (target, standing) in inputs.systems.standings() {
        match standing {
            Standing::Other { was, now } => {
                let other = Other { target: target.clone(), was, now };
                let help = format!(
                    "correct the settings of the target; if it is meant to be this system from now on, run `tenantry{environment} target accept {target}`"
                );
                draft.findings.push(Finding::refusal(codes::OTHER_SYSTEM, other.to_string()).help(help));
            }
            // Where nothing could be read either, that is said already.
            Standing::Untold(reason) if is_read(inputs, target) => {
                let message = format!("target `{target}` does not reveal which system it is: {reason}");
                let help = "Tenantry could not notice another system in its place; grant the target's login the privilege that the provider's page names. This warning is shown until the first apply";
                draft.findings.push(Finding::new(codes::FINGERPRINT_UNTOLD, Severity::Warning, message).help(help));
            }
            _ => {}
        }
    }
}

fn is_read(inputs: &Inputs<'_>, target: &str) -> bool {
    inputs.observed.iter().any(|((of, _), observation)| **of == *target && observation.incomplete.is_none())
}
