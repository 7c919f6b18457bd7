//! Recording what became of a batch: one transaction, and only what the claim's fence still covers.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::claim::ClaimedEvent;
use super::dispatch::{
    Consumers, DeliveryOutcome, DispatchedDelivery, DispatchedEvent, Failure, HeldByAggregate,
};
use super::handover::{deliveries_of, insert_deliveries, registered};
use crate::bridge::{self, Firing};
use crate::database::{self, Dialect, literal, now_plus, rows_per_statement};
use crate::events::entities::{domain_event, event_delivery};
use crate::events::{ConsumerKind, EventOrdering};
use crate::failpoint;
use crate::metrics;

use domain_event::Column as E;
use event_delivery::Column as D;

/// Which consumers may not get further events of the batch's aggregates on the spot.
pub(crate) async fn held_consumers(
    db: &DatabaseConnection,
    consumers: &Consumers,
    events: &[ClaimedEvent],
) -> Result<HeldByAggregate, DbErr> {
    let ids: HashSet<&str> = events
        .iter()
        .filter_map(|it| Some(it.aggregate()?.1))
        .collect();
    let mut held = HeldByAggregate::new();
    let names: Vec<&str> = consumers.iter().map(|it| it.1).collect();
    if ids.is_empty() || names.is_empty() {
        return Ok(held);
    }
    let kinds = [
        ConsumerKind::Subscription.as_str(),
        ConsumerKind::Trigger.as_str(),
    ];
    let waiting = event_delivery::Entity::find()
        .select_only()
        .columns([
            D::Kind,
            D::Subscription,
            D::EventType,
            D::AggregateType,
            D::AggregateId,
        ])
        .distinct()
        .filter(Expr::col(D::Status).eq(literal("pending")))
        .filter(D::Kind.is_in(kinds))
        .filter(D::Subscription.is_in(names))
        .filter(D::AggregateId.is_in(ids))
        .filter(D::Ordering.eq(EventOrdering::Aggregate.as_str()))
        .into_tuple::<(String, String, String, Option<String>, Option<String>)>()
        .all(db)
        .await?;
    for (kind, name, event_type, aggregate_type, aggregate_id) in waiting {
        if let (Some(kind), Some(aggregate_type), Some(aggregate_id)) =
            (ConsumerKind::from_name(&kind), aggregate_type, aggregate_id)
            && consumers.hosts(kind, &name, &event_type)
        {
            held.entry((aggregate_type, aggregate_id))
                .or_default()
                .insert((kind, name));
        }
    }
    Ok(held)
}

/// Records a batch of dispatched events. Returns how many runs were started.
pub(crate) async fn settle_events(
    db: &DatabaseConnection,
    batch: &[DispatchedEvent],
) -> Result<usize, DbErr> {
    let tx = database::begin_short(db).await?;
    let dialect = database::dialect(&tx)?;
    let claims: Vec<_> = batch
        .iter()
        .map(|it| (it.event.record.seq, it.event.token))
        .collect();
    let owned = lock_owned_events(&tx, dialect, &claims).await?;
    let registered = registered(&tx, batch).await?;

    let mut deliveries = Vec::new();
    let mut processed = Vec::new();
    let mut delivering = Vec::new();
    for it in batch
        .iter()
        .filter(|it| owned.contains(&it.event.record.seq))
    {
        let seq = it.event.record.seq;
        let rows = deliveries_of(it, &registered);
        let waits = rows
            .iter()
            .any(|row| row.failure.is_none_or(|it| it.retry_after.is_some()));
        let given_up = it
            .failures
            .iter()
            .find(|(_, failure)| failure.retry_after.is_none());
        if let Some((name, failure)) = given_up {
            let error = format!("subscription `{name}`: {}", failure.error);
            mark_events(&tx, dialect, &[seq], Some("failed"), Some(&error)).await?;
        } else if waits {
            delivering.push(seq);
        } else {
            processed.push(seq);
        }
        deliveries.extend(rows);
    }
    mark_events(&tx, dialect, &processed, Some("processed"), None).await?;
    mark_events(&tx, dialect, &delivering, None, None).await?;
    insert_deliveries(&tx, dialect, &deliveries).await?;
    let firings: Vec<&Firing> = batch
        .iter()
        .filter(|it| owned.contains(&it.event.record.seq))
        .flat_map(|it| &it.firings)
        .collect();
    let started = bridge::record(&tx, &firings).await?;
    failpoint::before("events.settle");
    tx.commit().await?;
    failpoint::after("events.settle");
    if owned.len() < batch.len() {
        metrics::stale_outcomes(batch.len() - owned.len());
        tracing::warn!(
            lost = batch.len() - owned.len(),
            "events were taken over by another worker before this one had recorded their delivery"
        );
    }
    Ok(started)
}

