//! Who gets events, and how the lanes that bring them are doing.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use super::drain::{self, Lane};
use super::entities::{domain_event, event_delivery, event_subscription};
use super::{ConsumerKind, EVERY_TYPE, Events};
use crate::database::literal;
use crate::jobs::entities::job_pool;

use domain_event::Column as E;
use event_delivery::Column as D;
use event_subscription::Column as S;

/// A registered subscription or trigger. One whose type differs between the versions of a program is there once for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SubscriptionRecord {
    /// Which of them it is.
    pub kind: ConsumerKind,
    /// The subscription's name, or the trigger's id.
    pub name: String,
    /// The type of event that it gets; `*` for every type.
    pub event_type: String,
    /// When it was first registered.
    pub registered_at: DateTime<Utc>,
    /// When a worker last said that it hosts it; live workers say so every ten minutes.
    pub seen_at: DateTime<Utc>,
    /// When it was retired.
    pub retired_at: Option<DateTime<Utc>>,
    /// How many deliveries wait for it, to be tried first or again.
    pub waiting: u64,
    /// How many deliveries to it were given up.
    pub failed: u64,
}

/// One lane of the drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LaneRecord {
    /// Its name: `events_inbound`, `events_change`, `events_outbound` or `events_audit`.
    pub name: String,
    /// Nothing is claimed from a paused lane.
    pub paused: bool,
    /// How many events wait to be handed to their subscriptions.
    pub waiting: u64,
    /// When the oldest of them was stored.
    pub oldest: Option<DateTime<Utc>>,
    /// How many deliveries wait to be tried again, or for the process that hosts their subscription.
    pub deliveries: u64,
}

/// Events that wait because no registered subscription or trigger gets their type: until a worker that knows the type
/// takes them, which is at once where one runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ParkedType {
    /// The type.
    pub event_type: String,
    /// How many there are.
    pub events: u64,
    /// When the oldest was stored.
    pub oldest: Option<DateTime<Utc>>,
}

