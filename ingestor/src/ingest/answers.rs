//! What Redis said about the SETs of a chunk.

use generations::protocol::WriterEvent;
use generations::{ChunkAnswer, Outcome};
use messagebus::BootInstant;

use super::IngestLoop;

impl IngestLoop {
    /// Counts a chunk's answers, if they count at all, and keeps what has to be sent again.
    pub(super) fn answered(&mut self, answer: &ChunkAnswer) -> anyhow::Result<()> {
        let batch = answer.tag;
        if !self.machine.is_in_flight(batch) {
            return Ok(()); // Dropped with its lease, and counted unknown then.
        }
        // The clock was read after the reply had left the socket: only inside the lease does an answer count
        // (I1, I2).
        if self.machine.may_send(answer.at, batch) {
            self.count(answer);
        }
        self.resend.keep(answer, BootInstant::now());
        if answer.is_complete() {
            self.resend.calm();
        }
        if answer.new + answer.repeated > 0 {
            self.handle(WriterEvent::Answered {
                batch,
                new: u64::from(answer.new),
                new_hash: answer.new_hash,
                repeated: u64::from(answer.repeated),
                at: answer.at,
            })?;
        }
        let refused = u64::from(answer.retry) + u64::from(answer.blocked);
        if refused > 0 {
            self.handle(WriterEvent::Refused {
                batch,
                copies: refused,
            })?;
        }
        if answer.unanswered > 0 {
            self.handle(WriterEvent::Unanswered {
                batch,
                copies: u64::from(answer.unanswered),
            })?;
        }
        Ok(())
    }

    fn count(&mut self, answer: &ChunkAnswer) {
        for set in answer.chunk.sets() {
            if matches!(set.outcome, Outcome::New | Outcome::Repeated) {
                self.filter.insert(self.filter.fingerprint(set.name));
            }
        }
        let (new, repeated) = (u64::from(answer.new), u64::from(answer.repeated));
        self.parts.metrics.urls.new.inc_by(new);
        self.parts.metrics.urls.repeated.inc_by(repeated);
        if let Some(batch) = self.open.get_mut(&answer.tag) {
            batch.unanswered = batch.unanswered.saturating_sub(new + repeated);
        }
        self.show_in_flight();
    }
}
