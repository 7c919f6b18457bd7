//! The runtime's tables: made, dropped and made again, and what they refuse.

use std::sync::Arc;
use std::time::Duration;

use crate::support::TestBed;
use runtime_sea::{Runtime, migration};
use sea_orm::{ConnectionTrait, EntityTrait};
use sea_orm_migration::prelude::*;
use tokio::sync::Notify;

crate::on_each_database!(
    up_and_down_can_be_repeated,
    a_half_done_step_is_finished,
    every_entity_fits_its_table,
    an_audit_event_has_neither_pool_nor_direction,
    a_step_leaves_what_is_there_alone,
    r25_two_processes_migrate_at_once,
    r25_a_process_that_ends_while_it_migrates_lets_the_next_one_in,
    r27_a_program_that_is_older_than_the_schema_does_not_migrate_it,
);

/// The tables of the runtime.
pub(crate) const TABLES: [&str; 11] = [
    "domain_events",
    "event_subscription",
    "event_delivery",
    "job_worker",
    "job",
    "job_run",
    "job_step",
    "job_dedupe",
    "job_schedule",
    "job_pool",
    "bridge_delivery",
];

async fn up(manager: &SchemaManager<'_>) {
    migration::events::v1::up(manager).await.unwrap();
    migration::jobs::v1::up(manager).await.unwrap();
    migration::bridge::v1::up(manager).await.unwrap();
}

async fn down(manager: &SchemaManager<'_>) {
    migration::bridge::v1::down(manager).await.unwrap();
    migration::jobs::v1::down(manager).await.unwrap();
    migration::events::v1::down(manager).await.unwrap();
}

async fn up_and_down_can_be_repeated(bed: TestBed) {
    let manager = SchemaManager::new(bed.runtime.db());
    for _ in 0..2 {
        down(&manager).await;
        for table in TABLES {
            assert!(
                !manager.has_table(table).await.unwrap(),
                "{table} is still there"
            );
        }
        down(&manager).await;
        up(&manager).await;
        for table in TABLES {
            assert!(
                manager.has_table(table).await.unwrap(),
                "{table} is missing"
            );
        }
        up(&manager).await;
    }
}

async fn a_half_done_step_is_finished(bed: TestBed) {
    let manager = SchemaManager::new(bed.runtime.db());
    let index = Index::drop()
        .name("domain_events_order_idx")
        .table("domain_events")
        .to_owned();
    manager.drop_index(index).await.unwrap();
    bed.sql("DROP TABLE event_delivery").await;
    up(&manager).await;
    assert!(
        manager
            .has_index("domain_events", "domain_events_order_idx")
            .await
            .unwrap()
    );
    assert!(
        manager
            .has_index("event_delivery", "event_delivery_claim_idx")
            .await
            .unwrap()
    );
}

async fn every_entity_fits_its_table(bed: TestBed) {
    async fn reads<E: EntityTrait>(runtime: &Runtime) {
        assert!(E::find().one(runtime.db()).await.unwrap().is_none());
    }
    use runtime_sea::events::entities as events;
    use runtime_sea::jobs::entities as jobs;

    reads::<events::domain_event::Entity>(&bed.runtime).await;
    reads::<events::event_delivery::Entity>(&bed.runtime).await;
    reads::<events::event_subscription::Entity>(&bed.runtime).await;
    reads::<jobs::job::Entity>(&bed.runtime).await;
    reads::<jobs::job_dedupe::Entity>(&bed.runtime).await;
    reads::<jobs::job_pool::Entity>(&bed.runtime).await;
    reads::<jobs::job_schedule::Entity>(&bed.runtime).await;
    reads::<jobs::job_run::Entity>(&bed.runtime).await;
    reads::<jobs::job_step::Entity>(&bed.runtime).await;
    reads::<jobs::job_worker::Entity>(&bed.runtime).await;
    reads::<runtime_sea::bridge::ledger::Entity>(&bed.runtime).await;
}

