//! `HintBatch`: URLs of one generation on their way to the partners.

use std::fmt;

use capnp::message::Builder;

use crate::generated::hint_batch_capnp as wire;
use crate::{Malformed, message};

/// The most bytes that are parsed: Kafka's own limit on a message.
const MAX_PAYLOAD_BYTES: usize = 1_048_576;

/// Bytes of the frame, the root struct, the id and the list's tag.
const BATCH_OVERHEAD: usize = 8 + 8 + 2 * 8 + 2 * 8 + 16 + 8;
/// Bytes of one host's struct: one word of data, two pointers.
const HOST_OVERHEAD: usize = 3 * 8;
const POINTER: usize = 8;

/// The name of one assembled batch: random, and used again only by a byte-identical re-send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub [u8; 16]);

impl From<u128> for BatchId {
    fn from(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl BatchId {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let id = <[u8; 16]>::try_from(bytes);
        id.map(Self)
            .map_err(|_| Malformed::Decode(format!("a batch id of {} bytes, expected 16", bytes.len())))
    }
}

/// URLs of one generation, whole hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HintBatch {
    /// Its name.
    pub id: BatchId,
    /// The generation that was drained.
    pub generation: u64,
    /// When it was assembled, Unix milliseconds.
    pub created_at_ms: u64,
    /// Each host once.
    pub hosts: Vec<HostHints>,
}

/// The URLs of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HostHints {
    /// Bare host name.
    pub host: String,
    /// Its oldest hint's event time, Unix milliseconds.
    pub oldest_event_ms: u64,
    /// Canonical URLs, each once.
    pub urls: Vec<String>,
}

/// Bytes of a text of `length` bytes: its terminating zero, and whole words.
fn text_bytes(length: usize) -> usize {
    (length + 1).next_multiple_of(8)
}

impl HostHints {
    /// Bytes that a URL of this length adds to an encoded batch.
    #[must_use]
    pub fn url_bytes(length: usize) -> usize {
        POINTER + text_bytes(length)
    }

    /// Bytes that a host adds to an encoded batch beside its URLs.
    #[must_use]
    pub fn host_bytes(host: &str) -> usize {
        HOST_OVERHEAD + text_bytes(host.len())
    }
}

impl HintBatch {
    /// Bytes of a batch without hosts.
    #[must_use]
    pub fn empty_bytes() -> usize {
        BATCH_OVERHEAD
    }

    /// URLs in it.
    #[must_use]
    pub fn url_count(&self) -> usize {
        self.hosts.iter().map(|host| host.urls.len()).sum()
    }

    /// The size of [`encode`](Self::encode)'s answer in bytes, or a little more, without encoding.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let host = |host: &HostHints| {
            let urls = host.urls.iter().map(|url| HostHints::url_bytes(url.len()));
            HostHints::host_bytes(&host.host) + urls.sum::<usize>()
        };
        BATCH_OVERHEAD + self.hosts.iter().map(host).sum::<usize>()
    }

    /// The batch as one Kafka value: one segment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let words = message::list_len(self.encoded_bytes().div_ceil(8));
        let allocator = capnp::message::HeapAllocator::new().first_segment_words(words);
        let mut message = Builder::new(allocator);
        let mut batch = message.init_root::<wire::hint_batch::Builder<'_>>();
        batch.set_id(&self.id.0);
        batch.set_generation(self.generation);
        batch.set_created_at_ms(self.created_at_ms);
        let mut hosts = batch.init_hosts(message::list_len(self.hosts.len()));
        for (index, host) in (0..).zip(&self.hosts) {
            let mut entry = hosts.reborrow().get(index);
            entry.set_host(host.host.as_str());
            entry.set_oldest_event_ms(host.oldest_event_ms);
            let mut urls = entry.init_urls(message::list_len(host.urls.len()));
            for (index, url) in (0..).zip(&host.urls) {
                urls.set(index, url.as_str());
            }
        }
        message::close(&message)
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// The payload is no batch; see [`Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let message = message::open(payload, MAX_PAYLOAD_BYTES)?;
        let batch = message.get_root::<wire::hint_batch::Reader<'_>>()?;
        let hosts = batch
            .get_hosts()?
            .iter()
            .map(|host| -> Result<HostHints, Malformed> {
                Ok(HostHints {
                    host: host.get_host()?.to_string()?,
                    oldest_event_ms: host.get_oldest_event_ms(),
                    urls: read_texts(host.get_urls()?)?,
                })
            });
        Ok(Self {
            id: BatchId::read(batch.get_id()?)?,
            generation: batch.get_generation(),
            created_at_ms: batch.get_created_at_ms(),
            hosts: hosts.collect::<Result<_, _>>()?,
        })
    }
}

pub(crate) fn read_texts(texts: capnp::text_list::Reader<'_>) -> Result<Vec<String>, Malformed> {
    texts.iter().map(|text| Ok(text?.to_string()?)).collect()
}
