//! Which `Opened` counts: the first of its generation, above every earlier one and never below a closed one.

use hint_schema::generation_event::{Generation, Opened};

/// The part of the log that decides about `Opened` records (I4: generations only grow).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Admission {
    highest: Option<Generation>,
    closed_through: Option<Generation>,
}

impl Admission {
    /// Whether this `Opened` counts. A later one of a generation that is already open, or one that a flipper
    /// re-sent after its generation was closed and tombstoned, does not.
    pub(crate) fn admit(&mut self, opened: &Opened) -> bool {
        if self.highest.is_some_and(|highest| opened.generation <= highest)
            || self
                .closed_through
                .is_some_and(|closed| opened.generation <= closed)
        {
            return false;
        }
        self.highest = Some(opened.generation);
        self.closed_through = self.closed_through.max(opened.closed_through);
        true
    }

    /// The active generation: the highest opened.
    pub(crate) fn highest(&self) -> Option<Generation> {
        self.highest
    }

    /// Every generation up to this one is closed and tombstoned.
    pub(crate) fn closed_through(&self) -> Option<Generation> {
        self.closed_through
    }
}
