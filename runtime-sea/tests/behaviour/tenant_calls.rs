//! Multi-tenancy, call by call: each one without a tenant, and each one about what another tenant has.

use crate::support::TestBed;
use chrono::{DateTime, Utc};
use runtime_sea::{
    Event, EventFilter, EventId, EventRoute, JobContext, JobHandler, JobPolicy, JobResult,
    PublishAndStartError, PublishError, PublishOptions, RawEvent, RawRun, Replay, Replayed,
    Rescheduled, RunFilter, RunId, RunStatus, Runtime, StartError, StartOptions, begin,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

crate::on_each_database!(
    every_publish_without_a_tenant_is_refused_with_the_types_name,
    every_start_without_a_tenant_is_refused_with_the_types_name,
    another_tenants_runs_are_neither_shown_nor_changed,
    another_tenants_events_are_neither_shown_nor_changed,
);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ordered {}

impl Event for Ordered {
    const TYPE: &'static str = "ordered";
    const ROUTE: EventRoute = EventRoute::change("order");
}

/// About its account.
struct Send;

impl JobHandler for Send {
    const TYPE: &'static str = "send";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().scope("account", |account| *account)
    }

    async fn run(&self, _: &JobContext, _: u32) -> JobResult<()> {
        Ok(())
    }
}

fn multi_tenant(bed: &TestBed) -> Runtime {
    Runtime::builder(bed.runtime.db().clone())
        .multi_tenant(true)
        .build()
}

async fn every_publish_without_a_tenant_is_refused_with_the_types_name(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let tx = begin(runtime.db()).await.unwrap();
    let raw = || {
        let event = RawEvent::new("ordered", EventRoute::change("order"), json!({}));
        event.aggregate("order", "o")
    };
    let options = PublishOptions::new;
    for events in [runtime.events(), runtime.events().all_tenants()] {
        let both = events
            .publish_and_start::<Ordered, Send>(&tx, "o", Ordered {}, 1)
            .await;
        let both = match both.unwrap_err() {
            PublishAndStartError::Publish(error) => error,
            other => panic!("{other}"),
        };
        let one = ("o", Ordered {});
        let with_tenant = ("o", Ordered {}, options().tenant(Some("acme")));
        for error in [
            events.publish(&tx, "o", Ordered {}).await.unwrap_err(),
            events
                .publish_with(&tx, "o", Ordered {}, options())
                .await
                .unwrap_err(),
            events.publish_many(&tx, [one]).await.unwrap_err(),
            events
                .publish_many_with(&tx, [with_tenant, ("o", Ordered {}, options())])
                .await
                .unwrap_err(),
            events.publish_raw(&tx, raw()).await.unwrap_err(),
            both,
        ] {
            let names = matches!(
                &error,
                PublishError::MissingTenant { event_type } if event_type == "ordered"
            );
            assert!(names, "{error}");
        }
    }
    tx.commit().await.unwrap();
    for events in [runtime.events(), runtime.events().all_tenants()] {
        for error in [
            events.publish_detached("o", Ordered {}).await.unwrap_err(),
            events.publish_raw_detached(raw()).await.unwrap_err(),
        ] {
            let names = matches!(
                &error,
                PublishError::MissingTenant { event_type } if event_type == "ordered"
            );
            assert!(names, "{error}");
        }
    }
    let all = runtime.events().all_tenants();
    assert_eq!(all.list(EventFilter::new()).await.unwrap().len(), 0);
    let of_acme = raw().options(options().tenant(Some("acme")));
    all.publish_raw_detached(of_acme).await.unwrap();
    assert_eq!(all.list(EventFilter::new()).await.unwrap().len(), 1);
}

async fn every_start_without_a_tenant_is_refused_with_the_types_name(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let db = runtime.db();
    let raw = || RawRun::new("send", json!(1)).allow_unknown("batch");
    let options = StartOptions::new;
    for jobs in [runtime.jobs(), runtime.jobs().all_tenants()] {
        for error in [
            jobs.start::<Send>(db, 1).await.unwrap_err(),
            jobs.start_with::<Send>(db, 1, options()).await.unwrap_err(),
            jobs.start_many::<Send>(db, [1, 2]).await.unwrap_err(),
            jobs.start_many_with::<Send>(db, [1, 2], options())
                .await
                .unwrap_err(),
            jobs.start_raw(db, raw()).await.unwrap_err(),
        ] {
            let names = matches!(
                &error,
                StartError::MissingTenant { job_type } if job_type == "send"
            );
            assert!(names, "{error}");
        }
    }
    let all = runtime.jobs().all_tenants();
    assert_eq!(all.list(RunFilter::new()).await.unwrap().len(), 0);
    let of_acme = raw().options(options().tenant(Some("acme")));
    all.start_raw(db, of_acme).await.unwrap();
    assert_eq!(all.list(RunFilter::new()).await.unwrap().len(), 1);
}