impl Events {
    /// Every registered subscription and trigger, the retired ones included, with what waits for them over all tenants.
    ///
    /// # Errors
    ///
    /// The database's own; a handle for one tenant or for none.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionRecord>, DbErr> {
        self.scope.fleet_wide()?;
        let db = self.runtime.db();
        let registered = event_subscription::Entity::find()
            .order_by_asc(S::Kind)
            .order_by_asc(S::Name)
            .order_by_asc(S::EventType)
            .all(db)
            .await?;
        let key = |kind: &str, name: &str, event_type: &str| {
            (kind.to_owned(), name.to_owned(), event_type.to_owned())
        };
        let known: HashSet<_> = registered
            .iter()
            .map(|it| key(&it.kind, &it.name, &it.event_type))
            .collect();
        let mut counts: HashMap<_, i64> = HashMap::new();
        for status in ["pending", "failed"] {
            let counted = event_delivery::Entity::find()
                .select_only()
                .columns([D::Kind, D::Subscription, D::EventType])
                .column_as(D::EventSeq.count(), "deliveries")
                .filter(Expr::col(D::Status).eq(literal(status)))
                .group_by(D::Kind)
                .group_by(D::Subscription)
                .group_by(D::EventType)
                .into_tuple::<(String, String, String, i64)>()
                .all(db)
                .await?;
            for (kind, name, event_type, deliveries) in counted {
                let mut consumer = key(&kind, &name, &event_type);
                if !known.contains(&consumer) {
                    consumer = key(&kind, &name, EVERY_TYPE);
                }
                *counts.entry((consumer, status)).or_default() += deliveries;
            }
        }
        let records = registered.into_iter().filter_map(|row| {
            let consumer = key(&row.kind, &row.name, &row.event_type);
            let mut count = |status| {
                let deliveries = counts.remove(&(consumer.clone(), status));
                deliveries.map_or(0, |it| u64::try_from(it).unwrap_or_default())
            };
            let (waiting, failed) = (count("pending"), count("failed"));
            Some(SubscriptionRecord {
                kind: ConsumerKind::from_name(&row.kind)?,
                waiting,
                failed,
                name: row.name,
                event_type: row.event_type,
                registered_at: row.registered_at,
                seen_at: row.seen_at,
                retired_at: row.retired_at,
            })
        });
        Ok(records.collect())
    }

    /// The lanes, and what waits in them. To pause and resume one there are
    /// [`Jobs::pause_pool`](crate::Jobs::pause_pool) and [`Jobs::resume_pool`](crate::Jobs::resume_pool).
    ///
    /// # Errors
    ///
    /// The database's own; a handle for one tenant or for none.
    pub async fn lanes(&self) -> Result<Vec<LaneRecord>, DbErr> {
        self.scope.fleet_wide()?;
        let db = self.runtime.db();
        let waiting = domain_event::Entity::find()
            .select_only()
            .column(E::Pool)
            .column_as(E::Seq.count(), "events")
            .column_as(E::CreatedAt.min(), "oldest")
            .filter(self.undispatched()?)
            .group_by(E::Pool)
            .into_tuple::<(Option<String>, i64, Option<DateTime<Utc>>)>()
            .all(db)
            .await?;
        let deliveries = event_delivery::Entity::find()
            .select_only()
            .column(D::Pool)
            .column_as(D::EventSeq.count(), "deliveries")
            .filter(Expr::col(D::Status).eq(literal("pending")))
            .group_by(D::Pool)
            .into_tuple::<(String, i64)>()
            .all(db)
            .await?;
        let paused = job_pool::Entity::find()
            .select_only()
            .column(job_pool::Column::Name)
            .filter(job_pool::Column::Paused.eq(true))
            .into_tuple::<String>()
            .all(db)
            .await?;
        let records = Lane::ALL.into_iter().map(|lane| {
            let name = lane.name();
            let of_lane = waiting
                .iter()
                .find(|it| it.0.as_deref().unwrap_or(Lane::Audit.name()) == name);
            let of_deliveries = deliveries.iter().find(|it| it.0 == name);
            LaneRecord {
                name: name.to_owned(),
                paused: paused.iter().any(|it| it == name),
                waiting: of_lane.map_or(0, |it| u64::try_from(it.1).unwrap_or_default()),
                oldest: of_lane.and_then(|it| it.2),
                deliveries: of_deliveries.map_or(0, |it| u64::try_from(it.1).unwrap_or_default()),
            }
        });
        Ok(records.collect())
    }

    /// The types of which events wait that no registered subscription or trigger gets, oldest event first.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn parked(&self) -> Result<Vec<ParkedType>, DbErr> {
        let registered = || {
            Query::select()
                .column(S::EventType)
                .from(event_subscription::Entity)
                .and_where(S::RetiredAt.is_null())
                .to_owned()
        };
        let to_every_type = registered()
            .and_where(S::EventType.eq(EVERY_TYPE))
            .to_owned();
        let parked = domain_event::Entity::find()
            .select_only()
            .column(E::EventType)
            .column_as(E::Seq.count(), "events")
            .column_as(E::CreatedAt.min(), "oldest")
            .filter(self.undispatched()?)
            .filter(E::ClaimedBy.is_null())
            .filter(E::EventType.not_in_subquery(registered()))
            .filter(Expr::exists(to_every_type).not())
            .group_by(E::EventType)
            .order_by_asc(E::CreatedAt.min())
            .into_tuple::<(String, i64, Option<DateTime<Utc>>)>()
            .all(self.runtime.db())
            .await?;
        let records = parked
            .into_iter()
            .map(|(event_type, events, oldest)| ParkedType {
                event_type,
                events: u64::try_from(events).unwrap_or_default(),
                oldest,
            });
        Ok(records.collect())
    }

    /// Takes a subscription or trigger that no program is to host any more out of the registry, whatever types it is
    /// registered for: it gets no further events, and what waits for it is skipped, so that no event waits because of
    /// it. Workers that still host it stop within a few seconds; one that is started with it later registers it anew.
    ///
    /// Returns how many deliveries were skipped, or `None` where there is no such subscription or trigger.
    ///
    /// # Errors
    ///
    /// The database's own; a handle for one tenant or for none.
    pub async fn retire(&self, kind: ConsumerKind, name: &str) -> Result<Option<u64>, DbErr> {
        self.scope.fleet_wide()?;
        let db = self.runtime.db();
        if !drain::retire(db, (kind, name)).await? {
            return Ok(None);
        }
        drain::skip_waiting(db, Some((kind, name))).await.map(Some)
    }

    fn undispatched(&self) -> Result<Condition, DbErr> {
        Ok(Condition::all()
            .add(Expr::col(E::Status).eq(literal("pending")))
            .add(E::DispatchedAt.is_null())
            .add_option(self.scope.condition(E::TenantId)?))
    }
}
