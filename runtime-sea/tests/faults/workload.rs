//! Events, subscriptions, triggers, runs with steps, children, keys, retries and cancellations: what the fault tests keep
//! workers busy with.

use std::time::Duration;

use runtime_sea::{
    Collision, Event, EventEnvelope, EventId, EventRoute, JobContext, JobError, JobHandler,
    JobPolicy, JobResult, Misfire, Retry, Runtime, Schedule, SubscriptionError, WorkerBuilder,
};
use serde::{Deserialize, Serialize};

use crate::witness::Witness;

/// How long the steps take.
const WORK: Duration = Duration::from_millis(3);

/// How long a subscription takes that is not done at once.
const SLOW: Duration = Duration::from_millis(300);

pub(crate) const ACCOUNTS: [&str; 3] = ["ada", "bob", "cyd"];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) account: String,
    pub(crate) number: u32,
}

impl Event for Moved {
    const TYPE: &'static str = "moved";
    const ROUTE: EventRoute = EventRoute::change("account");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Called {
    pub(crate) number: u32,
}

impl Event for Called {
    const TYPE: &'static str = "called";
    const ROUTE: EventRoute = EventRoute::inbound("test");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) number: u32,
}

impl Event for Answered {
    const TYPE: &'static str = "answered";
    const ROUTE: EventRoute = EventRoute::change("question");
}

/// The pool of which no more runs than [`LIMIT`] are executed at a time.
pub(crate) const LIMITED_POOL: &str = "reports";

pub(crate) const LIMIT: u32 = 3;

/// Names of subscriptions, which are the names of their effects.
pub(crate) fn subscriptions_of(event_type: &str) -> &'static [&'static str] {
    match event_type {
        Moved::TYPE => &["ledger", "hesitant"],
        Called::TYPE => &["calls", "slow"],
        _ => &[],
    }
}

pub(crate) fn triggers_of(event_type: &str) -> &'static [&'static str] {
    match event_type {
        Moved::TYPE => &["import/moved"],
        _ => &[],
    }
}

/// What a completed run has done.
pub(crate) fn effects_of(job_type: &str) -> &'static [&'static str] {
    match job_type {
        Import::TYPE => &["run", "fetch", "convert", "store"],
        Patient::TYPE => &["run", "store"],
        Report::TYPE | Once::TYPE | Latest::TYPE | Tick::TYPE => &["run"],
        _ => &[],
    }
}

pub(crate) fn children_of(job_type: &str) -> &'static [&'static str] {
    match job_type {
        Import::TYPE | Patient::TYPE => &["report"],
        _ => &[],
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) account: String,
    pub(crate) number: u32,
}

fn patient<I>() -> JobPolicy<I> {
    JobPolicy::new().retry(Retry::fixed(1000, Duration::from_millis(20)))
}

/// Three steps, of which one fails at first now and then, and a child. One at a time per account.
pub(crate) struct Import(Witness);

impl JobHandler for Import {
    const TYPE: &'static str = "import";
    type Input = Account;
    type Output = u32;

    fn policy() -> JobPolicy<Account> {
        patient::<Account>()
            .concurrency(Collision::Queue, |input| {
                format!("import:{}", input.account)
            })
            .on::<Moved>(|event| {
                let Moved { account, number } = event.payload.clone();
                Some(Account { account, number })
            })
    }

    async fn run(&self, ctx: &JobContext, input: Account) -> JobResult<u32> {
        let effect = self.0.run_begins(ctx, "run").await?;
        let fetched = ctx.step("fetch", || self.work(ctx, "fetch", 1)).await?;
        ctx.spawn_child::<Report>("report", input.number).await?;
        let converted = ctx
            .step("convert", || async {
                let converted = self.work(ctx, "convert", fetched + 1).await?;
                if input.number.is_multiple_of(3) && ctx.attempt() == 1 {
                    return Err(JobError::retryable("not yet"));
                }
                Ok(converted)
            })
            .await?;
        let stored = ctx
            .step("store", || self.work(ctx, "store", converted + 1))
            .await?;
        self.0.ends(effect).await?;
        assert_eq!(stored, 3);
        Ok(stored)
    }
}

impl Import {
    async fn work(&self, ctx: &JobContext, step: &str, result: u32) -> Result<u32, JobError> {
        let effect = self.0.run_begins(ctx, step).await?;
        tokio::time::sleep(WORK).await;
        self.0.ends(effect).await?;
        Ok(result)
    }
}

pub(crate) struct Report(Witness);

impl JobHandler for Report {
    const TYPE: &'static str = "report";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        patient().pool(LIMITED_POOL)
    }

    async fn run(&self, ctx: &JobContext, _number: u32) -> JobResult<()> {
        let effect = self.0.run_begins(ctx, "run").await?;
        tokio::time::sleep(WORK).await;
        Ok(self.0.ends(effect).await?)
    }
}

/// Waits without a worker: for a moment, for its child, for an event.
pub(crate) struct Patient(Witness);

