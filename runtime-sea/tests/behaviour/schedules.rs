//! What is started and published at regular times.

use std::time::Duration;

use crate::support::{Running, TestBed, until};
use chrono::{DateTime, TimeDelta, Utc};
use runtime_sea::jobs::entities::{job_schedule, job_worker};
use runtime_sea::{
    Event, EventFilter, EventRegistry, EventRoute, JobContext, JobHandler, JobPolicy, JobResult,
    Misfire, RunFilter, RunRecord, RunStatus, Runtime, Schedule, ScheduleRecord, WorkerBuilder,
};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, Set};
use serde::{Deserialize, Serialize};

crate::on_each_database! {
    r52_a_slot_starts_one_run_however_many_workers_there_are,
    r52_a_slot_publishes_one_event_however_many_workers_there_are,
    r52_slots_are_made_without_a_tenant_where_tenants_are_enforced,
    r53_a_slot_that_came_while_nobody_was_there_is_made_later,
    r54_missed_slots_are_made_up_for_as_the_schedule_says,
    r54_missed_events_are_made_up_for_as_the_schedule_says,
    r57_a_clock_that_goes_back_makes_no_slot_twice,
    a_changed_expression_goes_on_from_now,
    a_paused_schedule_makes_nothing_and_makes_up_for_nothing,
    a_worker_with_another_expression_leaves_the_schedule_alone,
    a_schedule_goes_back_to_the_workers_that_are_left,
    a_running_worker_makes_slots_as_they_come,
}

pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

#[derive(Clone)]
struct Report;

impl JobHandler for Report {
    const TYPE: &'static str = "report";
    type Input = DateTime<Utc>;
    type Output = ();

    fn policy() -> JobPolicy<Self::Input> {
        JobPolicy::<Self::Input>::new()
            .schedule(Schedule::cron("0 * * * *"), |slot| slot.at)
            .schedule(
                Schedule::cron("0 * * * *")
                    .name("all")
                    .misfire(Misfire::All),
                |slot| slot.at,
            )
            .schedule(
                Schedule::cron("0 * * * *")
                    .name("skip")
                    .misfire(Misfire::Skip),
                |slot| slot.at,
            )
    }

