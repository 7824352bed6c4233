#![doc = include_str!("../README.md")]
#![expect(
    clippy::indexing_slicing,
    reason = "a model: an index out of range is a defect of its own and ends it loudly"
)]

mod check;
mod cli;
mod model;
mod rows;
mod scenario;
mod shared;
mod table;
mod world;

pub use check::{Limits, Outcome, check};
pub use cli::Cli;
pub use model::{FlipModel, Goal};
pub use rows::{Expected, Extent, Row, rows};
pub use scenario::{Faults, Pace, Rule, Scenario, Url, Whose};
pub use world::{Action, Name, Promise, World};
