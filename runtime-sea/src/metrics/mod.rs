//! What the runtime measures, through the facade [`metrics`](https://docs.rs/metrics): nothing is kept unless the
//! program installs a recorder, such as `metrics-exporter-prometheus`.
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `runtime_sea_job_claim_latency_seconds` | histogram | `job_type`, `pool` | from the moment that a run was due to its claim; the wait for its concurrency key counts, and for a run that was taken over or handed back also what came before |
//! | `runtime_sea_job_attempt_duration_seconds` | histogram | `job_type`, `pool`, `outcome` | an attempt, from its claim to its end |
//! | `runtime_sea_job_attempts_total` | counter | `job_type`, `pool`, `outcome` | attempts that ended on this worker; an outcome is a final status, `retried`, `handed_back` (at a shutdown), or `lost` (to another worker), and what else ends an attempt |
//! | `runtime_sea_job_stale_endings_total` | counter | | attempts whose ending was discarded, because another worker had the run |
//! | `runtime_sea_job_take_overs_total` | counter | `outcome` | runs of dead workers that this worker has `retried` or `given_up` |
//! | `runtime_sea_job_queue_depth` | gauge | `pool` | runs that may be claimed now; counted to 10 000 |
//! | `runtime_sea_job_oldest_seconds` | gauge | `pool` | for how long the longest due of these waits |
//! | `runtime_sea_event_deliveries_total` | counter | `event_type`, `consumer`, `outcome` | calls of subscriptions (`delivered`, `retried`, `failed`) and of triggers (`started`, `skipped`, `failed`) |
//! | `runtime_sea_event_delivery_duration_seconds` | histogram | `event_type`, `consumer`, `outcome` | such a call |
//! | `runtime_sea_event_latency_seconds` | histogram | `event_type`, `consumer` | from the storing of an event to the end of its successful delivery; a commit that comes late counts |
//! | `runtime_sea_event_stale_outcomes_total` | counter | | events whose outcome was discarded, because another worker had them |
//! | `runtime_sea_event_take_overs_total` | counter | | events and deliveries of dead workers that this worker has released |
//! | `runtime_sea_event_queue_depth` | gauge | `pool` | events that no worker has finished calling consumers with; counted to 10 000; the pool of audit events is `events_audit` |
//! | `runtime_sea_event_oldest_seconds` | gauge | `pool` | how old the oldest of these is |
//! | `runtime_sea_event_delivery_queue_depth` | gauge | `pool` | deliveries that wait beside these: to be tried again, for the one before them, or for the process that hosts their consumer; counted to 10 000 |
//! | `runtime_sea_event_delivery_oldest_seconds` | gauge | `pool` | for how long the first of these has waited |
//! | `runtime_sea_heartbeat_failures_total` | counter | | heartbeats that did not arrive |
//! | `runtime_sea_lease_losses_total` | counter | | heartbeats that came after the worker's lease had run out |
//! | `runtime_sea_oldest_transaction_seconds` | gauge | | PostgreSQL: for how long the longest open of the transactions is open that keep the database from clearing away dead rows; 0 elsewhere |
//! | `runtime_sea_clock_offset_seconds` | gauge | | by how much the database's clock is ahead of this process's |
//!
//! Every worker samples the gauges of the pools that it hosts, see
//! [`WorkerBuilder::sample_queues`](crate::WorkerBuilder::sample_queues): they say the same on every worker, so that a
//! dashboard takes the maximum.

mod queues;

use std::sync::Once;
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::hook::guarded;

pub(crate) use queues::{Clock, Sampler};

const CLAIM_LATENCY: &str = "runtime_sea_job_claim_latency_seconds";
const ATTEMPT_DURATION: &str = "runtime_sea_job_attempt_duration_seconds";
const ATTEMPTS: &str = "runtime_sea_job_attempts_total";
const STALE_ENDINGS: &str = "runtime_sea_job_stale_endings_total";
const JOB_TAKE_OVERS: &str = "runtime_sea_job_take_overs_total";
const JOB_DEPTH: &str = "runtime_sea_job_queue_depth";
const JOB_OLDEST: &str = "runtime_sea_job_oldest_seconds";
const DELIVERIES: &str = "runtime_sea_event_deliveries_total";
const DELIVERY_DURATION: &str = "runtime_sea_event_delivery_duration_seconds";
const EVENT_LATENCY: &str = "runtime_sea_event_latency_seconds";
const STALE_OUTCOMES: &str = "runtime_sea_event_stale_outcomes_total";
const EVENT_TAKE_OVERS: &str = "runtime_sea_event_take_overs_total";
const EVENT_DEPTH: &str = "runtime_sea_event_queue_depth";
const EVENT_OLDEST: &str = "runtime_sea_event_oldest_seconds";
const DELIVERY_DEPTH: &str = "runtime_sea_event_delivery_queue_depth";
const DELIVERY_OLDEST: &str = "runtime_sea_event_delivery_oldest_seconds";
const HEARTBEAT_FAILURES: &str = "runtime_sea_heartbeat_failures_total";
const LEASE_LOSSES: &str = "runtime_sea_lease_losses_total";
const OLDEST_TRANSACTION: &str = "runtime_sea_oldest_transaction_seconds";
const CLOCK_OFFSET: &str = "runtime_sea_clock_offset_seconds";

