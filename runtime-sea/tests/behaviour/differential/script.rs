//! What a case does, and how handlers behave in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use runtime_sea::jobs::{ParentClose, Replay};
use runtime_sea::{
    Collision, Event, EventRetry, EventRoute, JobContext, JobError, JobHandler, JobPolicy,
    JobResult, Retry, StartOptions,
};
use serde::{Deserialize, Serialize};

/// The clock is moved by multiples of ten minutes, and nothing else takes that long: what is due within a case is never
/// due at a moment at which something is looked at.
pub(super) const TICK: Duration = Duration::from_secs(10 * 60);

const RETRY: Duration = Duration::from_secs(3 * 60);
const LATER: Duration = Duration::from_secs(13 * 60);
const WINDOW: Duration = Duration::from_secs(17 * 60);
const TIMEOUT: Duration = Duration::from_secs(35 * 60);
const NAP: Duration = Duration::from_secs(25 * 60);
const SNOOZE: Duration = Duration::from_secs(7 * 60);
/// Longer than all that an operation may do, so that such a child is executed long after its parent's end.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// The jobs, which differ in their policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Paused,
    Queued,
    Rejecting,
    Replacing,
    Deduplicated,
    Timed,
}

pub(super) const PLAIN: u8 = Kind::Plain as u8;
pub(super) const PAUSED: u8 = Kind::Paused as u8;
pub(super) const QUEUED: u8 = Kind::Queued as u8;
pub(super) const REJECTING: u8 = Kind::Rejecting as u8;
pub(super) const REPLACING: u8 = Kind::Replacing as u8;
pub(super) const DEDUPLICATED: u8 = Kind::Deduplicated as u8;
pub(super) const TIMED: u8 = Kind::Timed as u8;

/// The pool that a case pauses and resumes.
pub(super) const PAUSABLE: &str = "pausable";

/// How one attempt of a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Attempt {
    Succeed,
    Fail,
    FailInLastStep,
    GiveUp,
    RetryAfter,
    Panic,
}

/// What a run waits for between its steps and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wait {
    Nothing,
    Time,
    Children,
    /// One about this aggregate.
    Event(u8),
}

/// What becomes of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Child {
    None,
    /// Its parent's end does not concern it.
    Abandoned,
    /// It is due when its parent is long over, and cancelled with it.
    Cancelled,
    Terminated,
}

/// How often each run has been put off, by label.
pub(super) type Snoozes = Arc<Mutex<BTreeMap<String, u8>>>;

/// The input of a run. Attempts beyond the script succeed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Work {
    pub(super) label: String,
    pub(super) key: u8,
    pub(super) steps: u8,
    /// How often it puts itself off before anything else; no attempt is used up by it.
    pub(super) snoozes: u8,
    pub(super) child: Child,
    pub(super) wait: Wait,
    pub(super) script: Vec<Attempt>,
}

impl Work {
    pub(super) fn child(&self) -> Self {
        Self {
            label: format!("{}'s child", self.label),
            child: Child::None,
            wait: Wait::Nothing,
            ..self.clone()
        }
    }
}

pub(super) struct Scripted<const KIND: u8>(pub(super) Snoozes);

impl<const KIND: u8> Scripted<KIND> {
    fn is_put_off(&self, work: &Work) -> bool {
        let mut snoozes = self.0.lock().unwrap();
        let so_far = snoozes.entry(work.label.clone()).or_default();
        let is_put_off = *so_far < work.snoozes;
        *so_far += u8::from(is_put_off);
        is_put_off
    }
}

