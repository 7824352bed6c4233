//! A small world: one input topic, one log, two Redis clusters, two writers and two flippers, and chance.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use hint_schema::generation_event::{
    Generation, GenerationEvent, Incarnation, NodeSeen, OffsetInterval, PartitionOffset, Role,
};
use messagebus::clock::BootInstant;

use crate::ClusterName;
use crate::protocol::history::{History, Verdict};
use crate::protocol::{
    BatchTag, BooksPolicy, ClusterView, DrainReport, Flipper, FlipperEffect, FlipperEvent, FlipperSettings,
    Writer, WriterEffect, WriterEvent,
};

pub(super) const PARTITIONS: usize = 2;
type Url = u8;
type Record = (usize, usize);

/// What chance may do beside scheduling.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) crash_writer: bool,
    pub(super) crash_flipper: bool,
    pub(super) lose_answers: bool,
    pub(super) lose_clusters: bool,
    pub(super) rebalance: bool,
    /// A writer that reads nothing of the log for a while, while time jumps on.
    pub(super) deafness: bool,
}

#[derive(Clone, Debug)]
struct Batch {
    generation: Option<Generation>,
    records: Vec<Record>,
    /// Records whose SET is under way or still to be sent.
    open: Vec<Record>,
    polled_at: u64,
}

struct WriterProcess {
    machine: Writer,
    read: usize,
    input_paused: bool,
    position: [usize; PARTITIONS],
    /// Handled and not yet committed, since an earlier offset is not handled.
    handled: [BTreeSet<usize>; PARTITIONS],
    batches: BTreeMap<BatchTag, Batch>,
    filter: BTreeSet<Url>,
    outbox: VecDeque<GenerationEvent>,
    gone: bool,
    deaf: bool,
}

struct FlipperProcess {
    machine: Flipper,
    read: usize,
    todo: VecDeque<FlipperEffect>,
    drains: BTreeMap<Generation, DrainReport>,
    draining: BTreeSet<Generation>,
    caught_up: bool,
    elected: bool,
}

pub(super) struct World {
    faults: Faults,
    clock: u64,
    sequence: u64,
    next_incarnation: u64,
    pub(super) log: Vec<(String, Option<GenerationEvent>)>,
    pub(super) truth: History,
    input: [Vec<Url>; PARTITIONS],
    owner: [usize; PARTITIONS],
    committed: [usize; PARTITIONS],
    first_polled: BTreeMap<Record, u64>,
    redis: BTreeSet<(Generation, Url)>,
    run: [u64; 2],
    late: Vec<(Generation, Url)>,
    emitted: Vec<(u64, Url)>,
    lost: BTreeSet<Generation>,
    barrier_at: BTreeMap<Generation, u64>,
    writers: Vec<WriterProcess>,
    flippers: Vec<FlipperProcess>,
    pub(super) verdicts: BTreeMap<Generation, Verdict>,
}

fn hash(generation: Generation, url: Url) -> u128 {
    u128::from(generation) * 1_000_003 + u128::from(url) * 7_919
}

fn cluster(generation: Generation) -> usize {
    usize::from(ClusterName::of(generation) == ClusterName::B)
}

impl World {
    pub(super) fn new(faults: Faults, books: BooksPolicy, input: [Vec<Url>; PARTITIONS]) -> Self {
        let mut world = Self {
            faults,
            clock: 1,
            sequence: 0,
            next_incarnation: 0,
            log: Vec::new(),
            truth: History::default(),
            input,
            owner: [0, 1],
            committed: [0; PARTITIONS],
            first_polled: BTreeMap::new(),
            redis: BTreeSet::new(),
            run: [0; 2],
            late: Vec::new(),
            emitted: Vec::new(),
            lost: BTreeSet::new(),
            barrier_at: BTreeMap::new(),
            writers: Vec::new(),
            flippers: Vec::new(),
            verdicts: BTreeMap::new(),
        };
        for name in ["w0", "w1"] {
            let writer = world.new_writer(name);
            world.writers.push(writer);
        }
        for elected in [true, false] {
            let flipper = world.new_flipper(books, elected);
            world.flippers.push(flipper);
        }
        world
    }

