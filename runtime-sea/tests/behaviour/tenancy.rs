//! Multi-tenancy: nothing belongs to nobody by accident, and nobody sees what belongs to another tenant.

use crate::support::TestBed;
use runtime_sea::events::ConsumerKind;
use runtime_sea::jobs::Cancelled;
use runtime_sea::{
    Event, EventFilter, EventId, EventRoute, JobContext, JobError, JobHandler, JobPolicy,
    JobResult, PublishError, PublishOptions, Published, Replay, Retention, RunFilter, RunStatus,
    Runtime, StartError, StartOptions, begin,
};
use serde::{Deserialize, Serialize};

crate::on_each_database!(
    a_publish_and_a_start_without_a_tenant_are_refused_with_the_types_name,
    nothing_is_enforced_where_multi_tenancy_is_off,
    a_query_that_names_no_tenant_is_refused,
    one_tenant_never_sees_what_belongs_to_another,
    what_another_tenant_has_is_not_there_to_be_cancelled_or_delivered_again,
    runs_children_and_events_inherit_the_tenant_of_their_cause,
    an_event_id_that_another_tenant_or_type_has_is_taken,
    a_blank_tenant_is_none,
    what_is_the_whole_fleets_is_not_for_one_tenants_handle,
);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ordered {}

impl Event for Ordered {
    const TYPE: &'static str = "ordered";
    const ROUTE: EventRoute = EventRoute::change("order");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Billed {}

impl Event for Billed {
    const TYPE: &'static str = "billed";
    const ROUTE: EventRoute = EventRoute::change("bill");
}

/// Bills an order by a child of its own.
struct Bill;

impl JobHandler for Bill {
    const TYPE: &'static str = "bill";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().on::<Ordered>(|_| Some(()))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let tx = begin(ctx.db()).await?;
        ctx.events()
            .publish(&tx, "b", Billed {})
            .await
            .map_err(JobError::non_retryable)?;
        ctx.jobs()
            .start::<Send>(&tx, ())
            .await
            .map_err(JobError::non_retryable)?;
        tx.commit().await?;
        ctx.spawn_child::<Send>("send", ()).await?;
        Ok(())
    }
}

struct Send;

impl JobHandler for Send {
    const TYPE: &'static str = "send";
    type Input = ();
    type Output = ();

