//! Explores a row and says what came of it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use stateright::{Checker, HasDiscoveries, Model};

use crate::model::{FlipModel, Goal};
use crate::rows::{Expected, Extent, Row};
use crate::scenario::Scenario;
use crate::world::{Action, Promise, World};

/// How often progress is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far to go, where the rows' own extent is not wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// So long a row, whatever its extent.
    pub time: Option<Duration>,
}

/// What came of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The row.
    pub row: &'static str,
    /// The rule that it leaves out.
    pub left_out: Option<String>,
    /// The promise that must break; none: all hold.
    pub must_break: Option<&'static str>,
    /// The promises that broke.
    pub broken: Vec<&'static str>,
    /// States that were met, duplicates among them.
    pub states: usize,
    /// Different states.
    pub unique_states: usize,
    /// The longest chain of actions.
    pub depth: usize,
    /// Seconds.
    pub seconds: f64,
    /// Every state was explored; of a row that breaks, the search ended at the first break.
    pub exhaustive: bool,
    /// Different states that were explored with the rule kept, as deep as the break was.
    pub kept_unique_states: Option<usize>,
    /// Why the row is not as it must be.
    pub wrong: Option<String>,
    /// The shortest way to the break that was found.
    pub trace: Vec<String>,
}

impl Outcome {
    /// Whether the row came out as it must.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.wrong.is_none()
    }
}

/// One exploration.
struct Explored {
    states: usize,
    unique_states: usize,
    depth: usize,
    is_complete: bool,
    found: BTreeSet<&'static str>,
    trace: Vec<Action>,
}

/// Explores a row; `progress` is told the number of states now and then.
pub fn check(row: &Row, limits: Limits, mut progress: impl FnMut(usize)) -> Outcome {
    let started = Instant::now();
    let promise = match row.expected {
        Expected::Holds(_) => None,
        Expected::Breaks(promise) => Some(promise),
    };
    let explored = explore(&row.scenario, row.extent, limits, promise, None, &mut progress);
    let broken: Vec<&'static str> = Promise::ALL
        .iter()
        .map(|promise| promise.label())
        .filter(|label| explored.found.contains(label))
        .collect();
    let mut outcome = Outcome {
        row: row.name,
        left_out: row.scenario.left_out.map(|rule| format!("{rule:?}")),
        must_break: promise.map(Promise::label),
        broken,
        states: explored.states,
        unique_states: explored.unique_states,
        depth: explored.depth,
        seconds: 0.0,
        exhaustive: explored.is_complete,
        kept_unique_states: None,
        wrong: None,
        trace: explored
            .trace
            .iter()
            .map(|action| format!("{action:?}"))
            .collect(),
    };
    outcome.wrong = match &row.expected {
        Expected::Holds(goals) => wrong_holding(goals, row.extent, limits, &explored, &outcome),
        Expected::Breaks(promise) => wrong_breaking(row, *promise, limits, &explored, &mut outcome, progress),
    };
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome
}

fn wrong_holding(
    goals: &[Goal],
    extent: Extent,
    limits: Limits,
    explored: &Explored,
    outcome: &Outcome,
) -> Option<String> {
    if let Some(promise) = outcome.broken.first() {
        return Some(format!("{promise} is broken"));
    }
    if extent == Extent::Exhaustive && limits.time.is_none() && !explored.is_complete {
        return Some("it was not explored to its end".to_owned());
    }
    let missed = goals.iter().find(|goal| !explored.found.contains(goal.label()));
    missed.map(|goal| format!("no state shows: {}", goal.label()))
}

/// Without the rule it must break; with the rule, no state as near as that may.
fn wrong_breaking(
    row: &Row,
    promise: Promise,
    limits: Limits,
    explored: &Explored,
    outcome: &mut Outcome,
    mut progress: impl FnMut(usize),
) -> Option<String> {
    if !explored.found.contains(promise.label()) {
        return Some(format!(
            "{} holds without the rule: the row proves nothing",
            promise.label()
        ));
    }
    let kept = Scenario {
        left_out: None,
        ..row.scenario.clone()
    };
    let depth = Some(explored.trace.len() + 1);
    let kept = explore(&kept, row.extent, limits, Some(promise), depth, &mut progress);
    outcome.kept_unique_states = Some(kept.unique_states);
    kept.found.contains(promise.label()).then(|| {
        format!(
            "{} is broken with the rule kept: {:?}",
            promise.label(),
            kept.trace
        )
    })
}

/// Both cores. With `promise`, until it breaks; else until any breaks or all was seen. `depth`: states further away
/// are left out.
fn explore(
    scenario: &Scenario,
    extent: Extent,
    limits: Limits,
    promise: Option<Promise>,
    depth: Option<usize>,
    progress: &mut impl FnMut(usize),
) -> Explored {
    let until: BTreeSet<&'static str> = promise.map(Promise::label).into_iter().collect();
    let mut builder = FlipModel(Arc::new(scenario.clone())).checker().threads(2);
    builder = builder.finish_when(if until.is_empty() {
        HasDiscoveries::AnyFailures
    } else {
        HasDiscoveries::AllOf(until)
    });
    let states = match (extent, limits.time) {
        (_, Some(time)) => {
            builder = builder.timeout(time);
            None
        }
        (Extent::States(states), None) => NonZeroUsize::new(states),
        (Extent::Exhaustive, None) => None,
    };
    if let Some(states) = states {
        builder = builder.target_state_count(states.get());
    }
    if let Some(depth) = depth {
        builder = builder.target_max_depth(depth);
    }
    let started = Instant::now();
    let checker = builder.spawn_bfs();
    let mut told = Instant::now();
    while !checker.is_done() {
        std::thread::park_timeout(Duration::from_millis(20));
        if told.elapsed() >= LOOK_EVERY {
            progress(checker.state_count());
            told = Instant::now();
        }
    }
    let is_cut = limits.time.is_some_and(|time| started.elapsed() >= time)
        || states.is_some_and(|states| checker.state_count() >= states.get());
    summary(&checker.join(), promise, is_cut)
}

fn summary(checker: &impl Checker<FlipModel>, promise: Option<Promise>, is_cut: bool) -> Explored {
    let discoveries = checker.discoveries();
    let is_failure = |label: &&'static str| Promise::ALL.iter().any(|promise| promise.label() == *label);
    let first = match promise {
        Some(promise) => Some(promise.label()),
        None => discoveries.keys().copied().find(is_failure),
    };
    let trace = first
        .and_then(|label| discoveries.get(label).cloned())
        .map(stateright::Path::<World, Action>::into_actions)
        .unwrap_or_default();
    Explored {
        states: checker.state_count(),
        unique_states: checker.unique_state_count(),
        depth: checker.max_depth(),
        is_complete: !is_cut && discoveries.keys().all(|label| !is_failure(label)),
        found: discoveries.keys().copied().collect(),
        trace,
    }
}
