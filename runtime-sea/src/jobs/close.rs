//! What the end of a run does to its children.

use std::fmt;

use sea_orm::sea_query::{Expr, ExprTrait, LockType, Order, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr};
use uuid::Uuid;

use crate::database::{dialect, rows_per_statement};

use super::cancel::request_cancellation;
use super::complete::cancel_waiting;
use super::entities::job_run;
use super::release;

/// What becomes of a child when its parent is cancelled, fails for good or runs out of time. A parent that completes
/// leaves its children alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ParentClose {
    /// It is cancelled with its parent; if it runs, its handler is dropped without time to return.
    #[default]
    Terminate,
    /// It is cancelled with its parent; if it runs, its handler is told and has the usual time to return.
    Cancel,
    /// It goes on, and so does everything below it.
    Abandon,
}

impl ParentClose {
    /// The name as it stands in `job_run.parent_close`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Cancel => "cancel",
            Self::Abandon => "abandon",
        }
    }
}

impl fmt::Display for ParentClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What closing did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Closed {
    /// Whether runs became ready by it.
    pub(crate) released: bool,
    /// Whether running runs were asked to stop.
    pub(crate) stopping: bool,
}

/// Closes what is below the runs, which this transaction has ended or asked to stop: nothing can be spawned below them
/// any more, so that none escapes.
pub(crate) async fn close_children(
    tx: &DatabaseTransaction,
    parents: impl IntoIterator<Item = Uuid>,
) -> Result<Closed, DbErr> {
    const REASON: &str = "cancelled with its parent";
    use job_run::Column as C;

    let dialect = dialect(tx)?;
    let mut closed = Closed::default();
    let mut parents: Vec<_> = parents.into_iter().collect();
    while !parents.is_empty() {
        let mut children = Vec::new();
        for chunk in parents.chunks(rows_per_statement(dialect, 1) / 2) {
            let (waiting, running) = unfinished_children(tx, chunk).await?;
            for ids in [&waiting, &running] {
                for ids in ids.chunks(rows_per_statement(dialect, 1) / 2) {
                    // What somebody cancelled on its own stays cancelled when the parent is replayed.
                    let mark = Query::update()
                        .table(job_run::Entity)
                        .value(C::ClosedByParent, true)
                        .and_where(C::Id.is_in(ids.iter().copied()))
                        .and_where(C::CancelRequestedAt.is_null())
                        .to_owned();
                    tx.execute(&mark).await?;
                }
            }
            for key in cancel_waiting(tx, waiting.iter().copied(), REASON).await? {
                closed.released |= release::release(tx, &key).await?;
            }
            for id in &running {
                closed.stopping |= request_cancellation(tx, *id, REASON).await?;
            }
            children.extend(waiting);
            children.extend(running);
        }
        parents = children;
    }
    Ok(closed)
}

// Those that wait and those that run, locked.
async fn unfinished_children(
    tx: &DatabaseTransaction,
    parents: &[Uuid],
) -> Result<(Vec<Uuid>, Vec<Uuid>), DbErr> {
    use job_run::Column as C;

    let select = Query::select()
        .columns([C::Id, C::Status])
        .from(job_run::Entity)
        .and_where(C::ParentRunId.is_in(parents.iter().copied()))
        .and_where(C::Status.is_in(["pending", "waiting", "running"]))
        .and_where(Expr::col(C::ParentClose).ne(ParentClose::Abandon.as_str()))
        .order_by(C::Id, Order::Asc)
        .lock(LockType::Update)
        .to_owned();
    let (mut waiting, mut running) = (Vec::new(), Vec::new());
    for row in tx.query_all(&select).await? {
        let status: String = row.try_get("", "status")?;
        let ids = if status == "running" {
            &mut running
        } else {
            &mut waiting
        };
        ids.push(row.try_get("", "id")?);
    }
    Ok((waiting, running))
}
