//! (G): every accepted URL stands in a batch, and every URL of a batch was accepted. URL by URL, by hashes, for as
//! long as somebody may ask. Pure.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use generations::name_hash;
use hint_schema::HintBatch;
use hint_schema::generation_event::{Generation, PartitionOffset};
use ingestor::pipeline::Pipeline;
use ingestor::transformation::Transformations;
use messagebus::Record;

use super::batches::Place;
use super::offsets::Offsets;
use super::zones::ZoneBooks;

/// Places that are named of those that remain.
const NAMED: usize = 5;
/// A zone's change may reach an ingestor so much later than its record says, in milliseconds.
const ZONES_WITHIN_MS: i64 = 10_000;

/// URLs by their 128-bit hashes: ten million fit into half a gigabyte.
#[derive(Clone, Debug, Default)]
pub(crate) struct UrlSet(HashSet<u128>);

impl UrlSet {
    pub(crate) fn insert(&mut self, url: &str) {
        self.0.insert(name_hash(url.as_bytes()));
    }

    pub(crate) fn contains(&self, url: u128) -> bool {
        self.0.contains(&url)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u128> {
        self.0.iter().copied()
    }
}

/// When a record is certain to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// As the zones stand at the end: nothing changes any more.
    AtRest,
    /// Where its zone has not changed since shortly before it.
    Live,
}

/// The input, judged again, against what stands in batches.
#[derive(Debug)]
pub(crate) struct UrlBooks {
    pipeline: Pipeline,
    certainty: Certainty,
    offsets: Offsets,
    /// The first offset of each partition whose URLs are known.
    since: BTreeMap<i32, i64>,
    /// Records that were judged.
    pub(crate) records: u64,
    /// Accepted, and not yet known to have to stand in a batch.
    waiting: HashMap<u128, Waiting>,
    /// Batches of generations below it are nobody's to ask for.
    remembered: Generation,
    /// The latest generation whose batches hold a URL.
    batched: HashMap<u128, Generation>,
    /// What was ever accepted, in the order of the input.
    sent: VecDeque<Sent>,
    /// URLs of batches that nobody is known to have sent.
    strangers: HashMap<u128, Generation>,
    /// URLs that are kept at most.
    limit: usize,
    /// There were more: URLs are not compared any more.
    pub(crate) is_given_up: bool,
    /// Accepted URLs that had to stand in a batch and do not.
    pub(crate) missing: u64,
    /// Where they were accepted.
    pub(crate) missing_at: Vec<Place>,
    /// Accepted URLs that were found in a batch.
    pub(crate) found: u64,
    /// URLs of batches that nobody sent, by generation.
    pub(crate) invented: BTreeMap<Generation, u64>,
    /// URLs of batches whose input may be older than what is known.
    pub(crate) of_unknown_origin: u64,
}

/// A URL's first and last record that are not compared yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    partition: i32,
    first: i64,
    last: i64,
}

/// A part of the input.
#[derive(Debug, Default)]
struct Sent {
    /// Each URL, and whether it is certain to be accepted.
    urls: HashMap<u128, bool>,
    ends: BTreeMap<i32, i64>,
}

/// What is known of a generation whose batches hold strangers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// What was committed when it was opened; nothing where that is not known.
    pub(crate) starts: &'a [PartitionOffset],
    /// Input of an older generation was read again under it.
    pub(crate) holds_replays: bool,
    /// Names of older generations that were met.
    pub(crate) late: u64,
}

impl UrlBooks {
    /// Nothing read yet; judges with these steps, and keeps at most so many URLs.
    pub(crate) fn new(steps: &Transformations, certainty: Certainty, limit: usize) -> Self {
        Self {
            pipeline: Pipeline::new(steps),
            certainty,
            offsets: Offsets::default(),
            since: BTreeMap::new(),
            records: 0,
            waiting: HashMap::new(),
            remembered: 0,
            batched: HashMap::new(),
            sent: VecDeque::from([Sent::default()]),
            strangers: HashMap::new(),
            limit,
            is_given_up: limit == 0,
            missing: 0,
            missing_at: Vec::new(),
            found: 0,
            invented: BTreeMap::new(),
            of_unknown_origin: 0,
        }
    }

