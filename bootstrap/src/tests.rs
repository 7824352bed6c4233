use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataResponse, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Encodable, StrBytes, decode_request_header_from_buffer};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);
const TOPIC: &str = "t";
const THE_BROKER: BrokerId = BrokerId(1);
const NO_BROKER: BrokerId = BrokerId(-1);
/// Of ApiVersions and Metadata; nothing else is served.
const VERSIONS: [(ApiKey, i16); 2] = [(ApiKey::ApiVersions, 3), (ApiKey::Metadata, 4)];

/// A broker that tells who the brokers are, and nothing else.
struct Teller {
    address: SocketAddr,
    /// It tells that there are none.
    has_none: AtomicBool,
    /// How often it told.
    told: AtomicUsize,
}

impl Teller {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let teller = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            has_none: AtomicBool::new(false),
            told: AtomicUsize::new(0),
        });
        let all = Arc::clone(&teller);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (one, stream) = (Arc::clone(&all), stream.unwrap());
                std::thread::spawn(move || one.serve(stream));
            }
        });
        teller
    }

    /// Answers until the client goes.
    fn serve(&self, mut stream: TcpStream) {
        let mut size = [0; 4];
        while stream.read_exact(&mut size).is_ok() {
            let mut request = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut request).unwrap();
            let answer = self.answer(Bytes::from(request));
            let size = u32::try_from(answer.len()).unwrap().to_be_bytes();
            if stream.write_all(&[&size, &answer[..]].concat()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, mut request: Bytes) -> BytesMut {
        let header = decode_request_header_from_buffer(&mut request).unwrap();
        let key = ApiKey::try_from(header.request_api_key).unwrap();
        let version = header.request_api_version;
        let mut answer = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(header.correlation_id)
            .encode(&mut answer, key.response_header_version(version))
            .unwrap();
        match key {
            ApiKey::ApiVersions => versions().encode(&mut answer, version).unwrap(),
            _ => self.metadata().encode(&mut answer, version).unwrap(),
        }
        answer
    }

    fn metadata(&self) -> MetadataResponse {
        let has_none = self.has_none.load(Ordering::Acquire);
        let broker = MetadataResponseBroker::default()
            .with_node_id(THE_BROKER)
            .with_host(StrBytes::from_string(self.address.ip().to_string()))
            .with_port(self.address.port().into());
        let partition = MetadataResponsePartition::default()
            .with_leader_id(if has_none { NO_BROKER } else { THE_BROKER })
            .with_replica_nodes(vec![THE_BROKER])
            .with_isr_nodes(vec![THE_BROKER]);
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str(TOPIC))))
            .with_partitions(vec![partition]);
        self.told.fetch_add(1, Ordering::AcqRel);
        MetadataResponse::default()
            .with_brokers(if has_none { vec![] } else { vec![broker] })
            .with_topics(vec![topic])
    }
}

fn versions() -> ApiVersionsResponse {
    let version = |(key, max)| {
        ApiVersion::default()
            .with_api_key(key as i16)
            .with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(VERSIONS.map(version).to_vec())
}

/// Serves a client, as its owner does, until the teller has told once more.
fn poll_until_told(client: &BaseConsumer, teller: &Teller) {
    let (before, deadline) = (teller.told.load(Ordering::Acquire), Instant::now() + DEADLINE);
    while teller.told.load(Ordering::Acquire) == before {
        assert!(Instant::now() < deadline, "the client asks nobody any more");
        if let Some(Err(error)) = client.poll(Duration::from_millis(10)) {
            begin_again_after(&error, client.client(), &teller.address.to_string());
        }
    }
}

#[test]
fn a_client_that_was_told_of_no_brokers_asks_again() {
    let teller = Teller::start();
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", teller.address.to_string())
        .set("group.id", "g")
        .set("topic.metadata.refresh.interval.ms", "100")
        // librdkafka's own way back is what may fail; here it always does.
        .set("metadata.recovery.strategy", "none")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(TOPIC, 0, Offset::Beginning)
        .unwrap();
    client.assign(&partitions).unwrap();
    for _ in 0..5 {
        teller.has_none.store(false, Ordering::Release);
        poll_until_told(&client, &teller);
        poll_until_told(&client, &teller);
        teller.has_none.store(true, Ordering::Release);
        poll_until_told(&client, &teller);
    }
}
