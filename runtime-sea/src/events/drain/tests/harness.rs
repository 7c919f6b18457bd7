//! A database with the runtime's tables, and drainers on it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codegen_tests::databases::{self, TestDatabase};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait};
use sea_orm_migration::SchemaManager;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database::{dialect, now_plus};
use crate::events::drain::{CONCURRENCY, Calls, Consumers, Drainer, DrainerParts, Hosted, Lane};
use crate::events::{
    Event, EventEnvelope, EventId, EventPool, EventRegistry, EventRetry, EventRoute, EventStatus,
    Subscription, SubscriptionError,
};
use crate::jobs::entities::{job_run, job_worker};
use crate::jobs::{JobHandler, Registration, Trigger};
use crate::worker::Lease;
use crate::{Runtime, migration};

/// A change of a contact: ordered, retried fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    pub(crate) contact: String,
    pub(crate) n: u32,
}

impl Event for Changed {
    const TYPE: &'static str = "contact_changed";
    const ROUTE: EventRoute = EventRoute::change("contact")
        .retry(EventRetry::fixed(3).first_delay(Duration::from_millis(10)));
}

/// Something to tell another system: no order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) n: u32,
}

impl Event for Told {
    const TYPE: &'static str = "crm_told";
    const ROUTE: EventRoute = EventRoute::outbound("crm");
}

/// An observation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Observed {}

impl Event for Observed {
    const TYPE: &'static str = "sync_observed";
    const ROUTE: EventRoute = EventRoute::audit();
}

/// What handlers write down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// A subscription that writes down `<name> <contact> <n>`.
    pub(crate) fn subscription(&self, name: &'static str) -> Subscription {
        let log = self.clone();
        Subscription::new(name, move |event: EventEnvelope<Changed>| {
            log.add(format!(
                "{name} {} {}",
                event.payload.contact, event.payload.n
            ));
            async { Ok(()) }
        })
    }

    /// As [`subscription`](Self::subscription), failing after it has written where `fails` says so.
    pub(crate) fn failing(
        &self,
        name: &'static str,
        fails: impl Fn(&EventEnvelope<Changed>) -> bool + Send + Sync + 'static,
    ) -> Subscription {
        let log = self.clone();
        Subscription::new(name, move |event: EventEnvelope<Changed>| {
            log.add(format!(
                "{name} {} {}",
                event.payload.contact, event.payload.n
            ));
            let result = if fails(&event) {
                Err(SubscriptionError::new("no such luck"))
            } else {
                Ok(())
            };
            async { result }
        })
    }
}

/// What a test chooses of a drainer.
pub(crate) struct Parts {
    pub(crate) runtime: Runtime,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) registry: Option<EventRegistry>,
    pub(crate) lease: Lease,
    pub(crate) concurrency: usize,
    pub(crate) subscription_timeout: Duration,
}

pub(crate) struct Harness {
    pub(crate) runtime: Runtime,
    database: Option<TestDatabase>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        let database = self.database.take();
        // Dropping it blocks, which an asynchronous thread must not.
        let _joined = std::thread::spawn(move || drop(database)).join();
    }
}

impl Harness {
    /// What an application's own tests use.
    pub(crate) async fn memory() -> Self {
        let memory = crate::MemoryRuntime::new().await.unwrap();
        Self {
            runtime: memory.runtime().clone(),
            database: None,
        }
    }

    pub(crate) async fn sqlite() -> Self {
        Self::on(databases::sqlite().unwrap()).await
    }

    pub(crate) async fn postgres() -> Option<Self> {
        Self::on_server(databases::postgres).await
    }

    pub(crate) async fn mysql() -> Option<Self> {
        Self::on_server(databases::mysql).await
    }

    async fn on_server<F, E>(database: F) -> Option<Self>
    where
        F: FnOnce() -> Result<Option<TestDatabase>, E> + Send + 'static,
        E: std::fmt::Debug + Send + 'static,
    {
        // It looks for a server by blocking means.
        let database = tokio::task::spawn_blocking(database)
            .await
            .unwrap()
            .unwrap()?;
        Some(Self::on(database).await)
    }

    async fn on(database: TestDatabase) -> Self {
        let db = crate::connect(&database.url).await.unwrap();
        let manager = SchemaManager::new(&db);
        migration::events::v1::up(&manager).await.unwrap();
        migration::jobs::v1::up(&manager).await.unwrap();
        migration::bridge::v1::up(&manager).await.unwrap();
        Self {
            runtime: Runtime::new(db),
            database: Some(database),
        }
    }

