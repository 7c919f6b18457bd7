//! Requests with an idempotency key.

use std::time::Duration;

use crate::support::TestBed;
use runtime_sea::begin;
use runtime_sea::idempotency::{Answer, Attempt, Begun, First, OnceError, begin_once};
use runtime_sea::migration::idempotency::v1;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_migration::SchemaManager;
use serde_json::json;

crate::on_each_database!(
    a_request_that_was_answered_is_not_carried_out_again,
    a_key_that_was_used_for_another_request_is_refused,
    a_request_that_failed_leaves_the_way_free,
    of_many_requests_with_one_key_one_is_carried_out,
    an_answer_is_forgotten_when_its_time_is_over,
);

mod postgres_alone {
    #[test]
    fn a_request_that_is_under_way_is_not_waited_for() {
        crate::support::on_postgres(super::a_request_that_is_under_way_is_not_waited_for);
    }
}

mod mysql_alone {
    #[test]
    fn a_request_that_is_under_way_is_not_waited_for() {
        crate::support::on_mysql(super::a_request_that_is_under_way_is_not_waited_for);
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn attempt(request: &str) -> Attempt {
    Attempt::new(&["POST /orders", "ada"], "key", request.as_bytes())
}

fn answer(number: u64) -> Answer {
    Answer {
        status: 201,
        headers: vec![("etag".to_owned(), format!("\"{number}\""))],
        body: json!({ "number": number, "name": "É\"\\" }).to_string(),
    }
}

async fn prepare(bed: &TestBed) {
    let manager = SchemaManager::new(bed.runtime.db());
    v1::up(&manager).await.unwrap();
    v1::up(&manager).await.unwrap();
    bed.sql("CREATE TABLE written (number INTEGER)").await;
}

async fn first(db: &DatabaseConnection, request: &str) -> First {
    match begin_once(db, &attempt(request), DAY).await.unwrap() {
        Begun::First(first) => first,
        Begun::Again(answer) => panic!("it was answered: {answer:?}"),
    }
}

async fn write(first: &First) {
    let insert = "INSERT INTO written (number) VALUES (1)";
    first.tx().execute_unprepared(insert).await.unwrap();
}

async fn written(bed: &TestBed) -> i64 {
    bed.count("SELECT COUNT(*) FROM written").await
}

async fn a_request_that_was_answered_is_not_carried_out_again(bed: TestBed) {
    prepare(&bed).await;
    let db = bed.runtime.db();
    let begun = first(db, "{}").await;
    write(&begun).await;
    begun.commit(&answer(1)).await.unwrap();
    for _ in 0..2 {
        match begin_once(db, &attempt("{}"), DAY).await.unwrap() {
            Begun::Again(again) => assert_eq!(again, answer(1)),
            Begun::First(_) => panic!("it would be carried out again"),
        }
    }
    let other = Attempt::new(&["POST /orders", "bob"], "key", b"{}");
    let begun = begin_once(db, &other, DAY).await.unwrap();
    assert!(matches!(begun, Begun::First(_)), "another caller's key");
    drop(begun);
    assert_eq!(written(&bed).await, 1);
}

async fn a_key_that_was_used_for_another_request_is_refused(bed: TestBed) {
    prepare(&bed).await;
    let db = bed.runtime.db();
    let begun = first(db, "{}").await;
    begun.commit(&answer(1)).await.unwrap();
    let refused = begin_once(db, &attempt("[]"), DAY).await;
    assert!(matches!(refused, Err(OnceError::Reused)), "{refused:?}");
}

async fn a_request_that_failed_leaves_the_way_free(bed: TestBed) {
    prepare(&bed).await;
    let db = bed.runtime.db();
    let begun = first(db, "{}").await;
    write(&begun).await;
    begun.rollback().await.unwrap();
    let begun = first(db, "[]").await;
    write(&begun).await;
    begun.commit(&answer(2)).await.unwrap();
    assert_eq!(written(&bed).await, 1);
}

async fn a_request_that_is_under_way_is_not_waited_for(bed: TestBed) {
    prepare(&bed).await;
    let db = bed.runtime.db();
    let begun = first(db, "{}").await;
    write(&begun).await;
    for request in ["{}", "[]"] {
        let refused = begin_once(db, &attempt(request), DAY).await;
        assert!(matches!(refused, Err(OnceError::InFlight)), "{refused:?}");
    }
    begun.commit(&answer(1)).await.unwrap();
    let lock = begin(db).await.unwrap();
    let hold = "SELECT id FROM idempotency_key FOR UPDATE";
    lock.execute_unprepared(hold).await.unwrap();
    let again = begin_once(db, &attempt("{}"), DAY).await.unwrap();
    assert!(matches!(again, Begun::Again(_)), "{again:?}");
    let refused = begin_once(db, &attempt("[]"), DAY).await;
    assert!(matches!(refused, Err(OnceError::Reused)), "{refused:?}");
}

async fn of_many_requests_with_one_key_one_is_carried_out(bed: TestBed) {
    prepare(&bed).await;
    let mut requests = Vec::new();
    for number in 0..8 {
        let db = bed.other_process().await.db().clone();
        requests.push(tokio::spawn(async move {
            loop {
                match begin_once(&db, &attempt("{}"), DAY).await {
                    Ok(Begun::Again(answer)) => return answer,
                    Ok(Begun::First(first)) => {
                        write(&first).await;
                        first.commit(&answer(number)).await.unwrap();
                        return answer(number);
                    }
                    Err(OnceError::InFlight) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        }));
    }
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    assert_eq!(written(&bed).await, 1);
}

async fn an_answer_is_forgotten_when_its_time_is_over(bed: TestBed) {
    prepare(&bed).await;
    let db = bed.runtime.db();
    first(db, "{}").await.commit(&answer(1)).await.unwrap();
    bed.clock.advance(DAY + Duration::from_secs(1));
    first(db, "[]").await.commit(&answer(2)).await.unwrap();

    bed.clock.advance(DAY + Duration::from_secs(3_601));
    let other = Attempt::new(&["POST /orders"], "another key", b"");
    drop(begin_once(db, &other, DAY).await.unwrap());
    let rows = bed.count("SELECT COUNT(*) FROM idempotency_key").await;
    assert_eq!(rows, 1, "only the new one is kept");
}
