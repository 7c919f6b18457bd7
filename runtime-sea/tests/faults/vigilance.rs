//! The oracle itself: it has nothing to say about a world in order, and notices what is broken in one.

use sea_orm::{ActiveValue::Set, DatabaseConnection, EntityTrait};

use crate::databases::on_tokio;
use crate::oracle;
use crate::support::TestBed;
use crate::witness::{self, Expected, request};
use crate::workload::{Account, Latest, Moved, host};

const BEFORE: &str = "'2020-01-01T00:00:00.000+00:00'";
const AFTER: &str = "'2100-01-01T00:00:00.000+00:00'";

/// Four events of one account, with their runs and children, and another run; a worker has done all of it.
async fn world() -> TestBed {
    let bed = TestBed::in_memory().await;
    let (db, events) = (bed.runtime.db(), bed.runtime.events());
    witness::create_tables(db).await;
    // Such numbers that nothing fails at first.
    for number in [2, 4, 7, 8] {
        let moved = Moved {
            account: "ada".to_owned(),
            number,
        };
        let published = events.publish_detached("ada", moved).await.unwrap();
        expect(db, number, Expected::Delivered, published.id().as_uuid()).await;
    }
    let latest = Account {
        account: "ada".to_owned(),
        number: 9,
    };
    let jobs = bed.runtime.jobs();
    let run = jobs.start::<Latest>(db, latest).await.unwrap().run_id;
    expect(db, 9, Expected::Completed, run.as_uuid()).await;
    let worker = host(&bed.runtime, "witness").build().unwrap();
    worker.drain_until_idle().await.unwrap();
    bed
}

async fn expect(db: &DatabaseConnection, number: u32, expected: Expected, about: uuid::Uuid) {
    let request = request::ActiveModel {
        name: Set(format!("request {number}")),
        expected: Set(expected.as_str().to_owned()),
        about: Set(about),
    };
    let insert = request::Entity::insert(request);
    insert.exec_without_returning(db).await.unwrap();
}

/// Once more what has this name, at the end of time.
fn again(what: &str, held: bool) -> String {
    format!(
        "INSERT INTO effect SELECT randomblob(16), what, run_id, event_id, process, {held}, {AFTER}, {AFTER} \
         FROM effect WHERE what = '{what}' LIMIT 1"
    )
}

#[test]
fn the_oracle_sees_what_is_broken_and_nothing_else() {
    on_tokio(async {
        let bed = world().await;
        let verdict = oracle::check(bed.runtime.db()).await;
        assert!(verdict.broken.is_empty(), "{verdict}");
        // Or nothing that comes too late would be held against anybody.
        assert!(verdict.effects >= 20 && verdict.stale == 0, "{verdict}");
        for (tampering, noticed) in tamperings() {
            // There is one connection: it is all taken back.
            bed.sql("BEGIN").await;
            bed.sql(&tampering).await;
            let verdict = oracle::check(bed.runtime.db()).await;
            bed.sql("ROLLBACK").await;
            let found = verdict.broken.iter().any(|it| it.contains(noticed));
            assert!(found, "{tampering}: {verdict}");
        }
        bed.sql(&again("fetch", false)).await;
        let verdict = oracle::check(bed.runtime.db()).await;
        assert!(verdict.broken.is_empty(), "{verdict}");
        assert_eq!(verdict.stale, 1);
    });
}

/// What somebody changes, and what the oracle has to say of it.
fn tamperings() -> Vec<(String, &'static str)> {
    let of_reports = "run_id IN (SELECT id FROM job_run WHERE job_type = 'report')";
    let last = "(SELECT id FROM domain_events ORDER BY seq DESC LIMIT 1)";
    let first = "(SELECT id FROM domain_events ORDER BY seq LIMIT 1)";
    [
        (again("fetch", true), "step fetch of run"),
        (again("ledger", true), "and was delivered again"),
        (
            "DELETE FROM effect WHERE what = 'ledger'".to_owned(),
            "never reached ledger",
        ),
        (
            "DELETE FROM effect WHERE what = 'store'".to_owned(),
            "is completed without store",
        ),
        ("DELETE FROM request".to_owned(), "nobody published event"),
        (
            "UPDATE domain_events SET status = 'failed'".to_owned(),
            "request 2 should be delivered and is Some(\"failed\")",
        ),
        (
            "UPDATE request SET expected = 'nothing'".to_owned(),
            "should be nothing and is",
        ),
        (
            "UPDATE job_run SET status = 'failed' WHERE job_type = 'report'".to_owned(),
            "of report is failed",
        ),
        (
            "UPDATE job_run SET status = 'canceled' WHERE job_type = 'latest'".to_owned(),
            "none is completed",
        ),
        (
            format!("UPDATE job_run SET started_at = {BEFORE} WHERE job_type = 'import'"),
            "overlapped",
        ),
        (
            format!("UPDATE effect SET began_at = {BEFORE} WHERE what = 'fetch'"),
            "without its key",
        ),
        (
            format!(
                "UPDATE effect SET began_at = {BEFORE} WHERE what = 'ledger' AND event_id = {last}"
            ),
            "came after a later one",
        ),
        (
            format!("UPDATE job_run SET event_id = {first} WHERE job_type = 'import'"),
            "started 4 runs by import/moved",
        ),
        (
            "DELETE FROM bridge_delivery".to_owned(),
            "the ledger says []",
        ),
        (
            "DELETE FROM job_run WHERE job_type = 'report'".to_owned(),
            "has the children []",
        ),
        (
            format!("UPDATE effect SET began_at = {BEFORE}, ended_at = {AFTER} WHERE {of_reports}"),
            "4 runs of the limited pool",
        ),
        (
            "UPDATE job_run SET slot = created_at WHERE job_type = 'report'".to_owned(),
            "slots were lost or made twice",
        ),
    ]
    .into()
}
