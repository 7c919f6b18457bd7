//! Publishing an event together with the run that its publisher asks for.

use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, TransactionTrait,
};
use uuid::Uuid;

use super::fire::{Firing, correct, insert};
use super::{BridgeStatus, ledger};
use crate::database::{self, News};
use crate::events::entities::domain_event;
use crate::events::{
    AggregateId, Draft, Event, EventId, Events, PublishError, PublishOptions, Published, Tier,
};
use crate::jobs::{Cause, JobHandler, PreparedRun, RunId, StartError, StartOptions, Started};

/// What stands for a trigger's id where a publisher asked for the run.
pub(crate) fn direct_id(job_type: &str) -> String {
    format!("{job_type}/direct")
}

/// What became of an event and of the run that was started with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedAndStarted {
    /// The event.
    pub published: Published,
    /// The run; `deduplicated` where it is one that an earlier call or the job's own trigger has started.
    pub started: Started,
}

/// Why an event was not published with a run. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishAndStartError {
    /// The event cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The run cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The event was published before, and the job's trigger has answered it without starting a run.
    #[error(
        "the event {event_id} started no run: its trigger `{trigger_id}` has {status} it already: {reason}"
    )]
    Answered {
        /// The event.
        event_id: EventId,
        /// The trigger.
        trigger_id: String,
        /// What it did.
        status: BridgeStatus,
        /// Why.
        reason: String,
    },
    /// The database refused.
    #[error("the event could not be published with its run: {0}")]
    Database(#[from] DbErr),
}

impl Events {
    /// Publishes an event and starts a run of `J` for it, both in the transaction: for a caller that knows the job, and
    /// need not wait until the event is drained.
    ///
    /// The run stands for the trigger that `J` has on `E`, which does not start another one; of several it is the one
    /// without a name of its own, or the first, as the program has them that delivers the event. It is on record as
    /// `<job>/direct`. Other jobs' triggers fire as ever.
    ///
    /// An event that was published before gives the run that was started for it then. Until the transaction ends, what
    /// became of that event is not recorded, and its lane waits in the worker that has it in hand; on MySQL and MariaDB
    /// no worker claims events meanwhile. So keep it short.
    ///
    /// ```no_run
    /// # use runtime_sea::{Event, EventRoute, JobContext, JobHandler, JobResult, Runtime, begin};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct SignedUp {}
    /// # impl Event for SignedUp {
    /// #     const TYPE: &'static str = "signed_up";
    /// #     const ROUTE: EventRoute = EventRoute::change("account");
    /// # }
    /// # struct Provision;
    /// # impl JobHandler for Provision {
    /// #     const TYPE: &'static str = "provision";
    /// #     type Input = String;
    /// #     type Output = ();
    /// #     async fn run(&self, _: &JobContext, _: String) -> JobResult<()> { Ok(()) }
    /// # }
    /// # async fn example(runtime: Runtime) -> Result<(), Box<dyn std::error::Error>> {
    /// let tx = begin(runtime.db()).await?;
    /// let both = runtime
    ///     .events()
    ///     .publish_and_start::<SignedUp, Provision>(&tx, "a-1", SignedUp {}, "a-1".to_owned())
    ///     .await?;
    /// tx.commit().await?;
    /// println!("run {}", both.started.run_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// An audit event starts nothing, and is refused by the compiler:
    ///
    /// ```compile_fail,E0080
    /// # use runtime_sea::{Event, EventRoute, JobContext, JobHandler, JobResult, Runtime};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Seen {}
    /// impl Event for Seen {
    ///     const TYPE: &'static str = "seen";
    ///     const ROUTE: EventRoute = EventRoute::audit();
    /// }
    ///
    /// # struct Provision;
    /// # impl JobHandler for Provision {
    /// #     const TYPE: &'static str = "provision";
    /// #     type Input = String;
    /// #     type Output = ();
    /// #     async fn run(&self, _: &JobContext, _: String) -> JobResult<()> { Ok(()) }
    /// # }
    /// # fn main() {
    /// # let _starts: fn(&Runtime, &sea_orm::DatabaseTransaction) = |runtime, tx| drop(
    /// runtime.events().publish_and_start::<Seen, Provision>(tx, "1", Seen {}, "a-1".to_owned())
    /// # );
    /// # }
    /// ```
    ///
    /// Where this future is dropped before its end, drop the transaction too, as with [`Jobs::start`](crate::Jobs::start).
    ///
    /// # Errors
    ///
    /// [`PublishAndStartError`]; nothing was written then, and the transaction can go on.
    pub async fn publish_and_start<E: Event, J: JobHandler>(
        &self,
        tx: &DatabaseTransaction,
        aggregate_id: impl Into<AggregateId>,
        event: E,
        input: J::Input,
    ) -> Result<PublishedAndStarted, PublishAndStartError> {
        let (of_event, of_run) = (PublishOptions::new(), StartOptions::new());
        self.publish_and_start_with::<E, J>(tx, aggregate_id, event, input, of_event, of_run)
            .await
    }

