//! Version 1.

use sea_orm_migration::prelude::*;

use crate::migration::steps::{
    Only, create_index, create_lock_rows, create_table, drop_tables, moment, moment_now, name,
    partial_index, text,
};

/// Makes the tables and indexes; what is there already is left alone.
///
/// # Errors
///
/// The database's own.
pub async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_table(manager, &mut domain_events(manager)?).await?;
    create_table(manager, &mut event_subscription(manager)?).await?;
    create_table(manager, &mut event_delivery(manager)?).await?;
    create_table(manager, &mut job_worker(manager)?).await?;
    create_table(manager, &mut job_pool(manager)?).await?;
    create_table(manager, &mut job_schedule(manager)?).await?;
    create_lock_rows(manager).await?;
    create_indexes(manager).await
}

/// Drops the tables with what is in them.
///
/// # Errors
///
/// The database's own; on PostgreSQL also that a later subsystem still refers to them.
pub async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(
        manager,
        &[
            "event_delivery",
            "event_subscription",
            "domain_events",
            "job_worker",
            "job_pool",
            "job_schedule",
            "runtime_lock",
        ],
    )
    .await
}

fn domain_events(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    let audit = Expr::col("tier")
        .eq("audit")
        .and(Expr::col("pool").is_null())
        .and(Expr::col("direction").is_null());
    let domain = Expr::col("tier")
        .eq("domain")
        .and(Expr::col("pool").is_not_null())
        .and(Expr::col("direction").is_not_null());
    let known_status = Expr::col("status").is_in(["pending", "processed", "failed"]);
    Ok(Table::create()
        .table("domain_events")
        // The order in which transactions wrote, which is what an aggregate's events are delivered in.
        .col(
            ColumnDef::new("seq")
                .big_integer()
                .not_null()
                .auto_increment()
                .primary_key(),
        )
        .col(ColumnDef::new("id").uuid().not_null().unique_key())
        .col(name("type").not_null())
        .col(name("aggregate_type"))
        .col(name("aggregate_id"))
        .col(ColumnDef::new("payload").json_binary().not_null())
        .col(ColumnDef::new("metadata").json_binary().not_null())
        .col(ColumnDef::new("direction").string_len(16))
        .col(ColumnDef::new("pool").string_len(64))
        .col(ColumnDef::new("tier").string_len(16).not_null())
        .col(ColumnDef::new("version").integer().not_null())
        .col(ColumnDef::new("ordering").string_len(16).not_null())
        .col(name("tenant_id"))
        // What a run that waits for the event knows it by: the aggregate's id unless the publisher says otherwise.
        .col(name("wait_key"))
        .col(ColumnDef::new("traceparent").string_len(64))
        .col(moment_now(manager, "occurred_at")?)
        .col(moment_now(manager, "created_at")?)
        .col(
            ColumnDef::new("status")
                .string_len(16)
                .not_null()
                .default("pending"),
        )
        .col(ColumnDef::new("attempts").integer().not_null().default(0))
        .col(ColumnDef::new("recoveries").integer().not_null().default(0))
        .col(moment_now(manager, "available_at")?)
        .col(ColumnDef::new("claimed_by").uuid())
        .col(ColumnDef::new("claim_token").uuid())
        .col(moment(manager, "dispatched_at")?)
        .col(moment(manager, "processed_at")?)
        .col(text(manager, "error")?)
        .check(("domain_events_tier_routing_check", audit.or(domain)))
        .check(("domain_events_status_check", known_status))
        .take())
}

fn event_subscription(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("event_subscription")
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(name("name").not_null())
        .col(name("event_type").not_null())
        .col(moment_now(manager, "registered_at")?)
        .col(moment_now(manager, "seen_at")?)
        .col(moment(manager, "retired_at")?)
        // By the type too: while a program is rolled out, two versions of it may disagree about a name's type.
        .primary_key(Index::create().col("kind").col("name").col("event_type"))
        .take())
}

fn event_delivery(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("event_delivery")
        .col(ColumnDef::new("event_seq").big_integer().not_null())
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(name("subscription").not_null())
        .col(name("event_type").not_null())
        .col(ColumnDef::new("event_id").uuid().not_null())
        .col(ColumnDef::new("pool").string_len(64).not_null())
        .col(name("aggregate_type"))
        .col(name("aggregate_id"))
        .col(ColumnDef::new("ordering").string_len(16).not_null())
        .col(
            ColumnDef::new("status")
                .string_len(16)
                .not_null()
                .default("pending"),
        )
        .col(ColumnDef::new("attempts").integer().not_null().default(0))
        .col(ColumnDef::new("recoveries").integer().not_null().default(0))
        .col(moment_now(manager, "available_at")?)
        .col(ColumnDef::new("claimed_by").uuid())
        .col(ColumnDef::new("claim_token").uuid())
        .col(moment_now(manager, "created_at")?)
        .col(moment(manager, "processed_at")?)
        .col(text(manager, "error")?)
        .primary_key(
            Index::create()
                .col("event_seq")
                .col("kind")
                .col("subscription"),
        )
        .foreign_key(
            ForeignKey::create()
                .name("event_delivery_event_seq_fkey")
                .from("event_delivery", "event_seq")
                .to("domain_events", "seq")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take())
}

