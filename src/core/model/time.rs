//! Times as documents write them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Until when something counts that ends at an RFC 3339 time, or with a day in UTC. `None` for any other text.
pub fn until(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let date: Date = text.parse().ok()?;
    // The last day of the calendar has none after it.
    let end = date.tomorrow().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    Some(end.map_or(Timestamp::MAX, |end| end.timestamp()))
}

/// A time some days of 24 hours later, or the last time there is.
pub fn days_after(time: Timestamp, days: u32) -> Timestamp {
    time.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

/// The day of a time in UTC, as people read it.
pub fn day(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_to_its_end() {
        let end = until("2026-01-31").expect("a date");
        assert_eq!(end.to_string(), "2026-02-01T00:00:00Z");
        assert_eq!(until("2026-01-31T12:00:00Z").expect("a time").to_string(), "2026-01-31T12:00:00Z");
        assert_eq!(until("soon"), None);
    }

    #[test]
    fn days_are_of_24_hours() {
        let time = "2026-03-01T10:00:00Z".parse().expect("a time");
        assert_eq!(days_after(time, 30).to_string(), "2026-03-31T10:00:00Z");
        assert_eq!(days_after(Timestamp::MAX, 1), Timestamp::MAX);
        assert_eq!(day(time), "2026-03-01");
    }
}
