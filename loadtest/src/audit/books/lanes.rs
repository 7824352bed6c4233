//! (E) and (F): what became of each lane's batches, from the topics that lanes write. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use generations::name_hash;
use hint_schema::generation_event::Generation;
use hint_schema::{BatchId, HintBatch, Receipt, Undeliverable};
use messagebus::Record;

use super::batches::{BatchBooks, OpenBatch, Place, shape};
use super::offsets::Offsets;
use super::owed::Owed;
use super::urls::UrlSet;
use super::zones::ZoneBooks;

/// Clocks of processes that write timestamps may differ by so much, in milliseconds.
const CLOCKS_MS: i64 = 60_000;

/// Every lane.
#[derive(Debug, Default)]
pub(crate) struct LaneBooks {
    lanes: BTreeMap<String, Lane>,
    receipts: Outcomes,
    undeliverable: Outcomes,
    /// Keeps which URLs were given up, for comparing with partners' logs.
    keeps_urls: bool,
    /// Outcomes of batches that were not read yet when their outcome was.
    unmatched: BTreeSet<BatchId>,
    /// By where they stand.
    suspects: BTreeMap<Place, Vec<Suspect>>,
    /// Records that are none of ours.
    pub(crate) unreadable: u64,
}

/// How much of a topic of outcomes there is.
#[derive(Debug, Default)]
struct Outcomes {
    offsets: Offsets,
    /// Of each partition whose beginning is gone: when its first record was written.
    since_ms: BTreeMap<i32, i64>,
}

/// One partner's lane.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// It is one of those that the audit was asked about.
    pub(crate) is_asked: bool,
    /// What its group has committed of each partition of batches.
    pub(crate) committed: BTreeMap<i32, i64>,
    /// Up to where batches were compared with their outcomes.
    judged: BTreeMap<i32, i64>,
    /// Outcomes of batches that are not compared yet, by host.
    outcomes: HashMap<BatchId, HashMap<u128, u64>>,
    /// URLs by what became of them, repeats included.
    pub(crate) delivered: u64,
    pub(crate) undeliverable: BTreeMap<String, u64>,
    /// URLs that ended with the same URL of another batch.
    pub(crate) merged: u64,
    requests: BTreeMap<Generation, u64>,
    /// URLs of batches that it has finished.
    pub(crate) finished: u64,
    /// URLs of finished batches whose host has opted out.
    pub(crate) opted_out: u64,
    /// URLs of finished batches that a later batch's outcomes have to account for.
    owed: Owed,
    /// URLs that it delivered again.
    pub(crate) repeats: u64,
    /// URLs of finished batches whose outcomes, or who themselves, were removed by retention.
    pub(crate) not_judged: u64,
    given_up: UrlSet,
}

/// A finished batch with other outcomes than it has URLs.
#[derive(Clone, Debug)]
struct Suspect {
    partner: String,
    batch: OpenBatch,
    outcomes: HashMap<u128, u64>,
}

impl LaneBooks {
    /// Lanes of these partners.
    pub(crate) fn new(partners: &[String], keeps_urls: bool) -> Self {
        Self {
            lanes: partners.iter().map(|name| (name.clone(), asked())).collect(),
            keeps_urls,
            ..Self::default()
        }
    }

