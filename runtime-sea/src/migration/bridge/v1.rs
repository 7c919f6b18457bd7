//! Version 1.

use sea_orm_migration::prelude::*;

use crate::migration::steps::{create_index, create_table, drop_tables, moment_now, name, text};

/// Makes the tables and indexes; what is there already is left alone.
///
/// # Errors
///
/// The database's own.
pub async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let known_status = Expr::col("status").is_in(["started", "deduplicated", "skipped", "failed"]);
    create_table(
        manager,
        Table::create()
            .table("bridge_delivery")
            .col(ColumnDef::new("event_id").uuid().not_null())
            .col(name("trigger_id").not_null())
            .col(name("event_type").not_null())
            .col(name("job_type").not_null())
            .col(ColumnDef::new("status").string_len(16).not_null())
            .col(ColumnDef::new("run_id").uuid())
            .col(text(manager, "reason")?)
            .col(moment_now(manager, "created_at")?)
            // What makes a trigger fire exactly once per event.
            .primary_key(Index::create().col("event_id").col("trigger_id"))
            .check(("bridge_delivery_status_check", known_status)),
    )
    .await?;
    create_index(
        manager,
        "bridge_delivery",
        "bridge_delivery_run_idx",
        Index::create().col("run_id"),
    )
    .await
}

/// Drops the tables with what is in them.
///
/// # Errors
///
/// The database's own.
pub async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(manager, &["bridge_delivery"]).await
}
