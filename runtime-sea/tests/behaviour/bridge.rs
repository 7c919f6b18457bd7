//! From events to runs: what a publisher asks for, and what triggers answer.

use std::time::Duration;

use crate::support::{TestBed, until};
use runtime_sea::{
    BridgeStatus, Collision, Event, EventId, EventRoute, EventStatus, JobContext, JobHandler,
    JobPolicy, JobResult, PublishAndStartError, PublishError, PublishOptions, Published, RunFilter,
    RunRecord, RunStatus, StartError, StartOptions, begin,
};
use serde::{Deserialize, Serialize};

crate::on_each_database! {
    an_event_and_its_run_exist_if_and_only_if_their_transaction_committed,
    a_run_that_the_publisher_asked_for_stands_for_the_jobs_trigger,
    a_job_without_a_trigger_on_the_event_is_started_directly,
    of_several_triggers_the_one_without_a_name_is_stood_for,
    the_same_event_id_gives_the_run_that_was_started_first,
    r39_callers_that_race_with_one_event_id_get_one_run,
    a_call_after_the_trigger_has_fired_gives_the_triggers_run,
    a_call_after_the_trigger_has_passed_the_event_over_is_told_so,
    a_rejected_run_leaves_no_event_behind,
    a_deduplicated_run_is_on_record,
    the_run_belongs_to_the_events_tenant,
    an_event_id_of_another_tenant_gives_nobody_its_run,
    a_trigger_by_the_name_of_what_publishers_ask_for_is_refused,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignedUp {
    account: String,
}

impl Event for SignedUp {
    const TYPE: &'static str = "signed_up";
    const ROUTE: EventRoute = EventRoute::change("account");
}

/// Has a trigger on the event, which passes `nobody` over.
struct Provision;

impl JobHandler for Provision {
    const TYPE: &'static str = "provision";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new().on::<SignedUp>(|event| {
            let account = &event.payload.account;
            (account != "nobody").then(|| format!("trigger:{account}"))
        })
    }

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

/// Has no trigger, and runs once at a time per account.
struct Greet;

impl JobHandler for Greet {
    const TYPE: &'static str = "greet";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new().concurrency(Collision::Reject, Clone::clone)
    }

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

/// Has two triggers on the event, one of them with a name.
struct Bill;

impl JobHandler for Bill {
    const TYPE: &'static str = "bill";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new()
            .on_named::<SignedUp>("reminder", |_| Some("reminder".to_owned()))
            .on::<SignedUp>(|_| Some("invoice".to_owned()))
    }

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

/// One per account and day.
struct Daily;

impl JobHandler for Daily {
    const TYPE: &'static str = "daily";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new().dedupe(Duration::from_secs(86_400), Clone::clone)
    }

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

pub(crate) fn signed_up(account: &str) -> SignedUp {
    SignedUp {
        account: account.to_owned(),
    }
}

type Outcome = Result<runtime_sea::PublishedAndStarted, PublishAndStartError>;

pub(crate) async fn publish_and_start<J: JobHandler<Input = String>>(
    runtime: &runtime_sea::Runtime,
    id: EventId,
    account: &str,
) -> Outcome {
    let tx = begin(runtime.db()).await.unwrap();
    let outcome = runtime
        .events()
        .publish_and_start_with::<SignedUp, J>(
            &tx,
            account,
            signed_up(account),
            account.to_owned(),
            PublishOptions::new().id(id),
            StartOptions::new(),
        )
        .await;
    tx.commit().await.unwrap();
    outcome
}

async fn drain(bed: &TestBed) {
    let worker = bed
        .runtime
        .worker()
        .job(Provision)
        .job(Greet)
        .job(Bill)
        .job(Daily);
    worker.build().unwrap().drain_until_idle().await.unwrap();
}

async fn runs(bed: &TestBed, job_type: &str) -> Vec<RunRecord> {
    let filter = RunFilter::new().job_type(job_type);
    bed.runtime.jobs().list(filter).await.unwrap()
}

async fn an_event_and_its_run_exist_if_and_only_if_their_transaction_committed(bed: TestBed) {
    for commits in [false, true] {
        let tx = begin(bed.runtime.db()).await.unwrap();
        let both = bed
            .runtime
            .events()
            .publish_and_start::<SignedUp, Provision>(&tx, "ada", signed_up("ada"), "ada".into())
            .await
            .unwrap();
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let event = bed
            .runtime
            .events()
            .show(both.published.id())
            .await
            .unwrap();
        let run = bed.runtime.jobs().show(both.started.run_id).await.unwrap();
        assert_eq!((event.is_some(), run.is_some()), (commits, commits));
    }
}

