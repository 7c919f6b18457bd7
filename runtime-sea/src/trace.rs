//! Which trace work belongs to: from the request that publishes to the event, its deliveries, the run and its steps.
//!
//! A trace is known by its [`traceparent`](https://www.w3.org/TR/trace-context/#traceparent-header), which is stored
//! with every event and every run. The first of these that there is:
//!
//! 1. what [`PublishOptions::traceparent`](crate::PublishOptions::traceparent) or
//!    [`StartOptions::traceparent`](crate::StartOptions::traceparent) says;
//! 2. what the [`TraceContext`] says is current;
//! 3. what the code runs [`in_trace`]: a handler runs in its run's trace, a subscription and a trigger in their event's.
//!    A task that a handler spawns does not, but its children do: they are given their parent's.
//!
//! These spans carry the `traceparent` as a field, beside what else is known:
//!
//! | span | covers | fields |
//! |---|---|---|
//! | `event.deliver` | one call of a subscription, or one question to a trigger | `event_id`, `event_type`, `consumer`, `attempt`, `outcome` |
//! | `job.run` | one attempt of a run | `run_id`, `root_run_id`, `job_type`, `pool`, `attempt`, `event_id`, `outcome` |
//! | `job.step` | one execution of a step; none where a stored output is returned | `run_id`, `step`, `attempt`, `outcome` |
//!
//! They are the roots of their process, steps excepted: what connects them with the rest of the trace is the
//! [`TraceContext`], or a reader that knows the fields.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use tracing::Span;

use crate::hook::guarded;

/// The application's tracing system, as far as the runtime has to know it. Given to
/// [`RuntimeBuilder::trace`](crate::RuntimeBuilder::trace). Where it panics, the work goes on without a trace.
///
/// With the crates `opentelemetry`, `opentelemetry_sdk` and `tracing-opentelemetry`:
///
/// ```no_run
/// use std::collections::HashMap;
///
/// use opentelemetry::propagation::TextMapPropagator;
/// use opentelemetry_sdk::propagation::TraceContextPropagator;
/// use tracing_opentelemetry::OpenTelemetrySpanExt;
///
/// struct OpenTelemetry(TraceContextPropagator);
///
/// impl runtime_sea::trace::TraceContext for OpenTelemetry {
///     fn current(&self) -> Option<String> {
///         let mut carrier = HashMap::new();
///         self.0.inject_context(&tracing::Span::current().context(), &mut carrier);
///         carrier.remove("traceparent")
///     }
///
///     fn continue_trace(&self, span: &tracing::Span, traceparent: &str) {
///         let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
///         let _ = span.set_parent(self.0.extract(&carrier));
///     }
/// }
/// ```
pub trait TraceContext: Send + Sync + 'static {
    /// The `traceparent` of the span that the calling code is in; none outside of every trace.
    fn current(&self) -> Option<String>;

    /// Makes a span, which nobody has entered yet, go on with the trace: as a child or with a link.
    fn continue_trace(&self, span: &Span, traceparent: &str);
}

tokio::task_local! {
    static CURRENT: Option<Arc<str>>;
}

/// Runs a future in a trace: the events that it publishes and the runs that it starts belong to it. For a program
/// without a [`TraceContext`], around what handles a request that has a `traceparent` header.
///
/// One that is not well-formed stands for none.
pub async fn in_trace<F: Future>(traceparent: Option<&str>, future: F) -> F::Output {
    within(well_formed(traceparent), future).await
}

pub(crate) async fn within<F: Future>(traceparent: Option<Arc<str>>, future: F) -> F::Output {
    CURRENT.scope(traceparent, future).await
}

/// Runs a future in the span. Other than what `tracing` has for it, this does not enter the span to drop the future: a
/// layer that panics when a span is entered would do so for a second time while the first panic unwinds.
pub(crate) async fn in_span<F: Future>(span: &Span, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| span.in_scope(|| future.as_mut().poll(context))).await
}

/// Calls `work` in the span and in the trace.
pub(crate) fn call<T>(span: &Span, traceparent: Option<Arc<str>>, work: impl FnOnce() -> T) -> T {
    span.in_scope(|| CURRENT.sync_scope(traceparent, work))
}

/// The traceparent where it is well-formed: 55 characters, or more in a version to come.
pub(crate) fn well_formed(traceparent: Option<&str>) -> Option<Arc<str>> {
    /// What the columns hold.
    const LONGEST: usize = 64;

    let text = traceparent?;
    let mut parts = text.split('-');
    let mut next = |length: usize| {
        let part = parts.next()?;
        let hexadecimal = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        (part.len() == length && part.bytes().all(hexadecimal)).then_some(part)
    };
    let (version, trace, span, _flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    let is_zero = |part: &str| part.bytes().all(|it| it == b'0');
    let is_known = version != "00" || parts.next().is_none();
    let valid =
        is_known && version != "ff" && !is_zero(trace) && !is_zero(span) && text.len() <= LONGEST;
    valid.then(|| text.into())
}

/// A runtime's tracing system, where it has one.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Arc<dyn TraceContext>>);

impl Traces {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new(context: impl TraceContext) -> Self {
        Self(Some(Arc::new(context)))
    }

    /// The trace that the calling code is in, with the caller's own word for it first.
    pub(crate) fn current(&self, given: Option<&str>) -> Option<Arc<str>> {
        well_formed(given)
            .or_else(|| {
                let context = self.0.as_ref()?;
                let current = guarded("the trace context", || context.current())?;
                well_formed(current.as_deref())
            })
            .or_else(|| CURRENT.try_with(Clone::clone).ok().flatten())
    }

    /// Makes the span, which nobody has entered yet, a part of the trace.
    pub(crate) fn go_on(&self, span: &Span, traceparent: Option<&Arc<str>>) {
        if let (Some(context), Some(traceparent)) = (&self.0, traceparent) {
            guarded("the trace context", || {
                context.continue_trace(span, traceparent);
            });
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::well_formed;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_well_formed_traceparent_is_kept_and_everything_else_is_not() {
        assert_eq!(well_formed(Some(GOOD)).as_deref(), Some(GOOD));
        assert_eq!(well_formed(None), None);
        let later = GOOD.replacen("00", "01", 1) + "-x";
        assert_eq!(
            well_formed(Some(&later)).as_deref(),
            Some(&*later),
            "a later version may add to it"
        );
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            &(GOOD.to_owned() + "-x"),
            &(later + "very-much-longer-than-that"),
        ] {
            assert_eq!(well_formed(Some(bad)), None, "{bad}");
        }
    }
}
