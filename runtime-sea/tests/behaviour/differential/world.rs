//! One database, what a case did to it, and what can be seen of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime_sea::events::entities::{domain_event, event_delivery, event_subscription};
use runtime_sea::jobs::entities::{job_dedupe, job_pool, job_run, job_worker};
use runtime_sea::{
    EventEnvelope, EventFilter, EventId, PublishOptions, Published, RunFilter, RunId, Runtime,
    StartError, StartOptions, Started, SubscriptionError, Worker, bridge,
};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::script::{
    Call, DEDUPLICATED, Happened, Kind, Op, PAUSABLE, PAUSED, PLAIN, QUEUED, REJECTING, REPLACING,
    Scripted, Snoozes, TICK, TIMED, Work,
};
use super::time;
use super::view::{self, View};
use crate::support::{until, while_working};

/// Long enough for a busy machine, and short enough to wait for.
const LEASE: Duration = Duration::from_secs(4);

/// Per subscription and aggregate: the events with which it was called, and the number of the call.
pub(super) type Calls = BTreeMap<(String, String), Vec<(String, u32)>>;

pub(super) struct World {
    pub(super) runtime: Runtime,
    calls: Arc<Mutex<Calls>>,
    snoozes: Snoozes,
    /// What was started, by the order of the starts.
    runs: Vec<RunId>,
    events: Vec<(EventId, u8, Happened)>,
    /// Whether a run waits for its take-over.
    has_lost: bool,
}

impl World {
    /// A fresh world on a database that an earlier case may have used.
    pub(super) async fn new(db: &DatabaseConnection) -> Self {
        bridge::ledger::Entity::delete_many()
            .exec(db)
            .await
            .unwrap();
        event_delivery::Entity::delete_many()
            .exec(db)
            .await
            .unwrap();
        domain_event::Entity::delete_many().exec(db).await.unwrap();
        event_subscription::Entity::delete_many()
            .exec(db)
            .await
            .unwrap();
        job_run::Entity::delete_many().exec(db).await.unwrap();
        job_dedupe::Entity::delete_many().exec(db).await.unwrap();
        job_pool::Entity::delete_many().exec(db).await.unwrap();
        job_worker::Entity::delete_many().exec(db).await.unwrap();
        Self {
            runtime: Runtime::new(db.clone()),
            calls: Arc::default(),
            snoozes: Snoozes::default(),
            runs: Vec::new(),
            events: Vec::new(),
            has_lost: false,
        }
    }

