//! What a case must lead to, as far as that is simple to say.

use std::collections::{BTreeMap, BTreeSet};

use runtime_sea::bridge::BridgeStatus;
use runtime_sea::{EventStatus, RunStatus};

use super::script::{Attempt, Call, Child, Happened, Kind, Op, Wait, Work};
use super::view::{RunView, View};

const MAX_ATTEMPTS: i32 = 3;
const WINDOW_MINUTES: u64 = 17;

#[derive(Default)]
pub(super) struct Model {
    minutes: u64,
    /// Committed, in their order, with their aggregate.
    events: Vec<(u8, Happened)>,
    /// New ones, in their order.
    runs: Vec<(Kind, Work)>,
    /// The runs that were started together with an event, by both labels.
    direct: BTreeMap<String, String>,
    /// What somebody has interfered with: its end depends on more than its script.
    touched: BTreeSet<String>,
    /// Until when a deduplication window is open, and for which run; none where a replay has made it unclear.
    windows: BTreeMap<u8, Option<(u64, String)>>,
}

impl Model {
    /// Goes through a case and checks the answers that it knows.
    pub(super) fn of(ops: &[Op], answers: &[String]) -> Result<Self, String> {
        let mut model = Self::default();
        for (at, (op, answer)) in ops.iter().zip(answers).enumerate() {
            let wanted = model.step(op, answer);
            if wanted.as_ref().is_some_and(|wanted| wanted != answer) {
                return Err(format!("operation {at}: {answer} instead of {wanted:?}"));
            }
        }
        Ok(model)
    }

    fn step(&mut self, op: &Op, answer: &str) -> Option<String> {
        match op {
            Op::Publish {
                aggregate,
                event,
                commit,
            } => {
                if *commit {
                    self.events.push((*aggregate, event.clone()));
                }
                Some("new".to_owned())
            }
            Op::PublishAndStart {
                aggregate,
                event,
                work,
                commit,
            } => {
                if *commit {
                    self.events.push((*aggregate, event.clone()));
                    self.runs.push((Kind::Plain, work.clone()));
                    self.direct.insert(event.label.clone(), work.label.clone());
                }
                Some("both".to_owned())
            }
            Op::PublishAgain { .. } if self.events.is_empty() => None,
            Op::PublishAgain { .. } => Some("duplicate".to_owned()),
            Op::Start { kind, work, .. } => {
                if answer == "started" {
                    self.runs.push((*kind, work.clone()));
                }
                match kind {
                    Kind::Rejecting => None,
                    Kind::Deduplicated => self.start_deduplicated(work),
                    _ => Some("started".to_owned()),
                }
            }
            Op::StartMany { kind, works } => {
                let mut wanted = Vec::new();
                for (work, answer) in works.iter().zip(answer.split("; ")) {
                    if answer == "started" {
                        self.runs.push((*kind, work.clone()));
                    }
                    wanted.push(match kind {
                        Kind::Rejecting => None,
                        Kind::Deduplicated => self.start_deduplicated(work),
                        _ => Some("started".to_owned()),
                    });
                }
                let wanted: Option<Vec<_>> = wanted.into_iter().collect();
                wanted.map(|it| it.join("; "))
            }
            Op::Cancel { run }
            | Op::Replay { run, .. }
            | Op::Retry { run }
            | Op::Move { run, .. }
            | Op::LoseRun { run } => {
                let (kind, work) = self.runs.get(run.checked_rem(self.runs.len())?)?;
                self.touched.insert(work.label.clone());
                if *kind == Kind::Deduplicated {
                    self.windows.insert(work.key, None);
                }
                None
            }
            Op::Redeliver { event } | Op::ReplayEvent { event } | Op::LoseEvent { event } => {
                let (_, event) = self.events.get(event.checked_rem(self.events.len())?)?;
                self.touched.insert(event.label.clone());
                None
            }
            Op::Advance { ticks } => {
                self.minutes += 10 * u64::from(*ticks);
                None
            }
            Op::Pause | Op::Resume | Op::Limit { .. } | Op::Work => None,
        }
    }

    fn start_deduplicated(&mut self, work: &Work) -> Option<String> {
        match self.windows.get(&work.key) {
            Some(None) => None,
            Some(Some((until, label))) if *until > self.minutes => Some(label.clone()),
            _ => {
                let window = (self.minutes + WINDOW_MINUTES, work.label.clone());
                self.windows.insert(work.key, Some(window));
                Some("started".to_owned())
            }
        }
    }

    /// Checks how it ended.
    pub(super) fn check(&self, end: &View) -> Result<(), String> {
        if !end.is_over() {
            return Err(format!("it never ends: {end:#?}"));
        }
        for (aggregate, event) in &self.events {
            self.check_event(*aggregate, event, end)?;
        }
        if end.events.len() != self.events.len() {
            return Err("there are other events than those that were committed".to_owned());
        }
        for (kind, work) in &self.runs {
            let run = end.runs.get(&work.label).ok_or("a run is lost")?;
            self.check_run(*kind, work, run)?;
            if let Some(child) = run.children.first() {
                let child = end.runs.get(child).ok_or("a child is lost")?;
                let is_left_alone = *kind != Kind::Replacing && !self.touched.contains(&work.label);
                if is_left_alone {
                    check_child(work, run.status, child)?;
                }
            }
        }
        self.check_order(end)
    }

