//! The event tables as SeaORM entities.

pub mod domain_event;
pub mod event_delivery;
pub mod event_subscription;
