//! Whether anything was written on behalf of a step.
//!
//! A step of several requests can fail after the first ones were carried out, or after one of which nobody knows. What is
//! there may then be this estate's, whatever the error says, so that the step has to stay open
//! ([`is_in_doubt`](tenantry_provider::contract::ProviderError::is_in_doubt)). Only the place where requests are sent sees
//! all of them: it notes here what it has seen, for the step that runs at that time.

use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static WRITTEN: AtomicBool;
}

/// Runs a step. Returns with its result whether something was written, or may have been.
pub async fn traced<T>(step: impl Future<Output = T>) -> (T, bool) {
    let run = async {
        let result = step.await;
        (result, WRITTEN.with(|written| written.load(Ordering::Relaxed)))
    };
    WRITTEN.scope(AtomicBool::new(false), run).await
}

/// Notes that something was written, or may have been. Outside of a step, nobody asks.
pub fn note_write() {
    let _ = WRITTEN.try_with(|written| written.store(true, Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_step_has_a_trace_of_its_own() {
        let writing = traced(async {
            tokio::task::yield_now().await;
            note_write();
        });
        let reading = traced(async { tokio::task::yield_now().await });
        let (((), written), ((), read)) = tokio::join!(writing, reading);
        assert_eq!((written, read), (true, false));
        note_write();
    }
}
