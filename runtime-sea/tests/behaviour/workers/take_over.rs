//! Taking over what the dead have left, and nothing else.

use crate::support::dead::until_the_dead_are_looked_for;
use crate::support::measured::measured;
use crate::support::{Running, TestBed, until};
use runtime_sea::jobs::entities::job_run;
use runtime_sea::{Collision, JobContext, JobHandler, JobPolicy, JobResult, RunFilter, RunStatus};
use sea_orm::{EntityTrait, Set};

use super::{KEPT, LEASE, Wait, builder, start, watchful, worker};

crate::on_each_database! {
    r01_a_dead_workers_run_is_taken_over_and_its_history_shows_the_lost_attempt,
    r11_a_run_that_outlives_too_many_workers_is_given_up,
    r12_a_worker_whose_row_is_gone_is_dead_even_if_its_name_lives_on,
    a_live_workers_run_is_never_taken_over_however_long_it_runs,
    r40_a_run_whose_key_others_wait_for_is_taken_over_and_keeps_it,
    r62_two_workers_take_over_each_lost_run_once,
    r64_a_run_that_cannot_be_taken_over_does_not_keep_others_from_it,
    r13_a_claim_whose_answer_was_lost_does_not_keep_its_run,
}

/// Makes the database believe that a run is held by a worker that has died.
async fn as_if_its_worker_had_died(bed: &TestBed) {
    bed.sql(
        "UPDATE job_run SET status = 'running', attempt = attempt + 1, fence = fence + 1, \
         worker_id = id, claimed_at = created_at, started_at = created_at",
    )
    .await;
}

async fn r01_a_dead_workers_run_is_taken_over_and_its_history_shows_the_lost_attempt(bed: TestBed) {
    let id = start(&bed).await;
    as_if_its_worker_had_died(&bed).await;
    let wait = Wait::new();
    wait.go.add_permits(1);
    let running = Running::start(watchful(&bed.runtime, &wait));
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
    let run = bed.run(id).await.run;
    assert_eq!((run.attempt, run.recoveries), (2, 1));
    assert_eq!(run.errors.len(), 1);
    assert_eq!(
        (run.errors[0].attempt, run.errors[0].outcome.as_str()),
        (1, "lost")
    );
}

async fn r62_two_workers_take_over_each_lost_run_once(bed: TestBed) {
    const RUNS: usize = 1000;

    let jobs = bed.runtime.jobs();
    let inputs = std::iter::repeat_n((), RUNS);
    let started = jobs.start_many::<Wait>(bed.runtime.db(), inputs).await;
    assert_eq!(started.unwrap().len(), RUNS);
    as_if_its_worker_had_died(&bed).await;
    let wait = Wait::new();
    wait.go.add_permits(RUNS);
    let other = bed.other_process().await;
    let running = [&bed.runtime, &other].map(|runtime| {
        let builder = builder(runtime, &wait).concurrency(64).lease(LEASE);
        Running::start(builder.build().unwrap())
    });
    let count = async |condition: &str| {
        let sql = format!("SELECT COUNT(*) FROM job_run WHERE {condition}");
        bed.count(&sql).await
    };
    until("all are completed", async || {
        count("status = 'completed'").await == 1000
    })
    .await;
    for running in running {
        running.stop().await;
    }
    assert_eq!(count("recoveries = 1 AND attempt = 2").await, 1000);
}

async fn r11_a_run_that_outlives_too_many_workers_is_given_up(bed: TestBed) {
    let given_up = "runtime_sea_job_take_overs_total{outcome=given_up}";
    let before = measured(given_up);
    let id = start(&bed).await;
    bed.sql("UPDATE job_run SET recoveries = 3, attempt = 3")
        .await;
    as_if_its_worker_had_died(&bed).await;
    let wait = Wait::new();
    let running = Running::start(watchful(&bed.runtime, &wait));
    bed.until_status(id, RunStatus::Failed).await;
    running.stop().await;
    let run = bed.run(id).await.run;
    assert_eq!(run.recoveries, 4);
    assert_eq!(wait.began(), 0);
    let error = run.error.unwrap();
    assert!(error.contains("4 workers died"), "{error}");
    assert!(measured(given_up) > before);
}

async fn r12_a_worker_whose_row_is_gone_is_dead_even_if_its_name_lives_on(bed: TestBed) {
    let id = start(&bed).await;
    as_if_its_worker_had_died(&bed).await;
    let wait = Wait::new();
    wait.go.add_permits(1);
    // Two workers of one name: neither is taken for the dead one, nor for the other.
    let same_name = |runtime: &runtime_sea::Runtime| {
        runtime
            .worker()
            .job(wait.clone())
            .lease(LEASE)
            .name("pod-1")
            .build()
            .unwrap()
    };
    let first = Running::start(same_name(&bed.runtime));
    let second = Running::start(same_name(&bed.other_process().await));
    bed.until_status(id, RunStatus::Completed).await;
    assert_eq!(bed.run(id).await.run.recoveries, 1);
    first.stop().await;
    second.stop().await;
}

