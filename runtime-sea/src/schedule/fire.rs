//! Making what is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, FromQueryResult,
};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};

use crate::database::{News, Outage, begin_short, dialect, read_row, retrying};
use crate::events::{Events, PublishError};
use crate::failpoint;
use crate::jobs::StartError;
use crate::jobs::entities::job_schedule::{self, Column as C};
use crate::tenancy::TenantScope;
use crate::watched::{Watched, is_to_be_renewed};
use crate::{Runtime, database};

use super::adopt;
use super::make::Making;
use super::{Made, Plan, Scheduled};

/// How many closures are called at a time, each on its thread. One that takes long does not count any more: the others do
/// not wait for it.
const AT_A_TIME: usize = 16;

/// How long a schedule is left alone of which a transaction that is still open has the key: each try waits for it.
const LOCKED_OUT: Duration = Duration::from_secs(5);

/// The schedules of a worker, and what their closures are busy with.
pub(crate) struct Timetable {
    runtime: Runtime,
    hosted: Arc<[Scheduled]>,
    app: Handle,
    state: Mutex<State>,
    done: Arc<Notify>,
}

/// What is remembered from one look to the next, by schedule.
#[derive(Default)]
struct State {
    /// At most one call at a time of each closure: one that blocks costs one thread.
    making: HashMap<String, Making>,
    refused: HashMap<String, Outage>,
    /// Until when those are left alone of which a transaction that is still open has the key.
    locked_out: HashMap<String, Instant>,
    /// Those that another worker's expression rules.
    watched: HashMap<String, Watched>,
}

/// What a look at the schedules did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Fired {
    /// How many runs and events were made.
    pub(crate) made: usize,
    /// Whether closures are busy with what is due, and have not been for long.
    pub(crate) making: bool,
    /// When the next slot comes.
    pub(crate) next: Option<Duration>,
}

#[derive(Debug, FromQueryResult)]
struct Row {
    cron: String,
    timezone: String,
    paused: bool,
    next_slot_at: Option<DateTime<Utc>>,
    seen_at: DateTime<Utc>,
    now: DateTime<Utc>,
    real_now: DateTime<Utc>,
}

impl Row {
    fn goes_by(&self, scheduled: &Scheduled) -> bool {
        let schedule = &scheduled.schedule;
        self.cron == schedule.cron && self.timezone == schedule.timezone
    }
}

impl Timetable {
    /// Must be called on the app's Tokio runtime, where the closures find it.
    pub(crate) fn new(runtime: Runtime, hosted: Arc<[Scheduled]>) -> Self {
        Self {
            runtime,
            hosted,
            app: Handle::current(),
            state: Mutex::default(),
            done: Arc::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hosted.is_empty()
    }

    /// Returns when a closure has returned, at once where one has since the last time.
    pub(crate) async fn closure_returned(&self) {
        self.done.notified().await;
    }

    /// Makes what the slots ask for that have come, each schedule's in a transaction of its own. The closures are called
    /// here, and what they made is written once they have returned, at a later look.
    pub(crate) async fn fire_due(&self, db: &DatabaseConnection) -> Result<Fired, DbErr> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        let dialect = dialect(db)?;
        let mut fired = Fired::default();
        // A watch counts only while every look succeeds.
        let watched = std::mem::take(&mut state.watched);
        let rows = rows(db, &self.hosted).await?;
        self.renew(db, &rows).await?;
        for (name, row) in rows {
            let Some(scheduled) = self.hosted.iter().find(|it| it.name == name) else {
                continue;
            };
            let left_until = state.locked_out.get(&name);
            if left_until.is_some_and(|until| *until > Instant::now()) {
                continue;
            }
            let next = match row {
                Ok(row) if row.goes_by(scheduled) => {
                    self.fire(db, &mut state.making, scheduled, &row, &mut fired)
                        .await
                }
                Ok(row) => {
                    let watched = Watched::go_on(watched.get(&name).copied(), row.seen_at);
                    self.watch(db, &mut state.watched, scheduled, &row, watched)
                        .await
                }
                Err(error) => Err(error),
            };
            match next {
                Ok(next) => {
                    state.refused.remove(&name);
                    state.locked_out.remove(&name);
                    fired.next = [fired.next, next].into_iter().flatten().min();
                }
                Err(error) if dialect.is_transient(&error) && !is_in_the_way(dialect, &error) => {
                    state.watched.clear();
                    return Err(error);
                }
                // What the database has against one schedule must not hold up the others.
                Err(error) => {
                    if dialect.is_locked_out(&error) {
                        let later = Instant::now() + LOCKED_OUT;
                        state.locked_out.insert(name.clone(), later);
                    }
                    let what = format!("the schedule `{name}` could not make its slot");
                    state.refused.entry(name).or_default().failed(&error, &what);
                }
            }
        }
        Ok(fired)
    }

