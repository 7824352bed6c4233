//! What a pass holds in memory, and its bound, which a generation's size does not move.
//!
//! Names are counted in bytes, as often as they stand in memory at each step. It is an estimate where it has to be
//! made before the names are known.

/// What a pass may hold. More than this is taken only by the step that goes beyond it: a page, or a batch.
const BOUND: usize = 12 << 20;
/// A page being read: the answer as bytes and as strings, each an allocation, and the page itself.
const READING: usize = 4;
/// A batch's message until it is acknowledged: ours, to send it again, and the client's.
const MESSAGES: usize = 2;
/// Bytes of a name, until one was read.
const FIRST_GUESS: usize = 50;

/// The room of one pass.
#[derive(Debug, Default)]
pub(crate) struct Room {
    held: usize,
    /// Bytes held by batches that more may be added to.
    open: usize,
    /// Names read so far, and their bytes.
    names: usize,
    bytes: usize,
}

/// Room taken, to be given back.
#[derive(Debug)]
#[must_use = "what is not given back is never free again"]
pub(crate) struct Taken(usize);

impl Room {
    /// Whether nothing more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.held >= BOUND
    }

    /// Whether it is open batches that fill it: without one of them closed, nothing may move for long.
    pub(crate) fn is_full_of_open_batches(&self) -> bool {
        self.is_full() && self.open > BOUND / 2
    }

    /// Bytes of a name on average.
    pub(crate) fn mean(&self) -> usize {
        self.bytes.checked_div(self.names).unwrap_or(FIRST_GUESS)
    }

    /// Takes room for a page of so many keys, before it is read.
    pub(crate) fn read(&mut self, keys: usize) -> Taken {
        self.take(READING * keys * self.mean())
    }

    /// Names were added to open batches.
    pub(crate) fn opened(&mut self, names: usize, bytes: usize) {
        self.names += names;
        self.bytes += bytes;
        self.open += bytes;
        self.held += bytes;
    }

    /// A batch of `names` bytes of names and a message of `message` bytes is open no more, and published.
    pub(crate) fn publish(&mut self, names: usize, message: usize) -> Taken {
        self.open -= names;
        self.held -= names;
        self.take(names + MESSAGES * message)
    }

    /// Gives room back.
    pub(crate) fn give_back(&mut self, taken: Taken) {
        self.held -= taken.0;
    }

    fn take(&mut self, bytes: usize) -> Taken {
        self.held += bytes;
        Taken(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_free_again_once_everything_was_given_back() {
        let mut room = Room::default();
        let page = room.read(10_000);
        assert_eq!(room.held, 10_000 * FIRST_GUESS * READING);
        room.give_back(page);
        room.opened(10_000, 800_000);
        assert_eq!((room.mean(), room.held), (80, 800_000));
        let batch = room.publish(800_000, 900_000);
        assert_eq!((room.open, room.held), (0, 2_600_000));
        room.give_back(batch);
        assert_eq!(room.held, 0);
    }

    #[test]
    fn longer_names_take_more_room() {
        let pages_of = |name: usize| {
            let mut room = Room::default();
            room.opened(1, name);
            (0..)
                .take_while(|_| !room.is_full() && room.read(1_000).0 > 0)
                .count()
        };
        assert!(pages_of(50) > 8 * pages_of(500));
    }

    #[test]
    fn open_batches_cannot_hold_all_of_it() {
        let mut room = Room::default();
        room.opened(1, BOUND / 2);
        let page = room.read(BOUND);
        assert!(room.is_full() && !room.is_full_of_open_batches());
        room.opened(1, 1);
        assert!(room.is_full_of_open_batches());
        room.give_back(page);
        assert!(!room.is_full());
    }
}
