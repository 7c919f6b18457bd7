//! Rows of the outbox, from typed and from raw events alike.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{Expr, InsertStatement, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    TransactionTrait,
};
use serde_json::Value;
use uuid::Uuid;

use super::entities::domain_event::{self, Column as E};
use super::{
    AggregateId, Direction, Event, EventId, EventPool, EventRoute, Events, PublishError,
    PublishOptions, Published, Tier,
};
use crate::Runtime;
use crate::database::{self, Dialect, News, insert_if_new, insert_new, rows_per_statement};
use crate::storable::{MAX_JSON_BYTES, MAX_JSON_DEPTH, check_name, depth, find_nul, size};
use crate::tenancy::TenantScope;

/// An event that is about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(super) event_type: Cow<'static, str>,
    pub(super) version: u32,
    pub(super) route: EventRoute,
    /// Where it is not the route's.
    pub(super) aggregate_type: Option<String>,
    pub(super) aggregate_id: AggregateId,
    pub(super) payload: Value,
    pub(super) options: PublishOptions,
}

impl Draft {
    pub(crate) fn of<E: Event>(
        aggregate_id: AggregateId,
        event: &E,
        options: PublishOptions,
    ) -> Result<Self, PublishError> {
        let payload = serde_json::to_value(event).map_err(|source| PublishError::Serialize {
            event_type: E::TYPE.to_owned(),
            source,
        })?;
        Ok(Self {
            event_type: Cow::Borrowed(E::TYPE),
            version: E::VERSION,
            route: E::ROUTE,
            aggregate_type: None,
            aggregate_id,
            payload,
            options,
        })
    }

    // Everything that a database could refuse is refused here: a statement that fails takes the caller's transaction
    // with it.
    fn into_row(
        self,
        runtime: &Runtime,
        scope: &TenantScope,
        dialect: &dyn Dialect,
    ) -> Result<(Identity, Vec<Expr>), PublishError> {
        let event_type = || self.event_type.clone().into_owned();
        let tenant_id = tenant_of(scope, &self)?;
        let (route, options) = (self.route, self.options);
        let aggregate_type = self
            .aggregate_type
            .or_else(|| route.aggregate_type().map(str::to_owned));
        let aggregate_id = self.aggregate_id.into_inner();
        if route.direction() == Some(Direction::Change)
            && aggregate_id.is_none()
            && let Some(aggregate) = aggregate_type
        {
            return Err(PublishError::MissingAggregate {
                event_type: event_type(),
                aggregate,
            });
        }
        // Nobody waits for an audit event.
        let wait_key = match route.tier() {
            Tier::Audit => None,
            Tier::Domain => options.wait_key.or_else(|| aggregate_id.clone()),
        };
        for (what, name) in [
            ("its type", Some(&*self.event_type)),
            ("the aggregate's type", aggregate_type.as_deref()),
            ("the aggregate's id", aggregate_id.as_deref()),
            ("the tenant", tenant_id.as_deref()),
            ("the key to wait for", wait_key.as_deref()),
        ] {
            check_name(what, name.unwrap_or_default()).map_err(|reason| PublishError::Name {
                event_type: event_type(),
                reason,
            })?;
        }
        let metadata = Value::Object(options.metadata);
        for (name, value) in [("payload", &self.payload), ("metadata", &metadata)] {
            let bytes = size(value);
            if bytes > MAX_JSON_BYTES {
                return Err(PublishError::Name {
                    event_type: event_type(),
                    reason: format!(
                        "its {name} takes {bytes} bytes as JSON, the limit is {MAX_JSON_BYTES}; store the data elsewhere and publish its id"
                    ),
                });
            }
            if depth(value) > MAX_JSON_DEPTH {
                return Err(PublishError::Name {
                    event_type: event_type(),
                    reason: format!(
                        "its {name} is nested more than {MAX_JSON_DEPTH} levels deep, which not every database can store"
                    ),
                });
            }
            if let Some(path) = find_nul(value, name) {
                return Err(PublishError::NulCharacter {
                    event_type: event_type(),
                    path,
                });
            }
        }
        let trace = runtime.traces().current(options.traceparent.as_deref());
        let identity = Identity {
            id: options.id.unwrap_or_else(EventId::generate),
            event_type: self.event_type.clone(),
            tenant_id: tenant_id.clone(),
        };
        let values: [Expr; COLUMNS.len()] = [
            identity.id.as_uuid().into(),
            self.event_type.into_owned().into(),
            aggregate_type.clone().into(),
            aggregate_id.into(),
            self.payload.into(),
            metadata.into(),
            route.direction().map(Direction::as_str).into(),
            route.event_pool().map(EventPool::as_str).into(),
            route.tier().as_str().into(),
            i32::try_from(self.version).unwrap_or(i32::MAX).into(),
            route.ordering_of(aggregate_type.is_some()).as_str().into(),
            tenant_id.into(),
            wait_key.into(),
            trace.map(|it| it.to_string()).into(),
            options.occurred_at.map_or_else(|| dialect.now(), Expr::val),
            dialect.now(),
            dialect.now(),
        ];
        Ok((identity, values.into()))
    }
}

