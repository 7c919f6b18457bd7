//! A claim must not slow down with the backlog, whatever it asks.

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DbBackend};

use super::harness::*;
use crate::database::dialect;
use crate::events::drain::Consumers;
use crate::events::drain::claim::Claimant;
use crate::events::drain::claimable::{claimable_deliveries, claimable_events};
use crate::events::drain::turns::SuspectTurns;

/// What each claim asks first, in a lane with a backlog: there hardly ever is such a delivery.
async fn plan_of_the_question(harness: &Harness, explain: &str, column: &str) -> String {
    let db = harness.runtime.db();
    let consumers = Consumers {
        subscriptions: vec![Log::default().subscription("s")],
        ..Consumers::default()
    };
    let question =
        claimable_deliveries(dialect(db).unwrap(), &consumers, CHANGE_LANE, Some(true), 1);
    plan_of(harness, &question, explain, column).await
}

/// What a lane with events asks for.
async fn plan_of_the_claim(harness: &Harness, explain: &str, column: &str) -> String {
    let claimant = Claimant {
        turns: &SuspectTurns::default(),
        worker_id: harness.worker().await,
        known_types: None,
        consumers: &Consumers::default(),
    };
    let dialect = dialect(harness.runtime.db()).unwrap();
    let claim = claimable_events(dialect, &claimant, CHANGE_LANE, 9);
    plan_of(harness, &claim, explain, column).await
}

async fn plan_of(
    harness: &Harness,
    select: &SelectStatement,
    explain: &str,
    column: &str,
) -> String {
    let db = harness.runtime.db();
    let mut statement = db.get_database_backend().build(select);
    statement.sql = format!("{explain} {}", statement.sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    let lines = rows.iter().map(|row| {
        row.try_get::<Option<String>>("", column)
            .unwrap()
            .unwrap_or_default()
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn fill(harness: &Harness, series: &str) {
    fill_with(
        harness,
        series,
        "'pending'",
        "CASE WHEN 1 = 0 THEN occurred END",
    )
    .await;
}

async fn fill_with(harness: &Harness, series: &str, status: &str, dispatched_at: &str) {
    let db = harness.runtime.db();
    let id = match db.get_database_backend() {
        DbBackend::Postgres => "gen_random_uuid()",
        DbBackend::MySql => "UNHEX(REPLACE(UUID(), '-', ''))",
        _ => "randomblob(16)",
    };
    for sql in [
        format!(
            "INSERT INTO domain_events (seq, id, type, payload, metadata, tier, version, ordering, pool, \
                direction, aggregate_type, aggregate_id, status, dispatched_at) \
             SELECT n, {id}, 'contact_changed', '{{}}', '{{}}', 'domain', 1, 'aggregate', \
                'events_change', 'change', 'contact', 'ada', {status}, {dispatched_at} \
             FROM (SELECT n, CURRENT_TIMESTAMP AS occurred FROM ({series}) AS series) AS series"
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

fn ten_thousand_on_mysql() -> String {
    let digits = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
        UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    format!(
        "SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n \
         FROM {digits} AS a, {digits} AS b, {digits} AS c, {digits} AS e"
    )
}

/// A plan that reads the events that are done gets slower with every event.
#[tokio::test]
async fn r24_a_claim_reads_what_is_undispatched_alone_on_sqlite() {
    let harness = Harness::sqlite().await;
    let plan = plan_of_the_claim(&harness, "EXPLAIN QUERY PLAN", "detail").await;
    let indexes = [
        "e USING INDEX domain_events_claim_idx",
        "p USING INDEX domain_events_order_idx",
    ];
    assert!(indexes.iter().all(|it| plan.contains(it)), "{plan}");
}

/// Most of what there is has been dispatched, and half of that waits for somebody.
async fn fill_with_the_past(harness: &Harness, series: &str) {
    // Written so at once: rows that were changed leave entries in the indexes behind, which mislead an optimiser for as
    // long as they are there.
    let status = "CASE WHEN n % 50 <> 0 AND n % 2 = 0 THEN 'processed' ELSE 'pending' END";
    let dispatched_at = "CASE WHEN n % 50 <> 0 THEN occurred END";
    fill_with(harness, series, status, dispatched_at).await;
    let db = harness.runtime.db();
    let analyze = match db.get_database_backend() {
        DbBackend::MySql => "ANALYZE TABLE domain_events",
        _ => "ANALYZE domain_events",
    };
    db.execute_unprepared(analyze).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_a_claim_reads_what_is_undispatched_alone_on_postgres() {
    let Some(harness) = Harness::postgres().await else {
        return;
    };
    fill_with_the_past(&harness, "SELECT generate_series(1, 20000) AS n").await;
    let plan = plan_of_the_claim(&harness, "EXPLAIN", "QUERY PLAN").await;
    assert!(plan.contains("domain_events_claim_idx"), "{plan}");
    assert!(!plan.contains("Seq Scan on domain_events"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_a_claim_reads_what_is_undispatched_alone_on_mysql() {
    let Some(harness) = Harness::mysql().await else {
        return;
    };
    fill_with_the_past(&harness, &ten_thousand_on_mysql()).await;
    let keys = plan_of_the_claim(&harness, "EXPLAIN", "key").await;
    let keys: Vec<_> = keys.lines().filter(|it| !it.is_empty()).collect();
    assert_eq!(keys[0], "domain_events_claim_idx", "{keys:?}");
    // Both hold what is undispatched alone.
    let of_the_undispatched = ["domain_events_claim_idx", "domain_events_order_idx"];
    assert!(
        keys.iter().all(|it| of_the_undispatched.contains(it)),
        "{keys:?}"
    );
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
    fill(&harness, &ten_thousand_on_mysql()).await;
    let keys = plan_of_the_question(&harness, "EXPLAIN", "key").await;
    assert!(keys.contains("event_delivery_suspect_idx"), "{keys}");
}
