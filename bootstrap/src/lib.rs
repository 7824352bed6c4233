#![doc = include_str!("../README.md")]

use std::ffi::CString;

use rdkafka::ClientContext;
use rdkafka::bindings::rd_kafka_brokers_add;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Whether an error says that no broker can be reached any more.
#[must_use]
pub fn all_are_lost(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
}

/// What the owner of a client does after each error: [`begin_again`] where all brokers are lost.
pub fn begin_again_after<C: ClientContext>(error: &KafkaError, client: &Client<C>, servers: &str) {
    if all_are_lost(error) {
        begin_again(client, servers);
    }
}

/// Tells a client its bootstrap servers once more, as in `bootstrap.servers`. Does not block. Those that it still has
/// are not added twice, and it forgets them again once it has learned the cluster's brokers.
pub fn begin_again<C: ClientContext>(client: &Client<C>, servers: &str) {
    let Ok(servers) = CString::new(servers) else {
        return; // No client could be made with them.
    };
    #[expect(unsafe_code, reason = "the crate `rdkafka` does not wrap this call")]
    // SAFETY: `client` keeps the handle alive throughout, any thread may call, and the text is copied.
    let known = unsafe { rd_kafka_brokers_add(client.native_ptr(), servers.as_ptr()) };
    tracing::debug!(
        known,
        "all brokers are lost: beginning again with the bootstrap servers"
    );
}

#[cfg(test)]
mod tests;