impl JobHandler for Patient {
    const TYPE: &'static str = "patient";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        patient()
    }

    async fn run(&self, ctx: &JobContext, number: u32) -> JobResult<()> {
        let effect = self.0.run_begins(ctx, "run").await?;
        self.0.ends(effect).await?;
        ctx.sleep("nap", Duration::from_millis(50)).await?;
        ctx.spawn_child::<Report>("report", number).await?;
        let ended = ctx.wait_for_children().await?;
        assert_eq!(ended.len(), 1);
        let hour = Duration::from_secs(3600);
        let answer = ctx.wait_for_event::<Answered>(number, hour).await?;
        assert_eq!(answer.map(|event| event.payload.number), Some(number));
        ctx.step("store", || async {
            let effect = self.0.run_begins(ctx, "store").await?;
            self.0.ends(effect).await
        })
        .await
    }
}

/// Its time is up while it waits.
pub(crate) struct Overdue;

impl JobHandler for Overdue {
    const TYPE: &'static str = "overdue";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        patient().timeout(Duration::from_secs(3))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.sleep("long", Duration::from_secs(3600)).await
    }
}

/// Started twice, and once at all.
pub(crate) struct Once(Witness);

impl JobHandler for Once {
    const TYPE: &'static str = "once";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        patient::<String>().dedupe(Duration::from_secs(600), |name| format!("once:{name}"))
    }

    async fn run(&self, ctx: &JobContext, _name: String) -> JobResult<()> {
        let effect = self.0.run_begins(ctx, "run").await?;
        Ok(self.0.ends(effect).await?)
    }
}

/// Of an account's only the last one counts.
pub(crate) struct Latest(Witness);

impl JobHandler for Latest {
    const TYPE: &'static str = "latest";
    type Input = Account;
    type Output = ();

    fn policy() -> JobPolicy<Account> {
        patient::<Account>().concurrency(Collision::Replace, |input| {
            format!("latest:{}", input.account)
        })
    }

    async fn run(&self, ctx: &JobContext, _input: Account) -> JobResult<()> {
        let effect = self.0.run_begins(ctx, "run").await?;
        tokio::time::sleep(10 * WORK).await;
        Ok(self.0.ends(effect).await?)
    }
}

/// Started by a schedule.
pub(crate) struct Tick(Witness);

impl Tick {
    /// The seconds between two slots.
    pub(crate) const EVERY: i64 = 2;
}

impl JobHandler for Tick {
    const TYPE: &'static str = "tick";
    type Input = i64;
    type Output = ();

    fn policy() -> JobPolicy<i64> {
        let cron = format!("*/{} * * * * *", Self::EVERY);
        patient().schedule(Schedule::cron(cron).misfire(Misfire::All), |slot| {
            slot.at.timestamp()
        })
    }

    async fn run(&self, ctx: &JobContext, _slot: i64) -> JobResult<()> {
        let effect = self.0.run_begins(ctx, "run").await?;
        Ok(self.0.ends(effect).await?)
    }
}

/// Works until it is told to stop.
pub(crate) struct Endless;

impl JobHandler for Endless {
    const TYPE: &'static str = "endless";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        patient().pool("endless").scope("endless", |()| "all")
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.cancelled().cancelled().await;
        Err(JobError::retryable("told to stop"))
    }
}

/// A worker that hosts everything.
pub(crate) fn host(runtime: &Runtime, process: &str) -> WorkerBuilder {
    let witness = Witness::new(runtime.db().clone(), process.to_owned());
    let subscriber = |name: &'static str| {
        let witness = witness.clone();
        move |id: EventId| {
            let witness = witness.clone();
            async move {
                let effect = witness.delivery_begins(name, id).await?;
                witness.ends(effect).await
            }
        }
    };
    let (ledger, hesitant, calls, slow) = (
        subscriber("ledger"),
        subscriber("hesitant"),
        subscriber("calls"),
        subscriber("slow"),
    );
    runtime
        .worker()
        .name(process)
        .concurrency(8)
        // They die for other reasons than their runs here.
        .max_recoveries(1000)
        .job(Import(witness.clone()))
        .job(Report(witness.clone()))
        .job(Once(witness.clone()))
        .job(Latest(witness.clone()))
        .job(Patient(witness.clone()))
        .job(Overdue)
        .job(Tick(witness.clone()))
        .job(Endless)
        .subscribe("ledger", move |event: EventEnvelope<Moved>| {
            let noted = ledger(event.id);
            async move { noted.await.map_err(SubscriptionError::new) }
        })
        .subscribe("hesitant", move |event: EventEnvelope<Moved>| {
            let noted = hesitant(event.id);
            async move {
                noted.await.map_err(SubscriptionError::new)?;
                if event.payload.number % 4 == 1 && event.attempt == 1 {
                    return Err(SubscriptionError::new("not yet"));
                }
                Ok(())
            }
        })
        .subscribe("calls", move |event: EventEnvelope<Called>| {
            let noted = calls(event.id);
            async move { noted.await.map_err(SubscriptionError::new) }
        })
        .subscribe("slow", move |event: EventEnvelope<Called>| {
            let noted = slow(event.id);
            async move {
                noted.await.map_err(SubscriptionError::new)?;
                tokio::time::sleep(SLOW).await;
                Ok(())
            }
        })
}