    async fn run(&self, _ctx: &JobContext, _slot: DateTime<Utc>) -> JobResult<()> {
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HourBegan {
    pub(crate) hour: DateTime<Utc>,
}

impl Event for HourBegan {
    const TYPE: &'static str = "hour_began";
    const ROUTE: EventRoute = EventRoute::inbound("clock");
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ContactChanged {}

impl Event for ContactChanged {
    const TYPE: &'static str = "contact_changed";
    const ROUTE: EventRoute = EventRoute::change("contact");
}

pub(crate) fn reporting(runtime: &Runtime) -> WorkerBuilder {
    runtime.worker().job(Report)
}

fn publishing(runtime: &Runtime, cron: &str) -> WorkerBuilder {
    let registry = EventRegistry::new()
        .schedule::<HourBegan>(Schedule::cron(cron), |slot| HourBegan { hour: slot.at });
    runtime.worker().registry(registry)
}

pub(crate) async fn work(worker: WorkerBuilder) {
    worker.build().unwrap().drain_until_idle().await.unwrap();
}

/// Puts the clock at a quarter past an hour.
pub(crate) async fn at_a_quarter_past(bed: &TestBed) -> DateTime<Utc> {
    let now = bed.runtime.now().await.unwrap();
    let past = u64::try_from(now.timestamp().rem_euclid(3600)).unwrap();
    bed.clock
        .advance(HOUR - Duration::from_secs(past) + Duration::from_secs(15 * 60));
    bed.runtime.now().await.unwrap()
}

/// The runs that a schedule has started, by slot.
pub(crate) async fn made(bed: &TestBed, name: &str) -> Vec<RunRecord> {
    let all = bed.runtime.jobs().list(RunFilter::new()).await.unwrap();
    let mut runs: Vec<_> = all
        .into_iter()
        .filter(|run| run.schedule.as_deref() == Some(name))
        .collect();
    runs.sort_by_key(|run| run.slot);
    runs
}

pub(crate) async fn events(bed: &TestBed) -> usize {
    let all = bed.runtime.events().list(EventFilter::new()).await;
    all.unwrap().len()
}

async fn r52_a_slot_starts_one_run_however_many_workers_there_are(bed: TestBed) {
    at_a_quarter_past(&bed).await;
    work(reporting(&bed.runtime)).await;
    bed.clock.advance(HOUR);
    let others = [bed.other_process().await, bed.other_process().await];
    tokio::join!(
        work(reporting(&bed.runtime)),
        work(reporting(&others[0])),
        work(reporting(&others[1])),
    );
    let runs = made(&bed, "job/report").await;
    assert_eq!(runs.len(), 1);
    let slot = runs[0].slot.unwrap();
    assert_eq!(slot.timestamp() % 3600, 0);
    let all = bed.runtime.jobs().schedules().await.unwrap();
    let record = all.iter().find(|it| it.name == "job/report").unwrap();
    assert_eq!(record.last_slot_at, Some(slot));
    assert_eq!(record.next_slot_at, Some(slot + TimeDelta::hours(1)));
}

async fn r52_a_slot_publishes_one_event_however_many_workers_there_are(bed: TestBed) {
    // Enough of them for the workers to be in each other's way.
    let publishing = |runtime: &Runtime| {
        (0..20).fold(runtime.worker(), |worker, n| {
            let schedule = Schedule::cron("0 * * * *").name(n.to_string());
            worker.schedule_event(schedule, |slot| HourBegan { hour: slot.at })
        })
    };
    at_a_quarter_past(&bed).await;
    work(publishing(&bed.runtime)).await;
    assert_eq!(events(&bed).await, 0);
    bed.clock.advance(HOUR);
    let others = [bed.other_process().await, bed.other_process().await];
    tokio::join!(
        work(publishing(&bed.runtime)),
        work(publishing(&others[0])),
        work(publishing(&others[1])),
    );
    assert_eq!(events(&bed).await, 20);
}

async fn r52_slots_are_made_without_a_tenant_where_tenants_are_enforced(bed: TestBed) {
    let runtime = Runtime::builder(bed.runtime.db().clone())
        .multi_tenant(true)
        .build();
    at_a_quarter_past(&bed).await;
    for advance in [Duration::ZERO, HOUR] {
        bed.clock.advance(advance);
        work(reporting(&runtime)).await;
        work(publishing(&runtime, "0 * * * *")).await;
    }
    let runs = made(&bed, "job/report").await;
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (runs[0].status, &runs[0].tenant_id),
        (RunStatus::Completed, &None)
    );
    let nobodys = runtime.events().for_no_tenant();
    let events = nobodys.list(EventFilter::new()).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, HourBegan::TYPE);
}

async fn r53_a_slot_that_came_while_nobody_was_there_is_made_later(bed: TestBed) {
    let begin = at_a_quarter_past(&bed).await;
    work(reporting(&bed.runtime)).await;
    bed.clock.advance(HOUR * 24);
    work(reporting(&bed.runtime)).await;
    let runs = made(&bed, "job/report").await;
    assert_eq!(runs.len(), 1);
    assert!(runs[0].slot.unwrap() > begin + TimeDelta::hours(23));
}

async fn r54_missed_slots_are_made_up_for_as_the_schedule_says(bed: TestBed) {
    let begin = at_a_quarter_past(&bed).await;
    work(reporting(&bed.runtime)).await;
    bed.clock.advance(HOUR * 3);
    work(reporting(&bed.runtime)).await;
    assert_eq!(made(&bed, "job/report").await.len(), 1);
    assert_eq!(made(&bed, "job/report/skip").await.len(), 0);
    let all = made(&bed, "job/report/all").await;
    let slots: Vec<_> = all.iter().map(|run| run.slot.unwrap()).collect();
    let first = begin - TimeDelta::seconds(begin.timestamp() % 3600) + TimeDelta::hours(1);
    let first = DateTime::from_timestamp(first.timestamp(), 0).unwrap();
    let hours = [0, 1, 2].map(|hours| first + TimeDelta::hours(hours));
    assert_eq!(slots, hours);
    // On time, none is missed.
    bed.clock.advance(Duration::from_secs(45 * 60 + 20));
    work(reporting(&bed.runtime)).await;
    for (name, runs) in [
        ("job/report", 2),
        ("job/report/skip", 1),
        ("job/report/all", 4),
    ] {
        assert_eq!(made(&bed, name).await.len(), runs, "{name}");
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Struck {
    clock: String,
    hour: DateTime<Utc>,
}

impl Event for Struck {
    const TYPE: &'static str = "struck";
    const ROUTE: EventRoute = EventRoute::inbound("clock");
}

async fn r54_missed_events_are_made_up_for_as_the_schedule_says(bed: TestBed) {
    let striking = || {
        let policies = [Misfire::Last, Misfire::Skip, Misfire::All];
        ["last", "skip", "all"].into_iter().zip(policies).fold(
            bed.runtime.worker(),
            |worker, (name, misfire)| {
                let schedule = Schedule::cron("0 * * * *").name(name).misfire(misfire);
                worker.schedule_event(schedule, move |slot| Struck {
                    clock: name.to_owned(),
                    hour: slot.at,
                })
            },
        )
    };
    let hours = async |clock: &str| {
        let all = bed.runtime.events().list(EventFilter::new()).await.unwrap();
        let of_clock = all.into_iter().filter(|it| it.payload["clock"] == clock);
        let mut hours: Vec<_> = of_clock
            .map(|it| serde_json::from_value::<Struck>(it.payload).unwrap().hour)
            .collect();
        hours.sort_unstable();
        hours
    };
    let begin = at_a_quarter_past(&bed).await.timestamp();
    let hour =
        |number: i64| DateTime::from_timestamp(begin - begin % 3600 + number * 3600, 0).unwrap();
    work(striking()).await;
    bed.clock.advance(HOUR * 3);
    work(striking()).await;
    assert_eq!(hours("last").await, [hour(3)]);
    assert!(hours("skip").await.is_empty());
    assert_eq!(hours("all").await, [hour(1), hour(2), hour(3)]);
    // On time, none is missed.
    bed.clock.advance(Duration::from_secs(45 * 60 + 20));
    work(striking()).await;
    assert_eq!(hours("last").await, [hour(3), hour(4)]);
    assert_eq!(hours("skip").await, [hour(4)]);
    assert_eq!(hours("all").await, [1, 2, 3, 4].map(hour));
}

async fn r57_a_clock_that_goes_back_makes_no_slot_twice(bed: TestBed) {
    at_a_quarter_past(&bed).await;
    work(reporting(&bed.runtime)).await;
    bed.clock.advance(HOUR);
    work(reporting(&bed.runtime)).await;
    bed.clock.turn_back(HOUR);
    // A worker that starts meanwhile changes nothing about it.
    work(reporting(&bed.runtime)).await;
    bed.clock.advance(HOUR);
    work(reporting(&bed.runtime)).await;
    assert_eq!(made(&bed, "job/report").await.len(), 1);
    assert_eq!(made(&bed, "job/report/all").await.len(), 1);
    // Nor does somebody who forgets where the schedule was: a slot has one run.
    bed.sql("DELETE FROM job_schedule").await;
    bed.clock.turn_back(HOUR);
    work(reporting(&bed.runtime)).await;
    bed.clock.advance(HOUR);
    work(reporting(&bed.runtime)).await;
    assert_eq!(made(&bed, "job/report/all").await.len(), 1);
}

async fn a_changed_expression_goes_on_from_now(bed: TestBed) {
    at_a_quarter_past(&bed).await;
    work(publishing(&bed.runtime, "0 * * * *")).await;
    bed.clock.advance(HOUR * 3);
    work(publishing(&bed.runtime, "30 * * * *")).await;
    assert_eq!(events(&bed).await, 0);
    bed.clock.advance(HOUR / 2);
    work(publishing(&bed.runtime, "30 * * * *")).await;
    assert_eq!(events(&bed).await, 1);
}

async fn a_paused_schedule_makes_nothing_and_makes_up_for_nothing(bed: TestBed) {
    at_a_quarter_past(&bed).await;
    let jobs = bed.runtime.jobs();
    work(reporting(&bed.runtime)).await;
    assert!(jobs.pause_schedule("job/report/all").await.unwrap());
    assert!(!jobs.pause_schedule("job/unknown").await.unwrap());
    bed.clock.advance(HOUR * 2);
    work(reporting(&bed.runtime)).await;
    assert!(jobs.resume_schedule("job/report/all").await.unwrap());
    work(reporting(&bed.runtime)).await;
    assert_eq!(made(&bed, "job/report/all").await.len(), 0);
    bed.clock.advance(HOUR);
    work(reporting(&bed.runtime)).await;
    assert_eq!(made(&bed, "job/report/all").await.len(), 1);
}

async fn a_worker_with_another_expression_leaves_the_schedule_alone(bed: TestBed) {
    at_a_quarter_past(&bed).await;
    let old = Running::start(publishing(&bed.runtime, "0 * * * *").build().unwrap());
    until("it is registered", async || {
        !bed.runtime.jobs().schedules().await.unwrap().is_empty()
    })
    .await;
    work(publishing(&bed.other_process().await, "30 * * * *")).await;
    bed.clock.advance(HOUR);
    work(publishing(&bed.other_process().await, "30 * * * *")).await;
    assert_eq!(events(&bed).await, 1);
    old.stop().await;
    assert_eq!(events(&bed).await, 1);
}

async fn a_schedule_goes_back_to_the_workers_that_are_left(bed: TestBed) {
    let silent = async |minutes| {
        let row = job_schedule::Entity::find().one(bed.runtime.db()).await;
        let mut row = row.unwrap().unwrap().into_active_model();
        let seen_at = row.seen_at.take().unwrap() - TimeDelta::minutes(minutes);
        row.seen_at = Set(seen_at);
        row.update(bed.runtime.db()).await.unwrap();
        seen_at
    };
    at_a_quarter_past(&bed).await;
    let old = Running::start(publishing(&bed.runtime, "0 * * * *").build().unwrap());
    until("it is registered", async || {
        !schedules(&bed).await.is_empty()
    })
    .await;
    let new = publishing(&bed.other_process().await, "10 * * * *");
    let new = Running::start(new.build().unwrap());
    let stands_at = async |cron| schedules(&bed).await[0].cron == cron;
    until("it is the new one's", async || {
        stands_at("10 * * * *").await
    })
    .await;
    // Who lives says so.
    let long_ago = silent(30).await;
    until("it has been seen", async || {
        schedules(&bed).await[0].seen_at > long_ago + TimeDelta::minutes(29)
    })
    .await;
    new.stop().await;
    // In this time came the slot of the full hour.
    silent(30).await;
    until("it is the old one's again", async || {
        stands_at("0 * * * *").await
    })
    .await;
    until("what came since is made", async || events(&bed).await == 1).await;
    old.stop().await;
}

async fn a_running_worker_makes_slots_as_they_come(bed: TestBed) {
    at_a_quarter_past(&bed).await;
    let running = Running::start(reporting(&bed.runtime).build().unwrap());
    until("it is registered", async || {
        bed.runtime.jobs().schedules().await.unwrap().len() == 3
    })
    .await;
    for hours in 1..=2 {
        bed.clock.advance(HOUR);
        until("the hour's run is there", async || {
            made(&bed, "job/report").await.len() == hours
        })
        .await;
    }
    running.stop().await;
}

pub(crate) async fn schedules(bed: &TestBed) -> Vec<ScheduleRecord> {
    bed.runtime.jobs().schedules().await.unwrap()
}

pub(crate) async fn heartbeat(bed: &TestBed) -> DateTime<Utc> {
    let worker = job_worker::Entity::find().one(bed.runtime.db()).await;
    worker.unwrap().unwrap().heartbeat_at
}
