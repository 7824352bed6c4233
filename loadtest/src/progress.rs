//! How far long work is: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows steps as they are done.
#[derive(Debug)]
pub(crate) struct Progress {
    steps: u64,
    /// Counts elsewhere as well, but draws on a terminal only.
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        Self {
            steps,
            bar,
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Says something beside it.
    pub(crate) fn say(&self, what: &str) {
        if self.is_terminal {
            self.bar.println(what);
        } else {
            say(what);
        }
    }

    /// One more is done.
    pub(crate) fn step(&self, what: &str) {
        self.bar.inc(1);
        if self.is_terminal {
            self.bar.println(what);
        } else {
            say(&format!("[{}/{}] {what}", self.bar.position(), self.steps));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[expect(clippy::print_stdout, reason = "long work shows progress")]
fn say(what: &str) {
    println!("{what}");
}
