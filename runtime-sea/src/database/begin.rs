//! Transactions whose beginning may be given up by the caller.

use std::future::Future;
use std::panic::resume_unwind;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tracing::Instrument;

use super::dialect;

/// Begins a transaction that will write: on SQLite with the write lock (`BEGIN IMMEDIATE`), so that it waits its turn
/// at the start and cannot be refused in the middle because another one wrote since its first read; on MySQL and MariaDB
/// with the isolation level `READ COMMITTED`, which PostgreSQL has unless told otherwise.
///
/// This future may be dropped at any moment, as the code of a run that loses its worker is and that of a request whose
/// client went away. SeaORM's own `begin` may not: dropped after `BEGIN` was sent and before it was answered, it leaves
/// the connection in the pool with a transaction open that nobody knows of, and what the next one writes on it without
/// a transaction is never committed.
///
/// # Errors
/// The database's own.
///
/// # Panics
/// Outside of a Tokio runtime.
pub async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        isolation_level: dialect(db)?.isolation_level(),
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let db = db.clone();
    // It goes on to its end whoever waits for it, and a transaction that nobody takes is rolled back.
    let begun = async move { db.begin_with_options(options).await }.in_current_span();
    match tokio::spawn(begun).await {
        Ok(tx) => tx,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Err(DbErr::Conn(RuntimeErr::Internal(
            "the Tokio runtime is shutting down".to_owned(),
        ))),
    }
}

/// What runs are started on: a connection, or a transaction with which they commit or vanish.
pub trait Connection:
    ConnectionTrait + TransactionTrait<Transaction = DatabaseTransaction> + sealed::Sealed
{
    /// A transaction of its own, or a savepoint of the one that this is.
    #[doc(hidden)]
    fn begin_within(&self) -> impl Future<Output = Result<DatabaseTransaction, DbErr>> + Send;
}

impl Connection for DatabaseConnection {
    async fn begin_within(&self) -> Result<DatabaseTransaction, DbErr> {
        begin(self).await
    }
}

impl Connection for DatabaseTransaction {
    async fn begin_within(&self) -> Result<DatabaseTransaction, DbErr> {
        self.begin().await
    }
}

impl Connection for DatabaseExecutor<'_> {
    async fn begin_within(&self) -> Result<DatabaseTransaction, DbErr> {
        match self {
            Self::Connection(db) => begin(db).await,
            Self::Transaction(tx) => tx.begin().await,
            Self::OwnedTransaction(tx) => tx.begin().await,
        }
    }
}

mod sealed {
    use sea_orm::{DatabaseConnection, DatabaseExecutor, DatabaseTransaction};

    pub trait Sealed {}

    impl Sealed for DatabaseConnection {}
    impl Sealed for DatabaseTransaction {}
    impl Sealed for DatabaseExecutor<'_> {}
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use codegen_tests::databases::{self, TestDatabase};
    use sea_orm::{ConnectOptions, ConnectionTrait, Database, EntityTrait, PaginatorTrait};

    use super::begin;

    #[test]
    fn a_begin_that_is_given_up_leaves_no_transaction_behind_on_sqlite() {
        given_up(Some(databases::sqlite().unwrap()));
    }

    #[test]
    fn a_begin_that_is_given_up_leaves_no_transaction_behind_on_postgres() {
        given_up(databases::postgres().unwrap());
    }

    #[test]
    fn a_begin_that_is_given_up_leaves_no_transaction_behind_on_mysql() {
        given_up(databases::mysql().unwrap());
    }

    #[expect(unreachable_pub, reason = "the derive wants it public")]
    mod notes {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "notes")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }

    /// Whether the future ended within so many polls; it is dropped then.
    async fn polled<T>(future: impl Future<Output = T>, polls: usize) -> bool {
        let mut future = pin!(future);
        let mut left = polls;
        poll_fn(|cx| {
            left -= 1;
            match future.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if left == 0 => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn given_up(database: Option<TestDatabase>) {
        let Some(database) = database else { return };
        let tokio = tokio::runtime::Runtime::new().unwrap();
        tokio.block_on(async {
            let mut options = ConnectOptions::new(&database.url);
            // The next one has the same connection.
            options.max_connections(1);
            let db = Database::connect(options).await.unwrap();
            let others = crate::connect(&database.url).await.unwrap();
            db.execute_unprepared("CREATE TABLE notes (id INT PRIMARY KEY)")
                .await
                .unwrap();
            let mut number = 0;
            // A database that is quick may answer before it is waited for.
            let (mut polls, mut rounds) = (1, 0);
            while rounds < 50 {
                let ended = polled(begin(&db), polls).await;
                number += 1;
                let insert = format!("INSERT INTO notes VALUES ({number})");
                db.execute_unprepared(&insert).await.unwrap();
                let seen = notes::Entity::find().count(&others).await.unwrap();
                assert_eq!(seen, number, "given up at poll {polls}");
                (polls, rounds) = if ended {
                    (1, rounds + 1)
                } else {
                    (polls + 1, rounds)
                };
            }
        });
        tokio.shutdown_background();
    }
}
