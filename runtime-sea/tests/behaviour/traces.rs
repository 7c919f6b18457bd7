//! Traces: from a request to the event, its deliveries, the run, its steps and its children.

use std::convert::Infallible;
use std::time::Duration;

use crate::support::open_telemetry::{OpenTelemetry, attribute, finished, traceparent};
use crate::support::{TestBed, open_telemetry};
use opentelemetry_sdk::trace::SpanData;
use runtime_sea::trace::{TraceContext, in_trace};
use runtime_sea::{
    Event, EventEnvelope, EventFilter, EventId, EventRetry, EventRoute, EventStatus, JobContext,
    JobHandler, JobPolicy, JobResult, PublishOptions, Retry, RunFilter, RunRecord, RunStatus,
    Runtime, StartOptions,
};
use serde::{Deserialize, Serialize};
use tracing::{Instrument, Span};

crate::on_each_database!(
    a_trace_goes_from_the_publish_to_the_deliveries_the_run_its_steps_and_its_children,
    open_telemetry_sees_one_tree_from_the_request_to_the_steps,
    the_callers_own_word_about_the_trace_goes_first,
    outside_of_every_trace_there_is_none,
    r05_a_tracing_system_that_panics_stops_nothing,
    r05_a_layer_of_the_subscriber_that_panics_stops_nothing_else,
    r05_a_layer_that_panics_when_a_span_is_entered_stops_nothing_else,
);

const REQUEST: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Debug, Serialize, Deserialize)]
struct Ordered {
    order: u32,
}

impl Event for Ordered {
    const TYPE: &'static str = "traced_ordered";
    const ROUTE: EventRoute = EventRoute::change("order");
}

#[derive(Debug, Serialize, Deserialize)]
struct Noticed {
    order: u32,
}

impl Event for Noticed {
    const TYPE: &'static str = "traced_noticed";
    const ROUTE: EventRoute = EventRoute::outbound("mail");
}

struct Fulfil;

impl JobHandler for Fulfil {
    const TYPE: &'static str = "traced_fulfil";
    type Input = u32;
    type Output = Option<String>;

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().on::<Ordered>(|event| Some(event.payload.order))
    }

    async fn run(&self, ctx: &JobContext, order: u32) -> JobResult<Option<String>> {
        ctx.step("pack", async || Ok::<_, Infallible>(order))
            .await?;
        ctx.spawn_child::<Ship>("ship", order).await?;
        Ok(ctx.traceparent().map(str::to_owned))
    }
}

struct Ship;

impl JobHandler for Ship {
    const TYPE: &'static str = "traced_ship";
    type Input = u32;
    type Output = ();

    async fn run(&self, ctx: &JobContext, order: u32) -> JobResult<()> {
        let events = ctx.runtime().events();
        events
            .publish_detached(order.to_string(), Noticed { order })
            .await?;
        Ok(())
    }
}

