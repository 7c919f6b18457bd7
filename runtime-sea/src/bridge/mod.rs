//! The bridge from events to jobs: which trigger did what with which event.
//!
//! A trigger fires exactly once per event: its row in `bridge_delivery` and the run that it starts are written by one
//! transaction, and the row's key is the event and the trigger.

mod direct;
mod fire;
pub mod ledger;
mod record;

pub use direct::{PublishAndStartError, PublishedAndStarted};
pub use record::{BridgeRecord, BridgeStatus};

pub(crate) use fire::{Firing, record, record_unregistered};
pub(crate) use record::of_event;
