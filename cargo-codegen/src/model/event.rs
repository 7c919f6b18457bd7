//! Events as the rest of the tool sees them.

use camino::Utf8PathBuf;

use super::Name;

/// Lane of a domain event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From outside to us.
    Inbound,
    /// A change of our own data.
    Change,
    /// From us to the outside.
    Outbound,
}

/// Kind of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTier {
    /// May start jobs.
    Domain,
    /// Is only observed.
    Audit,
}

/// Order of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// None.
    None,
    /// Within one aggregate.
    Aggregate,
}

/// How the pause between two deliveries grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Always the same.
    Fixed,
    /// Doubles.
    Exponential,
}

/// Delivery attempts of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// At least 1.
    pub attempts: u32,
    /// Pause between two of them.
    pub backoff: Backoff,
}

/// What becomes of a slot that passed while no worker ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfire {
    /// Nothing.
    Skip,
    /// The latest of them is made up for.
    Last,
    /// Each of them is made up for.
    All,
}

/// When an event is published by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Cron expression.
    pub cron: String,
    /// Name in the time zone database; `None` is UTC.
    pub timezone: Option<String>,
    /// What becomes of missed slots.
    pub misfire: Misfire,
}

/// One event type.
#[derive(Debug, Clone)]
pub struct Event {
    /// `snake` is the type.
    pub name: Name,
    /// `None` exactly for audit events.
    pub direction: Option<Direction>,
    /// Domain or audit.
    pub tier: EventTier,
    /// Name of the entity, or of another aggregate for inbound, outbound and audit events.
    pub aggregate: Option<String>,
    /// Logical origin of an inbound event.
    pub source_system: Option<String>,
    /// Logical target of an outbound event.
    pub destination: Option<String>,
    /// At least 1.
    pub version: u32,
    /// One line for rustdoc.
    pub description: Option<String>,
    /// In the order of the file.
    pub payload: Vec<PayloadField>,
    /// Delivery attempts; `None` is the runtime's default.
    pub retry: Option<Retry>,
    /// Order of delivery.
    pub ordering: Ordering,
    /// When it is published by itself.
    pub schedule: Option<Schedule>,
    /// The definition, relative to the workspace root: the event's own file, or its entity's.
    pub source: Utf8PathBuf,
}

/// One field of a payload.
#[derive(Debug, Clone)]
pub struct PayloadField {
    /// Also the JSON key.
    pub name: Name,
    /// Its type.
    pub ty: PayloadType,
    /// May be null.
    pub nullable: bool,
    /// One line for rustdoc.
    pub description: Option<String>,
}

/// A payload field's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadType {
    /// 128-bit id.
    Uuid,
    /// Text.
    String,
    /// 64-bit floating point.
    Number,
    /// 64-bit integer.
    Integer,
    /// Exact number, a string in JSON.
    Decimal,
    /// True or false.
    Boolean,
    /// Point in time; `date` and `datetime` in a definition.
    DateTime,
    /// Calendar day; `day` in a definition.
    Day,
    /// JSON object.
    Json,
    /// List of a scalar type.
    Array(Box<PayloadType>),
}
