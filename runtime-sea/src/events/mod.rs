//! The transactional outbox: publishing events, and delivering them to subscriptions.

mod event;
mod id;
mod publish;
mod record;
mod registry;
mod route;
mod subscription;

pub use event::{Event, EventEnvelope};
pub use id::{AggregateId, EventId, NoAggregate};
pub use publish::{PublishError, PublishOptions, Published};
pub use record::{DecodeError, EventRecord, EventStatus};
pub use registry::{EventDescriptor, EventRegistry};
pub use subscription::SubscriptionError;

pub(crate) use subscription::Subscription;

pub use route::{Direction, EventOrdering, EventPool, EventRetry, EventRoute, Tier};
