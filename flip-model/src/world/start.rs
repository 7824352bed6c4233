//! The first state: generation 0 is open, and every writer holds a lease for it.

use std::sync::Arc;
use std::time::Duration;

use generations::protocol::{BooksPolicy, FlipperEvent, FlipperSettings};

use super::flipper::FlipperProcess;
use super::writer::WriterProcess;
use super::{Common, Facts, Input, Known, Log, Redis, Shared, World};
use crate::scenario::{Faults, Scenario};

impl World {
    /// The first state of a scenario.
    #[must_use]
    pub fn start(scenario: Arc<Scenario>) -> Self {
        let partitions = scenario.input.len();
        let (writers, flippers) = (scenario.writers, scenario.flippers);
        let mut world = Self {
            common: Common {
                scenario,
                endless: false,
            },
            clock: 0,
            incarnations: 0,
            writers: Vec::new(),
            flippers: Vec::new(),
            log: Shared::new(Log::default()),
            redis: Shared::new(Redis::default()),
            input: Shared::new(Input {
                owner: (0..partitions).map(|partition| partition % writers).collect(),
                committed: vec![0; partitions],
                epoch: vec![0; partitions],
            }),
            facts: Shared::new(Facts::default()),
            spent: Faults::default(),
            fate: Known::default(),
        };
        for index in 0..writers {
            let incarnation = world.fresh_incarnation();
            let writer = WriterProcess::new(index, incarnation, vec![0; partitions]);
            world.writers.push(Shared::new(writer));
        }
        for _ in 0..flippers {
            let incarnation = world.fresh_incarnation();
            let flipper = FlipperProcess::new(incarnation, world.settings());
            world.flippers.push(Shared::new(flipper));
        }
        world.open_the_first();
        for action in world.scenario().first.clone() {
            debug_assert!(world.enabled().contains(&action), "{action:?} cannot happen");
            world.act(action);
        }
        world
    }

    /// A flipper opens the next generation as soon as it may: whatever makes it open one early is contained in
    /// that, and to open it later is to be slow.
    pub(super) fn settings(&self) -> FlipperSettings {
        FlipperSettings {
            interval: Duration::ZERO,
            max_urls: u64::MAX,
            books: self.scenario().books.unwrap_or(BooksPolicy::Visible),
        }
    }

    fn open_the_first(&mut self) {
        for cluster in 0..2 {
            self.look(cluster);
        }
        for flipper in 0..self.flippers.len() {
            self.tell_flipper(flipper, FlipperEvent::CaughtUp);
        }
        self.set_elected(0, true);
        self.snapshot(0, 0);
        self.publish(0);
        for writer in 0..self.writers.len() {
            self.tick(writer);
            self.publish_heartbeat(writer);
            self.writer_reads(writer);
        }
        for flipper in 0..self.flippers.len() {
            self.flipper_reads(flipper);
            self.set_elected(flipper, true);
        }
    }
}
