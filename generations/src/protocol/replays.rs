//! What a writer has to read again of failed generations: the fold of the log, and its own progress.

use hint_schema::generation_event::{Generation, GenerationEvent, OffsetInterval};

use super::{Coverage, History};

/// The replays that are open, as this process sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replays {
    history: History,
    /// Read again by this process, into generations without a verdict: the seal that says so may not be read yet.
    own: Vec<Progress>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Progress {
    failed: Generation,
    into: Generation,
    intervals: Vec<OffsetInterval>,
}

/// A part of a failed generation's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The generation that failed.
    pub failed: Generation,
    /// One partition's offsets, start included, end not.
    pub interval: OffsetInterval,
}

impl Replays {
    /// Takes the next record of the log.
    pub fn read(&mut self, event: &GenerationEvent) {
        self.history.apply(event);
        let history = &self.history;
        self.own.retain(|progress| !history.is_judged(progress.into));
    }

    /// Takes a tombstone of the log.
    pub fn tombstone(&mut self, key: &str) {
        self.history.tombstone(key);
    }

    /// Notes that a batch's every record was answered under `into`.
    pub fn done(&mut self, failed: Generation, into: Generation, intervals: Vec<OffsetInterval>) {
        self.own.push(Progress {
            failed,
            into,
            intervals,
        });
    }

    /// The first part that nobody has read again, in the partitions that this process holds. A part that was read
    /// into a generation that fails is missing again.
    #[must_use]
    pub fn next(&self, held: &[i32]) -> Option<Missing> {
        self.history.open_replays().find_map(|(failed, range)| {
            let mut read: Coverage = self.history.read_again(failed);
            let own = self.own.iter().filter(|progress| progress.failed == failed);
            read.extend(own.flat_map(|progress| progress.intervals.iter().copied()));
            let wanted = range.intervals();
            let mut wanted = wanted
                .iter()
                .filter(|interval| held.contains(&interval.partition));
            let interval = wanted.find_map(|interval| read.gaps(interval).first().copied())?;
            Some(Missing { failed, interval })
        })
    }

    /// Whether a failed generation is still to be read again.
    #[must_use]
    pub fn is_open(&self, failed: Generation) -> bool {
        self.history.open_replays().any(|(open, _)| open == failed)
    }
}

#[cfg(test)]
mod tests {
    use hint_schema::generation_event::{Failed, FailedReason, Incarnation, Opened, Sealed, Settled};

    use super::*;

    const ME: Incarnation = Incarnation(1);

    fn interval(partition: i32, from: i64, to: i64) -> OffsetInterval {
        OffsetInterval { partition, from, to }
    }

    fn opened(generation: Generation) -> GenerationEvent {
        GenerationEvent::Opened(Opened {
            generation,
            flipper: ME,
            opened_at_ms: 0,
            closed_through: None,
            start_offsets: Vec::new(),
            nodes: Vec::new(),
        })
    }

    fn failed(generation: Generation, range: &[OffsetInterval]) -> GenerationEvent {
        GenerationEvent::Failed(Failed {
            generation,
            flipper: ME,
            reason: FailedReason::Shortfall,
            range: range.to_vec(),
            keys: 0,
            batches: 0,
            late_keys: 0,
            merged_keys: 0,
        })
    }

    fn settled(generation: Generation) -> GenerationEvent {
        GenerationEvent::Settled(Settled {
            generation,
            flipper: ME,
            keys: 0,
            batches: 0,
            late_keys: 0,
            merged_keys: 0,
            audited: true,
        })
    }

    fn sealed(generation: Generation, live: &[OffsetInterval]) -> GenerationEvent {
        GenerationEvent::Sealed(Sealed {
            generation,
            writer: "other".to_owned(),
            incarnation: ME,
            new_keys: 0,
            new_hash: 0,
            repeated_keys: 0,
            unknown: 0,
            live: live.to_vec(),
            replayed: Vec::new(),
            is_final: false,
        })
    }

    /// Generation 0 failed with 0 to 100 of partitions 0 and 1; generation 1 is active.
    fn replays() -> Replays {
        let mut replays = Replays::default();
        for event in [
            opened(0),
            opened(1),
            failed(0, &[interval(0, 0, 100), interval(1, 0, 100)]),
        ] {
            replays.read(&event);
        }
        replays
    }

    fn missing(partition: i32, from: i64, to: i64) -> Option<Missing> {
        Some(Missing {
            failed: 0,
            interval: interval(partition, from, to),
        })
    }

    #[test]
    fn each_process_reads_the_partitions_that_it_holds() {
        let replays = replays();
        assert_eq!(replays.next(&[1]), missing(1, 0, 100));
        assert_eq!(replays.next(&[0, 1]), missing(0, 0, 100));
        assert_eq!(replays.next(&[2]), None);
    }

    #[test]
    fn what_was_read_again_is_not_read_once_more_unless_its_generation_fails() {
        let mut replays = replays();
        replays.done(0, 1, vec![interval(0, 0, 60)]);
        assert_eq!(replays.next(&[0]), missing(0, 60, 100));
        replays.read(&opened(2));
        replays.read(&failed(1, &[]));
        assert_eq!(replays.next(&[0]), missing(0, 0, 100));
    }

    #[test]
    fn what_others_consumed_since_counts_until_its_generation_fails() {
        let mut replays = replays();
        replays.read(&sealed(1, &[interval(0, 40, 300)]));
        assert_eq!(replays.next(&[0]), missing(0, 0, 40));
        replays.read(&opened(2));
        replays.read(&settled(1));
        assert_eq!(replays.next(&[0]), missing(0, 0, 40));
        assert!(replays.is_open(0) && !replays.is_open(1));
    }
}
