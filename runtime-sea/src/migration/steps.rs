//! What the versions' steps are made of.

use sea_orm_migration::prelude::*;

use crate::database::{dialect, insert_if_new, literal_zero};
use crate::storable::{MAX_KEY_LENGTH, MAX_NAME_LENGTH};

/// A short text that names something. A key over two of them still fits into an index of MySQL.
pub(super) fn name(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).string_len(MAX_NAME_LENGTH).take()
}

/// The key of a run, with the tenant that it belongs to.
pub(super) fn key(column: &'static str) -> ColumnDef {
    ColumnDef::new(column).string_len(MAX_KEY_LENGTH).take()
}

/// A moment in UTC.
pub(super) fn moment(
    manager: &SchemaManager<'_>,
    column: &'static str,
) -> Result<ColumnDef, DbErr> {
    let moment = dialect(manager.get_connection())?.moment_type();
    Ok(ColumnDef::new_with_type(column, moment))
}

/// A text of any length.
pub(super) fn text(manager: &SchemaManager<'_>, column: &'static str) -> Result<ColumnDef, DbErr> {
    let text = dialect(manager.get_connection())?.text_type();
    Ok(ColumnDef::new_with_type(column, text))
}

/// A moment that is now, by the database's clock, where a row does not say otherwise.
pub(super) fn moment_now(
    manager: &SchemaManager<'_>,
    column: &'static str,
) -> Result<ColumnDef, DbErr> {
    let now = dialect(manager.get_connection())?.now();
    Ok(moment(manager, column)?.not_null().default(now).take())
}

/// Makes a table where it is not there yet.
pub(super) async fn create_table(
    manager: &SchemaManager<'_>,
    table: &mut TableCreateStatement,
) -> Result<(), DbErr> {
    let conn = manager.get_connection();
    dialect(conn)?.prepare_table(conn, table).await?;
    manager.create_table(table.if_not_exists().take()).await
}

/// Makes the rows that the runtime's locks are taken on, where the database has no locks without rows.
pub(super) async fn create_lock_rows(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let names = dialect(manager.get_connection())?.lock_rows();
    if names.is_empty() {
        return Ok(());
    }
    let mut table = Table::create()
        .table("runtime_lock")
        .col(name("name").not_null().primary_key())
        .take();
    create_table(manager, &mut table).await?;
    for name in names {
        let row = Query::insert()
            .into_table("runtime_lock")
            .columns(["name"])
            .values_panic([(*name).into()])
            .to_owned();
        insert_if_new(manager.get_connection(), &row).await?;
    }
    Ok(())
}

/// Which rows a partial index has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Only {
    /// Those in which the column has this value.
    Equal(&'static str, &'static str),
    /// Those in which the column is null.
    Null(&'static str),
    /// Those in which the column is not null.
    NotNull(&'static str),
    /// Those few in which the column is more than zero.
    Positive(&'static str),
}

/// The beginning of an index over some of the rows. Where a database has no such indexes it is over all of them, with
/// the columns that tell them apart first.
pub(super) fn partial_index(
    manager: &SchemaManager<'_>,
    only: &[Only],
) -> Result<IndexCreateStatement, DbErr> {
    let is_partial = dialect(manager.get_connection())?.has_partial_indexes();
    let mut index = Index::create();
    for only in only {
        let (column, condition) = match *only {
            Only::Equal(column, value) => (Some(column), Expr::col(column).eq(value)),
            Only::Null(column) => (Some(column), Expr::col(column).is_null()),
            // It would be a range, behind which no other column is of use.
            Only::NotNull(column) => (None, Expr::col(column).is_not_null()),
            // A range too, but of so few rows that it need not be narrowed further.
            Only::Positive(column) => (Some(column), Expr::col(column).gt(literal_zero())),
        };
        if is_partial {
            index.and_where(condition);
        } else if let Some(column) = column {
            index.col(column);
        }
    }
    Ok(index)
}

/// Makes an index where it is not there yet; not by `IF NOT EXISTS`, which not every database has.
pub(super) async fn create_index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    name: &'static str,
    index: &mut IndexCreateStatement,
) -> Result<(), DbErr> {
    if manager.has_index(table, name).await? {
        return Ok(());
    }
    manager
        .create_index(index.name(name).table(table).take())
        .await
}

/// Drops tables, in the given order, where they are there.
pub(super) async fn drop_tables(
    manager: &SchemaManager<'_>,
    tables: &[&'static str],
) -> Result<(), DbErr> {
    for table in tables {
        manager
            .drop_table(Table::drop().table(*table).if_exists().take())
            .await?;
    }
    Ok(())
}