async fn an_audit_event_has_neither_pool_nor_direction(bed: TestBed) {
    let id = |n: u8| match bed.runtime.db().get_database_backend() {
        sea_orm::DbBackend::Postgres => format!("'{}'", uuid::Uuid::from_bytes([n; 16])),
        _ => format!("x'{}'", format!("{n:02x}").repeat(16)),
    };
    let insert = async |n: u8, tier: &str, pool: &str, direction: &str| {
        let id = id(n);
        let sql = format!(
            "INSERT INTO domain_events (id, type, payload, metadata, tier, version, ordering, pool, direction) \
             VALUES ({id}, 't', '{{}}', '{{}}', '{tier}', 1, 'none', {pool}, {direction})"
        );
        bed.runtime.db().execute_unprepared(&sql).await
    };
    assert!(insert(1, "audit", "NULL", "NULL").await.is_ok());
    assert!(
        insert(2, "domain", "'events_change'", "'change'")
            .await
            .is_ok()
    );
    for (n, tier, pool, direction) in [
        (3, "audit", "'events_change'", "NULL"),
        (4, "audit", "NULL", "'change'"),
        (5, "domain", "NULL", "NULL"),
        (6, "rumour", "NULL", "NULL"),
    ] {
        let error = insert(n, tier, pool, direction)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("domain_events_tier_routing_check"),
            "{error}"
        );
    }
}

async fn a_step_leaves_what_is_there_alone(bed: TestBed) {
    bed.sql("INSERT INTO job_pool (name, paused) VALUES ('batch', TRUE)")
        .await;
    up(&SchemaManager::new(bed.runtime.db())).await;
    let pools = runtime_sea::jobs::entities::job_pool::Entity::find()
        .all(bed.runtime.db())
        .await;
    assert!(pools.unwrap()[0].paused);
}

struct App;

impl MigratorTrait for App {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Runtime1), Box::new(Contacts)]
    }
}

/// The app before it had contacts.
struct OlderApp;

impl MigratorTrait for OlderApp {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Runtime1)]
    }
}

struct Runtime1;

impl MigrationName for Runtime1 {
    fn name(&self) -> &'static str {
        "m1_runtime"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Runtime1 {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        migration::events::v1::up(manager).await?;
        migration::jobs::v1::up(manager).await?;
        migration::bridge::v1::up(manager).await
    }
}

struct Contacts;

impl MigrationName for Contacts {
    fn name(&self) -> &'static str {
        "m2_contacts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Contacts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let id = ColumnDef::new("id").integer().not_null().take();
        let table = Table::create().table("contacts").col(id).take();
        manager.create_table(table).await
    }
}

async fn migrate(runtime: &Runtime) -> Result<(), DbErr> {
    let db = runtime.db();
    migration::exclusively(db, async || App::up(db, None).await).await
}

async fn r25_two_processes_migrate_at_once(bed: TestBed) {
    down(&SchemaManager::new(bed.runtime.db())).await;
    let mut processes = Vec::new();
    for _ in 0..6 {
        processes.push(bed.other_process().await);
    }
    let migrations = processes.iter().map(migrate);
    for migrated in futures::future::join_all(migrations).await {
        migrated.unwrap();
    }
    let manager = SchemaManager::new(bed.runtime.db());
    for table in TABLES.iter().chain(&["contacts"]) {
        assert!(manager.has_table(table).await.unwrap(), "{table}");
    }
    let applied = App::get_applied_migrations(bed.runtime.db()).await.unwrap();
    assert_eq!(applied.len(), 2);
}

async fn r25_a_process_that_ends_while_it_migrates_lets_the_next_one_in(bed: TestBed) {
    let stuck = bed.other_process().await;
    let entered = Arc::new(Notify::new());
    let migrating = tokio::spawn({
        let entered = Arc::clone(&entered);
        async move {
            let forever = async || {
                entered.notify_one();
                std::future::pending::<Result<(), DbErr>>().await
            };
            migration::exclusively(stuck.db(), forever).await
        }
    });
    entered.notified().await;
    let mut next = Box::pin(migrate(&bed.runtime));
    let waiting = tokio::time::timeout(Duration::from_millis(300), &mut next).await;
    assert!(waiting.is_err(), "it did not wait");
    migrating.abort();
    next.await.unwrap();
}

async fn r27_a_program_that_is_older_than_the_schema_does_not_migrate_it(bed: TestBed) {
    let db = bed.runtime.db();
    migrate(&bed.runtime).await.unwrap();
    let older = migration::exclusively(db, async || OlderApp::up(db, None).await).await;
    let error = older.unwrap_err().to_string();
    assert!(error.contains("m2_contacts"), "{error}");
    let manager = SchemaManager::new(db);
    assert!(manager.has_table("contacts").await.unwrap());
    assert_eq!(App::get_applied_migrations(db).await.unwrap().len(), 2);
    // It runs.
    let worker = bed.runtime.worker().build().unwrap();
    worker.drain_until_idle().await.unwrap();
}
