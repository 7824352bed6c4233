//! SETs that have to go to Redis again: when, and for which batch. Pure; the ingest loop sends them.

use std::time::Duration;

use generations::protocol::BatchTag;
use generations::{AgeValue, Block, ChunkAnswer, Outcome};
use messagebus::BootInstant;

/// The first wait after a refusal; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// One SET that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) batch: BatchTag,
    pub(crate) name: Box<[u8]>,
    pub(crate) value: AgeValue,
}

/// The SETs to send again. Bounded by what may wait for Redis: no batch is polled while any is here.
#[derive(Debug, Default)]
pub(crate) struct Resend {
    sets: Vec<Again>,
    due: Option<BootInstant>,
    wait: Option<Duration>,
    block: Option<Block>,
}

impl Resend {
    /// Keeps the SETs of an answered chunk that were not written for certain, or have no answer of their own.
    pub(crate) fn keep(&mut self, answer: &ChunkAnswer, now: BootInstant) {
        if answer.is_complete() {
            return;
        }
        let is_left = |outcome| !matches!(outcome, Outcome::New | Outcome::Repeated);
        let left = answer.chunk.sets().filter(|set| is_left(set.outcome));
        self.sets.extend(left.map(|set| Again {
            batch: answer.tag,
            name: set.name.into(),
            value: set.value,
        }));
        self.block = answer.block.or(self.block);
        let moved_only = answer.blocked == 0 && answer.unanswered == 0;
        let wait = if moved_only {
            Duration::ZERO
        } else {
            self.next_wait()
        };
        self.wait_from(now, wait);
    }

    /// Keeps SETs that there was no room for.
    pub(crate) fn keep_unsent(&mut self, sets: impl IntoIterator<Item = Again>, now: BootInstant) {
        self.sets.extend(sets);
        self.wait_from(now, FIRST_WAIT);
    }

    /// Everything that is due, taken out.
    pub(crate) fn take_due(&mut self, now: BootInstant) -> Vec<Again> {
        if self.sets.is_empty() || self.due.is_some_and(|due| now < due) {
            return Vec::new();
        }
        (self.due, self.block) = (None, None);
        std::mem::take(&mut self.sets)
    }

    /// Waits longer: what blocked it still does.
    pub(crate) fn postpone(&mut self, now: BootInstant) {
        self.due = Some(now + LONGEST_WAIT);
    }

    /// Forgets the SETs of batches that were dropped.
    pub(crate) fn forget(&mut self, dropped: &[BatchTag]) {
        self.sets.retain(|again| !dropped.contains(&again.batch));
        if self.sets.is_empty() {
            *self = Self::default();
        }
    }

    /// Notes that Redis took a whole chunk: the next refusal is a new one.
    pub(crate) fn calm(&mut self) {
        if self.sets.is_empty() {
            self.wait = None;
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Why Redis refused what waits, where it refused it.
    pub(crate) fn block(&self) -> Option<Block> {
        self.block
    }

    fn next_wait(&mut self) -> Duration {
        let wait = self.wait.map_or(FIRST_WAIT, |last| (last * 2).min(LONGEST_WAIT));
        // One wait a round, however many chunks are refused in it.
        if self.due.is_none() {
            self.wait = Some(wait);
        }
        self.wait.unwrap_or(wait)
    }

    fn wait_from(&mut self, now: BootInstant, wait: Duration) {
        self.due = self.due.max(Some(now + wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> BootInstant {
        BootInstant::from_nanos(milliseconds * 1_000_000)
    }

    fn again(batch: BatchTag) -> Again {
        Again {
            batch,
            name: b"a:{example.com}s/"[..].into(),
            value: AgeValue::OPENED,
        }
    }

    #[test]
    fn nothing_goes_before_it_is_due() {
        let mut resend = Resend::default();
        resend.keep_unsent([again(1)], at(1_000));
        assert!(resend.take_due(at(1_049)).is_empty());
        assert_eq!(resend.take_due(at(1_050)), [again(1)]);
        assert!(resend.is_empty());
    }

    #[test]
    fn what_is_postponed_waits_on() {
        let mut resend = Resend::default();
        resend.keep_unsent([again(1)], at(0));
        resend.postpone(at(50));
        assert!(resend.take_due(at(1_049)).is_empty());
        assert_eq!(resend.take_due(at(1_050)).len(), 1);
    }

    #[test]
    fn dropped_batches_are_forgotten() {
        let mut resend = Resend::default();
        resend.keep_unsent([again(1), again(2)], at(0));
        resend.forget(&[1]);
        assert_eq!(resend.take_due(at(50)), [again(2)]);
    }

    #[test]
    fn each_round_of_refusals_waits_twice_as_long_up_to_a_second() {
        let mut resend = Resend::default();
        let waits: Vec<_> = (0..6)
            .map(|_| {
                let wait = resend.next_wait();
                resend.due = Some(at(0));
                assert_eq!(resend.next_wait(), wait);
                resend.due = None;
                wait.as_millis()
            })
            .collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_000]);
    }
}
