//! Consumers that no program hosts any more: what waits for them is ended, so that no event waits for ever.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::hosted::Hosted;
use super::settle::{end_events, lock_events};
use crate::bridge;
use crate::database::{self, Dialect, literal, retrying, update_returning};
use crate::events::entities::{event_delivery, event_subscription};
use crate::events::{ConsumerKind, EVERY_TYPE, EventId};
use crate::failpoint;

use event_delivery::Column as D;
use event_subscription::Column as S;

/// How many deliveries are ended by one transaction.
const BATCH: u64 = 500;

/// A consumer's kind and name.
pub(crate) type Consumer<'a> = (ConsumerKind, &'a str);

/// Takes a consumer out of the registry, for whichever types it is in: it gets no further events. Returns whether it
/// was in.
pub(crate) async fn retire(
    db: &DatabaseConnection,
    (kind, name): Consumer<'_>,
) -> Result<bool, DbErr> {
    let update = Query::update()
        .table(event_subscription::Entity)
        .value(S::RetiredAt, database::dialect(db)?.now())
        .and_where(S::Kind.eq(kind.as_str()))
        .and_where(S::Name.eq(name))
        .and_where(S::RetiredAt.is_null())
        .to_owned();
    if db.execute(&update).await?.rows_affected() > 0 {
        return Ok(true);
    }
    let known = event_subscription::Entity::find()
        .filter(S::Kind.eq(kind.as_str()))
        .filter(S::Name.eq(name))
        .one(db)
        .await?;
    Ok(known.is_some())
}

/// What no worker has marked as hosted for long, by kind, name and type, and at how many looks in a row.
#[derive(Debug, Default)]
pub(super) struct Unhosted {
    looks: HashMap<(String, String, String), u32>,
}

impl Unhosted {
    /// Retires what no worker has hosted for so long, and at so many looks, that none ever will. Between two looks every
    /// worker that lives has marked what it hosts. Returns how many it were.
    pub(super) async fn look(&mut self, db: &DatabaseConnection) -> Result<u64, DbErr> {
        let dialect = database::dialect(db)?;
        let is_unhosted = || {
            let long_ago = dialect.real_now_plus_seconds(-super::RETIREMENT.as_secs_f64());
            Condition::all()
                .add(S::RetiredAt.is_null())
                .add(Expr::col(S::SeenAt).lt(long_ago))
        };
        let unhosted = event_subscription::Entity::find()
            .select_only()
            .columns([S::Kind, S::Name, S::EventType])
            .filter(is_unhosted())
            .into_tuple::<(String, String, String)>()
            .all(db)
            .await?;
        let looks = |key| {
            let before = self.looks.get(&key).copied().unwrap_or_default();
            (key, before + 1)
        };
        self.looks = unhosted.into_iter().map(looks).collect();
        let mut retired = 0;
        for (kind, name, event_type) in self.looks.iter().filter_map(|(key, looks)| {
            let is_certain = *looks >= super::LOOKS;
            is_certain.then_some(key)
        }) {
            let update = Query::update()
                .table(event_subscription::Entity)
                .value(S::RetiredAt, dialect.now())
                .and_where(S::Kind.eq(kind))
                .and_where(S::Name.eq(name))
                .and_where(S::EventType.eq(event_type))
                .cond_where(is_unhosted())
                .to_owned();
            retired += db.execute(&update).await?.rows_affected();
        }
        Ok(retired)
    }
}

/// Stops this process from hosting what has been retired, wherever that was said. Returns how many it was.
pub(super) async fn stop_hosting(db: &DatabaseConnection, hosted: &Hosted) -> Result<u64, DbErr> {
    let retired = event_subscription::Entity::find()
        .select_only()
        .columns([S::Kind, S::Name, S::EventType])
        .filter(S::RetiredAt.is_not_null())
        .into_tuple::<(String, String, String)>()
        .all(db)
        .await?;
    let stopped = hosted.remove_where(|kind, name, event_type| {
        retired
            .iter()
            .any(|it| it.0 == kind.as_str() && it.1 == name && it.2 == event_type)
    });
    Ok(stopped as u64)
}

