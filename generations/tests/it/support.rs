//! A miniature ingestor: stages names, sends again what has to be, adds up the answers.

use std::collections::HashMap;
use std::time::Duration;

use clap::Parser;
use generations::{
    AgeValue, CanonicalParts, ChunkAnswer, Outcome, RedisArgs, RedisMetrics, RedisWriter, encode_name,
    name_hash,
};
use messagebus::clock::BootInstant;
use messagebus::metrics::{BusMetrics, Registrar};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::redis_cluster::RedisCluster;

/// Longest time for anything that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    redis: RedisArgs,
}

pub(crate) fn args(cluster: &RedisCluster) -> RedisArgs {
    parse(&cluster.seeds())
}

/// Both clusters are the same one.
pub(crate) fn parse(seeds: &str) -> RedisArgs {
    Config::try_parse_from(["test", "--redis-a", seeds, "--redis-b", seeds])
        .unwrap()
        .redis
}

pub(crate) fn metrics() -> RedisMetrics {
    let registrar = Registrar::new(&prometheus::Registry::new(), "test");
    RedisMetrics::register(&registrar, &BusMetrics::register(&registrar).unwrap()).unwrap()
}

pub(crate) fn name(generation: u64, host: usize, page: usize, spread: u16) -> Vec<u8> {
    let (host, path_and_query) = (format!("host-{host}.example"), format!("/page/{page}?q=1"));
    let mut out = Vec::new();
    let parts = CanonicalParts {
        https: true,
        host: &host,
        path_and_query: &path_and_query,
    };
    encode_name(&mut out, generation, parts, spread);
    out
}

pub(crate) fn hash_sum<'a>(names: impl IntoIterator<Item = &'a Vec<u8>>) -> u128 {
    names
        .into_iter()
        .fold(0, |sum, name| sum.wrapping_add(name_hash(name)))
}

/// What has become of everything written so far.
#[derive(Default, Debug)]
pub(crate) struct Sums {
    pub(crate) new: u64,
    pub(crate) new_hash: u128,
    pub(crate) repeated: u64,
    pub(crate) retried: u64,
    pub(crate) blocked: u64,
    pub(crate) unanswered: u64,
    /// By outcome, for those who ask.
    pub(crate) outcomes: HashMap<Outcome, u64>,
}

pub(crate) struct Ingest {
    pub(crate) writer: RedisWriter,
    pub(crate) answers: mpsc::Receiver<ChunkAnswer>,
    pub(crate) sums: Sums,
    pub(crate) in_flight: u64,
}

impl Ingest {
    pub(crate) async fn start(args: &RedisArgs) -> Self {
        let (writer, answers) = RedisWriter::start(args, &metrics()).unwrap();
        let mut map = writer.cluster(generations::ClusterName::A).subscribe();
        let covered = map.wait_for(|map| map.is_covered());
        drop(timeout(PATIENCE, covered).await.unwrap().unwrap());
        Self {
            writer,
            answers,
            sums: Sums::default(),
            in_flight: 0,
        }
    }

    /// Stages names and counts the chunks they become.
    pub(crate) fn stage<'a>(&mut self, names: impl IntoIterator<Item = &'a Vec<u8>>) {
        let mut stage = self.writer.stage(0, 7, BootInstant::from_nanos(u64::MAX));
        for name in names {
            stage.push(name, AgeValue::OPENED, 1).unwrap();
        }
        self.in_flight += u64::from(stage.finish());
    }

    pub(crate) async fn answer(&mut self) -> ChunkAnswer {
        let answer = timeout(PATIENCE, self.answers.recv()).await.unwrap().unwrap();
        self.in_flight -= 1;
        self.sums.new += u64::from(answer.new);
        self.sums.new_hash = self.sums.new_hash.wrapping_add(answer.new_hash);
        self.sums.repeated += u64::from(answer.repeated);
        self.sums.retried += u64::from(answer.retry);
        self.sums.blocked += u64::from(answer.blocked);
        self.sums.unanswered += u64::from(answer.unanswered);
        for set in answer.chunk.sets() {
            *self.sums.outcomes.entry(set.outcome).or_default() += 1;
        }
        answer
    }

    /// Writes all names, sending again what is not answered "new" or "repeated", until all are.
    pub(crate) async fn write(&mut self, names: &[Vec<u8>]) {
        let written = timeout(PATIENCE, self.write_all(names)).await;
        assert!(written.is_ok(), "not all is written: {:?}", self.sums);
    }

    async fn write_all(&mut self, names: &[Vec<u8>]) {
        for batch in names.chunks(10_000) {
            while !self.writer.has_room(0) {
                self.settle_one().await;
            }
            self.stage(batch);
        }
        while self.in_flight > 0 {
            self.settle_one().await;
        }
    }

    async fn settle_one(&mut self) {
        let answer = self.answer().await;
        let again: Vec<Vec<u8>> = answer
            .chunk
            .sets()
            .filter(|set| !matches!(set.outcome, Outcome::New | Outcome::Repeated))
            .map(|set| set.name.to_vec())
            .collect();
        if answer.blocked > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.stage(&again);
    }
}