    /// Leaves out the input before these offsets, and batches of generations below `remembered`.
    pub(crate) fn begin_at(&mut self, offsets: &BTreeMap<i32, i64>, remembered: Generation) {
        self.remembered = remembered;
        for (&partition, &offset) in offsets {
            self.offsets.begin_at(partition, offset);
            self.since.insert(partition, offset);
        }
    }

    /// Takes a batch that was not read before.
    pub(crate) fn batch(&mut self, batch: &HintBatch) {
        if self.is_given_up || batch.generation < self.remembered {
            return;
        }
        for url in batch.hosts.iter().flat_map(|host| &host.urls) {
            let url = name_hash(url.as_bytes());
            let latest = self.batched.entry(url).or_default();
            *latest = (*latest).max(batch.generation);
            if !self.is_sent(url) {
                self.strangers.insert(url, batch.generation);
            }
        }
        self.watch_limit();
    }

    /// Takes the next record of the input; batches and zones must have been read before.
    pub(crate) fn record(&mut self, record: &Record<'_>, zones: &ZoneBooks) {
        let Some(gone) = self.offsets.read(record.partition, record.offset) else {
            return;
        };
        if gone > 0 {
            self.since.insert(record.partition, record.offset);
        }
        self.records += 1;
        if self.is_given_up {
            return;
        }
        let (now, ever) = zones.snapshots();
        let mut ever_accepted = None;
        self.pipeline.judge(std::iter::once(*record), &ever, |judged| {
            let url = judged.verdict.ok().and_then(|hint| hint.url);
            ever_accepted = url.map(|url| name_hash(url.as_str().as_bytes()));
        });
        let mut accepted_now = None;
        self.pipeline.judge(std::iter::once(*record), &now, |judged| {
            let Ok(hint) = judged.verdict else { return };
            let url = hint.url.map(|url| name_hash(url.as_str().as_bytes()));
            accepted_now = url.map(|url| (url, hint.miss.zone_id));
        });
        let certain = accepted_now.filter(|&(_, zone)| {
            self.certainty == Certainty::AtRest
                || record.timestamp_ms >= zones.changed_at(zone) + ZONES_WITHIN_MS
        });
        if let Some(url) = ever_accepted.or(accepted_now.map(|(url, _)| url)) {
            self.sent(record, url, certain.is_some());
        }
        if let Some((url, _)) = certain {
            let (partition, last) = (record.partition, record.offset);
            let first = |waiting: Option<&Waiting>| waiting.map_or(last, |waiting| waiting.first);
            let first = first(self.waiting.get(&url));
            self.waiting.insert(
                url,
                Waiting {
                    partition,
                    first,
                    last,
                },
            );
        }
        self.watch_limit();
    }

    fn sent(&mut self, record: &Record<'_>, url: u128, is_certain: bool) {
        self.strangers.remove(&url);
        if let Some(part) = self.sent.back_mut() {
            *part.urls.entry(url).or_default() |= is_certain;
            part.ends.insert(record.partition, record.offset + 1);
        }
    }

    fn is_sent(&self, url: u128) -> bool {
        self.sent.iter().any(|part| part.urls.contains_key(&url))
    }

    fn watch_limit(&mut self) {
        if self.kept() > self.limit {
            self.is_given_up = true;
            self.waiting = HashMap::new();
            self.batched = HashMap::new();
            self.strangers = HashMap::new();
            self.sent = VecDeque::from([Sent::default()]);
        }
    }

