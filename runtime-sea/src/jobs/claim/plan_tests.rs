//! The claim must not slow down with the backlog: it walks its index and sorts nothing.

use codegen_tests::databases;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use sea_orm_migration::SchemaManager;
use uuid::Uuid;

use super::{Pools, ready_runs};
use crate::database::dialect;
use crate::migration;

const WORKER: Uuid = Uuid::from_bytes([7; 16]);

async fn migrated(url: &str) -> DatabaseConnection {
    let db = crate::connect(url).await.unwrap();
    let manager = SchemaManager::new(&db);
    migration::events::v1::up(&manager).await.unwrap();
    migration::jobs::v1::up(&manager).await.unwrap();
    db
}

fn claim(db: &DatabaseConnection) -> SelectStatement {
    let hosted = [("a", 1), ("b", 2)].into_iter().collect();
    ready_runs(
        dialect(db).unwrap(),
        WORKER,
        "batch",
        &hosted,
        Pools::Unlimited,
    )
    .limit(32)
    .to_owned()
}

/// The lines of a plan, which the databases put into columns of different names.
async fn plan(db: &DatabaseConnection, explain: &str, column: &str) -> String {
    let claim = db.get_database_backend().build(&claim(db));
    let sql = format!("{explain} {}", claim.sql);
    let values = claim.values.map(|values| values.0).unwrap_or_default();
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(statement).await.unwrap();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| row.try_get::<Option<String>>("", column).unwrap())
        .map(Option::unwrap_or_default)
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn r24_the_claim_walks_its_index_on_sqlite() {
    let database = databases::sqlite().unwrap();
    let db = migrated(&database.url).await;
    let plan = plan(&db, "EXPLAIN QUERY PLAN", "detail").await;
    assert!(
        plan.contains("USING INDEX job_run_claim_idx (pool=?)"),
        "{plan}"
    );
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn r24_the_claim_walks_its_index_on_postgres() {
    let Some(database) = databases::postgres().unwrap() else {
        return;
    };
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let db = migrated(&database.url).await;
        // A backlog that the statistics know nothing of.
        let fill = "ALTER TABLE job_run SET (autovacuum_enabled = false); \
            INSERT INTO job_run (id, root_run_id, job_type, pool, status, readiness, priority, \
                input, errors, tags, attempt, max_attempts, recoveries, fence) \
            SELECT id, id, 'a', 'batch', \
                CASE WHEN n % 10 = 0 THEN 'completed' ELSE 'pending' END, \
                CASE n % 3 WHEN 0 THEN 'ready' WHEN 1 THEN 'scheduled' ELSE 'blocked' END, \
                n % 5, '{}', '[]', '[]', 0, 1, 0, 0 \
            FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 30000) AS n) AS runs";
        db.execute_unprepared(fill).await.unwrap();
        let plan = plan(&db, "EXPLAIN", "QUERY PLAN").await;
        assert!(plan.contains("job_run_claim_idx"), "{plan}");
        assert!(!plan.contains("Sort"), "{plan}");
    });
}

#[test]
fn r24_the_claim_walks_its_index_on_mysql() {
    let Some(database) = databases::mysql().unwrap() else {
        return;
    };
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let db = migrated(&database.url).await;
        let digits = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
            UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
        let fill = format!(
            "INSERT INTO job_run (id, root_run_id, job_type, pool, status, readiness, priority, \
                input, errors, tags, attempt, max_attempts, recoveries, fence) \
            SELECT id, id, 'a', 'batch', \
                CASE WHEN n % 10 = 0 THEN 'completed' ELSE 'pending' END, \
                CASE n % 3 WHEN 0 THEN 'ready' WHEN 1 THEN 'scheduled' ELSE 'blocked' END, \
                n % 5, '{{}}', '[]', '[]', 0, 1, 0, 0 \
            FROM (SELECT UNHEX(REPLACE(UUID(), '-', '')) AS id, \
                    a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n \
                FROM {digits} AS a, {digits} AS b, {digits} AS c, {digits} AS e) AS runs"
        );
        db.execute_unprepared(&fill).await.unwrap();
        // It looks for the worker while it plans.
        let worker = "INSERT INTO job_worker (id, name, expires_at) \
            VALUES (REPEAT(x'07', 16), 'w', '2037-01-01')";
        db.execute_unprepared(worker).await.unwrap();
        let key = plan(&db, "EXPLAIN", "key").await;
        assert!(key.contains("job_run_claim_idx"), "{key}");
        let extra = plan(&db, "EXPLAIN", "Extra").await;
        assert!(!extra.contains("filesort"), "{extra}");
    });
}
