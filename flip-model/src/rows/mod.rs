//! The rows: worlds in which everything must hold, and worlds that leave one rule out, in which it must not.

mod holding;
mod larger;
mod leaving_out;

use generations::protocol::BooksPolicy;

use crate::model::Goal;
use crate::scenario::{Faults, Pace, Rule, Scenario, Url, Whose};
use crate::world::Promise;

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Its world.
    pub scenario: Scenario,
    /// What must come of it.
    pub expected: Expected,
    /// How far it is explored.
    pub extent: Extent,
}

/// What must come of a row.
#[derive(Clone, Debug)]
pub enum Expected {
    /// Every promise holds, and these are reached.
    Holds(&'static [Goal]),
    /// This promise is broken; with the rule kept it is not, as deep as that was.
    Breaks(Promise),
}

/// How far a row is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// To its end.
    Exhaustive,
    /// So many states, duplicates among them.
    States(usize),
}

/// Every row, in the order of the table.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = holding::rows();
    rows.extend(leaving_out::rows());
    rows
}

/// A world of one writer, one flipper, one record and no fault, in which generation 1 is the last.
fn small() -> Scenario {
    Scenario {
        input: vec![vec![0]],
        writers: 1,
        flippers: 1,
        openers: 2,
        first: Vec::new(),
        last: 1,
        in_flight: 1,
        batch: 1,
        slow_commits: false,
        compacts: false,
        books: Some(BooksPolicy::Visible),
        pace: Pace::Lease,
        faults: Faults::default(),
        whose: vec![Whose::Everybodys, Whose::Flippers],
        left_out: None,
    }
}

/// One partition with these records.
fn one_partition(urls: &[Url]) -> Vec<Vec<Url>> {
    vec![urls.to_vec()]
}

fn leaving_out(rule: Rule, scenario: Scenario) -> Scenario {
    Scenario {
        left_out: Some(rule),
        ..scenario
    }
}