impl<const KIND: u8> JobHandler for Scripted<KIND> {
    const TYPE: &'static str = match KIND {
        PLAIN => "differential_plain",
        PAUSED => "differential_paused",
        QUEUED => "differential_queued",
        REJECTING => "differential_rejecting",
        REPLACING => "differential_replacing",
        DEDUPLICATED => "differential_deduplicated",
        TIMED => "differential_timed",
        _ => panic!("no such kind"),
    };
    type Input = Work;
    type Output = String;

    fn policy() -> JobPolicy<Work> {
        let key = |work: &Work| format!("{}:{}", Self::TYPE, work.key);
        let policy = JobPolicy::<Work>::new().retry(Retry::fixed(3, RETRY));
        match KIND {
            PLAIN => policy.on::<Happened>(|event| event.payload.start.clone()),
            PAUSED => policy.pool(PAUSABLE.to_owned()),
            QUEUED => policy.concurrency(Collision::Queue, key),
            REJECTING => policy.concurrency(Collision::Reject, key),
            // Whether a run that is due again is replaced before or after it begins is a matter of luck.
            REPLACING => policy
                .concurrency(Collision::Replace, key)
                .retry(Retry::fixed(1, RETRY)),
            DEDUPLICATED => policy.dedupe(WINDOW, key),
            _ => policy.timeout(TIMEOUT),
        }
    }

    async fn run(&self, ctx: &JobContext, work: Work) -> JobResult<String> {
        if self.is_put_off(&work) {
            return Err(JobError::snooze(SNOOZE, "not yet"));
        }
        let attempt = ctx.attempt() as usize - 1;
        let ending = work
            .script
            .get(attempt)
            .copied()
            .unwrap_or(Attempt::Succeed);
        for step in 1..=work.steps {
            let fails = ending == Attempt::FailInLastStep && step == work.steps;
            let output = async || match fails {
                true => Err(JobError::retryable("the step fails")),
                false => Ok(step),
            };
            ctx.step(&format!("step {step}"), output).await?;
        }
        // Whether a child that its parent takes down has been executed by then is a matter of luck, unless it is far off.
        let far = StartOptions::new().delay(FAR);
        let options = match work.child {
            Child::None => None,
            Child::Abandoned => Some(StartOptions::new().parent_close(ParentClose::Abandon)),
            Child::Cancelled => Some(far.parent_close(ParentClose::Cancel)),
            Child::Terminated => Some(far.parent_close(ParentClose::Terminate)),
        };
        if let Some(options) = options {
            ctx.spawn_child_with::<Scripted<PLAIN>>("child", work.child(), options)
                .await?;
        }
        let mut output = work.label;
        match work.wait {
            Wait::Nothing => {}
            Wait::Time => ctx.sleep("nap", NAP).await?,
            Wait::Children => {
                for child in ctx.wait_for_children().await? {
                    output = format!("{output}, {}", child.status);
                }
            }
            Wait::Event(aggregate) => {
                let key = aggregate.to_string();
                let event = ctx.wait_for_event::<Happened>(&key, PATIENCE).await?;
                let heard = event.map_or("nothing".to_owned(), |it| it.payload.label);
                output = format!("{output}, {heard}");
            }
        }
        match ending {
            Attempt::Succeed => Ok(output),
            Attempt::Fail | Attempt::FailInLastStep => Err(JobError::retryable("it fails")),
            Attempt::GiveUp => Err(JobError::non_retryable("it gives up")),
            Attempt::RetryAfter => Err(JobError::retry_after(LATER, "it fails for now")),
            Attempt::Panic => panic!("it panics"),
        }
    }
}

/// How one call of a subscription ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Call {
    Accept,
    Refuse,
    GiveUp,
    Panic,
}

/// Calls beyond the scripts accept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Happened {
    pub(super) label: String,
    pub(super) first: Vec<Call>,
    pub(super) second: Vec<Call>,
    pub(super) start: Option<Work>,
}

impl Event for Happened {
    const TYPE: &'static str = "differential_happened";
    const ROUTE: EventRoute =
        EventRoute::change("thing").retry(EventRetry::fixed(3).first_delay(RETRY));
}

/// One step of a case. What it names by number is there or not: the number is taken modulo how many there are.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Publish {
        aggregate: u8,
        event: Happened,
        commit: bool,
    },
    PublishAgain {
        event: usize,
    },
    PublishAndStart {
        aggregate: u8,
        event: Happened,
        work: Work,
        commit: bool,
    },
    Start {
        kind: Kind,
        work: Work,
        ticks: u8,
        priority: i16,
    },
    StartMany {
        kind: Kind,
        works: Vec<Work>,
    },
    Cancel {
        run: usize,
    },
    Replay {
        run: usize,
        from: Replay,
    },
    Retry {
        run: usize,
    },
    Move {
        run: usize,
        ticks: u8,
    },
    Redeliver {
        event: usize,
    },
    ReplayEvent {
        event: usize,
    },
    Pause,
    Resume,
    /// How many runs the pausable pool executes at a time.
    Limit {
        runs: u32,
    },
    /// A worker claims the run and is never heard of again.
    LoseRun {
        run: usize,
    },
    LoseEvent {
        event: usize,
    },
    Advance {
        ticks: u8,
    },
    Work,
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 4..24).prop_map(|mut ops| {
        for (number, op) in ops.iter_mut().enumerate() {
            name(op, number);
            leave_nothing_to_luck(op);
        }
        ops
    })
}

// What is due in the same piece of work happens in any order, so that nothing may depend on which goes first.
fn leave_nothing_to_luck(op: &mut Op) {
    let (kind, works) = match op {
        Op::Start {
            kind,
            work,
            priority,
            ..
        } => {
            // The holder of the key may end before or after one that goes first has joined the line.
            if *kind == Kind::Queued {
                *priority = 0;
            }
            (kind, std::slice::from_mut(work))
        }
        Op::StartMany { kind, works } => (kind, works.as_mut_slice()),
        _ => return,
    };
    for work in works {
        match kind {
            // Its wait may end before or after another run that is due takes its place.
            Kind::Replacing => work.wait = Wait::Nothing,
            // Its children may end before or after its time is up.
            Kind::Timed if work.wait == Wait::Children => work.wait = Wait::Nothing,
            _ => {}
        }
    }
}