fn job_worker(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("job_worker")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(name("name").not_null())
        .col(moment_now(manager, "started_at")?)
        .col(moment_now(manager, "heartbeat_at")?)
        .col(moment(manager, "expires_at")?.not_null())
        .take())
}

fn job_pool(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("job_pool")
        .col(name("name").not_null().primary_key())
        .col(ColumnDef::new("paused").boolean().not_null().default(false))
        // The most runs of the pool that execute at a time, over all workers.
        .col(ColumnDef::new("run_limit").integer())
        .col(moment_now(manager, "updated_at")?)
        .take())
}

fn job_schedule(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("job_schedule")
        .col(name("name").not_null().primary_key())
        // What a slot makes: a `job`'s run, or an `event`.
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(name("target").not_null())
        .col(name("cron").not_null())
        .col(ColumnDef::new("timezone").string_len(64).not_null())
        .col(ColumnDef::new("misfire").string_len(16).not_null())
        .col(ColumnDef::new("paused").boolean().not_null().default(false))
        .col(moment(manager, "next_slot_at")?)
        .col(moment(manager, "last_slot_at")?)
        .col(moment_now(manager, "registered_at")?)
        .col(moment_now(manager, "updated_at")?)
        .col(moment_now(manager, "seen_at")?)
        .take())
}

async fn create_indexes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let undispatched = || {
        let only = [
            Only::Equal("status", "pending"),
            Only::Null("dispatched_at"),
        ];
        partial_index(manager, &only)
    };
    let claimed = || partial_index(manager, &[Only::NotNull("claimed_by")]);
    create_index(
        manager,
        "job_schedule",
        "job_schedule_next_idx",
        Index::create().col("next_slot_at"),
    )
    .await?;
    create_index(
        manager,
        "domain_events",
        "domain_events_claim_idx",
        undispatched()?.col("pool").col("seq"),
    )
    .await?;
    create_index(
        manager,
        "domain_events",
        "domain_events_order_idx",
        undispatched()?
            .col("aggregate_id")
            .col("aggregate_type")
            .col("seq"),
    )
    .await?;
    create_index(
        manager,
        "domain_events",
        "domain_events_claimed_idx",
        claimed()?.col("claimed_by"),
    )
    .await?;
    create_index(
        manager,
        "domain_events",
        "domain_events_failed_idx",
        partial_index(manager, &[Only::Equal("status", "failed")])?.col("seq"),
    )
    .await?;
    // Narrower than the index of the order, so that SQLite does not take it for as good.
    create_index(
        manager,
        "domain_events",
        "domain_events_aggregate_idx",
        Index::create().col("aggregate_id").col("seq"),
    )
    .await?;
    create_index(
        manager,
        "domain_events",
        "domain_events_wait_idx",
        Index::create().col("wait_key").col("type").col("seq"),
    )
    .await?;
    create_index(
        manager,
        "domain_events",
        "domain_events_type_idx",
        Index::create().col("type").col("seq"),
    )
    .await?;
    create_index(
        manager,
        "domain_events",
        "domain_events_tenant_idx",
        partial_index(manager, &[Only::NotNull("tenant_id")])?
            .col("tenant_id")
            .col("seq"),
    )
    .await?;
    create_index(
        manager,
        "event_subscription",
        "event_subscription_type_idx",
        Index::create().col("event_type"),
    )
    .await?;
    create_index(
        manager,
        "event_delivery",
        "event_delivery_claim_idx",
        partial_index(manager, &[Only::Equal("status", "pending")])?
            .col("kind")
            .col("subscription")
            .col("aggregate_id")
            .col("event_seq"),
    )
    .await?;
    create_index(
        manager,
        "event_delivery",
        "event_delivery_failed_idx",
        partial_index(manager, &[Only::Equal("status", "failed")])?
            .col("kind")
            .col("subscription")
            .col("event_type"),
    )
    .await?;
    create_index(
        manager,
        "event_delivery",
        "event_delivery_lane_idx",
        partial_index(manager, &[Only::Equal("status", "pending")])?
            .col("pool")
            .col("event_seq"),
    )
    .await?;
    create_index(
        manager,
        "event_delivery",
        "event_delivery_suspect_idx",
        partial_index(
            manager,
            &[
                Only::Equal("status", "pending"),
                Only::Positive("recoveries"),
            ],
        )?
        .col("pool")
        .col("event_seq"),
    )
    .await?;
    create_index(
        manager,
        "event_delivery",
        "event_delivery_claimed_idx",
        claimed()?.col("claimed_by"),
    )
    .await
}
