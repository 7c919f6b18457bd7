//! The calls of consumers, each in a span of its own, and measured.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use tracing::Span;

use super::dispatch::{Consumers, Failure, call, fire};
use crate::bridge::Firing;
use crate::events::{EventRecord, Subscription};
use crate::hook::{guarded, panic_text};
use crate::jobs::Trigger;
use crate::storable::stored_text;
use crate::{metrics, trace};

impl Consumers {
    /// Calls a subscription with an event. A panic of what looks on, such as a layer of the application's tracing
    /// subscriber, is a failure of the delivery.
    pub(super) async fn deliver(
        &self,
        subscription: &Subscription,
        record: &EventRecord,
        attempt: u32,
    ) -> Result<(), Failure> {
        let delivery = AssertUnwindSafe(self.observe(subscription, record, attempt));
        delivery.catch_unwind().await.unwrap_or_else(|panic| {
            let retry = subscription.retry;
            let error = format!("what looks on panicked: {}", panic_text(&*panic));
            Err(Failure {
                error: stored_text(&error),
                retry_after: (attempt < retry.attempts()).then(|| retry.delay_after(attempt)),
            })
        })
    }

    async fn observe(
        &self,
        subscription: &Subscription,
        record: &EventRecord,
        attempt: u32,
    ) -> Result<(), Failure> {
        let (span, trace) = self.span(record, &subscription.name, attempt);
        let began = Instant::now();
        let called = call(subscription, record, attempt, self.subscription_timeout);
        let result = trace::in_span(&span, trace::within(trace, called)).await;
        let outcome = match &result {
            Ok(()) => "delivered",
            Err(failure) if failure.retry_after.is_some() => "retried",
            Err(_) => "failed",
        };
        guarded("the tracing subscriber", || {
            span.record("outcome", outcome);
        });
        self.measure(record, &subscription.name, outcome, result.is_ok(), began);
        result
    }

    /// Asks a trigger what an event starts; once more where what looks on panics.
    pub(super) fn ask(&self, trigger: &Trigger, record: &EventRecord, attempt: u32) -> Firing {
        guarded("the tracing subscriber", || {
            let (span, trace) = self.span(record, &trigger.id, attempt);
            let began = Instant::now();
            let firing = self.fire(trigger, record, &span, trace);
            let outcome = match &firing.run {
                Ok(Some(_)) => "started",
                Ok(None) => "skipped",
                Err(_) => "failed",
            };
            span.record("outcome", outcome);
            self.measure(record, &trigger.id, outcome, firing.run.is_ok(), began);
            firing
        })
        .unwrap_or_else(|| self.fire(trigger, record, &Span::none(), trace_of(record)))
    }

    fn fire(
        &self,
        trigger: &Trigger,
        record: &EventRecord,
        span: &Span,
        trace: Option<Arc<str>>,
    ) -> Firing {
        trace::call(span, trace, || {
            let mut firing = fire(trigger, record);
            firing.run = firing
                .run
                .map(|run| run.map(|run| run.traced(&self.traces)));
            firing
        })
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
        let trace = trace_of(record);
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

fn trace_of(record: &EventRecord) -> Option<Arc<str>> {
    record.traceparent.as_deref().map(Arc::from)
}
