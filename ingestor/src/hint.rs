//! One record on its way through the steps.

use hint_schema::cache_miss::CacheMiss;
use messagebus::consumer::Record;

use crate::canonical::CanonicalUrl;
use crate::reason::Reason;
use crate::zones::Zone;

/// A decoded record and what the steps found out about it. Borrows from the batch and from the zones.
#[derive(Clone, Debug)]
pub struct Hint<'a> {
    /// What the edge said.
    pub miss: CacheMiss<'a>,
    /// The zone, once `opt_in` found that it opted in.
    pub zone: Option<&'a Zone>,
    /// The URL, once `canonical` gave it its one spelling.
    pub url: Option<CanonicalUrl<'a>>,
    /// Over how many shards the host is spread, once `host` found it among the zone's.
    pub spread: u16,
}

/// A record with what was found: a hint so far, or the reason why there is none.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The record as it came.
    pub record: Record<'a>,
    /// The hint, or why the record goes no further.
    pub verdict: Result<Hint<'a>, Reason>,
}

impl<'a> Hint<'a> {
    /// A record that has been decoded and nothing else.
    #[must_use]
    pub fn new(miss: CacheMiss<'a>) -> Self {
        Self {
            miss,
            zone: None,
            url: None,
            spread: 0,
        }
    }
}
