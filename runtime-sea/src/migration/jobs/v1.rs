//! Version 1.

use sea_orm_migration::prelude::*;

use crate::migration::steps::{
    Only, create_index, create_table, drop_tables, key, moment, moment_now, name, partial_index,
    text,
};

/// Makes the tables and indexes; what is there already is left alone.
///
/// # Errors
///
/// The database's own.
pub async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_table(manager, &mut job(manager)?).await?;
    create_table(manager, &mut job_run(manager)?).await?;
    create_table(manager, &mut job_step(manager)?).await?;
    create_table(manager, &mut job_dedupe(manager)?).await?;
    create_indexes(manager).await
}

/// Drops the tables with what is in them.
///
/// # Errors
///
/// The database's own.
pub async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(manager, &["job_dedupe", "job_step", "job_run", "job"]).await
}

fn job(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("job")
        .col(name("type").not_null().primary_key())
        .col(name("pool").not_null())
        .col(ColumnDef::new("policy").json_binary().not_null())
        .col(ColumnDef::new("version").integer().not_null().default(1))
        .col(moment_now(manager, "registered_at")?)
        .col(moment_now(manager, "updated_at")?)
        .col(moment_now(manager, "seen_at")?)
        .col(moment(manager, "gone_at")?)
        .take())
}

fn job_run(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("job_run")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(name("job_type").not_null())
        .col(ColumnDef::new("version").integer().not_null().default(1))
        .col(name("pool").not_null())
        .col(ColumnDef::new("status").string_len(16).not_null())
        .col(ColumnDef::new("readiness").string_len(16).not_null())
        .col(ColumnDef::new("priority").small_integer().not_null())
        .col(moment_now(manager, "run_at")?)
        .col(ColumnDef::new("input").json_binary().not_null())
        .col(ColumnDef::new("output").json_binary())
        .col(text(manager, "error")?)
        .col(ColumnDef::new("errors").json_binary().not_null())
        .col(ColumnDef::new("attempt").integer().not_null().default(0))
        .col(ColumnDef::new("max_attempts").integer().not_null())
        .col(ColumnDef::new("recoveries").integer().not_null().default(0))
        .col(ColumnDef::new("snoozes").integer().not_null().default(0))
        .col(ColumnDef::new("fence").big_integer().not_null().default(0))
        .col(ColumnDef::new("worker_id").uuid())
        .col(ColumnDef::new("timeout_ms").big_integer())
        .col(moment(manager, "deadline_at")?)
        .col(key("concurrency_key"))
        .col(ColumnDef::new("collision").string_len(16))
        .col(key("active_key"))
        .col(key("dedupe_key"))
        .col(name("scope_type"))
        .col(name("scope_id"))
        .col(ColumnDef::new("parent_run_id").uuid())
        .col(ColumnDef::new("root_run_id").uuid().not_null())
        .col(name("child_name"))
        .col(
            ColumnDef::new("parent_close")
                .string_len(16)
                .not_null()
                .default("terminate"),
        )
        .col(
            ColumnDef::new("closed_by_parent")
                .boolean()
                .not_null()
                .default(false),
        )
        .col(ColumnDef::new("event_id").uuid())
        .col(name("trigger_id"))
        .col(name("schedule"))
        .col(moment(manager, "slot")?)
        .col(ColumnDef::new("traceparent").string_len(64))
        .col(ColumnDef::new("tags").json_binary().not_null())
        .col(name("tenant_id"))
        .col(moment_now(manager, "created_at")?)
        .col(moment(manager, "started_at")?)
        .col(moment(manager, "claimed_at")?)
        .col(moment(manager, "finished_at")?)
        .col(moment(manager, "cancel_requested_at")?)
        .take())
}

