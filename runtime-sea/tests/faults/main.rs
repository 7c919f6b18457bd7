//! Real processes that die, stop and lose their database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod chaos;
mod crash;
mod customer;
mod databases;
mod failpoints;
mod migrations;
mod network;
mod oracle;
mod outage;
mod pooler;
mod process;
mod proxy;
#[path = "../behaviour/support/mod.rs"]
mod support;
mod vigilance;
mod witness;
mod workload;
