//! Making what is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, FromQueryResult,
};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};

use crate::database::{begin_short, dialect, retrying};
use crate::events::{Events, PublishError};
use crate::jobs::StartError;
use crate::jobs::entities::job_schedule::{self, Column as C};
use crate::tenancy::TenantScope;
use crate::{Runtime, database};

use super::make::Making;
use super::{Made, Scheduled};

/// The schedules of a worker, and what their closures are busy with.
pub(crate) struct Timetable {
    runtime: Runtime,
    hosted: Arc<[Scheduled]>,
    app: Handle,
    /// At most one call at a time of each closure: one that blocks costs one thread.
    making: Mutex<HashMap<String, Making>>,
    done: Arc<Notify>,
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
    name: String,
    cron: String,
    timezone: String,
    next_slot_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Timetable {
    /// Must be called on the app's Tokio runtime, where the closures find it.
    pub(crate) fn new(runtime: Runtime, hosted: Arc<[Scheduled]>) -> Self {
        Self {
            runtime,
            hosted,
            app: Handle::current(),
            making: Mutex::default(),
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
        let mut making = self.making.lock().await;
        let mut fired = Fired::default();
        for row in rows(db, &self.hosted).await? {
            let Some(scheduled) = self.hosted.iter().find(|it| it.name == row.name) else {
                continue;
            };
            let schedule = &scheduled.schedule;
            // A worker with other code has changed it since: it is that one's now.
            if row.cron != schedule.cron || row.timezone != schedule.timezone {
                continue;
            }
            let mut next = Some(row.next_slot_at);
            if let Some(busy) = making.get_mut(&row.name) {
                let Some(made) = busy.made() else {
                    busy.complain(&row.name);
                    fired.making |= busy.is_quick();
                    continue;
                };
                let Some(busy) = making.remove(&row.name) else {
                    continue;
                };
                // Otherwise another worker has made it meanwhile.
                if busy.slot == row.next_slot_at {
                    let written =
                        retrying(db, || self.write(db, scheduled, &busy, made.clone())).await?;
                    let Some(count) = written else { continue };
                    fired.made += count;
                    next = busy.due.next;
                }
            } else if row.next_slot_at <= row.now {
                match self.begin(scheduled, &row)? {
                    Some(begun) => {
                        making.insert(row.name.clone(), begun);
                        fired.making = true;
                    }
                    None => fired.next = Some(Duration::from_secs(1)),
                }
                continue;
            }
            if let Some(next) = next {
                let wait = (next - row.now).to_std().unwrap_or_default();
                fired.next = Some(fired.next.map_or(wait, |other| other.min(wait)));
            }
        }
        if fired.made > 0 {
            self.runtime.wake_up().announce();
        }
        Ok(fired)
    }

    fn begin(&self, scheduled: &Scheduled, row: &Row) -> Result<Option<Making>, DbErr> {
        let plan = scheduled
            .plan()
            .map_err(|it| DbErr::Custom(it.to_string()))?;
        let due = plan.due(row.next_slot_at, row.now, scheduled.schedule.misfire);
        Ok(
            Making::begin(scheduled, row.next_slot_at, due, &self.app, &self.done)
                .inspect_err(|error| {
                    tracing::warn!(schedule = row.name, %error, "there is no thread for a schedule's closure; trying again");
                })
                .ok(),
        )
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
        tx.commit().await?;
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

async fn rows(db: &DatabaseConnection, hosted: &[Scheduled]) -> Result<Vec<Row>, DbErr> {
    let dialect = dialect(db)?;
    let mut rows = Vec::new();
    for chunk in hosted.chunks(database::rows_per_statement(dialect, 1) / 2) {
        let select = Query::select()
            .columns([C::Name, C::Cron, C::Timezone, C::NextSlotAt])
            .expr_as(dialect.now(), "now")
            .from(job_schedule::Entity)
            .and_where(C::Name.is_in(chunk.iter().map(|it| it.name.as_str())))
            .and_where(C::Paused.eq(false))
            .and_where(C::NextSlotAt.is_not_null())
            .to_owned();
        for row in db.query_all(&select).await? {
            rows.push(Row::from_query_result(&row, "")?);
        }
    }
    Ok(rows)
}
