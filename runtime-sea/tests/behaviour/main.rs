//! What the runtime promises, on every database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[cfg(feature = "cli")]
mod app;
mod attempts;
mod bridge;
mod bridge_versions;
mod bulk;
mod cancel;
mod children;
#[cfg(feature = "cli")]
mod cli_answers;
#[cfg(feature = "cli")]
mod cli_events;
#[cfg(feature = "cli")]
mod cli_jobs;
mod clock;
mod dedupe;
mod differential;
mod endless;
mod event_waits;
mod events;
mod failpoints;
mod guarantees;
mod idempotency;
mod jobs;
mod keys;
mod lanes;
mod locked_keys;
mod memory;
mod metrics;
mod migrations;
mod panicking_policies;
mod pools;
mod publish;
mod replay;
mod replayed_trees;
mod retention;
mod retire;
mod retries;
mod schedule_trouble;
mod schedules;
mod scope;
mod snoozes;
mod steps;
mod support;
mod tenancy;
mod tenant_calls;
mod tenant_keys;
mod traces;
mod transactions;
mod unreadable;
mod versions;
mod waits;
mod without_returning;
mod workers;
