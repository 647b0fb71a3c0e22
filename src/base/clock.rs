//! The time as OpenTelemetry counts it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a time in nanoseconds since the Unix epoch.
pub(crate) fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the time now in nanoseconds since the Unix epoch.
pub(crate) fn unix_nanos_now() -> u64 {
    unix_nanos(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_count_from_the_epoch() {
        assert_eq!(unix_nanos(UNIX_EPOCH + Duration::new(1, 5)), 1_000_000_005);
        assert_eq!(unix_nanos(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(unix_nanos(UNIX_EPOCH + Duration::from_secs(u64::MAX >> 8)), u64::MAX);
    }
}
