//! The resolved model: names in every case, cross references checked, defaults filled in.

mod collision;
mod config;
mod custom_fields;
mod draft;
mod emit;
mod entity;
mod event;
mod event_draft;
mod family;
mod field;
mod field_definition;
mod include;
mod inverse;
mod join;
mod json;
mod key;
pub(crate) mod mysql;
pub(crate) mod name;
mod named_query;
mod need;
mod pattern;
mod previously;
mod query;
mod reference;
mod relation;
mod resolve;
mod schedule;
mod sqlite;
mod tenant;
mod through;
mod upsert;
mod value;
mod vector;
mod via;

pub use crate::definition::FinderLimit;
pub use config::{Config, CrateLocation, Database, RuntimeSource, Subsystem};
pub use draft::plural;
pub use entity::{
    Behaviors, Constraints, DefaultValue, Emission, EmitOn, Entity, Family, Field, FieldOrigin,
    FieldType, FieldValues, JsonType, NamedQuery, OnDelete, Pages, Query, Relation, RelationKind,
    SortOrder, TENANT, Via,
};
pub use event::{
    Backoff, Direction, Event, EventTier, Misfire, Ordering, PayloadField, PayloadType, Retry,
    Schedule,
};
pub use join::{Join, JoinEnd, Onward, Reference, Through};
pub use name::Name;
pub use resolve::resolve;

use camino::Utf8Path;

use crate::definition::{self, Definitions, Layout, Problem, Severity, Sources};
use crate::workspace::Files;

/// Everything that the definitions of one workspace say.
#[derive(Debug, Clone)]
pub struct Model {
    /// `codegen.yaml` with its defaults filled in.
    pub config: Config,
    /// Sorted by name.
    pub entities: Vec<Entity>,
    /// Join tables that no definition describes, sorted by name.
    pub joins: Vec<Join>,
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

    /// Whether some entity is created by a request.
    pub fn creates_over_http(&self) -> bool {
        self.entities.iter().any(|it| it.rest && it.writes)
    }
}

/// A workspace's configuration file.
pub const CONFIG_FILE: &str = "codegen.yaml";

/// What [`load`] found.
#[derive(Debug)]
pub struct Loaded {
    /// Every definition file that was read.
    pub sources: Sources,
    /// The model with its notes and warnings, or every problem if one of them is an error. Sorted by place.
    pub result: Result<(Model, Vec<Problem>), Vec<Problem>>,
}

/// Reads `codegen.yaml`, the entities and the events, and resolves them.
pub fn load(files: &dyn Files) -> Loaded {
    let mut loaded = definition::Loaded::default();
    let config = match files.read(Utf8Path::new(CONFIG_FILE)) {
        Ok(Some(text)) => {
            let source = loaded.sources.add(CONFIG_FILE, text.as_str());
            let (config, problems) = definition::config(source, &text);
            loaded.problems.extend(problems);
            config
        }
        Ok(None) => {
            loaded.problems.push(
                Problem::global("no-config", format!("there is no `{CONFIG_FILE}` here"))
                    .help("run `cargo codegen init` in your workspace, or `cargo codegen new <dir>` for a new one"),
            );
            definition::ConfigDefinition::default()
        }
        Err(error) => {
            loaded.problems.push(definition::unreadable_file(&error));
            definition::ConfigDefinition::default()
        }
    };
    // Problems of the configuration are reported by `resolve`, which looks at it again.
    let directories = Config::resolve(&config, &mut Vec::new());
    let layout = Layout {
        entities: &directories.entities_dir,
        events: &directories.events_dir,
        patterns: &directories.patterns_dir,
    };
    loaded.definitions.config = config;
    let loaded = definition::load(files, layout, loaded);
    let mut result = resolved(&loaded.definitions, &loaded.sources, loaded.problems);
    if let Ok((model, _)) = &mut result {
        model.config.name_packages(files);
    }
    Loaded {
        sources: loaded.sources,
        result,
    }
}

fn resolved(
    definitions: &Definitions,
    sources: &Sources,
    mut problems: Vec<Problem>,
) -> Result<(Model, Vec<Problem>), Vec<Problem>> {
    let failed = problems.iter().any(|it| it.severity == Severity::Error);
    let result = resolve(definitions, sources);
    let (model, more) = match result {
        Ok((model, notes)) => (Some(model), notes),
        Err(more) => (None, more),
    };
    problems.extend(more);
    problems.sort_by_key(|it| {
        let place = it
            .labels
            .first()
            .map(|it| (it.span.source, it.span.range.start));
        (place, std::cmp::Reverse(it.severity))
    });
    problems.dedup();
    match model {
        Some(model) if !failed => Ok((model, problems)),
        _ => Err(problems),
    }
}
