//! Taking events and deliveries in hand: in short transactions of their own, in which no handler runs.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::sea_query::{
    Alias, Condition, Expr, ExprTrait, Query, SelectStatement, SimpleExpr, UpdateStatement,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, Iterable, QueryFilter,
    QueryResult, QueryTrait,
};
use uuid::Uuid;

use super::claimable::{claimable_deliveries, claimable_events};
use super::dispatch::Consumers;
use super::lane::Lane;
use super::turns::SuspectTurns;
use super::unreadable::{give_up_delivery, give_up_event};
use crate::database::{self, Dialect, read_row, retrying, update_chosen, update_picked};
use crate::events::entities::{domain_event, event_delivery};
use crate::events::{ConsumerKind, EventOrdering, EventRecord};
use crate::failpoint;
use crate::jobs::entities::job_worker;

use domain_event::Column as E;
use event_delivery::Column as D;

/// How many claims of dead workers are given up at a time.
const RELEASED: u64 = 500;

/// Where a pump's work comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    Events(Lane),
    Deliveries(Lane),
}

impl Source {
    pub(crate) const fn lane(self) -> Lane {
        match self {
            Self::Events(lane) | Self::Deliveries(lane) => lane,
        }
    }
}

/// What a claim may take.
#[derive(Debug)]
pub(crate) struct Claimant<'a> {
    pub(crate) worker_id: Uuid,
    /// The types that this program knows, beside those that somebody has subscribed to; `None` stands for all.
    pub(crate) known_types: Option<&'a [String]>,
    /// What it hosts.
    pub(crate) consumers: &'a Consumers,
    pub(crate) turns: &'a SuspectTurns,
}

/// An event in hand.
#[derive(Debug, Clone)]
pub(crate) struct ClaimedEvent {
    pub(crate) record: Arc<EventRecord>,
    pub(crate) ordering: EventOrdering,
    /// The fence: a write about the event happens only while the row still has it.
    pub(crate) token: Uuid,
}

impl ClaimedEvent {
    /// What the event shares its order with.
    pub(crate) fn aggregate(&self) -> Option<(&str, &str)> {
        match self.ordering {
            EventOrdering::Aggregate => self
                .record
                .aggregate_type
                .as_deref()
                .zip(self.record.aggregate_id.as_deref()),
            EventOrdering::None => None,
        }
    }
}

/// A delivery in hand, with its event.
#[derive(Debug, Clone)]
pub(crate) struct ClaimedDelivery {
    pub(crate) row: event_delivery::Model,
    pub(crate) record: Arc<EventRecord>,
    pub(crate) kind: ConsumerKind,
    pub(crate) token: Uuid,
}