    fn incarnation(&mut self) -> Incarnation {
        self.next_incarnation += 1;
        Incarnation(self.next_incarnation)
    }

    fn new_writer(&mut self, name: &str) -> WriterProcess {
        WriterProcess {
            machine: Writer::new(name.to_owned(), self.incarnation()),
            read: 0,
            input_paused: true,
            position: self.committed,
            handled: Default::default(),
            batches: BTreeMap::new(),
            filter: BTreeSet::new(),
            outbox: VecDeque::new(),
            gone: false,
            deaf: false,
        }
    }

    fn new_flipper(&mut self, books: BooksPolicy, elected: bool) -> FlipperProcess {
        let settings = FlipperSettings {
            interval: Duration::from_secs(15),
            max_urls: 1_000,
            books,
        };
        FlipperProcess {
            machine: Flipper::new(self.incarnation(), settings),
            read: 0,
            todo: VecDeque::new(),
            drains: BTreeMap::new(),
            draining: BTreeSet::new(),
            caught_up: false,
            elected,
        }
    }

    fn now(&self) -> BootInstant {
        BootInstant::from_nanos(self.clock)
    }

    fn append(&mut self, event: GenerationEvent) {
        let before = self.truth.active();
        self.truth.apply(&event);
        if let (Some(before), Some(after)) = (before, self.truth.active()) {
            assert!(after >= before, "I4: generation numbers only grow");
        }
        for (generation, entry) in self.truth.generations() {
            if let Some(verdict) = &entry.verdict {
                let first = self.verdicts.entry(generation).or_insert_with(|| verdict.clone());
                assert_eq!(first, verdict, "the first verdict counts");
                if matches!(verdict, Verdict::Settled(_)) {
                    assert!(
                        !self.lost.contains(&generation),
                        "I5: a loss ended in Settled({generation})"
                    );
                }
            }
        }
        self.log.push((event.key(), Some(event)));
    }

    /// One random step. `choice` and `pick` come from the test's random numbers.
    pub(super) fn step(&mut self, choice: u8, pick: usize) {
        self.sequence += 1;
        let (writer, flipper) = (pick % 2, pick % 2);
        match choice % 16 {
            0 => self.pass_time(Duration::from_millis(700)),
            1..=3 => self.writer_reads(writer),
            4 | 5 => self.poll(writer, pick / 2),
            6 | 7 => self.land(writer, pick / 2, true),
            8 | 9 => self.flipper_reads(flipper),
            10 => self.flipper_works(flipper),
            11 => self.flipper_drains(flipper, pick / 2),
            12 => self.writer_publishes(writer),
            _ => self.misfortune(choice / 16, pick),
        }
        self.check_no_loss();
    }

    fn misfortune(&mut self, kind: u8, pick: usize) {
        let faults = self.faults;
        match kind % 10 {
            0 if faults.crash_writer => {
                let name = ["w0", "w1"][pick % 2];
                self.writers[pick % 2] = self.new_writer(name);
            }
            1 if faults.crash_flipper => {
                let elected = self.flippers[pick % 2].elected;
                let books = [BooksPolicy::Visible, BooksPolicy::Strict][usize::from(self.is_strict())];
                self.flippers[pick % 2] = self.new_flipper(books, elected);
            }
            2 if faults.crash_flipper => {
                let now = self.now();
                for (index, flipper) in self.flippers.iter_mut().enumerate() {
                    flipper.elected = index == pick % 2;
                    let effects = flipper.machine.step(now, FlipperEvent::Elected(flipper.elected));
                    flipper.todo.extend(effects);
                }
            }
            3 | 4 if faults.lose_answers => self.land(pick % 2, pick / 2, false),
            5 if faults.lose_answers && !self.late.is_empty() => {
                let name = self.late.swap_remove(pick % self.late.len());
                self.redis.insert(name);
            }
            6 if faults.lose_clusters => {
                let which = pick % 2;
                self.run[which] += 1;
                let gone: Vec<_> = self
                    .redis
                    .iter()
                    .filter(|name| cluster(name.0) == which)
                    .copied()
                    .collect();
                for name in gone {
                    self.redis.remove(&name);
                    if !self.verdicts.contains_key(&name.0) {
                        self.lost.insert(name.0);
                    }
                }
            }
            8 if faults.deafness => {
                self.writers[pick % 2].deaf = !self.writers[pick % 2].deaf;
            }
            9 if faults.deafness => self.pass_time(Duration::from_secs(1 + pick as u64 / 4)),
            7 if faults.rebalance => self.rebalance(pick % PARTITIONS),
            _ => self.pass_time(Duration::from_millis(90)),
        }
    }

