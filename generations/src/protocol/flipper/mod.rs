//! The flipper's side of the flip: when to open, when the barrier is passed, when to drain, what the verdict
//! is, what may be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hint_schema::generation_event::{Failed, Generation, GenerationEvent, Incarnation, Settled};
use messagebus::clock::BootInstant;

use super::history::History;
use super::{BARRIER_BY_TIME, LEASE};
use crate::ClusterName;

mod closing;
mod event;
mod opening;

use closing::Closing;
pub use event::{ClusterView, FlipperEffect, FlipperEvent, FlipperSettings, Trigger};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct ClusterWatch {
    view: Option<ClusterView>,
    /// Since when some slot's owner has not answered.
    silent_since: Option<BootInstant>,
    /// This silence made us hand the election over already.
    resigned: bool,
}

impl ClusterWatch {
    fn silent_for(&self, now: BootInstant, span: Duration) -> bool {
        self.silent_since.is_some_and(|since| now >= since + span)
    }
}

/// One incarnation of a flipper.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flipper {
    me: Incarnation,
    settings: FlipperSettings,
    history: History,
    caught_up: bool,
    elected: bool,
    /// When the first `Opened` of each generation was read, by this process's own clock.
    opened_seen: BTreeMap<Generation, BootInstant>,
    /// Barriers passed: whether by seals (true) or by time.
    barriers: BTreeMap<Generation, bool>,
    clusters: [ClusterWatch; 2],
    opening: Option<(Generation, Trigger)>,
    /// The highest generation whose `Opened` we published. A second one would say something else under the same
    /// key, and compaction would keep that.
    published: Option<Generation>,
    closing: BTreeMap<Generation, Closing>,
    replays_published: BTreeSet<Generation>,
    /// Asked for by hand, until the end of their range is known.
    replays_asked: BTreeSet<Generation>,
    tombstones_asked: BTreeSet<String>,
    flip_asked: bool,
}

impl Flipper {
    /// A flipper that has read nothing yet.
    #[must_use]
    pub fn new(me: Incarnation, settings: FlipperSettings) -> Self {
        Self {
            me,
            settings,
            history: History::default(),
            caught_up: false,
            elected: false,
            opened_seen: BTreeMap::new(),
            barriers: BTreeMap::new(),
            clusters: [ClusterWatch::default(), ClusterWatch::default()],
            opening: None,
            published: None,
            closing: BTreeMap::new(),
            replays_published: BTreeSet::new(),
            replays_asked: BTreeSet::new(),
            tombstones_asked: BTreeSet::new(),
            flip_asked: false,
        }
    }

