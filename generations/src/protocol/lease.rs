//! A writer's leases: until when it may SET, and believe an answer, under which generation.

use hint_schema::generation_event::Generation;
use messagebus::clock::BootInstant;

use super::LEASE;

/// One heartbeat read back: a lease for the generation active at its place in the log and every later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Grant {
    from: Generation,
    until: BootInstant,
}

/// Every lease a writer holds.
///
/// A later heartbeat never renews a lease for an older generation: that generation's lease keeps its own end,
/// which is what lets the flipper pass barrier(g) by time (I2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Both fields grow from one grant to the next.
    grants: Vec<Grant>,
}

impl Lease {
    /// Takes in a heartbeat that was sent at `sent_at` and stands in the log while `active` is the active
    /// generation.
    pub fn grant(&mut self, active: Generation, sent_at: BootInstant) {
        let until = sent_at + LEASE;
        self.grants
            .retain(|grant| grant.from < active && grant.until < until);
        self.grants.push(Grant { from: active, until });
    }

    /// Whether `generation` may be written, and its answers believed, at `at`.
    #[must_use]
    pub fn covers(&self, generation: Generation, at: BootInstant) -> bool {
        self.until(generation).is_some_and(|until| at < until)
    }

    /// The end of the lease for `generation`, if there ever was one.
    #[must_use]
    pub fn until(&self, generation: Generation) -> Option<BootInstant> {
        self.grants
            .iter()
            .filter(|grant| grant.from <= generation)
            .map(|grant| grant.until)
            .max()
    }

    /// Forgets leases for generations below `generation`, which is sealed.
    pub fn forget_below(&mut self, generation: Generation) {
        let start = self
            .grants
            .iter()
            .rposition(|grant| grant.from <= generation)
            .unwrap_or(0);
        self.grants.drain(..start);
    }
}
