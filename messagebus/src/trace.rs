//! Traces for an OpenTelemetry collector, by OTLP over HTTP. Off until its address is set: then every question here is
//! one load.
//!
//! Work on many records is a trace of its own, with links to the traces that the records came from, as OpenTelemetry's
//! conventions for messaging have it for batches. Traces pass between services in Kafka headers, as W3C `traceparent`
//! (<https://www.w3.org/TR/trace-context/>), never to partners. A hint in Redis carries none: the generation, an
//! attribute of both sides, tells which ingested batches a drained one is made of.

mod origins;

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::{Span as _, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use url::Url;

use crate::args::TraceArgs;

pub use opentelemetry::trace::SpanKind;
pub use origins::{Origins, TRACEPARENT};

/// A collector that does not answer delays the end of a process by no more than this.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Sends traces while it lives, and what is left of them when it is dropped.
#[derive(Debug)]
#[must_use = "traces end with it"]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Begins to send the traces of `service`, where a collector is set; a thread of its own does it, and drops traces
    /// while the collector does not take them. The SDK's own settings hold: `OTEL_TRACES_SAMPLER`,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    ///
    /// # Errors
    /// The exporter cannot be made.
    pub fn start(args: &TraceArgs, service: &'static str) -> anyhow::Result<Self> {
        let Some(endpoint) = &args.otel_exporter_otlp_endpoint else {
            return Ok(Self(None));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(signal_url(endpoint))
            .build()
            .with_context(|| format!("preparing to send traces to {endpoint}"))?;
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.namespace", "crawler-hints"));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_max_links_per_span(origins::MOST)
            .with_resource(resource.build())
            .build();
        // A second one in the same process would send nothing: tests share the first.
        drop(TRACER.set(provider.tracer("crawler-hints")));
        Ok(Self(Some(provider)))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(error)) = self
            .0
            .as_ref()
            .map(|provider| provider.shutdown_with_timeout(FLUSH_WITHIN))
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last traces were not sent"
            );
        }
    }
}

/// Whether traces are sent.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// A piece of work: ends when it is dropped. Nothing while no traces are sent.
#[derive(Debug, Default)]
pub struct Work(Option<Box<Span>>);

impl Work {
    /// Begins a trace, linked to where its records came from.
    pub fn begin(name: &'static str, kind: SpanKind, origins: Origins) -> Self {
        let span = TRACER.get().map(|tracer| {
            let builder = tracer.span_builder(name).with_kind(kind);
            let builder = builder.with_links(origins.into_links());
            Box::new(tracer.build_with_context(builder, &Context::new()))
        });
        Self(span)
    }

    /// Adds an attribute.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Adds a count.
    pub fn count(&mut self, key: &'static str, count: usize) {
        self.set(key, i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Adds the generation that it belongs to.
    pub fn generation(&mut self, generation: u64) {
        self.set(
            "crawlerhints.generation",
            i64::try_from(generation).unwrap_or(i64::MAX),
        );
    }

    /// Says that it failed, and why: no URL and no secret.
    pub fn fail(&mut self, why: impl Into<std::borrow::Cow<'static, str>>) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why));
        }
    }

    /// The value of the `traceparent` header for what it sends on.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span_context();
        let (trace, span) = (context.trace_id(), context.span_id());
        let sampled = u8::from(context.is_sampled());
        Some(format!("00-{trace}-{span}-{sampled:02x}"))
    }
}

/// Where a collector takes traces: the path is added to its base address
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp>).
fn signal_url(endpoint: &Url) -> String {
    format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'))
}

/// Reads the collector's address; for clap's `value_parser`.
pub(crate) fn endpoint(value: &str) -> Result<Url, String> {
    let expected = "expected the base URL of a collector such as http://otel-collector:4318";
    let url = Url::parse(value).map_err(|error| format!("{error}; {expected}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(expected.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_traces_is_added_to_the_base_address() {
        for base in ["http://collector:4318", "http://collector:4318/"] {
            let url = endpoint(base).unwrap();
            assert_eq!(signal_url(&url), "http://collector:4318/v1/traces");
        }
    }

    #[test]
    fn an_address_that_no_collector_has_says_what_was_expected() {
        for wrong in ["collector:4318", "grpc://collector:4317", "4318"] {
            assert!(endpoint(wrong).unwrap_err().contains("expected the base URL"));
        }
    }

    #[test]
    fn nothing_is_traced_while_no_collector_is_set() {
        let traces = Traces::start(&TraceArgs::default(), "test").unwrap();
        assert!(!is_on());
        let work = Work::begin("nothing", SpanKind::Internal, Origins::default());
        assert_eq!((work.traceparent(), work.0.is_none()), (None, true));
        drop(traces);
    }
}
