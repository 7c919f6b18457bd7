//! Looking at schedules, and pausing them.

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryOrder, QuerySelect,
};

use crate::Runtime;
use crate::database::{begin_patient, dialect, read_all};
use crate::jobs::entities::job_schedule::{self, Column as C};

use super::{Plan, ScheduleRecord};

/// Every schedule that was ever registered, by name.
pub(crate) async fn list(db: &DatabaseConnection) -> Result<Vec<ScheduleRecord>, DbErr> {
    let rows = read_all(db, &job_schedule::Entity::find().order_by_asc(C::Name)).await?;
    Ok(rows.into_iter().map(ScheduleRecord::from).collect())
}

/// Pauses a schedule, or lets it go on with the first slot from now on: what a pause covers is not made up for. Returns
/// whether there is such a schedule.
pub(crate) async fn set_paused(runtime: &Runtime, name: &str, paused: bool) -> Result<bool, DbErr> {
    let db = runtime.db();
    let dialect = dialect(db)?;
    let now = runtime.now().await?;
    let tx = begin_patient(db).await?;
    let known = job_schedule::Entity::find_by_id(name)
        .lock_exclusive()
        .one(&tx)
        .await?;
    let Some(known) = known else {
        return Ok(false);
    };
    let mut update = Query::update();
    update
        .table(job_schedule::Entity)
        .value(C::Paused, paused)
        .value(C::UpdatedAt, dialect.now())
        .and_where(C::Name.eq(name));
    if known.paused && !paused {
        let plan = Plan::read(&known.cron, &known.timezone)
            .map_err(|error| DbErr::Custom(error.to_string()))?;
        let since = known.last_slot_at.map_or(now, |last| last.max(now));
        let next = plan.after(since);
        update.value(
            C::NextSlotAt,
            next.map_or_else(Expr::null, |next| dialect.moment(next)),
        );
    }
    tx.execute(&update).await?;
    tx.commit().await?;
    Ok(true)
}

impl From<job_schedule::Model> for ScheduleRecord {
    fn from(row: job_schedule::Model) -> Self {
        Self {
            name: row.name,
            kind: row.kind,
            target: row.target,
            cron: row.cron,
            timezone: row.timezone,
            misfire: row.misfire,
            paused: row.paused,
            next_slot_at: row.next_slot_at,
            last_slot_at: row.last_slot_at,
            seen_at: row.seen_at,
        }
    }
}
