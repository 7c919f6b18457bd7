//! Deliveries that a worker died over, beside those that nobody did.

use std::time::Duration;

use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, ConnectionTrait};
use uuid::Uuid;

use super::harness::*;
use super::on_each_database;
use crate::events::drain::Consumers;
use crate::events::drain::claim::{Claimant, claim_deliveries};
use crate::events::drain::turns::SuspectTurns;
use crate::events::entities::event_delivery;

on_each_database!(
    r11_what_a_worker_died_over_stops_no_lane_behind_what_is_blocked,
    r11_what_a_worker_died_over_has_its_turn_after_a_claim_that_took_something,
);

/// Longer than a test.
const EVER: Duration = Duration::from_secs(3600);

/// A lane with deliveries for `s`.
struct Suspected<'a> {
    harness: &'a Harness,
    consumers: Consumers,
}

impl<'a> Suspected<'a> {
    async fn of(harness: &'a Harness, deliveries: u32) -> Self {
        let log = Log::default();
        harness.drainer(vec![log.subscription("s")]).await;
        for n in 0..deliveries {
            harness.change(&n.to_string(), n).await;
        }
        let nobody = harness.drainer(Vec::new()).await;
        nobody.drain_until_idle().await.unwrap();
        let consumers = Consumers {
            subscriptions: vec![log.subscription("s")],
            ..Consumers::default()
        };
        Self { harness, consumers }
    }

    async fn suspect(&self, contact: &str) {
        let update = Query::update()
            .table(event_delivery::Entity)
            .value(event_delivery::Column::Recoveries, 1)
            .and_where(event_delivery::Column::AggregateId.eq(contact))
            .to_owned();
        self.harness.runtime.db().execute(&update).await.unwrap();
    }

    /// Takes two, or the suspect, and says of which contacts they are.
    async fn claim(
        &self,
        turns: &SuspectTurns,
        worker_id: Uuid,
        has_nothing_in_hand: bool,
    ) -> Vec<String> {
        let db = self.harness.runtime.db();
        let claimant = Claimant {
            worker_id,
            known_types: None,
            consumers: &self.consumers,
            turns,
        };
        let claimed = claim_deliveries(db, &claimant, CHANGE_LANE, 2, has_nothing_in_hand).await;
        let contacts = claimed
            .unwrap()
            .into_iter()
            .map(|it| it.row.aggregate_id.unwrap());
        contacts.collect()
    }
}

async fn r11_what_a_worker_died_over_stops_no_lane_behind_what_is_blocked(harness: &Harness) {
    let lane = Suspected::of(harness, 7).await;
    let worker = harness.worker().await;
    let turns = SuspectTurns::holding_back_for(Duration::from_millis(20));
    lane.suspect("0").await;
    assert_eq!(lane.claim(&turns, worker, true).await, ["1", "2"]);
    // Those two stay in hand.
    until(async || {
        let taken = lane.claim(&turns, worker, false).await;
        assert!(taken.is_empty() || taken == ["3", "4"], "{taken:?}");
        !taken.is_empty()
    })
    .await;
    assert_eq!(lane.claim(&turns, worker, true).await, ["0"]);
    assert_eq!(lane.claim(&turns, worker, true).await, ["5", "6"]);
}

async fn r11_what_a_worker_died_over_has_its_turn_after_a_claim_that_took_something(
    harness: &Harness,
) {
    let lane = Suspected::of(harness, 7).await;
    let (dead, worker) = (harness.worker().await, harness.worker().await);
    harness.end_lease(dead).await;
    let turns = SuspectTurns::holding_back_for(EVER);
    assert_eq!(lane.claim(&turns, worker, true).await, ["0", "1"]);
    lane.suspect("2").await;
    assert_eq!(lane.claim(&turns, dead, true).await, [""; 0]);
    // Nothing was taken since there is one that could be next.
    assert_eq!(lane.claim(&turns, worker, false).await, ["3", "4"]);
    assert_eq!(lane.claim(&turns, worker, false).await, [""; 0]);
    assert_eq!(lane.claim(&turns, dead, true).await, [""; 0]);
    assert_eq!(lane.claim(&turns, worker, true).await, ["2"]);
    assert_eq!(lane.claim(&turns, worker, true).await, ["5", "6"]);
}
