//! How a job's runs are queued, retried and bounded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::database::CENTURY;
use crate::events::{Event, EventEnvelope, Tier};
use crate::schedule::{Schedule, Slot};

use super::Pool;
use super::trigger::PolicyTrigger;

/// The pool of a job that names none.
pub(crate) const DEFAULT_POOL: &str = "batch";

/// The lanes of the event drain; no job may use them.
pub(crate) const RESERVED_POOL_PREFIX: &str = "events_";

/// What happens to a start whose concurrency key is taken. Keys are shared by all job types: prefix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collision {
    /// The new run waits; runs of one key execute one after the other.
    Queue,
    /// The start fails with [`StartError::Rejected`](super::StartError::Rejected), which names the incumbent.
    Reject,
    /// The incumbent and everything that waits is cancelled; the newest runs once the incumbent has stopped.
    Replace,
}

impl Collision {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Queue, Self::Reject, Self::Replace]
            .into_iter()
            .find(|it| it.as_str() == name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Reject => "reject",
            Self::Replace => "replace",
        }
    }
}

/// How often a failing run is tried, and how long it waits in between. Waits are spread by a quarter either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    attempts: u32,
    base: Duration,
    factor: u32,
    max: Duration,
}

impl Retry {
    const DEFAULT_MAX: Duration = Duration::from_secs(60 * 60);

    /// At most `attempts` attempts; the first wait is `base`, every further one twice the one before, up to one hour.
    #[must_use]
    pub const fn exponential(attempts: u32, base: Duration) -> Self {
        Self {
            attempts,
            base,
            factor: 2,
            max: Self::DEFAULT_MAX,
        }
    }

    /// At most `attempts` attempts with the same wait in between.
    #[must_use]
    pub const fn fixed(attempts: u32, wait: Duration) -> Self {
        Self {
            attempts,
            base: wait,
            factor: 1,
            max: wait,
        }
    }

    /// One attempt.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            attempts: 1,
            base: Duration::ZERO,
            factor: 1,
            max: Duration::ZERO,
        }
    }

    /// Bounds the wait.
    #[must_use]
    pub const fn max_wait(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    pub(crate) fn attempts(&self) -> i32 {
        i32::try_from(self.attempts.max(1)).unwrap_or(i32::MAX)
    }

    /// The wait after the `failures`th failure; `spread` in `-1.0..=1.0` moves it by up to a quarter.
    pub(crate) fn wait_after(&self, failures: u32, spread: f64) -> Duration {
        let factor = self
            .factor
            .saturating_pow(failures.saturating_sub(1).min(31));
        // Bounded before it is spread: a product beyond the range of durations panics.
        let wait = self.base.saturating_mul(factor).min(self.max).min(CENTURY);
        wait.mul_f64(1.0 + spread.clamp(-1.0, 1.0) / 4.0)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::exponential(5, Duration::from_secs(1))
    }
}

type KeyOf<I> = Arc<dyn Fn(&I) -> String + Send + Sync>;

/// A job's policy, returned by [`JobHandler::policy`](super::JobHandler::policy).
pub struct JobPolicy<I> {
    pub(crate) pool: String,
    pub(crate) retry: Retry,
    pub(crate) max_snoozes: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) scope: Option<(String, KeyOf<I>)>,
    pub(crate) concurrency: Option<(Collision, KeyOf<I>)>,
    pub(crate) dedupe: Option<(Duration, KeyOf<I>)>,
    pub(crate) triggers: Vec<PolicyTrigger<I>>,
    pub(crate) schedules: Vec<PolicySchedule<I>>,
}

/// A schedule as the policy declares it, and the input of its runs.
pub(crate) type PolicySchedule<I> = (Schedule, Arc<dyn Fn(Slot) -> I + Send + Sync>);

