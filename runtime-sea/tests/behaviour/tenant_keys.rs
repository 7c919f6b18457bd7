//! Deduplication and concurrency keys are their tenant's own.

use std::time::Duration;

use crate::support::TestBed;
use runtime_sea::bridge::BridgeStatus;
use runtime_sea::{
    Collision, Event, EventRoute, JobContext, JobHandler, JobPolicy, JobResult, PublishOptions,
    RawRun, Replay, Replayed, RunFilter, RunId, RunStatus, Runtime, StartError,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

crate::on_each_database! {
    a_deduplication_key_is_its_tenants_own,
    a_trigger_deduplicates_within_a_tenant,
    a_queued_run_does_not_wait_for_another_tenants,
    a_rejecting_run_is_not_refused_for_another_tenants,
    a_run_does_not_replace_another_tenants,
    a_run_started_by_name_has_its_tenants_keys,
}

const TENANTS: [&str; 2] = ["acme", "umbrella"];

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Imported {}

impl Event for Imported {
    const TYPE: &'static str = "imported";
    const ROUTE: EventRoute = EventRoute::change("import");
}

/// Makes a job whose runs all have one key.
macro_rules! job {
    ($name:ident, $type:literal, $policy:expr) => {
        struct $name;

        impl JobHandler for $name {
            const TYPE: &'static str = $type;
            type Input = ();
            type Output = ();

            fn policy() -> JobPolicy<()> {
                $policy
            }

            async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
                Ok(())
            }
        }
    };
}

const WINDOW: Duration = Duration::from_secs(3600);

job!(
    Once,
    "once",
    JobPolicy::new()
        .dedupe(WINDOW, |()| "key".to_owned())
        .on::<Imported>(|_| Some(()))
);
job!(Queued, "queued", keyed(Collision::Queue));
job!(Rejecting, "rejecting", keyed(Collision::Reject));
job!(Replacing, "replacing", keyed(Collision::Replace));

fn keyed(collision: Collision) -> JobPolicy<()> {
    JobPolicy::new().concurrency(collision, |()| "key".to_owned())
}

async fn start<J: JobHandler<Input = ()>>(runtime: &Runtime, tenant: &str) -> RunId {
    let jobs = runtime.jobs().for_tenant(tenant);
    let started = jobs.start::<J>(runtime.db(), ()).await.unwrap();
    assert!(!started.deduplicated);
    started.run_id
}

async fn a_deduplication_key_is_its_tenants_own(bed: TestBed) {
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let nobodys = jobs.start::<Once>(db, ()).await.unwrap();
    assert!(!nobodys.deduplicated);
    let mut first = Vec::new();
    for tenant in TENANTS {
        let of_tenant = jobs.for_tenant(tenant);
        let one = start::<Once>(&bed.runtime, tenant).await;
        let again = of_tenant.start::<Once>(db, ()).await.unwrap();
        assert_eq!((again.run_id, again.deduplicated), (one, true));
        // People see the key as it was given.
        assert_eq!(bed.run(one).await.run.dedupe_key.as_deref(), Some("key"));
        first.push(one);
    }
    assert_ne!(first[0], first[1]);
    let again = jobs.start::<Once>(db, ()).await.unwrap();
    assert_eq!((again.run_id, again.deduplicated), (nobodys.run_id, true));

    // The window of one does not keep another's run from being replayed; a later run of its own does.
    for run in &first {
        jobs.cancel(*run).await.unwrap();
        let replayed = jobs.replay(*run, Replay::Scratch).await.unwrap();
        assert_eq!(replayed, Replayed::Pending);
        jobs.cancel(*run).await.unwrap();
    }
    bed.clock.advance(2 * WINDOW);
    let later = start::<Once>(&bed.runtime, TENANTS[0]).await;
    let replayed = jobs.replay(first[0], Replay::Scratch).await.unwrap();
    assert_eq!(replayed, Replayed::Deduplicated(later));
    let replayed = jobs.replay(first[1], Replay::Scratch).await.unwrap();
    assert_eq!(replayed, Replayed::Pending);
}

