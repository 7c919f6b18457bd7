//! What the command line shows of jobs, and what operators do with it.

use std::time::Duration;

use crate::support::TestBed;
use clap::Parser;
use runtime_sea::cli::{CliError, JobsCommand};
use runtime_sea::{
    Collision, Event, EventRoute, JobContext, JobError, JobHandler, JobPolicy, JobResult, Misfire,
    RawRun, Retry, RunId, RunStatus, Schedule, StartOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

crate::on_each_database! {
    stats_count_what_waits_runs_and_has_ended,
    r38_runs_that_no_worker_hosts_are_visible,
    runs_are_cancelled_retried_replayed_and_moved_from_the_command_line,
    pools_are_paused_limited_and_resumed_from_the_command_line,
    schedules_are_listed_paused_and_resumed_from_the_command_line,
    what_is_over_is_cleared_away_from_the_command_line,
    the_timeline_shows_waits,
    the_timeline_shows_attempts,
}

#[derive(Parser)]
struct App {
    #[command(flatten)]
    jobs: JobsCommand,
}

async fn app(bed: &TestBed, arguments: &[&str]) -> Result<String, CliError> {
    let arguments = std::iter::once("jobs").chain(arguments.iter().copied());
    let app = App::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
    app.jobs.run(&bed.runtime).await
}

async fn as_json(bed: &TestBed, arguments: &[&str]) -> Value {
    let mut arguments = arguments.to_vec();
    arguments.push("--json");
    serde_json::from_str(&app(bed, &arguments).await.unwrap()).unwrap()
}

struct Mail;

impl JobHandler for Mail {
    const TYPE: &'static str = "mail";
    type Input = bool;
    type Output = ();

    fn policy() -> JobPolicy<bool> {
        JobPolicy::new().pool("mail").retry(Retry::none())
    }

    async fn run(&self, _ctx: &JobContext, good: bool) -> JobResult<()> {
        if good {
            return Ok(());
        }
        Err(JobError::retryable("no such address"))
    }
}

#[derive(Serialize, Deserialize)]
struct NightFell {}

impl Event for NightFell {
    const TYPE: &'static str = "night_fell";
    const ROUTE: EventRoute = EventRoute::inbound("clock");
}

struct Serial;

impl JobHandler for Serial {
    const TYPE: &'static str = "serial";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new()
            .pool("mail")
            .concurrency(Collision::Queue, |_| "one".to_owned())
    }

    async fn run(&self, ctx: &JobContext, _: u32) -> JobResult<()> {
        ctx.sleep("rest", Duration::from_secs(3600)).await?;
        Ok(())
    }
}

async fn start<J: JobHandler>(bed: &TestBed, input: J::Input, options: StartOptions) -> RunId {
    let jobs = bed.runtime.jobs();
    jobs.start_with::<J>(bed.runtime.db(), input, options)
        .await
        .unwrap()
        .run_id
}