    fn is_strict(&self) -> bool {
        self.flippers.iter().any(|flipper| flipper.machine.is_strict())
    }

    fn rebalance(&mut self, partition: usize) {
        self.owner[partition] = 1 - self.owner[partition];
        let owner = self.owner[partition];
        self.writers[owner].position[partition] = self.committed[partition];
        self.writers[owner].handled[partition].clear();
    }

    pub(super) fn pass_time(&mut self, span: Duration) {
        self.clock += u64::try_from(span.as_nanos()).unwrap();
        for writer in 0..2 {
            if !self.writers[writer].deaf {
                self.tell_writer(writer, WriterEvent::Tick);
            }
        }
        for flipper in 0..2 {
            self.look_at_clusters(flipper);
            self.tell_flipper(flipper, FlipperEvent::Tick);
        }
    }

    fn look_at_clusters(&mut self, flipper: usize) {
        for name in [ClusterName::A, ClusterName::B] {
            let which = usize::from(name == ClusterName::B);
            let keys = self
                .redis
                .iter()
                .filter(|(generation, _)| cluster(*generation) == which)
                .count();
            let view = ClusterView {
                reachable: true,
                under_pressure: false,
                keys: keys as u64,
            };
            self.tell_flipper(flipper, FlipperEvent::Seen { cluster: name, view });
        }
    }

    fn tell_writer(&mut self, index: usize, event: WriterEvent) {
        if self.writers[index].gone {
            return;
        }
        let now = self.now();
        for effect in self.writers[index].machine.step(now, event) {
            self.writer_does(index, effect);
        }
    }

    fn writer_does(&mut self, index: usize, effect: WriterEffect) {
        match effect {
            WriterEffect::Heartbeat(heartbeat) => {
                self.writers[index]
                    .outbox
                    .push_back(GenerationEvent::Heartbeat(heartbeat));
            }
            WriterEffect::Seal(sealed) => {
                self.writers[index]
                    .outbox
                    .push_back(GenerationEvent::Sealed(sealed));
            }
            WriterEffect::Bind { batch, generation } => self.bind(index, batch, generation),
            WriterEffect::Commit { batch } => self.commit(index, batch),
            WriterEffect::Rewind { dropped } => {
                let writer = &mut self.writers[index];
                for tag in dropped {
                    if let Some(batch) = writer.batches.remove(&tag) {
                        let names = batch
                            .open
                            .iter()
                            .filter_map(|record| Some((batch.generation?, self.input[record.0][record.1])));
                        self.late.extend(names);
                    }
                }
                writer.position = self.committed;
                writer.handled = Default::default();
            }
            WriterEffect::Pause => self.writers[index].input_paused = true,
            WriterEffect::Resume => self.writers[index].input_paused = false,
            WriterEffect::EmptyFilter => self.writers[index].filter.clear(),
            WriterEffect::Finished => self.writers[index].gone = true,
        }
    }

