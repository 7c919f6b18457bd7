//! What is started or published at regular times.
//!
//! A schedule's row in `job_schedule` says what its next slot is. Whoever finds that the slot has come moves the row on
//! and makes the slot's run or event in one transaction; the row moves only from the slot that was found, so that a slot
//! is made once however many workers there are. A run is unique by its schedule and slot, an event by the id that is
//! derived from them.

mod adopt;
mod fire;
mod make;
mod manage;
mod plan;
mod register;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::events::{AggregateId, Direction, Draft, Event, EventId, PublishOptions};
use crate::jobs::{JobHandler, PreparedRun, StartOptions};
use crate::storable::check_name;

pub use plan::ScheduleError;

pub(crate) use fire::Timetable;
pub(crate) use manage::{list, set_paused};
pub(crate) use plan::Plan;
pub(crate) use register::register;

/// What becomes of slots that nobody was there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Misfire {
    /// Those that are more than a minute old are passed over.
    Skip,
    /// Of all that are due the most recent is made, the others are passed over.
    #[default]
    Last,
    /// Every one is made, the oldest first; a thousand at a time.
    All,
}

impl Misfire {
    /// The name as it stands in `job_schedule.misfire`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Last => "last",
            Self::All => "all",
        }
    }
}

/// When something is made: a cron expression, read in a time zone.
///
/// ```
/// use runtime_sea::{Misfire, Schedule};
///
/// let schedule = Schedule::cron("0 6 * * *").timezone("Europe/Berlin").misfire(Misfire::All);
/// ```
///
/// Where the clocks are put forward, a time of the day that is left out (`30 2 * * *`) has its slot at the first moment
/// after the gap; where they are put back, it has one slot, at the first of the two. Lists and ranges (`30 2,14 * * *`)
/// are such times, up to 96 a day. An expression with a wildcard or a step in its hours or minutes (`*/15 * * * *`), or
/// with more times, makes its slots as real time passes: none in the gap, and both times in the hour that is there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Schedule {
    cron: String,
    timezone: String,
    misfire: Misfire,
    name: Option<String>,
}

impl Schedule {
    /// At the times of the expression: minute, hour, day of the month, month, day of the week, with seconds before them
    /// or not; in UTC, and [`Misfire::Last`], unless set. What is wrong with the expression is said when the worker is
    /// built.
    pub fn cron(expression: impl Into<String>) -> Self {
        Self {
            cron: expression.into(),
            timezone: "UTC".to_owned(),
            misfire: Misfire::default(),
            name: None,
        }
    }

    /// The IANA time zone that the expression is read in, such as `Europe/Berlin`.
    pub fn timezone(mut self, timezone: impl Into<String>) -> Self {
        self.timezone = timezone.into();
        self
    }

    /// What becomes of missed slots.
    pub fn misfire(mut self, misfire: Misfire) -> Self {
        self.misfire = misfire;
        self
    }

    /// Tells the schedules of one job or event type apart; needed from the second one on. Keep it stable: it is part of
    /// the name that the schedule is remembered by.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// One time at which a schedule makes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Slot {
    /// The moment of the schedule, which may be some time ago.
    pub at: DateTime<Utc>,
}

/// A schedule as it stands in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScheduleRecord {
    /// `job/<type>` or `event/<type>`, and `/<name>` where it has one.
    pub name: String,
    /// What a slot makes: `job`, a run, or `event`.
    pub kind: String,
    /// The type of the job or event.
    pub target: String,
    /// The cron expression.
    pub cron: String,
    /// The time zone that it is read in.
    pub timezone: String,
    /// What becomes of missed slots.
    pub misfire: String,
    /// Nothing is made while it is paused.
    pub paused: bool,
    /// The next slot; none where the expression has no more.
    pub next_slot_at: Option<DateTime<Utc>>,
    /// The last slot that something was made for.
    pub last_slot_at: Option<DateTime<Utc>>,
    /// When a live worker last hosted it with this expression, to some seconds.
    pub seen_at: DateTime<Utc>,
}

/// What a slot makes.
#[derive(Clone)]
pub(crate) enum Made {
    Run(Box<PreparedRun>),
    Event(Box<Draft>),
}

type Make = dyn Fn(Slot) -> Result<Made, String> + Send + Sync;

/// A schedule as its worker holds it, the types of what it makes erased.
#[derive(Clone)]
pub(crate) struct Scheduled {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) target: &'static str,
    pub(crate) schedule: Schedule,
    /// What its event would be a change of.
    aggregate: Option<&'static str>,
    make: Arc<Make>,
}

impl Scheduled {
    pub(crate) fn job<J: JobHandler>(
        schedule: Schedule,
        input: impl Fn(Slot) -> J::Input + Send + Sync + 'static,
    ) -> Self {
        let name = full_name("job", J::TYPE, &schedule);
        let of = name.clone();
        let make = move |slot: Slot| {
            let options = StartOptions::new().no_tenant();
            let mut run =
                PreparedRun::new::<J>(&input(slot), options).map_err(|error| error.to_string())?;
            run.slot = Some((of.clone(), slot.at));
            Ok(Made::Run(Box::new(run)))
        };
        Self {
            name,
            kind: "job",
            target: J::TYPE,
            aggregate: None,
            schedule,
            make: Arc::new(make),
        }
    }

    pub(crate) fn event<E: Event>(
        schedule: Schedule,
        event: impl Fn(Slot) -> E + Send + Sync + 'static,
    ) -> Self {
        let name = full_name("event", E::TYPE, &schedule);
        let of = name.clone();
        let make = move |slot: Slot| {
            let options = PublishOptions::new()
                .id(EventId::from_source(&of, &slot.at.to_rfc3339()))
                .occurred_at(slot.at)
                .no_tenant();
            let nobody = AggregateId::from(crate::NoAggregate);
            Draft::of(nobody, &event(slot), options)
                .map(|draft| Made::Event(Box::new(draft)))
                .map_err(|error| error.to_string())
        };
        Self {
            name,
            kind: "event",
            target: E::TYPE,
            aggregate: E::ROUTE
                .aggregate_type()
                .filter(|_| E::ROUTE.direction() == Some(Direction::Change)),
            schedule,
            make: Arc::new(make),
        }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.plan().map_err(|error| error.to_string())?;
        check_name("its name", &self.name)?;
        match self.aggregate {
            Some(aggregate) => Err(format!(
                "its event is a change of `{aggregate}`, and a schedule knows none"
            )),
            None => Ok(()),
        }
    }

    /// The expression and the time zone, read.
    pub(crate) fn plan(&self) -> Result<Plan, ScheduleError> {
        Plan::read(&self.schedule.cron, &self.schedule.timezone)
    }
}

fn full_name(kind: &str, target: &str, schedule: &Schedule) -> String {
    match &schedule.name {
        Some(name) => format!("{kind}/{target}/{name}"),
        None => format!("{kind}/{target}"),
    }
}

impl fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduled")
            .field("name", &self.name)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}
