//! Whose turn it is: so many requests a second, so many at a time, and none at all while the server asks for a pause.
//!
//! When one request is told to slow down, all of the target wait, not that one alone. After the pause a single request goes
//! ahead; only when it has passed do the others follow. So a pause costs one refused request for each that was on its way
//! when it began, and not one for each that is waiting.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::{MutexGuard, Semaphore, SemaphorePermit};
use tokio::time::Instant;

pub struct Gate {
    rate: DefaultDirectRateLimiter,
    slots: Semaphore,
    closed_until: Mutex<Option<Instant>>,
    /// Whether the last pause has not been followed by a request that passed.
    is_careful: AtomicBool,
    lone: tokio::sync::Mutex<()>,
}

/// A turn. The slot is free again when it is dropped.
pub struct Pass<'a> {
    _slot: SemaphorePermit<'a>,
    lone: Option<MutexGuard<'a, ()>>,
}

impl Gate {
    pub fn new(requests_per_second: u32, concurrency: usize) -> Self {
        let rate = NonZeroU32::new(requests_per_second).unwrap_or(NonZeroU32::MIN);
        // A burst of a whole second would overrun a server that counts shorter spans.
        let burst = NonZeroU32::new(requests_per_second / 10).unwrap_or(NonZeroU32::MIN);
        Self {
            rate: DefaultDirectRateLimiter::direct(Quota::per_second(rate).allow_burst(burst)),
            slots: Semaphore::new(concurrency.max(1)),
            closed_until: Mutex::new(None),
            is_careful: AtomicBool::new(false),
            lone: tokio::sync::Mutex::new(()),
        }
    }

    pub async fn enter(&self) -> Pass<'_> {
        loop {
            let slot = self.slots.acquire().await.expect("the slots are never closed");
            let lone = if self.is_careful() { Some(self.lone.lock().await) } else { None };
            // Whoever went ahead may have passed meanwhile.
            let lone = lone.filter(|_| self.is_careful());
            if let Some(until) = self.closed_until() {
                tokio::time::sleep_until(until).await;
            }
            if self.is_careful() && lone.is_none() {
                continue;
            }
            self.rate.until_ready().await;
            if self.closed_until().is_none() && (lone.is_some() || !self.is_careful()) {
                return Pass { _slot: slot, lone };
            }
        }
    }

    /// The server answered a request without asking for a pause.
    pub fn passed(&self, pass: &Pass<'_>) {
        if pass.lone.is_some() {
            self.is_careful.store(false, Ordering::Release);
        }
    }

    /// The server asked for a pause.
    pub fn close(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = Some(closed.map_or(until, |before| before.max(until)));
        self.is_careful.store(true, Ordering::Release);
    }

    fn is_careful(&self) -> bool {
        self.is_careful.load(Ordering::Acquire)
    }

    fn closed_until(&self) -> Option<Instant> {
        let closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        closed.filter(|until| *until > Instant::now())
    }
}
