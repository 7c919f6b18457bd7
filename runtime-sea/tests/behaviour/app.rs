//! Events and jobs together, as an app hosts them, and what its command line shows of them.

use std::sync::{Arc, Mutex};

use crate::support::TestBed;
use clap::Parser;
use runtime_sea::cli::{CliError, EventsCommand, JobsCommand};
use runtime_sea::worker::BuildError;
use runtime_sea::{
    Event, EventEnvelope, EventFilter, EventRoute, EventStatus, JobContext, JobError, JobHandler,
    JobPolicy, JobResult, RunFilter, RunStatus, begin,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

crate::on_each_database! {
    an_event_reaches_its_subscription_and_starts_its_run,
    a_running_worker_delivers_what_is_published_while_it_runs,
    a_worker_for_events_only_needs_no_job_tables,
    wrong_registrations_are_refused,
    the_command_line_shows_the_timeline_of_a_run,
    the_command_line_shows_lists_events_and_errors,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ContactCreated {
    contact_id: Uuid,
    name: String,
}

impl Event for ContactCreated {
    const TYPE: &'static str = "contact_created";
    const ROUTE: EventRoute = EventRoute::change("contact");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {}

impl Event for Seen {
    const TYPE: &'static str = "seen";
    const ROUTE: EventRoute = EventRoute::audit();
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WelcomeInput {
    contact_id: Uuid,
    name: String,
}

struct Welcome;

impl JobHandler for Welcome {
    const TYPE: &'static str = "welcome";
    type Input = WelcomeInput;
    type Output = String;

    fn policy() -> JobPolicy<Self::Input> {
        JobPolicy::<Self::Input>::new()
            .scope("contact", |input| input.contact_id)
            .on::<ContactCreated>(|event| {
                let ContactCreated { contact_id, name } = event.payload.clone();
                (name != "Nobody").then_some(WelcomeInput { contact_id, name })
            })
    }

    async fn run(&self, ctx: &JobContext, input: WelcomeInput) -> JobResult<String> {
        let text = ctx
            .step("compose", || async {
                Ok::<_, JobError>(format!("Hello {}", input.name))
            })
            .await?;
        ctx.spawn_child::<Count>("count", text.clone()).await?;
        Ok(text)
    }
}

struct Count;

impl JobHandler for Count {
    const TYPE: &'static str = "count";
    type Input = String;
    type Output = usize;

    async fn run(&self, _ctx: &JobContext, text: String) -> JobResult<usize> {
        Ok(text.len())
    }
}

async fn publish(bed: &TestBed, name: &str) -> Uuid {
    let contact_id = Uuid::now_v7();
    let tx = begin(bed.runtime.db()).await.unwrap();
    let event = ContactCreated {
        contact_id,
        name: name.to_owned(),
    };
    assert!(
        bed.runtime
            .events()
            .publish(&tx, contact_id, event)
            .await
            .unwrap()
            .is_new()
    );
    tx.commit().await.unwrap();
    contact_id
}

type Names = Arc<Mutex<Vec<String>>>;

fn builder(bed: &TestBed, names: &Names) -> runtime_sea::WorkerBuilder {
    let names = names.clone();
    bed.runtime.worker().job(Welcome).job(Count).subscribe(
        "names",
        move |event: EventEnvelope<ContactCreated>| {
            let names = names.clone();
            async move {
                names.lock().unwrap().push(event.payload.name);
                Ok(())
            }
        },
    )
}

async fn an_event_reaches_its_subscription_and_starts_its_run(bed: TestBed) {
    let names = Names::default();
    let worker = builder(&bed, &names).build().unwrap();
    let ada = publish(&bed, "Ada").await;
    publish(&bed, "Nobody").await;
    worker.drain_until_idle().await.unwrap();
    let mut seen = names.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["Ada", "Nobody"]);
    let processed = EventFilter::new().status(EventStatus::Processed);
    assert_eq!(bed.runtime.events().list(processed).await.unwrap().len(), 2);
    let runs = bed
        .runtime
        .jobs()
        .list(RunFilter::new().job_type("welcome"))
        .await
        .unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].scope_id, Some(ada.to_string()));
    let details = bed.run(runs[0].id).await;
    assert_eq!(details.run.status, RunStatus::Completed);
    assert_eq!(
        details.run.trigger_id.as_deref(),
        Some("welcome/contact_created")
    );
    assert_eq!(
        details.caused_by_event.unwrap().event_type,
        "contact_created"
    );
    assert_eq!(details.children[0].status, RunStatus::Completed);
    let event = bed
        .runtime
        .events()
        .show(details.run.event_id.unwrap().into())
        .await
        .unwrap();
    assert_eq!(event.unwrap().bridge[0].run_id, Some(details.run.id));
}

async fn a_running_worker_delivers_what_is_published_while_it_runs(bed: TestBed) {
    let names = Names::default();
    let worker = builder(&bed, &names).build().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    for name in ["Ada", "Grace"] {
        publish(&bed, name).await;
    }
    crate::support::until("both are welcomed and counted", async || {
        let completed = RunFilter::new().status(RunStatus::Completed);
        bed.runtime.jobs().list(completed).await.unwrap().len() == 4
    })
    .await;
    crate::support::until("both are seen", async || names.lock().unwrap().len() == 2).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn a_worker_for_events_only_needs_no_job_tables(bed: TestBed) {
    use runtime_sea::migration;

    let manager = sea_orm_migration::SchemaManager::new(bed.runtime.db());
    migration::bridge::v1::down(&manager).await.unwrap();
    migration::jobs::v1::down(&manager).await.unwrap();
    publish(&bed, "Ada").await;
    let names = Names::default();
    let subscribe = {
        let names = names.clone();
        move |event: EventEnvelope<ContactCreated>| {
            let names = names.clone();
            async move {
                names.lock().unwrap().push(event.payload.name);
                Ok(())
            }
        }
    };
    let worker = bed
        .runtime
        .worker()
        .events_only()
        .subscribe("names", subscribe);
    worker.build().unwrap().drain_until_idle().await.unwrap();
    assert_eq!(*names.lock().unwrap(), ["Ada"]);
}

struct OnAudit;

impl JobHandler for OnAudit {
    const TYPE: &'static str = "on_audit";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().on::<Seen>(|_| Some(()))
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn wrong_registrations_are_refused(bed: TestBed) {
    let worker = || bed.runtime.worker();
    let refused = worker().job(OnAudit).build().unwrap_err();
    assert!(
        matches!(refused, BuildError::AuditTrigger { .. }),
        "{refused}"
    );
    let subscription = |_: EventEnvelope<Seen>| async { Ok(()) };
    let twice = worker()
        .subscribe("seen", subscription)
        .subscribe("seen", subscription);
    let refused = twice.build().unwrap_err();
    assert!(
        matches!(refused, BuildError::DuplicateSubscription { .. }),
        "{refused}"
    );
    let refused = worker().events_only().job(Count).build().unwrap_err();
    assert!(
        matches!(refused, BuildError::JobOnEventsOnly { .. }),
        "{refused}"
    );
    let refused = worker().concurrency(0).build().unwrap_err();
    assert!(matches!(refused, BuildError::Setting(_)), "{refused}");
}

#[derive(Parser)]
enum App {
    Jobs(JobsCommand),
    Events(EventsCommand),
}

async fn app(bed: &TestBed, words: &[&str]) -> Result<String, CliError> {
    match App::try_parse_from([&["app"], words].concat()).unwrap() {
        App::Jobs(command) => command.run(&bed.runtime).await,
        App::Events(command) => command.run(&bed.runtime).await,
    }
}

async fn the_command_line_shows_the_timeline_of_a_run(bed: TestBed) {
    publish(&bed, "Ada").await;
    let worker = builder(&bed, &Names::default()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let run = bed
        .runtime
        .jobs()
        .list(RunFilter::new().job_type("welcome"))
        .await
        .unwrap()
        .remove(0);
    let id = run.id.to_string();
    let text = app(&bed, &["jobs", "show", &id]).await.unwrap();
    let moments: Vec<_> = text
        .lines()
        .skip_while(|line| !line.contains("timeline"))
        .skip(1)
        .map(|line| line.trim_start().split_once("  ").unwrap().1)
        .collect();
    let child = bed.run(run.id).await.children[0].id;
    assert_eq!(
        moments,
        [
            "event contact_created happened",
            "started by the trigger welcome/contact_created",
            "attempt 1 begins",
            &format!(
                "step `compose` completed in {} ms",
                step_took(&bed, run.id).await
            ),
            &format!("child `count` spawned: run {child} of `count`, completed"),
            "completed",
        ],
        "{text}"
    );
    let json = app(&bed, &["jobs", "show", &id, "--json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["run"]["status"], "completed");
    assert_eq!(json["steps"][0]["name"], "compose");
    assert_eq!(json["caused_by_event"]["event_type"], "contact_created");
}

async fn step_took(bed: &TestBed, id: runtime_sea::RunId) -> i64 {
    let step = bed.run(id).await.steps.remove(0);
    (step.finished_at.unwrap() - step.started_at)
        .num_milliseconds()
        .max(0)
}

async fn the_command_line_shows_lists_events_and_errors(bed: TestBed) {
    assert_eq!(app(&bed, &["jobs", "list"]).await.unwrap(), "no runs");
    assert_eq!(app(&bed, &["events", "list"]).await.unwrap(), "no events");
    publish(&bed, "Ada").await;
    let worker = builder(&bed, &Names::default()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let runs = app(&bed, &["jobs", "list", "--status", "completed"])
        .await
        .unwrap();
    assert_eq!(runs.lines().count(), 3, "{runs}");
    let runs = app(&bed, &["jobs", "list", "--type", "welcome", "--json"])
        .await
        .unwrap();
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    assert_eq!(runs[0]["job_type"], "welcome");
    let events = app(&bed, &["events", "list"]).await.unwrap();
    assert!(
        events.contains("contact_created") && events.contains("processed"),
        "{events}"
    );
    assert_eq!(app(&bed, &["events", "failed"]).await.unwrap(), "no events");
    let id = runs[0]["event_id"].as_str().unwrap();
    let event = app(&bed, &["events", "show", id]).await.unwrap();
    assert!(event.contains("welcome/contact_created"), "{event}");
    let unknown = Uuid::now_v7().to_string();
    let missing = app(&bed, &["jobs", "show", &unknown]).await.unwrap_err();
    assert_eq!(missing.to_string(), format!("there is no run {unknown}"));
    let over = app(&bed, &["jobs", "cancel", runs[0]["id"].as_str().unwrap()])
        .await
        .unwrap();
    assert!(over.ends_with("was over already: completed"), "{over}");
}
