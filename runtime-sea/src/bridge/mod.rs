//! The bridge from events to jobs: which trigger did what with which event.
//!
//! A trigger fires exactly once per event: its row in `bridge_delivery` and the run that it starts are written by one
//! transaction, and the row's key is the event and the trigger.
//!
//! The run that a publisher asks for has a key of its own, `<job>/direct`, whatever triggers the publisher's version of
//! the job has: which of its triggers that run stands for is for the program to say that delivers the event. Neither
//! starts a run where it finds the other's row, and they find it: a delivery locks the event for writing, a publisher
//! that finds the event there already for reading.

mod direct;
mod fire;
pub mod ledger;
mod record;

pub use direct::{PublishAndStartError, PublishedAndStarted};
pub use record::{BridgeRecord, BridgeStatus};

pub(crate) use direct::direct_id;
pub(crate) use fire::{Firing, record, record_unregistered};
pub(crate) use record::of_event;