/// Takes up to `limit` events of a lane in hand, in the order of the outbox.
///
/// No event is taken while an earlier one of its aggregate is neither dispatched nor taken by the same claim. Claims of
/// all workers are serialised, because a claim that cannot see another one's rows yet cannot keep that promise.
pub(crate) async fn claim_events(
    db: &DatabaseConnection,
    claimant: &Claimant<'_>,
    lane: Lane,
    limit: u64,
) -> Result<Vec<ClaimedEvent>, DbErr> {
    let dialect = database::dialect(db)?;
    // An idle drainer only reads.
    let probe = claimable_events(dialect, claimant, lane, 1);
    if db.query_one(&probe).await?.is_none() {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    loop {
        let token = Uuid::now_v7();
        let mut update = Query::update();
        update
            .table(domain_event::Entity)
            .value(E::ClaimedBy, claimant.worker_id)
            .value(E::ClaimToken, token)
            .value(E::Attempts, Expr::col(E::Attempts).add(1));
        let chosen = claimable_events(dialect, claimant, lane, limit);
        let rows =
            claim::<domain_event::Entity>(db, dialect, claimant.worker_id, chosen, update).await?;
        for row in &rows {
            match read_row::<domain_event::Model>(row) {
                Ok(row) => events.push(ClaimedEvent {
                    ordering: if row.ordering == EventOrdering::Aggregate.as_str() {
                        EventOrdering::Aggregate
                    } else {
                        EventOrdering::None
                    },
                    record: Arc::new(row.into()),
                    token,
                }),
                Err(why) => give_up_event(db, row, token, &why).await?,
            }
        }
        // What is behind events that nobody can read must not look like nothing.
        if !events.is_empty() || rows.is_empty() {
            break;
        }
    }
    events.sort_unstable_by_key(|it| it.record.seq);
    Ok(events)
}

/// Takes up to `limit` deliveries of a lane in hand that are for what the claimant hosts, oldest event first; per
/// consumer in the order of the aggregate.
pub(crate) async fn claim_deliveries(
    db: &DatabaseConnection,
    claimant: &Claimant<'_>,
    lane: Lane,
    limit: u64,
    has_nothing_in_hand: bool,
) -> Result<Vec<ClaimedDelivery>, DbErr> {
    if claimant.consumers.iter().next().is_none() {
        return Ok(Vec::new());
    }
    let dialect = database::dialect(db)?;
    let claimable =
        |suspects, limit| claimable_deliveries(dialect, claimant.consumers, lane, suspects, limit);
    loop {
        // An idle drainer asks one question.
        if db.query_one(&claimable(None, 1)).await?.is_none() {
            return Ok(Vec::new());
        }
        let waits = async |suspects| {
            let probe = claimable(Some(suspects), 1);
            db.query_one(&probe).await.map(|it| it.is_some())
        };
        let suspects_wait = waits(true).await?;
        let others_wait = !suspects_wait || waits(false).await?;
        let mut takes_suspect =
            suspects_wait && (!others_wait || claimant.turns.is_suspects_turn(lane));
        // What a worker died over is taken alone, so that nothing else comes to harm if it is what killed it.
        if takes_suspect && !has_nothing_in_hand {
            if !others_wait || claimant.turns.holds_back(lane) {
                return Ok(Vec::new());
            }
            takes_suspect = false;
        }
        let limit = if takes_suspect { 1 } else { limit };
        let chosen = claimable(Some(takes_suspect), limit);
        let token = Uuid::now_v7();
        let mut update = Query::update();
        update
            .table(event_delivery::Entity)
            .value(D::ClaimedBy, claimant.worker_id)
            .value(D::ClaimToken, token)
            .value(D::Attempts, Expr::col(D::Attempts).add(1));
        let rows = claim::<event_delivery::Entity>(db, dialect, claimant.worker_id, chosen, update)
            .await?;
        if !rows.is_empty() {
            claimant
                .turns
                .set_suspects_turn(lane, suspects_wait && !takes_suspect);
        }
        let deliveries = read_deliveries(db, dialect, &rows, token).await?;
        // What is behind deliveries that nobody can read must not look like nothing.
        if !deliveries.is_empty() || rows.is_empty() {
            return Ok(deliveries);
        }
    }
}

/// The claimed deliveries that can be read, oldest event first; the others are given up.
async fn read_deliveries(
    db: &DatabaseConnection,
    dialect: &dyn Dialect,
    rows: &[QueryResult],
    token: Uuid,
) -> Result<Vec<ClaimedDelivery>, DbErr> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        match read_row::<event_delivery::Model>(row) {
            Ok(delivery) => found.push((row, delivery)),
            Err(why) => give_up_delivery(db, row, token, &why).await?,
        }
    }
    let seqs: Vec<i64> = found.iter().map(|it| it.1.event_seq).collect();
    let records = records(db, dialect, &seqs).await?;
    let mut deliveries = Vec::with_capacity(found.len());
    for (row, delivery) in found {
        let record = match records.get(&delivery.event_seq) {
            Some(Ok(record)) => Arc::clone(record),
            Some(Err(why)) => {
                give_up_delivery(db, row, token, why).await?;
                continue;
            }
            None => continue,
        };
        // The rows are written with these names only.
        let Some(kind) = ConsumerKind::from_name(&delivery.kind) else {
            continue;
        };
        deliveries.push(ClaimedDelivery {
            row: delivery,
            record,
            kind,
            token,
        });
    }
    deliveries.sort_unstable_by_key(|it| it.record.seq);
    Ok(deliveries)
}

