//! The promises: compares what handlers and customers wrote down with what the runtime recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use runtime_sea::JobHandler;
use runtime_sea::bridge::ledger;
use runtime_sea::events::entities::{domain_event, event_delivery};
use runtime_sea::jobs::entities::{job_run, job_step};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
};
use uuid::Uuid;

use crate::witness::{effect, request};
use crate::workload::{Latest, Tick};

/// Everything that is in the tables.
struct State {
    effects: Vec<effect::Model>,
    requests: Vec<request::Model>,
    events: Vec<domain_event::Model>,
    deliveries: Vec<event_delivery::Model>,
    runs: Vec<job_run::Model>,
    steps: Vec<job_step::Model>,
    ledger: Vec<ledger::Model>,
}

impl State {
    async fn read(db: &DatabaseConnection) -> Result<Self, DbErr> {
        Ok(Self {
            effects: effect::Entity::find()
                .order_by_asc(effect::Column::BeganAt)
                .order_by_asc(effect::Column::Id)
                .all(db)
                .await?,
            requests: request::Entity::find().all(db).await?,
            events: domain_event::Entity::find()
                .order_by_asc(domain_event::Column::Seq)
                .all(db)
                .await?,
            deliveries: event_delivery::Entity::find().all(db).await?,
            runs: job_run::Entity::find().all(db).await?,
            steps: job_step::Entity::find().all(db).await?,
            ledger: ledger::Entity::find().all(db).await?,
        })
    }
}

/// Whether nothing is left to do, but for runs that schedules go on starting.
pub(crate) async fn is_settled(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let event = domain_event::Entity::find()
        .filter(domain_event::Column::Status.eq("pending"))
        .one(db)
        .await?;
    let run = job_run::Entity::find()
        .filter(job_run::Column::FinishedAt.is_null())
        .filter(
            Condition::any()
                .add(job_run::Column::Slot.is_null())
                .add(job_run::Column::Status.ne("pending")),
        )
        .one(db)
        .await?;
    Ok(event.is_none() && run.is_none())
}

/// How the promises came out.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The broken ones.
    pub(crate) broken: Vec<String>,
    /// How many effects there were.
    pub(crate) effects: usize,
    /// How many of them were made by a process that had lost what it worked on and had not noticed yet.
    pub(crate) stale: usize,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for promise in self.broken.iter().take(20) {
            writeln!(f, "{promise}")?;
        }
        let (broken, effects, stale) = (self.broken.len(), self.effects, self.stale);
        write!(
            f,
            "{broken} broken promises; {effects} effects, {stale} of them stale"
        )
    }
}

/// Compares what happened with what was promised. Nothing may be under way.
///
/// A process that is stopped, or cut off from the database, cannot know that its lease is over before it goes on: what
/// it does in that moment is not recorded, but it happens. Such effects are not held against the runtime; everything
/// else is.
pub(crate) async fn check(db: &DatabaseConnection) -> Verdict {
    let state = State::read(db).await.unwrap();
    let mut verdict = Verdict {
        effects: state.effects.len(),
        stale: state.effects.iter().filter(|it| !it.held).count(),
        broken: Vec::new(),
    };
    nothing_is_lost(&state, &mut verdict.broken);
    no_completed_step_is_repeated(&state, &mut verdict.broken);
    every_run_was_executed(&state, &mut verdict.broken);
    the_latest_are_completed(&state, &mut verdict.broken);
    no_key_is_shared(&state, &mut verdict.broken);
    aggregates_are_in_order(&state, &mut verdict.broken);
    every_trigger_fired_once(&state, &mut verdict.broken);
    every_child_is_there_once(&state, &mut verdict.broken);
    no_pool_exceeds_its_limit(&state, &mut verdict.broken);
    every_slot_has_one_run(&state, &mut verdict.broken);
    verdict
}

