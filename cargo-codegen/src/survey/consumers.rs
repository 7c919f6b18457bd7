//! Who consumes an event, as rows.

use serde::Serialize;

use crate::workspace::consumers::{EventUse, EventUses, Place, UseKind};

/// `event consumers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consumers {
    /// The event's type.
    pub event: String,
    /// What gets it, or starts something with it; by kind and place.
    pub consumers: Vec<ConsumerRow>,
    /// Where it is published, by place.
    pub publishers: Vec<PlaceRow>,
    /// Places that may use it too, because the code does not say which event they use.
    pub unknown: Vec<UnknownRow>,
}

/// One consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsumerRow {
    /// `subscription`, `trigger`, `start` or `wait`.
    pub kind: &'static str,
    /// Name of the subscription, id of the trigger, or type of the job that is started or waits.
    pub name: Option<String>,
    /// A subscription to every event.
    pub every_event: bool,
    /// Where it stands.
    #[serde(flatten)]
    pub place: PlaceRow,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceRow {
    /// Relative to the workspace root.
    pub file: String,
    /// 1 is the first line.
    pub line: usize,
    /// In characters; 1 is the first.
    pub column: usize,
}

/// A place whose event is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownRow {
    /// The call, such as `.subscribe(..)`.
    pub what: String,
    /// Why its event is not known.
    pub why: String,
    /// Where it stands.
    #[serde(flatten)]
    pub place: PlaceRow,
}

impl Consumers {
    /// Those of one event.
    pub fn new(event: &str, uses: &EventUses) -> Self {
        let unknown = uses.unknown.iter().filter(|it| it.may_be(event));
        Self {
            event: event.to_owned(),
            consumers: uses.consumers(event).map(ConsumerRow::new).collect(),
            publishers: uses
                .publishers(event)
                .map(|it| PlaceRow::new(&it.place))
                .collect(),
            unknown: unknown
                .map(|it| UnknownRow {
                    what: it.what.clone(),
                    why: it.why.clone(),
                    place: PlaceRow::new(&it.place),
                })
                .collect(),
        }
    }
}

impl ConsumerRow {
    fn new(found: &EventUse) -> Self {
        Self {
            kind: match found.kind {
                UseKind::Subscription => "subscription",
                UseKind::Trigger => "trigger",
                UseKind::Start => "start",
                UseKind::Wait => "wait",
                UseKind::Publish => "publish",
            },
            name: found.name.clone(),
            every_event: found.event.is_none(),
            place: PlaceRow::new(&found.place),
        }
    }
}

impl PlaceRow {
    fn new(place: &Place) -> Self {
        Self {
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
        }
    }
}

impl std::fmt::Display for PlaceRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