    fn poll(&mut self, index: usize, pick: usize) {
        self.sequence += 1;
        let partition = pick % PARTITIONS;
        let writer = &self.writers[index];
        let (from, end) = (writer.position[partition], self.input[partition].len());
        if self.owner[partition] != index || writer.input_paused || writer.gone || from >= end {
            return;
        }
        let to = end.min(from + 1 + pick % 3);
        let records: Vec<Record> = (from..to).map(|offset| (partition, offset)).collect();
        for record in &records {
            self.first_polled.entry(*record).or_insert(self.sequence);
        }
        let batch = Batch {
            generation: None,
            records,
            open: Vec::new(),
            polled_at: self.sequence,
        };
        self.writers[index].position[partition] = to;
        self.writers[index].batches.insert(self.sequence, batch);
        let span = OffsetInterval {
            partition: i32::try_from(partition).unwrap(),
            from: i64::try_from(from).unwrap(),
            to: i64::try_from(to).unwrap(),
        };
        self.tell_writer(
            index,
            WriterEvent::Polled {
                batch: self.sequence,
                spans: vec![span],
                replay: None,
            },
        );
    }

    fn bind(&mut self, index: usize, tag: BatchTag, generation: Generation) {
        let writer = &mut self.writers[index];
        let batch = writer.batches.get_mut(&tag).unwrap();
        batch.generation = Some(generation);
        let known = |record: &&Record| !writer.filter.contains(&self.input[record.0][record.1]);
        batch.open = batch.records.iter().filter(known).copied().collect();
        let sets = batch.open.len() as u64;
        self.tell_writer(
            index,
            WriterEvent::Sent {
                batch: tag,
                copies: sets,
            },
        );
        self.tell_writer(
            index,
            WriterEvent::Judged {
                batch: tag,
                sets,
                acks: 0,
            },
        );
    }

    fn commit(&mut self, index: usize, tag: BatchTag) {
        let Some(batch) = self.writers[index].batches.remove(&tag) else {
            return;
        };
        let generation = batch.generation.unwrap();
        for (passed, at) in &self.barrier_at {
            assert!(
                generation > *passed || batch.polled_at < *at,
                "I2: polled after barrier({passed}), written under {generation}"
            );
        }
        // Contiguous, and only by the partition's owner.
        for (partition, offset) in batch.records {
            if self.owner[partition] == index {
                self.writers[index].handled[partition].insert(offset);
            }
            while self.writers[index].handled[partition].remove(&self.committed[partition]) {
                self.committed[partition] += 1;
            }
        }
    }

    /// Redis executes a copy; `answered` tells whether the reply comes back.
    fn land(&mut self, index: usize, pick: usize, answered: bool) {
        let tags: Vec<BatchTag> = self.writers[index].batches.keys().copied().collect();
        let Some(&tag) = tags.get(pick % tags.len().max(1)) else {
            return;
        };
        let batch = self.writers[index].batches.get_mut(&tag).unwrap();
        let Some(generation) = batch.generation else {
            return;
        };
        let Some(record) = batch.open.last().copied() else {
            return;
        };
        let url = self.input[record.0][record.1];
        if !answered {
            self.late.push((generation, url));
            self.tell_writer(
                index,
                WriterEvent::Unanswered {
                    batch: tag,
                    copies: 1,
                },
            );
            if self.writers[index].machine.may_send(self.now(), tag) {
                self.tell_writer(
                    index,
                    WriterEvent::Sent {
                        batch: tag,
                        copies: 1,
                    },
                );
            }
            return;
        }
        batch.open.pop();
        let new = u64::from(self.redis.insert((generation, url)));
        self.writers[index].filter.insert(url);
        let event = WriterEvent::Answered {
            batch: tag,
            new,
            new_hash: hash(generation, url) * u128::from(new),
            repeated: 1 - new,
            at: self.now(),
        };
        self.tell_writer(index, event);
    }

    fn writer_reads(&mut self, index: usize) {
        if self.writers[index].deaf {
            return;
        }
        let position = self.writers[index].read;
        let Some((_, event)) = self.log.get(position).cloned() else {
            return;
        };
        self.writers[index].read += 1;
        if let Some(event) = event {
            self.tell_writer(index, WriterEvent::Control(event));
        }
    }

    fn writer_publishes(&mut self, index: usize) {
        if let Some(event) = self.writers[index].outbox.pop_front() {
            self.append(event);
        }
    }