    /// Every lane, by partner.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (&str, &Lane)> {
        self.lanes.iter().map(|(name, lane)| (name.as_str(), lane))
    }

    /// Takes what a group has committed. Ask before batches and outcomes are read: what a lane commits was
    /// written down before.
    pub(crate) fn committed(&mut self, partner: &str, committed: &[(i32, Option<i64>)]) {
        let lane = self.lanes.entry(partner.to_owned()).or_default();
        for (partition, offset) in committed {
            lane.committed.insert(*partition, offset.unwrap_or(0));
        }
    }

    /// Takes the next receipt.
    pub(crate) fn receipt(&mut self, record: &Record<'_>) {
        if !self.receipts.read(record) {
            return;
        }
        let Ok(receipt) = Receipt::decode(record.payload) else {
            self.unreadable += 1;
            return;
        };
        let lane = self.lanes.entry(receipt.partner).or_default();
        let (urls, merged) = (u64::from(receipt.count), u64::from(receipt.merged));
        lane.delivered += urls;
        lane.merged += merged;
        *lane.requests.entry(receipt.generation).or_default() += 1;
        lane.came(receipt.batch_id, &receipt.host, urls + merged);
        self.unmatched.insert(receipt.batch_id);
    }

    /// Takes the next record of what is undeliverable.
    pub(crate) fn undeliverable(&mut self, record: &Record<'_>) {
        if !self.undeliverable.read(record) {
            return;
        }
        let Ok(given_up) = Undeliverable::decode(record.payload) else {
            self.unreadable += 1;
            return;
        };
        let lane = self.lanes.entry(given_up.partner).or_default();
        let (urls, merged) = (given_up.urls.len() as u64, u64::from(given_up.merged));
        lane.merged += merged;
        *lane.undeliverable.entry(given_up.reason).or_default() += urls;
        if self.keeps_urls {
            given_up.urls.iter().for_each(|url| lane.given_up.insert(url));
        }
        lane.came(given_up.batch_id, &given_up.host, urls + merged);
        self.unmatched.insert(given_up.batch_id);
    }

    /// Compares every batch below what a lane has committed with what was written down of it. Those of which
    /// something is missing or came twice wait to be explained. Call it when outcomes were read after the offsets.
    pub(crate) fn judge(&mut self, batches: &BatchBooks) {
        let since = self.receipts.since().max(self.undeliverable.since());
        for (partner, lane) in &mut self.lanes {
            for (&partition, &end) in &lane.committed.clone() {
                let from = lane.judged.insert(partition, end).unwrap_or(0);
                lane.judged.insert(partition, end.max(from));
                for (place, batch) in batches.open(partition, from, end) {
                    let outcomes = lane.outcomes.remove(&batch.id).unwrap_or_default();
                    lane.finished += batch.urls;
                    if since.is_some_and(|since| batch.timestamp_ms < since + CLOCKS_MS) {
                        lane.not_judged += batch.urls;
                    } else if shape(outcomes.iter().map(|(&host, &urls)| (host, urls))) != batch.shape {
                        let partner = partner.clone();
                        let suspect = Suspect {
                            partner,
                            batch,
                            outcomes,
                        };
                        self.suspects.entry(place).or_default().push(suspect);
                    }
                }
            }
        }
    }

    /// Where batches stand that wait to be explained.
    pub(crate) fn suspects(&self) -> BTreeMap<i32, BTreeSet<i64>> {
        let mut places: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
        for (partition, offset) in self.suspects.keys() {
            places.entry(*partition).or_default().insert(*offset);
        }
        places
    }

    /// Says what is missing of a batch that waits, or came twice, host by host. Places go up, and a batch that
    /// retention has removed meanwhile is nothing.
    pub(crate) fn explain(&mut self, place: Place, batch: Option<&HintBatch>, zones: &ZoneBooks) {
        for suspect in self.suspects.remove(&place).unwrap_or_default() {
            let Some(lane) = self.lanes.get_mut(&suspect.partner) else {
                continue;
            };
            match batch {
                Some(batch) => lane.explain(place, batch, &suspect.outcomes, zones),
                None => lane.not_judged += suspect.batch.urls + lane.owed.forgive(place),
            }
        }
    }

    /// Outcomes of batches that the topic does not hold. Call it when batches were read after outcomes.
    pub(crate) fn outcomes_of_nothing(&mut self, batches: &BatchBooks) -> u64 {
        self.unmatched.retain(|id| !batches.may_know(*id));
        self.unmatched.len() as u64
    }

    /// The largest ratio of accepted requests to hosts, over generations of which hosts are known.
    pub(crate) fn requests_per_host(&self, batches: &BatchBooks) -> f64 {
        let ratios = self.lanes.values().flat_map(|lane| &lane.requests);
        ratios
            .filter_map(|(generation, requests)| {
                let hosts = batches.of(*generation)?.host_count();
                #[expect(clippy::cast_precision_loss, reason = "a ratio of small counts")]
                (hosts > 0).then(|| *requests as f64 / hosts as f64)
            })
            .fold(0.0, f64::max)
    }

    /// What every lane has finished of each partition.
    pub(crate) fn finished_by_all(&self) -> BTreeMap<i32, i64> {
        let mut all: Option<BTreeMap<i32, i64>> = None;
        for lane in self.lanes.values().filter(|lane| lane.is_asked) {
            let least = |(&partition, &offset): (&i32, &i64)| {
                let others = all.as_ref().map(|all| all.get(&partition).copied().unwrap_or(0));
                (partition, others.map_or(offset, |others| others.min(offset)))
            };
            all = Some(lane.judged.iter().map(least).collect());
        }
        all.unwrap_or_default()
    }

    /// Lets go of closed generations, and of outcomes that came behind the judgement: they are repeats.
    pub(crate) fn fold(&mut self, batches: &BatchBooks, closed: Generation) {
        let open: BTreeSet<BatchId> = batches
            .ends()
            .iter()
            .flat_map(|(&partition, &end)| batches.open(partition, 0, end))
            .map(|(_, batch)| batch.id)
            .collect();
        for lane in self.lanes.values_mut() {
            let repeats = &mut lane.repeats;
            lane.outcomes.retain(|id, hosts| {
                let stays = open.contains(id) || !batches.may_know(*id);
                *repeats += if stays { 0 } else { hosts.values().sum() };
                stays
            });
            lane.requests = lane.requests.split_off(&closed);
        }
    }
}

