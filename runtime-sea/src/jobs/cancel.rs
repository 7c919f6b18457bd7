//! Cancelling a run.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::database::{begin_short, dialect, literal};
use crate::failpoint;

use super::complete::cancel_waiting;
use super::entities::job_run;
use super::{RunId, RunStatus, release};

/// What a cancellation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The run waited and is over now.
    AtOnce,
    /// The run is running; its worker will stop it.
    Requested,
    /// The run was over already.
    AlreadyOver(RunStatus),
    /// There is no such run.
    NotFound,
}

pub(crate) async fn cancel(db: &DatabaseConnection, id: RunId) -> Result<Cancelled, DbErr> {
    const REASON: &str = "cancelled on request";
    loop {
        let tx = begin_short(db).await?;
        let waits = job_run::Entity::find_by_id(id.0)
            .filter(Expr::col(job_run::Column::Status).eq(literal("pending")))
            .one(&tx)
            .await?;
        if waits.is_some() {
            let keys = cancel_waiting(&tx, [id.0], REASON).await?;
            for key in &keys {
                release::release(&tx, key).await?;
            }
            failpoint::before("jobs.cancel_waiting");
            tx.commit().await?;
            failpoint::after("jobs.cancel_waiting");
        } else if request_cancellation(&tx, id.0, REASON).await? {
            failpoint::before("jobs.cancel_running");
            tx.commit().await?;
            failpoint::after("jobs.cancel_running");
            return Ok(Cancelled::Requested);
        } else {
            tx.rollback().await?;
        }
        let run = job_run::Entity::find()
            .filter(job_run::Column::Id.eq(id.0))
            .one(db)
            .await?;
        let Some(run) = run else {
            return Ok(Cancelled::NotFound);
        };
        match RunStatus::from_name(&run.status) {
            Some(RunStatus::Canceled) if waits.is_some() => return Ok(Cancelled::AtOnce),
            Some(status) if status.is_final() => return Ok(Cancelled::AlreadyOver(status)),
            // It changed hands between the two looks.
            _ => {}
        }
    }
}

/// Asks the worker of a running run to stop it. Returns whether it was running.
pub(crate) async fn request_cancellation(
    conn: &impl ConnectionTrait,
    id: Uuid,
    reason: &str,
) -> Result<bool, DbErr> {
    use job_run::Column as C;

    let update = Query::update()
        .table(job_run::Entity)
        .value(
            C::CancelRequestedAt,
            Expr::from(Func::coalesce([
                Expr::col(C::CancelRequestedAt),
                dialect(conn)?.now(),
            ])),
        )
        .value(C::Error, reason)
        .and_where(C::Id.eq(id))
        .and_where(Expr::col(C::Status).eq(literal("running")))
        .to_owned();
    Ok(conn.execute(&update).await?.rows_affected() > 0)
}
