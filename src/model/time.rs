//! Converts times to and from numbers of seconds, as C and JSON have them. Infinity stands for the longest time.

use std::time::Duration;

/// Returns the time of this many seconds, `Duration::MAX` if a `Duration` cannot hold them, and `None` for negative
/// numbers and NaN.
pub(crate) fn to_duration(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Returns the number of seconds of a time, and infinity for `Duration::MAX`.
pub(crate) fn from_duration(time: Duration) -> f64 {
    if time == Duration::MAX { f64::INFINITY } else { time.as_secs_f64() }
}

/// Returns a time in whole seconds, rounded up, from 1 to 2147483. The remote side counts whole seconds. ssh takes 0
/// for no limit, and counts milliseconds in 31 bits, which is 24 days.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).clamp(1, 2_147_483)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_as_they_were_given() {
        for seconds in [0.0, 0.25, 1e9, f64::INFINITY] {
            assert_eq!(to_duration(seconds).map(from_duration), Some(seconds));
        }
        assert_eq!(to_duration(-0.0), Some(Duration::ZERO));
        for too_many in [1e300, Duration::MAX.as_secs_f64()] {
            assert_eq!(to_duration(too_many), Some(Duration::MAX), "{too_many}");
        }
        for none in [f64::NAN, f64::NEG_INFINITY, -0.5] {
            assert_eq!(to_duration(none), None, "{none}");
        }
    }

    #[test]
    fn whole_seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
    }
}
