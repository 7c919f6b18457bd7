//! What the command line answers: to programs, and as a whole to people.

use crate::support::TestBed;
use chrono::{DateTime, Utc};
use clap::{CommandFactory, Parser};
use runtime_sea::cli::{CliError, EventsCommand, JobsCommand};
use runtime_sea::{
    Event, EventEnvelope, EventId, EventRetry, EventRoute, JobContext, JobHandler, JobPolicy,
    JobResult, PublishOptions, RunId, Schedule, StartOptions, SubscriptionError, begin,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

crate::on_each_database! {
    every_action_answers_programs,
    what_became_of_a_run_has_a_name,
    runs_are_listed_by_tenant,
    a_run_that_came_with_its_event_says_so,
    the_command_line_shows_all_of_a_child,
    the_command_line_shows_all_of_a_failed_event,
}

#[derive(Parser)]
enum App {
    Jobs(JobsCommand),
    Events(EventsCommand),
}

async fn app(bed: &TestBed, words: &[&str]) -> Result<String, CliError> {
    match App::try_parse_from([&["app"], words].concat()).unwrap() {
        App::Jobs(command) => command.run(&bed.runtime).await,
        App::Events(command) => command.run(&bed.runtime).await,
    }
}

async fn as_json(bed: &TestBed, words: &[&str]) -> Value {
    let answer = app(bed, &[words, &["--json"]].concat()).await;
    let answer = answer.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{words:?}: {error}: {answer}"))
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ordered {
    n: u32,
}

impl Event for Ordered {
    const TYPE: &'static str = "ordered";
    const ROUTE: EventRoute = EventRoute::change("order").retry(EventRetry::fixed(1));
}

struct Deliver;

impl JobHandler for Deliver {
    const TYPE: &'static str = "deliver";
    type Input = u32;
    type Output = u32;

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().schedule(Schedule::cron("0 3 1 1 *"), |_| 1)
    }

    async fn run(&self, ctx: &JobContext, n: u32) -> JobResult<u32> {
        if n == 0 {
            ctx.cancelled().cancelled().await;
        } else if n > 1 {
            ctx.spawn_child::<Self>("rest", n - 1).await?;
        }
        Ok(n)
    }
}

async fn start(bed: &TestBed, n: u32, options: StartOptions) -> RunId {
    let jobs = bed.runtime.jobs();
    let started = jobs.start_with::<Deliver>(bed.runtime.db(), n, options);
    started.await.unwrap().run_id
}

async fn order(bed: &TestBed) -> EventId {
    let events = bed.runtime.events();
    let published = events.publish_detached("one", Ordered { n: 1 }).await;
    published.unwrap().id()
}

async fn drain(bed: &TestBed) {
    let subscription =
        |_: EventEnvelope<Ordered>| async { Err(SubscriptionError::new("no such luck")) };
    let worker = bed.runtime.worker().job(Deliver);
    let worker = worker.subscribe("stock", subscription).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

fn later() -> StartOptions {
    StartOptions::new().delay(std::time::Duration::from_secs(3600))
}

async fn every_action_answers_programs(bed: TestBed) {
    let event = order(&bed).await.to_string();
    drain(&bed).await;
    let run = start(&bed, 1, later()).await.to_string();
    let mut left: Vec<_> = App::command()
        .get_subcommands()
        .flat_map(|it| {
            let actions = it.get_subcommands();
            actions.map(|action| format!("{} {}", it.get_name(), action.get_name()))
        })
        .collect();
    for words in [
        "jobs list",
        "jobs show RUN",
        "jobs reschedule RUN 2030-01-31T18:00:00Z",
        "jobs cancel RUN",
        "jobs retry RUN",
        "jobs cancel RUN",
        "jobs replay RUN --from scratch",
        "jobs pools",
        "jobs pause batch",
        "jobs resume batch",
        "jobs limit batch 3",
        "jobs schedules",
        "jobs schedules pause job/deliver",
        "jobs schedules resume job/deliver",
        "jobs types",
        "jobs stats",
        "events list",
        "events show EVENT",
        "events failed",
        "events redeliver EVENT",
        "events replay --type ordered",
        "events subscriptions",
        "events retire stock",
        "events lanes",
        "events pause events_change",
        "events resume events_change",
        "jobs prune",
    ] {
        let named = words.replace("RUN", &run).replace("EVENT", &event);
        let answer = as_json(&bed, &named.split(' ').collect::<Vec<_>>()).await;
        assert!(answer.is_object() || answer.is_array(), "{words}: {answer}");
        left.retain(|it| !words.starts_with(it));
    }
    assert_eq!(left, Vec::<String>::new());
}

async fn what_became_of_a_run_has_a_name(bed: TestBed) {
    let waits = start(&bed, 1, later()).await.to_string();
    let endless = start(&bed, 0, StartOptions::new()).await;
    let status = async |words: &[&str]| {
        let answer = as_json(&bed, words).await;
        assert_eq!(answer["id"].as_str(), Some(words[2]), "{answer}");
        assert!(answer["result"].is_string(), "{answer}");
        answer["status"].as_str().unwrap().to_owned()
    };
    let soon = ["jobs", "reschedule", &waits, "2020-01-01T00:00:00Z"];
    assert_eq!(status(&soon).await, "pending");
    assert_eq!(status(&["jobs", "cancel", &waits]).await, "at_once");
    assert_eq!(status(&["jobs", "cancel", &waits]).await, "already_over");
    assert_eq!(status(&["jobs", "retry", &waits]).await, "pending");
    status(&["jobs", "cancel", &waits]).await;
    let again = ["jobs", "replay", &waits, "--from", "scratch"];
    assert_eq!(status(&again).await, "pending");
    let worker = bed.runtime.worker().job(Deliver).build().unwrap();
    crate::support::while_working(worker, async || {
        bed.until_status(endless, runtime_sea::RunStatus::Running)
            .await;
        let endless = endless.to_string();
        assert_eq!(status(&["jobs", "cancel", &endless]).await, "requested");
    })
    .await;
}

async fn runs_are_listed_by_tenant(bed: TestBed) {
    for tenant in ["acme", "umbrella"] {
        start(&bed, 1, later().tenant(Some(tenant))).await;
        let options = PublishOptions::new().tenant(Some(tenant));
        let events = bed.runtime.events();
        let published = events.publish_detached_with("one", Ordered { n: 1 }, options);
        published.await.unwrap();
    }
    for command in ["jobs", "events"] {
        let listed = as_json(&bed, &[command, "list", "--tenant", "acme"]).await;
        let tenants = listed.as_array().unwrap().iter();
        let tenants: Vec<_> = tenants.map(|it| it["tenant_id"].as_str()).collect();
        assert_eq!(tenants, [Some("acme")], "{command}");
        let all = as_json(&bed, &[command, "list"]).await;
        assert_eq!(all.as_array().unwrap().len(), 2, "{command}");
    }
}

async fn a_run_that_came_with_its_event_says_so(bed: TestBed) {
    let tx = begin(bed.runtime.db()).await.unwrap();
    let events = bed.runtime.events();
    let both = events.publish_and_start::<Ordered, Deliver>(&tx, "one", Ordered { n: 1 }, 1);
    let run = both.await.unwrap().started.run_id.to_string();
    tx.commit().await.unwrap();
    let text = app(&bed, &["jobs", "show", &run]).await.unwrap();
    assert!(text.contains("  event ordered happened"), "{text}");
    assert!(text.contains("  started with its event"), "{text}");
    assert!(!text.contains("direct"), "{text}");
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

async fn the_command_line_shows_all_of_a_child(bed: TestBed) {
    let parent = start(&bed, 2, StartOptions::new()).await;
    drain(&bed).await;
    let child = bed.run(parent).await.children.remove(0);
    let times = [
        child.created_at,
        child.claimed_at.unwrap(),
        child.finished_at.unwrap(),
    ];
    // A night between them shows.
    let is_one_day = times[0].date_naive() == times[2].date_naive();
    let [started, begun, ended] = times.map(|at| {
        let at = moment(at);
        at[if is_one_day { 11 } else { 0 }..].to_owned()
    });
    let text = app(&bed, &["jobs", "show", &child.id.to_string()]).await;
    assert_eq!(
        text.unwrap(),
        format!(
            "run {} of `deliver`: completed\n  \
               pool      batch\n  \
               parent    {parent}, as `rest`\n  \
               input     1\n  \
               output    1\n\
             \n  \
               timeline (UTC)\n  \
               {started}  started\n  \
               {begun}  attempt 1 begins\n  \
               {ended}  completed",
            child.id
        )
    );
}

async fn the_command_line_shows_all_of_a_failed_event(bed: TestBed) {
    let id = order(&bed).await;
    drain(&bed).await;
    let event = bed.runtime.events().show(id).await.unwrap().unwrap().event;
    let text = app(&bed, &["events", "show", &id.to_string()]).await;
    assert_eq!(
        text.unwrap(),
        format!(
            "event {id} `ordered`: failed\n  \
               about      order one\n  \
               lane       events_change\n  \
               payload    {{\"n\":1}}\n  \
               occurred   {}\n  \
               stored     {}\n  \
               dispatched {}\n  \
               processed  {}\n  \
               error      subscription `stock`: no such luck\n\
             \n\
             DELIVERY  STATUS  ATTEMPTS  ERROR\n\
             stock     failed  1         no such luck",
            moment(event.occurred_at),
            moment(event.created_at),
            moment(event.dispatched_at.unwrap()),
            moment(event.processed_at.unwrap()),
        )
    );
}
