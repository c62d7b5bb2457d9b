//! The frame of the writing half: one step after the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::Failed;
use tenantry_provider::contract::{CommitGuard, ProviderError, Step, WriteError, Writer, Written};
use tenantry_provider::notices::{heard, without_secrets};
use tenantry_transport::traced;

/// A target where each step stands for itself. [`InTurn`] makes a writer of it.
#[async_trait]
pub trait Steps: Send + Sync {
    type Failure: Failed;

    /// Whether a step asks the guard itself, right before it writes. Else it is asked before each step.
    const ASKS_GUARD: bool = false;

    /// Writes one step. What exists already with the step's own mark, and what is gone already, is success.
    ///
    /// # Errors
    /// If it is not done, or nobody knows.
    async fn step(&self, step: &Step, guard: &dyn CommitGuard) -> Result<Written, Self::Failure>;

    /// What a step does, for messages.
    fn attempted(&self, step: &Step) -> String {
        step.attempted(&step.identity)
    }

    /// Values that stand in no error.
    fn hidden(&self, step: &Step) -> Vec<Arc<str>> {
        step.secret_values()
    }

    /// Called when a step failed, and told whether anything was written on its behalf. Answers whether it may have been done
    /// all the same.
    async fn failed(&self, step: &Step, failure: Self::Failure, is_written: bool) -> (Self::Failure, bool) {
        let _ = step;
        (failure, is_written)
    }

    /// Called with the steps that were done, before they are told.
    ///
    /// # Errors
    /// If the last of them has to be repeated.
    async fn finish(&self, done: &[Step]) -> Result<(), Self::Failure> {
        let _ = done;
        Ok(())
    }

    /// See [`Writer::prove`].
    ///
    /// # Errors
    /// If the target would refuse it.
    async fn prove(&self, step: &Step) -> Result<(), Self::Failure> {
        let _ = step;
        Ok(())
    }

    /// What proving a step does, for messages.
    fn trying(&self, step: &Step) -> String {
        format!("trying {}", step.identity)
    }
}

/// Writes one step after the other, up to the first that fails.
pub struct InTurn<S>(pub S);

fn error_of<S: Steps>(steps: &S, batch: &[Step], index: usize, done: Vec<Written>, failure: S::Failure) -> WriteError {
    let hidden = batch.iter().flat_map(|step| steps.hidden(step));
    failed(failure.into_provider_error(steps.attempted(&batch[index])), index, done, hidden)
}

#[async_trait]
impl<S: Steps> Writer for InTurn<S> {
    async fn write_guarded(&self, batch: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        write_in_turn(&self.0, batch, guard).await
    }

    async fn prove(&self, step: &Step) -> Result<(), ProviderError> {
        self.0.prove(step).await.map_err(|failure| {
            let mut error = failure.into_provider_error(self.0.trying(step));
            error.mask(self.0.hidden(step));
            error
        })
    }
}

/// As [`InTurn`] does it, for a writer that does something else besides.
///
/// # Errors
/// Those of [`Writer::write_guarded`].
pub async fn write_in_turn<S: Steps>(
    steps: &S,
    batch: &[Step],
    guard: &dyn CommitGuard,
) -> Result<Vec<Written>, WriteError> {
    let mut done = Vec::with_capacity(batch.len());
    for (index, step) in batch.iter().enumerate() {
        if !S::ASKS_GUARD
            && let Err(lost) = guard.check().await
        {
            return Err(lost.of_step(index, done, steps.attempted(step)));
        }
        let (traced, notices) = heard(traced(steps.step(step, guard))).await;
        match traced {
            (Ok(written), _) => {
                let notices = without_secrets(notices, steps.hidden(step));
                done.push(Written { notices, ..written });
            }
            (Err(failure), is_written) => {
                let (failure, is_in_doubt) = steps.failed(step, failure, is_written).await;
                if let Err(failure) = steps.finish(&batch[..index]).await {
                    tracing::warn!("an earlier write is not finished: {failure}");
                }
                let mut failed = error_of(steps, batch, index, done, failure);
                failed.error.is_in_doubt = is_in_doubt;
                return Err(failed);
            }
        }
    }
    if !batch.is_empty()
        && let Err(failure) = steps.finish(batch).await
    {
        // Repeating the last step finishes again.
        done.pop();
        return Err(error_of(steps, batch, batch.len() - 1, done, failure));
    }
    Ok(done)
}

/// The failure of one step of a batch, without the secrets of any.
pub fn failed(
    mut error: ProviderError,
    step: usize,
    done: Vec<Written>,
    hidden: impl IntoIterator<Item = Arc<str>>,
) -> WriteError {
    error.mask(hidden);
    WriteError { step, done, error }
}

