//! What a failed delivery means, and what to do next.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::metrics::ProduceFailure;

/// A record that was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// It may be persisted or not: send the same bytes again.
    #[error("the record's delivery is unknown")]
    Unknown {
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
    /// It is not persisted, and sending it again will not help: it is too large, or not allowed.
    #[error("topic {topic} takes no such record of {principal}")]
    Refused {
        /// The topic.
        topic: Box<str>,
        /// Who sent it, as the brokers' ACLs name it.
        principal: Box<str>,
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
    /// The client is dead, whatever became of the record: end the process.
    #[error("the producer is dead")]
    Fatal {
        /// What librdkafka says.
        #[source]
        source: KafkaError,
    },
}

impl ProduceError {
    /// What an error of librdkafka means for a record to `topic`. Anything not known to be final is unknown, which
    /// is always safe.
    pub(super) fn classify(source: KafkaError, dead: bool, topic: &str, principal: &str) -> Self {
        use RDKafkaErrorCode as Code;
        if dead {
            return Self::Fatal { source };
        }
        let refused = |source| Self::Refused {
            topic: topic.into(),
            principal: principal.into(),
            source,
        };
        match source.rdkafka_error_code() {
            Some(Code::Fatal) => Self::Fatal { source },
            Some(
                Code::MessageSizeTooLarge
                | Code::InvalidRecord
                | Code::InvalidMessage
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::UnknownPartition
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::InvalidTopic
                | Code::PolicyViolation
                | Code::InvalidArgument,
            ) => refused(source),
            None if matches!(source, KafkaError::Nul(_)) => refused(source),
            _ => Self::Unknown { source },
        }
    }

    pub(super) fn closed() -> Self {
        Self::Fatal {
            source: KafkaError::Canceled,
        }
    }

    /// The reason under which it is counted.
    pub(super) fn reason(&self) -> ProduceFailure {
        use RDKafkaErrorCode as Code;
        let (Self::Unknown { source } | Self::Refused { source, .. } | Self::Fatal { source }) = self;
        match source.rdkafka_error_code() {
            Some(Code::MessageTimedOut | Code::RequestTimedOut | Code::OperationTimedOut) => {
                ProduceFailure::Timeout
            }
            Some(Code::MessageSizeTooLarge) => ProduceFailure::TooLarge,
            Some(
                Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication,
            ) => ProduceFailure::Auth,
            Some(Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend) => ProduceFailure::Isr,
            _ => ProduceFailure::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(code: RDKafkaErrorCode) -> ProduceError {
        ProduceError::classify(KafkaError::MessageProduction(code), false, "hints", "User:me")
    }

    #[test]
    fn a_time_out_is_unknown_and_counted_as_one() {
        for code in [
            RDKafkaErrorCode::MessageTimedOut,
            RDKafkaErrorCode::RequestTimedOut,
            RDKafkaErrorCode::OperationTimedOut,
        ] {
            let error = classify(code);
            assert!(matches!(error, ProduceError::Unknown { .. }), "{code:?}");
            assert_eq!(error.reason(), ProduceFailure::Timeout, "{code:?}");
        }
    }

    #[test]
    fn what_is_too_large_or_not_allowed_is_refused() {
        let large = classify(RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(matches!(large, ProduceError::Refused { .. }));
        assert_eq!(large.reason(), ProduceFailure::TooLarge);
        let auth = classify(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert!(matches!(auth, ProduceError::Refused { .. }));
        assert_eq!(auth.reason(), ProduceFailure::Auth);
        assert_eq!(auth.to_string(), "topic hints takes no such record of User:me");
    }

    #[test]
    fn anything_else_is_unknown_because_that_is_always_safe() {
        assert!(matches!(
            classify(RDKafkaErrorCode::Unknown),
            ProduceError::Unknown { .. }
        ));
        assert!(matches!(
            classify(RDKafkaErrorCode::PurgeInflight),
            ProduceError::Unknown { .. }
        ));
        assert_eq!(
            classify(RDKafkaErrorCode::NotEnoughReplicas).reason(),
            ProduceFailure::Isr
        );
    }

    #[test]
    fn a_dead_client_makes_every_error_fatal() {
        let source = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        assert!(matches!(
            ProduceError::classify(source, true, "hints", "User:me"),
            ProduceError::Fatal { .. }
        ));
    }
}
