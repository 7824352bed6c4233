//! What `GET /generations` shows.

use generations::protocol::Flipper;
use generations::protocol::history::Verdict;
use serde::Serialize;

/// The flipper's view of the log.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Status {
    /// Whether this process works, not stands by.
    pub elected: bool,
    /// The active generation.
    pub active: Option<u64>,
    /// Writers that a barrier waits for.
    pub writers: usize,
    /// The generations that the log still speaks of.
    pub generations: Vec<GenerationStatus>,
}

/// One generation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GenerationStatus {
    /// Its number.
    pub generation: u64,
    /// When it was opened, Unix milliseconds.
    pub opened_at_ms: Option<u64>,
    /// Writers that sealed it.
    pub sealed: usize,
    /// Flippers that began to drain it.
    pub draining: usize,
    /// `active`, `closed`, `settled`, `unaudited` or `failed`.
    pub state: &'static str,
    /// Names drained, once there is a verdict.
    pub keys: Option<u64>,
    /// Its input is not read again yet.
    pub replay_open: bool,
}

impl Status {
    /// What the state machine knows.
    #[must_use]
    pub(crate) fn of(machine: &Flipper) -> Self {
        let history = machine.history();
        let open: Vec<u64> = history.open_replays().map(|(generation, _)| generation).collect();
        let active = history.active();
        let generations = history.generations().map(|(generation, entry)| {
            let (state, keys) = match &entry.verdict {
                Some(Verdict::Settled(settled)) if settled.audited => ("settled", Some(settled.keys)),
                Some(Verdict::Settled(settled)) => ("unaudited", Some(settled.keys)),
                Some(Verdict::Failed(failed)) => ("failed", Some(failed.keys)),
                None if active == Some(generation) => ("active", None),
                None => ("closed", None),
            };
            GenerationStatus {
                generation,
                opened_at_ms: entry.opened.as_ref().map(|opened| opened.opened_at_ms),
                sealed: entry.seals.len(),
                draining: entry.draining.len(),
                state,
                keys,
                replay_open: open.contains(&generation),
            }
        });
        Self {
            elected: machine.is_elected(),
            active,
            writers: history.writers(),
            generations: generations.collect(),
        }
    }
}