    /// Does one step of the case, and says what came of it.
    pub(super) async fn apply(&mut self, op: &Op) -> String {
        let db = self.runtime.db().clone();
        let jobs = self.runtime.jobs();
        match op {
            Op::Publish {
                aggregate,
                event,
                commit,
            } => {
                let id = EventId::generate();
                let published = self.publish(id, *aggregate, event, *commit).await;
                if *commit {
                    self.events.push((id, *aggregate, event.clone()));
                }
                published
            }
            Op::PublishAgain { event } => match nth(&self.events, *event).cloned() {
                Some((id, aggregate, event)) => self.publish(id, aggregate, &event, true).await,
                None => "nothing".to_owned(),
            },
            Op::Start {
                kind,
                work,
                ticks,
                priority,
            } => {
                let mut options = StartOptions::new().priority(*priority);
                if *ticks > 0 {
                    // Due in the middle between two looks.
                    options = options.delay(TICK * u32::from(*ticks) - TICK / 2);
                }
                let started = self.start(*kind, work.clone(), options).await;
                match started {
                    Ok(it) if it.deduplicated => self.label(it.run_id).await,
                    Ok(it) => {
                        self.runs.push(it.run_id);
                        "started".to_owned()
                    }
                    Err(StartError::Rejected { incumbent, .. }) => {
                        format!("rejected for {}", self.label(incumbent).await)
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Op::StartMany { kind, works } => match self.start_many(*kind, works.clone()).await {
                Ok(started) => {
                    let mut answers = Vec::new();
                    for it in started {
                        if it.deduplicated {
                            answers.push(self.label(it.run_id).await);
                        } else {
                            self.runs.push(it.run_id);
                            answers.push("started".to_owned());
                        }
                    }
                    answers.join("; ")
                }
                // Maybe for another of them, which there is no more of then.
                Err(StartError::Rejected { .. }) => "rejected".to_owned(),
                Err(error) => panic!("{error}"),
            },
            Op::Cancel { run } => match nth(&self.runs, *run) {
                Some(id) => format!("{:?}", jobs.cancel(*id).await.unwrap()),
                None => "nothing".to_owned(),
            },
            Op::Replay { run, from } => match nth(&self.runs, *run) {
                Some(id) => self.replayed(jobs.replay(*id, *from).await.unwrap()).await,
                None => "nothing".to_owned(),
            },
            Op::Retry { run } => match nth(&self.runs, *run) {
                Some(id) => self.replayed(jobs.retry(*id).await.unwrap()).await,
                None => "nothing".to_owned(),
            },
            Op::Move { run, ticks } => match nth(&self.runs, *run) {
                Some(id) => {
                    // Never to before others that are in a line already: whether it gets there in time is luck.
                    let later = (TICK * u32::from(*ticks)).saturating_sub(TICK / 2);
                    let at = self.runtime.now().await.unwrap() + later;
                    format!("{:?}", jobs.reschedule(*id, at).await.unwrap())
                }
                None => "nothing".to_owned(),
            },
            Op::Redeliver { event } => match nth(&self.events, *event) {
                Some((id, ..)) => {
                    let again = self.runtime.events().redeliver(*id).await.unwrap();
                    format!("{again}")
                }
                None => "nothing".to_owned(),
            },
            Op::ReplayEvent { event } => match nth(&self.events, *event) {
                Some((id, ..)) => {
                    let again = self.runtime.events().replay(*id).await.unwrap();
                    format!("{again}")
                }
                None => "nothing".to_owned(),
            },
            Op::PublishAndStart {
                aggregate,
                event,
                work,
                commit,
            } => {
                let tx = runtime_sea::begin(&db).await.unwrap();
                let events = self.runtime.events();
                let about = aggregate.to_string();
                let both = events.publish_and_start::<Happened, Scripted<PLAIN>>(
                    &tx,
                    about,
                    event.clone(),
                    work.clone(),
                );
                let both = both.await.unwrap();
                if *commit {
                    tx.commit().await.unwrap();
                    let id = both.published.id();
                    self.events.push((id, *aggregate, event.clone()));
                    self.runs.push(both.started.run_id);
                } else {
                    tx.rollback().await.unwrap();
                }
                "both".to_owned()
            }
            Op::Pause => format!("{:?}", jobs.pause_pool(PAUSABLE).await.unwrap()),
            Op::Resume => {
                jobs.limit_pool(PAUSABLE, None).await.unwrap();
                format!("{:?}", jobs.resume_pool(PAUSABLE).await.unwrap())
            }
            Op::Limit { runs } => {
                jobs.limit_pool(PAUSABLE, Some(*runs)).await.unwrap();
                "limited".to_owned()
            }
            Op::LoseRun { run } => match nth(&self.runs, *run) {
                Some(id) => {
                    let lost = lose_run(&db, *id).await;
                    self.has_lost |= lost;
                    format!("{lost}")
                }
                None => "nothing".to_owned(),
            },
            Op::LoseEvent { event } => match nth(&self.events, *event) {
                Some((id, ..)) => format!("{}", lose_event(&db, *id).await),
                None => "nothing".to_owned(),
            },
            Op::Advance { ticks } => {
                time::advance(&db, TICK * u32::from(*ticks)).await;
                "advanced".to_owned()
            }
            Op::Work => {
                self.work().await;
                "worked".to_owned()
            }
        }
    }

    /// What can be seen of everything.
    pub(super) async fn view(&self) -> View {
        let runs = self
            .runtime
            .jobs()
            .list(RunFilter::new().limit(1000))
            .await
            .unwrap();
        let events = self
            .runtime
            .events()
            .list(EventFilter::new().limit(1000))
            .await
            .unwrap();
        let mut view = View::default();
        for run in runs {
            let details = self.runtime.jobs().show(run.id).await.unwrap().unwrap();
            view.runs
                .insert(view::label(&details.run.input), view::run(details));
        }
        for event in events {
            let details = self.runtime.events().show(event.id).await.unwrap().unwrap();
            let mut bridge = Vec::new();
            for it in &details.bridge {
                let run = match it.run_id {
                    Some(id) => Some(self.label(id).await),
                    None => None,
                };
                bridge.push((it.trigger_id.clone(), it.status, it.reason.clone(), run));
            }
            view.events
                .insert(view::label(&event.payload), view::event(&details, bridge));
        }
        view.calls = self.calls.lock().unwrap().clone();
        view
    }

    async fn publish(&self, id: EventId, aggregate: u8, event: &Happened, commit: bool) -> String {
        let tx = runtime_sea::begin(self.runtime.db()).await.unwrap();
        let options = PublishOptions::new().id(id);
        let published = self
            .runtime
            .events()
            .publish_with(&tx, aggregate.to_string(), event.clone(), options)
            .await
            .unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        match published {
            Published::New(_) => "new".to_owned(),
            Published::Duplicate(_) => "duplicate".to_owned(),
        }
    }

    async fn start(
        &self,
        kind: Kind,
        work: Work,
        options: StartOptions,
    ) -> Result<Started, StartError> {
        let (jobs, db) = (self.runtime.jobs(), self.runtime.db());
        match kind {
            Kind::Plain => jobs.start_with::<Scripted<PLAIN>>(db, work, options).await,
            Kind::Paused => jobs.start_with::<Scripted<PAUSED>>(db, work, options).await,
            Kind::Queued => jobs.start_with::<Scripted<QUEUED>>(db, work, options).await,
            Kind::Rejecting => {
                jobs.start_with::<Scripted<REJECTING>>(db, work, options)
                    .await
            }
            Kind::Replacing => {
                jobs.start_with::<Scripted<REPLACING>>(db, work, options)
                    .await
            }
            Kind::Deduplicated => {
                jobs.start_with::<Scripted<DEDUPLICATED>>(db, work, options)
                    .await
            }
            Kind::Timed => jobs.start_with::<Scripted<TIMED>>(db, work, options).await,
        }
    }

    async fn start_many(&self, kind: Kind, works: Vec<Work>) -> Result<Vec<Started>, StartError> {
        let (jobs, db) = (self.runtime.jobs(), self.runtime.db());
        match kind {
            Kind::Plain => jobs.start_many::<Scripted<PLAIN>>(db, works).await,
            Kind::Paused => jobs.start_many::<Scripted<PAUSED>>(db, works).await,
            Kind::Queued => jobs.start_many::<Scripted<QUEUED>>(db, works).await,
            Kind::Rejecting => jobs.start_many::<Scripted<REJECTING>>(db, works).await,
            Kind::Replacing => jobs.start_many::<Scripted<REPLACING>>(db, works).await,
            Kind::Deduplicated => jobs.start_many::<Scripted<DEDUPLICATED>>(db, works).await,
            Kind::Timed => jobs.start_many::<Scripted<TIMED>>(db, works).await,
        }
    }

    async fn work(&mut self) {
        if std::mem::take(&mut self.has_lost) {
            while_working(self.worker(), async || {
                until("lost runs are taken over", async || {
                    let running = job_run::Column::Status.eq("running");
                    let left = job_run::Entity::find()
                        .filter(running)
                        .one(self.runtime.db());
                    left.await.unwrap().is_none()
                })
                .await;
            })
            .await;
        }
        self.worker().drain_until_idle().await.unwrap();
    }

    fn worker(&self) -> Worker {
        let subscription = |name: &'static str, script: fn(&Happened) -> &[Call]| {
            let calls = self.calls.clone();
            move |event: EventEnvelope<Happened>| {
                let of_whom = (
                    name.to_owned(),
                    event.aggregate_id.clone().unwrap_or_default(),
                );
                let call = (event.payload.label.clone(), event.attempt);
                calls.lock().unwrap().entry(of_whom).or_default().push(call);
                let ending = script(&event.payload)
                    .get(event.attempt as usize - 1)
                    .copied();
                async move {
                    match ending.unwrap_or(Call::Accept) {
                        Call::Accept => Ok(()),
                        Call::Refuse => Err(SubscriptionError::new("it refuses")),
                        Call::GiveUp => Err(SubscriptionError::non_retryable("it gives up")),
                        Call::Panic => panic!("it panics"),
                    }
                }
            }
        };
        self.runtime
            .worker()
            .job(Scripted::<PLAIN>(self.snoozes.clone()))
            .job(Scripted::<PAUSED>(self.snoozes.clone()))
            .job(Scripted::<QUEUED>(self.snoozes.clone()))
            .job(Scripted::<REJECTING>(self.snoozes.clone()))
            .job(Scripted::<REPLACING>(self.snoozes.clone()))
            .job(Scripted::<DEDUPLICATED>(self.snoozes.clone()))
            .job(Scripted::<TIMED>(self.snoozes.clone()))
            .subscribe("first", subscription("first", |it| &it.first))
            .subscribe("second", subscription("second", |it| &it.second))
            .lease(LEASE)
            .sample_queues(None)
            .build()
            .unwrap()
    }

    async fn replayed(&self, replayed: runtime_sea::jobs::Replayed) -> String {
        use runtime_sea::jobs::Replayed;

        match replayed {
            Replayed::KeyTaken(id) => format!("the key is {}'s", self.label(id).await),
            Replayed::Deduplicated(id) => format!("the window is {}'s", self.label(id).await),
            other => format!("{other:?}"),
        }
    }

    async fn label(&self, id: RunId) -> String {
        let details = self.runtime.jobs().show(id).await.unwrap().unwrap();
        view::label(&details.run.input)
    }
}

fn nth<T>(items: &[T], number: usize) -> Option<&T> {
    items.get(number.checked_rem(items.len())?)
}

// What a worker leaves behind that claims a run and dies.
async fn lose_run(db: &DatabaseConnection, id: RunId) -> bool {
    use job_run::Column as C;

    let lost = job_run::Entity::update_many()
        .col_expr(C::Status, "running".into())
        .col_expr(C::WorkerId, Uuid::now_v7().into())
        .col_expr(C::Attempt, Expr::col(C::Attempt).add(1))
        .col_expr(C::Fence, Expr::col(C::Fence).add(1))
        .col_expr(C::ClaimedAt, Expr::col(C::CreatedAt))
        .col_expr(C::StartedAt, Expr::col(C::CreatedAt))
        .filter(C::Id.eq(Uuid::from(id)))
        .filter(C::Status.eq("pending"))
        .filter(C::Readiness.eq("ready"))
        .filter(C::Collision.is_null().or(C::Collision.ne("replace")))
        .exec(db)
        .await
        .unwrap();
    lost.rows_affected > 0
}

async fn lose_event(db: &DatabaseConnection, id: EventId) -> bool {
    use domain_event::Column as C;

    let lost = domain_event::Entity::update_many()
        .col_expr(C::ClaimedBy, Uuid::now_v7().into())
        .col_expr(C::ClaimToken, Uuid::now_v7().into())
        .col_expr(C::Attempts, Expr::col(C::Attempts).add(1))
        .filter(C::Id.eq(id.as_uuid()))
        .filter(C::Status.eq("pending"))
        .filter(C::DispatchedAt.is_null())
        .exec(db)
        .await
        .unwrap();
    lost.rows_affected > 0
}