async fn a_live_workers_run_is_never_taken_over_however_long_it_runs(bed: TestBed) {
    let wait = Wait::new();
    let id = start(&bed).await;
    let worker =
        |runtime: &runtime_sea::Runtime| builder(runtime, &wait).lease(KEPT).build().unwrap();
    let busy = Running::start(worker(&bed.runtime));
    until("it runs", async || wait.began() == 1).await;
    // As if it had run for a year.
    bed.sql("UPDATE job_run SET claimed_at = '2025-01-01 00:00:00'")
        .await;
    let rival = Running::start(worker(&bed.other_process().await));
    until_the_dead_are_looked_for(&bed.runtime).await;
    assert_eq!(wait.began(), 1);
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.attempt, run.recoveries), (1, 0));
    busy.stop().await;
    rival.stop().await;
}

// The statement has committed, then the connection broke: the run is a live worker's that knows nothing of it.
async fn r13_a_claim_whose_answer_was_lost_does_not_keep_its_run(bed: TestBed) {
    let wait = Wait::new();
    let running = Running::start(worker(&bed.runtime, &wait));
    let known = start(&bed).await;
    bed.until_status(known, RunStatus::Running).await;
    bed.runtime.jobs().pause_pool("batch").await.unwrap();
    let lost = start(&bed).await;
    bed.sql(
        "UPDATE job_run SET status = 'running', attempt = 1, fence = 1, claimed_at = created_at, \
         worker_id = (SELECT id FROM job_worker) WHERE status = 'pending'",
    )
    .await;
    bed.runtime.jobs().resume_pool("batch").await.unwrap();
    until("the lost run has begun", async || wait.began() == 2).await;
    wait.go.add_permits(2);
    bed.until_status(lost, RunStatus::Completed).await;
    bed.until_status(known, RunStatus::Completed).await;
    assert_eq!(bed.run(lost).await.run.attempt, 1);
    assert_eq!(bed.run(known).await.run.attempt, 1);
    running.stop().await;
}

/// Waits like [`Wait`], one after the other.
struct Serial(Wait);

impl JobHandler for Serial {
    const TYPE: &'static str = "serial_wait";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().concurrency(Collision::Queue, |_| "one".to_owned())
    }

    async fn run(&self, ctx: &JobContext, _: u32) -> JobResult<()> {
        self.0.run(ctx, ()).await
    }
}

async fn r40_a_run_whose_key_others_wait_for_is_taken_over_and_keeps_it(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let wait = Wait::new();
    let ids = jobs
        .start_many::<Serial>(bed.runtime.db(), 0..3)
        .await
        .unwrap();
    let first = ids[0].run_id;
    let other = start(&bed).await;
    let doomed = Running::start(
        bed.runtime
            .worker()
            .job(Serial(wait.clone()))
            .job(wait.clone())
            .build()
            .unwrap(),
    );
    until("both run and the others wait", async || {
        let blocked = jobs.list(RunFilter::new()).await.unwrap();
        let blocked = blocked.iter().filter(|run| run.readiness == "blocked");
        wait.began() == 2 && blocked.count() == 2
    })
    .await;
    doomed.task.abort();
    // In the name of a worker that nobody has heard of.
    bed.sql("UPDATE job_run SET worker_id = id WHERE status = 'running'")
        .await;
    let heir = Running::start(
        bed.runtime
            .worker()
            .job(Serial(wait.clone()))
            .job(wait.clone())
            .lease(LEASE)
            .build()
            .unwrap(),
    );
    until("both run again", async || wait.began() == 4).await;
    let run = bed.run(first).await.run;
    assert_eq!((run.status, run.recoveries), (RunStatus::Running, 1));
    wait.go.add_permits(10);
    for id in ids.iter().map(|it| it.run_id).chain([other]) {
        bed.until_status(id, RunStatus::Completed).await;
    }
    heir.stop().await;
}

async fn r64_a_run_that_cannot_be_taken_over_does_not_keep_others_from_it(bed: TestBed) {
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(start(&bed).await);
    }
    bed.sql("UPDATE job_run SET status = 'running', worker_id = id, attempt = 1, fence = 1")
        .await;
    // What PostgreSQL appends no error to.
    let update = job_run::ActiveModel {
        id: Set(ids[0].0),
        errors: Set(serde_json::json!({ "edited": "by hand" })),
        ..Default::default()
    };
    job_run::Entity::update(update)
        .exec(bed.runtime.db())
        .await
        .unwrap();
    let wait = Wait::new();
    wait.go.add_permits(10);
    let running = Running::start(watchful(&bed.runtime, &wait));
    for id in &ids[1..] {
        bed.until_status(*id, RunStatus::Completed).await;
    }
    running.stop().await;
}