fn nothing_is_lost(state: &State, broken: &mut Vec<String>) {
    let events: HashMap<_, _> = state
        .events
        .iter()
        .map(|it| (it.id, it.status.as_str()))
        .collect();
    let runs: HashMap<_, _> = state
        .runs
        .iter()
        .map(|it| (it.id, it.status.as_str()))
        .collect();
    let about = |id| events.get(&id).or_else(|| runs.get(&id)).copied();
    for request in &state.requests {
        let wanted = match request.expected.as_str() {
            "delivered" => Some("processed"),
            "nothing" => None,
            status => Some(status),
        };
        let found = about(request.about);
        let is_over = wanted == Some("over") && matches!(found, Some("completed" | "canceled"));
        if found != wanted && !is_over {
            broken.push(format!(
                "{} should be {} and is {found:?}",
                request.name, request.expected
            ));
        }
    }
    for event in &state.events {
        if !state.requests.iter().any(|it| it.about == event.id) {
            broken.push(format!("nobody published event {}", event.id));
        }
        for name in super::workload::subscriptions_of(&event.event_type) {
            let delivered = state
                .effects
                .iter()
                .any(|it| it.event_id == Some(event.id) && it.what == *name);
            if !delivered {
                broken.push(format!("event {} never reached {name}", event.id));
            }
        }
    }
    for run in &state.runs {
        // Slots still come when everything else is done, and a worker that is stopped hands their runs back.
        let is_new = run.slot.is_some() && run.status == "pending";
        if !is_new && !["completed", "canceled", "timed_out"].contains(&run.status.as_str()) {
            broken.push(format!(
                "run {} of {} is {}: {:?}",
                run.id, run.job_type, run.status, run.errors
            ));
        }
    }
}

fn no_completed_step_is_repeated(state: &State, broken: &mut Vec<String>) {
    for step in state.steps.iter().filter(|it| it.status == "completed") {
        let Some(finished_at) = step.finished_at else {
            broken.push(format!("step {} has no end", step.name));
            continue;
        };
        for effect in &state.effects {
            let is_of_step = effect.run_id == Some(step.run_id) && effect.what == step.name;
            if is_of_step && effect.held && effect.began_at > finished_at {
                broken.push(format!(
                    "step {} of run {} was completed at {finished_at} and executed at {} by {}",
                    step.name, step.run_id, effect.began_at, effect.process
                ));
            }
        }
    }
}

fn every_run_was_executed(state: &State, broken: &mut Vec<String>) {
    let completed = state.runs.iter().filter(|it| it.status == "completed");
    for run in completed {
        for what in super::workload::effects_of(&run.job_type) {
            let ended = state
                .effects
                .iter()
                .any(|it| it.run_id == Some(run.id) && it.what == *what && it.ended_at.is_some());
            if !ended {
                broken.push(format!("run {} is completed without {what}", run.id));
            }
        }
    }
}

// Nobody has taken the place of the last one.
fn the_latest_are_completed(state: &State, broken: &mut Vec<String>) {
    let mut by_key: BTreeMap<_, bool> = BTreeMap::new();
    for run in state.runs.iter().filter(|it| it.job_type == Latest::TYPE) {
        *by_key.entry(&run.concurrency_key).or_default() |= run.status == "completed";
    }
    for (key, _) in by_key.into_iter().filter(|(_, is_completed)| !is_completed) {
        broken.push(format!("of the runs of the key {key:?} none is completed"));
    }
}

fn no_key_is_shared(state: &State, broken: &mut Vec<String>) {
    let mut by_key: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for run in &state.runs {
        let (Some(key), Some(began), Some(ended)) =
            (&run.concurrency_key, run.started_at, run.finished_at)
        else {
            continue;
        };
        by_key.entry(key).or_default().push((began, ended, run.id));
    }
    for (key, mut runs) in by_key {
        runs.sort_unstable();
        for pair in runs.windows(2) {
            if pair[1].0 < pair[0].1 {
                broken.push(format!("two runs of key {key} overlapped: {pair:?}"));
            }
        }
        for (began, ended, id) in runs {
            let outside = state.effects.iter().find(|it| {
                it.run_id == Some(id) && it.held && (it.began_at < began || it.began_at > ended)
            });
            if let Some(effect) = outside {
                broken.push(format!("an effect of run {id} without its key: {effect:?}"));
            }
        }
    }
}

