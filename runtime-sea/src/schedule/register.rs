//! Entering schedules into the table.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Query, UpdateStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait};

use crate::Runtime;
use crate::database::{Dialect, begin_patient, dialect, insert_if_new, retrying};
use crate::jobs::entities::job_schedule::{self, Column as C};

use super::{Plan, Scheduled};

/// Enters what a worker hosts. A schedule with another expression or time zone than before goes on from now, and never
/// before the last slot that was made.
pub(crate) async fn register(runtime: &Runtime, hosted: &[Scheduled]) -> Result<(), DbErr> {
    for scheduled in hosted {
        let db = runtime.db();
        retrying(db, || register_one(runtime, db, scheduled)).await?;
    }
    Ok(())
}

async fn register_one(
    runtime: &Runtime,
    db: &DatabaseConnection,
    scheduled: &Scheduled,
) -> Result<(), DbErr> {
    let dialect = dialect(db)?;
    let moment = |at: Option<_>| at.map_or_else(Expr::null, |at| dialect.moment(at));
    let now = runtime.now().await?;
    let plan = scheduled
        .plan()
        .map_err(|it| DbErr::Custom(it.to_string()))?;
    let schedule = &scheduled.schedule;
    let insert = Query::insert()
        .into_table(job_schedule::Entity)
        .columns([
            C::Name,
            C::Kind,
            C::Target,
            C::Cron,
            C::Timezone,
            C::Misfire,
            C::Paused,
            C::NextSlotAt,
            C::RegisteredAt,
            C::UpdatedAt,
            C::SeenAt,
        ])
        .values_panic([
            scheduled.name.as_str().into(),
            scheduled.kind.into(),
            scheduled.target.into(),
            schedule.cron.as_str().into(),
            schedule.timezone.as_str().into(),
            schedule.misfire.as_str().into(),
            false.into(),
            moment(plan.after(now)),
            dialect.now(),
            dialect.now(),
            dialect.real_now(),
        ])
        .to_owned();
    if insert_if_new(db, &insert).await? {
        return Ok(());
    }
    let tx = begin_patient(db).await?;
    let mut known = job_schedule::Entity::find_by_id(scheduled.name.as_str());
    sea_orm::QueryTrait::query(&mut known).lock(sea_orm::sea_query::LockType::Update);
    let Some(known) = known.one(&tx).await? else {
        return Err(DbErr::RecordNotFound(scheduled.name.clone()));
    };
    let mut update = if known.cron != schedule.cron || known.timezone != schedule.timezone {
        goes_on(dialect, scheduled, &plan, known.last_slot_at, now)
    } else {
        let mut update = Query::update();
        update
            .table(job_schedule::Entity)
            .and_where(C::Name.eq(&scheduled.name));
        if known.misfire != schedule.misfire.as_str() {
            update
                .value(C::Misfire, schedule.misfire.as_str())
                .value(C::UpdatedAt, dialect.now());
        }
        update
    };
    update.value(C::SeenAt, dialect.real_now());
    tx.execute(&update).await?;
    tx.commit().await
}

/// Gives a schedule this worker's expression, by which it goes on from this moment, and never before the last slot that
/// was made.
pub(super) fn goes_on(
    dialect: &dyn Dialect,
    scheduled: &Scheduled,
    plan: &Plan,
    last: Option<DateTime<Utc>>,
    from: DateTime<Utc>,
) -> UpdateStatement {
    let schedule = &scheduled.schedule;
    let next = plan.after(last.map_or(from, |last| last.max(from)));
    Query::update()
        .table(job_schedule::Entity)
        .value(C::Cron, schedule.cron.as_str())
        .value(C::Timezone, schedule.timezone.as_str())
        .value(C::Misfire, schedule.misfire.as_str())
        .value(
            C::NextSlotAt,
            next.map_or_else(Expr::null, |next| dialect.moment(next)),
        )
        .value(C::UpdatedAt, dialect.now())
        .and_where(C::Name.eq(&scheduled.name))
        .to_owned()
}
