//! Connections to one server, opened when they are needed and each used by one task at a time.
//!
//! A connection comes back only by [`Pool::release`]: one on which something failed, or whose task was cancelled, is dropped,
//! and a server undoes by itself what was not finished on it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Failed, Obstacle};

/// How long a connection may lie unused before it is asked whether it still lives.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// The connections of one target.
pub struct Pool<C> {
    permits: Arc<Semaphore>,
    /// The most unused connections that are kept.
    keep: usize,
    idle: Mutex<Vec<(C, Instant)>>,
}

/// One connection, in use by one task.
pub struct Session<C> {
    connection: C,
    _permit: OwnedSemaphorePermit,
}

impl<C> Deref for Session<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for Session<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<C> Session<C> {
    /// The connection, to be closed.
    pub fn into_inner(self) -> C {
        self.connection
    }
}

impl<C> Pool<C> {
    /// With so many connections in use at a time, one at least.
    pub fn new(concurrency: usize) -> Self {
        let keep = concurrency.max(1);
        Self { permits: Arc::new(Semaphore::new(keep)), keep, idle: Mutex::default() }
    }

    /// A connection: one that lies unused and still lives, or else a new one. Waits while as many as allowed are in use.
    ///
    /// # Errors
    /// Those of `open`, or if it takes longer than `within`.
    pub async fn acquire<F: Failed>(
        &self,
        within: Duration,
        lives: impl AsyncFn(&mut C) -> bool,
        open: impl Future<Output = Result<C, F>>,
    ) -> Result<Session<C>, F> {
        let permit = self.permit().await?;
        loop {
            let Some((mut connection, since)) = self.idle().pop() else { break };
            let is_trusted = since.elapsed() < TRUSTED_IDLE;
            if is_trusted || tokio::time::timeout(within, lives(&mut connection)).await.unwrap_or(false) {
                return Ok(Session { connection, _permit: permit });
            }
        }
        Ok(Session { connection: opened(within, open).await?, _permit: permit })
    }

    /// A new connection, beside those that lie unused.
    ///
    /// # Errors
    /// As for [`Self::acquire`].
    pub async fn acquire_new<F: Failed>(
        &self,
        within: Duration,
        open: impl Future<Output = Result<C, F>>,
    ) -> Result<Session<C>, F> {
        let permit = self.permit().await?;
        Ok(Session { connection: opened(within, open).await?, _permit: permit })
    }

    /// Gives a connection back that is as it was when it was opened.
    pub fn release(&self, session: Session<C>) {
        let mut idle = self.idle();
        if idle.len() < self.keep {
            idle.push((session.connection, Instant::now()));
        }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Obstacle> {
        self.permits.clone().acquire_owned().await.map_err(|error| Obstacle::Busy(error.to_string()))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(C, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn opened<C, F: Failed>(within: Duration, open: impl Future<Output = Result<C, F>>) -> Result<C, F> {
    let began = Instant::now();
    let connection = crate::within(within, open).await?;
    tracing::debug!("connected in {} ms", began.elapsed().as_millis());
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Trouble;

    #[tokio::test]
    async fn what_is_given_back_is_used_again_and_never_more_than_allowed() {
        let pool = Pool::new(1);
        let open = |number: u8| async move { Ok::<_, Trouble>(number) };
        let within = Duration::from_millis(20);
        let first = pool.acquire(within, async |_| true, open(1)).await.expect("it opens");
        let second = pool.acquire(within, async |_| true, open(2));
        assert!(tokio::time::timeout(within, second).await.is_err(), "the only one is in use");
        pool.release(first);
        assert_eq!(*pool.acquire(within, async |_| true, open(3)).await.expect("it is there"), 1);
        // It was not given back, so another one is opened.
        assert_eq!(*pool.acquire(within, async |_| true, open(4)).await.expect("it opens"), 4);
        let never = std::future::pending::<Result<u8, Trouble>>();
        let late = pool.acquire(within, async |_| true, never).await.err().expect("nobody answers");
        assert_eq!(late.to_string(), "no answer within 0.02 s");
    }
}
