//! The ids of events and of the aggregates that they belong to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The namespace of ids that are derived from another system's ids.
const SOURCE_NAMESPACE: Uuid = Uuid::from_u128(0x6f6d_a3e2_5b0b_4c8e_9d1f_7a40_c2f4_1b93);

/// The id of an event, which is also what deduplicates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl EventId {
    /// A new id; ids made later sort later.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of what `source` calls `id`: the same two always give the same event id, so an event that another
    /// system sends twice is stored once.
    #[must_use]
    pub fn from_source(source: &str, id: &str) -> Self {
        // The length keeps ("a", "bc") and ("ab", "c") apart.
        let name = format!("{}:{source}{id}", source.len());
        Self(Uuid::new_v5(&SOURCE_NAMESPACE, name.as_bytes()))
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<EventId> for Uuid {
    fn from(id: EventId) -> Self {
        id.0
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Says that an event belongs to no aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoAggregate;

/// The id of the aggregate that an event belongs to, as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AggregateId(Option<String>);

impl AggregateId {
    /// The id, where there is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(crate) fn into_inner(self) -> Option<String> {
        self.0
    }
}

impl From<NoAggregate> for AggregateId {
    fn from(_: NoAggregate) -> Self {
        Self(None)
    }
}

impl From<&str> for AggregateId {
    fn from(id: &str) -> Self {
        Self(Some(id.to_owned()))
    }
}

impl From<String> for AggregateId {
    fn from(id: String) -> Self {
        Self(Some(id))
    }
}

macro_rules! aggregate_id_from_display {
    ($($ty:ty),*) => {$(
        impl From<$ty> for AggregateId {
            fn from(id: $ty) -> Self {
                Self(Some(id.to_string()))
            }
        }
    )*};
}

aggregate_id_from_display!(Uuid, &Uuid, &String, i32, i64, u32, u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_source_id_is_the_same_event() {
        let id = EventId::from_source("stripe", "evt_1");
        assert_eq!(id, EventId::from_source("stripe", "evt_1"));
        assert_ne!(id, EventId::from_source("stripe", "evt_2"));
        assert_ne!(id, EventId::from_source("stripee", "vt_1"));
    }

    #[test]
    fn a_source_id_is_the_same_event_after_an_upgrade() {
        let id = EventId::from_source("stripe", "evt_123").as_uuid();
        // Another one would make every redelivery after an upgrade a second event.
        assert_eq!(id.to_string(), "8dbaabf0-332f-5d2f-ba75-f2199ee86df3");
        assert_eq!(id.get_version_num(), 5);
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = EventId::generate();
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
    }
}
