//! The end of runs whose rows cannot be read, because somebody has edited them by hand.

use sea_orm::{ColumnTrait, Condition, DatabaseConnection, DbErr, QueryResult};
use uuid::Uuid;

use crate::database::{begin_short, dialect, retrying};
use crate::failpoint;

use super::close::close_children;
use super::complete::{end, over};
use super::entities::job_run;
use super::wait::wake_parents;
use super::{AttemptError, RunStatus, release};

/// Ends a run, for which `condition` holds, as failed: whoever reads its row fails at it, today and later. Returns
/// whether runs became ready by it.
pub(crate) async fn end_unreadable(
    db: &DatabaseConnection,
    id: Uuid,
    attempt: i32,
    condition: Condition,
    why: &DbErr,
) -> Result<bool, DbErr> {
    let error = AttemptError {
        attempt,
        outcome: "failed".to_owned(),
        error: format!(
            "its row in `job_run` or `job_step` cannot be read: {why}; mend it, then replay the run"
        ),
        backtrace: None,
        worker_id: None,
        started_at: None,
        ended_at: None,
    };
    tracing::error!(run = %id, error = %why, "a run whose row cannot be read is ended as failed");
    let condition = condition.add(job_run::Column::Id.eq(id));
    let (ended, released) = retrying(db, || try_end(db, id, condition.clone(), &error)).await?;
    Ok(released | (ended && wake_parents(db, &[id]).await?))
}

async fn try_end(
    db: &DatabaseConnection,
    id: Uuid,
    condition: Condition,
    error: &AttemptError,
) -> Result<(bool, bool), DbErr> {
    let dialect = dialect(db)?;
    let tx = begin_short(db).await?;
    let ended = end(&tx, over(dialect, RunStatus::Failed, error)?, condition).await?;
    let mut released = false;
    if let Some(key) = &ended {
        if let Some(key) = key {
            released |= release::release(&tx, key).await?;
        }
        released |= close_children(&tx, [id]).await?.released;
    }
    failpoint::before("jobs.end_unreadable");
    tx.commit().await?;
    failpoint::after("jobs.end_unreadable");
    Ok((ended.is_some(), released))
}

/// The number of the attempt in a row of which something else cannot be read.
pub(crate) fn attempt_of(row: &QueryResult) -> i32 {
    row.try_get("", "attempt").unwrap_or_default()
}
