//! A clock that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::dead::until_the_dead_are_looked_for;
use crate::support::{Running, TestBed, until};
use chrono::{TimeDelta, Utc};
use runtime_sea::jobs::entities::job_worker;
use runtime_sea::{
    JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunId, RunStatus, StartOptions,
    StepOptions,
};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, Set};

crate::on_each_database! {
    a_day_is_over_when_the_clock_says_so,
    a_worker_that_waits_wakes_up_when_the_clock_is_moved,
    nothing_is_due_before_its_time_when_the_clock_is_turned_back,
    a_handlers_time_is_up_when_the_clock_says_so,
    a_steps_time_is_up_when_the_clock_says_so,
    a_deduplication_window_closes_by_the_clock,
    no_worker_dies_of_a_moved_clock,
    r56_clocks_that_differ_by_minutes_change_nothing,
    r57_when_the_clock_jumps_ahead_nobody_takes_over_from_the_living,
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Fails the first time, then succeeds; or never returns.
#[derive(Clone, Default)]
struct Errand {
    begun: Arc<AtomicU32>,
    hangs: bool,
}

impl JobHandler for Errand {
    const TYPE: &'static str = "errand";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new()
            .retry(Retry::fixed(2, HOUR))
            .timeout(DAY)
            .dedupe(HOUR, Clone::clone)
    }

    async fn run(&self, _ctx: &JobContext, _input: String) -> JobResult<()> {
        let before = self.begun.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if before == 0 {
            return Err(JobError::retryable("not yet"));
        }
        Ok(())
    }
}

async fn start(bed: &TestBed, key: &str, options: StartOptions) -> RunId {
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let started = jobs.start_with::<Errand>(db, key.to_owned(), options);
    started.await.unwrap().run_id
}

async fn a_day_is_over_when_the_clock_says_so(bed: TestBed) {
    let errand = Errand::default();
    let worker = bed.runtime.worker().job(errand.clone()).build().unwrap();
    let begin = bed.runtime.now().await.unwrap();
    let id = start(&bed, "a", StartOptions::new().delay(DAY)).await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!(errand.begun.load(Ordering::SeqCst), 0);
    bed.clock.advance(DAY);
    worker.drain_until_idle().await.unwrap();
    // The wait between two attempts is twice as long as an hour can be spread.
    assert_eq!(bed.status(id).await, RunStatus::Pending);
    bed.clock.advance(HOUR * 2);
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Completed, 2));
    let took = run.finished_at.unwrap() - begin;
    assert!(took >= TimeDelta::hours(26), "{took}");
}

async fn a_worker_that_waits_wakes_up_when_the_clock_is_moved(bed: TestBed) {
    let errand = Errand::default();
    let running = Running::start(bed.runtime.worker().job(errand.clone()).build().unwrap());
    let id = start(&bed, "a", StartOptions::new().delay(DAY)).await;
    bed.clock.advance(DAY);
    until("the first attempt", async || {
        errand.begun.load(Ordering::SeqCst) == 1
    })
    .await;
    until("it waits for the second", async || {
        bed.run(id).await.run.errors.len() == 1
    })
    .await;
    bed.clock.advance(HOUR * 2);
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

async fn nothing_is_due_before_its_time_when_the_clock_is_turned_back(bed: TestBed) {
    let errand = Errand::default();
    let worker = bed.runtime.worker().job(errand.clone()).build().unwrap();
    start(&bed, "a", StartOptions::new().delay(HOUR)).await;
    bed.clock.turn_back(DAY);
    bed.clock.advance(HOUR * 2);
    worker.drain_until_idle().await.unwrap();
    assert_eq!(errand.begun.load(Ordering::SeqCst), 0);
}

async fn a_handlers_time_is_up_when_the_clock_says_so(bed: TestBed) {
    let errand = Errand {
        hangs: true,
        ..Errand::default()
    };
    let running = Running::start(bed.runtime.worker().job(errand.clone()).build().unwrap());
    // Not from the database's own clock on.
    bed.clock.advance(DAY * 2);
    let earlier = start(&bed, "a", StartOptions::new()).await;
    until("it runs", async || errand.begun.load(Ordering::SeqCst) == 1).await;
    bed.clock.advance(HOUR * 2);
    // A claim that was under way when the clock was moved takes this one, and not the next.
    start(&bed, "between", StartOptions::new()).await;
    until("two run", async || errand.begun.load(Ordering::SeqCst) == 2).await;
    let id = start(&bed, "b", StartOptions::new()).await;
    until("all run", async || errand.begun.load(Ordering::SeqCst) == 3).await;
    bed.clock.advance(DAY - HOUR);
    bed.until_status(earlier, RunStatus::TimedOut).await;
    assert_eq!(bed.status(id).await, RunStatus::Running);
    bed.clock.advance(HOUR);
    bed.until_status(id, RunStatus::TimedOut).await;
    running.stop().await;
}

/// Never comes to the end of its step, which has a day.
struct Stuck(Arc<AtomicU32>);

impl JobHandler for Stuck {
    const TYPE: &'static str = "stuck";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.step_with("wait", StepOptions::new().timeout(DAY), || async {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<Result<(), JobError>>().await
        })
        .await
    }
}

