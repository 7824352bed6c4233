//! The traces that records came from.

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Link, SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};

/// The header that names a record's trace.
pub const TRACEPARENT: &str = "traceparent";
/// Traces that work links to at most.
pub(super) const MOST: u32 = 32;
/// A header of version 00 has 55 bytes; a later version may be longer, but is not read beyond this.
const LONGEST: usize = 128;

/// The sampled traces that some records came from, at most 32: the first.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<SpanContext>);

impl Origins {
    /// Adds the trace that a record names, where traces are sent and its header is one.
    pub(crate) fn add_of(&mut self, message: &BorrowedMessage<'_>) {
        if !super::is_on() || self.is_full() {
            return;
        }
        let named = message.headers().and_then(|headers| {
            headers
                .iter()
                .find(|header| header.key == TRACEPARENT)
                .and_then(|header| header.value)
        });
        self.0.extend(named.and_then(parse));
    }

    /// Adds those of other records.
    pub fn add(&mut self, others: &Self) {
        let room = MOST as usize - self.0.len();
        self.0.extend(others.0.iter().take(room).cloned());
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST as usize
    }

    pub(super) fn into_links(self) -> Vec<Link> {
        self.0.into_iter().map(Link::with_context).collect()
    }
}

/// Reads a header that anybody may have written: nothing unless it is well-formed and its trace is sampled.
fn parse(header: &[u8]) -> Option<SpanContext> {
    struct Header<'a>(&'a str);
    impl Extractor for Header<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == TRACEPARENT).then_some(self.0)
        }
        fn keys(&self) -> Vec<&str> {
            vec![TRACEPARENT]
        }
    }
    let text = std::str::from_utf8(header)
        .ok()
        .filter(|text| text.len() <= LONGEST)?;
    let context = TraceContextPropagator::new().extract(&Header(text));
    let named = context.span().span_context().clone();
    (named.is_valid() && named.is_sampled()).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_sampled_trace_is_read() {
        let read = parse(SAMPLED.as_bytes()).unwrap();
        assert_eq!(read.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(read.span_id().to_string(), "b7ad6b7169203331");
        assert!(read.is_remote());
    }

    #[test]
    fn what_is_no_sampled_trace_is_none() {
        let long = format!("01{}-{}", &SAMPLED[2..], "a".repeat(LONGEST));
        let not_sampled = format!("{}00", &SAMPLED[..53]);
        for header in [
            "",
            "garbage",
            &not_sampled,
            &long,
            &SAMPLED.to_uppercase(),
            &SAMPLED.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &format!("ff{}", &SAMPLED[2..]),
        ] {
            assert_eq!(parse(header.as_bytes()), None, "{header}");
        }
        assert_eq!(parse(b"\xff\xfe"), None);
    }

    #[test]
    fn no_more_than_32_are_kept() {
        let one = Origins(vec![parse(SAMPLED.as_bytes()).unwrap(); 20]);
        let mut all = one.clone();
        all.add(&one);
        assert!(all.is_full());
        assert_eq!(all.into_links().len(), 32);
    }
}
