//! A durable simulated world that stands in for any target.
//!
//! One SQLite file holds what would be in the real systems. It keeps to the kinds' own descriptions and nothing else:
//! schemas, identities, immutable fields, references, marks. So it rehearses a plan without credentials, is the bed of the
//! engine's benchmarks, and, with a fault schedule, the engine's test double. It never stores a secret.

pub mod faults;
mod part;
mod read;
mod secrets;
mod world;
mod write;

use std::sync::{Arc, OnceLock};

pub use read::SandboxReader;
pub use secrets::SandboxSecrets;
pub use world::{Mode, World};
pub use write::SandboxWriter;

use faults::{Faults, NoFaults};
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::value::Map;
use tenantry_provider::contract::{ProviderError, Step};
use write::Validators;

/// The simulated world, and what goes wrong in it.
#[derive(Clone)]
pub struct Sandbox {
    world: World,
    catalogue: Arc<Catalogue>,
    validators: Arc<OnceLock<Validators>>,
    faults: Arc<dyn Faults>,
}

impl Sandbox {
    pub fn new(world: World, catalogue: Arc<Catalogue>) -> Self {
        Self { world, catalogue, validators: Arc::default(), faults: Arc::new(NoFaults) }
    }

    /// The same world, in which things go wrong by a schedule.
    #[must_use]
    pub fn with_faults(mut self, faults: Arc<dyn Faults>) -> Self {
        self.faults = faults;
        self
    }

    pub fn reader(&self, target: &str) -> SandboxReader {
        SandboxReader { world: self.world.clone(), target: target.into(), faults: self.faults.clone() }
    }

    /// Puts resources into a target of the world as they are said to be, with what it told of each: nothing is checked, as what
    /// is on record was written once.
    ///
    /// # Errors
    /// If the world cannot be written.
    pub async fn seed(&self, target: &str, seeds: &[(Step, Map)]) -> Result<(), ProviderError> {
        self.writer(target).seed(seeds).await
    }

    pub fn writer(&self, target: &str) -> SandboxWriter {
        SandboxWriter {
            world: self.world.clone(),
            target: target.into(),
            catalogue: self.catalogue.clone(),
            validators: self.validators.clone(),
            faults: self.faults.clone(),
        }
    }
}
