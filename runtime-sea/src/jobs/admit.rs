//! Which waiting runs may be claimed: those whose time has come and whose concurrency key is free.
//!
//! A key is free while no run has it as its `active_key`, which is unique: two runs can never hold one key, whatever
//! happens here. Runs behind a taken key are marked `blocked`, so that no claim ever looks at them; the end of the
//! holder releases the next one.

mod stuck;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    Condition, Expr, ExprTrait, LockBehavior, LockType, Order, Query, SelectStatement,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait,
    FromQueryResult, QueryFilter, QueryOrder, QuerySelect, SqlErr,
};
use uuid::Uuid;

use crate::database::{
    Dialect, LockName, begin_short, dialect, literal, read_row, retrying, update_picked,
};
use crate::failpoint;

use super::Collision;
use super::cancel::request_cancellation;
use super::close::close_children;
use super::complete::cancel_waiting;
use super::entities::job_run;
use super::unreadable::end_unreadable;
use stuck::StuckKeys;

/// How many runs are looked at in one transaction.
const BATCH: u64 = 500;

/// How soon to look again where another worker was just deciding about the same keys.
const CONTENDED: Duration = Duration::from_millis(5);

/// What an admission did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Whether runs became ready.
    pub(crate) any: bool,
    /// Whether running runs were asked to stop.
    pub(crate) cancelled: bool,
    /// When the next run is due.
    pub(crate) next: Option<Duration>,
}

/// Makes runs ready.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    stuck: StuckKeys,
}

impl Admission {
    /// Makes everything ready whose time has come and whose key is free.
    pub(crate) async fn admit(&mut self, db: &DatabaseConnection) -> Result<Admitted, DbErr> {
        let mut admitted = Admitted {
            any: false,
            cancelled: false,
            next: None,
        };
        // Most looks find nothing to decide: one query then.
        admitted.next = self.next_due(db).await?;
        if admitted.next.is_none_or(|next| next > CONTENDED) {
            return Ok(admitted);
        }
        while admit_without_decision(db).await? {
            admitted.any = true;
        }
        self.admit_together(db, &mut admitted).await?;
        for key in self.stuck.to_be_tried() {
            self.admit_alone(db, &mut admitted, key).await?;
        }
        admitted.next = self.next_due(db).await?;
        Ok(admitted)
    }