/// Records a batch of deliveries, and the end of their events where nothing else of them waits or one was given up.
/// Returns how many runs were started.
pub(crate) async fn settle_deliveries(
    db: &DatabaseConnection,
    batch: &[DispatchedDelivery],
) -> Result<usize, DbErr> {
    let tx = database::begin_short(db).await?;
    let dialect = database::dialect(&tx)?;
    let seqs: Vec<i64> = batch.iter().map(|it| it.delivery.row.event_seq).collect();
    // Two transactions that end the last two deliveries of an event must see each other.
    lock_events(&tx, dialect, &seqs).await?;
    let mut firings: Vec<&Firing> = Vec::new();
    for it in batch {
        let row = &it.delivery.row;
        let mut update = Query::update();
        update
            .table(event_delivery::Entity)
            .value(D::ClaimedBy, Option::<Uuid>::None)
            .value(D::ClaimToken, Option::<Uuid>::None)
            .and_where(Expr::col(D::EventSeq).eq(row.event_seq))
            .and_where(Expr::col(D::Kind).eq(&row.kind))
            .and_where(Expr::col(D::Subscription).eq(&row.subscription))
            .and_where(Expr::col(D::ClaimToken).eq(it.delivery.token));
        match &it.outcome {
            DeliveryOutcome::Delivered | DeliveryOutcome::Fired(_) => {
                update
                    .value(D::Status, "processed")
                    .value(D::ProcessedAt, dialect.now());
            }
            DeliveryOutcome::Behind => {
                update.value(D::Attempts, Expr::col(D::Attempts).sub(1));
            }
            DeliveryOutcome::Failed(Failure {
                error,
                retry_after: Some(delay),
            }) => {
                update
                    .value(D::Error, error)
                    .value(D::AvailableAt, now_plus(dialect, *delay));
            }
            DeliveryOutcome::Failed(Failure {
                error,
                retry_after: None,
            }) => {
                update
                    .value(D::Status, "failed")
                    .value(D::Error, error)
                    .value(D::ProcessedAt, dialect.now());
            }
        }
        let owned = tx.execute(&update).await?.rows_affected() > 0;
        match &it.outcome {
            DeliveryOutcome::Fired(firing) if owned => firings.push(&**firing),
            DeliveryOutcome::Failed(Failure {
                error,
                retry_after: None,
            }) if owned => {
                let error = format!("{} `{}`: {error}", row.kind, row.subscription);
                let update = Query::update()
                    .table(domain_event::Entity)
                    .value(E::Error, error)
                    .and_where(Expr::col(E::Seq).eq(row.event_seq))
                    .to_owned();
                tx.execute(&update).await?;
            }
            _ => {}
        }
    }
    let started = bridge::record(&tx, &firings).await?;
    end_events(&tx, dialect, &seqs).await?;
    failpoint::before("events.settle_deliveries");
    tx.commit().await?;
    failpoint::after("events.settle_deliveries");
    Ok(started)
}

/// Puts an event back whose outcome could not be recorded, or gives it up after `attempts` claims.
pub(crate) async fn postpone_event(
    db: &DatabaseConnection,
    (seq, token): (i64, Uuid),
    error: &str,
    retry_after: Option<Duration>,
) -> Result<(), DbErr> {
    let dialect = database::dialect(db)?;
    let mut update = Query::update();
    update
        .table(domain_event::Entity)
        .value(E::ClaimedBy, Option::<Uuid>::None)
        .value(E::ClaimToken, Option::<Uuid>::None)
        .value(E::Error, error)
        .and_where(Expr::col(E::Seq).eq(seq))
        .and_where(Expr::col(E::ClaimToken).eq(token));
    match retry_after {
        Some(delay) => update.value(E::AvailableAt, now_plus(dialect, delay)),
        None => update
            .value(E::Status, "failed")
            .value(E::ProcessedAt, dialect.now()),
    };
    failpoint::before("events.postpone");
    db.execute(&update).await?;
    failpoint::after("events.postpone");
    Ok(())
}