    // Says which schedules stand as this worker hosts them.
    async fn renew(&self, db: &DatabaseConnection, rows: &[Found]) -> Result<(), DbErr> {
        let is_due = |(name, row): &&Found| {
            let hosted = self.hosted.iter().find(|it| it.name == *name);
            row.as_ref().is_ok_and(|row| {
                hosted.is_some_and(|it| row.goes_by(it))
                    && is_to_be_renewed(row.seen_at, row.real_now)
            })
        };
        let due: Vec<_> = rows.iter().filter(is_due).map(|it| it.0.clone()).collect();
        if due.is_empty() {
            return Ok(());
        }
        adopt::renew(db, &due).await
    }

    // A worker with other code has changed the schedule since: it is that one's, for as long as it lives.
    async fn watch(
        &self,
        db: &DatabaseConnection,
        watching: &mut HashMap<String, Watched>,
        scheduled: &Scheduled,
        row: &Row,
        watched: Watched,
    ) -> Result<Option<Duration>, DbErr> {
        if !watched.is_over(row.real_now) {
            watching.insert(scheduled.name.clone(), watched);
            return Ok(None);
        }
        let plan = read(scheduled)?;
        let silent_since = row.now - (row.real_now - row.seen_at).max(TimeDelta::zero());
        let adopt = || adopt::adopt(db, scheduled, &plan, watched, silent_since);
        let adopted = retrying(db, adopt).await?;
        Ok(adopted.then_some(Duration::ZERO))
    }

    // Returns the time until the next slot, where it is known.
    async fn fire(
        &self,
        db: &DatabaseConnection,
        making: &mut HashMap<String, Making>,
        scheduled: &Scheduled,
        row: &Row,
        fired: &mut Fired,
    ) -> Result<Option<Duration>, DbErr> {
        let Some(slot) = row.next_slot_at.filter(|_| !row.paused) else {
            return Ok(None);
        };
        let mut next = Some(slot);
        if let Some(busy) = making.get_mut(&scheduled.name) {
            let Some(made) = busy.made() else {
                busy.complain(&scheduled.name);
                fired.making |= busy.is_quick();
                return Ok(None);
            };
            let Some(busy) = making.remove(&scheduled.name) else {
                return Ok(None);
            };
            // Otherwise another worker has made it meanwhile.
            if busy.slot == slot {
                let write = || self.write(db, scheduled, &busy, made.clone());
                let Some(count) = retrying(db, write).await? else {
                    return Ok(None);
                };
                fired.made += count;
                if count > 0 {
                    self.runtime.wake_up().announce(News::ALL);
                }
                next = busy.due.next;
            }
        } else if slot <= row.now {
            if making.values().filter(|it| it.is_quick()).count() >= AT_A_TIME {
                fired.making = true;
                return Ok(None);
            }
            if let Some(begun) = self.begin(scheduled, slot, row.now)? {
                making.insert(scheduled.name.clone(), begun);
                fired.making = true;
            }
            return Ok(None);
        }
        Ok(next.map(|next| (next - row.now).to_std().unwrap_or_default()))
    }