async fn drain(bed: &TestBed) {
    let worker = bed.runtime.worker().job(Mail).job(Serial).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

fn later() -> StartOptions {
    StartOptions::new().delay(Duration::from_secs(3600))
}

async fn stats_count_what_waits_runs_and_has_ended(bed: TestBed) {
    for good in [true, true, false] {
        start::<Mail>(&bed, good, StartOptions::new()).await;
    }
    start::<Serial>(&bed, 1, StartOptions::new()).await;
    start::<Serial>(&bed, 2, StartOptions::new()).await;
    drain(&bed).await;
    bed.runtime.jobs().pause_pool("mail").await.unwrap();
    start::<Mail>(&bed, true, StartOptions::new()).await;
    start::<Mail>(&bed, true, later()).await;
    // Ended long ago.
    let old = start::<Mail>(&bed, true, later()).await;
    bed.runtime.jobs().cancel(old).await.unwrap();
    bed.sql("UPDATE job_run SET finished_at = '2020-01-01 00:00:00' WHERE status = 'canceled'")
        .await;
    let stats = as_json(&bed, &["stats"]).await;
    assert_eq!(stats["is_partial"], false);
    let mut jobs = stats["jobs"].as_array().unwrap().clone();
    assert!(jobs[0]["oldest_ready_seconds"].as_u64().unwrap() < 60);
    jobs[0]["oldest_ready_seconds"] = Value::Null;
    let zeros = json!({
        "pool": "mail", "is_hosted": true, "ready": 0, "oldest_ready_seconds": null, "scheduled": 0,
        "blocked": 0, "waiting": 0, "running": 0, "completed": 0, "failed": 0, "timed_out": 0, "canceled": 0,
    });
    let with = |counts: Value| {
        let mut stats = zeros.clone();
        for (name, value) in counts.as_object().unwrap() {
            stats[name] = value.clone();
        }
        stats
    };
    assert_eq!(
        jobs,
        [
            with(
                json!({ "job_type": "mail", "ready": 1, "scheduled": 1, "completed": 2, "failed": 1 })
            ),
            with(json!({ "job_type": "serial", "waiting": 1, "blocked": 1 })),
        ]
    );
    let text = app(&bed, &["stats"]).await.unwrap();
    assert!(
        text.starts_with("POOL  JOB     HOSTED  READY  OLDEST"),
        "{text}"
    );
    assert!(!text.contains("not hosted"), "{text}");
}

async fn r38_runs_that_no_worker_hosts_are_visible(bed: TestBed) {
    let run = RawRun::new("elsewhere", json!({})).allow_unknown("batch");
    let jobs = bed.runtime.jobs();
    jobs.start_raw(bed.runtime.db(), run).await.unwrap();
    drain(&bed).await;
    let stats = jobs.stats().await.unwrap();
    let unknown = &stats.jobs[0];
    assert_eq!((unknown.job_type.as_str(), unknown.ready), ("elsewhere", 1));
    assert!(!unknown.is_hosted);
    let text = app(&bed, &["stats"]).await.unwrap();
    assert!(text.contains("no live worker executes this job"), "{text}");
    let types = app(&bed, &["types"]).await.unwrap();
    let lines: Vec<_> = types.lines().collect();
    assert!(
        lines[0].starts_with("JOB     POOL  VERSION  HOSTED"),
        "{types}"
    );
    assert!(
        lines[1].starts_with("mail    mail  1        yes"),
        "{types}"
    );
    assert_eq!(lines.len(), 3);
}

async fn runs_are_cancelled_retried_replayed_and_moved_from_the_command_line(bed: TestBed) {
    let run = start::<Mail>(&bed, false, later()).await;
    let id = run.to_string();
    let moved = app(&bed, &["reschedule", &id, "2020-01-01T00:00:00Z"]).await;
    assert_eq!(
        moved.unwrap(),
        format!("run {id} may begin at 2020-01-01 00:00:00.000 UTC")
    );
    let refused = app(&bed, &["retry", &id]).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("run {id} is not over: it is pending")
    );
    drain(&bed).await;
    assert_eq!(bed.status(run).await, RunStatus::Failed);
    let again = app(&bed, &["retry", &id]).await.unwrap();
    assert_eq!(again, format!("run {id} waits for a worker again"));
    let cancelled = as_json(&bed, &["cancel", &id]).await;
    assert_eq!(cancelled["result"], format!("run {id} is cancelled"));
    app(&bed, &["replay", &id, "--from", "scratch"])
        .await
        .unwrap();
    drain(&bed).await;
    assert_eq!(bed.status(run).await, RunStatus::Failed);
    let refused = app(&bed, &["reschedule", &id, "2020-01-01T00:00:00Z"]).await;
    assert!(matches!(refused, Err(CliError::Refused(_))));
    let unknown = RunId(uuid::Uuid::now_v7()).to_string();
    let unknown = app(&bed, &["replay", &unknown, "--from", "last-step"]).await;
    assert!(matches!(unknown, Err(CliError::NotFound { .. })));
}

async fn pools_are_paused_limited_and_resumed_from_the_command_line(bed: TestBed) {
    drain(&bed).await;
    let text = app(&bed, &["pause", "mail"]).await.unwrap();
    assert_eq!(text, "pool mail: paused, limit none");
    let text = app(&bed, &["limit", "mail", "3"]).await.unwrap();
    assert_eq!(text, "pool mail: paused, limit 3");
    let text = app(&bed, &["resume", "mail"]).await.unwrap();
    assert_eq!(text, "pool mail: open, limit 3");
    let text = app(&bed, &["pause", "events_change"]).await.unwrap();
    assert_eq!(text, "pool events_change: paused, limit none");
    let text = app(&bed, &["pools"]).await.unwrap();
    assert_eq!(
        text,
        "POOL             STATE   LIMIT\n\
         events_change    paused  none\n\
         events_inbound   open    none\n\
         events_outbound  open    none\n\
         mail             open    3"
    );
    for arguments in [
        &["pause", "mial"][..],
        &["resume", "mial"],
        &["limit", "mial", "3"],
    ] {
        let unknown = app(&bed, arguments).await.unwrap_err();
        assert_eq!(unknown.to_string(), "there is no pool mial");
    }
    for lane in ["events_change", "events_audit", "events_mine"] {
        let refused = app(&bed, &["limit", lane, "3"]).await.unwrap_err();
        assert!(matches!(refused, CliError::Refused(_)), "{refused}");
        let refused = bed.runtime.jobs().limit_pool(lane, Some(3)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("has no limit"), "{refused}");
    }
    assert_eq!(as_json(&bed, &["pools"]).await.as_array().unwrap().len(), 4);
    let text = app(&bed, &["pause", "events_audit"]).await.unwrap();
    assert_eq!(text, "pool events_audit: paused, limit none");
    app(&bed, &["limit", "mail", "none"]).await.unwrap();
    assert_eq!(as_json(&bed, &["pools"]).await[4]["run_limit"], Value::Null);
}

