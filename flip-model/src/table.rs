//! What came of the rows, for people and for programs.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::check::Outcome;

/// The table for people.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header([
        "row",
        "must",
        "came",
        "states",
        "unique",
        "depth",
        "explored",
        "rule kept",
        "seconds",
        "",
    ]);
    for outcome in outcomes {
        table.add_row([
            outcome.row.to_owned(),
            outcome
                .must_break
                .map_or("hold".to_owned(), |promise| format!("break {promise}")),
            came(outcome),
            outcome.states.to_string(),
            outcome.unique_states.to_string(),
            outcome.depth.to_string(),
            explored(outcome).to_owned(),
            outcome
                .kept_unique_states
                .map(|states| states.to_string())
                .unwrap_or_default(),
            format!("{:.1}", outcome.seconds),
            if outcome.is_good() { "ok" } else { "WRONG" }.to_owned(),
        ]);
    }
    table.to_string()
}

fn came(outcome: &Outcome) -> String {
    match (&outcome.wrong, outcome.broken.is_empty()) {
        (Some(wrong), _) => wrong.clone(),
        (None, true) => "holds".to_owned(),
        (None, false) => format!("broken in {} steps", outcome.trace.len()),
    }
}

fn explored(outcome: &Outcome) -> &'static str {
    match (outcome.exhaustive, outcome.broken.is_empty()) {
        (true, _) => "to its end",
        (false, true) => "in part",
        (false, false) => "to the break",
    }
}

/// One line when a row has ended.
pub(crate) fn line(outcome: &Outcome) -> String {
    let state = if outcome.is_good() { "ok   " } else { "WRONG" };
    format!(
        "{state} {:<24} {:>9} states {:>6.1} s  {}",
        outcome.row,
        outcome.unique_states,
        outcome.seconds,
        came(outcome)
    )
}