/// What two events with one id have in common where they are one event.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    id: EventId,
    event_type: Cow<'static, str>,
    tenant_id: Option<String>,
}

impl Identity {
    fn taken(&self) -> PublishError {
        PublishError::IdTaken {
            event_type: self.event_type.clone().into_owned(),
            event_id: self.id,
        }
    }
}

const COLUMNS: [E; 17] = [
    E::Id,
    E::EventType,
    E::AggregateType,
    E::AggregateId,
    E::Payload,
    E::Metadata,
    E::Direction,
    E::Pool,
    E::Tier,
    E::Version,
    E::Ordering,
    E::TenantId,
    E::WaitKey,
    E::Traceparent,
    E::OccurredAt,
    E::CreatedAt,
    E::AvailableAt,
];

impl Events {
    /// The tenant that the event will belong to.
    pub(crate) fn tenant_of(&self, draft: &Draft) -> Result<Option<String>, PublishError> {
        tenant_of(&self.scope, draft)
    }

    /// Stores one event, and announces it.
    pub(crate) async fn store(
        &self,
        tx: &DatabaseTransaction,
        draft: Draft,
    ) -> Result<Published, PublishError> {
        let event_type = draft.event_type.clone();
        let refused = |source| refused(&event_type, source);
        let dialect = database::dialect(self.runtime.db()).map_err(refused)?;
        let (identity, values) = draft.into_row(&self.runtime, &self.scope, dialect)?;
        let mut insert = into_outbox();
        insert.values_panic(values);
        if !insert_if_new(tx, &insert).await.map_err(refused)? {
            let stored = stored(tx, &[identity.id]).await.map_err(refused)?;
            check_stored(&stored, &identity)?;
            return Ok(Published::Duplicate(identity.id));
        }
        self.runtime.wake_up().announce(News::EVENTS);
        Ok(Published::New(identity.id))
    }

