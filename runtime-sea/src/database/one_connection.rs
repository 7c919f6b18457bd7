//! Steps of a migration that build on each other, on one connection of SQLite's.

use sea_orm::sqlx::sqlite::SqlitePoolOptions;
use sea_orm::{DatabaseConnection, DatabaseExecutor, DbBackend, DbErr, SqlxSqliteConnector};
use sea_orm_migration::SchemaManager;

use super::rebuild::sqlx_error;

/// What the steps of one migration go through, so that each knows what the one before has done.
///
/// A connection of SQLite's keeps the schema in its memory, and refuses `CREATE INDEX` by that: a name that another
/// connection of the pool has just dropped "already exists". Here, SQLite gets one connection for all steps, unless they
/// are in a transaction, or the database is in memory and has only one; other databases are asked as before.
///
/// ```
/// use runtime_sea::migration::OneConnection;
/// use sea_orm_migration::prelude::*;
///
/// async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
///     let one = OneConnection::of(manager).await?;
///     let manager = &one.manager();
///     let old = Index::drop().name("uq_contacts_email").table("contacts").to_owned();
///     manager.drop_index(old).await?;
///     let new = Index::create()
///         .name("uq_contacts_email")
///         .table("contacts")
///         .col("email")
///         .unique()
///         .and_where(Expr::col("deleted_at").is_null())
///         .to_owned();
///     manager.create_index(new).await
/// }
/// ```
#[derive(Debug)]
pub struct OneConnection<'c> {
    given: &'c DatabaseExecutor<'c>,
    own: Option<DatabaseConnection>,
}

impl<'c> OneConnection<'c> {
    /// Opens it, where there are several.
    ///
    /// # Errors
    ///
    /// If SQLite cannot open the database again.
    pub async fn of(manager: &'c SchemaManager<'c>) -> Result<Self, DbErr> {
        Self::to(manager.get_connection()).await
    }

    pub(super) async fn to(given: &'c DatabaseExecutor<'c>) -> Result<Self, DbErr> {
        let own = match given {
            DatabaseExecutor::Connection(db)
                if db.get_database_backend() == DbBackend::Sqlite
                    && !super::connect::has_one_connection(db) =>
            {
                let options = db.get_sqlite_connection_pool().connect_options();
                let pool = SqlitePoolOptions::new()
                    .max_connections(1)
                    .connect_with(options.as_ref().clone())
                    .await
                    .map_err(sqlx_error)?;
                Some(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
            }
            _ => None,
        };
        Ok(Self { given, own })
    }

    /// What the steps are given to.
    pub fn manager(&self) -> SchemaManager<'_> {
        match (&self.own, self.given) {
            (Some(db), _) => SchemaManager::new(db),
            (None, DatabaseExecutor::Connection(db)) => SchemaManager::new(*db),
            (None, DatabaseExecutor::Transaction(tx)) => SchemaManager::new(*tx),
            (None, DatabaseExecutor::OwnedTransaction(tx)) => SchemaManager::new(tx),
        }
    }
}

#[cfg(test)]
mod tests {
    use codegen_tests::databases;
    use sea_orm::ConnectionTrait;
    use sea_orm_migration::prelude::*;

    use super::OneConnection;
    use crate::connect;

    #[tokio::test]
    async fn each_step_knows_what_the_one_before_has_done() {
        let database = databases::sqlite().unwrap();
        let db = connect(&database.url).await.unwrap();
        let tables = "CREATE TABLE books (isbn text); CREATE INDEX idx_books_isbn ON books (isbn);";
        db.execute_unprepared(tables).await.unwrap();
        let pool = db.get_sqlite_connection_pool();
        let mut connections = Vec::new();
        while let Some(mut connection) = pool.try_acquire() {
            // It reads the schema.
            sea_orm::sqlx::raw_sql("SELECT * FROM books")
                .execute(&mut *connection)
                .await
                .unwrap();
            connections.push(connection);
        }
        drop(connections);

        let given = SchemaManager::new(&db);
        let one = OneConnection::of(&given).await.unwrap();
        let manager = one.manager();
        for unique in [true, false, true, false] {
            let old = Index::drop()
                .name("idx_books_isbn")
                .table("books")
                .to_owned();
            manager.drop_index(old).await.unwrap();
            let mut new = Index::create();
            new.name("idx_books_isbn").table("books").col("isbn");
            if unique {
                new.unique();
            }
            manager.create_index(new).await.unwrap();
        }
    }
}
