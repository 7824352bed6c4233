//! Standard output: a block that is drawn again in a terminal, lines elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

/// What was drawn last.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Its lines.
    drawn: usize,
}

impl Screen {
    /// Whether a person watches.
    #[expect(clippy::unused_self, reason = "there is one standard output, and this is it")]
    pub(crate) fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Draws a block in place of the last one; elsewhere than in a terminal behind it.
    #[expect(clippy::print_stdout, reason = "the figures are what it is for")]
    pub(crate) fn draw(&mut self, block: &str) {
        let mut text = String::new();
        if self.is_terminal() && self.drawn > 0 {
            // Up to where the last drawing began, and clear from there.
            let _written = write!(text, "\x1b[{}A\x1b[J", self.drawn);
        }
        text.push_str(block);
        println!("{text}");
        self.drawn = block.lines().count();
        drop(std::io::stdout().flush());
    }

    /// A line that stays.
    #[expect(clippy::print_stdout, reason = "the figures are what it is for")]
    pub(crate) fn line(line: &str) {
        println!("{line}");
    }
}
