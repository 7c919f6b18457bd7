//! Metrics: what a dashboard needs to see.

use std::time::Duration;

use crate::support::measured::{PANICS, forget, largest, measured};
use crate::support::warned::warned_of;
use crate::support::{TestBed, by_hand, until, while_working};
use runtime_sea::{
    Event, EventEnvelope, EventFilter, EventRegistry, EventRetry, EventRoute, EventStatus,
    JobContext, JobError, JobHandler, JobPolicy, JobResult, NoAggregate, Retry, RunFilter,
    RunStatus, StartOptions, SubscriptionError,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

crate::on_each_database!(
    attempts_are_measured_by_type_pool_and_outcome,
    deliveries_are_measured_by_type_consumer_and_outcome,
    what_waits_is_sampled,
    r56_a_clock_that_differs_is_warned_of_once_and_measured,
    take_overs_and_discarded_endings_are_counted,
    take_overs_and_discarded_outcomes_of_events_are_counted,
    r05_a_recorder_that_panics_stops_nothing,
);

// The recorder is the process's, and each test is there once per database.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    let one = ONE.lock().await;
    forget("measured");
    one
}

/// How long what is measured takes at least.
const WORK: Duration = Duration::from_millis(50);

/// Whether a histogram has seconds, and such as this long at least.
fn takes(key: &str, least: Duration) {
    let seconds = largest(key) - least.as_secs_f64();
    assert!((0.0..1000.0).contains(&seconds), "{key}: {seconds}");
}

struct Second;

