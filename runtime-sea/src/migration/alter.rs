//! What changes of tables need that SeaQuery does not have.

use sea_orm_migration::prelude::*;

use crate::database::{self, dialect};

/// Replaces a table on SQLite, which cannot change a column or a foreign key, by `table`, which has the same name.
///
/// The rows stay with the values of the columns that `table` has; add a new column before, and name a column as it is
/// called afterwards. Rows of other tables that refer to them stay too, whatever their `ON DELETE` says; so do indexes and
/// triggers that do not name a column that is gone. All of it happens or nothing, and nothing if a row would refer to one that
/// does not exist. On other databases this is an error: they alter tables.
///
/// ```
/// use runtime_sea::migration::rebuild_table;
/// use sea_orm_migration::prelude::*;
/// use sea_orm_migration::schema::*;
///
/// async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
///     let table = Table::create()
///         .table("contacts")
///         .col(uuid("id").primary_key())
///         .col(string_len("name", 200))
///         .to_owned();
///     rebuild_table(manager, table).await
/// }
/// ```
///
/// # Errors
///
/// The database's own; and within a transaction, because SQLite would go on to obey foreign keys there.
pub async fn rebuild_table(
    manager: &SchemaManager<'_>,
    table: TableCreateStatement,
) -> Result<(), DbErr> {
    database::rebuild_table(manager.get_connection(), &table).await
}

/// The database's clock as an expression, in the form in which points in time are stored.
///
/// # Errors
///
/// On a database that the runtime does not know.
pub fn now(manager: &SchemaManager<'_>) -> Result<Expr, DbErr> {
    Ok(dialect(manager.get_connection())?.now())
}
