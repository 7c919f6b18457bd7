//! Waiting for an event.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::database::{literal, read_one};
use crate::events::entities::domain_event;
use crate::events::{Event, EventEnvelope, EventId, Tier};
use crate::jobs::entities::{job_run, job_step};
use crate::jobs::step::stored_as;
use crate::jobs::{JobContext, JobResult};

use super::{Until, Wait};

/// What a wait keeps of its event, so that the next attempt gets the same one, whether its row is still there or not.
#[derive(Debug, Serialize, Deserialize)]
struct StoredEvent {
    id: Uuid,
    payload: Value,
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
    occurred_at: DateTime<Utc>,
    version: i32,
    tenant_id: Option<String>,
    traceparent: Option<String>,
    metadata: Value,
}

impl JobContext {
    /// Waits without a worker for an event of type `E` with this key, at most so long; `None` if none came. See
    /// [`sleep`](Self::sleep) for what waiting means.
    ///
    /// The key is the id of the event's aggregate, or what its publisher gave as
    /// [`PublishOptions::wait_key`](crate::PublishOptions::wait_key). Every event counts that was published since the
    /// run was started, also before the run came to its wait; the one that started it is none of them, and one that an
    /// earlier wait of the same run has got counts no more. Other runs and subscriptions get the event all the same, and
    /// it needs no subscription. A run gets events of its own tenant only, and one that belongs to none gets those that
    /// belong to none. The oldest event goes first.
    ///
    /// Audit events are not waited for:
    ///
    /// ```compile_fail,E0080
    /// # use runtime_sea::{Event, EventRoute, JobContext};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Seen;
    /// impl Event for Seen {
    ///     const TYPE: &'static str = "seen";
    ///     const ROUTE: EventRoute = EventRoute::audit();
    /// }
    ///
    /// # fn main() {
    /// # let _waits: fn(&JobContext) = |ctx| drop(
    /// ctx.wait_for_event::<Seen>("1", std::time::Duration::from_secs(60))
    /// # );
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`sleep`](Self::sleep); an event whose payload does not fit `E` any more; a type and key that are together
    /// longer than a step's name may be.
    #[expect(clippy::needless_pass_by_value, reason = "ids are passed as they are")]
    pub fn wait_for_event<E: Event>(
        &self,
        key: impl ToString,
        timeout: Duration,
    ) -> impl Future<Output = JobResult<Option<EventEnvelope<E>>>> {
        const {
            assert!(
                matches!(E::ROUTE.tier(), Tier::Domain),
                "audit events start nothing and wake nobody"
            );
        }
        let key = key.to_string();
        let prefix = format!("event:{}:{key}:", E::TYPE);
        let name = format!("{prefix}{}", self.calls.count(&prefix) + 1);
        let call = self.calls.call("event", name);
        async move {
            let wait = Wait {
                until: Some(Until::After(timeout)),
                event_type: Some(E::TYPE),
                key: Some(key),
            };
            let output = self.wait(call, wait).await?;
            let Some(event) = stored_as::<Option<StoredEvent>>("a wait", Some(output))? else {
                return Ok(None);
            };
            let what = format!("event {}", event.id);
            Ok(Some(EventEnvelope {
                id: EventId(event.id),
                payload: stored_as(&what, Some(event.payload))?,
                aggregate_type: event.aggregate_type,
                aggregate_id: event.aggregate_id,
                occurred_at: event.occurred_at,
                version: u32::try_from(event.version).unwrap_or_default(),
                tenant_id: event.tenant_id,
                traceparent: event.traceparent,
                metadata: event.metadata,
                attempt: 1,
            }))
        }
    }
}

/// The run that waits, as far as it says which events count.
pub(super) struct Waiter<'a> {
    pub(super) created_at: DateTime<Utc>,
    pub(super) tenant_id: Option<&'a str>,
    /// The event that started it: on a clock of milliseconds they are of the same moment.
    pub(super) event_id: Option<Uuid>,
}