    async fn run(&self, _: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

fn multi_tenant(bed: &TestBed) -> Runtime {
    Runtime::builder(bed.runtime.db().clone())
        .multi_tenant(true)
        .build()
}

fn of(tenant: &str) -> PublishOptions {
    PublishOptions::new().tenant(Some(tenant))
}

async fn order(runtime: &Runtime, options: PublishOptions) -> Result<EventId, PublishError> {
    let published = runtime
        .events()
        .publish_detached_with("o", Ordered {}, options)
        .await?;
    Ok(published.id())
}

async fn a_publish_and_a_start_without_a_tenant_are_refused_with_the_types_name(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let (events, jobs, db) = (runtime.events(), runtime.jobs(), runtime.db());
    let unnamed = PublishOptions::new().tenant(None::<String>);
    for options in [PublishOptions::new(), unnamed] {
        let error = order(&runtime, options).await.unwrap_err();
        assert!(
            matches!(&error, PublishError::MissingTenant { event_type } if event_type == "ordered"),
            "{error}"
        );
    }
    let error = events
        .all_tenants()
        .publish_detached("o", Ordered {})
        .await
        .unwrap_err();
    assert!(
        matches!(error, PublishError::MissingTenant { .. }),
        "{error}"
    );
    let error = jobs.start::<Send>(db, ()).await.unwrap_err();
    assert!(
        matches!(&error, StartError::MissingTenant { job_type } if job_type == "send"),
        "{error}"
    );

    order(&runtime, of("acme")).await.unwrap();
    order(&runtime, PublishOptions::new().no_tenant())
        .await
        .unwrap();
    let of_acme = events.for_tenant("acme");
    of_acme.publish_detached("o", Ordered {}).await.unwrap();
    let nobodys = events.for_no_tenant();
    nobodys.publish_detached("o", Ordered {}).await.unwrap();
    assert_eq!(of_acme.list(EventFilter::new()).await.unwrap().len(), 2);
    assert_eq!(nobodys.list(EventFilter::new()).await.unwrap().len(), 2);

    let options = StartOptions::new().tenant(Some("acme"));
    jobs.start_with::<Send>(db, (), options).await.unwrap();
    let options = StartOptions::new().no_tenant();
    jobs.start_with::<Send>(db, (), options).await.unwrap();
    let of_acme = jobs.for_tenant("acme");
    of_acme.start::<Send>(db, ()).await.unwrap();
    assert_eq!(of_acme.list(RunFilter::new()).await.unwrap().len(), 2);
    let nobodys = jobs.for_no_tenant().list(RunFilter::new()).await.unwrap();
    assert_eq!(nobodys.len(), 1);
}

async fn nothing_is_enforced_where_multi_tenancy_is_off(bed: TestBed) {
    let runtime = &bed.runtime;
    let id = order(runtime, PublishOptions::new()).await.unwrap();
    order(runtime, of("acme")).await.unwrap();
    assert!(runtime.events().show(id).await.unwrap().is_some());
    let all = runtime.events().list(EventFilter::new()).await.unwrap();
    assert_eq!(all.len(), 2);
    runtime
        .jobs()
        .start::<Send>(runtime.db(), ())
        .await
        .unwrap();
    assert_eq!(
        runtime.jobs().list(RunFilter::new()).await.unwrap().len(),
        1
    );
}

async fn a_query_that_names_no_tenant_is_refused(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let id = order(&runtime, of("acme")).await.unwrap();
    let (events, jobs) = (runtime.events(), runtime.jobs());
    let run = uuid::Uuid::now_v7().into();
    let soon = chrono::Utc::now();
    let all = EventFilter::new;
    for (query, answer) in [
        ("events.list", events.list(all()).await.map(drop)),
        ("events.failed", events.failed(1).await.map(drop)),
        ("events.show", events.show(id).await.map(drop)),
        ("events.redeliver", events.redeliver(id).await.map(drop)),
        ("events.replay", events.replay(id).await.map(drop)),
        (
            "events.replay_all",
            events.replay_all(all()).await.map(drop),
        ),
        ("events.parked", events.parked().await.map(drop)),
        ("jobs.list", jobs.list(RunFilter::new()).await.map(drop)),
        ("jobs.show", jobs.show(run).await.map(drop)),
        ("jobs.cancel", jobs.cancel(run).await.map(drop)),
        ("jobs.retry", jobs.retry(run).await.map(drop)),
        (
            "jobs.replay",
            jobs.replay(run, Replay::Scratch).await.map(drop),
        ),
        (
            "jobs.reschedule",
            jobs.reschedule(run, soon).await.map(drop),
        ),
        ("jobs.stats", jobs.stats().await.map(drop)),
        (
            "jobs.list_for_scope",
            jobs.list_for_scope("order", 1).await.map(drop),
        ),
        (
            "jobs.cancel_for_scope",
            jobs.cancel_for_scope("order", 1).await.map(drop),
        ),
        (
            "jobs.reschedule_for_scope",
            jobs.reschedule_for_scope("order", 1, soon).await.map(drop),
        ),
    ] {
        let error = answer.err().unwrap_or_else(|| panic!("{query} is not"));
        assert!(error.to_string().contains(".all_tenants()"), "{error}");
    }
    let of_acme = EventFilter::new().tenant("acme");
    assert_eq!(events.list(of_acme).await.unwrap().len(), 1);
    let all = events.all_tenants().list(EventFilter::new()).await.unwrap();
    assert_eq!(all.len(), 1);
    let of_acme = RunFilter::new().tenant("acme");
    assert!(jobs.list(of_acme).await.unwrap().is_empty());
}

async fn one_tenant_never_sees_what_belongs_to_another(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let (events, jobs) = (runtime.events(), runtime.jobs());
    let id = order(&runtime, of("acme")).await.unwrap();
    let run = jobs
        .for_tenant("acme")
        .start::<Send>(runtime.db(), ())
        .await
        .unwrap()
        .run_id;
    for (events, jobs) in [
        (events.for_tenant("umbrella"), jobs.for_tenant("umbrella")),
        (events.for_no_tenant(), jobs.for_no_tenant()),
    ] {
        assert!(events.show(id).await.unwrap().is_none());
        assert!(events.list(EventFilter::new()).await.unwrap().is_empty());
        let by_name = EventFilter::new().tenant("acme");
        assert!(events.list(by_name).await.unwrap().is_empty());
        assert!(jobs.show(run).await.unwrap().is_none());
        assert!(jobs.list(RunFilter::new()).await.unwrap().is_empty());
        let by_name = RunFilter::new().tenant("acme");
        assert!(jobs.list(by_name).await.unwrap().is_empty());
    }
    assert!(events.for_tenant("acme").show(id).await.unwrap().is_some());
    assert!(jobs.for_tenant("acme").show(run).await.unwrap().is_some());
    assert!(jobs.all_tenants().show(run).await.unwrap().is_some());

    // A child and a cause may be another tenant's: somebody has said so.
    let worker = runtime.worker().job(Bill).job(Send).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    bed.sql("UPDATE job_run SET tenant_id = 'umbrella' WHERE parent_run_id IS NOT NULL")
        .await;
    bed.sql("UPDATE domain_events SET tenant_id = 'umbrella' WHERE type = 'ordered'")
        .await;
    let bills = RunFilter::new().job_type("bill");
    let bill = jobs.for_tenant("acme").list(bills).await.unwrap()[0].id;
    let seen = jobs.for_tenant("acme").show(bill).await.unwrap().unwrap();
    assert!(seen.children.is_empty() && seen.caused_by_event.is_none());
    assert_eq!(seen.steps.len(), 1);
    let all = jobs.all_tenants().show(bill).await.unwrap().unwrap();
    assert!(all.children.len() == 1 && all.caused_by_event.is_some());
}

async fn what_another_tenant_has_is_not_there_to_be_cancelled_or_delivered_again(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let (events, jobs) = (runtime.events(), runtime.jobs());
    let id = order(&runtime, of("acme")).await.unwrap();
    bed.sql("UPDATE domain_events SET status = 'failed'").await;
    let of_acme = jobs.for_tenant("acme");
    let run = of_acme
        .start::<Send>(runtime.db(), ())
        .await
        .unwrap()
        .run_id;
    let cancelled = jobs.for_tenant("umbrella").cancel(run).await.unwrap();
    assert_eq!(cancelled, Cancelled::NotFound);
    assert_eq!(bed.status(run).await, RunStatus::Pending);
    assert!(!events.for_tenant("umbrella").redeliver(id).await.unwrap());
    assert!(
        events
            .for_tenant("umbrella")
            .failed(9)
            .await
            .unwrap()
            .is_empty()
    );

    assert_eq!(events.for_tenant("acme").failed(9).await.unwrap().len(), 1);
    assert!(events.for_tenant("acme").redeliver(id).await.unwrap());
    assert_eq!(of_acme.cancel(run).await.unwrap(), Cancelled::AtOnce);
}

async fn runs_children_and_events_inherit_the_tenant_of_their_cause(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    order(&runtime, of("acme")).await.unwrap();
    order(&runtime, PublishOptions::new().no_tenant())
        .await
        .unwrap();
    let worker = runtime.worker().job(Bill).job(Send).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let (events, jobs) = (runtime.events(), runtime.jobs());
    for (events, jobs) in [
        (events.for_tenant("acme"), jobs.for_tenant("acme")),
        (events.for_no_tenant(), jobs.for_no_tenant()),
    ] {
        let events = events.list(EventFilter::new()).await.unwrap();
        let types: Vec<_> = events.iter().map(|it| it.event_type.as_str()).collect();
        assert_eq!(types, ["billed", "ordered"]);
        let runs = jobs.list(RunFilter::new()).await.unwrap();
        assert!(runs.iter().all(|it| it.status == RunStatus::Completed));
        let mut types: Vec<_> = runs.iter().map(|it| it.job_type.as_str()).collect();
        types.sort_unstable();
        assert_eq!(types, ["bill", "send", "send"]);
    }
}

async fn an_event_id_that_another_tenant_or_type_has_is_taken(bed: TestBed) {
    let events = bed.runtime.events();
    let id = EventId::from_source("shop", "1");
    let with_id = |tenant: &str| of(tenant).id(id);
    assert_eq!(order(&bed.runtime, with_id("acme")).await.unwrap(), id);
    assert_eq!(order(&bed.runtime, with_id("acme")).await.unwrap(), id);
    let tx = begin(bed.runtime.db()).await.unwrap();
    let of_another_type = events.publish_with(&tx, "b", Billed {}, with_id("acme"));
    let mut refused = vec![of_another_type.await.unwrap_err()];
    let nobodys = PublishOptions::new().id(id);
    for options in [with_id("umbrella"), nobodys] {
        let alone = events.publish_with(&tx, "o", Ordered {}, options.clone());
        refused.push(alone.await.unwrap_err());
        // Nor is what comes with it written.
        let others = [
            ("o", Ordered {}, of("umbrella")),
            ("o", Ordered {}, options),
        ];
        let among_others = events.publish_many_with(&tx, others);
        refused.push(among_others.await.unwrap_err());
    }
    let within = EventId::generate();
    let twice = ["acme", "umbrella"].map(|it| ("o", Ordered {}, of(it).id(within)));
    let twice = events.publish_many_with(&tx, twice).await.unwrap_err();
    assert!(
        matches!(twice, PublishError::IdTaken { event_id, .. } if event_id == within),
        "{twice}"
    );
    for error in refused {
        assert!(
            matches!(error, PublishError::IdTaken { event_id, .. } if event_id == id),
            "{error}"
        );
    }
    // The transaction goes on.
    let again = ("o", Ordered {}, with_id("acme"));
    let again = events.publish_many_with(&tx, [again]).await.unwrap();
    assert_eq!(again, [Published::Duplicate(id)]);
    tx.commit().await.unwrap();
    assert_eq!(events.list(EventFilter::new()).await.unwrap().len(), 1);
}

async fn a_blank_tenant_is_none(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let db = runtime.db();
    for blank in ["", " "] {
        let error = order(&runtime, of(blank)).await.unwrap_err();
        assert!(
            matches!(error, PublishError::MissingTenant { .. }),
            "{error}"
        );
        let (events, jobs) = (
            runtime.events().for_tenant(blank),
            runtime.jobs().for_tenant(blank),
        );
        let error = events.publish_detached("o", Ordered {}).await.unwrap_err();
        assert!(
            matches!(error, PublishError::MissingTenant { .. }),
            "{error}"
        );
        let options = StartOptions::new().tenant(Some(blank));
        for error in [
            jobs.start::<Send>(db, ()).await.unwrap_err(),
            runtime
                .jobs()
                .start_with::<Send>(db, (), options)
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, StartError::MissingTenant { .. }), "{error}");
        }
        let of_blank = RunFilter::new().tenant(blank);
        for refused in [
            events.list(EventFilter::new()).await.map(drop),
            jobs.list(RunFilter::new()).await.map(drop),
            runtime.jobs().all_tenants().list(of_blank).await.map(drop),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("blank"), "{error}");
        }
    }
}

