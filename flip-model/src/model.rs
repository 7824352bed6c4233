//! A scenario as stateright explores it.

use std::sync::Arc;

use stateright::{Model, Property};

use crate::scenario::Scenario;
use crate::world::{Action, Promise, World};

/// A scenario to explore.
#[derive(Clone, Debug)]
pub struct FlipModel(pub Arc<Scenario>);

/// What a row has to reach, or it shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Every record is committed and in an acknowledged batch.
    Through,
    /// The log judged a generation.
    Judged,
    /// A failed generation was read again to its end.
    Replayed,
    /// A name was drained under a later generation than its own.
    Late,
}

impl Goal {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Through, Self::Judged, Self::Replayed, Self::Late];

    /// Its name in reports.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Through => "everything through",
            Self::Judged => "judged",
            Self::Replayed => "replayed",
            Self::Late => "late name drained",
        }
    }
}

impl Model for FlipModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::start(Arc::clone(&self.0))]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(world.enabled());
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.act(action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // Function pointers, which capture nothing: hence one by one.
        type Holds = fn(&FlipModel, &World) -> bool;
        let always = |promise: Promise, holds: Holds| Property::always(promise.label(), holds);
        let sometimes = |goal: Goal, reached: Holds| Property::sometimes(goal.label(), reached);
        vec![
            always(Promise::NoLoss, |_, world| world.keeps(Promise::NoLoss)),
            always(Promise::Barrier, |_, world| world.keeps(Promise::Barrier)),
            always(Promise::Monotone, |_, world| world.keeps(Promise::Monotone)),
            always(Promise::Books, |_, world| world.keeps(Promise::Books)),
            always(Promise::FailedInVain, |_, world| {
                world.keeps(Promise::FailedInVain)
            }),
            always(Promise::NoInvention, |_, world| world.keeps(Promise::NoInvention)),
            always(Promise::Progress, |_, world| world.keeps(Promise::Progress)),
            sometimes(Goal::Through, |_, world| world.is_through()),
            sometimes(Goal::Judged, |_, world| world.has_judged()),
            sometimes(Goal::Replayed, |_, world| world.has_replayed()),
            sometimes(Goal::Late, |_, world| world.has_drained_late()),
        ]
    }
}