/// The event that ends the wait, with what the wait stores of it.
pub(super) async fn arrived(
    tx: &DatabaseTransaction,
    waiter: Waiter<'_>,
    wait: &job_step::Model,
) -> Result<Option<(Uuid, Value)>, DbErr> {
    use domain_event::Column as E;
    use job_step::Column as S;

    let (Some(event_type), Some(key)) = (&wait.event_type, &wait.event_key) else {
        return Ok(None);
    };
    let taken = Query::select()
        .expr(Expr::val(1))
        .from_as(job_step::Entity, "taken")
        .and_where(Expr::col(("taken", S::RunId)).eq(wait.run_id))
        .and_where(Expr::col(("taken", S::EventId)).equals((domain_event::Entity, E::Id)))
        .to_owned();
    let events = domain_event::Entity::find()
        .filter(E::WaitKey.eq(key))
        .filter(E::EventType.eq(event_type))
        .filter(E::CreatedAt.gte(waiter.created_at))
        .filter(Expr::exists(taken).not())
        .filter(Condition::all().add_option(waiter.event_id.map(|id| E::Id.ne(id))))
        .filter(
            waiter
                .tenant_id
                .map_or_else(|| E::TenantId.is_null(), |tenant| E::TenantId.eq(tenant)),
        )
        .order_by_asc(E::Seq);
    let Some(event) = read_one(tx, events).await? else {
        return Ok(None);
    };
    let stored = StoredEvent {
        id: event.id,
        payload: event.payload,
        aggregate_type: event.aggregate_type,
        aggregate_id: event.aggregate_id,
        occurred_at: event.occurred_at,
        version: event.version,
        tenant_id: event.tenant_id,
        traceparent: event.traceparent,
        metadata: event.metadata,
    };
    let stored = serde_json::to_value(stored).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(Some((event.id, stored)))
}

/// Runs that wait for an event which is there. It looks from the waits at the events, not the other way round: it sees
/// an event whenever that commits, whatever number it has and whoever delivers it.
pub(super) fn arrivals() -> SelectStatement {
    use domain_event::Column as E;
    use job_run::Column as R;
    use job_step::Column as S;

    let taken = Query::select()
        .expr(Expr::val(1))
        .from_as(job_step::Entity, "taken")
        .and_where(Expr::col(("taken", S::RunId)).equals(("wait", S::RunId)))
        .and_where(Expr::col(("taken", S::EventId)).equals(("event", E::Id)))
        .to_owned();
    let of_the_wait = Condition::all()
        .add(Expr::col(("event", E::WaitKey)).equals(("wait", S::EventKey)))
        .add(Expr::col(("event", E::EventType)).equals(("wait", S::EventType)));
    Query::select()
        .distinct()
        .column(("wait", S::RunId))
        .from_as(job_step::Entity, "wait")
        .join_as(
            JoinType::InnerJoin,
            job_run::Entity,
            "run",
            Condition::all().add(Expr::col(("run", R::Id)).equals(("wait", S::RunId))),
        )
        .join_as(
            JoinType::InnerJoin,
            domain_event::Entity,
            "event",
            of_the_wait,
        )
        .and_where(Expr::col(("wait", S::Status)).eq(literal("waiting")))
        .and_where(Expr::col(("wait", S::Kind)).eq(literal("event")))
        .and_where(Expr::col(("event", E::CreatedAt)).gte(Expr::col(("run", R::CreatedAt))))
        .cond_where(
            Condition::any()
                .add(
                    Expr::col(("run", R::TenantId))
                        .is_null()
                        .and(Expr::col(("event", E::TenantId)).is_null()),
                )
                .add(Expr::col(("run", R::TenantId)).equals(("event", E::TenantId))),
        )
        .cond_where(
            Condition::any()
                .add(Expr::col(("run", R::EventId)).is_null())
                .add(Expr::col(("run", R::EventId)).not_equals(("event", E::Id))),
        )
        .and_where(Expr::exists(taken).not())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::{EventRoute, JobHandler, MemoryRuntime, RunFilter, RunStatus, begin};

    #[derive(Debug, Serialize, Deserialize)]
    struct Ordered {}

    impl Event for Ordered {
        const TYPE: &'static str = "ordered";
        const ROUTE: EventRoute = EventRoute::change("order");
    }

    struct Again;

    impl JobHandler for Again {
        const TYPE: &'static str = "again";
        type Input = ();
        type Output = bool;

        async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<bool> {
            let hour = Duration::from_secs(3600);
            Ok(ctx.wait_for_event::<Ordered>("1", hour).await?.is_some())
        }
    }

    #[tokio::test]
    async fn a_run_is_not_looked_at_again_for_the_event_that_started_it() {
        let memory = MemoryRuntime::new().await.unwrap();
        let tx = begin(memory.db()).await.unwrap();
        memory
            .events()
            .publish_and_start::<Ordered, Again>(&tx, "1", Ordered {}, ())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        // As on a clock that did not move between the two.
        let long_ago = "UPDATE job_run SET created_at = '2020-01-01T00:00:00.000+00:00'";
        memory.db().execute_unprepared(long_ago).await.unwrap();
        let worker = memory.worker().job(Again).build().unwrap();
        worker.drain_until_idle().await.unwrap();
        let runs = memory.jobs().list(RunFilter::new()).await.unwrap();
        assert_eq!(runs[0].status, RunStatus::Waiting);
        let arrived = async || memory.db().query_all(&arrivals()).await.unwrap().len();
        assert_eq!(arrived().await, 0);
        let next = memory.events().publish_detached("1", Ordered {}).await;
        next.unwrap();
        assert_eq!(arrived().await, 1);
    }
}