async fn a_run_that_the_publisher_asked_for_stands_for_the_jobs_trigger(bed: TestBed) {
    let id = EventId::generate();
    let both = publish_and_start::<Provision>(&bed.runtime, id, "ada")
        .await
        .unwrap();
    assert_eq!(both.published, Published::New(id));
    assert!(!both.started.deduplicated);
    drain(&bed).await;
    let runs = runs(&bed, "provision").await;
    assert_eq!(runs.len(), 1, "the trigger started no second one");
    assert_eq!(runs[0].id, both.started.run_id);
    assert_eq!(
        (&runs[0].input, runs[0].status),
        (&"ada".into(), RunStatus::Completed)
    );
    assert_eq!(runs[0].event_id, Some(id.as_uuid()));
    let event = bed.runtime.events().show(id).await.unwrap().unwrap();
    assert_eq!(event.event.status, EventStatus::Processed);
    let of_job: Vec<_> = event
        .bridge
        .iter()
        .filter(|it| it.job_type == "provision")
        .collect();
    assert_eq!(of_job.len(), 1);
    assert_eq!(of_job[0].trigger_id, "provision/direct");
    assert_eq!(of_job[0].status, BridgeStatus::Started);
    assert_eq!(of_job[0].run_id, Some(both.started.run_id));
}

async fn a_job_without_a_trigger_on_the_event_is_started_directly(bed: TestBed) {
    let id = EventId::generate();
    let both = publish_and_start::<Greet>(&bed.runtime, id, "ada")
        .await
        .unwrap();
    drain(&bed).await;
    assert_eq!(runs(&bed, "greet").await.len(), 1);
    assert_eq!(
        runs(&bed, "provision").await.len(),
        1,
        "others' triggers fire"
    );
    let run = bed.run(both.started.run_id).await;
    assert_eq!(run.run.trigger_id.as_deref(), Some("greet/direct"));
    assert_eq!(run.caused_by_event.unwrap().id, id.as_uuid());
}

async fn of_several_triggers_the_one_without_a_name_is_stood_for(bed: TestBed) {
    let id = EventId::generate();
    let both = publish_and_start::<Bill>(&bed.runtime, id, "ada")
        .await
        .unwrap();
    drain(&bed).await;
    let mut runs: Vec<_> = runs(&bed, "bill")
        .await
        .into_iter()
        .map(|it| {
            (
                it.trigger_id.unwrap(),
                it.input,
                it.id == both.started.run_id,
            )
        })
        .collect();
    runs.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        runs,
        [
            ("bill/direct".to_owned(), "ada".into(), true),
            ("bill/reminder".to_owned(), "reminder".into(), false),
        ]
    );
}

async fn the_same_event_id_gives_the_run_that_was_started_first(bed: TestBed) {
    let id = EventId::from_source("shop", "1");
    let first = publish_and_start::<Greet>(&bed.runtime, id, "ada")
        .await
        .unwrap();
    let second = publish_and_start::<Greet>(&bed.runtime, id, "bob")
        .await
        .unwrap();
    assert_eq!(second.published, Published::Duplicate(id));
    assert_eq!(second.started.run_id, first.started.run_id);
    assert!(second.started.deduplicated);
    drain(&bed).await;
    let third = publish_and_start::<Greet>(&bed.runtime, id, "cyd")
        .await
        .unwrap();
    assert_eq!(third.started.run_id, first.started.run_id);
    assert_eq!(runs(&bed, "greet").await.len(), 1);

    // One that was published alone gets its run now.
    let id = EventId::from_source("shop", "2");
    let alone = bed
        .runtime
        .events()
        .publish_detached_with("eve", signed_up("eve"), PublishOptions::new().id(id))
        .await
        .unwrap();
    assert!(alone.is_new());
    let late = publish_and_start::<Greet>(&bed.runtime, id, "eve")
        .await
        .unwrap();
    assert_eq!(late.published, Published::Duplicate(id));
    assert!(!late.started.deduplicated);
}

async fn r39_callers_that_race_with_one_event_id_get_one_run(bed: TestBed) {
    let id = EventId::from_source("shop", "1");
    let mut callers = Vec::new();
    for _ in 0..8 {
        let runtime = bed.runtime.clone();
        callers.push(tokio::spawn(async move {
            publish_and_start::<Provision>(&runtime, id, "ada")
                .await
                .unwrap()
        }));
    }
    let mut outcomes = Vec::new();
    for caller in callers {
        outcomes.push(caller.await.unwrap());
    }
    let new = outcomes.iter().filter(|it| it.published.is_new()).count();
    let started = outcomes
        .iter()
        .filter(|it| !it.started.deduplicated)
        .count();
    assert_eq!((new, started), (1, 1));
    drain(&bed).await;
    let runs = runs(&bed, "provision").await;
    assert_eq!(runs.len(), 1);
    assert!(outcomes.iter().all(|it| it.started.run_id == runs[0].id));
}

async fn a_call_after_the_trigger_has_fired_gives_the_triggers_run(bed: TestBed) {
    let id = EventId::from_source("shop", "1");
    let options = PublishOptions::new().id(id);
    let events = bed.runtime.events();
    events
        .publish_detached_with("ada", signed_up("ada"), options)
        .await
        .unwrap();
    drain(&bed).await;
    let both = publish_and_start::<Provision>(&bed.runtime, id, "ada")
        .await
        .unwrap();
    assert!(both.started.deduplicated);
    let runs = runs(&bed, "provision").await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].id, both.started.run_id);
    assert_eq!(runs[0].input, "trigger:ada");
}