async fn schedules_are_listed_paused_and_resumed_from_the_command_line(bed: TestBed) {
    let text = app(&bed, &["schedules"]).await.unwrap();
    assert_eq!(text, "no worker has registered a schedule");
    let nightly = Schedule::cron("0 3 1 1 *")
        .timezone("Europe/Berlin")
        .misfire(Misfire::Skip);
    let worker = bed.runtime.worker();
    let worker = worker.schedule_event(nightly.name("nightly"), |_| NightFell {});
    worker.build().unwrap().drain_until_idle().await.unwrap();
    let record = bed.runtime.jobs().schedules().await.unwrap().remove(0);
    let next = record.next_slot_at.unwrap().format("%Y-%m-%d 02:00:00");
    let text = app(&bed, &["schedules"]).await.unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("SCHEDULE                  MAKES             CRON       TIME ZONE"),
        "{text}"
    );
    assert!(
        lines[1].starts_with(&format!(
            "event/night_fell/nightly  event night_fell  0 3 1 1 *  Europe/Berlin  skip    on     \
             {next}  none             "
        )),
        "{text}"
    );
    let name = "event/night_fell/nightly";
    let text = app(&bed, &["schedules", "pause", name]).await.unwrap();
    assert_eq!(text, format!("schedule {name}: paused, next slot {next}"));
    assert_eq!(as_json(&bed, &["schedules"]).await[0]["paused"], true);
    let resumed = as_json(&bed, &["schedules", "resume", name]).await;
    assert_eq!(
        (&resumed["name"], &resumed["paused"]),
        (&json!(name), &json!(false))
    );
    let unknown = app(&bed, &["schedules", "pause", "job/unknown"]).await;
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "there is no schedule job/unknown"
    );
}

async fn what_is_over_is_cleared_away_from_the_command_line(bed: TestBed) {
    start::<Mail>(&bed, true, StartOptions::new()).await;
    start::<Mail>(&bed, false, StartOptions::new()).await;
    drain(&bed).await;
    let text = app(&bed, &["prune"]).await.unwrap();
    assert_eq!(text, "cleared away: 0 runs, 0 events");
    let text = app(&bed, &["prune", "--failed", "0s"]).await.unwrap();
    assert_eq!(text, "cleared away: 1 runs, 0 events");
    let pruned = as_json(&bed, &["prune", "--completed", "0d"]).await;
    assert_eq!(pruned, json!({ "runs": 1, "events": 0 }));
}

async fn the_timeline_shows_waits(bed: TestBed) {
    let run = start::<Serial>(&bed, 1, StartOptions::new()).await;
    drain(&bed).await;
    let text = app(&bed, &["show", &run.to_string()]).await.unwrap();
    assert!(text.contains("`serial`: waiting"), "{text}");
    let step = &bed.run(run).await.steps[0];
    let until = step.wake_at.unwrap().format("%Y-%m-%d %H:%M:%S%.3f UTC");
    assert!(text.contains(&format!("  waits for {until}")), "{text}");
    bed.runtime.jobs().cancel(run).await.unwrap();
    let listed = app(&bed, &["list", "--pool", "mail", "--status", "canceled"]).await;
    assert!(listed.unwrap().contains(&run.to_string()));
    let listed = app(&bed, &["list", "--about", "account:1"]).await.unwrap();
    assert_eq!(listed, "no runs");
}

async fn the_timeline_shows_attempts(bed: TestBed) {
    let run = start::<Mail>(&bed, false, StartOptions::new()).await;
    drain(&bed).await;
    bed.runtime.jobs().retry(run).await.unwrap();
    let text = app(&bed, &["show", &run.to_string()]).await.unwrap();
    let timeline: Vec<_> = text
        .lines()
        .skip_while(|line| !line.contains("timeline"))
        .skip(1)
        .map(|line| line.trim_start().split_once("  ").unwrap().1)
        .collect();
    let once = [
        "started",
        "attempt 1 begins",
        "attempt 1 failed: no such address",
    ];
    assert_eq!(timeline[..3], once, "{text}");
    drain(&bed).await;
    let text = app(&bed, &["show", &run.to_string()]).await.unwrap();
    assert_eq!(text.matches("attempt 1 begins").count(), 2, "{text}");
    assert_eq!(text.matches(once[2]).count(), 2, "{text}");
    assert!(text.ends_with("  failed"), "{text}");
}