async fn what_is_the_whole_fleets_is_not_for_one_tenants_handle(bed: TestBed) {
    let (events, jobs) = (bed.runtime.events(), bed.runtime.jobs());
    let trigger = ConsumerKind::Trigger;
    for (events, jobs) in [
        (events.for_tenant("acme"), jobs.for_tenant("acme")),
        (events.for_no_tenant(), jobs.for_no_tenant()),
    ] {
        for refused in [
            events.subscriptions().await.map(drop),
            events.lanes().await.map(drop),
            events.retire(trigger, "bill/ordered").await.map(drop),
            jobs.schedules().await.map(drop),
            jobs.pause_schedule("nightly").await.map(drop),
            jobs.resume_schedule("nightly").await.map(drop),
            jobs.pause_pool("batch").await,
            jobs.resume_pool("batch").await,
            jobs.limit_pool("batch", Some(1)).await,
            jobs.pools().await.map(drop),
            jobs.types().await.map(drop),
            jobs.prune(Retention::new()).await.map(drop),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(".all_tenants()"), "{error}");
        }
        let pools = jobs.all_tenants().pools().await.unwrap();
        assert!(pools.iter().all(|it| !it.paused && it.run_limit.is_none()));
        events.all_tenants().lanes().await.unwrap();
    }
}