async fn drain(runtime: &Runtime) {
    let notify = runtime.clone();
    let worker = runtime
        .worker()
        .job(Fulfil)
        .job(Ship)
        .subscribe("notice", move |event: EventEnvelope<Ordered>| {
            let events = notify.events();
            async move {
                let order = event.payload.order;
                events
                    .publish_detached(order.to_string(), Noticed { order })
                    .await?;
                Ok(())
            }
        })
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn publish(runtime: &Runtime, options: PublishOptions) -> EventId {
    let tx = runtime_sea::begin(runtime.db()).await.unwrap();
    let event = Ordered { order: 7 };
    let published = runtime
        .events()
        .publish_with(&tx, "7", event, options)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    published.id()
}

async fn runs(runtime: &Runtime, job_type: &str) -> Vec<RunRecord> {
    let filter = RunFilter::new().job_type(job_type);
    runtime.jobs().list(filter).await.unwrap()
}

async fn noticed(runtime: &Runtime) -> Vec<Option<String>> {
    let filter = EventFilter::new().event_type(Noticed::TYPE);
    let events = runtime.events().list(filter).await.unwrap();
    events.into_iter().map(|it| it.traceparent).collect()
}

async fn a_trace_goes_from_the_publish_to_the_deliveries_the_run_its_steps_and_its_children(
    bed: TestBed,
) {
    let runtime = &bed.runtime;
    let id = in_trace(Some(REQUEST), publish(runtime, PublishOptions::new())).await;
    drain(runtime).await;

    let event = runtime.events().show(id).await.unwrap().unwrap().event;
    assert_eq!(event.traceparent.as_deref(), Some(REQUEST));
    let [fulfil] = &runs(runtime, Fulfil::TYPE).await[..] else {
        panic!("one run")
    };
    let [ship] = &runs(runtime, Ship::TYPE).await[..] else {
        panic!("one child")
    };
    assert_eq!(fulfil.traceparent.as_deref(), Some(REQUEST));
    assert_eq!(fulfil.output, Some(REQUEST.into()));
    assert_eq!(ship.traceparent.as_deref(), Some(REQUEST));
    assert_eq!(
        noticed(runtime).await,
        [Some(REQUEST.to_owned()), Some(REQUEST.to_owned())]
    );

    let deliveries = finished("event.deliver", "event_id", &id);
    let mut consumers: Vec<_> = deliveries
        .iter()
        .map(|it| attribute(it, "consumer"))
        .collect();
    consumers.sort();
    assert_eq!(
        consumers,
        [
            Some("notice".to_owned()),
            Some("traced_fulfil/traced_ordered".to_owned())
        ]
    );
    let run = one(finished("job.run", "run_id", &fulfil.id));
    assert_eq!(attribute(&run, "job_type").as_deref(), Some(Fulfil::TYPE));
    assert_eq!(attribute(&run, "attempt").as_deref(), Some("1"));
    assert_eq!(attribute(&run, "event_id"), Some(id.to_string()));
    assert_eq!(attribute(&run, "outcome").as_deref(), Some("completed"));
    let step = one(finished("job.step", "run_id", &fulfil.id));
    assert_eq!(attribute(&step, "step").as_deref(), Some("pack"));
    assert_eq!(step.parent_span_id, run.span_context.span_id());
    for span in deliveries.iter().chain([&run, &step]) {
        assert_eq!(attribute(span, "traceparent").as_deref(), Some(REQUEST));
    }
}

async fn open_telemetry_sees_one_tree_from_the_request_to_the_steps(bed: TestBed) {
    let runtime = Runtime::builder(bed.runtime.db().clone())
        .trace(OpenTelemetry::default())
        .build();
    let request = tracing::info_span!("request", bed = bed.url);
    let id = publish(&runtime, PublishOptions::new())
        .instrument(request)
        .await;
    drain(&runtime).await;

    let request = one(finished("request", "bed", &bed.url));
    let event = runtime.events().show(id).await.unwrap().unwrap().event;
    assert_eq!(event.traceparent, Some(traceparent(&request)));
    let deliveries = finished("event.deliver", "event_id", &id);
    assert_eq!(deliveries.len(), 2);
    for delivery in &deliveries {
        assert_is_child(delivery, &request);
    }
    let asked = deliveries
        .iter()
        .find(|it| attribute(it, "outcome").as_deref() == Some("started"))
        .unwrap();
    let [fulfil] = &runs(&runtime, Fulfil::TYPE).await[..] else {
        panic!("one run")
    };
    assert_eq!(fulfil.traceparent, Some(traceparent(asked)));
    let run = one(finished("job.run", "run_id", &fulfil.id));
    assert_is_child(&run, asked);
    assert_is_child(&one(finished("job.step", "run_id", &fulfil.id)), &run);
    let [ship] = &runs(&runtime, Ship::TYPE).await[..] else {
        panic!("one child")
    };
    assert_eq!(ship.traceparent, Some(traceparent(&run)));
    assert_is_child(&one(finished("job.run", "run_id", &ship.id)), &run);
}

async fn the_callers_own_word_about_the_trace_goes_first(bed: TestBed) {
    let runtime = &bed.runtime;
    let told = PublishOptions::new().traceparent(Some(OTHER));
    let id = in_trace(Some(REQUEST), publish(runtime, told)).await;
    let event = runtime.events().show(id).await.unwrap().unwrap().event;
    assert_eq!(event.traceparent.as_deref(), Some(OTHER));

    for (told, kept) in [(OTHER, OTHER), ("not-a-traceparent", REQUEST)] {
        let options = StartOptions::new().traceparent(Some(told));
        let jobs = runtime.jobs();
        let started = in_trace(
            Some(REQUEST),
            jobs.start_with::<Ship>(runtime.db(), 7, options),
        );
        let run = bed.run(started.await.unwrap().run_id).await.run;
        assert_eq!(run.traceparent.as_deref(), Some(kept));
    }
}

async fn outside_of_every_trace_there_is_none(bed: TestBed) {
    let id = publish(&bed.runtime, PublishOptions::new()).await;
    drain(&bed.runtime).await;
    let event = bed.runtime.events().show(id).await.unwrap().unwrap().event;
    assert_eq!(event.traceparent, None);
    assert_eq!(noticed(&bed.runtime).await, [None, None]);
}

fn one(spans: Vec<SpanData>) -> SpanData {
    let [span] = <[SpanData; 1]>::try_from(spans).unwrap();
    span
}

fn assert_is_child(span: &SpanData, parent: &SpanData) {
    assert_eq!(span.span_context.trace_id(), parent.span_context.trace_id());
    assert_eq!(span.parent_span_id, parent.span_context.span_id());
}

struct GivesUp;

impl TraceContext for GivesUp {
    fn current(&self) -> Option<String> {
        panic!("no current trace")
    }

    fn continue_trace(&self, _: &Span, _: &str) {
        panic!("no trace to continue")
    }
}

async fn r05_a_tracing_system_that_panics_stops_nothing(bed: TestBed) {
    let runtime = Runtime::builder(bed.runtime.db().clone())
        .trace(GivesUp)
        .build();
    // One without a word of its own about the trace, and one with.
    let id = in_trace(Some(REQUEST), publish(&runtime, PublishOptions::new())).await;
    let options = PublishOptions::new().traceparent(Some(OTHER));
    publish(&runtime, options).await;
    drain(&runtime).await;
    let event = runtime.events().show(id).await.unwrap().unwrap().event;
    assert_eq!(event.traceparent.as_deref(), Some(REQUEST));
    assert_eq!(event.status, EventStatus::Processed);
    for job_type in [Fulfil::TYPE, Ship::TYPE] {
        let runs = runs(&runtime, job_type).await;
        assert_eq!(runs.len(), 2);
        assert!(runs.iter().all(|it| it.status == RunStatus::Completed));
    }
    assert_eq!(noticed(&runtime).await.len(), 4);
}

const fn panics(when_entered: bool) -> &'static str {
    if when_entered {
        open_telemetry::PANICS_WHEN_ENTERED
    } else {
        open_telemetry::PANICS
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Watched<const ENTERED: bool>;

impl<const ENTERED: bool> Event for Watched<ENTERED> {
    const TYPE: &'static str = panics(ENTERED);
    const ROUTE: EventRoute =
        EventRoute::change("thing").retry(EventRetry::fixed(2).first_delay(Duration::ZERO));
}

struct Watch<const ENTERED: bool>;

impl<const ENTERED: bool> JobHandler for Watch<ENTERED> {
    const TYPE: &'static str = panics(ENTERED);
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<()>::new()
            .retry(Retry::none())
            .on::<Watched<ENTERED>>(|_| Some(()))
    }

    async fn run(&self, _: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn r05_a_layer_of_the_subscriber_that_panics_stops_nothing_else(bed: TestBed) {
    a_layer_panics::<false>(&bed).await;
}

async fn r05_a_layer_that_panics_when_a_span_is_entered_stops_nothing_else(bed: TestBed) {
    a_layer_panics::<true>(&bed).await;
}

async fn a_layer_panics<const ENTERED: bool>(bed: &TestBed) {
    let runtime = &bed.runtime;
    let watched = runtime
        .events()
        .publish_detached("1", Watched::<ENTERED>)
        .await;
    let worker = runtime
        .worker()
        .job(Watch::<ENTERED>)
        .subscribe("watch", async |_: EventEnvelope<Watched<ENTERED>>| Ok(()))
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    let event = runtime.events().show(watched.unwrap().id()).await.unwrap();
    let event = event.unwrap();
    // Its span could not begin: the delivery has failed, and so has the run that the trigger has started all the same.
    assert_eq!(event.event.status, EventStatus::Failed);
    let error = event.event.error.unwrap();
    assert!(error.contains("the layer gives up"), "{error}");
    let [run] = &runs(runtime, Watch::<ENTERED>::TYPE).await[..] else {
        panic!("one run")
    };
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.errors[0].error.contains("the layer gives up"));
    // What has no such span is not held up.
    let ordered = publish(runtime, PublishOptions::new()).await;
    drain(runtime).await;
    let ordered = runtime.events().show(ordered).await.unwrap().unwrap();
    assert_eq!(ordered.event.status, EventStatus::Processed);
}