    /// Stores events in as few statements as the database takes, in this order, and announces them. Nothing is written
    /// where one of them is refused.
    pub(crate) async fn store_all(
        &self,
        tx: &DatabaseTransaction,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Published>, PublishError> {
        let Some(event_type) = drafts.first().map(|it| it.event_type.clone()) else {
            return Ok(Vec::new());
        };
        let refused = |source| refused(&event_type, source);
        let dialect = database::dialect(self.runtime.db()).map_err(refused)?;
        // Only an id of the caller's can be there already.
        let may_be_taken = drafts.iter().any(|it| it.options.id.is_some());
        let (mut identities, mut rows) = (Vec::new(), Vec::new());
        let mut first = HashMap::new();
        for draft in drafts {
            let (identity, values) = draft.into_row(&self.runtime, &self.scope, dialect)?;
            let at = *first.entry(identity.id).or_insert(identities.len());
            if at == identities.len() {
                rows.push((identity.id.as_uuid(), values));
            } else if identities.get(at) != Some(&identity) {
                return Err(identity.taken());
            }
            identities.push(identity);
        }
        let new = if may_be_taken {
            // What is found to be refused after others were stored takes those with it.
            let all = tx.begin().await.map_err(refused)?;
            let new = store_rows(&all, &identities, rows).await?;
            all.commit().await.map_err(refused)?;
            new
        } else {
            store_rows(tx, &identities, rows).await?
        };
        if !new.is_empty() {
            self.runtime.wake_up().announce(News::EVENTS);
        }
        let published = identities.into_iter().enumerate().map(|(at, it)| {
            if first.get(&it.id) == Some(&at) && new.contains(&it.id.as_uuid()) {
                Published::New(it.id)
            } else {
                Published::Duplicate(it.id)
            }
        });
        Ok(published.collect())
    }
}

async fn store_rows(
    tx: &DatabaseTransaction,
    identities: &[Identity],
    rows: Vec<(Uuid, Vec<Expr>)>,
) -> Result<HashSet<Uuid>, PublishError> {
    let refused = |source| {
        let event_type = identities.first().map_or("", |it| &*it.event_type);
        refused(event_type, source)
    };
    let new: HashSet<Uuid> = insert_new(tx, &into_outbox(), &["id"], rows)
        .await
        .map_err(refused)?;
    let there: Vec<_> = identities
        .iter()
        .filter(|it| !new.contains(&it.id.as_uuid()))
        .collect();
    let ids: Vec<_> = there.iter().map(|it| it.id).collect();
    let stored = stored(tx, &ids).await.map_err(refused)?;
    for it in there {
        check_stored(&stored, it)?;
    }
    Ok(new)
}

/// What is stored of an event: its type and its tenant.
type Stored = HashMap<Uuid, (String, Option<String>)>;

/// The events of these ids that are stored already. They stay unlocked, as claims would wait for the caller's
/// transaction, but for those that the transaction's snapshot does not show.
async fn stored(tx: &DatabaseTransaction, ids: &[EventId]) -> Result<Stored, DbErr> {
    let dialect = database::dialect(tx)?;
    let mut stored = Stored::new();
    read_stored(tx, ids, &mut stored, |_| ()).await?;
    let unseen: Vec<_> = ids
        .iter()
        .copied()
        .filter(|it| !stored.contains_key(&it.as_uuid()))
        .collect();
    read_stored(tx, &unseen, &mut stored, |it| dialect.see_committed(it)).await?;
    Ok(stored)
}

async fn read_stored(
    tx: &DatabaseTransaction,
    ids: &[EventId],
    stored: &mut Stored,
    adapt: impl Fn(&mut SelectStatement),
) -> Result<(), DbErr> {
    for chunk in ids.chunks(rows_per_statement(database::dialect(tx)?, 1)) {
        let mut select = domain_event::Entity::find()
            .select_only()
            .columns([E::Id, E::EventType, E::TenantId])
            .filter(E::Id.is_in(chunk.iter().map(|it| it.as_uuid())));
        adapt(QueryTrait::query(&mut select));
        let rows = select.into_tuple::<(Uuid, String, Option<String>)>();
        stored.extend(
            rows.all(tx)
                .await?
                .into_iter()
                .map(|it| (it.0, (it.1, it.2))),
        );
    }
    Ok(())
}

/// Refuses an event whose id another event has, one that was pruned meanwhile excepted.
fn check_stored(stored: &Stored, identity: &Identity) -> Result<(), PublishError> {
    match stored.get(&identity.id.as_uuid()) {
        Some((event_type, tenant_id))
            if *event_type != identity.event_type || *tenant_id != identity.tenant_id =>
        {
            Err(identity.taken())
        }
        _ => Ok(()),
    }
}

fn tenant_of(scope: &TenantScope, draft: &Draft) -> Result<Option<String>, PublishError> {
    let tenant = scope.tenant_of(draft.options.tenant.clone());
    tenant.map_err(|_| PublishError::MissingTenant {
        event_type: draft.event_type.clone().into_owned(),
    })
}

fn into_outbox() -> InsertStatement {
    Query::insert()
        .into_table(domain_event::Entity)
        .columns(COLUMNS)
        .to_owned()
}

fn refused(event_type: &str, source: DbErr) -> PublishError {
    PublishError::Database {
        event_type: event_type.to_owned(),
        source,
    }
}
