//! Whose expression counts where workers disagree about one.
//!
//! The one that was registered last, for as long as workers say that they host it. A deployment that is taken back
//! leaves its expression behind, and then the schedule goes back to the workers that are left.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QuerySelect};

use crate::database::{begin_short, dialect, rows_per_statement};
use crate::jobs::entities::job_schedule::{self, Column as C};
use crate::watched::{SEEN_EVERY, Watched};

use super::register::goes_on;
use super::{Plan, Scheduled};

/// Says that these schedules are hosted, unless another worker just has.
pub(super) async fn renew(db: &DatabaseConnection, names: &[String]) -> Result<(), DbErr> {
    let dialect = dialect(db)?;
    let long_ago = || dialect.real_now_plus_seconds(-SEEN_EVERY.as_secs_f64());
    for chunk in names.chunks(rows_per_statement(dialect, 1) / 2) {
        let update = Query::update()
            .table(job_schedule::Entity)
            .value(C::SeenAt, dialect.real_now())
            .and_where(C::Name.is_in(chunk))
            .and_where(
                Expr::col(C::SeenAt)
                    .lt(long_ago())
                    .or(Expr::col(C::SeenAt).gt(dialect.real_now())),
            )
            .to_owned();
        db.execute(&update).await?;
    }
    Ok(())
}

/// Gives the schedule this worker's expression, if it has still not been seen since. What came since then counts as
/// missed. Returns whether it has.
pub(super) async fn adopt(
    db: &DatabaseConnection,
    scheduled: &Scheduled,
    plan: &Plan,
    watched: Watched,
    silent_since: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let dialect = dialect(db)?;
    let tx = begin_short(db).await?;
    let known = job_schedule::Entity::find_by_id(scheduled.name.as_str())
        .lock_exclusive()
        .one(&tx)
        .await?;
    let Some(known) = known.filter(|it| it.seen_at == watched.seen_at) else {
        tx.rollback().await?;
        return Ok(false);
    };
    let mut update = goes_on(dialect, scheduled, plan, known.last_slot_at, silent_since);
    update.value(C::SeenAt, dialect.real_now());
    tx.execute(&update).await?;
    tx.commit().await?;
    tracing::warn!(
        schedule = scheduled.name,
        left_behind = known.cron,
        cron = scheduled.schedule.cron,
        "no worker is left that hosts the schedule with the expression that it stood at; it goes by this worker's"
    );
    Ok(true)
}
