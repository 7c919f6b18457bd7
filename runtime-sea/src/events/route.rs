//! Where an event goes: direction, tier, pool, ordering and retry, fixed per event type at compile time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The lane that a domain event travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From another system to this one, such as a webhook that came in.
    Inbound,
    /// A change of this system's own data.
    Change,
    /// From this system to another one.
    Outbound,
}

impl Direction {
    /// The name as it stands in `domain_events.direction`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Change => "change",
            Self::Outbound => "outbound",
        }
    }

    /// The direction of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Inbound, Self::Change, Self::Outbound]
            .into_iter()
            .find(|it| it.as_str() == name)
    }

    const fn default_pool(self) -> EventPool {
        match self {
            Self::Inbound => EventPool::Inbound,
            Self::Change => EventPool::Change,
            Self::Outbound => EventPool::Outbound,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an event may start work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// A fact that subscriptions and jobs react to.
    Domain,
    /// An observation: kept and delivered to subscriptions, never the trigger of a job.
    Audit,
}

impl Tier {
    /// The name as it stands in `domain_events.tier`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Audit => "audit",
        }
    }

    /// The tier of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Domain, Self::Audit]
            .into_iter()
            .find(|it| it.as_str() == name)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The pools that are reserved for events; each drains on its own, so a slow one cannot stall another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventPool {
    /// `events_inbound`.
    #[serde(rename = "events_inbound")]
    Inbound,
    /// `events_change`.
    #[serde(rename = "events_change")]
    Change,
    /// `events_outbound`.
    #[serde(rename = "events_outbound")]
    Outbound,
}

impl EventPool {
    /// Every pool.
    pub const ALL: [Self; 3] = [Self::Inbound, Self::Change, Self::Outbound];

    /// The lane of audit events, which have no pool: it delivers them to subscriptions, and to nothing else.
    pub const AUDIT_LANE: &'static str = "events_audit";

    /// The prefix of pool names that no job may use.
    pub const RESERVED_PREFIX: &'static str = "events_";

    /// The name as it stands in `domain_events.pool`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "events_inbound",
            Self::Change => "events_change",
            Self::Outbound => "events_outbound",
        }
    }

    /// The pool of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    const fn direction(self) -> Direction {
        match self {
            Self::Inbound => Direction::Inbound,
            Self::Change => Direction::Change,
            Self::Outbound => Direction::Outbound,
        }
    }
}

impl fmt::Display for EventPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the events of one aggregate wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventOrdering {
    /// In the order in which they were published, per aggregate and across the pools: an event waits until the ones
    /// before it have been handed to their subscriptions, and a subscription that has to be retried gets none of the
    /// aggregate's later events meanwhile.
    Aggregate,
    /// In any order.
    None,
}

impl EventOrdering {
    /// The name as it stands in `domain_events.ordering`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::None => "none",
        }
    }
}

/// How often and how soon a failing subscription is called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRetry {
    attempts: u32,
    first_delay: Duration,
    doubling: bool,
}

impl EventRetry {
    /// No pause between two attempts is longer than this.
    pub const MAX_DELAY: Duration = Duration::from_secs(15 * 60);

    /// At most `attempts` attempts, the first pause being one second and each further one twice as long.
    ///
    /// # Panics
    ///
    /// With zero attempts: an event that is never delivered is not one. In a constant this is a compile error.
    #[must_use]
    pub const fn exponential(attempts: u32) -> Self {
        assert!(attempts > 0, "an event needs at least one attempt");
        Self {
            attempts,
            first_delay: Duration::from_secs(1),
            doubling: true,
        }
    }

    /// At most `attempts` attempts, one second apart.
    ///
    /// # Panics
    ///
    /// With zero attempts; in a constant this is a compile error.
    #[must_use]
    pub const fn fixed(attempts: u32) -> Self {
        assert!(attempts > 0, "an event needs at least one attempt");
        Self {
            attempts,
            first_delay: Duration::from_secs(1),
            doubling: false,
        }
    }

    /// The same policy with another first pause.
    #[must_use]
    pub const fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// How many attempts there are in all.
    #[must_use]
    pub const fn attempts(self) -> u32 {
        self.attempts
    }

    /// The pause after the attempt of that number, which counts from 1; at most [`Self::MAX_DELAY`].
    #[must_use]
    pub fn delay_after(self, attempt: u32) -> Duration {
        let exponent = if self.doubling {
            attempt.saturating_sub(1)
        } else {
            0
        };
        let factor = 1_u32.checked_shl(exponent).unwrap_or(u32::MAX);
        self.first_delay.saturating_mul(factor).min(Self::MAX_DELAY)
    }
}

/// The routing of an event type.
///
/// Built by constant functions, so that a combination that makes no sense is a compile error:
///
/// ```compile_fail,E0080
/// use runtime_sea::{EventPool, EventRoute};
/// const ROUTE: EventRoute = EventRoute::audit().pool(EventPool::Change);
/// println!("{ROUTE:?}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRoute {
    direction: Option<Direction>,
    tier: Tier,
    pool: Option<EventPool>,
    aggregate: Option<&'static str>,
    source: Option<&'static str>,
    destination: Option<&'static str>,
    ordered: bool,
    retry: EventRetry,
}