    /// The log as read so far.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whether inexact books fail.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.settings.books == super::BooksPolicy::Strict
    }

    /// Whether this process works, not stands by.
    #[must_use]
    pub fn is_elected(&self) -> bool {
        self.elected
    }

    /// Why the generation that is being opened is opened.
    #[must_use]
    pub fn opening(&self) -> Option<(Generation, Trigger)> {
        self.opening
    }

    /// Takes one event at `now`, the boot-time clock, and says what to do, in order.
    pub fn step(&mut self, now: BootInstant, event: FlipperEvent) -> Vec<FlipperEffect> {
        let mut effects = Vec::new();
        match event {
            FlipperEvent::Control(event) => self.control(now, &event, &mut effects),
            FlipperEvent::Tombstone(key) => {
                self.tombstones_asked.remove(&key);
                self.history.tombstone(&key);
            }
            FlipperEvent::CaughtUp => self.caught_up = true,
            FlipperEvent::Elected(elected) => self.election(elected, &mut effects),
            FlipperEvent::Seen { cluster, view } => self.seen(now, cluster, view),
            FlipperEvent::Snapshot {
                generation,
                nodes,
                start_offsets,
                at_ms,
            } => {
                self.publish_opened(generation, nodes, start_offsets, at_ms, &mut effects);
            }
            FlipperEvent::Drained { generation, report } => self.drained(generation, report, &mut effects),
            FlipperEvent::EndOffsets { generation, log } => {
                self.publish_failed(generation, &log, &mut effects);
                self.publish_replay_asked(generation, &log, &mut effects);
            }
            FlipperEvent::FlipAsked => self.flip_asked = true,
            FlipperEvent::ReplayAsked(generation) => {
                if self.elected && self.history.is_judged(generation) {
                    self.replays_asked.insert(generation);
                    effects.push(FlipperEffect::ReadEndOffsets(generation));
                }
            }
            FlipperEvent::Tick => {}
        }
        self.pass_barriers(now);
        if self.elected && self.caught_up {
            self.close(now, &mut effects);
            self.close_replays(&mut effects);
            self.hand_over_when_blind(now, &mut effects);
            self.open_when_due(now, &mut effects);
            self.tombstone_garbage(&mut effects);
        }
        effects
    }

    fn watch(&self, generation: Generation) -> &ClusterWatch {
        let [a, b] = &self.clusters;
        match ClusterName::of(generation) {
            ClusterName::A => a,
            ClusterName::B => b,
        }
    }

    fn control(&mut self, now: BootInstant, event: &GenerationEvent, effects: &mut Vec<FlipperEffect>) {
        self.history.apply(event);
        match event {
            GenerationEvent::Opened(opened) => {
                self.opened_seen.entry(opened.generation).or_insert(now);
                if self
                    .opening
                    .is_some_and(|(generation, _)| generation <= opened.generation)
                {
                    self.opening = None;
                }
            }
            GenerationEvent::Settled(Settled { generation, .. })
            | GenerationEvent::Failed(Failed { generation, .. }) => {
                // Another's verdict, or our own read back: this generation is nobody's to drain any more.
                if self.closing.remove(generation).is_some() {
                    effects.push(FlipperEffect::StopDrain(*generation));
                }
            }
            GenerationEvent::Heartbeat(_) => {
                self.tombstones_asked.remove(&event.key());
            }
            GenerationEvent::Draining(draining) if draining.flipper == self.me => {
                self.begin_draining(draining.generation, effects);
            }
            GenerationEvent::Sealed(_)
            | GenerationEvent::Draining(_)
            | GenerationEvent::ReplayAsked(_)
            | GenerationEvent::Replayed(_) => {}
        }
    }

    fn election(&mut self, elected: bool, effects: &mut Vec<FlipperEffect>) {
        if self.elected && !elected {
            // A verdict that is on its way stays the only one of this incarnation, whoever is elected next.
            self.closing.retain(|generation, closing| {
                let is_judged = matches!(closing, Closing::Judged);
                if !is_judged {
                    effects.push(FlipperEffect::StopDrain(*generation));
                }
                is_judged
            });
            self.opening = None;
            self.tombstones_asked.clear();
            self.replays_published.clear();
            self.replays_asked.clear();
        }
        self.elected = elected;
    }

    fn seen(&mut self, now: BootInstant, cluster: ClusterName, view: ClusterView) {
        let [a, b] = &mut self.clusters;
        let watch = match cluster {
            ClusterName::A => a,
            ClusterName::B => b,
        };
        watch.view = Some(view);
        if view.reachable {
            watch.silent_since = None;
            watch.resigned = false;
        } else {
            watch.silent_since.get_or_insert(now);
        }
    }

    /// barrier(g): we have read past the first `Opened(g+1)`, and every writer of g sealed it, or the
    /// longest lease for g has lapsed by our own clock (I2).
    ///
    /// Not before the log was read to its end: compaction leaves a writer's latest heartbeat, which may stand
    /// anywhere behind that `Opened`, so the list of writers is complete only there.
    fn pass_barriers(&mut self, now: BootInstant) {
        let Some(active) = self.history.active().filter(|_| self.caught_up) else {
            return;
        };
        let closed: Vec<Generation> = self.unjudged(active).collect();
        let oldest = closed.first().copied().unwrap_or(active);
        self.barriers.retain(|generation, _| *generation >= oldest);
        self.opened_seen.retain(|generation, _| *generation >= oldest);
        for generation in closed {
            let Some(&next_opened) = self.opened_seen.get(&(generation + 1)) else {
                continue;
            };
            if self.barriers.contains_key(&generation) {
                continue;
            }
            if self.history.missing_seals(generation).is_empty() {
                self.barriers.insert(generation, true);
            } else if now >= next_opened + BARRIER_BY_TIME {
                self.barriers.insert(generation, false);
                self.history.retire_unsealed(generation);
            }
        }
    }

    /// A flipper that cannot reach a cluster gives another one the chance before it fails a turn.
    fn hand_over_when_blind(&mut self, now: BootInstant, effects: &mut Vec<FlipperEffect>) {
        for watch in &mut self.clusters {
            if watch.silent_for(now, LEASE) && !watch.resigned {
                watch.resigned = true;
                effects.push(FlipperEffect::Resign);
            }
        }
    }

    fn tombstone_garbage(&mut self, effects: &mut Vec<FlipperEffect>) {
        let mut keys = self.history.garbage();
        keys.retain(|key| self.tombstones_asked.insert(key.clone()));
        if !keys.is_empty() {
            effects.push(FlipperEffect::Tombstone(keys));
        }
    }
}