    async fn admit_together(
        &mut self,
        db: &DatabaseConnection,
        admitted: &mut Admitted,
    ) -> Result<(), DbErr> {
        let dialect = dialect(db)?;
        loop {
            let among = self.stuck.others();
            match retrying(db, || admit_keyed(db, &among)).await {
                Ok(Some(batch)) => {
                    admitted.add(db, &batch).await?;
                    if !batch.more {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                // A rejecting start took the key first; the next look sees it.
                Err(error) if is_taken(&error) => return Ok(()),
                // Each by itself shows which of them it is, and the others go on.
                Err(error) if dialect.is_locked_out(&error) => {
                    for key in keys_due(db, &among).await? {
                        self.admit_alone(db, admitted, key).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn admit_alone(
        &mut self,
        db: &DatabaseConnection,
        admitted: &mut Admitted,
        key: String,
    ) -> Result<(), DbErr> {
        let among = Condition::all().add(job_run::Column::ConcurrencyKey.eq(&key));
        if keys_due(db, &among).await?.is_empty() {
            self.stuck.remove(&key);
            return Ok(());
        }
        match retrying(db, || admit_keyed(db, &among)).await {
            Ok(Some(batch)) => {
                self.stuck.remove(&key);
                admitted.add(db, &batch).await
            }
            Ok(None) => {
                self.stuck.leave(&key);
                Ok(())
            }
            Err(error) if is_taken(&error) => {
                self.stuck.remove(&key);
                Ok(())
            }
            Err(error) if dialect(db)?.is_locked_out(&error) => {
                self.stuck.put_off(key, &error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn next_due(&self, db: &DatabaseConnection) -> Result<Option<Duration>, DbErr> {
        let next = next_due(db, self.stuck.others()).await?;
        Ok([next, self.stuck.next()].into_iter().flatten().min())
    }
}

impl Admitted {
    async fn add(&mut self, db: &DatabaseConnection, batch: &Batch) -> Result<(), DbErr> {
        self.any |= batch.admitted;
        self.cancelled |= batch.cancelled;
        for (id, why) in &batch.unreadable {
            let pending =
                Condition::all().add(Expr::col(job_run::Column::Status).eq(literal("pending")));
            self.any |= end_unreadable(db, *id, 0, pending, why).await?;
        }
        Ok(())
    }
}

fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// The pending runs of a readiness.
pub(super) fn waiting(readiness: &'static str) -> SelectStatement {
    use job_run::Column as C;

    Query::select()
        .from(job_run::Entity)
        .and_where(Expr::col(C::Status).eq(literal("pending")))
        .and_where(Expr::col(C::Readiness).eq(literal(readiness)))
        .to_owned()
}

// Runs without a key, and runs that hold theirs through the waits between their attempts.
async fn admit_without_decision(db: &DatabaseConnection) -> Result<bool, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(db)?;
    let due = waiting("scheduled")
        .column(C::Id)
        .and_where(Expr::col(C::RunAt).lte(dialect.now()))
        .cond_where(
            Condition::any()
                .add(C::ConcurrencyKey.is_null())
                .add(C::ActiveKey.is_not_null()),
        )
        .order_by(C::RunAt, Order::Asc)
        .to_owned();
    if db.query_one(due.clone().limit(1)).await?.is_none() {
        return Ok(false);
    }
    let update = Query::update()
        .table(job_run::Entity)
        .value(C::Readiness, "ready")
        .to_owned();
    failpoint::before("jobs.admit");
    let admitted = update_picked::<job_run::Entity>(db, &due, BATCH, update, [C::Id]).await?;
    failpoint::after("jobs.admit");
    Ok(!admitted.is_empty())
}

#[derive(Debug, Clone, FromQueryResult)]
struct Candidate {
    id: Uuid,
    concurrency_key: String,
    collision: Option<String>,
    priority: i16,
    run_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

#[derive(Debug, FromQueryResult)]
struct Holder {
    id: Uuid,
    active_key: String,
    status: String,
}

#[derive(Debug, Default)]
struct Batch {
    admitted: bool,
    cancelled: bool,
    more: bool,
    unreadable: Vec<(Uuid, DbErr)>,
}

/// Decides about the runs with a key for which `among` holds.
async fn admit_keyed(db: &DatabaseConnection, among: &Condition) -> Result<Option<Batch>, DbErr> {
    let dialect = dialect(db)?;
    if db.query_one(&due_keyed(dialect, among)).await?.is_none() {
        return Ok(None);
    }
    let tx = begin_short(db).await?;
    if !dialect.try_lock(&tx, LockName::Admission).await? {
        return Ok(None);
    }
    let candidates = tx
        .query_all(
            due_keyed(dialect, among)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked),
        )
        .await?;
    let more = u64::try_from(candidates.len()).unwrap_or(0) >= BATCH;
    let mut unreadable = Vec::new();
    let mut by_key: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for row in &candidates {
        match read_row::<Candidate>(row) {
            Ok(candidate) => by_key
                .entry(candidate.concurrency_key.clone())
                .or_default()
                .push(candidate),
            Err(error) => match row.try_get("", "id") {
                Ok(id) => unreadable.push((id, error)),
                Err(_) => tracing::error!(%error, "a run cannot be read, not even its id"),
            },
        }
    }
    let holders = lock_holders(&tx, &mut by_key).await?;
    let mut batch = Batch {
        more: more && !(by_key.is_empty() && unreadable.is_empty()),
        unreadable,
        ..Batch::default()
    };
    let mut ready = Vec::new();
    let mut blocked = Vec::new();
    for (key, mut candidates) in by_key {
        candidates.sort_by_key(|it| (-i32::from(it.priority), it.run_at, it.id));
        let mut holder = holders.get(&key);
        let newest = candidates
            .iter()
            .filter(|it| it.collision.as_deref() == Some(Collision::Replace.as_str()))
            .max_by_key(|it| (it.created_at, it.id))
            .cloned();
        if let Some(newest) = newest {
            let holder_stops = replace(&tx, &newest, &candidates, holder).await?;
            batch.cancelled |= holder.is_some();
            if holder_stops {
                holder = None;
            }
            candidates.retain(|it| it.id == newest.id);
        }
        let mut ids = candidates.iter().map(|it| it.id);
        if holder.is_none() {
            ready.extend(ids.next());
        }
        blocked.extend(ids);
    }
    batch.admitted = !ready.is_empty();
    set_readiness(&tx, ready, "ready").await?;
    set_readiness(&tx, blocked, "blocked").await?;
    failpoint::before("jobs.admit_keyed");
    tx.commit().await?;
    failpoint::after("jobs.admit_keyed");
    Ok(Some(batch))
}

/// The keys that such runs are due for, as far as one decision goes.
async fn keys_due(db: &DatabaseConnection, among: &Condition) -> Result<Vec<String>, DbErr> {
    let mut keys = Vec::new();
    for row in db.query_all(&due_keyed(dialect(db)?, among)).await? {
        keys.push(row.try_get("", "concurrency_key")?);
    }
    keys.sort();
    keys.dedup();
    Ok(keys)
}

fn due_keyed(dialect: &dyn Dialect, among: &Condition) -> SelectStatement {
    use job_run::Column as C;

    waiting("scheduled")
        .columns([
            C::Id,
            C::ConcurrencyKey,
            C::Collision,
            C::Priority,
            C::RunAt,
            C::CreatedAt,
        ])
        .and_where(Expr::col(C::RunAt).lte(dialect.now()))
        .and_where(C::ConcurrencyKey.is_not_null())
        .and_where(C::ActiveKey.is_null())
        .cond_where(among.clone())
        .order_by(C::RunAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .limit(BATCH)
        .to_owned()
}

// The holders of the keys, locked so that they cannot end before this decision has committed: a run would be marked as
// blocked behind a run that releases nobody any more. A key whose holder is just changing is left for the next look.
async fn lock_holders(
    tx: &DatabaseTransaction,
    by_key: &mut BTreeMap<String, Vec<Candidate>>,
) -> Result<BTreeMap<String, Holder>, DbErr> {
    use job_run::Column as C;

    let select = Query::select()
        .columns([C::Id, C::ActiveKey, C::Status])
        .from(job_run::Entity)
        .and_where(C::ActiveKey.is_in(by_key.keys()))
        .to_owned();
    let read = |rows: Vec<sea_orm::QueryResult>| {
        rows.iter()
            .map(|row| Holder::from_query_result(row, ""))
            .collect::<Result<Vec<_>, _>>()
    };
    let all = read(tx.query_all(&select).await?)?;
    let mut locking = select;
    locking.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let locked: BTreeMap<_, _> = read(tx.query_all(&locking).await?)?
        .into_iter()
        .map(|holder| (holder.active_key.clone(), holder))
        .collect();
    let changing: BTreeSet<_> = all
        .into_iter()
        .map(|it| it.active_key)
        .filter(|key| !locked.contains_key(key))
        .collect();
    by_key.retain(|key, _| !changing.contains(key));
    Ok(locked)
}

// The newest run takes the place of everything that was there before it. Returns whether the key is free at once.
async fn replace(
    tx: &DatabaseTransaction,
    newest: &Candidate,
    candidates: &[Candidate],
    holder: Option<&Holder>,
) -> Result<bool, DbErr> {
    use job_run::Column as C;

    let reason = format!("replaced by run {}", newest.id);
    let blocked = job_run::Entity::find()
        .select_only()
        .column(C::Id)
        .filter(C::ConcurrencyKey.eq(&newest.concurrency_key))
        .filter(Expr::col(C::Status).eq(literal("pending")))
        .filter(Expr::col(C::Readiness).eq(literal("blocked")))
        .order_by_asc(C::Id)
        .into_tuple::<Uuid>()
        .all(tx)
        .await?;
    let mut superseded: Vec<_> = candidates
        .iter()
        .map(|it| it.id)
        .filter(|id| *id != newest.id)
        .chain(blocked)
        .collect();
    let mut free = true;
    match holder {
        Some(holder) if holder.status != "running" => superseded.push(holder.id),
        Some(holder) => {
            request_cancellation(tx, holder.id, &reason).await?;
            free = false;
        }
        None => {}
    }
    cancel_waiting(tx, superseded.iter().copied(), &reason).await?;
    superseded.extend(holder.map(|holder| holder.id));
    close_children(tx, superseded).await?;
    Ok(free)
}

async fn set_readiness(
    tx: &DatabaseTransaction,
    ids: Vec<Uuid>,
    readiness: &'static str,
) -> Result<(), DbErr> {
    use job_run::Column as C;

    if ids.is_empty() {
        return Ok(());
    }
    let mut update = Query::update();
    update
        .table(job_run::Entity)
        .value(C::Readiness, readiness)
        .and_where(C::Id.is_in(ids))
        .and_where(Expr::col(C::Status).eq(literal("pending")));
    if readiness == "ready" {
        update.value(C::ActiveKey, Expr::col(C::ConcurrencyKey));
    }
    tx.execute(&update).await.map(drop)
}

#[derive(Debug, FromQueryResult)]
struct Next {
    run_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

async fn next_due(db: &DatabaseConnection, among: Condition) -> Result<Option<Duration>, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(db)?;
    let select = waiting("scheduled")
        .column(C::RunAt)
        .expr_as(dialect.now(), "now")
        .expr_as(Expr::col(C::RunAt).lte(dialect.now()), "is_due")
        .cond_where(among)
        .order_by(C::RunAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .limit(1)
        .to_owned();
    let Some(row) = db.query_one(&select).await? else {
        return Ok(None);
    };
    if row.try_get("", "is_due")? {
        return Ok(Some(CONTENDED));
    }
    // What the database takes for later than now, and nobody can read, is not due.
    let next = read_row::<Next>(&row).ok();
    Ok(next.map(|next| {
        (next.run_at - next.now)
            .to_std()
            .unwrap_or_default()
            .max(CONTENDED)
    }))
}
