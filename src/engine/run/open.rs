//! A target while it is written to: its limits, and as many tries as make sense.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::super::fresh::Ready;
use super::super::observe::describe;
use super::super::request::Event;
use super::super::trace::timed;
use super::{Run, locked};
use tenantry_core::model::kind::Batch;
use tenantry_core::model::resource::TargetName;
use tenantry_provider::contract::{CommitGuard, ErrorClass, ProviderError, Step, WriteError, Writer, Written};

/// How often a request is tried again that may succeed later. With the delays below, about half a minute in all: longer
/// than a failover takes, and shorter than a pipeline's patience.
const RETRIES: usize = 6;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

pub struct Open {
    target: TargetName,
    writer: Box<dyn Writer>,
    concurrency: Semaphore,
    rate: Option<DefaultDirectRateLimiter>,
    /// Until when the target asked for quiet. It asked whoever talks to it, not only the request that it refused.
    quiet_until: Mutex<Option<Instant>>,
}

impl Open {
    fn be_quiet_for(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut quiet_until = locked(&self.quiet_until);
        *quiet_until = Some(quiet_until.map_or(until, |already| already.max(until)));
    }

    async fn wait_for_quiet_to_end(&self) {
        loop {
            let until = *locked(&self.quiet_until);
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    /// See [`Writer::prove`].
    pub(super) async fn prove(&self, step: &Step) -> Result<(), ProviderError> {
        let _permit = self.concurrency.acquire().await;
        self.wait_for_quiet_to_end().await;
        self.writer.prove(step).await
    }

    /// One call, once the target's limits allow it.
    async fn call(&self, steps: &[Step], guard: &dyn CommitGuard) -> Result<Vec<Written>, WriteError> {
        let _permit = self.concurrency.acquire().await;
        if let Some(rate) = &self.rate {
            for _ in steps {
                rate.until_ready().await;
            }
        }
        self.wait_for_quiet_to_end().await;
        let of = steps.iter().map(|step| step.mark.address.to_string()).collect::<Vec<_>>().join(", ");
        let told = |result: &Result<Vec<Written>, WriteError>| match result {
            Ok(_) => "written".to_owned(),
            Err(failure) => format!("failed ({:?})", failure.error.class),
        };
        timed(tracing::info_span!("write", target = &*self.target, of), self.writer.write_guarded(steps, guard), told)
            .await
    }
}

impl Run<'_> {
    /// Opens every target that something is written to.
    pub(super) fn open(&mut self, ready: &[Ready<'_>]) {
        let writes = |ready: &&Ready<'_>| !ready.only_record || ready.replaced.is_some();
        let names: HashSet<&TargetName> = ready.iter().filter(writes).map(|ready| &ready.change.target).collect();
        let targets = self.request.targets;
        for name in names {
            let table = targets.environment.targets.get(name);
            let parallelism = targets.environment.limits.parallelism;
            let concurrency = table.and_then(|table| table.concurrency).unwrap_or(parallelism);
            let rate = table.and_then(|table| table.rate).or_else(|| targets.default_rate(name));
            let open = targets.writer(name).map_err(|error| describe(&error)).map(|writer| Open {
                target: name.clone(),
                writer,
                concurrency: Semaphore::new(concurrency.max(1)),
                rate: rate
                    .and_then(NonZeroU32::new)
                    .map(|rate| DefaultDirectRateLimiter::direct(Quota::per_second(rate))),
                quiet_until: Mutex::default(),
            });
            self.targets.insert(name.clone(), open);
        }
    }

    /// Writes steps. What of a sequence was done is not written again when a later step is tried once more.
    pub(super) async fn write(
        &self,
        guard: &dyn CommitGuard,
        target: &TargetName,
        steps: &[Step],
    ) -> Result<Vec<Written>, WriteError> {
        let Some(first) = steps.first() else { return Ok(Vec::new()) };
        let cannot = |cause: &str| {
            let error = ProviderError::new(ErrorClass::Fatal, format!("opening target `{target}`"), cause);
            WriteError { step: 0, done: Vec::new(), error }
        };
        let open = match self.targets.get(target) {
            Some(Ok(open)) => open,
            Some(Err(reason)) => return Err(cannot(reason)),
            None => return Err(cannot("it was not opened")),
        };
        let is_sequence = first.kind.batch == Batch::Sequence;
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(RETRIES)
            .build();
        let mut written: Vec<Written> = Vec::with_capacity(steps.len());
        // Steps that were tried before and got no answer: they may have been done, whatever the last try is told.
        let mut in_doubt: HashSet<usize> = HashSet::new();
        loop {
            let WriteError { step, done, mut error } = match open.call(&steps[written.len()..], guard).await {
                Ok(rest) => {
                    written.extend(rest);
                    return match written.len() == steps.len() {
                        true => Ok(written),
                        false => Err(short(steps, written)),
                    };
                }
                Err(error) => error,
            };
            let failed = written.len() + step;
            error.is_in_doubt |= if is_sequence { in_doubt.contains(&failed) } else { !in_doubt.is_empty() };
            if error.is_in_doubt || error.class == ErrorClass::Retryable {
                in_doubt.insert(failed);
            }
            if is_sequence {
                written.extend(done);
                if written.len() != failed {
                    return Err(short(steps, written));
                }
            }
            let delay = match (error.class, delays.next()) {
                (ErrorClass::Throttled { retry_after: Some(wait) }, Some(delay)) => wait.max(delay.min(FIRST_DELAY)),
                (class, Some(delay)) if class.is_transient() => delay,
                _ => return Err(WriteError { step: failed, done: written, error }),
            };
            if self.request.cancel.is_cancelled() || self.lost.is_cancelled() {
                return Err(WriteError { step: failed, done: written, error });
            }
            self.request.progress.event(&Event::Retrying {
                target,
                reason: self.mask(&error.to_string()),
                after_milliseconds: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            });
            if matches!(error.class, ErrorClass::Throttled { .. }) {
                open.be_quiet_for(delay);
            } else {
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// A provider that did not answer for every step: whether the others were written is not known.
fn short(steps: &[Step], done: Vec<Written>) -> WriteError {
    let cause = format!("the provider answered for {} of {} steps", done.len(), steps.len());
    let mut error = ProviderError::new(ErrorClass::Fatal, "writing", cause);
    error.is_in_doubt = true;
    WriteError { step: done.len().min(steps.len().saturating_sub(1)), done, error }
}