    fn tell_flipper(&mut self, index: usize, event: FlipperEvent) {
        let now = self.now();
        let effects = self.flippers[index].machine.step(now, event);
        self.flippers[index].todo.extend(effects);
    }

    fn flipper_reads(&mut self, index: usize) {
        let position = self.flippers[index].read;
        match self.log.get(position).cloned() {
            Some((_, Some(event))) => {
                self.flippers[index].read += 1;
                self.tell_flipper(index, FlipperEvent::Control(event));
            }
            Some((key, None)) => {
                self.flippers[index].read += 1;
                self.tell_flipper(index, FlipperEvent::Tombstone(key));
            }
            None if !self.flippers[index].caught_up => {
                self.flippers[index].caught_up = true;
                self.tell_flipper(index, FlipperEvent::CaughtUp);
                let elected = self.flippers[index].elected;
                self.tell_flipper(index, FlipperEvent::Elected(elected));
            }
            None => {}
        }
    }

    fn flipper_works(&mut self, index: usize) {
        let Some(effect) = self.flippers[index].todo.pop_front() else {
            return;
        };
        match effect {
            FlipperEffect::Snapshot(generation) => {
                let event = FlipperEvent::Snapshot {
                    generation,
                    nodes: self.nodes(generation),
                    start_offsets: self.offsets(&self.committed),
                    at_ms: 0,
                };
                self.tell_flipper(index, event);
            }
            FlipperEffect::Publish(event) => {
                self.append(event.clone());
                if let GenerationEvent::Draining(draining) = event {
                    self.barrier_at
                        .entry(draining.generation)
                        .or_insert(self.sequence);
                }
            }
            FlipperEffect::Drain(generation) => {
                self.flippers[index].draining.insert(generation);
            }
            FlipperEffect::StopDrain(generation) => {
                self.flippers[index].draining.remove(&generation);
            }
            FlipperEffect::ReadEndOffsets(generation) => {
                let ends = self.input.each_ref().map(Vec::len);
                let log = self
                    .offsets(&ends)
                    .iter()
                    .map(|end| OffsetInterval {
                        partition: end.partition,
                        from: 0,
                        to: end.offset,
                    })
                    .collect();
                self.tell_flipper(index, FlipperEvent::EndOffsets { generation, log });
            }
            FlipperEffect::Tombstone(keys) => {
                for key in keys {
                    self.truth.tombstone(&key);
                    self.log.push((key, None));
                }
            }
            FlipperEffect::Resign | FlipperEffect::RefuseToStart { .. } => {}
        }
    }

    fn offsets(&self, offsets: &[usize; PARTITIONS]) -> Vec<PartitionOffset> {
        (0_i32..)
            .zip(offsets)
            .map(|(partition, &offset)| PartitionOffset {
                partition,
                offset: offset as i64,
            })
            .collect()
    }

    fn nodes(&self, generation: Generation) -> Vec<NodeSeen> {
        let run = self.run[cluster(generation)];
        vec![NodeSeen {
            node_id: format!("n{}", cluster(generation)),
            run_id: run.to_string(),
            role: Role::Master,
            replication_id: run.to_string(),
            evicted_keys: 0,
        }]
    }

    /// Emits and removes one name of a generation that is being drained, or reports the pass complete.
    fn flipper_drains(&mut self, index: usize, pick: usize) {
        let Some(&generation) = self.flippers[index].draining.first() else {
            return;
        };
        let mine = |name: &&(Generation, Url)| cluster(name.0) == cluster(generation) && name.0 <= generation;
        let names: Vec<(Generation, Url)> = self.redis.iter().filter(mine).copied().collect();
        let report = self.flippers[index].drains.entry(generation).or_default();
        if let Some(&(named, url)) = names.get(pick % names.len().max(1)) {
            self.emitted.push((self.sequence, url));
            self.redis.remove(&(named, url));
            if named == generation {
                report.keys += 1;
                report.hash = report.hash.wrapping_add(hash(generation, url));
            } else {
                report.late_keys += 1;
            }
            return;
        }
        let mut report = report.clone();
        report.nodes = self.nodes(generation);
        report.slot_owners = report.nodes.iter().map(|node| node.node_id.clone()).collect();
        self.tell_flipper(index, FlipperEvent::Drained { generation, report });
    }

