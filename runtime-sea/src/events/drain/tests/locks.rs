//! Locks of processes that are stopped and of sessions that are ended.

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, TryGetable};

use super::harness::*;
use crate::database::{self, LockName};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r03_a_process_that_is_stopped_in_a_transaction_does_not_keep_its_locks_on_postgres() {
    if let Some(harness) = Harness::postgres().await {
        a_stopped_process_does_not_keep_its_locks(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r03_a_process_that_is_stopped_in_a_transaction_does_not_keep_its_locks_on_mysql() {
    if let Some(harness) = Harness::mysql().await {
        a_stopped_process_does_not_keep_its_locks(&harness).await;
    }
}

async fn a_stopped_process_does_not_keep_its_locks(harness: &Harness) {
    let db = harness.runtime.db();
    let dialect = database::dialect(db).unwrap();
    let stopped = database::begin_short(db).await.unwrap();
    assert!(
        dialect
            .try_lock(&stopped, LockName::Admission)
            .await
            .unwrap()
    );
    until(async || {
        let tx = harness.begin().await;
        dialect.try_lock(&tx, LockName::Admission).await.unwrap()
    })
    .await;
    assert!(stopped.commit().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r36_the_lock_of_a_session_that_is_ended_is_free_at_once_on_postgres() {
    if let Some(harness) = Harness::postgres().await {
        let id = "SELECT pg_backend_pid() AS id";
        the_lock_of_an_ended_session_is_free(&harness, id, |id: i32| {
            format!("SELECT pg_terminate_backend({id})")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r36_the_lock_of_a_session_that_is_ended_is_free_at_once_on_mysql() {
    if let Some(harness) = Harness::mysql().await {
        let id = "SELECT CAST(CONNECTION_ID() AS SIGNED INTEGER) AS id";
        the_lock_of_an_ended_session_is_free(&harness, id, |id: i64| format!("KILL {id}")).await;
    }
}

async fn the_lock_of_an_ended_session_is_free<T: TryGetable>(
    harness: &Harness,
    id: &str,
    end: impl Fn(T) -> String,
) {
    let db = harness.runtime.db();
    let dialect = database::dialect(db).unwrap();
    let try_lock = async |tx: &DatabaseTransaction| {
        let locked = dialect.try_lock(tx, LockName::Admission).await;
        locked.unwrap()
    };
    // Nothing but its end takes the lock from it.
    let holder = harness.begin().await;
    assert!(try_lock(&holder).await);
    assert!(!try_lock(&harness.begin().await).await);
    let id = Statement::from_string(db.get_database_backend(), id);
    let row = holder.query_one_raw(id).await.unwrap().unwrap();
    let end = end(row.try_get("", "id").unwrap());
    db.execute_unprepared(&end).await.unwrap();
    until(async || try_lock(&harness.begin().await).await).await;
    // Who has lost it learns of it, and nothing is left of it.
    assert!(holder.commit().await.is_err());
    let next = harness.begin().await;
    assert!(try_lock(&next).await);
    next.commit().await.unwrap();
    assert!(try_lock(&harness.begin().await).await);
}
