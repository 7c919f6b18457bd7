//! What a claim may take: the queries behind it.

use std::collections::BTreeMap;

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{
    Alias, Condition, Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement, SimpleExpr,
};

use super::claim::Claimant;
use super::dispatch::Consumers;
use super::lane::Lane;
use crate::database::{Dialect, literal, literal_zero};
use crate::events::entities::{domain_event, event_delivery, event_subscription};
use crate::events::{EVERY_TYPE, EventOrdering};

use domain_event::Column as E;
use event_delivery::Column as D;

/// The first `limit` events of a lane that may be dispatched.
pub(super) fn claimable_events(
    dialect: &dyn Dialect,
    claimant: &Claimant<'_>,
    lane: Lane,
    limit: u64,
) -> SelectStatement {
    let event = Alias::new("e");
    let earlier = Alias::new("p");
    let known = |row: &Alias| claimant.known_types.map(|types| is_known(row, types));
    // What this claim could take as well blocks nothing: it would be taken first.
    let is_free = |row: &Alias| {
        Condition::all()
            .add(Expr::col((row.clone(), E::ClaimedBy)).is_null())
            .add(Expr::col((row.clone(), E::AvailableAt)).lte(dialect.now()))
            .add(lane.holds(row))
    };
    let undispatched = |row: &Alias| {
        Condition::all()
            .add(Expr::col((row.clone(), E::Status)).eq(literal("pending")))
            .add(Expr::col((row.clone(), E::DispatchedAt)).is_null())
    };
    let held_up = Query::select()
        .expr(Expr::val(1))
        .from_as(domain_event::Entity, earlier.clone())
        .cond_where(undispatched(&earlier))
        .and_where(Expr::col((earlier.clone(), E::Ordering)).eq(EventOrdering::Aggregate.as_str()))
        .and_where(same(&earlier, &event, E::AggregateId))
        .and_where(same(&earlier, &event, E::AggregateType))
        .and_where(Expr::col((earlier.clone(), E::Seq)).lt(Expr::col((event.clone(), E::Seq))))
        // One of a type that nobody knows has nobody whose order it could be part of.
        .cond_where(Condition::all().add_option(known(&earlier)))
        .cond_where(is_free(&earlier).not())
        .to_owned();
    Query::select()
        .column((event.clone(), E::Seq))
        .from_as(domain_event::Entity, event.clone())
        .cond_where(undispatched(&event))
        .cond_where(is_free(&event).add_option(known(&event)))
        .and_where(lane.is_open())
        .cond_where(
            Condition::any()
                .add(Expr::col((event.clone(), E::Ordering)).eq(EventOrdering::None.as_str()))
                .add(Expr::exists(held_up).not()),
        )
        .order_by((event, E::Seq), Order::Asc)
        .limit(limit)
        .to_owned()
}

fn is_known(row: &Alias, types: &[String]) -> SimpleExpr {
    use event_subscription::Column as S;

    let event_type = || Expr::col((row.clone(), E::EventType));
    let registered = || {
        Query::select()
            .column(S::EventType)
            .from(event_subscription::Entity)
            .and_where(S::RetiredAt.is_null())
            .to_owned()
    };
    let for_every_type = registered()
        .and_where(S::EventType.eq(EVERY_TYPE))
        .to_owned();
    event_type()
        .is_in(types.iter().map(String::as_str))
        .or(event_type().in_subquery(registered()))
        .or(Expr::exists(for_every_type))
}

/// The first `limit` deliveries of a lane that may be tried, those alone that a worker died over or those that none did
/// where `suspects` says which.
pub(super) fn claimable_deliveries(
    dialect: &dyn Dialect,
    consumers: &Consumers,
    lane: Lane,
    suspects: Option<bool>,
    limit: u64,
) -> SelectStatement {
    let delivery = Alias::new("d");
    let earlier = Alias::new("p");
    let takeable = |row: &Alias| {
        let recoveries = || Expr::col((row.clone(), D::Recoveries));
        Condition::all()
            .add_option(suspects.map(|suspects| match suspects {
                true => recoveries().gt(literal_zero()),
                false => recoveries().eq(0),
            }))
            .add(Expr::col((row.clone(), D::ClaimedBy)).is_null())
            .add(Expr::col((row.clone(), D::AvailableAt)).lte(dialect.now()))
            .add(Expr::col((row.clone(), D::Pool)).eq(lane.name()))
    };
    let mut held_up = Query::select()
        .expr(Expr::val(1))
        .from_as(event_delivery::Entity, earlier.clone())
        .and_where(Expr::col((earlier.clone(), D::Status)).eq(literal("pending")))
        .and_where(Expr::col((earlier.clone(), D::Ordering)).eq(EventOrdering::Aggregate.as_str()))
        .and_where(same(&earlier, &delivery, D::Kind))
        .and_where(same(&earlier, &delivery, D::Subscription))
        .and_where(same(&earlier, &delivery, D::AggregateId))
        .and_where(same(&earlier, &delivery, D::AggregateType))
        .and_where(
            Expr::col((earlier.clone(), D::EventSeq))
                .lt(Expr::col((delivery.clone(), D::EventSeq))),
        )
        .cond_where(takeable(&earlier).not())
        .to_owned();
    let of_delivery = |column| Expr::col((delivery.clone(), column));
    let mut names: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (kind, name, event_type) in consumers.iter() {
        names.entry((kind, event_type)).or_default().push(name);
    }
    let mut hosted = Condition::any();
    // What the hosted consumer does not get under this name, nothing of it can wait for.
    let mut of_same_consumer = Condition::any().add(same(&earlier, &delivery, D::EventType));
    for ((kind, event_type), names) in names {
        let named = Condition::all()
            .add(of_delivery(D::Kind).eq(kind.as_str()))
            .add(of_delivery(D::Subscription).is_in(names));
        if event_type == EVERY_TYPE {
            of_same_consumer = of_same_consumer.add(named.clone());
            hosted = hosted.add(named);
        } else {
            hosted = hosted.add(named.add(of_delivery(D::EventType).eq(event_type)));
        }
    }
    held_up.cond_where(of_same_consumer);
    Query::select()
        .column((delivery.clone(), D::EventSeq))
        .column((delivery.clone(), D::Kind))
        .column((delivery.clone(), D::Subscription))
        .from_as(event_delivery::Entity, delivery.clone())
        .and_where(Expr::col((delivery.clone(), D::Status)).eq(literal("pending")))
        .cond_where(takeable(&delivery))
        .cond_where(hosted)
        .and_where(lane.is_open())
        .cond_where(
            Condition::any()
                .add(Expr::col((delivery.clone(), D::Ordering)).eq(EventOrdering::None.as_str()))
                .add(Expr::exists(held_up).not()),
        )
        .order_by((delivery, D::EventSeq), Order::Asc)
        .limit(limit)
        .to_owned()
}

fn same<C>(left: &Alias, right: &Alias, column: C) -> SimpleExpr
where
    C: ColumnTrait,
    (Alias, C): IntoColumnRef,
{
    Expr::col((left.clone(), column)).eq(Expr::col((right.clone(), column)))
}
