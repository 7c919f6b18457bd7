//! Real processes that die, stop and lose their database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod chaos;
mod crash;
mod databases;
mod failpoints;
mod oracle;
mod process;
#[path = "../behaviour/support/mod.rs"]
mod support;
mod workload;
