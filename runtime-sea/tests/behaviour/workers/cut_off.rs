//! Being cut off from the database, or asleep for longer than the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::measured::measured;
use crate::support::{Running, TestBed, until};
use runtime_sea::{JobContext, JobHandler, JobResult, RunStatus, WorkerError};
use tokio_util::sync::CancellationToken;

use super::{Wait, start, watchful, worker};

crate::on_each_database! {
    a_worker_that_was_cut_off_stops_its_handlers_and_goes_on_afterwards,
    a_worker_without_tables_says_so,
    r58_a_worker_that_overslept_its_lease_stops_its_handlers,
    r58_a_handler_that_overslept_its_lease_begins_no_step,
}

async fn a_worker_that_was_cut_off_stops_its_handlers_and_goes_on_afterwards(bed: TestBed) {
    let failures = "runtime_sea_heartbeat_failures_total{}";
    let handed_back =
        "runtime_sea_job_attempts_total{job_type=wait,pool=batch,outcome=handed_back}";
    let before = [failures, handed_back].map(measured);
    let wait = Wait::new();
    let id = start(&bed).await;
    let running = Running::start(watchful(&bed.runtime, &wait));
    until("it runs", async || wait.began() == 1).await;
    // No heartbeat can be written any more; everything else goes on.
    bed.sql("ALTER TABLE job_worker RENAME TO job_worker_away")
        .await;
    until("the handler is stopped", async || {
        wait.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    until("nothing is claimed", async || {
        bed.status(id).await == RunStatus::Pending
    })
    .await;
    assert_eq!(bed.run(id).await.run.attempt, 0);
    assert!(measured(failures) > before[0] && measured(handed_back) > before[1]);
    bed.sql("ALTER TABLE job_worker_away RENAME TO job_worker")
        .await;
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

// As when its process or machine was stopped for a while: its own clock need not show it.
async fn r58_a_worker_that_overslept_its_lease_stops_its_handlers(bed: TestBed) {
    let wait = Wait::new();
    let id = start(&bed).await;
    let lost = "runtime_sea_lease_losses_total{}";
    let before = measured(lost);
    let running = Running::start(worker(&bed.runtime, &wait));
    until("it runs", async || wait.began() == 1).await;
    bed.sql("UPDATE job_worker SET expires_at = '2025-01-01 00:00:00'")
        .await;
    until("the handler is stopped", async || {
        wait.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    assert!(measured(lost) > before);
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

/// Begins a step once it is told to stop, and returns at once when it is executed again.
struct Late {
    began: Arc<AtomicU32>,
    executed: Arc<AtomicU32>,
}

impl JobHandler for Late {
    const TYPE: &'static str = "late";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        if self.began.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        ctx.cancelled().cancelled().await;
        ctx.step("late", || async {
            self.executed.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::convert::Infallible>(())
        })
        .await
    }
}

async fn r58_a_handler_that_overslept_its_lease_begins_no_step(bed: TestBed) {
    let (began, executed) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
    let late = Late {
        began: began.clone(),
        executed: executed.clone(),
    };
    let running = Running::start(bed.runtime.worker().job(late).build().unwrap());
    let jobs = bed.runtime.jobs();
    let id = jobs
        .start::<Late>(bed.runtime.db(), ())
        .await
        .unwrap()
        .run_id;
    until("it runs", async || began.load(Ordering::SeqCst) == 1).await;
    bed.sql("UPDATE job_worker SET expires_at = '2025-01-01 00:00:00'")
        .await;
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
    assert_eq!(executed.load(Ordering::SeqCst), 0);
}

async fn a_worker_without_tables_says_so(bed: TestBed) {
    bed.sql("ALTER TABLE job_worker RENAME TO job_worker_away")
        .await;
    let refused = worker(&bed.runtime, &Wait::new())
        .run(CancellationToken::new())
        .await;
    assert!(
        matches!(refused, Err(WorkerError::Register(_))),
        "{refused:?}"
    );
}

#[test]
fn r13_a_worker_survives_the_loss_of_every_connection() {
    crate::support::on_postgres(async |bed| {
        let wait = Wait::new();
        wait.go.add_permits(3);
        let running = Running::start(worker(&bed.runtime, &wait));
        let first = start(&bed).await;
        bed.until_status(first, RunStatus::Completed).await;
        for _ in 0..2 {
            // From outside, as a restart of the server or a failover does it.
            let admin = bed.other_process().await;
            let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            sea_orm::ConnectionTrait::execute_unprepared(admin.db(), terminate)
                .await
                .unwrap();
            let id = admin
                .jobs()
                .start::<Wait>(admin.db(), ())
                .await
                .unwrap()
                .run_id;
            until("the run is completed", async || {
                let run = admin.jobs().show(id).await.unwrap().unwrap().run;
                run.status == RunStatus::Completed
            })
            .await;
        }
        running.stop().await;
    });
}
