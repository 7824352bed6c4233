//! The few of librdkafka's statistics that lag and backlog need.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    topics: HashMap<String, Topic>,
    #[serde(default)]
    cgrp: Option<Group>,
}

#[derive(Debug, Default, Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<i32, Figures>,
}

/// A partition's offsets, negative where librdkafka does not know them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Figures {
    pub(super) partition: i32,
    pub(super) committed_offset: i64,
    pub(super) eof_offset: i64,
    pub(super) lo_offset: i64,
    pub(super) hi_offset: i64,
    fetchq_size: u64,
}

#[derive(Debug, Deserialize)]
struct Group {
    state: String,
    join_state: String,
}

impl Statistics {
    pub(super) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// Whether this process is a member of its group that knows its partitions.
    pub(super) fn has_joined(&self) -> bool {
        self.cgrp
            .as_ref()
            .is_some_and(|group| group.state == "up" && group.join_state == "steady")
    }

    /// The figures of each partition of `topic`.
    pub(super) fn partitions(&self, topic: &str) -> impl Iterator<Item = &Figures> {
        let topic = self.topics.get(topic);
        // -1 stands for records without a partition.
        topic
            .into_iter()
            .flat_map(|topic| topic.partitions.values())
            .filter(|figures| figures.partition >= 0)
    }

    /// Bytes prefetched: every partition reports the queue that all share.
    pub(super) fn queue_bytes(&self) -> u64 {
        let partitions = self.topics.values().flat_map(|topic| topic.partitions.values());
        partitions.map(|figures| figures.fetchq_size).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_topic_are_read() {
        let json = br#"{"name":"x","topics":{"t":{"topic":"t","partitions":{
            "0":{"partition":0,"committed_offset":5,"eof_offset":9,"lo_offset":1,"hi_offset":9,"fetchq_size":70},
            "-1":{"partition":-1,"committed_offset":-1001,"eof_offset":-1001,"lo_offset":-1001,
                  "hi_offset":-1001,"fetchq_size":0}}}},
            "cgrp":{"state":"up","join_state":"steady","rebalance_cnt":1}}"#;
        let statistics = Statistics::parse(json).unwrap();
        let figures: Vec<_> = statistics.partitions("t").collect();
        assert_eq!(figures.len(), 1);
        assert_eq!(
            (
                figures[0].committed_offset,
                figures[0].hi_offset,
                figures[0].eof_offset
            ),
            (5, 9, 9)
        );
        assert_eq!(statistics.queue_bytes(), 70);
        assert!(statistics.has_joined());
    }
}
