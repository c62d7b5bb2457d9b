//! What is asked of which system, and how long the answer took.
//!
//! A span names the system and the work; an event within it tells the time. Neither has a value of a resource: what is read or
//! written may be secret or personal, and the log is kept.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument as _, Span};

/// Does something that a system is asked for. When the answer is there, `told` puts it into words without any of its values.
pub async fn timed<T>(span: Span, work: impl Future<Output = T>, told: impl FnOnce(&T) -> String) -> T {
    let timed = async {
        let began = Instant::now();
        let answer = work.await;
        tracing::info!("{} in {}", told(&answer), length(began.elapsed()));
        answer
    };
    timed.instrument(span).await
}

/// `12 ms`, `1.5 s`.
fn length(time: Duration) -> String {
    match time.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_the_unit_that_people_read() {
        let lengths = [0, 12, 999, 1500, 61_000].map(|milliseconds| length(Duration::from_millis(milliseconds)));
        assert_eq!(lengths, ["0 ms", "12 ms", "999 ms", "1.5 s", "61.0 s"]);
    }
}
