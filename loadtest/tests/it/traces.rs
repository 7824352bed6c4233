//! Traces of all three services, as a collector gets them that speaks OTLP over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use hint_schema::cache_miss::CacheMiss;
use loadtest::produce::producer;
use loadtest::run::{Run, RunSettings};
use messagebus::trace::TRACEPARENT;
use messagebus::{OutRecord, now_ms};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message;

use crate::support::{PATIENCE, Pipeline, on_shared_threads, zone_of};

const HOST: &str = "www.traced.example";
const SAMPLED: [u8; 16] = [0x5a; 16];

/// What has arrived: the service, and one of its spans.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

impl Collector {
    async fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (collector, address)
    }

    fn spans(&self, service: &str, name: &str) -> Vec<Span> {
        let all = self.0.lock();
        let wanted = all
            .iter()
            .filter(|(from, span)| from == service && span.name == name);
        wanted.map(|(_, span)| span.clone()).collect()
    }

    /// Whether records of the sampled trace were ingested into a generation of which a batch went to both partners.
    fn leads_through(&self) -> bool {
        let published = self.spans("flipper", "publish");
        let submitted = self.spans("dispatcher", "submit");
        let went_to_both = |batch: &Span| {
            let requests = submitted.iter().filter(|span| links_to(span, &batch.trace_id));
            requests.count() == 2
        };
        let ingested = self.spans("ingestor", "ingest");
        let ingested = ingested.iter().filter(|span| links_to(span, &SAMPLED));
        ingested.filter_map(generation).any(|number| {
            let mut of_it = published.iter().filter(|span| generation(span) == Some(number));
            of_it.any(went_to_both)
        })
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers.get("content-type").unwrap(), "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for of_service in request.resource_spans {
        let service = text(&of_service.resource.unwrap().attributes, "service.name").unwrap();
        let spans = of_service.scope_spans.into_iter().flat_map(|scope| scope.spans);
        collector
            .0
            .lock()
            .extend(spans.map(|span| (service.clone(), span)));
    }
}

fn value(attributes: &[KeyValue], key: &str) -> Option<any_value::Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match value(attributes, key)? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn generation(span: &Span) -> Option<i64> {
    match value(&span.attributes, "crawlerhints.generation")? {
        any_value::Value::IntValue(number) => Some(number),
        _ => None,
    }
}

fn links_to(span: &Span, trace: &[u8]) -> bool {
    span.links.iter().any(|link| link.trace_id == trace)
}

/// Sends 40 records of which each names the trace that `traceparent` gives it.
async fn send_traced(run: &Run, traceparent: impl Fn(usize) -> String) {
    let (topic, producer) = (run.kafka.topics().cache_misses(), producer(&run.kafka).unwrap());
    for number in 0..40 {
        let url = format!("https://{HOST}/page/{number}");
        let miss = CacheMiss {
            timestamp_ms: now_ms(),
            url: &url,
            zone_id: 7,
            origin_status: 200,
            content_type: "text/html",
            ..CacheMiss::default()
        };
        let trace = traceparent(number);
        let record = OutRecord {
            topic: &topic,
            partition: None,
            key: b"7",
            payload: Some(&miss.encode()),
            headers: &[(TRACEPARENT, trace.as_bytes())],
        };
        producer.send(record).await.unwrap();
    }
}

#[test]
fn a_trace_leads_from_a_record_to_the_requests_of_its_generation() {
    on_shared_threads(async {
        let (collector, address) = Collector::start().await;
        let zone = zone_of(7, HOST, "traced-own-key-0123456789");
        let settings = RunSettings {
            settings: vec![
                (
                    "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
                    format!("http://{address}"),
                ),
                ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned()),
            ],
            ..RunSettings::default()
        };
        let mut pipeline = Pipeline::start_with(&[zone], settings).await;
        let sampled = hex(&SAMPLED);
        send_traced(&pipeline.run, |number| match number % 4 {
            0 => format!("00-{}-00f067aa0ba902b7-00", "ab".repeat(16)), // Not sampled.
            1 => "00-no-trace-at-all".to_owned(),
            _ => format!("00-{sampled}-{:016x}-01", number + 1),
        })
        .await;
        let deadline = Instant::now() + PATIENCE;
        while !collector.leads_through() {
            assert!(
                Instant::now() < deadline,
                "no trace leads from a record to both requests"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        pipeline.close().await;

        for span in collector.spans("ingestor", "ingest") {
            assert!(span.links.len() <= 32);
            assert!(span.links.iter().all(|link| link.trace_id == SAMPLED), "{span:?}");
            assert!(
                span.parent_span_id.is_empty(),
                "a batch begins a trace of its own"
            );
        }
        for span in collector.spans("dispatcher", "submit") {
            assert_eq!(text(&span.attributes, "crawlerhints.host").unwrap(), HOST);
        }
        let told = collector
            .0
            .lock()
            .iter()
            .any(|(_, span)| format!("{span:?}").contains("/page/"));
        assert!(!told, "a trace names hosts, never URLs");
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
