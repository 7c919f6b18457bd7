//! Clearing away events that every consumer is done with.

use std::time::Duration;

use sea_orm::sea_query::{
    CaseStatement, Condition, Expr, ExprTrait, Func, LockBehavior, LockType, Order, Query,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr};
use sea_orm_migration::SchemaManager;
use uuid::Uuid;

use super::drain::deliveries_wait;
use super::entities::domain_event;
use crate::Retention;
use crate::bridge::ledger;
use crate::database::{begin_short, dialect, retrying};
use crate::jobs::prune::ago;

/// How many events are looked at, and deleted at most, in one transaction.
const BATCH: u64 = 1000;

/// Time for others between two transactions.
const BREATH: Duration = Duration::from_millis(20);

/// A part of the outbox, oldest first.
struct Batch {
    last: Option<i64>,
    deletable: Vec<i64>,
    /// Whether everything after it is too young.
    is_last: bool,
}

/// Deletes the events that are older than the retention says, and what the bridge did with them where there is one.
/// Returns how many there were.
pub(crate) async fn prune(db: &DatabaseConnection, retention: &Retention) -> Result<u64, DbErr> {
    // A worker for events alone may share its database with others that have jobs.
    let with_bridge = SchemaManager::new(db).has_table("bridge_delivery").await?;
    let mut pruned = 0;
    let mut after = 0;
    loop {
        let batch = look(db, retention, after).await?;
        if !batch.deletable.is_empty() {
            pruned += retrying(db, || delete(db, &batch.deletable, with_bridge)).await?;
        }
        match batch.last {
            Some(last) if !batch.is_last => after = last,
            _ => return Ok(pruned),
        }
        tokio::time::sleep(BREATH).await;
    }
}

// By the order in which they were written, which is that of their ages but for transactions that overlapped.
async fn look(db: &DatabaseConnection, retention: &Retention, after: i64) -> Result<Batch, DbErr> {
    use domain_event::Column as E;

    let dialect = dialect(db)?;
    let older_than =
        |moment: Expr, time: Option<Duration>| time.map(|time| moment.lt(ago(dialect, time)));
    let over = || {
        Expr::from(Func::coalesce([
            Expr::col(E::ProcessedAt),
            Expr::col(E::CreatedAt),
        ]))
    };
    let mut deletable = Condition::any();
    for (status, keep) in [
        ("processed", retention.events),
        ("failed", retention.failed_events),
    ] {
        if let Some(old) = older_than(over(), keep) {
            deletable = deletable.add(E::Status.eq(status).and(old));
        }
    }
    let youngest = [retention.events, retention.failed_events]
        .into_iter()
        .flatten()
        .min();
    let Some(old) = older_than(Expr::col(E::CreatedAt), youngest) else {
        return Ok(Batch {
            last: None,
            deletable: Vec::new(),
            is_last: true,
        });
    };
    let flag = |condition: Condition| CaseStatement::new().case(condition, 1).finally(0);
    let select = Query::select()
        .column(E::Seq)
        .expr_as(flag(deletable), "deletable")
        .expr_as(flag(Condition::all().add(old)), "old")
        .from(domain_event::Entity)
        .and_where(E::Seq.gt(after))
        .order_by(E::Seq, Order::Asc)
        .limit(BATCH)
        .to_owned();
    let mut batch = Batch {
        last: None,
        deletable: Vec::new(),
        is_last: false,
    };
    for row in db.query_all(&select).await? {
        let seq = row.try_get("", "seq")?;
        if row.try_get::<i32>("", "deletable")? == 1 {
            batch.deletable.push(seq);
        }
        batch.is_last = row.try_get::<i32>("", "old")? == 0;
        batch.last = Some(seq);
    }
    Ok(batch)
}

async fn delete(db: &DatabaseConnection, seqs: &[i64], with_bridge: bool) -> Result<u64, DbErr> {
    use domain_event::Column as E;

    let tx = begin_short(db).await?;
    // Who delivers one of them again just now keeps it, and so does what has failed for one and waits for another.
    let lock = Query::select()
        .columns([E::Seq, E::Id])
        .from(domain_event::Entity)
        .and_where(E::Seq.is_in(seqs.iter().copied()))
        .and_where(E::Status.is_in(["processed", "failed"]))
        .and_where(deliveries_wait().not())
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .to_owned();
    let (mut seqs, mut ids) = (Vec::new(), Vec::new());
    for row in tx.query_all(&lock).await? {
        seqs.push(row.try_get::<i64>("", "seq")?);
        ids.push(row.try_get::<Uuid>("", "id")?);
    }
    if with_bridge {
        let forget = Query::delete()
            .from_table(ledger::Entity)
            .and_where(ledger::Column::EventId.is_in(ids))
            .to_owned();
        tx.execute(&forget).await?;
    }
    let delete = Query::delete()
        .from_table(domain_event::Entity)
        .and_where(E::Seq.is_in(seqs))
        .to_owned();
    let deleted = tx.execute(&delete).await?.rows_affected();
    tx.commit().await?;
    Ok(deleted)
}