fn far() -> DateTime<Utc> {
    "2200-01-01T00:00:00Z".parse().unwrap()
}

async fn another_tenants_runs_are_neither_shown_nor_changed(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let jobs = runtime.jobs();
    let of_acme = jobs.for_tenant("acme");
    let [waits, over] = [
        of_acme.start::<Send>(runtime.db(), 1).await.unwrap().run_id,
        of_acme.start::<Send>(runtime.db(), 1).await.unwrap().run_id,
    ];
    of_acme.cancel(over).await.unwrap();
    let before = [bed.run(waits).await, bed.run(over).await];
    let replays = [Replay::Scratch, Replay::LastStep, Replay::LastCheckpoint];
    for other in [jobs.for_tenant("umbrella"), jobs.for_no_tenant()] {
        for id in [waits, over] {
            assert_eq!(other.show(id).await.unwrap(), None);
            assert_eq!(other.retry(id).await.unwrap(), Replayed::NotFound);
            for replay in replays {
                assert_eq!(other.replay(id, replay).await.unwrap(), Replayed::NotFound);
            }
            let moved = other.reschedule(id, far()).await.unwrap();
            assert_eq!(moved, Rescheduled::NotFound);
        }
        assert!(other.stats().await.unwrap().jobs.is_empty());
        assert_eq!(other.list_for_scope("account", 1).await.unwrap(), []);
        let moved = other.reschedule_for_scope("account", 1, far()).await;
        assert_eq!(moved.unwrap(), 0);
        let cancelled = other.cancel_for_scope("account", 1).await.unwrap();
        assert_eq!((cancelled.at_once, cancelled.requested), (0, 0));
    }
    assert_eq!([bed.run(waits).await, bed.run(over).await], before);
    // Their own tenant does all of it.
    its_own_may(&runtime, waits, over).await;
}

async fn its_own_may(runtime: &Runtime, waits: RunId, over: RunId) {
    let own = runtime.jobs().for_tenant("acme");
    let stats = own.stats().await.unwrap().jobs;
    assert_eq!((stats[0].ready, stats[0].canceled), (1, 1));
    assert_eq!(own.list_for_scope("account", 1).await.unwrap().len(), 2);
    assert_eq!(own.retry(over).await.unwrap(), Replayed::Pending);
    let moved = own.reschedule(waits, far()).await.unwrap();
    assert_eq!(moved, Rescheduled::Pending);
    let moved = own.reschedule_for_scope("account", 1, far()).await;
    assert_eq!(moved.unwrap(), 2);
    let cancelled = own.cancel_for_scope("account", 1).await.unwrap();
    assert_eq!(cancelled.at_once, 2);
    let replayed = own.replay(waits, Replay::Scratch).await.unwrap();
    assert_eq!(replayed, Replayed::Pending);
    let run = own.show(waits).await.unwrap().unwrap().run;
    assert_eq!(run.status, RunStatus::Pending);
}

async fn another_tenants_events_are_neither_shown_nor_changed(bed: TestBed) {
    let runtime = multi_tenant(&bed);
    let events = runtime.events();
    let of_acme = events.for_tenant("acme");
    let publish = async || -> EventId {
        let published = of_acme.publish_detached("o", Ordered {}).await;
        published.unwrap().id()
    };
    // Nobody has subscribed to what waits.
    let over = publish().await;
    bed.sql("UPDATE domain_events SET status = 'processed', dispatched_at = created_at")
        .await;
    let waits = publish().await;
    let shown = async || {
        let (over, waits) = (of_acme.show(over).await, of_acme.show(waits).await);
        [over.unwrap().unwrap(), waits.unwrap().unwrap()]
    };
    let before = shown().await;
    for other in [events.for_tenant("umbrella"), events.for_no_tenant()] {
        for id in [over, waits] {
            assert!(other.show(id).await.unwrap().is_none());
            assert!(!other.replay(id).await.unwrap());
            assert!(!other.redeliver(id).await.unwrap());
        }
        for filter in [EventFilter::new(), EventFilter::new().tenant("acme")] {
            assert_eq!(other.replay_all(filter).await.unwrap(), 0);
        }
        assert!(other.parked().await.unwrap().is_empty());
    }
    assert_eq!(shown().await, before);
    let parked = of_acme.parked().await.unwrap();
    assert_eq!(
        (parked[0].event_type.as_str(), parked[0].events),
        ("ordered", 1)
    );
    assert!(of_acme.replay(over).await.unwrap());
    assert_eq!(of_acme.parked().await.unwrap()[0].events, 2);
    bed.sql("UPDATE domain_events SET status = 'processed', dispatched_at = created_at")
        .await;
    assert_eq!(of_acme.replay_all(EventFilter::new()).await.unwrap(), 2);
}
