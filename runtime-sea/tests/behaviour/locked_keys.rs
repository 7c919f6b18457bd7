//! Keys of runs that a transaction of the app has taken that stays open: nothing else waits for it.

use std::time::Duration;

use runtime_sea::{
    Event, EventId, EventRoute, EventStatus, JobContext, JobHandler, JobPolicy, JobResult,
    RunFilter, Schedule,
};
use sea_orm::DbBackend;
use serde::{Deserialize, Serialize};

use crate::support::{Running, TestBed, until};

crate::on_each_database! {
    r23_a_trigger_whose_key_is_taken_by_an_open_transaction_holds_up_no_other_event,
    r23_a_schedule_whose_key_is_taken_by_an_open_transaction_holds_up_no_other,
}

const WINDOW: Duration = Duration::from_secs(3600);

#[derive(Debug, Serialize, Deserialize)]
struct Moved {
    n: u32,
}

impl Event for Moved {
    const TYPE: &'static str = "moved";
    const ROUTE: EventRoute = EventRoute::change("account");
}

/// One run per account's first event and for all of the others together.
struct Follow;

impl JobHandler for Follow {
    const TYPE: &'static str = "follow";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new()
            .dedupe(WINDOW, String::clone)
            .on::<Moved>(|event| {
                let account = event.aggregate_id.clone()?;
                Some(format!("{account} {}", event.payload.n))
            })
    }

    async fn run(&self, _ctx: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

async fn publish(bed: &TestBed, account: &str, n: u32) -> EventId {
    let events = bed.runtime.events();
    let published = events.publish_detached(account, Moved { n });
    published.await.unwrap().id()
}

async fn inputs(bed: &TestBed) -> Vec<String> {
    let runs = bed.runtime.jobs().list(RunFilter::new()).await.unwrap();
    let inputs = runs.into_iter().rev();
    inputs
        .map(|it| it.input.as_str().unwrap_or_default().to_owned())
        .collect()
}

// SQLite has one writer, which everybody waits for, whatever it writes.
fn has_one_writer(bed: &TestBed) -> bool {
    bed.runtime.db().get_database_backend() == DbBackend::Sqlite
}

async fn r23_a_trigger_whose_key_is_taken_by_an_open_transaction_holds_up_no_other_event(
    bed: TestBed,
) {
    let app = bed.other_process().await;
    let (jobs, key) = (app.jobs(), "ada 1".to_owned());
    let mut events = Vec::new();
    for (account, n) in [("ada", 1), ("ada", 2), ("bob", 1)] {
        events.push(publish(&bed, account, n).await);
    }
    let worker = bed.runtime.worker().job(Follow);
    let open = if has_one_writer(&bed) {
        None
    } else {
        let open = runtime_sea::begin(app.db()).await.unwrap();
        jobs.start::<Follow>(&open, key).await.unwrap();
        Some(open)
    };
    let running = Running::start(worker.build().unwrap());
    if let Some(open) = open {
        until("the other account's run is there", async || {
            inputs(&bed).await == ["bob 1"]
        })
        .await;
        let later = publish(&bed, "cyd", 1).await;
        until("later events are processed", async || {
            let event = bed.runtime.events().show(later).await.unwrap().unwrap();
            event.event.status == EventStatus::Processed
        })
        .await;
        // What comes behind in the aggregate has waited.
        let mut there = inputs(&bed).await;
        there.sort_unstable();
        assert_eq!(there, ["bob 1", "cyd 1"]);
        open.rollback().await.unwrap();
    }
    until("every event is processed", async || {
        let mut processed = true;
        for id in &events {
            let event = bed.runtime.events().show(*id).await.unwrap().unwrap();
            processed &= event.event.status == EventStatus::Processed;
        }
        processed
    })
    .await;
    running.stop().await;
    let of_ada: Vec<_> = inputs(&bed)
        .await
        .into_iter()
        .filter(|it| it.starts_with("ada"))
        .collect();
    assert_eq!(of_ada, ["ada 1", "ada 2"]);
}

/// Two schedules, of which one asks for a run with the key of an hour.
struct Hourly;

impl JobHandler for Hourly {
    const TYPE: &'static str = "hourly";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        let named = |name: &str| Schedule::cron("0 * * * *").name(name);
        JobPolicy::<String>::new()
            .dedupe(WINDOW, String::clone)
            .schedule(named("a"), |_| "a".to_owned())
            .schedule(named("b"), |_| "b".to_owned())
    }

    async fn run(&self, _ctx: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

async fn r23_a_schedule_whose_key_is_taken_by_an_open_transaction_holds_up_no_other(bed: TestBed) {
    let app = bed.other_process().await;
    let worker = || bed.runtime.worker().job(Hourly).build().unwrap();
    worker().drain_until_idle().await.unwrap();
    bed.clock.advance(2 * WINDOW);
    let open = if has_one_writer(&bed) {
        None
    } else {
        let open = runtime_sea::begin(app.db()).await.unwrap();
        let jobs = app.jobs();
        jobs.start::<Hourly>(&open, "a".to_owned()).await.unwrap();
        Some(open)
    };
    let running = Running::start(worker());
    if let Some(open) = open {
        until("the other schedule's run is there", async || {
            inputs(&bed).await == ["b"]
        })
        .await;
        open.rollback().await.unwrap();
    }
    until("both runs are there", async || {
        inputs(&bed).await.len() == 2
    })
    .await;
    running.stop().await;
}