/// Tells the recorder what the names mean; again for a recorder that was installed later would be in vain anyway.
pub(crate) fn describe() {
    static DESCRIBED: Once = Once::new();
    DESCRIBED.call_once(|| {
        record(|| {
            describe_histogram!(CLAIM_LATENCY, Unit::Seconds, "Wait of due runs");
            describe_histogram!(ATTEMPT_DURATION, Unit::Seconds, "Duration of attempts");
            describe_counter!(ATTEMPTS, Unit::Count, "Attempts that ended");
            describe_counter!(STALE_ENDINGS, Unit::Count, "Endings that were discarded");
            describe_counter!(JOB_TAKE_OVERS, Unit::Count, "Runs of dead workers");
            describe_gauge!(JOB_DEPTH, Unit::Count, "Runs that may be claimed now");
            describe_gauge!(JOB_OLDEST, Unit::Seconds, "Wait of the longest due run");
            describe_counter!(DELIVERIES, Unit::Count, "Calls of consumers");
            describe_histogram!(DELIVERY_DURATION, Unit::Seconds, "Duration of calls");
            describe_histogram!(EVENT_LATENCY, Unit::Seconds, "From storing to delivery");
            describe_counter!(STALE_OUTCOMES, Unit::Count, "Outcomes that were discarded");
            describe_counter!(EVENT_TAKE_OVERS, Unit::Count, "Events of dead workers");
            describe_gauge!(EVENT_DEPTH, Unit::Count, "Events to be delivered");
            describe_gauge!(EVENT_OLDEST, Unit::Seconds, "Age of the oldest event");
            describe_gauge!(DELIVERY_DEPTH, Unit::Count, "Deliveries that wait");
            describe_gauge!(DELIVERY_OLDEST, Unit::Seconds, "Wait of the first delivery");
            describe_counter!(HEARTBEAT_FAILURES, Unit::Count, "Heartbeats that failed");
            describe_counter!(LEASE_LOSSES, Unit::Count, "Leases that ran out");
            describe_gauge!(
                OLDEST_TRANSACTION,
                Unit::Seconds,
                "Age of the oldest transaction"
            );
            describe_gauge!(
                CLOCK_OFFSET,
                Unit::Seconds,
                "Database's clock less process's"
            );
        });
    });
}

pub(crate) fn claimed(job_type: &str, pool: &str, waited: Duration) {
    record(|| {
        let labels = [("job_type", job_type.to_owned()), ("pool", pool.to_owned())];
        histogram!(CLAIM_LATENCY, &labels).record(waited);
    });
}

pub(crate) fn attempt_ended(job_type: &str, pool: &str, outcome: &'static str, took: Duration) {
    record(|| {
        let labels = [
            ("job_type", job_type.to_owned()),
            ("pool", pool.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        counter!(ATTEMPTS, &labels).increment(1);
        histogram!(ATTEMPT_DURATION, &labels).record(took);
    });
}

pub(crate) fn oldest_transaction(age: Duration) {
    record(|| {
        gauge!(OLDEST_TRANSACTION).set(age);
    });
}

pub(crate) fn stale_endings(endings: usize) {
    record(|| {
        counter!(STALE_ENDINGS).increment(count(endings));
    });
}

pub(crate) fn runs_taken_over(retried: usize, given_up: usize) {
    record(|| {
        counter!(JOB_TAKE_OVERS, "outcome" => "retried").increment(count(retried));
        counter!(JOB_TAKE_OVERS, "outcome" => "given_up").increment(count(given_up));
    });
}

/// A consumer was called. `latency` is since the event was stored, where the call has succeeded.
pub(crate) fn delivery_ended(
    event_type: &str,
    consumer: &str,
    outcome: &'static str,
    took: Duration,
    latency: Option<Duration>,
) {
    record(|| {
        let labels = [
            ("event_type", event_type.to_owned()),
            ("consumer", consumer.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        counter!(DELIVERIES, &labels).increment(1);
        histogram!(DELIVERY_DURATION, &labels).record(took);
        if let Some(latency) = latency {
            histogram!(EVENT_LATENCY, &labels[..2]).record(latency);
        }
    });
}

pub(crate) fn stale_outcomes(events: usize) {
    record(|| {
        counter!(STALE_OUTCOMES).increment(count(events));
    });
}

pub(crate) fn events_taken_over(events: u64) {
    record(|| {
        counter!(EVENT_TAKE_OVERS).increment(events);
    });
}

pub(crate) fn heartbeat_failed() {
    record(|| {
        counter!(HEARTBEAT_FAILURES).increment(1);
    });
}

pub(crate) fn lease_lost() {
    record(|| {
        counter!(LEASE_LOSSES).increment(1);
    });
}

// A recorder that panics must not take a drain, a worker's heartbeat or a run with it.
fn record(measured: impl FnOnce()) {
    guarded("the recorder of metrics", measured);
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