async fn a_call_after_the_trigger_has_passed_the_event_over_is_told_so(bed: TestBed) {
    let id = EventId::from_source("shop", "1");
    let options = PublishOptions::new().id(id);
    let events = bed.runtime.events();
    events
        .publish_detached_with("nobody", signed_up("nobody"), options)
        .await
        .unwrap();
    drain(&bed).await;
    let error = publish_and_start::<Provision>(&bed.runtime, id, "nobody")
        .await
        .unwrap_err();
    assert!(
        matches!(
            &error,
            PublishAndStartError::Answered {
                status: BridgeStatus::Skipped,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("passed the event over"),
        "{error}"
    );
    assert!(runs(&bed, "provision").await.is_empty());
}

async fn a_rejected_run_leaves_no_event_behind(bed: TestBed) {
    let (first, second) = (EventId::generate(), EventId::generate());
    publish_and_start::<Greet>(&bed.runtime, first, "ada")
        .await
        .unwrap();
    let error = publish_and_start::<Greet>(&bed.runtime, second, "ada")
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            PublishAndStartError::Start(StartError::Rejected { .. })
        ),
        "{error}"
    );
    // Its caller committed all the same.
    assert!(bed.runtime.events().show(second).await.unwrap().is_none());
    assert_eq!(runs(&bed, "greet").await.len(), 1);
}

async fn a_deduplicated_run_is_on_record(bed: TestBed) {
    let (first, second) = (EventId::generate(), EventId::generate());
    let one = publish_and_start::<Daily>(&bed.runtime, first, "ada")
        .await
        .unwrap();
    let other = publish_and_start::<Daily>(&bed.runtime, second, "ada")
        .await
        .unwrap();
    assert_eq!(other.published, Published::New(second));
    assert!(other.started.deduplicated);
    assert_eq!(other.started.run_id, one.started.run_id);
    let event = bed.runtime.events().show(second).await.unwrap().unwrap();
    assert_eq!(event.bridge.len(), 1);
    assert_eq!(event.bridge[0].status, BridgeStatus::Deduplicated);
    assert_eq!(event.bridge[0].run_id, Some(one.started.run_id));
    until("the run is done", async || {
        drain(&bed).await;
        bed.status(one.started.run_id).await == RunStatus::Completed
    })
    .await;
}

async fn the_run_belongs_to_the_events_tenant(bed: TestBed) {
    let runtime = runtime_sea::Runtime::builder(bed.runtime.db().clone())
        .multi_tenant(true)
        .build();
    let tx = begin(runtime.db()).await.unwrap();
    let events = runtime.events();
    let error = events
        .publish_and_start::<SignedUp, Greet>(&tx, "ada", signed_up("ada"), "ada".into())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("belongs to no tenant"),
        "{error}"
    );
    let both = events
        .for_tenant("acme")
        .publish_and_start::<SignedUp, Greet>(&tx, "ada", signed_up("ada"), "ada".into())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let run = bed.run(both.started.run_id).await.run;
    assert_eq!(run.tenant_id.as_deref(), Some("acme"));
}

async fn an_event_id_of_another_tenant_gives_nobody_its_run(bed: TestBed) {
    let id = EventId::from_source("shop", "1");
    let tx = begin(bed.runtime.db()).await.unwrap();
    for (tenant, is_refused) in [("acme", false), ("umbrella", true), ("acme", false)] {
        let events = bed.runtime.events().for_tenant(tenant);
        let outcome = events
            .publish_and_start_with::<SignedUp, Greet>(
                &tx,
                "ada",
                signed_up("ada"),
                tenant.to_owned(),
                PublishOptions::new().id(id),
                StartOptions::new(),
            )
            .await;
        let is_taken = matches!(
            &outcome,
            Err(PublishAndStartError::Publish(PublishError::IdTaken { .. }))
        );
        assert_eq!((is_taken, outcome.is_ok()), (is_refused, !is_refused));
    }
    tx.commit().await.unwrap();
    let runs = runs(&bed, "greet").await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].tenant_id.as_deref(), Some("acme"));
}

async fn a_trigger_by_the_name_of_what_publishers_ask_for_is_refused(bed: TestBed) {
    struct Named;

    impl JobHandler for Named {
        const TYPE: &'static str = "named";
        type Input = String;
        type Output = ();

        fn policy() -> JobPolicy<String> {
            JobPolicy::<String>::new().on_named::<SignedUp>("direct", |_| None)
        }

        async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
            Ok(())
        }
    }

    let error = bed.runtime.worker().job(Named).build().unwrap_err();
    assert!(error.to_string().contains("`named/direct`"), "{error}");
}
