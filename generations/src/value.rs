//! The value of a key: the hint's age, as one of the small integers that Redis shares and so stores for nothing.

/// The event's time against the opening of its generation, in whole seconds, around [`AgeValue::OPENED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeValue(u16);

impl AgeValue {
    /// The value of an event at the moment its generation was opened.
    pub const OPENED: Self = Self(5_000);
    /// The largest of the integers that Redis shares (`OBJ_SHARED_INTEGERS` is 10,000).
    pub const MAX: Self = Self(9_999);

    /// The value of an event at `event_ms` in a generation opened at `opened_at_ms` (Unix, milliseconds).
    /// Events more than 5,000 s older or 4,999 s newer than the opening are clamped.
    #[must_use]
    pub fn of(event_ms: u64, opened_at_ms: u64) -> Self {
        let distance = i128::from(event_ms) - i128::from(opened_at_ms);
        let seconds = (distance.div_euclid(1_000) + 5_000).clamp(0, 9_999);
        Self(u16::try_from(seconds).unwrap_or(0))
    }

    /// The event's time, Unix milliseconds, to the second below it.
    #[must_use]
    pub fn event_ms(self, opened_at_ms: u64) -> u64 {
        let base = opened_at_ms.saturating_add(u64::from(self.0) * 1_000);
        base.saturating_sub(5_000_000)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Reads a value as Redis returns it. `None` for anything that [`AgeValue::of`] cannot have made.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let canonical = match value {
            [b'0'] => true,
            [first, ..] => *first != b'0' && value.iter().all(u8::is_ascii_digit),
            [] => false,
        };
        let number: u16 = std::str::from_utf8(value).ok()?.parse().ok()?;
        (canonical && number <= Self::MAX.0).then_some(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ages_beyond_the_range_are_clamped() {
        assert_eq!(AgeValue::of(1_000_000_000, 1_000_000_000), AgeValue::OPENED);
        assert_eq!(AgeValue::of(0, u64::MAX).get(), 0);
        assert_eq!(AgeValue::of(u64::MAX, 0), AgeValue::MAX);
        assert_eq!(AgeValue::of(999, 1_000).get(), 4_999);
    }

    #[test]
    fn only_canonical_numbers_in_range_are_values() {
        for bad in ["", "-1", "+1", "01", "10000", "65536", "1.0", " 1", "x"] {
            assert_eq!(AgeValue::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(AgeValue::parse(b"0").map(AgeValue::get), Some(0));
        assert_eq!(AgeValue::parse(b"9999"), Some(AgeValue::MAX));
    }

    proptest! {
        #[test]
        fn an_event_time_survives_to_the_second(opened in 5_000_000u64..u64::MAX / 2, back in -4_999_999i64..5_000_000) {
            let event = opened.saturating_add_signed(-back);
            let read = AgeValue::of(event, opened).event_ms(opened);
            prop_assert!(read <= event && event - read < 1_000);
        }

        #[test]
        fn a_value_round_trips_as_text(number in 0..10_000u16) {
            let text = number.to_string();
            prop_assert_eq!(AgeValue::parse(text.as_bytes()).map(AgeValue::get), Some(number));
        }
    }
}
