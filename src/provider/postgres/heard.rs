//! What the server says beside success: `NOTICE` and `WARNING` messages.
//!
//! The driver hands them to nobody but `tracing`, as events of one target, at the moment when it reads them. That is while
//! the future that waits for the answer is polled. So this future runs with a subscriber that takes these events for the step
//! that is being written and passes everything else on to the one that was there.
//!
//! They do not reach the log: what a script raises may quote a secret, and the log is not masked.

use std::fmt::Debug;
use std::sync::LazyLock;

use tenantry_provider::notices;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// The target of the driver's events.
const NOTICE: &str = "sqlx::postgres::notice";

/// Made once: every new subscriber makes `tracing` ask all of them about every event of the program.
///
/// Two of them, of which one is used: where a program has a single subscriber, `tracing` asks the one of the thread that
/// reaches an event first, which may have none, and remembers that nobody wants the event.
static EARS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [Dispatch::new(Ear), Dispatch::new(Ear)]);

tokio::task_local! {
    /// Where everything else goes.
    static OTHERS: Dispatch;
}

/// Runs something, and notes what servers say meanwhile.
pub async fn listening<T>(run: impl Future<Output = T>) -> T {
    let others = tracing::dispatcher::get_default(Clone::clone);
    OTHERS.scope(others, run.with_subscriber(EARS[0].clone())).await
}

/// Takes notices, and passes on what else is said.
struct Ear;

fn is_notice(metadata: &Metadata<'_>) -> bool {
    metadata.target() == NOTICE
}

/// The server's own word for how grave it is. The driver tells it by the level of the event, and whoever configured the server
/// to send `DEBUG` messages did not mean those who apply.
fn word(level: Level) -> Option<&'static str> {
    match level {
        Level::ERROR => Some("ERROR"),
        Level::WARN => Some("WARNING"),
        Level::INFO => Some("NOTICE"),
        Level::DEBUG => None,
        Level::TRACE => Some("INFO"),
    }
}

fn others<T>(ask: impl FnOnce(&Dispatch) -> T) -> Option<T> {
    OTHERS.try_with(ask).ok()
}

struct Words(String);

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Ear {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Of anything else the others decide; this says only that it brings no interest of its own.
        if is_notice(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_notice(metadata) || others(|others| others.enabled(metadata)).unwrap_or_default()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        // Nobody is there to tell them apart.
        others(|others| others.new_span(attributes)).unwrap_or_else(|| Id::from_u64(u64::MAX))
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        others(|others| others.record(span, values));
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        others(|others| others.record_follows_from(span, follows));
    }

    fn event(&self, event: &Event<'_>) {
        if !is_notice(event.metadata()) {
            others(|others| others.event(event));
        } else if let Some(word) = word(*event.metadata().level()) {
            let mut words = Words(String::new());
            event.record(&mut words);
            notices::note(&format!("{word}: {}", words.0));
        }
    }

    fn enter(&self, span: &Id) {
        others(|others| others.enter(span));
    }

    fn exit(&self, span: &Id) {
        others(|others| others.exit(span));
    }

    fn clone_span(&self, span: &Id) -> Id {
        others(|others| others.clone_span(span)).unwrap_or_else(|| span.clone())
    }

    fn try_close(&self, span: Id) -> bool {
        others(|others| others.try_close(span)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps the targets of what it is told.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::INFO
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            self.0.lock().expect("whole").push(event.metadata().target().to_owned());
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn notices_are_heard_by_their_step_and_everything_else_goes_on_to_the_log() {
        let log = Log::default();
        let step = |name: &'static str| {
            notices::heard(listening(async move {
                tokio::task::yield_now().await;
                tracing::event!(target: NOTICE, Level::WARN, message = format!("of {name}"));
                tracing::event!(target: NOTICE, Level::DEBUG, message = "planner");
                tokio::task::yield_now().await;
                tracing::info!(target: "elsewhere", "connected");
                tracing::debug!(target: "elsewhere", "too much");
            }))
        };
        let both = async { tokio::join!(step("a"), step("b")) }.with_subscriber(log.clone());
        let (((), of_a), ((), of_b)) = both.await;
        assert_eq!((of_a, of_b), (vec!["WARNING: of a".to_owned()], vec!["WARNING: of b".to_owned()]));
        assert_eq!(*log.0.lock().expect("whole"), ["elsewhere", "elsewhere"]);
    }
}
