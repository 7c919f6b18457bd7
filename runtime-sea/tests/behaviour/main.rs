//! What the runtime promises, on every database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[cfg(feature = "cli")]
mod app;
mod bridge;
mod bulk;
mod cancel;
mod children;
#[cfg(feature = "cli")]
mod cli_events;
#[cfg(feature = "cli")]
mod cli_jobs;
mod clock;
mod differential;
mod event_waits;
mod events;
mod guarantees;
mod jobs;
mod keys;
mod lanes;
mod memory;
mod metrics;
mod migrations;
mod pools;
mod publish;
mod replay;
mod retention;
mod retire;
mod retries;
mod schedules;
mod scope;
mod steps;
mod support;
mod tenancy;
mod traces;
mod transactions;
mod unreadable;
mod versions;
mod waits;
mod workers;
