//! Making what is due.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, FromQueryResult,
};

use crate::database::{begin_short, dialect, retrying};
use crate::events::{Events, PublishError};
use crate::jobs::StartError;
use crate::jobs::entities::job_schedule::{self, Column as C};
use crate::tenancy::TenantScope;
use crate::{Runtime, database};

use super::{Made, Scheduled, Slot};

/// What a look at the schedules did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Fired {
    /// How many runs and events were made.
    pub(crate) made: usize,
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

/// Makes what the hosted schedules' slots ask for that have come, each in a transaction of its own.
pub(crate) async fn fire_due(
    runtime: &Runtime,
    db: &DatabaseConnection,
    hosted: &[Scheduled],
) -> Result<Fired, DbErr> {
    let mut fired = Fired::default();
    for row in rows(db, hosted).await? {
        let Some(scheduled) = hosted.iter().find(|it| it.name == row.name) else {
            continue;
        };
        let schedule = &scheduled.schedule;
        // A worker with other code has changed it since: it is that one's now.
        if row.cron != schedule.cron || row.timezone != schedule.timezone {
            continue;
        }
        let mut next = Some(row.next_slot_at);
        if row.next_slot_at <= row.now {
            let made = retrying(db, || fire_one(runtime, db, scheduled, &row)).await?;
            let Some((made, after)) = made else { continue };
            fired.made += made;
            next = after;
        }
        if let Some(next) = next {
            let wait = (next - row.now).to_std().unwrap_or_default();
            fired.next = Some(fired.next.map_or(wait, |other| other.min(wait)));
        }
    }
    if fired.made > 0 {
        runtime.wake_up().announce();
    }
    Ok(fired)
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

// Returns how much was made, and the next slot; nothing where another worker was faster.
async fn fire_one(
    runtime: &Runtime,
    db: &DatabaseConnection,
    scheduled: &Scheduled,
    row: &Row,
) -> Result<Option<(usize, Option<DateTime<Utc>>)>, DbErr> {
    let dialect = dialect(db)?;
    let schedule = &scheduled.schedule;
    let plan = scheduled
        .plan()
        .map_err(|it| DbErr::Custom(it.to_string()))?;
    let due = plan.due(row.next_slot_at, row.now, schedule.misfire);
    // The user's code, and so before the transaction.
    let made: Vec<_> = due
        .slots
        .iter()
        .filter_map(|at| Some((*at, make(scheduled, Slot { at: *at })?)))
        .collect();
    let tx = begin_short(db).await?;
    let mut update = Query::update();
    update
        .table(job_schedule::Entity)
        .value(
            C::NextSlotAt,
            due.next
                .map_or_else(Expr::null, |next| dialect.moment(next)),
        )
        .and_where(C::Name.eq(&scheduled.name))
        .and_where(Expr::col(C::NextSlotAt).eq(dialect.moment(row.next_slot_at)))
        .and_where(C::Cron.eq(&schedule.cron))
        .and_where(C::Timezone.eq(&schedule.timezone))
        .and_where(C::Paused.eq(false));
    if let Some(last) = due.slots.last() {
        update.value(C::LastSlotAt, dialect.moment(*last));
    }
    if tx.execute(&update).await?.rows_affected() == 0 {
        tx.rollback().await?;
        return Ok(None);
    }
    let mut count = 0;
    for (at, made) in made {
        if let Err(reason) = write(runtime, &tx, made).await? {
            tracing::error!(schedule = scheduled.name, slot = %at, reason, "a slot could not be made");
        } else {
            count += 1;
        }
    }
    tx.commit().await?;
    Ok(Some((count, due.next)))
}

// What cannot be made today cannot be made tomorrow either: the schedule goes on without it.
fn make(scheduled: &Scheduled, slot: Slot) -> Option<Made> {
    let made = catch_unwind(AssertUnwindSafe(|| (scheduled.make)(slot)))
        .unwrap_or_else(|_| Err("the schedule's closure panicked".to_owned()));
    made.inspect_err(|reason| {
        tracing::error!(schedule = scheduled.name, slot = %slot.at, reason, "a slot could not be made");
    })
    .ok()
}

async fn write(
    runtime: &Runtime,
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
            let events =
                Events::with_scope(runtime.clone(), TenantScope::all(runtime.is_multi_tenant()));
            match events.store(tx, *draft).await {
                Ok(_) => Ok(Ok(())),
                Err(PublishError::Database { source, .. }) => Err(source),
                Err(error) => Ok(Err(error.to_string())),
            }
        }
    }
}