// What belongs to what is known by these, whatever its id.
fn name(op: &mut Op, number: usize) {
    match op {
        Op::Publish { event, .. } => {
            event.label = format!("event {number}");
            if let Some(work) = &mut event.start {
                work.label = format!("run of event {number}");
            }
        }
        Op::PublishAndStart { event, work, .. } => {
            event.label = format!("event {number}");
            event.start = None;
            work.label = format!("run {number}");
        }
        Op::Start { work, .. } => work.label = format!("run {number}"),
        Op::StartMany { works, .. } => {
            for (place, work) in works.iter_mut().enumerate() {
                work.label = format!("run {number}.{place}");
            }
        }
        _ => {}
    }
}

fn op() -> impl Strategy<Value = Op> {
    let any = 0_usize..64;
    prop_oneof![
        6 => (0_u8..3, event(), prop::bool::weighted(0.85))
            .prop_map(|(aggregate, event, commit)| Op::Publish { aggregate, event, commit }),
        1 => any.clone().prop_map(|event| Op::PublishAgain { event }),
        1 => (0_u8..3, event(), work(), prop::bool::weighted(0.85)).prop_map(
            |(aggregate, event, work, commit)| Op::PublishAndStart { aggregate, event, work, commit }
        ),
        8 => (kind(), work(), prop_oneof![3 => Just(0_u8), 1 => 1_u8..4], -1_i16..2)
            .prop_map(|(kind, work, ticks, priority)| Op::Start { kind, work, ticks, priority }),
        1 => (kind(), vec(work(), 2..4)).prop_map(|(kind, works)| Op::StartMany { kind, works }),
        2 => any.clone().prop_map(|run| Op::Cancel { run }),
        2 => (any.clone(), prop_oneof![
            Just(Replay::Scratch), Just(Replay::LastStep), Just(Replay::LastCheckpoint)
        ]).prop_map(|(run, from)| Op::Replay { run, from }),
        1 => any.clone().prop_map(|run| Op::Retry { run }),
        1 => (any.clone(), 0_u8..4).prop_map(|(run, ticks)| Op::Move { run, ticks }),
        1 => any.clone().prop_map(|event| Op::Redeliver { event }),
        1 => any.clone().prop_map(|event| Op::ReplayEvent { event }),
        1 => Just(Op::Pause),
        1 => Just(Op::Resume),
        1 => (0_u32..3).prop_map(|runs| Op::Limit { runs }),
        2 => any.clone().prop_map(|run| Op::LoseRun { run }),
        1 => any.prop_map(|event| Op::LoseEvent { event }),
        3 => (1_u8..4).prop_map(|ticks| Op::Advance { ticks }),
        6 => Just(Op::Work),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Plain),
        Just(Kind::Paused),
        Just(Kind::Queued),
        Just(Kind::Rejecting),
        Just(Kind::Replacing),
        Just(Kind::Deduplicated),
        Just(Kind::Timed),
    ]
}

fn work() -> impl Strategy<Value = Work> {
    let attempt = prop_oneof![
        2 => Just(Attempt::Succeed),
        2 => Just(Attempt::Fail),
        2 => Just(Attempt::FailInLastStep),
        1 => Just(Attempt::GiveUp),
        1 => Just(Attempt::RetryAfter),
        1 => Just(Attempt::Panic),
    ];
    let child = prop_oneof![
        16 => Just(Child::None),
        2 => Just(Child::Abandoned),
        1 => Just(Child::Cancelled),
        1 => Just(Child::Terminated),
    ];
    let snoozes = prop_oneof![5 => Just(0_u8), 1 => 1_u8..3];
    let wait = prop_oneof![
        6 => Just(Wait::Nothing),
        1 => Just(Wait::Time),
        1 => Just(Wait::Children),
        1 => (0_u8..3).prop_map(Wait::Event),
    ];
    let script = vec(attempt, 0..4);
    (0_u8..2, 0_u8..3, snoozes, child, wait, script).prop_map(
        |(key, steps, snoozes, child, wait, script)| Work {
            label: String::new(),
            key,
            steps,
            snoozes,
            child,
            wait,
            script,
        },
    )
}

fn event() -> impl Strategy<Value = Happened> {
    let call = || {
        prop_oneof![
            3 => Just(Call::Accept),
            2 => Just(Call::Refuse),
            1 => Just(Call::GiveUp),
            1 => Just(Call::Panic),
        ]
    };
    let calls = move || prop_oneof![2 => Just(Vec::new()), 1 => vec(call(), 1..4)];
    (calls(), calls(), option::weighted(0.3, work())).prop_map(|(first, second, start)| Happened {
        label: String::new(),
        first,
        second,
        start,
    })
}
