//! What cannot be stored, and what the database refuses for the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{TestBed, on_mysql, on_postgres};
use runtime_sea::{JobContext, JobError, JobHandler, JobResult, RunStatus};

crate::on_each_database! {
    r50_a_huge_output_fails_its_run_at_once,
    r50_a_huge_output_of_a_step_fails_its_run_at_once,
}

/// The most that an output may take as JSON.
const LIMIT: usize = 4 * 1024 * 1024;

/// Returns a text of so many bytes, from a step where it is asked to.
#[derive(Clone, Default)]
struct Swell(Arc<AtomicU32>);

impl JobHandler for Swell {
    const TYPE: &'static str = "swell";
    type Input = (usize, bool);
    type Output = String;

    async fn run(&self, ctx: &JobContext, (bytes, in_a_step): (usize, bool)) -> JobResult<String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        // As JSON it has quotes.
        let text = "x".repeat(bytes - 2);
        if in_a_step {
            ctx.step("swell", || async { Ok::<_, JobError>(text) })
                .await?;
            return Ok(String::new());
        }
        Ok(text)
    }
}

async fn r50_a_huge_output_fails_its_run_at_once(bed: TestBed) {
    a_huge_output_fails(&bed, false, "the output cannot be stored").await;
}

async fn r50_a_huge_output_of_a_step_fails_its_run_at_once(bed: TestBed) {
    a_huge_output_fails(&bed, true, "the output of step `swell` cannot be stored").await;
}

async fn a_huge_output_fails(bed: &TestBed, in_a_step: bool, reason: &str) {
    let (db, jobs) = (bed.runtime.db(), bed.runtime.jobs());
    let start = async |bytes| {
        let started = jobs.start::<Swell>(db, (bytes, in_a_step)).await;
        started.unwrap().run_id
    };
    let (huge, fits) = (start(LIMIT + 1).await, start(LIMIT).await);
    let swell = Swell::default();
    let worker = bed.runtime.worker().job(swell.clone()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(fits).await, RunStatus::Completed);
    let run = bed.run(huge).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 1));
    let error = run.error.unwrap();
    assert!(error.contains(reason), "{error}");
    assert!(error.contains("the limit is 4194304"), "{error}");
    assert_eq!(swell.0.load(Ordering::SeqCst), 2);
}

/// Counts how often its step is executed.
#[derive(Clone, Default)]
struct Book(Arc<AtomicU32>);

impl JobHandler for Book {
    const TYPE: &'static str = "book";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.step("book", || async {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok::<_, JobError>(())
        })
        .await
    }
}

#[test]
fn r18_a_claim_a_step_and_an_ending_that_are_beaten_cost_no_attempt_on_postgres() {
    on_postgres(async |bed: TestBed| {
        // A sequence counts on where its transaction is rolled back.
        let beaten = |what: &str, table: &str, when: &str| {
            format!(
                "CREATE SEQUENCE {what}_tries; \
                 CREATE FUNCTION {what}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF nextval('{what}_tries') <= 3 THEN \
                 RAISE EXCEPTION 'beaten' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$; \
                 CREATE TRIGGER {what} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW \
                 WHEN (NEW.status = '{when}') EXECUTE FUNCTION {what}()"
            )
        };
        bed.sql(&beaten("claim", "job_run", "running")).await;
        bed.sql(&beaten("step", "job_step", "completed")).await;
        bed.sql(&beaten("ending", "job_run", "completed")).await;
        nothing_is_counted(&bed).await;
        for what in ["claim", "step", "ending"] {
            let tries = format!("SELECT last_value FROM {what}_tries");
            assert!(bed.count(&tries).await > 3, "{what}");
        }
    });
}

#[test]
fn r18_a_claim_a_step_and_an_ending_that_are_beaten_cost_no_attempt_on_mysql() {
    on_mysql(async |bed: TestBed| {
        // Its tables know no transactions, so that the count goes on where one is rolled back.
        bed.sql(
            "CREATE TABLE tries (what VARCHAR(20) PRIMARY KEY, n INT NOT NULL) ENGINE = MyISAM",
        )
        .await;
        bed.sql("INSERT INTO tries VALUES ('claim', 0), ('step', 0), ('ending', 0)")
            .await;
        let beaten = |what: &str, table: &str, event: &str, when: &str| {
            format!(
                "CREATE TRIGGER {what}_{event} BEFORE {event} ON {table} FOR EACH ROW \
                 IF NEW.status = '{when}' THEN \
                 UPDATE tries SET n = n + 1 WHERE what = '{what}'; \
                 IF (SELECT n FROM tries WHERE what = '{what}') <= 3 THEN \
                 SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'beaten'; \
                 END IF; END IF"
            )
        };
        for sql in [
            beaten("claim", "job_run", "UPDATE", "running"),
            beaten("step", "job_step", "INSERT", "completed"),
            beaten("ending", "job_run", "UPDATE", "completed"),
        ] {
            bed.sql(&sql).await;
        }
        nothing_is_counted(&bed).await;
        assert_eq!(bed.count("SELECT COUNT(*) FROM tries WHERE n > 3").await, 3);
    });
}

async fn nothing_is_counted(bed: &TestBed) {
    let started = bed.runtime.jobs().start::<Book>(bed.runtime.db(), ()).await;
    let id = started.unwrap().run_id;
    let book = Book::default();
    let worker = bed.runtime.worker().job(book.clone()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Completed, 1));
    assert_eq!((run.errors.len(), run.recoveries), (0, 0));
    assert_eq!(book.0.load(Ordering::SeqCst), 1);
}
