//! A worker process dies, or is stopped, before and after every commit in turn. Another one finishes the work, and the
//! oracle finds no promise broken.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, future, stream};
use runtime_sea::EventEnvelope;
use runtime_sea::failpoint::COMMITS;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::customer::Customer;
use crate::databases::{Databases, on_tokio};
use crate::oracle::{self, Verdict};
use crate::process::{LEASE, Process};
use crate::support::TestBed;
use crate::witness;
use crate::workload::{Moved, host};

mod sqlite {
    use crate::databases::Databases;

    #[test]
    fn a_process_that_dies_before_or_after_any_commit_breaks_no_promise() {
        super::at_every_commit(Databases::sqlite(), "abort");
    }

    // A stopped process keeps SQLite's write lock, which is the operating system's: there is no test for it.
}

mod postgres {
    use crate::databases::Databases;

    #[test]
    fn a_process_that_dies_before_or_after_any_commit_breaks_no_promise() {
        super::at_every_commit(Databases::postgres(), "abort");
    }

    #[test]
    fn r03_a_process_that_is_stopped_before_or_after_any_commit_breaks_no_promise() {
        super::at_every_commit(Databases::postgres(), "stop");
    }
}

mod mysql {
    use crate::databases::Databases;

    #[test]
    fn a_process_that_dies_before_or_after_any_commit_breaks_no_promise() {
        super::at_every_commit(Databases::mysql(), "abort");
    }

    #[test]
    fn r03_a_process_that_is_stopped_before_or_after_any_commit_breaks_no_promise() {
        super::at_every_commit(Databases::mysql(), "stop");
    }
}

/// How many failpoints are tried at a time, whatever the database: mostly they wait for a lease to run out.
static AT_A_TIME: Semaphore = Semaphore::const_new(8);

/// How long the work of one round may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// `SIGABRT`.
const ABORTED: Option<i32> = Some(6);

