//! What one look reads, and in which order: it is what makes the books of a running deployment sound.
//!
//! Whatever is written later in a record's life is read first. What a lane commits was written down before, what it
//! wrote down stood in a batch before, a verdict came after its batches, a batch after its input. So where the
//! later one speaks of something that the earlier one does not show, it cannot be in flight.

use std::collections::BTreeMap;

use hint_schema::HintBatch;
use messagebus::{KafkaArgs, offsets};

use super::books::Books;
use super::topic::{TopicEnds, TopicReader};

/// Where the input begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// All that Kafka still keeps.
    Everything,
    /// From the lowest generation that is not closed: what is older needs memory for all of its URLs.
    OpenGenerations,
}

/// A reader a topic.
pub(super) struct Sources {
    generations: TopicReader,
    batches: TopicReader,
    receipts: TopicReader,
    undeliverable: TopicReader,
    zones: TopicReader,
    input: TopicReader,
    window: Window,
    is_first: bool,
}

/// What a group has committed of each partition.
type Offsets = Vec<(i32, Option<i64>)>;

/// Committed offsets, asked before anything is read.
pub(super) struct Committed {
    /// Of each lane, by partner.
    lanes: BTreeMap<String, Offsets>,
    /// Of the ingest group.
    ingest: BTreeMap<i32, i64>,
}

/// What a look has read, beside what the books have counted.
pub(super) struct Read {
    /// Where the topic of batches ended, after everything that lanes wrote.
    pub(super) batch_ends: TopicEnds,
    /// Outcomes of batches that the topic does not hold.
    pub(super) outcomes_of_nothing: u64,
}

impl Committed {
    pub(super) async fn ask(kafka: &KafkaArgs, partners: &[String]) -> anyhow::Result<Self> {
        let topics = kafka.topics();
        let mut lanes = BTreeMap::new();
        for partner in partners {
            let group = topics.group(&format!("dispatcher-{partner}"));
            let committed = offsets::committed(kafka, &group, &topics.batches()).await?;
            lanes.insert(partner.clone(), committed);
        }
        let ingest = offsets::committed(kafka, &topics.group("ingestor"), &topics.cache_misses()).await?;
        let ingest = ingest
            .into_iter()
            .filter_map(|(partition, offset)| Some((partition, offset?)));
        Ok(Self {
            lanes,
            ingest: ingest.collect(),
        })
    }
}

impl Sources {
    pub(super) fn new(kafka: &KafkaArgs, window: Window) -> anyhow::Result<Self> {
        let topics = kafka.topics();
        let reader = |topic: String| TopicReader::new(kafka, &topic);
        Ok(Self {
            generations: reader(topics.generations())?,
            batches: reader(topics.batches())?,
            receipts: reader(topics.receipts())?,
            undeliverable: reader(topics.undeliverable())?,
            zones: reader(topics.zones())?,
            input: reader(topics.cache_misses())?,
            window,
            is_first: true,
        })
    }

    /// Reads on from the last look. Blocks.
    ///
    /// # Errors
    /// The broker does not answer. The books stay sound: the next look goes on.
    pub(super) fn read(&mut self, books: &mut Books, committed: &Committed) -> anyhow::Result<Read> {
        for (partner, offsets) in &committed.lanes {
            books.lanes.committed(partner, offsets);
        }
        books.generations.begin_look();
        self.generations
            .catch_up(|record| books.generations.take(record))?;
        books.note_frontier();
        self.begin(books);
        self.read_batches(books)?;
        self.receipts.catch_up(|record| books.lanes.receipt(record))?;
        self.undeliverable
            .catch_up(|record| books.lanes.undeliverable(record))?;
        // A record may be accepted by a zone that changes now: what comes later is judged by the next look.
        let input_ends = self.input.ends()?;
        self.zones.catch_up(|record| books.zones.take(record))?;
        self.judge_lanes(books)?;
        let batch_ends = self.read_batches(books)?;
        let outcomes_of_nothing = books.lanes.outcomes_of_nothing(&books.batches);
        let Books { urls, zones, .. } = books;
        self.input
            .catch_up_to(&input_ends, |record| urls.record(record, zones))?;
        // Who else drained what is judged above: a takeover may have put more into the topic.
        books.generations.begin_second_reading();
        self.generations
            .catch_up(|record| books.generations.take(record))?;
        books.settle_urls(&committed.ingest);
        Ok(Read {
            batch_ends,
            outcomes_of_nothing,
        })
    }

    fn begin(&mut self, books: &mut Books) {
        if std::mem::take(&mut self.is_first) && self.window == Window::OpenGenerations {
            let remembered = books.generations.remembered(&books.frontier);
            books.urls.begin_at(&books.frontier.offsets, remembered);
            self.input.go_on_from(books.frontier.offsets.clone());
        }
    }

    fn read_batches(&mut self, books: &mut Books) -> anyhow::Result<TopicEnds> {
        let Books {
            batches,
            urls,
            generations,
            ..
        } = books;
        let ends = self.batches.catch_up(|record| {
            if let Some(batch) = batches.take(record) {
                urls.batch(&batch);
            }
        })?;
        for (&partition, ends) in &ends {
            batches.ended(partition, ends.high, generations.active());
        }
        Ok(ends)
    }

    /// Compares what lanes have finished, and reads the batches again of which something is missing.
    fn judge_lanes(&mut self, books: &mut Books) -> anyhow::Result<()> {
        books.lanes.judge(&books.batches);
        let Books { lanes, zones, .. } = books;
        for (partition, offsets) in lanes.suspects() {
            self.batches.show(partition, &offsets, |record| {
                let batch = HintBatch::decode(record.payload).ok();
                lanes.explain((partition, record.offset), batch.as_ref(), zones);
            })?;
            // Those that retention has removed.
            for offset in offsets {
                lanes.explain((partition, offset), None, zones);
            }
        }
        Ok(())
    }
}
