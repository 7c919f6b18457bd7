//! The transactional outbox: publishing events, and delivering them to subscriptions.

pub(crate) mod drain;
pub mod entities;
mod event;
mod fleet;
mod id;
mod options;
mod outbox;
pub(crate) mod prune;
mod publish;
mod published;
mod query;
mod raw;
mod record;
mod registry;
mod replay;
mod route;
mod subscription;

pub use event::{Event, EventEnvelope};
pub use fleet::{LaneRecord, ParkedType, SubscriptionRecord};
pub use id::{AggregateId, EventId, NoAggregate};
pub use options::PublishOptions;
pub use publish::Events;
pub use published::{PublishError, Published};
pub use query::{DeliveryRecord, DeliveryStatus, EventDetails, EventFilter};
pub use raw::RawEvent;
pub use record::{DecodeError, EventRecord, EventStatus};
pub use registry::{EventDescriptor, EventRegistry};
pub use route::{Direction, EventOrdering, EventPool, EventRetry, EventRoute, Tier};
pub use subscription::{ConsumerKind, SubscriptionError};

pub(crate) use outbox::Draft;
pub(crate) use subscription::{EVERY_TYPE, Subscription, gets};
