//! Databases by the dozen.

use std::sync::OnceLock;

use codegen_tests::databases::{self, TestDatabase};
use codegen_tests::servers::{MySqlServer, PostgresServer};

use crate::support::TestBed;

/// Where fresh databases come from.
pub(crate) enum Databases {
    Sqlite,
    /// A server of this process: the machine's own may not take so many connections.
    Postgres(&'static PostgresServer),
    /// The same.
    MySql(&'static MySqlServer),
}

impl Databases {
    pub(crate) fn sqlite() -> Option<Self> {
        Some(Self::Sqlite)
    }

    /// `None` where there is no PostgreSQL.
    pub(crate) fn postgres() -> Option<Self> {
        static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
        SERVER
            .get_or_init(|| PostgresServer::start().unwrap())
            .as_ref()
            .map(Self::Postgres)
    }

    /// `None` where there is neither MySQL nor MariaDB.
    pub(crate) fn mysql() -> Option<Self> {
        static SERVER: OnceLock<Option<MySqlServer>> = OnceLock::new();
        SERVER
            .get_or_init(|| MySqlServer::start().unwrap())
            .as_ref()
            .map(Self::MySql)
    }

    /// A fresh database, which may be gone when the second value is dropped.
    pub(crate) async fn fresh(&self) -> (TestBed, Option<TestDatabase>) {
        match self {
            Self::Sqlite => {
                let database = databases::sqlite().unwrap();
                (TestBed::on(database.url.clone()).await, Some(database))
            }
            Self::Postgres(server) => {
                let server: &'static PostgresServer = server;
                let url = tokio::task::spawn_blocking(|| server.fresh_database().unwrap());
                (TestBed::on(url.await.unwrap()).await, None)
            }
            Self::MySql(server) => {
                let server: &'static MySqlServer = server;
                let url = tokio::task::spawn_blocking(|| server.fresh_database().unwrap());
                (TestBed::on(url.await.unwrap()).await, None)
            }
        }
    }
}

pub(crate) fn on_tokio<T>(test: impl Future<Output = T>) -> T {
    crate::support::observe();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let result = tokio.block_on(test);
    tokio.shutdown_background();
    result
}