impl JobHandler for Second {
    const TYPE: &'static str = "measured_second";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<()>::new()
            .pool("measured")
            .retry(Retry::fixed(2, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        tokio::time::sleep(WORK).await;
        if ctx.attempt() == 1 {
            return Err(JobError::retryable("the first attempt fails"));
        }
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Happened;

impl Event for Happened {
    const TYPE: &'static str = "measured_happened";
    const ROUTE: EventRoute =
        EventRoute::change("thing").retry(EventRetry::fixed(2).first_delay(Duration::ZERO));
}

async fn attempts_are_measured_by_type_pool_and_outcome(bed: TestBed) {
    let _alone = alone().await;
    let db = bed.runtime.db();
    let hour = Duration::from_secs(60 * 60);
    let due = bed.runtime.now().await.unwrap() - hour;
    let options = StartOptions::new().run_at(due);
    let jobs = bed.runtime.jobs();
    let started = jobs.start_with::<Second>(db, (), options).await;
    let id = started.unwrap().run_id;
    let worker = bed.runtime.worker().job(Second).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(id).await, RunStatus::Completed);

    for outcome in ["retried", "completed"] {
        let labels = format!("job_type=measured_second,pool=measured,outcome={outcome}");
        for name in ["attempts_total", "attempt_duration_seconds"] {
            let key = format!("runtime_sea_job_{name}{{{labels}}}");
            assert_eq!(measured(&key), 1.0, "{key}");
        }
        let duration = format!("runtime_sea_job_attempt_duration_seconds{{{labels}}}");
        takes(&duration, WORK);
    }
    let latency = "runtime_sea_job_claim_latency_seconds{job_type=measured_second,pool=measured}";
    assert_eq!(measured(latency), 2.0);
    takes(latency, hour);
}

struct Triggered;

impl JobHandler for Triggered {
    const TYPE: &'static str = "measured_triggered";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<()>::new().on::<Happened>(|_| Some(()))
    }

    async fn run(&self, _: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn deliveries_are_measured_by_type_consumer_and_outcome(bed: TestBed) {
    let _alone = alone().await;
    bed.runtime
        .events()
        .publish_detached("1", Happened)
        .await
        .unwrap();
    let worker = bed
        .runtime
        .worker()
        .job(Triggered)
        .subscribe("measured", |event: EventEnvelope<Happened>| async move {
            tokio::time::sleep(WORK).await;
            if event.attempt == 1 {
                return Err(SubscriptionError::new("the first attempt fails"));
            }
            Ok(())
        })
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();

    let trigger = "measured_triggered/measured_happened";
    for (consumer, outcome) in [
        ("measured", "retried"),
        ("measured", "delivered"),
        (trigger, "started"),
    ] {
        let labels = format!("event_type=measured_happened,consumer={consumer},outcome={outcome}");
        for name in ["deliveries_total", "delivery_duration_seconds"] {
            let key = format!("runtime_sea_event_{name}{{{labels}}}");
            assert_eq!(measured(&key), 1.0, "{key}");
        }
        if consumer == "measured" {
            let duration = format!("runtime_sea_event_delivery_duration_seconds{{{labels}}}");
            takes(&duration, WORK);
        }
    }
    for consumer in ["measured", trigger] {
        let labels = format!("event_type=measured_happened,consumer={consumer}");
        let key = format!("runtime_sea_event_latency_seconds{{{labels}}}");
        assert_eq!(measured(&key), 1.0, "{key}");
        if consumer == "measured" {
            // Both of its calls.
            takes(&key, 2 * WORK);
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen;

impl Event for Seen {
    const TYPE: &'static str = "measured_seen";
    const ROUTE: EventRoute = EventRoute::audit();
}

async fn what_waits_is_sampled(bed: TestBed) {
    let _alone = alone().await;
    let (db, jobs) = (bed.runtime.db(), bed.runtime.jobs());
    jobs.pause_pool("measured").await.unwrap();
    for _ in 0..3 {
        jobs.start::<Second>(db, ()).await.unwrap();
    }
    let absent = bed.runtime.worker();
    let absent = absent.subscribe("absent", async |_: EventEnvelope<Seen>| Ok(()));
    absent.build().unwrap().drain_until_idle().await.unwrap();
    // As many as no other test of this process lets wait.
    let events = bed.runtime.events();
    for number in 0..97 {
        events
            .publish_detached(number.to_string(), Happened)
            .await
            .unwrap();
    }
    for _ in 0..89 {
        events.publish_detached(NoAggregate, Seen).await.unwrap();
    }
    bed.sql("UPDATE job_run SET run_at = '2020-01-01 00:00:00'")
        .await;
    bed.sql("UPDATE domain_events SET created_at = '2020-01-01 00:00:00'")
        .await;
    let worker = bed
        .runtime
        .worker()
        .job(Second)
        .registry(EventRegistry::new())
        .sample_queues(Some(Duration::from_millis(50)))
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let running = tokio::spawn(async move { worker.run(stop).await });

    let jobs = "{pool=measured}";
    let events = "{pool=events_change}";
    until("the queues are sampled", async || {
        measured(&format!("runtime_sea_job_queue_depth{jobs}")) == 3.0
            && measured(&format!("runtime_sea_event_queue_depth{events}")) >= 97.0
    })
    .await;
    until(
        "what is left for an absent subscription is sampled",
        async || measured("runtime_sea_event_delivery_queue_depth{pool=events_audit}") >= 89.0,
    )
    .await;
    let year = 365.0 * 24.0 * 60.0 * 60.0;
    bed.sql("UPDATE event_delivery SET created_at = '2020-01-01 00:00:00'")
        .await;
    until("their age is sampled", async || {
        measured("runtime_sea_event_delivery_oldest_seconds{pool=events_audit}") > year
    })
    .await;
    assert!(measured(&format!("runtime_sea_job_oldest_seconds{jobs}")) > year);
    assert!(measured(&format!("runtime_sea_event_oldest_seconds{events}")) > year);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn r56_a_clock_that_differs_is_warned_of_once_and_measured(bed: TestBed) {
    const DAYS: f64 = 90.0 * 365.0;

    let _alone = alone().await;
    forget("clock_offset");
    let days = |seconds: f64| seconds / (24.0 * 60.0 * 60.0);
    let warned = || {
        let text =
            "the database's clock and this process's differ; the database's is the one that counts";
        let seconds = warned_of(text, "seconds");
        // No other test has a clock that is so far ahead.
        let these = seconds.iter().filter(|it| days(it.parse().unwrap()) > DAYS);
        these.count()
    };
    let before = warned();
    bed.clock
        .advance(Duration::from_secs(91 * 365 * 24 * 60 * 60));
    let worker = bed.runtime.worker().job(Second);
    let sampled = || {
        let offset = measured("runtime_sea_clock_offset_seconds{}");
        forget("clock_offset");
        days(offset) > DAYS
    };
    let worker = worker.sample_queues(Some(Duration::from_millis(20)));
    while_working(worker.build().unwrap(), async || {
        for _ in 0..3 {
            until("the offset is measured", async || sampled()).await;
        }
    })
    .await;
    assert_eq!(warned() - before, 1);
}

struct Bereft;

impl JobHandler for Bereft {
    const TYPE: &'static str = "measured_bereft";
    /// Whether it comes to a step afterwards.
    type Input = bool;
    type Output = ();

    async fn run(&self, ctx: &JobContext, notices: bool) -> JobResult<()> {
        if ctx.attempt() == 1 {
            // As if another worker had taken the run over.
            by_hand(ctx.db(), "UPDATE job_run SET fence = fence + 1").await;
        }
        if notices {
            ctx.step("late", async || Ok::<_, JobError>(())).await?;
        }
        Ok(())
    }
}

async fn take_overs_and_discarded_endings_are_counted(bed: TestBed) {
    let _alone = alone().await;
    let lost = "runtime_sea_job_attempts_total{job_type=measured_bereft,pool=batch,outcome=lost}";
    for notices in [false, true] {
        let stale = measured("runtime_sea_job_stale_endings_total{}");
        let retried = measured("runtime_sea_job_take_overs_total{outcome=retried}");
        let jobs = bed.runtime.jobs();
        let started = jobs.start::<Bereft>(bed.runtime.db(), notices).await;
        let id = started.unwrap().run_id;
        let worker = bed.runtime.worker().job(Bereft);
        let worker = worker.lease(Duration::from_secs(1)).build().unwrap();
        while_working(worker, async || {
            until("an ending is discarded", async || {
                let discarded = measured("runtime_sea_job_stale_endings_total{}") > stale;
                discarded && !notices || measured(lost) == 1.0 && notices
            })
            .await;
            bed.sql("UPDATE job_run SET worker_id = NULL WHERE status = 'running'")
                .await;
            bed.until_status(id, RunStatus::Completed).await;
        })
        .await;
        assert!(measured("runtime_sea_job_take_overs_total{outcome=retried}") > retried);
        assert_eq!(measured(lost), f64::from(u8::from(notices)));
    }
}

async fn take_overs_and_discarded_outcomes_of_events_are_counted(bed: TestBed) {
    let _alone = alone().await;
    let stale = measured("runtime_sea_event_stale_outcomes_total{}");
    let taken_over = measured("runtime_sea_event_take_overs_total{}");
    let db = bed.runtime.db().clone();
    let subscription = move |event: EventEnvelope<Happened>| {
        let db = db.clone();
        async move {
            if event.attempt == 1 {
                // As if it had been in the hands of another worker, and that one had died.
                by_hand(
                    &db,
                    "UPDATE domain_events SET claimed_by = id, claim_token = id",
                )
                .await;
            }
            Ok(())
        }
    };
    let worker = bed.runtime.worker().subscribe("measured", subscription);
    let worker = worker.lease(Duration::from_secs(1)).build().unwrap();
    let events = bed.runtime.events();
    while_working(worker, async || {
        let published = events.publish_detached("1", Happened).await.unwrap();
        until("the event is delivered again", async || {
            let details = events.show(published.id()).await.unwrap().unwrap();
            details.event.status == EventStatus::Processed
        })
        .await;
    })
    .await;
    assert!(measured("runtime_sea_event_stale_outcomes_total{}") > stale);
    assert!(measured("runtime_sea_event_take_overs_total{}") > taken_over);
}

#[derive(Debug, Serialize, Deserialize)]
struct Unmeasured;

impl Event for Unmeasured {
    const TYPE: &'static str = "recorder_panics_happened";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

/// Is started by the event.
struct Unseen;

impl JobHandler for Unseen {
    const TYPE: &'static str = "recorder_panics";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<()>::new().on::<Unmeasured>(|_| Some(()))
    }

    async fn run(&self, _: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn r05_a_recorder_that_panics_stops_nothing(bed: TestBed) {
    assert!(Unseen::TYPE.contains(PANICS) && Unmeasured::TYPE.contains(PANICS));
    let worker = bed
        .runtime
        .worker()
        .job(Unseen)
        .subscribe("look", async |_: EventEnvelope<Unmeasured>| Ok(()))
        .sample_queues(Some(Duration::from_millis(20)))
        .build()
        .unwrap();
    let events = bed.runtime.events();
    while_working(worker, async || {
        for thing in ["a", "a", "b"] {
            events.publish_detached(thing, Unmeasured).await.unwrap();
        }
        until("all of it is done", async || {
            let processed = EventFilter::new().status(EventStatus::Processed);
            let completed = RunFilter::new().status(RunStatus::Completed);
            let processed = events.list(processed).await.unwrap().len();
            let completed = bed.runtime.jobs().list(completed).await.unwrap().len();
            (processed, completed) == (3, 3)
        })
        .await;
    })
    .await;
}