impl<I> JobPolicy<I> {
    /// The defaults: pool `batch`, five attempts with exponential waits from one second, no timeout, no keys.
    ///
    /// Write `JobPolicy::<Self::Input>::new()` where closures look into the input: Rust does not look ahead to the
    /// function's return type for them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pool: DEFAULT_POOL.to_owned(),
            retry: Retry::default(),
            max_snoozes: 1000,
            timeout: None,
            scope: None,
            concurrency: None,
            dedupe: None,
            triggers: Vec::new(),
            schedules: Vec::new(),
        }
    }

    /// The pool that the runs go to. Pools named `events_*` belong to the event drain. A constant [`Pool`] is checked by
    /// the compiler; a text is not: `.pool("events_change")` compiles, and the worker that hosts the job is not built.
    #[must_use]
    pub fn pool(mut self, pool: impl Into<Pool>) -> Self {
        self.pool = pool.into().into();
        self
    }

    /// What a run is about: a kind and the id of it, for queries.
    #[must_use]
    pub fn scope<K: ToString>(
        mut self,
        kind: impl Into<String>,
        id: impl Fn(&I) -> K + Send + Sync + 'static,
    ) -> Self {
        self.scope = Some((kind.into(), Arc::new(move |input| id(input).to_string())));
        self
    }

    /// How often and with what waits a failing run is tried again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// How often a run may put itself off with [`JobError::snooze`](super::JobError::snooze) before it fails; 1000 unless
    /// set.
    #[must_use]
    pub fn max_snoozes(mut self, snoozes: u32) -> Self {
        self.max_snoozes = snoozes;
        self
    }

    /// At most one running run per key, whichever worker it is on; `collision` says what becomes of the others.
    ///
    /// A run holds its key from the moment that it is next in line until its end, waits between its attempts included.
    #[must_use]
    pub fn concurrency(
        mut self,
        collision: Collision,
        key: impl Fn(&I) -> String + Send + Sync + 'static,
    ) -> Self {
        self.concurrency = Some((collision, Arc::new(key)));
        self
    }

    /// A second start with the same key within the window returns the first one's run.
    #[must_use]
    pub fn dedupe(
        mut self,
        window: Duration,
        key: impl Fn(&I) -> String + Send + Sync + 'static,
    ) -> Self {
        self.dedupe = Some((window, Arc::new(key)));
        self
    }

    /// The most wall-clock time from the first attempt's begin, over all attempts. The handler is told through
    /// [`JobContext::cancelled`](super::JobContext::cancelled), then its future is dropped. A handler that blocks its
    /// thread cannot be dropped: its run ends all the same, and what the handler does goes on until it returns, also
    /// beside the next run of its concurrency key.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Every event of type `E` starts a run with the input that `input` makes of it, exactly once; `None` passes the
    /// event over. The trigger's stable id is `<job type>/<event type>`.
    #[must_use]
    pub fn on<E: Event>(
        self,
        input: impl Fn(&EventEnvelope<E>) -> Option<I> + Send + Sync + 'static,
    ) -> Self {
        self.on_named::<E>(E::TYPE, input)
    }

    /// As [`on`](Self::on), for a second trigger on one event type: the id is `<job type>/<name>`.
    #[must_use]
    pub fn on_named<E: Event>(
        mut self,
        name: impl Into<String>,
        input: impl Fn(&EventEnvelope<E>) -> Option<I> + Send + Sync + 'static,
    ) -> Self {
        self.triggers.push(PolicyTrigger {
            name: name.into(),
            event_type: E::TYPE,
            is_audit: E::ROUTE.tier() == Tier::Audit,
            input: Arc::new(move |event| Ok(input(&event.decode::<E>(1)?))),
        });
        self
    }

    /// Every slot of the schedule starts a run with the input that `input` makes of it, once, however many workers host
    /// the job. The run belongs to no tenant. Where its concurrency key rejects it, or its deduplication key stands for
    /// an earlier run, the slot is over too.
    #[must_use]
    pub fn schedule(
        mut self,
        schedule: Schedule,
        input: impl Fn(Slot) -> I + Send + Sync + 'static,
    ) -> Self {
        self.schedules.push((schedule, Arc::new(input)));
        self
    }

    /// The name of the trigger that a run stands for which an event's publisher asks for.
    pub(crate) fn stands_for(&self, event_type: &str) -> Option<&str> {
        let mut triggers = self
            .triggers
            .iter()
            .filter(|it| it.event_type == event_type);
        let unnamed = triggers.clone().find(|it| it.name == event_type);
        unnamed
            .or_else(|| triggers.next())
            .map(|it| it.name.as_str())
    }

    /// The plain settings, for the `job` table.
    pub(crate) fn describe(&self) -> serde_json::Value {
        // Whoever starts a run by name reads these as a start takes them.
        let milliseconds = |time: Duration| u64::try_from(time.min(CENTURY).as_millis()).ok();
        json!({
            "pool": self.pool,
            "attempts": self.retry.attempts(),
            "max_snoozes": self.max_snoozes,
            "timeout_ms": self.timeout.and_then(milliseconds),
            "scope": self.scope.as_ref().map(|(kind, _)| kind),
            "collision": self.concurrency.as_ref().map(|(collision, _)| collision.as_str()),
            "triggers": self.triggers.iter().map(|trigger| &trigger.name).collect::<Vec<_>>(),
            "dedupe_ms": self.dedupe.as_ref().and_then(|(window, _)| milliseconds(*window)),
        })
    }
}

impl<I> Default for JobPolicy<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I> fmt::Debug for JobPolicy<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobPolicy {}", self.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r49_waits_grow_and_never_overflow() {
        let retry = Retry::exponential(u32::MAX, Duration::from_secs(1));
        assert_eq!(retry.wait_after(1, 0.0), Duration::from_secs(1));
        assert_eq!(retry.wait_after(3, 0.0), Duration::from_secs(4));
        assert_eq!(
            retry.wait_after(u32::MAX, f64::INFINITY),
            Duration::from_secs(4500)
        );
        assert_eq!(
            Retry::exponential(2, Duration::MAX).wait_after(9, 0.0),
            Duration::from_secs(3600)
        );
        assert_eq!(retry.attempts(), i32::MAX);
        let endless = Retry::fixed(2, Duration::MAX);
        assert!(endless.wait_after(1, 1.0) > Duration::from_secs(1_000_000));
    }

    #[test]
    fn waits_are_spread_by_a_quarter() {
        let retry = Retry::fixed(3, Duration::from_secs(4));
        assert_eq!(retry.wait_after(2, -1.0), Duration::from_secs(3));
        assert_eq!(retry.wait_after(2, 1.0), Duration::from_secs(5));
    }
}
