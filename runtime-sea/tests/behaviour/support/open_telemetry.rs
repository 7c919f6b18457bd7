//! OpenTelemetry as an application sets it up, with the spans in memory.

use std::collections::HashMap;
use std::sync::LazyLock;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use runtime_sea::trace::TraceContext;
use tracing::Span;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

static SPANS: LazyLock<InMemorySpanExporter> = LazyLock::new(InMemorySpanExporter::default);

/// Exports the spans of the runtime.
pub(crate) fn layer<S>() -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(SPANS.clone())
        .build();
    let ours = Targets::new()
        .with_target("runtime_sea", LevelFilter::INFO)
        .with_target("behaviour::traces", LevelFilter::INFO);
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("behaviour"))
        .with_filter(ours)
}

/// A layer that panics over a span of which this is the `event_type` or the `job_type`, whenever one begins.
pub(crate) const PANICS: &str = "layer_panics";

/// The same, whenever such a span is entered.
pub(crate) const PANICS_WHEN_ENTERED: &str = "layer_panics_when_entered";

pub(crate) struct Panicking;

struct Looked(&'static str, bool);

/// Marks a span.
struct PanicsWhenEntered;

impl Visit for Looked {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.1 |= value == self.0 && ["event_type", "job_type"].contains(&field.name());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Looked {
    fn finds(value: &'static str, attributes: &Attributes<'_>) -> bool {
        let mut looked = Self(value, false);
        attributes.record(&mut looked);
        looked.1
    }
}

impl<S> Layer<S> for Panicking
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        assert!(!Looked::finds(PANICS, attributes), "the layer gives up");
        if Looked::finds(PANICS_WHEN_ENTERED, attributes) {
            let span = context.span(id).unwrap();
            span.extensions_mut().insert(PanicsWhenEntered);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let panics = span.extensions().get::<PanicsWhenEntered>().is_some();
        drop(span);
        assert!(!panics, "the layer gives up");
    }
}

/// The finished spans of that name of which an attribute has this value.
pub(crate) fn finished(name: &str, attribute: &str, value: &impl ToString) -> Vec<SpanData> {
    let value = value.to_string();
    let mut spans = SPANS.get_finished_spans().unwrap();
    spans.retain(|span| {
        span.name == name && self::attribute(span, attribute).as_deref() == Some(&*value)
    });
    spans
}

/// The value of a span's attribute.
pub(crate) fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|it| it.key.as_str() == name)?;
    Some(attribute.value.to_string())
}

/// The span as others are told of it.
pub(crate) fn traceparent(span: &SpanData) -> String {
    let context = &span.span_context;
    format!("00-{}-{}-01", context.trace_id(), context.span_id())
}

/// What an application gives to its runtime.
#[derive(Debug, Default)]
pub(crate) struct OpenTelemetry(TraceContextPropagator);

impl TraceContext for OpenTelemetry {
    fn current(&self) -> Option<String> {
        let mut carrier = HashMap::new();
        let context = Span::current().context();
        self.0.inject_context(&context, &mut carrier);
        carrier.remove("traceparent")
    }

    fn continue_trace(&self, span: &Span, traceparent: &str) {
        let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
        // A span that no layer looks at has no parent to be given.
        let _ = span.set_parent(self.0.extract(&carrier));
    }
}