impl Outcomes {
    /// Notes a record; false when it was read before.
    fn read(&mut self, record: &Record<'_>) -> bool {
        let gone = self.offsets.read(record.partition, record.offset);
        if gone.is_some_and(|gone| gone > 0) {
            self.since_ms.insert(record.partition, record.timestamp_ms);
        }
        gone.is_some()
    }

    /// What was written since is complete; nothing where all of it is.
    fn since(&self) -> Option<i64> {
        self.since_ms.values().max().copied()
    }
}

fn asked() -> Lane {
    Lane {
        is_asked: true,
        ..Lane::default()
    }
}

impl Lane {
    fn explain(&mut self, place: Place, batch: &HintBatch, outcomes: &HashMap<u128, u64>, zones: &ZoneBooks) {
        for hints in &batch.hosts {
            let (host, urls) = (name_hash(hints.host.as_bytes()), hints.urls.len() as u64);
            let outcomes = outcomes.get(&host).copied().unwrap_or(0);
            if outcomes > urls {
                self.repeats += self.owed.pay(host, outcomes - urls);
            } else if zones.may_be_out(host) {
                self.opted_out += urls - outcomes;
            } else if outcomes < urls {
                self.owed.owe(host, place, urls - outcomes);
            }
        }
    }

    /// URLs of finished batches without any outcome in the topics, and where. What came of batches that are not
    /// finished may be theirs.
    pub(crate) fn silent(&self) -> (u64, Vec<Place>) {
        let mut under_way: HashMap<u128, u64> = HashMap::new();
        for (host, urls) in self.outcomes.values().flatten() {
            *under_way.entry(*host).or_default() += urls;
        }
        self.owed.left(&under_way)
    }

    fn came(&mut self, batch: BatchId, host: &str, urls: u64) {
        let hosts = self.outcomes.entry(batch).or_default();
        *hosts.entry(name_hash(host.as_bytes())).or_default() += urls;
    }

    /// Whether a URL was given up for this partner.
    pub(crate) fn is_given_up(&self, url: u128) -> bool {
        self.given_up.contains(url)
    }
}
