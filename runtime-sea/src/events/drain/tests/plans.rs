//! A claim must not slow down with the backlog, whatever it asks.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::harness::*;
use crate::database::dialect;
use crate::events::drain::Consumers;
use crate::events::drain::claimable::claimable_deliveries;

/// What each claim asks first, in a lane with a backlog: there hardly ever is such a delivery.
async fn plan_of_the_question(harness: &Harness, explain: &str, column: &str) -> String {
    let db = harness.runtime.db();
    let consumers = Consumers {
        subscriptions: vec![Log::default().subscription("s")],
        ..Consumers::default()
    };
    let question =
        claimable_deliveries(dialect(db).unwrap(), &consumers, CHANGE_LANE, Some(true), 1);
    let question = db.get_database_backend().build(&question);
    let values = question.values.map(|it| it.0).unwrap_or_default();
    let explain = format!("{explain} {}", question.sql);
    let explain = Statement::from_sql_and_values(db.get_database_backend(), explain, values);
    let rows = db.query_all_raw(explain).await.unwrap();
    let lines = rows.iter().map(|row| {
        row.try_get::<Option<String>>("", column)
            .unwrap()
            .unwrap_or_default()
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn fill(harness: &Harness, series: &str) {
    let db = harness.runtime.db();
    let id = match db.get_database_backend() {
        DbBackend::Postgres => "gen_random_uuid()",
        DbBackend::MySql => "UNHEX(REPLACE(UUID(), '-', ''))",
        _ => "randomblob(16)",
    };
    for sql in [
        format!(
            "INSERT INTO domain_events (seq, id, type, payload, metadata, tier, version, ordering, pool, \
                direction, aggregate_type, aggregate_id) \
             SELECT n, {id}, 'contact_changed', '{{}}', '{{}}', 'domain', 1, 'aggregate', \
                'events_change', 'change', 'contact', 'ada' FROM ({series}) AS series"
        ),
        "INSERT INTO event_delivery (event_seq, kind, subscription, event_type, event_id, pool, \
                aggregate_type, aggregate_id, ordering) \
             SELECT seq, 'subscription', 's', type, id, pool, aggregate_type, aggregate_id, ordering \
             FROM domain_events"
            .to_owned(),
    ] {
        db.execute_unprepared(&sql).await.unwrap();
    }
}

#[tokio::test]
async fn r24_a_claim_looks_for_what_a_worker_died_over_alone_on_sqlite() {
    let harness = Harness::sqlite().await;
    let plan = plan_of_the_question(&harness, "EXPLAIN QUERY PLAN", "detail").await;
    assert!(
        plan.contains("d USING INDEX event_delivery_suspect_idx"),
        "{plan}"
    );
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_a_claim_looks_for_what_a_worker_died_over_alone_on_postgres() {
    let Some(harness) = Harness::postgres().await else {
        return;
    };
    fill(&harness, "SELECT generate_series(1, 20000) AS n").await;
    let db = harness.runtime.db();
    db.execute_unprepared("ANALYZE event_delivery")
        .await
        .unwrap();
    let plan = plan_of_the_question(&harness, "EXPLAIN", "QUERY PLAN").await;
    assert!(plan.contains("event_delivery_suspect_idx"), "{plan}");
    assert!(!plan.contains("Sort"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_a_claim_looks_for_what_a_worker_died_over_alone_on_mysql() {
    let Some(harness) = Harness::mysql().await else {
        return;
    };
    let digits = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
        UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    let series = format!(
        "SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n \
         FROM {digits} AS a, {digits} AS b, {digits} AS c, {digits} AS e"
    );
    fill(&harness, &series).await;
    let keys = plan_of_the_question(&harness, "EXPLAIN", "key").await;
    assert!(keys.contains("event_delivery_suspect_idx"), "{keys}");
}
