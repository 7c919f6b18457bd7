//! Durable events and jobs on SeaORM.

pub mod events;

pub use events::{
    AggregateId, DecodeError, Direction, Event, EventDescriptor, EventEnvelope, EventId,
    EventOrdering, EventPool, EventRecord, EventRegistry, EventRetry, EventRoute, EventStatus,
    NoAggregate, PublishError, PublishOptions, Published, Tier,
};
