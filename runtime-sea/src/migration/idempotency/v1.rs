//! Version 1.

use sea_orm_migration::prelude::*;

use crate::migration::steps::{create_index, create_table, drop_tables, moment, text};

/// Makes the table and its index; what is there already is left alone.
///
/// # Errors
///
/// The database's own.
pub async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_table(
        manager,
        Table::create()
            .table("idempotency_key")
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("fingerprint").uuid())
            .col(ColumnDef::new("status").integer())
            .col(text(manager, "headers")?)
            .col(text(manager, "body")?)
            .col(moment(manager, "expires_at")?.not_null()),
    )
    .await?;
    create_index(
        manager,
        "idempotency_key",
        "idempotency_key_expires_idx",
        Index::create().col("expires_at"),
    )
    .await
}

/// Drops the table with what is in it.
///
/// # Errors
///
/// The database's own.
pub async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_tables(manager, &["idempotency_key"]).await
}
