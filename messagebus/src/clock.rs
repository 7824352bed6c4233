//! The two clocks: boot time, which decides, and wall-clock time, which only describes.

use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A moment of the machine's boot-time clock, which counts on while the machine is suspended and never
/// goes back.
///
/// Leases and barriers are judged by it: a process that was stopped and continued sees the time that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootInstant(u64);

impl BootInstant {
    /// Reads the clock.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
    }

    /// The moment this many nanoseconds after the machine's start: for tests and models of what takes a clock.
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the machine's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`; zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `duration` later.
    pub fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }
}

/// Wall-clock time in milliseconds since 1970. Other processes' clocks differ, so nothing is decided by it.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Add<Duration> for BootInstant {
    type Output = Self;

    /// The moment `duration` later.
    fn add(self, duration: Duration) -> Self {
        self.after(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let first = BootInstant::now();
        let second = BootInstant::now();
        assert!(second >= first);
        assert_eq!(first.since(second.after(Duration::from_secs(1))), Duration::ZERO);
    }

    #[test]
    fn moments_are_compared_in_nanoseconds() {
        let start = BootInstant::from_nanos(5);
        let end = start.after(Duration::from_micros(2));
        assert_eq!(end.as_nanos(), 2_005);
        assert_eq!(end.since(start), Duration::from_micros(2));
    }
}