fn job_step(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("job_step")
        .col(ColumnDef::new("run_id").uuid().not_null())
        .col(name("name").not_null())
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(ColumnDef::new("position").integer().not_null())
        .col(
            ColumnDef::new("concurrent")
                .boolean()
                .not_null()
                .default(false),
        )
        .col(ColumnDef::new("status").string_len(16).not_null())
        .col(ColumnDef::new("output").json_binary())
        .col(text(manager, "error")?)
        .col(ColumnDef::new("executions").integer().not_null().default(1))
        .col(ColumnDef::new("attempt").integer().not_null())
        .col(ColumnDef::new("fence").big_integer().not_null())
        .col(moment_now(manager, "started_at")?)
        .col(moment(manager, "finished_at")?)
        .col(moment(manager, "wake_at")?)
        .col(name("event_type"))
        .col(name("event_key"))
        .col(ColumnDef::new("event_id").uuid())
        .col(ColumnDef::new("child_run_id").uuid())
        .primary_key(Index::create().col("run_id").col("name"))
        .foreign_key(
            ForeignKey::create()
                .name("job_step_run_id_fkey")
                .from("job_step", "run_id")
                .to("job_run", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take())
}

fn job_dedupe(manager: &SchemaManager<'_>) -> Result<TableCreateStatement, DbErr> {
    Ok(Table::create()
        .table("job_dedupe")
        .col(key("key").not_null().primary_key())
        .col(ColumnDef::new("run_id").uuid().not_null())
        .col(moment(manager, "expires_at")?.not_null())
        .take())
}

async fn create_indexes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let waiting = |readiness: &'static str| {
        let only = [
            Only::Equal("status", "pending"),
            Only::Equal("readiness", readiness),
        ];
        partial_index(manager, &only)
    };
    let indexes: [(&'static str, IndexCreateStatement); 15] = [
        (
            "job_run_claim_idx",
            waiting("ready")?
                .col("pool")
                .col(("priority", IndexOrder::Desc))
                .col("run_at")
                .col("id")
                .take(),
        ),
        (
            "job_run_due_idx",
            waiting("scheduled")?.col("run_at").col("id").take(),
        ),
        (
            "job_run_blocked_idx",
            waiting("blocked")?
                .col("concurrency_key")
                .col(("priority", IndexOrder::Desc))
                .col("run_at")
                .col("id")
                .take(),
        ),
        (
            "job_run_worker_idx",
            partial_index(manager, &[Only::Equal("status", "running")])?
                .col("worker_id")
                .take(),
        ),
        (
            "job_run_deadline_idx",
            partial_index(manager, &[Only::Equal("status", "waiting")])?
                .col("deadline_at")
                .take(),
        ),
        (
            "job_run_active_key_idx",
            Index::create().col("active_key").unique().take(),
        ),
        (
            "job_run_child_idx",
            Index::create()
                .col("parent_run_id")
                .col("child_name")
                .unique()
                .take(),
        ),
        (
            "job_run_type_idx",
            Index::create().col("job_type").col("created_at").take(),
        ),
        (
            "job_run_created_idx",
            Index::create().col("created_at").take(),
        ),
        (
            "job_run_root_idx",
            Index::create().col("root_run_id").take(),
        ),
        ("job_run_event_idx", Index::create().col("event_id").take()),
        (
            "job_run_slot_idx",
            Index::create().col("schedule").col("slot").unique().take(),
        ),
        (
            "job_run_scope_idx",
            Index::create()
                .col("scope_id")
                .col("scope_type")
                .col("created_at")
                .take(),
        ),
        (
            "job_run_finished_idx",
            partial_index(manager, &[Only::NotNull("finished_at")])?
                .col("status")
                .col("finished_at")
                .take(),
        ),
        (
            "job_run_tenant_idx",
            Index::create().col("tenant_id").col("created_at").take(),
        ),
    ];
    for (name, mut index) in indexes {
        create_index(manager, "job_run", name, &mut index).await?;
    }
    let waits = || partial_index(manager, &[Only::Equal("status", "waiting")]);
    create_index(
        manager,
        "job_step",
        "job_step_wake_idx",
        waits()?.col("wake_at"),
    )
    .await?;
    create_index(
        manager,
        "job_step",
        "job_step_event_idx",
        waits()?.col("event_type").col("event_key"),
    )
    .await?;
    create_index(
        manager,
        "job_step",
        "job_step_child_idx",
        Index::create().col("child_run_id"),
    )
    .await?;
    create_index(
        manager,
        "job_dedupe",
        "job_dedupe_expires_idx",
        Index::create().col("expires_at"),
    )
    .await
}
