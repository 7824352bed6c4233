//! The end of a member of a group, also of one that brokers do not let in any more.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, ConsumerContext};

/// Longest wait for an answer of the client.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// Ends a client, which leaves its group, and waits for that until `deadline`.
///
/// On a thread of its own: librdkafka tries for minutes to leave a group whose brokers refuse it. What its context hears
/// from now on comes from there.
pub(crate) fn end<C>(mut client: Arc<BaseConsumer<C>>, group: &str, deadline: Instant)
where
    C: ConsumerContext + 'static,
{
    let (ended, has_ended) = mpsc::channel::<()>();
    let ending = move || {
        // Whoever asks the client something just now has it a little longer, and rebalances must be served.
        while let Err(shared) = Arc::try_unwrap(client) {
            client = shared;
            drop(client.poll(POLL));
        }
        drop(ended);
    };
    if let Err(error) = std::thread::Builder::new()
        .name("kafka-ending".to_owned())
        .spawn(ending)
    {
        tracing::error!(
            group,
            error = &error as &dyn std::error::Error,
            "no thread to leave the group on"
        );
        return;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if has_ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
        tracing::warn!(
            group,
            "the group could not be left in time and will find out by itself: its brokers may refuse the old credentials"
        );
    }
}
