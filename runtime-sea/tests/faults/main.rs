//! Real processes that die, stop and lose their database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod crash;
#[path = "../behaviour/support/mod.rs"]
mod support;
