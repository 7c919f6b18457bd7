//! MySQL has no `RETURNING`, and MariaDB has: where the tests run on MariaDB, only the statements themselves can tell.

use std::time::Duration;

use crate::support::statements::Statements;
use crate::support::{TestBed, until, while_working};
use runtime_sea::{
    Event, EventId, EventRoute, JobContext, JobError, JobHandler, JobPolicy, JobResult,
    PublishOptions, Retention, RunFilter, RunStatus, begin,
};
use serde::{Deserialize, Serialize};

#[test]
fn no_statement_returns_what_it_has_changed_on_mysql() {
    crate::support::on_mysql(no_statement_returns_what_it_has_changed);
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Moved {}

impl Event for Moved {
    const TYPE: &'static str = "moved";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

/// Is started by the event too, once in a while.
struct Parent;

impl JobHandler for Parent {
    const TYPE: &'static str = "parent";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new()
            .dedupe(Duration::from_secs(60), u32::to_string)
            .on::<Moved>(|_| Some(7))
    }

    async fn run(&self, ctx: &JobContext, _: u32) -> JobResult<()> {
        ctx.step("step", async || Ok::<_, JobError>(())).await?;
        ctx.spawn_child::<Plain>("child", false).await?;
        Ok(())
    }
}

/// Goes on until it is cancelled, where it is told to.
struct Plain;

impl JobHandler for Plain {
    const TYPE: &'static str = "plain";
    type Input = bool;
    type Output = ();

    async fn run(&self, ctx: &JobContext, goes_on: bool) -> JobResult<()> {
        if goes_on {
            ctx.cancelled().cancelled().await;
            return Err(JobError::retryable("told to stop"));
        }
        Ok(())
    }
}

async fn no_statement_returns_what_it_has_changed(bed: TestBed) {
    let (runtime, statements) = Statements::of(&bed.runtime);
    let (db, events, jobs) = (runtime.db(), runtime.events(), runtime.jobs());
    let options = || PublishOptions::new().id(EventId::from_source("shop", "1"));
    let tx = begin(db).await.unwrap();
    events.publish(&tx, "a", Moved {}).await.unwrap();
    let many = ["a", "b"].map(|id| (id, Moved {}));
    events.publish_many(&tx, many).await.unwrap();
    for _ in 0..2 {
        let published = events.publish_with(&tx, "a", Moved {}, options());
        published.await.unwrap();
        let many = [("a", Moved {}, options())];
        events.publish_many_with(&tx, many).await.unwrap();
    }
    for number in [1, 1] {
        jobs.start::<Parent>(&tx, number).await.unwrap();
    }
    jobs.start_many::<Parent>(&tx, [1, 2]).await.unwrap();
    jobs.start_many::<Plain>(&tx, [false, false]).await.unwrap();
    let stopped = jobs.start::<Plain>(&tx, true).await.unwrap().run_id;
    tx.commit().await.unwrap();

    let worker = runtime.worker().job(Parent).job(Plain).build().unwrap();
    while_working(worker, async || {
        bed.until_status(stopped, RunStatus::Running).await;
        jobs.cancel(stopped).await.unwrap();
        bed.until_status(stopped, RunStatus::Canceled).await;
        until("the others are completed", async || {
            let completed = RunFilter::new().status(RunStatus::Completed);
            // Three parents with their children, and two more.
            jobs.list(completed).await.unwrap().len() == 8
        })
        .await;
    })
    .await;
    let now = Retention::new()
        .completed(Duration::ZERO)
        .failed(Duration::ZERO)
        .events(Duration::ZERO);
    let pruned = jobs.prune(now).await.unwrap();
    assert_eq!((pruned.runs, pruned.events), (9, 4));

    let said = statements.take();
    for verb in ["INSERT", "UPDATE", "DELETE"] {
        assert!(said.iter().any(|it| it.sql.starts_with(verb)), "no {verb}");
    }
    for statement in said {
        assert!(!statement.sql.contains("RETURNING"), "{}", statement.sql);
    }
}