async fn lock_owned_events(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    claims: &[(i64, Uuid)],
) -> Result<HashSet<i64>, DbErr> {
    let mut owned = HashSet::new();
    let tokens: HashSet<Uuid> = claims.iter().map(|it| it.1).collect();
    let expected: HashSet<(i64, Uuid)> = claims.iter().copied().collect();
    for chunk in claims.chunks(rows_per_statement(dialect, 2)) {
        let rows = domain_event::Entity::find()
            .select_only()
            .columns([E::Seq, E::ClaimToken])
            .filter(E::Seq.is_in(chunk.iter().map(|it| it.0)))
            .filter(E::ClaimToken.is_in(tokens.iter().copied()))
            .order_by_asc(E::Seq)
            .lock_exclusive()
            .into_tuple::<(i64, Uuid)>()
            .all(tx)
            .await?;
        owned.extend(
            rows.into_iter()
                .filter(|it| expected.contains(it))
                .map(|it| it.0),
        );
    }
    Ok(owned)
}

/// Locks events, always in the same order.
pub(crate) async fn lock_events(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    seqs: &[i64],
) -> Result<(), DbErr> {
    let mut seqs = seqs.to_vec();
    seqs.sort_unstable();
    seqs.dedup();
    for chunk in seqs.chunks(rows_per_statement(dialect, 1)) {
        domain_event::Entity::find()
            .select_only()
            .column(E::Seq)
            .filter(E::Seq.is_in(chunk.iter().copied()))
            .order_by_asc(E::Seq)
            .lock_exclusive()
            .into_tuple::<i64>()
            .all(tx)
            .await?;
    }
    Ok(())
}

/// Ends the claim on events of this transaction; without a status they wait for their deliveries.
async fn mark_events(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    seqs: &[i64],
    status: Option<&str>,
    error: Option<&str>,
) -> Result<(), DbErr> {
    for chunk in seqs.chunks(rows_per_statement(dialect, 1).saturating_sub(8).max(1)) {
        let mut update = Query::update();
        update
            .table(domain_event::Entity)
            .value(E::ClaimedBy, Option::<Uuid>::None)
            .value(E::ClaimToken, Option::<Uuid>::None)
            .value(E::DispatchedAt, dialect.now())
            .value(E::Error, error.map(str::to_owned))
            .and_where(Expr::col(E::Seq).is_in(chunk.iter().copied()));
        if let Some(status) = status {
            update
                .value(E::Status, status)
                .value(E::ProcessedAt, dialect.now());
        }
        tx.execute(&update).await?;
    }
    Ok(())
}

/// Whether anything waits of an event; part of a statement about `domain_events`.
pub(crate) fn deliveries_wait() -> SimpleExpr {
    Expr::exists(deliveries("pending"))
}

fn deliveries(status: &'static str) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(event_delivery::Entity)
        .and_where(
            Expr::col((event_delivery::Entity, D::EventSeq))
                .eq(Expr::col((domain_event::Entity, E::Seq))),
        )
        .and_where(Expr::col((event_delivery::Entity, D::Status)).eq(status))
        .to_owned()
}

/// Ends the events of which nothing waits any more, and those of which one delivery was given up, whatever else waits:
/// it may wait for long, and who looks after failures is to know.
pub(crate) async fn end_events(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    seqs: &[i64],
) -> Result<(), DbErr> {
    let has_failed = || Expr::exists(deliveries("failed"));
    for chunk in seqs.chunks(rows_per_statement(dialect, 1).saturating_sub(8).max(1)) {
        let status: SimpleExpr = Expr::case(has_failed(), "failed")
            .finally("processed")
            .into();
        let update = Query::update()
            .table(domain_event::Entity)
            .value(E::Status, status)
            .value(E::ProcessedAt, dialect.now())
            .and_where(Expr::col(E::Seq).is_in(chunk.iter().copied()))
            .and_where(Expr::col(E::Status).eq("pending"))
            .and_where(Expr::col(E::DispatchedAt).is_not_null())
            .and_where(has_failed().or(deliveries_wait().not()))
            .to_owned();
        tx.execute(&update).await?;
    }
    Ok(())
}
