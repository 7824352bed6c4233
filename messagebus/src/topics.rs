//! Names of the topics and consumer groups, made from one prefix so that test runs and tenants stay apart.

/// Names under one prefix; see `TOPIC_PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// Names that begin with `prefix`, its final dot included, as in `crawler-hints.`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// Cache misses as they arrive from the edge.
    pub fn cache_misses(&self) -> String {
        self.topic("cache-misses")
    }

    /// The zones that opted in, compacted.
    pub fn zones(&self) -> String {
        self.topic("zones")
    }

    /// The log of the flip protocol, compacted, one partition.
    pub fn generations(&self) -> String {
        self.topic("generations")
    }

    /// Batches of hints for the dispatcher.
    pub fn batches(&self) -> String {
        self.topic("batches")
    }

    /// Records that were malformed or not allowed, as they came.
    pub fn rejected(&self) -> String {
        self.topic("rejected")
    }

    /// URLs that a partner finally refused.
    pub fn undeliverable(&self) -> String {
        self.topic("undeliverable")
    }

    /// What partners accepted.
    pub fn receipts(&self) -> String {
        self.topic("receipts")
    }

    /// The consumer group `name`: the prefix with its last dot as a dash, and the name.
    pub fn group(&self, name: &str) -> String {
        match self.prefix.strip_suffix('.') {
            Some(stem) => format!("{stem}-{name}"),
            None => format!("{}{name}", self.prefix),
        }
    }

    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_groups_are_named_as_the_operators_know_them() {
        let topics = Topics::new("crawler-hints.");
        assert_eq!(topics.cache_misses(), "crawler-hints.cache-misses");
        assert_eq!(topics.group("ingestor"), "crawler-hints-ingestor");
        assert_eq!(topics.group("dispatcher-bing"), "crawler-hints-dispatcher-bing");
    }

    #[test]
    fn only_the_last_dot_of_a_prefix_becomes_a_dash() {
        assert_eq!(Topics::new("eu.hints.").group("flipper"), "eu.hints-flipper");
        assert_eq!(Topics::new("t7-").group("flipper"), "t7-flipper");
    }
}
