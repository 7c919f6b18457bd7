//! The event types that a program knows.

use std::collections::BTreeMap;

use crate::schedule::{Schedule, Scheduled, Slot};

use super::{DecodeError, Event, EventRecord, EventRoute};

/// What the registry knows of one event type.
#[derive(Debug, Clone, Copy)]
pub struct EventDescriptor {
    /// The type's stable name.
    pub event_type: &'static str,
    /// The current version of the payload's shape.
    pub version: u32,
    /// Where its events go.
    pub route: EventRoute,
    check: fn(&EventRecord) -> Result<(), DecodeError>,
}

/// The event types that a program knows, by name.
///
/// A worker that has a registry leaves events of other types alone, for a worker that knows them.
#[derive(Debug, Clone, Default)]
pub struct EventRegistry {
    types: BTreeMap<&'static str, EventDescriptor>,
    schedules: Vec<Scheduled>,
}

impl EventRegistry {
    /// A registry without any type.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry with one more type; registering a type again changes nothing.
    #[must_use]
    pub fn register<E: Event>(mut self) -> Self {
        self.types.insert(
            E::TYPE,
            EventDescriptor {
                event_type: E::TYPE,
                version: E::VERSION,
                route: E::ROUTE,
                check: |record| record.decode::<E>(1).map(|_| ()),
            },
        );
        self
    }

    /// The registry with a type of which every slot of the schedule publishes an event, the one that `event` makes of it;
    /// once, however many workers have this registry. The event belongs to no aggregate and to no tenant.
    #[must_use]
    pub fn schedule<E: Event>(
        mut self,
        schedule: Schedule,
        event: impl Fn(Slot) -> E + Send + Sync + 'static,
    ) -> Self {
        self.schedules.push(Scheduled::event(schedule, event));
        self.register::<E>()
    }

    pub(crate) fn schedules(&self) -> &[Scheduled] {
        &self.schedules
    }

    /// What is known of a type.
    #[must_use]
    pub fn get(&self, event_type: &str) -> Option<&EventDescriptor> {
        self.types.get(event_type)
    }

    /// Every type, by name.
    pub fn iter(&self) -> impl Iterator<Item = &EventDescriptor> {
        self.types.values()
    }

    /// How many types there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there is no type.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Whether a stored event still fits its type; `None` where the type is not known.
    ///
    /// # Errors
    ///
    /// Where the payload does not fit; the error names the field.
    pub fn check(&self, record: &EventRecord) -> Option<Result<(), DecodeError>> {
        self.get(&record.event_type).map(|it| (it.check)(record))
    }
}