    fn begin(
        &self,
        scheduled: &Scheduled,
        slot: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Making>, DbErr> {
        let due = read(scheduled)?.due(slot, now, scheduled.schedule.misfire);
        Ok(Making::begin(scheduled, slot, due, &self.app, &self.done)
            .inspect_err(|error| {
                tracing::warn!(schedule = scheduled.name, %error, "there is no thread for a schedule's closure; trying again");
            })
            .ok())
    }

    // Returns how much was made; nothing where another worker was faster.
    async fn write(
        &self,
        db: &DatabaseConnection,
        scheduled: &Scheduled,
        busy: &Making,
        made: Vec<(DateTime<Utc>, Option<Made>)>,
    ) -> Result<Option<usize>, DbErr> {
        let dialect = dialect(db)?;
        let schedule = &scheduled.schedule;
        let tx = begin_short(db).await?;
        let mut update = Query::update();
        update
            .table(job_schedule::Entity)
            .value(
                C::NextSlotAt,
                busy.due
                    .next
                    .map_or_else(Expr::null, |next| dialect.moment(next)),
            )
            .and_where(C::Name.eq(&scheduled.name))
            .and_where(Expr::col(C::NextSlotAt).eq(dialect.moment(busy.slot)))
            .and_where(C::Cron.eq(&schedule.cron))
            .and_where(C::Timezone.eq(&schedule.timezone))
            .and_where(C::Paused.eq(false));
        if let Some(last) = busy.due.slots.last() {
            update.value(C::LastSlotAt, dialect.moment(*last));
        }
        if tx.execute(&update).await?.rows_affected() == 0 {
            tx.rollback().await?;
            return Ok(None);
        }
        let mut count = 0;
        for (at, made) in made {
            let Some(made) = made else { continue };
            if let Err(reason) = self.store(&tx, made).await? {
                tracing::error!(schedule = scheduled.name, slot = %at, reason, "a slot could not be made");
            } else {
                count += 1;
            }
        }
        failpoint::before("schedules.fire");
        tx.commit().await?;
        failpoint::after("schedules.fire");
        Ok(Some(count))
    }

    async fn store(
        &self,
        tx: &DatabaseTransaction,
        made: Made,
    ) -> Result<Result<(), String>, DbErr> {
        match made {
            Made::Run(run) => match run.insert(tx).await {
                Ok(_) => Ok(Ok(())),
                Err(StartError::Database(error)) => Err(error),
                Err(error) => Ok(Err(error.to_string())),
            },
            Made::Event(draft) => {
                let scope = TenantScope::all(self.runtime.is_multi_tenant());
                let events = Events::with_scope(self.runtime.clone(), scope);
                match events.store(tx, *draft).await {
                    Ok(_) => Ok(Ok(())),
                    Err(PublishError::Database { source, .. }) => Err(source),
                    Err(error) => Ok(Err(error.to_string())),
                }
            }
        }
    }
}

fn is_in_the_way(dialect: &dyn database::Dialect, error: &DbErr) -> bool {
    dialect.is_beaten(error) || dialect.is_locked_out(error)
}

/// A schedule's row by its name, where it can be read.
type Found = (String, Result<Row, DbErr>);

fn read(scheduled: &Scheduled) -> Result<Plan, DbErr> {
    scheduled
        .plan()
        .map_err(|error| DbErr::Custom(error.to_string()))
}

async fn rows(db: &DatabaseConnection, hosted: &[Scheduled]) -> Result<Vec<Found>, DbErr> {
    let dialect = dialect(db)?;
    let mut rows = Vec::new();
    for chunk in hosted.chunks(database::rows_per_statement(dialect, 1) / 2) {
        let select = Query::select()
            .columns([
                C::Name,
                C::Cron,
                C::Timezone,
                C::Paused,
                C::NextSlotAt,
                C::SeenAt,
            ])
            .expr_as(dialect.now(), "now")
            .expr_as(dialect.real_now(), "real_now")
            .from(job_schedule::Entity)
            .and_where(C::Name.is_in(chunk.iter().map(|it| it.name.as_str())))
            .order_by(C::Name, Order::Asc)
            .to_owned();
        for row in db.query_all(&select).await? {
            let name = row.try_get("", "name")?;
            rows.push((name, read_row(&row)));
        }
    }
    Ok(rows)
}
