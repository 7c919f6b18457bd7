//! What did not succeed on the spot, as rows for later or for others.

use std::collections::{BTreeSet, HashSet};

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use super::claim::ClaimedEvent;
use super::dispatch::{DispatchedEvent, Failure};
use super::lane::Lane;
use crate::database::{Dialect, insert_new, now_plus};
use crate::events::entities::event_delivery::{self, Column as D};
use crate::events::entities::event_subscription;
use crate::events::{ConsumerKind, EVERY_TYPE, Tier, gets};

/// A delivery row to be written.
pub(super) struct NewDelivery<'a> {
    event: &'a ClaimedEvent,
    kind: ConsumerKind,
    name: String,
    pub(super) failure: Option<&'a Failure>,
}

/// The registered consumers of the batch's event types, wherever they are hosted, as (event type, kind, name).
pub(super) async fn registered(
    tx: &DatabaseTransaction,
    batch: &[DispatchedEvent],
) -> Result<Vec<(String, ConsumerKind, String)>, DbErr> {
    let types: HashSet<&str> = batch
        .iter()
        .map(|it| it.event.record.event_type.as_str())
        .chain([EVERY_TYPE])
        .collect();
    let registered = event_subscription::Entity::find()
        .filter(event_subscription::Column::EventType.is_in(types))
        .filter(event_subscription::Column::RetiredAt.is_null())
        .all(tx)
        .await?;
    Ok(registered
        .into_iter()
        .filter_map(|it| Some((it.event_type, ConsumerKind::from_name(&it.kind)?, it.name)))
        .collect())
}

/// The rows that a dispatched event leaves behind.
pub(super) fn deliveries_of<'a>(
    dispatched: &'a DispatchedEvent,
    registered: &[(String, ConsumerKind, String)],
) -> Vec<NewDelivery<'a>> {
    let event = &dispatched.event;
    let failures = dispatched
        .failures
        .iter()
        .map(|(name, failure)| NewDelivery {
            event,
            kind: ConsumerKind::Subscription,
            name: name.clone(),
            failure: Some(failure),
        });
    let held = dispatched.held.iter().map(|(kind, name)| NewDelivery {
        event,
        kind: *kind,
        name: name.clone(),
        failure: None,
    });
    let event_type = &event.record.event_type;
    // One name may be registered twice, for the type and for every type.
    let elsewhere: BTreeSet<_> = registered
        .iter()
        .filter(|(registered_for, kind, name)| {
            let may_start_work = event.record.tier == Tier::Domain;
            gets(registered_for, event_type)
                && !dispatched.consumers.hosts(*kind, name, event_type)
                && (*kind == ConsumerKind::Subscription || may_start_work)
        })
        .map(|(_, kind, name)| (*kind, name))
        .collect();
    let elsewhere = elsewhere.into_iter().map(|(kind, name)| NewDelivery {
        event,
        kind,
        name: name.clone(),
        failure: None,
    });
    failures.chain(held).chain(elsewhere).collect()
}

/// Writes the rows; those that are there already stay as they are.
pub(super) async fn insert_deliveries(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    deliveries: &[NewDelivery<'_>],
) -> Result<(), DbErr> {
    const COLUMNS: [D; 14] = [
        D::EventSeq,
        D::Kind,
        D::Subscription,
        D::EventType,
        D::EventId,
        D::Pool,
        D::AggregateType,
        D::AggregateId,
        D::Ordering,
        D::Status,
        D::Attempts,
        D::AvailableAt,
        D::ProcessedAt,
        D::Error,
    ];
    let insert = Query::insert()
        .into_table(event_delivery::Entity)
        .columns(COLUMNS)
        .to_owned();
    let rows = deliveries.iter().map(|it| {
        let record = &it.event.record;
        let given_up = it.failure.is_some_and(|it| it.retry_after.is_none());
        let delay = it.failure.and_then(|it| it.retry_after).unwrap_or_default();
        let values = vec![
            record.seq.into(),
            it.kind.as_str().into(),
            it.name.as_str().into(),
            record.event_type.as_str().into(),
            record.id.as_uuid().into(),
            Lane::of(record).name().into(),
            record.aggregate_type.clone().into(),
            record.aggregate_id.clone().into(),
            it.event.ordering.as_str().into(),
            if given_up { "failed" } else { "pending" }.into(),
            i32::from(it.failure.is_some()).into(),
            now_plus(dialect, delay),
            if given_up {
                dialect.now()
            } else {
                Expr::null()
            },
            it.failure.map(|it| it.error.clone()).into(),
        ];
        let key = (record.seq, it.kind.as_str().to_owned(), it.name.clone());
        (key, values)
    });
    let key = ["event_seq", "kind", "subscription"];
    insert_new(tx, &insert, &key, rows.collect())
        .await
        .map(drop)
}