fn aggregates_are_in_order(state: &State, broken: &mut Vec<String>) {
    let events: HashMap<_, _> = state.events.iter().map(|it| (it.id, it)).collect();
    let recorded: HashMap<_, _> = state
        .deliveries
        .iter()
        .map(|it| ((it.event_id, it.subscription.as_str()), it.processed_at))
        .collect();
    let mut seen: BTreeMap<(&str, &str), BTreeSet<i64>> = BTreeMap::new();
    for effect in &state.effects {
        let Some(event) = effect.event_id.and_then(|id| events.get(&id)) else {
            continue;
        };
        let recorded_at = recorded
            .get(&(event.id, effect.what.as_str()))
            .copied()
            .unwrap_or(event.dispatched_at);
        if effect.held && recorded_at.is_some_and(|at| effect.began_at > at) {
            broken.push(format!(
                "event {} was on record as delivered to {} and was delivered again",
                event.id, effect.what
            ));
        }
        let Some(aggregate) = event.aggregate_id.as_deref() else {
            continue;
        };
        let seen = seen.entry((&effect.what, aggregate)).or_default();
        // Events come again after a crash, but none comes for the first time after a later one.
        if seen.insert(event.seq) && seen.last() != Some(&event.seq) {
            broken.push(format!(
                "{}: event {} of {aggregate} came after a later one",
                effect.what, event.seq
            ));
        }
    }
}

fn every_trigger_fired_once(state: &State, broken: &mut Vec<String>) {
    for event in &state.events {
        for trigger in super::workload::triggers_of(&event.event_type) {
            // A run that the publisher asked for stands for it.
            let direct = trigger.split('/').next().map(|job| format!("{job}/direct"));
            let of_it = |id: &str| id == *trigger || Some(id) == direct.as_deref();
            let runs: Vec<_> = state
                .runs
                .iter()
                .filter(|it| {
                    it.event_id == Some(event.id) && it.trigger_id.as_deref().is_some_and(of_it)
                })
                .map(|it| it.id)
                .collect();
            let on_record: Vec<_> = state
                .ledger
                .iter()
                .filter(|it| it.event_id == event.id && of_it(&it.trigger_id))
                .map(|it| (it.status.as_str(), it.run_id))
                .collect();
            let [run] = runs[..] else {
                broken.push(format!(
                    "event {} started {} runs by {trigger}",
                    event.id,
                    runs.len()
                ));
                continue;
            };
            if on_record != [("started", Some(run))] {
                broken.push(format!(
                    "event {} started run {run} by {trigger}, and the ledger says {on_record:?}",
                    event.id
                ));
            }
        }
    }
}

fn every_child_is_there_once(state: &State, broken: &mut Vec<String>) {
    let completed = state.runs.iter().filter(|it| it.status == "completed");
    for run in completed {
        let mut children: Vec<_> = state
            .runs
            .iter()
            .filter(|it| it.parent_run_id == Some(run.id))
            .filter_map(|it| it.child_name.as_deref())
            .collect();
        children.sort_unstable();
        if children != super::workload::children_of(&run.job_type) {
            broken.push(format!("run {} has the children {children:?}", run.id));
        }
    }
}

// Of a schedule that makes up for what it missed.
fn every_slot_has_one_run(state: &State, broken: &mut Vec<String>) {
    let mut slots: Vec<_> = state.runs.iter().filter_map(|it| it.slot).collect();
    slots.sort_unstable();
    for pair in slots.windows(2) {
        if (pair[1] - pair[0]).num_seconds() != Tick::EVERY {
            broken.push(format!("slots were lost or made twice: {pair:?}"));
        }
    }
}

// By the runs that were executed once: of the others nobody knows when the first process lost them.
fn no_pool_exceeds_its_limit(state: &State, broken: &mut Vec<String>) {
    let mut executions: HashMap<Uuid, Vec<_>> = HashMap::new();
    for run in &state.runs {
        if run.pool == super::workload::LIMITED_POOL {
            executions.insert(run.id, Vec::new());
        }
    }
    for effect in &state.effects {
        let run = effect.run_id.and_then(|id| executions.get_mut(&id));
        run.into_iter().for_each(|it| it.push(effect));
    }
    let mut changes = Vec::new();
    for effects in executions.values() {
        if let [effect] = effects[..]
            && let Some(ended_at) = effect.ended_at
        {
            changes.extend([(effect.began_at, 1), (ended_at, -1)]);
        }
    }
    changes.sort_unstable();
    let mut running = 0;
    let most = changes.iter().map(|(_, change)| {
        running += change;
        running
    });
    let most = most.max().unwrap_or(0);
    if most > i64::from(super::workload::LIMIT) {
        broken.push(format!("{most} runs of the limited pool at a time"));
    }
}