    /// As [`publish_and_start`](Self::publish_and_start), with an id, a time and the like of the caller's. The run
    /// belongs to the event's tenant unless its options say otherwise.
    ///
    /// # Errors
    ///
    /// As [`publish_and_start`](Self::publish_and_start).
    pub async fn publish_and_start_with<E: Event, J: JobHandler>(
        &self,
        tx: &DatabaseTransaction,
        aggregate_id: impl Into<AggregateId>,
        event: E,
        input: J::Input,
        of_event: PublishOptions,
        of_run: StartOptions,
    ) -> Result<PublishedAndStarted, PublishAndStartError> {
        const {
            assert!(
                matches!(E::ROUTE.tier(), Tier::Domain),
                "an audit event starts no job"
            );
        }
        // The caller may go on where this fails, and must find neither the event nor the ledger's row.
        let both = tx.begin().await?;
        let draft = Draft::of(aggregate_id.into(), &event, of_event)?;
        let tenant = self.tenant_of(&draft)?;
        let published = self.store(&both, draft).await?;
        let event_id = published.id();
        let trigger_id = direct_id(J::TYPE);
        let mut run = PreparedRun::new::<J>(&input, of_run.tenant_or(tenant.as_deref()))?
            .traced(self.runtime.traces());
        run.cause = Some(Cause {
            event_id,
            trigger_id: trigger_id.clone(),
        });
        let firing = Firing {
            event_id,
            event_type: E::TYPE.to_owned(),
            trigger_id,
            job_type: J::TYPE,
            is_stood_for: false,
            run: Ok(Some(run.clone())),
        };
        if !published.is_new() {
            lock(&both, event_id).await?;
        }
        let started = if insert(&both, &[&firing]).await?.is_empty() {
            earlier(&both, &firing).await?
        } else if !published.is_new()
            && let Some(started) = of_trigger::<E, J>(&both, event_id).await?
        {
            // Takes the ledger's row back.
            both.rollback().await?;
            return Ok(PublishedAndStarted { published, started });
        } else {
            let started = run.insert(&both).await?;
            if started.deduplicated {
                let run_id = Some(started.run_id.0);
                correct(&both, &firing, BridgeStatus::Deduplicated, run_id, None).await?;
            }
            started
        };
        both.commit().await?;
        self.runtime.wake_up().announce(News::ALL);
        Ok(PublishedAndStarted { published, started })
    }
}

/// Keeps deliveries of the event from recording what its triggers make of it until the transaction ends, or waits for one
/// that does. For reading: two that want more than they share would wait for each other.
async fn lock(tx: &DatabaseTransaction, event_id: EventId) -> Result<(), DbErr> {
    // The claim's token is in no index with the id, so that the row itself is read, and locked.
    let mut select = domain_event::Entity::find()
        .select_only()
        .column(domain_event::Column::ClaimToken)
        .filter(domain_event::Column::Id.eq(event_id.as_uuid()));
    database::dialect(tx)?.hold(QueryTrait::query(&mut select));
    select.into_tuple::<Option<Uuid>>().one(tx).await.map(drop)
}

/// The run that was started when the ledger's row was written.
async fn earlier(
    tx: &DatabaseTransaction,
    firing: &Firing,
) -> Result<Started, PublishAndStartError> {
    let mut select = ledger::Entity::find()
        .filter(ledger::Column::EventId.eq(firing.event_id.as_uuid()))
        .filter(ledger::Column::TriggerId.eq(&firing.trigger_id));
    database::dialect(tx)?.see_committed(QueryTrait::query(&mut select));
    match select.one(tx).await? {
        Some(row) => answer(row),
        None => Err(PublishAndStartError::Answered {
            event_id: firing.event_id,
            trigger_id: firing.trigger_id.clone(),
            status: BridgeStatus::Failed,
            reason: "its record is gone".to_owned(),
        }),
    }
}

/// What the trigger has answered that a run asked for stands for. One whose name this program does not know, because
/// another version of the job has it, counts where it has started a run.
async fn of_trigger<E: Event, J: JobHandler>(
    tx: &DatabaseTransaction,
    event_id: EventId,
) -> Result<Option<Started>, PublishAndStartError> {
    let mut select = ledger::Entity::find()
        .filter(ledger::Column::EventId.eq(event_id.as_uuid()))
        .filter(ledger::Column::JobType.eq(J::TYPE))
        .filter(ledger::Column::TriggerId.ne(direct_id(J::TYPE)))
        .order_by_asc(ledger::Column::TriggerId);
    database::dialect(tx)?.see_committed(QueryTrait::query(&mut select));
    let mut rows = select.all(tx).await?;
    let policy = J::policy();
    let id = |name: &str| format!("{}/{name}", J::TYPE);
    let stood_for = [policy.stands_for(E::TYPE), Some(E::TYPE)];
    for id in stood_for.into_iter().flatten().map(id) {
        if let Some(at) = rows.iter().position(|it| it.trigger_id == id) {
            return answer(rows.swap_remove(at)).map(Some);
        }
    }
    let others: Vec<_> = policy.triggers.iter().map(|it| id(&it.name)).collect();
    rows.into_iter()
        .find(|it| it.run_id.is_some() && !others.contains(&it.trigger_id))
        .map(answer)
        .transpose()
}

fn answer(row: ledger::Model) -> Result<Started, PublishAndStartError> {
    match row.run_id {
        Some(run_id) => Ok(Started {
            run_id: RunId(run_id),
            deduplicated: true,
        }),
        None => Err(PublishAndStartError::Answered {
            event_id: EventId(row.event_id),
            trigger_id: row.trigger_id,
            status: BridgeStatus::from_name(&row.status).unwrap_or(BridgeStatus::Failed),
            reason: row.reason.unwrap_or_default(),
        }),
    }
}
