//! The frame of every message: size, traversal and nesting limits, nothing behind the end.

use capnp::message::{Builder, HeapAllocator, Reader, ReaderOptions};
use capnp::serialize::{self, NoAllocBufferSegments};

use crate::Malformed;

/// How deep structs and lists may nest.
const NESTING_LIMIT: i32 = 8;
/// How often a reader may walk over the message: a small one cannot make it work for ever.
const TRAVERSAL_FACTOR: usize = 8;
const WORD_BYTES: usize = 8;

/// A framed message that borrows its payload.
pub(crate) type Message<'a> = Reader<NoAllocBufferSegments<&'a [u8]>>;

/// Checks the frame. Allocates nothing unless it refuses.
///
/// # Errors
/// Empty, over `limit` bytes, no frame, or bytes behind the message.
pub(crate) fn open(payload: &[u8], limit: usize) -> Result<Message<'_>, Malformed> {
    if payload.is_empty() {
        return Err(Malformed::Empty);
    }
    if payload.len() > limit {
        return Err(Malformed::TooLarge {
            bytes: payload.len(),
            limit,
        });
    }
    let words = payload.len().div_ceil(WORD_BYTES);
    let mut options = ReaderOptions::new();
    options
        .traversal_limit_in_words(Some(TRAVERSAL_FACTOR * words))
        .nesting_limit(NESTING_LIMIT);
    let mut rest = payload;
    let message = serialize::read_message_from_flat_slice_no_alloc(&mut rest, options)?;
    if !rest.is_empty() {
        return Err(Malformed::Decode(format!(
            "{} bytes behind the message",
            rest.len()
        )));
    }
    Ok(message)
}

/// The message as one Kafka value.
pub(crate) fn close(message: &Builder<HeapAllocator>) -> Vec<u8> {
    serialize::write_message_to_words(message)
}

/// A list length as Cap'n Proto counts; our lists are bounded far below.
pub(crate) fn list_len(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