impl EventRoute {
    const fn domain(direction: Direction) -> Self {
        Self {
            direction: Some(direction),
            tier: Tier::Domain,
            pool: Some(direction.default_pool()),
            aggregate: None,
            source: None,
            destination: None,
            ordered: true,
            retry: EventRetry::exponential(5),
        }
    }

    /// A change of an aggregate of this system.
    #[must_use]
    pub const fn change(aggregate: &'static str) -> Self {
        let mut route = Self::domain(Direction::Change);
        route.aggregate = Some(aggregate);
        route
    }

    /// Something that another system told this one.
    #[must_use]
    pub const fn inbound(source: &'static str) -> Self {
        let mut route = Self::domain(Direction::Inbound);
        route.source = Some(source);
        route
    }

    /// Something that this system has to tell another one.
    #[must_use]
    pub const fn outbound(destination: &'static str) -> Self {
        let mut route = Self::domain(Direction::Outbound);
        route.destination = Some(destination);
        route
    }

    /// An observation that never starts work.
    #[must_use]
    pub const fn audit() -> Self {
        let mut route = Self::domain(Direction::Change);
        route.tier = Tier::Audit;
        route.direction = None;
        route.pool = None;
        route
    }

    /// Names the aggregate that the event belongs to; its events are then delivered in order.
    #[must_use]
    pub const fn aggregate(mut self, aggregate: &'static str) -> Self {
        self.aggregate = Some(aggregate);
        self
    }

    /// Drains through another pool of the same category.
    ///
    /// # Panics
    ///
    /// For an audit event, and for a pool of another direction. In a constant this is a compile error.
    #[must_use]
    pub const fn pool(mut self, pool: EventPool) -> Self {
        let Some(direction) = self.direction else {
            panic!("an audit event has no pool");
        };
        assert!(
            pool.direction() as u8 == direction as u8,
            "an event's pool must be of the event's own direction"
        );
        self.pool = Some(pool);
        self
    }

    /// The events of one aggregate need not wait for each other.
    #[must_use]
    pub const fn unordered(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// How a failing subscription is retried; five attempts with exponential pauses where it is not called.
    #[must_use]
    pub const fn retry(mut self, retry: EventRetry) -> Self {
        self.retry = retry;
        self
    }

    /// The direction; none for an audit event.
    #[must_use]
    pub const fn direction(&self) -> Option<Direction> {
        self.direction
    }

    /// The tier.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// The pool; none for an audit event.
    #[must_use]
    pub const fn event_pool(&self) -> Option<EventPool> {
        self.pool
    }

    /// The type of the aggregate.
    #[must_use]
    pub const fn aggregate_type(&self) -> Option<&'static str> {
        self.aggregate
    }

    /// The system that an inbound event comes from.
    #[must_use]
    pub const fn source(&self) -> Option<&'static str> {
        self.source
    }

    /// The system that an outbound event is for.
    #[must_use]
    pub const fn destination(&self) -> Option<&'static str> {
        self.destination
    }

    /// By aggregate where the route names one and is not [`Self::unordered`].
    #[must_use]
    pub const fn ordering(&self) -> EventOrdering {
        self.ordering_of(self.aggregate.is_some())
    }

    pub(crate) const fn ordering_of(&self, has_aggregate: bool) -> EventOrdering {
        if self.ordered && has_aggregate {
            EventOrdering::Aggregate
        } else {
            EventOrdering::None
        }
    }

    /// The retry policy.
    #[must_use]
    pub const fn retry_policy(&self) -> EventRetry {
        self.retry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_event_is_ordered_by_its_aggregate() {
        const ROUTE: EventRoute = EventRoute::change("contact");
        assert_eq!(ROUTE.ordering(), EventOrdering::Aggregate);
        assert_eq!(ROUTE.event_pool(), Some(EventPool::Change));
        assert_eq!(ROUTE.unordered().ordering(), EventOrdering::None);
    }

    #[test]
    fn an_audit_event_has_neither_pool_nor_direction() {
        const ROUTE: EventRoute = EventRoute::audit().aggregate("integration");
        assert_eq!(ROUTE.event_pool(), None);
        assert_eq!(ROUTE.direction(), None);
        assert_eq!(ROUTE.tier(), Tier::Audit);
    }

    #[test]
    fn r49_pauses_are_clamped() {
        let retry = EventRetry::exponential(u32::MAX);
        assert_eq!(retry.delay_after(1), Duration::from_secs(1));
        assert_eq!(retry.delay_after(3), Duration::from_secs(4));
        assert_eq!(retry.delay_after(40), EventRetry::MAX_DELAY);
        assert_eq!(retry.delay_after(u32::MAX), EventRetry::MAX_DELAY);
        assert_eq!(EventRetry::fixed(3).delay_after(3), Duration::from_secs(1));
    }
}