/// Ends what waits for retired consumers, or for one of them: such deliveries are skipped, and a trigger's are on record
/// in the ledger too. What a worker has in hand is left to it. Returns how many deliveries were skipped.
///
/// Whoever reads the registry just before a retirement may leave a delivery just after it: this is repeated.
pub(crate) async fn skip_waiting(
    db: &DatabaseConnection,
    only: Option<Consumer<'_>>,
) -> Result<u64, DbErr> {
    let mut skipped = 0;
    loop {
        let seqs = event_delivery::Entity::find()
            .select_only()
            .column(D::EventSeq)
            .filter(waits_in_vain(only))
            .order_by_asc(D::EventSeq)
            .limit(BATCH)
            .into_tuple::<i64>()
            .all(db)
            .await?;
        if seqs.is_empty() {
            return Ok(skipped);
        }
        let ended = retrying(db, || async {
            let tx = database::begin_short(db).await?;
            let dialect = database::dialect(&tx)?;
            lock_events(&tx, dialect, &seqs).await?;
            let ended = skip(&tx, dialect, only, &seqs).await?;
            end_events(&tx, dialect, &seqs).await?;
            failpoint::before("events.retire");
            tx.commit().await?;
            failpoint::after("events.retire");
            Ok::<_, DbErr>(ended)
        })
        .await?;
        // Others may have been faster, or have taken them in hand.
        if ended == 0 {
            return Ok(skipped);
        }
        skipped += ended;
    }
}

async fn skip(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    only: Option<Consumer<'_>>,
    seqs: &[i64],
) -> Result<u64, DbErr> {
    let update = Query::update()
        .table(event_delivery::Entity)
        .value(D::Status, "skipped")
        .value(D::Error, "no program hosts it any more")
        .value(D::ProcessedAt, dialect.now())
        .to_owned();
    let condition = waits_in_vain(only).add(D::EventSeq.is_in(seqs.iter().copied()));
    let columns = [D::EventId, D::EventType, D::Kind, D::Subscription];
    let rows = update_returning::<event_delivery::Entity>(tx, update, condition, columns).await?;
    let mut of_triggers = Vec::new();
    for row in &rows {
        if row.try_get::<String>("", "kind")? == ConsumerKind::Trigger.as_str() {
            let id = EventId(row.try_get::<Uuid>("", "event_id")?);
            let event_type: String = row.try_get("", "event_type")?;
            let trigger_id: String = row.try_get("", "subscription")?;
            of_triggers.push((id, event_type, trigger_id));
        }
    }
    if !of_triggers.is_empty() {
        bridge::record_unregistered(tx, of_triggers).await?;
    }
    Ok(rows.len() as u64)
}

fn waits_in_vain(only: Option<Consumer<'_>>) -> Condition {
    let retired = Query::select()
        .columns([S::Kind, S::Name])
        .from(event_subscription::Entity)
        .and_where(S::RetiredAt.is_not_null())
        .to_owned();
    let delivery = |column| Expr::col((event_delivery::Entity, column));
    let registered = |column| Expr::col((event_subscription::Entity, column));
    // Another version of the program may still get the event under the same name.
    let still_registered = Query::select()
        .expr(Expr::val(1))
        .from(event_subscription::Entity)
        .and_where(S::RetiredAt.is_null())
        .and_where(registered(S::Kind).eq(delivery(D::Kind)))
        .and_where(registered(S::Name).eq(delivery(D::Subscription)))
        .and_where(
            registered(S::EventType)
                .eq(EVERY_TYPE)
                .or(registered(S::EventType).eq(delivery(D::EventType))),
        )
        .to_owned();
    let mut condition = Condition::all()
        .add(Expr::col(D::Status).eq(literal("pending")))
        .add(D::ClaimedBy.is_null())
        .add(Expr::tuple([Expr::col(D::Kind), Expr::col(D::Subscription)]).in_subquery(retired))
        .add(Expr::exists(still_registered).not());
    if let Some((kind, name)) = only {
        condition = condition
            .add(D::Kind.eq(kind.as_str()))
            .add(D::Subscription.eq(name));
    }
    condition
}
