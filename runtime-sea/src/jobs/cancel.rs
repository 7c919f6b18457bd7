//! Cancelling a run and what is below it.

use sea_orm::sea_query::{Expr, ExprTrait, Func, LockType, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::database::{begin_patient, dialect, literal, retrying};
use crate::failpoint;

use super::close::close_children;
use super::complete::cancel_waiting;
use super::entities::job_run;
use super::{RunId, RunStatus, release};

const REASON: &str = "cancelled on request";

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
    retrying(db, || async move {
        let tx = begin_patient(db).await?;
        let cancelled = cancel_in(&tx, id.0).await?;
        let commit = if cancelled == Cancelled::Requested {
            "jobs.cancel_running"
        } else {
            "jobs.cancel_waiting"
        };
        failpoint::before(commit);
        tx.commit().await?;
        failpoint::after(commit);
        Ok(cancelled)
    })
    .await
}

/// Cancels a run and, by their policies, everything below it.
pub(super) async fn cancel_in(tx: &DatabaseTransaction, id: Uuid) -> Result<Cancelled, DbErr> {
    let Some(status) = locked_status(tx, id).await? else {
        return Ok(Cancelled::NotFound);
    };
    let cancelled = match RunStatus::from_name(&status) {
        Some(status) if status.is_final() => return Ok(Cancelled::AlreadyOver(status)),
        Some(RunStatus::Running) => {
            request_cancellation(tx, id, REASON).await?;
            outlast_parent(tx, id).await?;
            Cancelled::Requested
        }
        _ => {
            for key in cancel_waiting(tx, [id], REASON).await? {
                release::release(tx, &key).await?;
            }
            Cancelled::AtOnce
        }
    };
    close_children(tx, [id]).await?;
    Ok(cancelled)
}

// It stays cancelled when its parent, whose end had asked for the same, is replayed.
async fn outlast_parent(tx: &DatabaseTransaction, id: Uuid) -> Result<(), DbErr> {
    use job_run::Column as C;

    let update = Query::update()
        .table(job_run::Entity)
        .value(C::ClosedByParent, false)
        .and_where(C::Id.eq(id))
        .and_where(C::ClosedByParent.eq(true))
        .to_owned();
    tx.execute(&update).await.map(drop)
}

/// The status of a run that stays as it is until the transaction ends.
pub(super) async fn locked_status(
    tx: &DatabaseTransaction,
    id: Uuid,
) -> Result<Option<String>, DbErr> {
    let select = Query::select()
        .column(job_run::Column::Status)
        .from(job_run::Entity)
        .and_where(job_run::Column::Id.eq(id))
        .lock(LockType::Update)
        .to_owned();
    tx.query_one(&select)
        .await?
        .map(|row| row.try_get("", "status"))
        .transpose()
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
