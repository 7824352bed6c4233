//! What happens when trouble is over: everybody does all they can, in turn, and time passes.

use super::{Action, World};
use crate::scenario::Whose;

/// Rounds in which everything has to come through: each lets every process do all it can, then time passes.
const ROUNDS: u8 = 24;
/// Actions of one round; what is not done then is done in the next.
const ACTIONS: usize = 80;

/// What comes of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Something else than time and trouble is still to happen: the states behind it will tell.
    Open,
    /// Two more generations open, every record is committed, nothing is left to read again.
    Through,
    /// Not all of that, or a drain goes on without end.
    Stuck,
    /// A committed record was lost on the way.
    Lost,
}

impl World {
    /// Whether nothing can happen but trouble and time.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.enabled()
            .iter()
            .all(|action| action.is_trouble() || *action == Action::Pass)
    }

    /// What comes of this state without further trouble. What is out of reach stays so, unless both clusters are.
    pub(super) fn fate(&self) -> Fate {
        if self.is_broken() || !self.is_quiet() {
            return Fate::Open;
        }
        *self.fate.0.get_or_init(|| {
            if self.drains_what_is_judged() {
                Fate::Stuck
            } else {
                self.play_out()
            }
        })
    }

    /// Whether, from here on without trouble, the generations go on and every record comes through.
    #[must_use]
    pub fn comes_through(&self) -> bool {
        self.play_out() == Fate::Through
    }

    fn play_out(&self) -> Fate {
        let mut world = self.clone();
        world.common.endless = true;
        if world.redis.cuts.iter().all(Option::is_some) {
            world.give_back(1, false);
        }
        if !world.flippers.iter().any(|flipper| flipper.elected) {
            world.set_elected(0, true);
        }
        let goal = world.log.history.active().map(|active| active + 2);
        for _ in 0..ROUNDS {
            world.round();
            if !world.loses_nothing() {
                return Fate::Lost;
            }
            if world.is_broken() {
                return Fate::Open;
            }
            if world.log.history.active() >= goal && world.is_handled() {
                return Fate::Through;
            }
            world.pass();
        }
        Fate::Stuck
    }

    /// Every record is committed and nothing is left to be read again.
    fn is_handled(&self) -> bool {
        let ends = self.scenario().input.iter().map(Vec::len);
        let is_committed = ends.eq(self.input.committed.iter().copied());
        is_committed && self.log.history.open_replays().next().is_none()
    }

    /// Every process does what it can, in turn, until nothing is left to do.
    fn round(&mut self) {
        let mut done = 0;
        loop {
            let mut idle = true;
            for action in self.enabled() {
                if action.is_trouble() || action == Action::Pass || !self.enabled().contains(&action) {
                    continue;
                }
                self.act(action);
                (idle, done) = (false, done + 1);
            }
            if idle || done > ACTIONS || self.is_broken() {
                return;
            }
        }
    }

    /// A drain that goes on although its flipper has read the verdict may go on for ever: new names of the
    /// cluster's next generations keep its passes from being complete.
    fn drains_what_is_judged(&self) -> bool {
        self.flippers.iter().any(|flipper| {
            let history = flipper.machine.history();
            flipper
                .drains
                .keys()
                .any(|generation| history.is_judged(*generation))
        })
    }

    /// Whether a cluster is out of a writer's reach, so that SETs wait.
    pub(super) fn keeps_writers_off(&self, cluster: usize) -> bool {
        self.redis.cuts[cluster].is_some_and(|cut| cut.whose == Whose::Everybodys)
    }
}