    /// A worker whose lease does not end by itself.
    pub(crate) async fn worker(&self) -> Uuid {
        let id = Uuid::now_v7();
        let db = self.runtime.db();
        let dialect = dialect(db).unwrap();
        let insert = Query::insert()
            .into_table(job_worker::Entity)
            .columns([
                job_worker::Column::Id,
                job_worker::Column::Name,
                job_worker::Column::ExpiresAt,
            ])
            .values_panic([
                id.into(),
                "test".into(),
                now_plus(dialect, Duration::from_secs(3600)),
            ])
            .to_owned();
        db.execute(&insert).await.unwrap();
        id
    }

    /// Ends a worker's lease, as if it had been silent for too long.
    pub(crate) async fn end_lease(&self, worker: Uuid) {
        let db = self.runtime.db();
        let update = Query::update()
            .table(job_worker::Entity)
            .value(
                job_worker::Column::ExpiresAt,
                dialect(db).unwrap().now_plus_seconds(-1.0),
            )
            .and_where(Expr::col(job_worker::Column::Id).eq(worker))
            .to_owned();
        db.execute(&update).await.unwrap();
    }

    /// A registered drainer of a new worker.
    pub(crate) async fn drainer(&self, subscriptions: Vec<Subscription>) -> Drainer {
        self.drainer_with(|parts| parts.subscriptions = subscriptions)
            .await
            .0
    }

    pub(crate) async fn drainer_with(&self, set: impl FnOnce(&mut Parts)) -> (Drainer, Uuid) {
        let worker_id = self.worker().await;
        let mut parts = Parts {
            runtime: self.runtime.clone(),
            subscriptions: Vec::new(),
            triggers: Vec::new(),
            registry: None,
            lease: Lease::new(
                watch::Sender::new(Instant::now()).subscribe(),
                watch::Sender::default().subscribe(),
                Duration::MAX,
            ),
            concurrency: CONCURRENCY,
            subscription_timeout: Duration::from_secs(60),
        };
        set(&mut parts);
        let consumers = Consumers {
            subscriptions: parts.subscriptions,
            triggers: parts.triggers,
            subscription_timeout: parts.subscription_timeout,
            traces: parts.runtime.traces().clone(),
            clock: parts.runtime.clock().clone(),
        };
        let drainer = Drainer::new(DrainerParts {
            runtime: parts.runtime,
            worker_id,
            lease: parts.lease,
            hosted: Hosted::new(consumers),
            registry: parts.registry,
            lanes: Lane::ALL.map(|lane| (lane, parts.concurrency)).into(),
            calls: Calls::default(),
            drained: Lane::ALL.into(),
        });
        drainer.register().await.unwrap();
        (drainer, worker_id)
    }

    pub(crate) async fn begin(&self) -> DatabaseTransaction {
        crate::begin(self.runtime.db()).await.unwrap()
    }

    pub(crate) async fn change(&self, contact: &str, n: u32) -> EventId {
        let event = Changed {
            contact: contact.to_owned(),
            n,
        };
        self.runtime
            .events()
            .publish_detached(contact, event)
            .await
            .unwrap()
            .id()
    }

    pub(crate) async fn status(&self, id: EventId) -> EventStatus {
        self.runtime
            .events()
            .show(id)
            .await
            .unwrap()
            .unwrap()
            .event
            .status
    }

    pub(crate) async fn error(&self, id: EventId) -> String {
        self.runtime
            .events()
            .show(id)
            .await
            .unwrap()
            .unwrap()
            .event
            .error
            .unwrap_or_default()
    }

    pub(crate) async fn runs(&self) -> u64 {
        job_run::Entity::find()
            .count(self.runtime.db())
            .await
            .unwrap()
    }
}

/// Drains again and again, until the event is not pending any more.
pub(crate) async fn drain_to_the_end(
    harness: &Harness,
    drainer: &Drainer,
    id: EventId,
) -> EventStatus {
    until(async || {
        drainer.drain_until_idle().await.unwrap();
        harness.status(id).await != EventStatus::Pending
    })
    .await;
    harness.status(id).await
}

/// Waits until the condition holds; fails after a minute.
pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    for _ in 0..1200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the awaited condition did not come to hold");
}

/// A drainer that runs in the background until it is stopped.
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    pub(crate) abort: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(drainer: Drainer) -> Self {
        let (shutdown, abort) = (CancellationToken::new(), CancellationToken::new());
        let task = {
            let (shutdown, abort) = (shutdown.clone(), abort.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = drainer.run(shutdown, abort) => {}
                    () = drainer.keep(drainer.shared.runtime.db()) => {}
                }
            })
        };
        Self {
            shutdown,
            abort,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

pub(crate) fn triggers_of<J: JobHandler>(job: J) -> Vec<Trigger> {
    Registration::new(job).triggers
}

pub(crate) fn knows_changes() -> EventRegistry {
    EventRegistry::new().register::<Changed>()
}

pub(crate) const CHANGE_LANE: Lane = Lane::Pool(EventPool::Change);
