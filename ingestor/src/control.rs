//! The writer's records to the log of generations: heartbeats once, seals until they are acknowledged.

use anyhow::Context;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hint_schema::generation_event::{GenerationEvent, Heartbeat, Sealed};
use messagebus::{OutRecord, ProduceError, Producer};
use tokio::sync::mpsc;

/// Something to write to the log.
#[derive(Clone, Debug)]
pub(crate) enum LogWrite {
    /// Produced once: one that is lost is followed by the next.
    Heartbeat(Heartbeat),
    /// Produced until it is acknowledged.
    Seal(Sealed),
}

/// Writes what comes until the queue is closed and every seal acknowledged. Tells `finished` when a final seal is.
///
/// # Errors
/// The log will not take a seal, or the producer is dead.
pub(crate) async fn write_log(
    producer: Producer,
    topic: String,
    mut queue: mpsc::Receiver<LogWrite>,
    finished: mpsc::Sender<()>,
) -> anyhow::Result<()> {
    let mut seals = FuturesUnordered::new();
    loop {
        tokio::select! {
            // A heartbeat must not wait for a seal's acknowledgement: the lease depends on it.
            write = queue.recv() => match write {
                Some(LogWrite::Heartbeat(heartbeat)) => beat(&producer, &topic, heartbeat).await?,
                Some(LogWrite::Seal(sealed)) => seals.push(seal(&producer, &topic, sealed)),
                None => break,
            },
            Some(sealed) = seals.next() => announce(sealed?, &finished).await,
        }
    }
    while let Some(sealed) = seals.next().await {
        announce(sealed?, &finished).await;
    }
    Ok(())
}

async fn announce(sealed: Sealed, finished: &mpsc::Sender<()>) {
    tracing::info!(
        generation = sealed.generation,
        new_keys = sealed.new_keys,
        repeated_keys = sealed.repeated_keys,
        unknown = sealed.unknown,
        is_final = sealed.is_final,
        "sealed"
    );
    if sealed.is_final {
        // Nobody listens when the service stops for another reason.
        let _closed = finished.send(()).await.is_err();
    }
}

async fn beat(producer: &Producer, topic: &str, heartbeat: Heartbeat) -> anyhow::Result<()> {
    let event = GenerationEvent::Heartbeat(heartbeat);
    let (key, payload) = (event.key(), event.encode());
    match producer.enqueue(record(topic, &key, &payload)).await {
        // Whether it arrived shows when it is read back.
        Ok(delivery) => drop(delivery),
        Err(ProduceError::Unknown { .. }) => {}
        Err(error) => return Err(error).with_context(|| format!("writing {key} to {topic}")),
    }
    Ok(())
}

async fn seal(producer: &Producer, topic: &str, sealed: Sealed) -> anyhow::Result<Sealed> {
    let event = GenerationEvent::Sealed(sealed.clone());
    let (key, payload) = (event.key(), event.encode());
    // Nobody overwrites a key, nor its own: after a time-out the same bytes go again.
    producer
        .persist(record(topic, &key, &payload))
        .await
        .with_context(|| format!("writing {key} to {topic}"))?;
    Ok(sealed)
}

fn record<'a>(topic: &'a str, key: &'a str, payload: &'a [u8]) -> OutRecord<'a> {
    OutRecord {
        topic,
        partition: Some(0),
        key: key.as_bytes(),
        payload: Some(payload),
        headers: &[],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hint_schema::generation_event::Incarnation;
    use messagebus::{BusMetrics, KafkaArgs, Registrar};
    use prometheus::Registry;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn heartbeats_go_out_though_neither_they_nor_a_seal_are_acknowledged() {
        let (writer, incarnation) = ("w".to_owned(), Incarnation(1));
        let heartbeat = Heartbeat {
            writer: writer.clone(),
            incarnation,
            sequence: 1,
            first_generation: 3,
        };
        let seal = Sealed {
            generation: 3,
            writer,
            incarnation,
            new_keys: 0,
            new_hash: 0,
            repeated_keys: 0,
            unknown: 0,
            live: Vec::new(),
            replayed: Vec::new(),
            is_final: false,
        };
        let bus = BusMetrics::register(&Registrar::new(&Registry::new(), "ingestor")).unwrap();
        let producer = Producer::new(&KafkaArgs::plaintext("127.0.0.1:1", "test."), bus).unwrap();
        let (writes, queue) = mpsc::channel(1);
        let (finished, _is_finished) = mpsc::channel(1);
        let writing = tokio::spawn(write_log(producer, "topic".to_owned(), queue, finished));
        let all_are_taken = async {
            writes.send(LogWrite::Seal(seal)).await.unwrap();
            for _ in 0..3 {
                writes.send(LogWrite::Heartbeat(heartbeat.clone())).await.unwrap();
            }
        };
        let taken = timeout(Duration::from_secs(20), all_are_taken).await;
        taken.expect("a heartbeat waits");
        writing.abort();
    }
}