async fn a_steps_time_is_up_when_the_clock_says_so(bed: TestBed) {
    let begun = Arc::default();
    let worker = bed.runtime.worker().job(Stuck(Arc::clone(&begun)));
    let running = Running::start(worker.build().unwrap());
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let id = jobs.start::<Stuck>(db, ()).await.unwrap().run_id;
    until("it runs", async || begun.load(Ordering::SeqCst) == 1).await;
    bed.clock.advance(DAY);
    bed.until_status(id, RunStatus::Failed).await;
    let error = bed.run(id).await.run.error.unwrap();
    assert_eq!(error, "step `wait`: it took longer than 86400s");
    running.stop().await;
}

async fn a_deduplication_window_closes_by_the_clock(bed: TestBed) {
    let first = start(&bed, "a", StartOptions::new()).await;
    assert_eq!(start(&bed, "a", StartOptions::new()).await, first);
    bed.clock.advance(HOUR);
    assert_ne!(start(&bed, "a", StartOptions::new()).await, first);
}

async fn no_worker_dies_of_a_moved_clock(bed: TestBed) {
    let errand = Errand {
        hangs: true,
        ..Errand::default()
    };
    let lease = Duration::from_secs(4);
    let worker = || {
        let worker = bed.runtime.worker().job(errand.clone()).lease(lease);
        worker.shutdown_grace(Duration::ZERO).build().unwrap()
    };
    let (one, other) = (Running::start(worker()), Running::start(worker()));
    let id = start(&bed, "a", StartOptions::new()).await;
    until("it runs", async || errand.begun.load(Ordering::SeqCst) == 1).await;
    bed.clock.advance(HOUR);
    until_the_dead_are_looked_for(&bed.runtime).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Running, 1));
    assert_eq!(errand.begun.load(Ordering::SeqCst), 1);
    one.stop().await;
    other.stop().await;
}

// The database's clock ahead of this process's, then behind it.
async fn r56_clocks_that_differ_by_minutes_change_nothing(bed: TestBed) {
    const MINUTE: Duration = Duration::from_secs(60);
    let errand = Errand::default();
    errand.begun.store(1, Ordering::SeqCst);
    let worker = || bed.runtime.worker().job(errand.clone()).build().unwrap();
    for ahead in [true, false] {
        if ahead {
            bed.clock.advance(MINUTE * 10);
        } else {
            bed.clock.turn_back(MINUTE * 20);
        }
        let running = Running::start(worker());
        let key = |name: &str| format!("{name} {ahead}");
        let now = start(&bed, &key("now"), StartOptions::new()).await;
        bed.until_status(now, RunStatus::Completed).await;
        let options = || StartOptions::new().delay(MINUTE * 5);
        let later = start(&bed, &key("later"), options()).await;
        running.stop().await;
        worker().drain_until_idle().await.unwrap();
        assert_eq!(bed.status(later).await, RunStatus::Pending);
        // The window is open by the same clock.
        assert_eq!(start(&bed, &key("later"), options()).await, later);
        bed.clock.advance(MINUTE * 5);
        worker().drain_until_idle().await.unwrap();
        assert_eq!(bed.status(later).await, RunStatus::Completed);
        bed.clock.turn_back(MINUTE * 5);
    }
}

async fn r57_when_the_clock_jumps_ahead_nobody_takes_over_from_the_living(bed: TestBed) {
    let errand = Errand {
        hangs: true,
        ..Errand::default()
    };
    let worker = || {
        let worker = bed.runtime.worker().job(errand.clone());
        let worker = worker.lease(Duration::from_secs(4));
        worker.shutdown_grace(Duration::ZERO).build().unwrap()
    };
    let (one, other) = (Running::start(worker()), Running::start(worker()));
    let leases = async || {
        let all = job_worker::Entity::find().all(bed.runtime.db()).await;
        all.unwrap()
    };
    until("both are there", async || leases().await.len() == 2).await;
    let id = start(&bed, "a", StartOptions::new()).await;
    until("it runs", async || errand.begun.load(Ordering::SeqCst) == 1).await;
    for jump in 1..=2 {
        // Each has seen the other's lease hold by then.
        until_the_dead_are_looked_for(&bed.runtime).await;
        // Seen from the leases, it is the clock that moves.
        for lease in leases().await {
            let before = TimeDelta::minutes(10);
            let (heartbeat_at, expires_at) = (lease.heartbeat_at, lease.expires_at);
            let mut lease = lease.into_active_model();
            lease.heartbeat_at = Set(heartbeat_at - before);
            lease.expires_at = Set(expires_at - before);
            lease.update(bed.runtime.db()).await.unwrap();
        }
        until("the leases hold again", async || {
            leases().await.iter().all(|it| it.expires_at > Utc::now())
        })
        .await;
        // Its worker cannot know how long it has slept: it hands it back.
        until("it runs again", async || {
            errand.begun.load(Ordering::SeqCst) > jump
        })
        .await;
    }
    let run = bed.run(id).await.run;
    assert_eq!((run.recoveries, run.errors), (0, Vec::new()));
    one.stop().await;
    other.stop().await;
}
