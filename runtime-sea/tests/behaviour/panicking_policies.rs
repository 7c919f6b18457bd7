//! Policies whose code panics: what they are asked for is refused, and whoever asks goes on.

use std::time::Duration;

use crate::support::TestBed;
use runtime_sea::{
    Collision, Event, EventFilter, EventRoute, JobContext, JobError, JobHandler, JobPolicy,
    JobResult, PublishAndStartError, Retry, RunFilter, RunStatus, StartError, begin,
};
use serde::{Deserialize, Serialize};

crate::on_each_database! {
    r05_a_start_whose_policy_panics_is_refused_and_its_transaction_goes_on,
    r05_a_child_whose_policy_panics_is_a_failed_attempt,
}

/// What the closures of its policy panic over.
const PANICS: [&str; 3] = ["scope", "concurrency", "dedupe"];

struct Fragile;

impl JobHandler for Fragile {
    const TYPE: &'static str = "fragile";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        let key = |what: &'static str| {
            move |input: &String| {
                assert_ne!(input, what, "no {what} for this");
                input.clone()
            }
        };
        JobPolicy::<String>::new()
            .scope("contact", key("scope"))
            .concurrency(Collision::Queue, key("concurrency"))
            .dedupe(Duration::from_secs(60), key("dedupe"))
    }

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Ordered {}

impl Event for Ordered {
    const TYPE: &'static str = "ordered";
    const ROUTE: EventRoute = EventRoute::change("order");
}

async fn r05_a_start_whose_policy_panics_is_refused_and_its_transaction_goes_on(bed: TestBed) {
    let (jobs, events) = (bed.runtime.jobs(), bed.runtime.events());
    let tx = begin(bed.runtime.db()).await.unwrap();
    for what in PANICS {
        let inputs = ["fine", what].map(str::to_owned);
        let with_event =
            events.publish_and_start::<Ordered, Fragile>(&tx, "o", Ordered {}, what.to_owned());
        let with_event = match with_event.await.unwrap_err() {
            PublishAndStartError::Start(error) => error,
            other => panic!("{other}"),
        };
        for error in [
            jobs.start::<Fragile>(&tx, what.to_owned())
                .await
                .unwrap_err(),
            jobs.start_many::<Fragile>(&tx, inputs).await.unwrap_err(),
            with_event,
        ] {
            assert!(matches!(error, StartError::Policy { .. }), "{error}");
            let error = error.to_string();
            assert!(error.contains(&format!("no {what} for this")), "{error}");
        }
    }
    let fine = jobs.start::<Fragile>(&tx, "fine".to_owned()).await.unwrap();
    tx.commit().await.unwrap();
    let all = jobs.list(RunFilter::new()).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].id, fine.run_id);
    assert_eq!(events.list(EventFilter::new()).await.unwrap().len(), 0);
}

/// Spawns a child whose policy panics, after a step.
struct Parent;

impl JobHandler for Parent {
    const TYPE: &'static str = "parent";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<()>::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.step("first", || async { Ok::<_, JobError>(()) })
            .await?;
        ctx.spawn_child::<Fragile>("child", "scope".to_owned())
            .await?;
        Ok(())
    }
}

async fn r05_a_child_whose_policy_panics_is_a_failed_attempt(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Parent>(bed.runtime.db(), ()).await;
    let id = started.unwrap().run_id;
    let worker = bed.runtime.worker().job(Parent).job(Fragile);
    worker.build().unwrap().drain_until_idle().await.unwrap();
    let details = bed.run(id).await;
    assert_eq!(details.run.status, RunStatus::Failed);
    assert_eq!((details.children.len(), details.steps.len()), (0, 1));
    let error = details.run.error.unwrap();
    assert!(error.contains("`fragile` cannot be started"), "{error}");
    assert!(error.contains("no scope for this"), "{error}");
}