    /// I1: a committed record is in an acknowledged batch, or will be: its generation has no verdict yet, or
    /// it stands in a range that is still to be read again.
    fn check_no_loss(&self) {
        let replays: Vec<_> = self.truth.open_replays().collect();
        for (partition, &committed) in self.committed.iter().enumerate() {
            for offset in 0..committed {
                let url = self.input[partition][offset];
                let polled = self.first_polled[&(partition, offset)];
                let delivered = self
                    .emitted
                    .iter()
                    .any(|(at, emitted)| *emitted == url && *at > polled);
                let wanted = OffsetInterval {
                    partition: i32::try_from(partition).unwrap(),
                    from: offset as i64,
                    to: offset as i64 + 1,
                };
                let open = self.truth.generations().any(|(generation, entry)| {
                    entry.opened.is_some() && !self.verdicts.contains_key(&generation)
                });
                let replayed = replays.iter().any(|(_, range)| range.contains(&wanted));
                assert!(
                    delivered || open || replayed,
                    "I1: lost {url} at {partition}/{offset}"
                );
            }
        }
    }

    /// Everything works, in turn: how many rounds until every record is delivered or waits for its replay.
    pub(super) fn settle(&mut self, rounds: usize) -> bool {
        self.faults = Faults::default();
        self.writers.iter_mut().for_each(|writer| writer.deaf = false);
        for round in 0..rounds {
            for index in 0..2 {
                for _ in 0..8 {
                    self.sequence += 1;
                    self.writer_publishes(index);
                    self.writer_reads(index);
                    self.flipper_reads(index);
                    self.flipper_works(index);
                    self.poll(index, round + index);
                    self.poll(index, round + index + 1);
                    self.land(index, round, true);
                    self.flipper_drains(index, 0);
                }
            }
            self.pass_time(Duration::from_millis(500));
            if self.is_settled() {
                return true;
            }
        }
        false
    }

    /// Where everything stands, for the message of a failing test.
    pub(super) fn describe(&self) -> String {
        let writers: Vec<_> = self
            .writers
            .iter()
            .map(|writer| {
                (
                    &writer.position,
                    writer.input_paused,
                    writer.machine.bound(),
                    writer.machine.in_flight(),
                    writer.read,
                    &writer.batches,
                )
            })
            .collect();
        let flippers: Vec<_> = self
            .flippers
            .iter()
            .map(|flipper| {
                (
                    flipper.elected,
                    flipper.read,
                    &flipper.machine,
                    &flipper.todo,
                    &flipper.draining,
                )
            })
            .collect();
        format!(
            "clock {}, active {:?}, log {}, committed {:?}, owner {:?}, redis {:?}, writers {writers:?}, flippers {flippers:?}, verdicts {:?}",
            self.clock,
            self.truth.active(),
            self.log.len(),
            self.committed,
            self.owner,
            self.redis,
            self.verdicts
        )
    }

    fn is_settled(&self) -> bool {
        let replays: Vec<_> = self.truth.open_replays().collect();
        (0..PARTITIONS).all(|partition| {
            self.committed[partition] == self.input[partition].len()
                && (0..self.committed[partition]).all(|offset| {
                    let url = self.input[partition][offset];
                    let polled = self.first_polled[&(partition, offset)];
                    let wanted = OffsetInterval {
                        partition: i32::try_from(partition).unwrap(),
                        from: offset as i64,
                        to: offset as i64 + 1,
                    };
                    self.emitted
                        .iter()
                        .any(|(at, emitted)| *emitted == url && *at > polled)
                        || replays.iter().any(|(_, range)| range.contains(&wanted))
                })
        })
    }

    /// I6: only what came in goes out.
    pub(super) fn assert_no_invention(&self) {
        let known: BTreeSet<Url> = self.input.iter().flatten().copied().collect();
        assert!(
            self.emitted.iter().all(|(_, url)| known.contains(url)),
            "I6: invented"
        );
    }
}
