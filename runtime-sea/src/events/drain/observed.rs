//! The calls of consumers, each in a span of its own, and measured.

use std::sync::Arc;
use std::time::Instant;

use tracing::{Instrument, Span};

use super::dispatch::{Consumers, Failure, call, fire};
use crate::bridge::Firing;
use crate::events::{EventRecord, Subscription};
use crate::jobs::Trigger;
use crate::{metrics, trace};

impl Consumers {
    /// Calls a subscription with an event.
    pub(super) async fn deliver(
        &self,
        subscription: &Subscription,
        record: &EventRecord,
        attempt: u32,
    ) -> Result<(), Failure> {
        let (span, trace) = self.span(record, &subscription.name, attempt);
        let began = Instant::now();
        let called = call(subscription, record, attempt, self.subscription_timeout);
        let result = trace::within(trace, called).instrument(span.clone()).await;
        let outcome = match &result {
            Ok(()) => "delivered",
            Err(failure) if failure.retry_after.is_some() => "retried",
            Err(_) => "failed",
        };
        span.record("outcome", outcome);
        self.measure(record, &subscription.name, outcome, result.is_ok(), began);
        result
    }

    /// Asks a trigger what an event starts.
    pub(super) fn ask(&self, trigger: &Trigger, record: &EventRecord, attempt: u32) -> Firing {
        let (span, trace) = self.span(record, &trigger.id, attempt);
        let began = Instant::now();
        let firing = trace::call(&span, trace, || {
            let mut firing = fire(trigger, record);
            firing.run = firing
                .run
                .map(|run| run.map(|run| run.traced(&self.traces)));
            firing
        });
        let outcome = match &firing.run {
            Ok(Some(_)) => "started",
            Ok(None) => "skipped",
            Err(_) => "failed",
        };
        span.record("outcome", outcome);
        self.measure(record, &trigger.id, outcome, firing.run.is_ok(), began);
        firing
    }

    fn measure(
        &self,
        record: &EventRecord,
        consumer: &str,
        outcome: &'static str,
        succeeded: bool,
        began: Instant,
    ) {
        let latency = succeeded.then(|| self.clock.since(record.created_at));
        let took = began.elapsed();
        metrics::delivery_ended(&record.event_type, consumer, outcome, took, latency);
    }

    // A root: what the event's trace is, the event says, and not what the worker happens to do.
    fn span(&self, record: &EventRecord, consumer: &str, attempt: u32) -> (Span, Option<Arc<str>>) {
        let trace = record.traceparent.as_deref().map(Arc::from);
        let span = tracing::info_span!(
            parent: None,
            "event.deliver",
            otel.kind = "consumer",
            event_id = %record.id,
            event_type = record.event_type,
            consumer,
            attempt,
            traceparent = record.traceparent,
            outcome = tracing::field::Empty,
        );
        self.traces.go_on(&span, trace.as_ref());
        (span, trace)
    }
}
