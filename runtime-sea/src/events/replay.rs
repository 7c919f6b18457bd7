//! Delivering events again.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use sea_orm_migration::SchemaManager;
use uuid::Uuid;

use super::drain::deliveries_wait;
use super::entities::{domain_event, event_delivery};
use super::{EventFilter, EventId, EventStatus, Events};
use crate::bridge::ledger;
use crate::database::{self, News, retrying};

use domain_event::Column as E;
use event_delivery::Column as D;

/// How many events one transaction starts over.
const BATCH: usize = 200;

impl Events {
    /// Gives a failed event another chance: what failed of it is tried again, with all attempts; what succeeded is not,
    /// and what waits goes on to. Returns whether there was such an event.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn redeliver(&self, id: EventId) -> Result<bool, DbErr> {
        let seen = self.scope.condition(E::TenantId)?;
        let seen = Condition::all().add_option(seen);
        let db = self.runtime.db();
        if !retrying(db, || redeliver(db, id, seen.clone())).await? {
            return Ok(false);
        }
        self.runtime.wake_up().announce(News::EVENTS);
        Ok(true)
    }

    /// Delivers an event of which nothing waits any more to everybody again who gets its type now, whether or not they
    /// had it before. A job's trigger that has started a run for it starts no other; one that has not is asked again.
    /// Returns whether there was such an event.
    ///
    /// Events of its aggregate that are not delivered yet wait for it; those that are have been before it then.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn replay(&self, id: EventId) -> Result<bool, DbErr> {
        let mut select = domain_event::Entity::find().filter(E::Id.eq(id.as_uuid()));
        if let Some(seen) = self.scope.condition(E::TenantId)? {
            select = select.filter(seen);
        }
        let seqs = select
            .select_only()
            .column(E::Seq)
            .into_tuple::<i64>()
            .all(self.runtime.db())
            .await?;
        Ok(self.start_over(&seqs).await? > 0)
    }

    /// As [`replay`](Self::replay), for every event that the filter lets through and of which nothing waits; mind the
    /// filter's limit. Many are started over in several transactions. Returns how many it were.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn replay_all(&self, filter: EventFilter) -> Result<u64, DbErr> {
        let mut seqs = self
            .select(filter)?
            .filter(E::Status.is_in(OVER))
            .select_only()
            .column(E::Seq)
            .into_tuple::<i64>()
            .all(self.runtime.db())
            .await?;
        // The oldest first, so that they are delivered in their order.
        seqs.reverse();
        let mut replayed = 0;
        for chunk in seqs.chunks(BATCH) {
            replayed += self.start_over(chunk).await?;
        }
        Ok(replayed)
    }

    async fn start_over(&self, seqs: &[i64]) -> Result<u64, DbErr> {
        let db = self.runtime.db();
        // An app may use events without the bridge.
        let has_bridge = SchemaManager::new(db).has_table("bridge_delivery").await?;
        let replayed = retrying(db, || async {
            let tx = database::begin_short(db).await?;
            let dialect = database::dialect(&tx)?;
            let over: Vec<(i64, Uuid)> = domain_event::Entity::find()
                .select_only()
                .columns([E::Seq, E::Id])
                .filter(E::Seq.is_in(seqs.iter().copied()))
                .filter(E::Status.is_in(OVER))
                .filter(deliveries_wait().not())
                .order_by_asc(E::Seq)
                .lock_exclusive()
                .into_tuple()
                .all(&tx)
                .await?;
            event_delivery::Entity::delete_many()
                .filter(D::EventSeq.is_in(over.iter().map(|it| it.0)))
                .exec(&tx)
                .await?;
            if has_bridge {
                // What stands for a run stays, or there would be a second one.
                ledger::Entity::delete_many()
                    .filter(ledger::Column::EventId.is_in(over.iter().map(|it| it.1)))
                    .filter(ledger::Column::RunId.is_null())
                    .exec(&tx)
                    .await?;
            }
            let update = Query::update()
                .table(domain_event::Entity)
                .value(E::Status, EventStatus::Pending.as_str())
                .value(E::Attempts, 0)
                .value(E::Recoveries, 0)
                .value(E::AvailableAt, dialect.now())
                .value(E::DispatchedAt, Option::<DateTime<Utc>>::None)
                .value(E::ProcessedAt, Option::<DateTime<Utc>>::None)
                .value(E::Error, Option::<String>::None)
                .and_where(Expr::col(E::Seq).is_in(over.iter().map(|it| it.0)))
                .to_owned();
            tx.execute(&update).await?;
            tx.commit().await?;
            Ok(over.len() as u64)
        })
        .await?;
        if replayed > 0 {
            self.runtime.wake_up().announce(News::EVENTS);
        }
        Ok(replayed)
    }
}

const OVER: [&str; 2] = [
    EventStatus::Processed.as_str(),
    EventStatus::Failed.as_str(),
];

async fn redeliver(db: &DatabaseConnection, id: EventId, seen: Condition) -> Result<bool, DbErr> {
    let tx = database::begin_short(db).await?;
    let dialect = database::dialect(&tx)?;
    let failed = domain_event::Entity::find()
        .filter(E::Id.eq(id.as_uuid()))
        .filter(E::Status.eq(EventStatus::Failed.as_str()))
        .filter(seen)
        .lock_exclusive()
        .select_only()
        .column(E::Seq)
        .into_tuple::<i64>()
        .one(&tx)
        .await?;
    let Some(seq) = failed else {
        return Ok(false);
    };
    let deliveries = Query::update()
        .table(event_delivery::Entity)
        .value(D::Status, EventStatus::Pending.as_str())
        .value(D::Attempts, 0)
        .value(D::Recoveries, 0)
        .value(D::AvailableAt, dialect.now())
        .value(D::ProcessedAt, Option::<DateTime<Utc>>::None)
        .and_where(Expr::col(D::EventSeq).eq(seq))
        .and_where(Expr::col(D::Status).eq(EventStatus::Failed.as_str()))
        .to_owned();
    let revived = tx.execute(&deliveries).await?.rows_affected();
    let mut update = Query::update();
    update
        .table(domain_event::Entity)
        .value(E::Status, EventStatus::Pending.as_str())
        .value(E::Attempts, 0)
        .value(E::Recoveries, 0)
        .value(E::Error, Option::<String>::None)
        .value(E::AvailableAt, dialect.now())
        .value(E::ProcessedAt, Option::<DateTime<Utc>>::None)
        .and_where(Expr::col(E::Seq).eq(seq));
    if revived == 0 {
        // It failed before anything was called.
        update.value(E::DispatchedAt, Option::<DateTime<Utc>>::None);
    }
    tx.execute(&update).await?;
    tx.commit().await?;
    Ok(true)
}
