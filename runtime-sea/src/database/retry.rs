//! Trying a transaction again.

use std::time::Duration;

use sea_orm::{DatabaseConnection, DbErr};

use super::dialect;

const TRIES: u32 = 5;

/// Tries a transaction again where another one was in its way and it has been undone.
///
/// Not an async closure: its future could not be sent to another thread where it borrows.
pub(crate) async fn retrying<T, Fut>(
    db: &DatabaseConnection,
    transaction: impl FnMut() -> Fut,
) -> Result<T, DbErr>
where
    Fut: Future<Output = Result<T, DbErr>>,
{
    let dialect = dialect(db)?;
    again_while(|error| dialect.is_beaten(error), transaction).await
}

/// As [`retrying`], for a transaction that does nothing more when it is repeated: also where its connection broke, and
/// nobody knows whether it has committed.
pub(crate) async fn repeating<T, Fut>(
    db: &DatabaseConnection,
    transaction: impl FnMut() -> Fut,
) -> Result<T, DbErr>
where
    Fut: Future<Output = Result<T, DbErr>>,
{
    let dialect = dialect(db)?;
    again_while(|error| dialect.is_transient(error), transaction).await
}

async fn again_while<T, Fut>(
    may_succeed: impl Fn(&DbErr) -> bool,
    mut transaction: impl FnMut() -> Fut,
) -> Result<T, DbErr>
where
    Fut: Future<Output = Result<T, DbErr>>,
{
    let mut pause = Duration::from_millis(5);
    for _ in 1..TRIES {
        match transaction().await {
            Err(error) if may_succeed(&error) => {
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
                pause *= 2;
            }
            result => return result,
        }
    }
    transaction().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use codegen_tests::databases::{self, TestDatabase};
    use sea_orm::ConnectionTrait;
    use tokio::sync::Barrier;

    use super::*;

    #[test]
    fn r18_a_deadlock_is_tried_again_on_postgres() {
        two_in_each_others_way(databases::postgres().unwrap());
    }

    #[test]
    fn r18_a_deadlock_is_tried_again_on_mysql() {
        two_in_each_others_way(databases::mysql().unwrap());
    }

    fn two_in_each_others_way(database: Option<TestDatabase>) {
        let Some(database) = database else { return };
        let tokio = tokio::runtime::Runtime::new().unwrap();
        tokio.block_on(async {
            let db = crate::connect(&database.url).await.unwrap();
            for sql in [
                "CREATE TABLE counts (id INT PRIMARY KEY, n INT NOT NULL)",
                "INSERT INTO counts VALUES (1, 0), (2, 0)",
            ] {
                db.execute_unprepared(sql).await.unwrap();
            }
            let (tries, both) = (AtomicUsize::new(0), Barrier::new(2));
            let count = async |first: u32, second: u32| {
                let (db, tries, both) = (&db, &tries, &both);
                retrying(db, || async move {
                    let tx = crate::begin(db).await?;
                    let add = |id| format!("UPDATE counts SET n = n + 1 WHERE id = {id}");
                    tx.execute_unprepared(&add(first)).await?;
                    if tries.fetch_add(1, Ordering::SeqCst) < 2 {
                        both.wait().await;
                    }
                    tx.execute_unprepared(&add(second)).await?;
                    tx.commit().await
                })
                .await
            };
            let (one, other) = tokio::join!(count(1, 2), count(2, 1));
            one.unwrap();
            other.unwrap();
            // More where the second try met the other one again.
            assert!(tries.into_inner() > 2);
        });
        tokio.shutdown_background();
    }
}