    /// Compares what was accepted below these offsets, whose generations are closed and whose batches were read,
    /// with batches of the generation that consumed it, as far as `live` says, or a later one. `from` is the
    /// offset below which batches may have been removed by retention.
    pub(crate) fn settle(
        &mut self,
        below: &BTreeMap<i32, i64>,
        from: &BTreeMap<i32, i64>,
        live: &BTreeMap<(i32, i64), (i64, Generation)>,
    ) {
        let consumed = |partition: i32, offset: i64| {
            let (&(of, _), &(end, generation)) = live.range(..=(partition, offset)).next_back()?;
            (of == partition && offset < end).then_some(generation)
        };
        let (mut found, mut missing) = (0, Vec::new());
        let batched = &self.batched;
        self.waiting.retain(|url, waiting| {
            let Waiting { partition, last, .. } = *waiting;
            let below = below.get(&partition).copied().unwrap_or(0);
            let from = from.get(&partition).copied().unwrap_or(0);
            for offset in [waiting.first, last] {
                if offset >= below {
                    return true;
                }
                let generation = consumed(partition, offset);
                let stands = batched
                    .get(url)
                    .is_some_and(|held| generation.is_none_or(|wanted| *held >= wanted));
                if !stands && offset >= from {
                    missing.push((partition, offset));
                    return false;
                }
                waiting.first = last;
            }
            found += 1;
            false
        });
        self.found += found;
        self.missing += missing.len() as u64;
        let room = NAMED.saturating_sub(self.missing_at.len());
        self.missing_at.extend(missing.into_iter().take(room));
    }

    /// Judges strangers of the generations of which `origin` knows everything. Call it when the input was read
    /// behind the batches.
    pub(crate) fn judge_strangers<'a>(&mut self, origin: impl Fn(Generation) -> Option<Origin<'a>>) {
        let mut by_generation: BTreeMap<Generation, u64> = BTreeMap::new();
        let is_whole = self.since.values().all(|&since| since == 0);
        self.strangers.retain(|_, generation| {
            let is_judged = is_whole || origin(*generation).is_some();
            *by_generation.entry(*generation).or_default() += u64::from(is_judged);
            !is_judged
        });
        for (generation, strangers) in by_generation.into_iter().filter(|(_, strangers)| *strangers > 0) {
            let invented = match origin(generation) {
                _ if is_whole => strangers,
                Some(origin) if self.knows(origin.starts) && !origin.holds_replays => {
                    strangers.saturating_sub(origin.late)
                }
                _ => 0,
            };
            self.of_unknown_origin += strangers - invented;
            if invented > 0 {
                *self.invented.entry(generation).or_default() += invented;
            }
        }
    }

    /// Whether the input from these offsets on is known.
    fn knows(&self, starts: &[PartitionOffset]) -> bool {
        let is_known = |(partition, since): (&i32, &i64)| {
            let start = starts.iter().find(|start| start.partition == *partition);
            start.is_some_and(|start| start.offset >= *since)
        };
        self.since.iter().all(is_known)
    }

    /// Lets go of URLs that nobody asks for any more: input below `offsets`, batches of generations below
    /// `remembered`.
    pub(crate) fn fold(&mut self, remembered: Generation, offsets: &BTreeMap<i32, i64>) {
        self.remembered = remembered;
        self.batched.retain(|_, generation| *generation >= remembered);
        self.strangers.retain(|_, generation| *generation >= remembered);
        let is_below =
            |(partition, end): (&i32, &i64)| offsets.get(partition).is_some_and(|below| end <= below);
        while self.sent.len() > 1
            && self
                .sent
                .front()
                .is_some_and(|part| part.ends.iter().all(is_below))
        {
            let Some(part) = self.sent.pop_front() else { break };
            for (partition, end) in part.ends {
                let since = self.since.entry(partition).or_default();
                *since = end.max(*since);
            }
        }
        if self.sent.back().is_some_and(|part| !part.urls.is_empty()) {
            self.sent.push_back(Sent::default());
        }
    }

    /// Accepted URLs whose batch is not due yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// URLs in memory, those that are there twice counted twice.
    pub(crate) fn kept(&self) -> usize {
        let sent: usize = self.sent.iter().map(|part| part.urls.len()).sum();
        self.waiting.len() + self.batched.len() + self.strangers.len() + sent
    }

    /// URLs that are certain to be accepted, of the input that is known.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = u128> + '_ {
        let parts = self.sent.iter().flat_map(|part| &part.urls);
        parts.filter(|(_, is_certain)| **is_certain).map(|(url, _)| *url)
    }

    /// Where each partition of the input was read to.
    pub(crate) fn ends(&self) -> &BTreeMap<i32, i64> {
        self.offsets.ends()
    }

    /// Whether somebody sent this URL.
    pub(crate) fn is_known(&self, url: u128) -> bool {
        self.is_sent(url)
    }
}