/// The events with these numbers, as far as they can be read.
async fn records(
    db: &DatabaseConnection,
    dialect: &dyn Dialect,
    seqs: &[i64],
) -> Result<HashMap<i64, Result<Arc<EventRecord>, DbErr>>, DbErr> {
    let mut records = HashMap::new();
    for chunk in seqs.chunks(database::rows_per_statement(dialect, 1)) {
        let select = domain_event::Entity::find().filter(E::Seq.is_in(chunk.iter().copied()));
        for row in db.query_all(QueryTrait::as_query(&select)).await? {
            let record = read_row::<domain_event::Model>(&row).map(|row| Arc::new(row.into()));
            records.insert(row.try_get("", "seq")?, record);
        }
    }
    Ok(records)
}

/// Gives up the claims of other workers whose lease is over, so that they can be taken; not those of `holding`, whatever
/// the database says of them.
pub(crate) async fn release_dead_claims(
    db: &DatabaseConnection,
    worker_id: Uuid,
    holding: &[Uuid],
) -> Result<u64, DbErr> {
    let dialect = database::dialect(db)?;
    let dead = |claimed_by: SimpleExpr| {
        let lives = live_worker(dialect, claimed_by.clone());
        Condition::all()
            .add(claimed_by.clone().is_not_null())
            .add(claimed_by.clone().ne(worker_id))
            .add(claimed_by.is_not_in(holding.iter().copied()))
            .add(Expr::exists(lives).not())
    };
    let of_events = Query::select()
        .column(E::Seq)
        .from(domain_event::Entity)
        .cond_where(dead(Expr::col((domain_event::Entity, E::ClaimedBy))))
        .to_owned();
    let events = Query::update()
        .table(domain_event::Entity)
        .value(E::ClaimedBy, Option::<Uuid>::None)
        .value(E::ClaimToken, Option::<Uuid>::None)
        .value(E::Recoveries, Expr::col(E::Recoveries).add(1))
        .to_owned();
    let of_deliveries = Query::select()
        .columns([D::EventSeq, D::Kind, D::Subscription])
        .from(event_delivery::Entity)
        .cond_where(dead(Expr::col((event_delivery::Entity, D::ClaimedBy))))
        .to_owned();
    let deliveries = Query::update()
        .table(event_delivery::Entity)
        .value(D::ClaimedBy, Option::<Uuid>::None)
        .value(D::ClaimToken, Option::<Uuid>::None)
        .value(D::Recoveries, Expr::col(D::Recoveries).add(1))
        .to_owned();
    let released = release::<domain_event::Entity>(db, &of_events, &events, E::Seq).await?;
    let deliveries =
        release::<event_delivery::Entity>(db, &of_deliveries, &deliveries, D::EventSeq).await?;
    Ok(released + deliveries)
}

// In batches, so that what a dead worker had in hand is nobody's lock for long.
async fn release<E: EntityTrait>(
    db: &DatabaseConnection,
    dead: &SelectStatement,
    update: &UpdateStatement,
    column: E::Column,
) -> Result<u64, DbErr> {
    let mut released = 0;
    loop {
        failpoint::before("events.take_over");
        let rows = update_picked::<E>(db, dead, RELEASED, update.clone(), [column]).await?;
        if !rows.is_empty() {
            failpoint::after("events.take_over");
        }
        released += rows.len() as u64;
        if (rows.len() as u64) < RELEASED {
            return Ok(released);
        }
    }
}

