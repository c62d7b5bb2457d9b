//! Guards for tests: one that refuses, and one that takes its time.

use std::time::Duration;

use async_trait::async_trait;
use tenantry_provider::contract::{CommitGuard, LeaseLost};
use tokio::sync::Semaphore;

/// Refuses every write.
pub struct Refusing;

#[async_trait]
impl CommitGuard for Refusing {
    fn grace(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn check(&self) -> Result<(), LeaseLost> {
        Err(LeaseLost("the lock is another run's".into()))
    }
}

/// Allows every write, but only when it is let go: as a process that is stopped right before it commits.
pub struct Stopped {
    pub grace: Duration,
    pub asked: Semaphore,
    pub go: Semaphore,
}

impl Stopped {
    pub fn new(grace: Duration) -> Self {
        Self { grace, asked: Semaphore::new(0), go: Semaphore::new(0) }
    }
}

#[async_trait]
impl CommitGuard for Stopped {
    fn grace(&self) -> Duration {
        self.grace
    }

    async fn check(&self) -> Result<(), LeaseLost> {
        self.asked.add_permits(1);
        self.go.acquire().await.expect("it is never closed").forget();
        Ok(())
    }
}
