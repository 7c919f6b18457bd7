//! The resolved model: names in every case, cross references checked, defaults filled in.

mod config;
mod entity;
mod event;
mod name;

pub use config::{Config, CrateLocation, Database, RuntimeSource, Subsystem};
pub use entity::{
    Behaviors, Constraints, DefaultValue, Emission, EmitOn, Entity, Field, FieldOrigin, FieldType,
    OnDelete, Query, Relation, RelationKind, SortOrder,
};
pub use event::{Backoff, Direction, Event, EventTier, Ordering, PayloadField, PayloadType, Retry};
pub use name::Name;

/// Everything that the definitions of one workspace say.
#[derive(Debug, Clone)]
pub struct Model {
    /// `codegen.yaml` with its defaults filled in.
    pub config: Config,
    /// Sorted by name.
    pub entities: Vec<Entity>,
    /// Sorted by type; the entities' inline events included.
    pub events: Vec<Event>,
}

impl Model {
    /// The entity with this snake_case name.
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|it| it.name.snake == name)
    }

    /// The event of this type.
    pub fn event(&self, event_type: &str) -> Option<&Event> {
        self.events.iter().find(|it| it.name.snake == event_type)
    }
}