async fn a_trigger_deduplicates_within_a_tenant(bed: TestBed) {
    let (events, worker) = (bed.runtime.events(), bed.runtime.worker());
    let worker = worker.job(Once).build().unwrap();
    for tenant in TENANTS {
        let mut of_tenant = Vec::new();
        for status in [BridgeStatus::Started, BridgeStatus::Deduplicated] {
            let options = PublishOptions::new().tenant(Some(tenant));
            let published = events.publish_detached_with("i", Imported {}, options);
            let id = published.await.unwrap().id();
            worker.drain_until_idle().await.unwrap();
            let bridge = events.show(id).await.unwrap().unwrap().bridge;
            assert_eq!(bridge[0].status, status);
            let run = bed.run(bridge[0].run_id.unwrap()).await.run;
            assert_eq!(run.tenant_id.as_deref(), Some(tenant));
            of_tenant.push(run.id);
        }
        assert_eq!(of_tenant[0], of_tenant[1]);
    }
}

async fn a_queued_run_does_not_wait_for_another_tenants(bed: TestBed) {
    let mut runs = Vec::new();
    for tenant in TENANTS {
        runs.push(start::<Queued>(&bed.runtime, tenant).await);
    }
    // One waits between its attempts with its key, as a run does that is executed.
    bed.sql(
        "UPDATE job_run SET active_key = concurrency_key, run_at = '2100-01-01 00:00:00+00:00' \
         WHERE tenant_id = 'acme'",
    )
    .await;
    let worker = bed.runtime.worker().job(Queued).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(runs[0]).await, RunStatus::Pending);
    let other = bed.run(runs[1]).await.run;
    assert_eq!(other.status, RunStatus::Completed);
    assert_eq!(other.concurrency_key.as_deref(), Some("key"));
}

async fn a_rejecting_run_is_not_refused_for_another_tenants(bed: TestBed) {
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let mut runs = Vec::new();
    for tenant in TENANTS {
        let run = start::<Rejecting>(&bed.runtime, tenant).await;
        let refused = jobs.for_tenant(tenant).start::<Rejecting>(db, ()).await;
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, StartError::Rejected { key, incumbent, .. } if key == "key" && *incumbent == run),
            "{error}"
        );
        runs.push(run);
    }
    jobs.cancel(runs[0]).await.unwrap();
    let replayed = jobs.replay(runs[0], Replay::Scratch).await.unwrap();
    assert_eq!(replayed, Replayed::Pending);
}

async fn a_run_does_not_replace_another_tenants(bed: TestBed) {
    let mut runs = Vec::new();
    for tenant in [TENANTS[0], TENANTS[0], TENANTS[1]] {
        runs.push(start::<Replacing>(&bed.runtime, tenant).await);
        crate::support::next_moment(&bed.runtime).await;
    }
    let worker = bed.runtime.worker().job(Replacing).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let mut statuses = Vec::new();
    for run in runs {
        statuses.push(bed.status(run).await);
    }
    let expected = [
        RunStatus::Canceled,
        RunStatus::Completed,
        RunStatus::Completed,
    ];
    assert_eq!(statuses, expected);
}

async fn a_run_started_by_name_has_its_tenants_keys(bed: TestBed) {
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let worker = bed.runtime.worker().job(Once).job(Rejecting);
    worker.build().unwrap().drain_until_idle().await.unwrap();
    for tenant in TENANTS {
        let of_tenant = jobs.for_tenant(tenant);
        let once = start::<Once>(&bed.runtime, tenant).await;
        let raw = RawRun::new("once", json!(null)).dedupe_key("key");
        let again = of_tenant.start_raw(db, raw).await.unwrap();
        assert_eq!((again.run_id, again.deduplicated), (once, true));
        let raw = || RawRun::new("rejecting", json!(null)).concurrency_key("key");
        let first = of_tenant.start_raw(db, raw()).await.unwrap();
        let error = of_tenant.start_raw(db, raw()).await.unwrap_err();
        assert!(
            matches!(&error, StartError::Rejected { incumbent, .. } if *incumbent == first.run_id),
            "{error}"
        );
    }
    assert_eq!(jobs.list(RunFilter::new()).await.unwrap().len(), 4);
}