fn at_every_commit(databases: Option<Databases>, action: &str) {
    let Some(databases) = databases else { return };
    let databases = &databases;
    let failpoints = COMMITS
        .into_iter()
        .flat_map(|commit| ["before", "after"].map(|when| format!("{action} {when} {commit} 1")));
    // One of them alone: `FAILPOINT='before jobs.step'`.
    let only = std::env::var("FAILPOINT").unwrap_or_default();
    let all = stream::iter(failpoints)
        .filter(|it| future::ready(it.contains(&only)))
        .map(|failpoint| async move {
            let _permit = AT_A_TIME.acquire().await.unwrap();
            let (bed, _database) = databases.fresh().await;
            let result = reach(&bed, &failpoint).await;
            result
                .map_err(|error| format!("{failpoint}: {error}"))
                .err()
        })
        .buffer_unordered(COMMITS.len())
        .filter_map(future::ready)
        .collect::<Vec<_>>();
    let failed = on_tokio(all);
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

async fn reach(bed: &TestBed, failpoint: &str) -> Result<(), String> {
    witness::create_tables(bed.runtime.db()).await;
    let logs = tempfile::tempdir().unwrap();
    if failpoint.contains("events.retire") {
        // Nobody hosts it when the first events come.
        let gone = bed.runtime.worker();
        let gone = gone.subscribe("gone", async |_: EventEnvelope<Moved>| Ok(()));
        gone.build().unwrap().drain_once().await.unwrap();
    }
    // There has to be something to take over.
    let first = match failpoint {
        it if it.contains("events.take_over") => Some("abort before events.settle 1"),
        it if it.contains("jobs.take_over") => Some("abort before jobs.step 1"),
        _ => None,
    };
    if let Some(first) = first {
        die(bed, logs.path(), "first", first).await?;
    }
    if failpoint.starts_with("abort") {
        die(bed, logs.path(), "victim", failpoint).await?;
        return finish(bed, failpoint).await;
    }
    let mut victim = Process::start(bed, "victim", logs.path(), 1, Some(failpoint));
    provoke(bed, &victim, failpoint).await;
    if !within(PATIENCE, async || victim.is_stopped()).await {
        return Err(format!("never reached\n{}", victim.last_words()));
    }
    finish(bed, failpoint).await?;
    victim.signal("CONT");
    // It notices that its time has passed, and comes back as a worker like any other.
    let stops = failpoint.contains("events.hand_back");
    let back = stops || within(PATIENCE, async || is_alive(bed, "victim").await).await;
    if !back {
        return Err(format!("did not come back\n{}", victim.last_words()));
    }
    victim.terminate().await;
    judge(&oracle::check(bed.runtime.db()).await, failpoint)
}

async fn die(bed: &TestBed, logs: &Path, name: &str, failpoint: &str) -> Result<(), String> {
    let mut victim = Process::start(bed, name, logs, 1, Some(failpoint));
    provoke(bed, &victim, failpoint).await;
    let status = victim.ends_within(PATIENCE).await;
    match status {
        Some(status) if status.signal() == ABORTED => Ok(()),
        Some(status) => Err(format!("{status}\n{}", victim.last_words())),
        None => Err(format!("never reached\n{}", victim.last_words())),
    }
}

/// Does what the work alone does not lead to.
async fn provoke(bed: &TestBed, victim: &Process, failpoint: &str) {
    if failpoint.contains("events.hand_back") {
        within(PATIENCE, async || is_alive(bed, "victim").await).await;
        victim.signal("TERM");
    } else if failpoint.contains("events.retire") {
        let waiting = "SELECT COUNT(*) FROM event_delivery WHERE subscription = 'gone'";
        within(PATIENCE, async || bed.count(waiting).await > 0).await;
        bed.sql("UPDATE event_subscription SET retired_at = seen_at WHERE name = 'gone'")
            .await;
    }
}

/// Another worker does what is left.
async fn finish(bed: &TestBed, failpoint: &str) -> Result<(), String> {
    let survivor = host(&bed.runtime, "survivor").lease(LEASE).build().unwrap();
    let shutdown = CancellationToken::new();
    let working = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { survivor.run(shutdown).await }
    });
    let work = async {
        Customer::new(bed.runtime.clone()).brief().ask(0).await;
        within(PATIENCE, async || {
            oracle::is_settled(bed.runtime.db()).await.unwrap_or(false)
        })
        .await
    };
    let finished = timeout(PATIENCE, work).await.unwrap_or(false);
    shutdown.cancel();
    working.await.unwrap().unwrap();
    let verdict = oracle::check(bed.runtime.db()).await;
    if !finished {
        return Err(format!("work is left over:\n{verdict}"));
    }
    judge(&verdict, failpoint)
}

fn judge(verdict: &Verdict, failpoint: &str) -> Result<(), String> {
    tracing::info!(failpoint, verdict.effects, verdict.stale, "judged");
    // The dead do nothing too late; a machine that is too busy for heartbeats may let the living do so. Who was stopped
    // may go on with what it had in hand.
    let most = verdict.effects
        / if failpoint.starts_with("abort") {
            10
        } else {
            2
        };
    if verdict.broken.is_empty() && verdict.effects > 0 && verdict.stale <= most {
        return Ok(());
    }
    Err(verdict.to_string())
}

async fn is_alive(bed: &TestBed, process: &str) -> bool {
    use runtime_sea::jobs::entities::job_worker;
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::ExprTrait};

    let db = bed.runtime.db();
    let worker = job_worker::Entity::find()
        .filter(job_worker::Column::Name.eq(process))
        .filter(sea_orm::sea_query::Expr::col(job_worker::Column::ExpiresAt).gt(witness::now(db)))
        .one(db)
        .await;
    worker.is_ok_and(|it| it.is_some())
}

/// Whether the condition came true in time.
async fn within(time: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let wait = async {
        while !condition().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(time, wait).await.is_ok()
}
