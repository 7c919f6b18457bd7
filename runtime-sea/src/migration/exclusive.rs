//! One process migrates at a time.

use sea_orm::{DatabaseConnection, DbErr};

use crate::database::MigrationLock;

/// Runs `migrate` while no other process is in here with the same database; who comes second waits, and finds the work
/// done. Ends with its process, however that ends.
///
/// On PostgreSQL and MySQL the lock is on a connection outside of the pool; on SQLite it is a file beside the database's,
/// `<database>-migrate.lock`, which stays there. It holds among the callers of this function: `sea-orm-cli migrate` run
/// by hand knows nothing of it.
///
/// ```
/// # use runtime_sea::{connect, migration::exclusively};
/// # use sea_orm_migration::prelude::*;
/// # struct Migrator;
/// # impl MigratorTrait for Migrator {
/// #     fn migrations() -> Vec<Box<dyn MigrationTrait>> { Vec::new() }
/// # }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let db = connect("sqlite://crm.db?mode=rwc").await?;
/// exclusively(&db, async || Migrator::up(&db, None).await).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// That the lock cannot be had, and what `migrate` returns.
pub async fn exclusively<T, E: From<DbErr>>(
    db: &DatabaseConnection,
    migrate: impl AsyncFnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let lock = MigrationLock::take(db).await?;
    let done = migrate().await;
    lock.release().await;
    done
}
