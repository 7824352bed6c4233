//! Live figures in the terminal: a block that is drawn again, plain lines elsewhere.

use std::time::{Duration, Instant};

use super::figures::{Figures, Flips, Ingest, Partner};
use crate::screen::Screen;

/// Elsewhere than in a terminal a line comes this rarely.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Draws the figures.
#[derive(Debug, Default)]
pub(crate) struct Live {
    screen: Screen,
    last_line: Option<Instant>,
}

impl Live {
    /// Shows how a run stands.
    pub(crate) fn show(&mut self, figures: &Figures) {
        if !self.screen.is_terminal() && self.last_line.is_some_and(|last| last.elapsed() < LINE_EVERY) {
            return;
        }
        self.last_line = Some(Instant::now());
        let mut lines = vec![ingest(figures.seconds, &figures.ingest), flip(figures)];
        lines.extend(figures.partners.iter().map(lane));
        self.screen.draw(&lines.join("\n"));
    }
}

fn ingest(seconds: u64, figures: &Ingest) -> String {
    let Ingest {
        produced,
        records,
        rate,
        lag_seconds,
        accepted,
        new,
        rejected,
        filtered,
        ..
    } = figures;
    format!(
        "{seconds:>4} s  ingest   {produced} produced, {records} read at {rate:.0}/s, lag {lag_seconds:.1} s; {accepted} \
         accepted ({new} new), {rejected} rejected, {filtered} filtered"
    )
}

fn flip(figures: &Figures) -> String {
    let of_state = |state| figures.clusters.iter().find(|cluster| cluster.state == state);
    let active = of_state("fills").map_or("-", |cluster| cluster.name);
    let draining = of_state("drains").map_or_else(
        || "no drain".to_owned(),
        |cluster| format!("{} URLs left in {}", cluster.urls, cluster.name),
    );
    let Flips {
        drained,
        settled,
        unaudited,
        failed,
        ..
    } = figures.flips;
    format!(
        "        flip     cluster {active} active, {draining}; {drained} drained; {settled} settled, {unaudited} \
         unaudited, {failed} failed"
    )
}

fn lane(partner: &Partner) -> String {
    let answers = partner.answers.iter();
    let answers: Vec<_> = answers
        .map(|(status, count)| format!("{status}: {count}"))
        .collect();
    format!(
        "        {:<8} {} URLs accepted; answers {}{}",
        partner.name,
        partner.accepted,
        answers.join(", "),
        if partner.circuit_open {
            "; circuit open"
        } else {
            ""
        }
    )
}
