//! The command: which rows, how far, and what is printed.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::check::{Limits, Outcome, check};
use crate::rows::{Row, rows};
use crate::table::{line, table};

/// Explores the flip protocol's own state machines.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// Rows by name or the beginning of it; all without any
    rows: Vec<String>,
    /// Explores each row for so long at most, however many states that is, instead of its usual extent
    #[arg(long)]
    seconds: Option<u64>,
    /// Prints JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Prints the names of the rows and nothing else
    #[arg(long)]
    list: bool,
}

impl Cli {
    /// Explores, prints, and tells whether every row came out as it must.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let chosen: Vec<Row> = rows().into_iter().filter(|row| self.is_chosen(row)).collect();
        if self.list {
            chosen.iter().for_each(|row| say(row.name));
            return ExitCode::SUCCESS;
        }
        let limits = Limits {
            time: self.seconds.map(Duration::from_secs),
        };
        let outcomes: Vec<Outcome> = chosen.iter().map(|row| explore(row, limits)).collect();
        if self.json {
            say(&serde_json::to_string_pretty(&outcomes).unwrap_or_default());
        } else if !outcomes.is_empty() {
            say(&table(&outcomes));
        }
        let wrong = outcomes.iter().filter(|outcome| !outcome.is_good());
        let mut code = ExitCode::SUCCESS;
        for outcome in wrong {
            say_aside(&format!(
                "{}: {}",
                outcome.row,
                outcome.wrong.as_deref().unwrap_or_default()
            ));
            outcome
                .trace
                .iter()
                .for_each(|action| say_aside(&format!("    {action}")));
            code = ExitCode::FAILURE;
        }
        code
    }

    fn is_chosen(&self, row: &Row) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|name| row.name.starts_with(name.as_str()))
    }
}

fn explore(row: &Row, limits: Limits) -> Outcome {
    let shows = std::io::stderr().is_terminal();
    let outcome = check(row, limits, |states| {
        if shows {
            let mut stderr = std::io::stderr();
            drop(write!(
                stderr,
                "\r      {:<24} {states:>9} states so far",
                row.name
            ));
        }
    });
    if shows {
        drop(write!(std::io::stderr(), "\r"));
    }
    say_aside(&line(&outcome));
    outcome
}

/// A reader that has gone away needs no more lines.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

fn say_aside(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