/// Hands back what a worker has claimed from a source and does not know by its token: the claim has committed, and its
/// answer was lost. Everybody else takes it for worked on. No claim of the source may be under way.
pub(crate) async fn release_unknown_claims(
    db: &DatabaseConnection,
    worker_id: Uuid,
    source: Source,
    known: &[Uuid],
) -> Result<u64, DbErr> {
    let (mut probe, mut update) = (Query::select(), Query::update());
    let condition = match source {
        Source::Events(lane) => {
            probe.from(domain_event::Entity);
            update
                .table(domain_event::Entity)
                .value(E::ClaimedBy, Option::<Uuid>::None)
                .value(E::ClaimToken, Option::<Uuid>::None)
                .value(E::Attempts, Expr::col(E::Attempts).sub(1));
            Condition::all()
                .add(E::ClaimedBy.eq(worker_id))
                .add(E::ClaimToken.is_not_in(known.iter().copied()))
                .add(lane.holds(&Alias::new("domain_events")))
        }
        Source::Deliveries(lane) => {
            probe.from(event_delivery::Entity);
            update
                .table(event_delivery::Entity)
                .value(D::ClaimedBy, Option::<Uuid>::None)
                .value(D::ClaimToken, Option::<Uuid>::None)
                .value(D::Attempts, Expr::col(D::Attempts).sub(1));
            Condition::all()
                .add(D::ClaimedBy.eq(worker_id))
                .add(D::ClaimToken.is_not_in(known.iter().copied()))
                .add(D::Pool.eq(lane.name()))
        }
    };
    // There hardly ever is one, and who only looks does not stand in the way of SQLite's one writer.
    probe
        .expr(Expr::val(1))
        .cond_where(condition.clone())
        .limit(1);
    if db.query_one(&probe).await?.is_none() {
        return Ok(0);
    }
    update.cond_where(condition);
    failpoint::before("events.hand_back_unknown");
    let handed_back = db.execute(&update).await?.rows_affected();
    failpoint::after("events.hand_back_unknown");
    Ok(handed_back)
}

/// Hands back what a worker has in hand, as if it had never taken it.
pub(crate) async fn release_own_claims(
    db: &DatabaseConnection,
    worker_id: Uuid,
) -> Result<(), DbErr> {
    let events = Query::update()
        .table(domain_event::Entity)
        .value(E::ClaimedBy, Option::<Uuid>::None)
        .value(E::ClaimToken, Option::<Uuid>::None)
        .value(E::Attempts, Expr::col(E::Attempts).sub(1))
        .and_where(Expr::col(E::ClaimedBy).eq(worker_id))
        .to_owned();
    let deliveries = Query::update()
        .table(event_delivery::Entity)
        .value(D::ClaimedBy, Option::<Uuid>::None)
        .value(D::ClaimToken, Option::<Uuid>::None)
        .value(D::Attempts, Expr::col(D::Attempts).sub(1))
        .and_where(Expr::col(D::ClaimedBy).eq(worker_id))
        .to_owned();
    for update in [events, deliveries] {
        failpoint::before("events.hand_back");
        db.execute(&update).await?;
        failpoint::after("events.hand_back");
    }
    Ok(())
}

// The claim's own transaction. A worker whose lease is over gets nothing, even where it does not know yet.
async fn claim<E: EntityTrait>(
    db: &DatabaseConnection,
    dialect: &dyn Dialect,
    worker_id: Uuid,
    mut chosen: SelectStatement,
    update: UpdateStatement,
) -> Result<Vec<QueryResult>, DbErr> {
    chosen.and_where(Expr::exists(live_worker(dialect, worker_id.into())));
    retrying(db, || async {
        let tx = database::begin(db).await?;
        dialect.serialize_event_claims(&tx).await?;
        let columns = E::Column::iter();
        let rows = update_chosen::<E>(&tx, chosen.clone(), update.clone(), columns).await?;
        failpoint::before("events.claim");
        tx.commit().await?;
        failpoint::after("events.claim");
        Ok::<_, DbErr>(rows)
    })
    .await
}

fn live_worker(dialect: &dyn Dialect, id: SimpleExpr) -> SelectStatement {
    let worker = Alias::new("w");
    Query::select()
        .expr(Expr::val(1))
        .from_as(job_worker::Entity, worker.clone())
        .and_where(Expr::col((worker.clone(), job_worker::Column::Id)).eq(id))
        .and_where(Expr::col((worker, job_worker::Column::ExpiresAt)).gt(dialect.real_now()))
        .to_owned()
}
