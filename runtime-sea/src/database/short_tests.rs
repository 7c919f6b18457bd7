//! For how long a transaction waits for another one's lock.

use std::time::Duration;

use codegen_tests::databases::{self, TestDatabase};
use sea_orm::ConnectionTrait;
use tokio::time::timeout;

use super::{begin_patient, begin_short, dialect, is_contention};

#[test]
fn r23_a_short_transaction_is_not_kept_waiting_for_long_on_postgres() {
    kept_waiting(databases::postgres().unwrap());
}

#[test]
fn r23_a_short_transaction_is_not_kept_waiting_for_long_on_mysql() {
    kept_waiting(databases::mysql().unwrap());
}

#[tokio::test]
async fn a_writer_that_does_not_get_its_turn_meets_contention_on_sqlite() {
    let database = databases::sqlite().unwrap();
    let db = crate::connect(&database.url).await.unwrap();
    db.execute_unprepared("CREATE TABLE keys_taken (id INT PRIMARY KEY)")
        .await
        .unwrap();
    let unique = "INSERT INTO keys_taken VALUES (1), (1)";
    assert!(!is_contention(
        &db.execute_unprepared(unique).await.unwrap_err()
    ));
    let _writing = crate::begin(&db).await.unwrap();
    let impatient = sea_orm::Database::connect(&database.url).await.unwrap();
    let now = "PRAGMA busy_timeout = 0; INSERT INTO keys_taken VALUES (1)";
    let error = impatient.execute_unprepared(now).await.unwrap_err();
    assert!(is_contention(&error), "{error}");
}

fn kept_waiting(database: Option<TestDatabase>) {
    const KEY: &str = "INSERT INTO keys_taken VALUES (1)";

    let Some(database) = database else { return };
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let db = crate::connect(&database.url).await.unwrap();
        db.execute_unprepared("CREATE TABLE keys_taken (id INT PRIMARY KEY)")
            .await
            .unwrap();
        let open = crate::begin(&db).await.unwrap();
        open.execute_unprepared(KEY).await.unwrap();

        let short = begin_short(&db).await.unwrap();
        let error = short.execute_unprepared(KEY).await.unwrap_err();
        let dialect = dialect(&db).unwrap();
        assert!(dialect.is_locked_out(&error), "{error}");
        assert!(dialect.is_transient(&error) && !dialect.is_beaten(&error));
        assert!(is_contention(&error));
        short.rollback().await.unwrap();

        // Also on the connection that the short one had.
        for _ in 0..2 {
            let patient = begin_patient(&db).await.unwrap();
            let waiting = patient.execute_unprepared(KEY);
            assert!(timeout(Duration::from_secs(4), waiting).await.is_err());
        }
        open.rollback().await.unwrap();
    });
    tokio.shutdown_background();
}