/// What is waited for, as long as it does not take longer than `within`.
///
/// # Errors
/// Its own, or that it is late.
pub fn within<T, F: Failed>(
    within: Duration,
    what: impl Future<Output = Result<T, F>>,
) -> impl Future<Output = Result<T, F>> {
    // What a driver does for one request is large, and is moved about as a part of everything that waits for it.
    let what = Box::pin(what);
    async move { tokio::time::timeout(within, what).await.unwrap_or_else(|_| Err(F::late(within))) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::fixture::{Trouble, step};
    use tenantry_provider::contract::{ErrorClass, LeaseLost};

    /// Writes what is not called `bad`, and notes what was finished.
    #[derive(Default)]
    struct Target {
        finished: Mutex<Vec<usize>>,
    }

    #[async_trait]
    impl Steps for Target {
        type Failure = Trouble;

        async fn step(&self, step: &Step, _: &dyn CommitGuard) -> Result<Written, Trouble> {
            tenantry_transport::note_write();
            match &*step.identity {
                "bad" => Err(Trouble::conflict("somebody wrote hunter2")),
                "loud" => {
                    tenantry_provider::notices::note("NOTICE: the password is hunter2");
                    Ok(Written::default())
                }
                _ => Ok(Written::default()),
            }
        }

        async fn finish(&self, done: &[Step]) -> Result<(), Trouble> {
            self.finished.lock().expect("no panic").push(done.len());
            match done.last() {
                Some(last) if &*last.identity == "unsaved" => Err(Trouble::busy("no room")),
                _ => Ok(()),
            }
        }
    }

    /// Lets so many steps pass.
    struct Passes(Mutex<usize>);

    fn always() -> Passes {
        Passes(Mutex::new(usize::MAX))
    }

    #[async_trait]
    impl CommitGuard for Passes {
        fn grace(&self) -> Duration {
            Duration::from_secs(1)
        }

        async fn check(&self) -> Result<(), LeaseLost> {
            let mut left = self.0.lock().expect("no panic");
            *left = left.checked_sub(1).ok_or_else(|| LeaseLost("another run holds the lock".to_owned()))?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_first_failure_ends_the_batch_and_quotes_no_secret() {
        let writer = InTurn(Target::default());
        let failed = writer.write_guarded(&[step("a"), step("bad"), step("b")], &always()).await.expect_err("it fails");
        assert_eq!((failed.step, failed.done.len(), failed.error.class), (1, 1, ErrorClass::Conflict));
        assert_eq!(failed.error.to_string(), "creating jar \"bad\": somebody wrote (secret)");
        assert!(failed.error.is_in_doubt);
        assert_eq!(*writer.0.finished.lock().expect("no panic"), [1]);
    }

    #[tokio::test]
    async fn what_a_server_says_beside_success_is_told_of_its_own_step_and_quotes_no_secret() {
        let writer = InTurn(Target::default());
        let done = writer.write_guarded(&[step("a"), step("loud"), step("b")], &always()).await.expect("all is done");
        let said: Vec<&[String]> = done.iter().map(|written| &*written.notices).collect();
        assert_eq!(said, [&[][..], &["NOTICE: the password is (secret)".to_owned()][..], &[][..]]);
    }

    #[tokio::test]
    async fn nothing_is_written_once_the_lock_is_lost() {
        let writer = InTurn(Target::default());
        let guard = Passes(Mutex::new(1));
        let lost = writer.write_guarded(&[step("a"), step("b")], &guard).await.expect_err("the lock is lost");
        assert_eq!((lost.step, lost.done.len()), (1, 1));
        assert!(lost.error.cause.contains("another run holds the lock"), "{lost}");
        assert!(writer.0.finished.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn a_batch_that_cannot_be_finished_repeats_its_last_step() {
        let writer = InTurn(Target::default());
        assert_eq!(writer.write_guarded(&[step("a"), step("b")], &always()).await.map(|done| done.len()).ok(), Some(2));
        let failed = writer.write_guarded(&[step("a"), step("unsaved")], &always()).await.expect_err("it is not saved");
        assert_eq!((failed.step, failed.done.len(), failed.error.class), (1, 1, ErrorClass::Retryable));
        assert!(writer.write_guarded(&[], &always()).await.is_ok());
    }

    #[tokio::test]
    async fn what_takes_too_long_is_late() {
        let never = std::future::pending::<Result<(), Trouble>>();
        let late = within(Duration::from_millis(5), never).await.expect_err("nobody answers");
        assert_eq!(late.to_string(), "no answer within 0.005 s");
    }
}