    fn check_event(&self, aggregate: u8, event: &Happened, end: &View) -> Result<(), String> {
        let label = &event.label;
        let found = end.events.get(label).ok_or(format!("{label} is lost"))?;
        match (&event.start, found.bridge.as_slice()) {
            (None, [(_, BridgeStatus::Started, None, Some(run))])
                if self.direct.get(label) == Some(run) => {}
            (None, [(_, BridgeStatus::Skipped, Some(_), None)])
                if !self.direct.contains_key(label) => {}
            (Some(work), [(_, BridgeStatus::Started, None, Some(run))]) if *run == work.label => {
                let run = end.runs.get(&work.label).ok_or("a triggered run is lost")?;
                self.check_run(Kind::Plain, work, run)?;
            }
            (_, bridge) => return Err(format!("{label}: the trigger did {bridge:?}")),
        }
        if self.touched.contains(label) {
            return Ok(());
        }
        let mut has_failed = false;
        for (consumer, script) in [("first", &event.first), ("second", &event.second)] {
            let (calls, failed) = calls_of(script);
            has_failed |= failed;
            let found: Vec<_> = calls_with(end, consumer, aggregate)
                .iter()
                .filter(|it| it.0 == *label)
                .map(|it| it.1)
                .collect();
            if found != (1..=calls).collect::<Vec<_>>() {
                return Err(format!(
                    "{label}: {consumer} was called {found:?}, not {calls} times"
                ));
            }
        }
        let wanted = if has_failed {
            EventStatus::Failed
        } else {
            EventStatus::Processed
        };
        if found.status != wanted {
            return Err(format!("{label} is {}, not {wanted}", found.status));
        }
        Ok(())
    }

    fn check_run(&self, kind: Kind, work: &Work, run: &RunView) -> Result<(), String> {
        let depends_on_others = matches!(kind, Kind::Replacing | Kind::Timed);
        if depends_on_others || self.touched.contains(&work.label) {
            return Ok(());
        }
        check_attempts(work, run)
    }

    // Each event of an aggregate is through with a consumer before the next one begins.
    fn check_order(&self, end: &View) -> Result<(), String> {
        for consumer in ["first", "second"] {
            for aggregate in 0..3 {
                let events = self.events.iter().filter(|it| it.0 == aggregate);
                let labels: Vec<_> = events.map(|(_, event)| event.label.as_str()).collect();
                if labels.iter().any(|label| self.touched.contains(*label)) {
                    continue;
                }
                let calls = calls_with(end, consumer, aggregate);
                let mut called: Vec<_> = calls.iter().map(|it| it.0.as_str()).collect();
                called.dedup();
                if called != labels {
                    return Err(format!("{consumer} was called in the order {calls:?}"));
                }
            }
        }
        Ok(())
    }
}

fn check_child(parent: &Work, ended: RunStatus, child: &RunView) -> Result<(), String> {
    // One that waited for it has outlived it.
    let has_waited = parent.wait == Wait::Children && ended == RunStatus::Failed;
    let is_closed =
        parent.child != Child::Abandoned && ended != RunStatus::Completed && !has_waited;
    if !is_closed {
        return check_attempts(&parent.child(), child);
    }
    match child.status {
        RunStatus::Canceled if child.steps.is_empty() => Ok(()),
        status => Err(format!("{}'s child is {status}", parent.label)),
    }
}

fn calls_with<'a>(end: &'a View, consumer: &str, aggregate: u8) -> &'a [(String, u32)] {
    let key = (consumer.to_owned(), aggregate.to_string());
    end.calls.get(&key).map_or(&[], Vec::as_slice)
}

// How often a subscription is called, and whether the last call fails.
fn calls_of(script: &[Call]) -> (u32, bool) {
    for number in 1..=3_u32 {
        match script.get(number as usize - 1).unwrap_or(&Call::Accept) {
            Call::Accept => return (number, false),
            Call::GiveUp => return (number, true),
            Call::Refuse | Call::Panic => {}
        }
    }
    (3, true)
}

fn check_attempts(work: &Work, run: &RunView) -> Result<(), String> {
    let mut errors = Vec::new();
    let mut attempt = 1;
    // Executions, the attempt of the last one, and whether it has completed.
    let mut steps: BTreeMap<u8, (i32, i32, bool)> = BTreeMap::new();
    let status = loop {
        let index = usize::try_from(attempt - 1).unwrap();
        let ending = work.script.get(index).copied().unwrap_or(Attempt::Succeed);
        for step in 1..=work.steps {
            let fails = ending == Attempt::FailInLastStep && step == work.steps;
            let (executions, last, completed) = steps.entry(step).or_default();
            if !*completed {
                *executions += 1;
                *last = attempt;
                *completed = !fails;
            }
        }
        match ending {
            Attempt::Succeed => break RunStatus::Completed,
            Attempt::Panic => errors.push((attempt, "panicked".to_owned())),
            _ => errors.push((attempt, "failed".to_owned())),
        }
        if ending == Attempt::GiveUp || attempt == MAX_ATTEMPTS {
            break RunStatus::Failed;
        }
        attempt += 1;
    };
    let executed: Vec<_> = run
        .steps
        .iter()
        .filter(|it| it.0.starts_with("step "))
        .map(|it| (it.2, it.3))
        .collect();
    let wanted: Vec<_> = steps.into_values().map(|it| (it.0, it.1)).collect();
    let found = (run.status, run.attempt, &run.errors, executed);
    let wanted = (status, attempt, &errors, wanted);
    if found != wanted {
        return Err(format!("{}: {found:?} instead of {wanted:?}", work.label));
    }
    Ok(())
}
