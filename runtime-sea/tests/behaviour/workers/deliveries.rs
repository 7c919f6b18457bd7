//! Subscriptions that do not return.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::warned::warned;
use crate::support::{Running, TestBed, until};
use runtime_sea::events::entities::domain_event;
use runtime_sea::{
    Event, EventEnvelope, EventId, EventRoute, EventStatus, Runtime, SubscriptionError,
    WorkerBuilder,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::handlers::{Block, LetGo};
use super::{CountDrop, LEASE};

crate::on_each_database! {
    r58_a_subscription_whose_lease_runs_out_is_stopped_and_called_again,
    r06_a_subscription_that_blocks_its_thread_is_told_of,
    r17_a_subscription_that_holds_every_connection_does_not_stop_the_upkeep,
}

#[derive(Debug, Serialize, Deserialize)]
struct Moved {}

impl Event for Moved {
    const TYPE: &'static str = "moved";
    const ROUTE: EventRoute = EventRoute::change("account");
}

async fn publish(runtime: &Runtime, account: &str) -> EventId {
    let published = runtime.events().publish_detached(account, Moved {}).await;
    published.unwrap().id()
}

async fn status(runtime: &Runtime, id: EventId) -> EventStatus {
    let event = runtime.events().show(id).await.unwrap().unwrap().event;
    event.status
}

async fn until_processed(runtime: &Runtime, id: EventId) {
    until("the event is processed", async || {
        status(runtime, id).await == EventStatus::Processed
    })
    .await;
}

/// A subscription that goes on when it is let go.
#[derive(Clone)]
struct Gate {
    began: Arc<AtomicU32>,
    dropped: Arc<AtomicU32>,
    go: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self {
            began: Arc::default(),
            dropped: Arc::default(),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    async fn pass(self) -> Result<(), SubscriptionError> {
        self.began.fetch_add(1, Ordering::SeqCst);
        let _count = CountDrop(self.dropped.clone());
        self.go.acquire().await?.forget();
        Ok(())
    }

    fn began(&self) -> u32 {
        self.began.load(Ordering::SeqCst)
    }
}

fn worker(runtime: &Runtime, gate: &Gate) -> WorkerBuilder {
    let gate = gate.clone();
    let worker = runtime.worker();
    worker.subscribe("gated", move |_: EventEnvelope<Moved>| gate.clone().pass())
}

// As when its process or machine was stopped for a while: its own clock need not show it.
async fn r58_a_subscription_whose_lease_runs_out_is_stopped_and_called_again(bed: TestBed) {
    let gate = Gate::new();
    let running = Running::start(worker(&bed.runtime, &gate).build().unwrap());
    let id = publish(&bed.runtime, "ada").await;
    until("it is called", async || gate.began() == 1).await;
    bed.sql("UPDATE job_worker SET expires_at = '2025-01-01 00:00:00'")
        .await;
    until("it is stopped", async || {
        gate.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    gate.go.add_permits(1);
    until_processed(&bed.runtime, id).await;
    running.stop().await;
    assert_eq!(gate.began(), 2);
    // It has not failed, as it has where it is out of time.
    let details = bed.runtime.events().show(id).await.unwrap().unwrap();
    assert_eq!((details.event.attempts, details.deliveries.len()), (1, 0));
}

async fn r06_a_subscription_that_blocks_its_thread_is_told_of(bed: TestBed) {
    let block = Block::default();
    let _let_go = LetGo(block.clone());
    let blocking = {
        let block = block.clone();
        move |_: EventEnvelope<Moved>| {
            let block = block.clone();
            async move {
                block.block_until_let_go();
                Ok(())
            }
        }
    };
    let worker = bed.runtime.worker().subscribe("blocking", blocking);
    let running = Running::start(worker.lease(LEASE).build().unwrap());
    let id = publish(&bed.runtime, "ada").await;
    until("the log tells of it", async || {
        warned("event_id", format_args!("{id}")) > 0
    })
    .await;
    block.let_go();
    until_processed(&bed.runtime, id).await;
    running.stop().await;
}

// As what a worker leaves behind that dies between its claim and its end.
async fn claim_by_a_dead_worker(bed: &TestBed, id: EventId) {
    let (worker, token) = (Uuid::now_v7(), Uuid::now_v7());
    let claim = domain_event::Entity::update_many()
        .col_expr(domain_event::Column::ClaimedBy, Expr::val(worker))
        .col_expr(domain_event::Column::ClaimToken, Expr::val(token))
        .filter(domain_event::Column::Id.eq(id.as_uuid()));
    let claimed = claim.exec(bed.runtime.db()).await.unwrap();
    assert_eq!(claimed.rows_affected, 1);
}

async fn r17_a_subscription_that_holds_every_connection_does_not_stop_the_upkeep(bed: TestBed) {
    const CONNECTIONS: u32 = 3;

    let gate = Gate::new();
    let mut options = sea_orm::ConnectOptions::new(bed.url.clone());
    options.max_connections(CONNECTIONS);
    let small = Runtime::new(sea_orm::Database::connect(options).await.unwrap());
    let holding = {
        let (gate, db) = (gate.clone(), small.db().clone());
        move |_: EventEnvelope<Moved>| {
            let (gate, db) = (gate.clone(), db.clone());
            async move {
                // Reads only: a writer would hold SQLite's one write lock, which is nobody's to give.
                let tx = sea_orm::TransactionTrait::begin(&db).await?;
                gate.pass().await?;
                Ok(tx.rollback().await?)
            }
        }
    };
    let worker = small.worker().subscribe("holding", holding);
    let running = Running::start(worker.build().unwrap());
    for account in 0..CONNECTIONS {
        publish(&bed.runtime, &account.to_string()).await;
    }
    until("every connection is held", async || {
        gate.began() == CONNECTIONS
    })
    .await;
    let lost = publish(&bed.runtime, "lost").await;
    claim_by_a_dead_worker(&bed, lost).await;
    until("the dead worker's event is released", async || {
        let event = bed.runtime.events().show(lost).await.unwrap().unwrap();
        event.event.recoveries == 1
    })
    .await;
    assert_eq!(gate.began(), CONNECTIONS, "its worker has been cut off");
    gate.go.add_permits(100);
    until_processed(&bed.runtime, lost).await;
    running.stop().await;
}
