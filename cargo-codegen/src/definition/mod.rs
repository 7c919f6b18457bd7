//! YAML files, read into typed definitions that remember where they stand.
//!
//! Nothing here looks across files: that is [`crate::model`]. What is wrong becomes a [`Problem`], and
//! decoding goes on with the rest, so that one run reports everything.

mod config;
mod entity;
mod event;
mod field;
mod keys;
mod node;
mod payload;
mod problem;
mod query;
mod reader;
mod relation;
mod schedule;
mod source;
mod words;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

pub use config::{ConfigDefinition, DatabaseWord, RuntimeDefinition, config};
pub use entity::{Behavior, EntityDefinition};
pub use event::{BackoffWord, DirectionWord, EventDefinition, OrderingWord, RetryDefinition};
pub use field::{FieldDefinition, FieldKind};
pub(crate) use node::shorten;
pub use node::{Kind, Node, parse};
pub use payload::{PayloadDefinition, PayloadKind, PayloadWord};
pub use problem::{Label, Problem, Severity};
pub use query::{NamedQueryDefinition, QueryDefinition};
pub use relation::{OnDeleteWord, RelationDefinition, RelationType};
pub use schedule::{MisfireWord, ScheduleDefinition};
pub use source::{Source, SourceId, Sources, Span, Spanned};
pub(crate) use words::{nearest, whole_number};

use crate::workspace::{FileError, Files};
use reader::Reader;

/// Every definition of a workspace.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// `codegen.yaml`.
    pub config: ConfigDefinition,
    /// In the order of their paths.
    pub entities: Vec<EntityDefinition>,
    /// In the order of their paths, the entities' inline events behind them.
    pub events: Vec<EventDefinition>,
    /// File stems of definitions that could not be read: what they would define is unknown, not missing.
    pub unreadable: BTreeSet<String>,
}

/// What [`load`] found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What could be read.
    pub definitions: Definitions,
    /// Every file that was read.
    pub sources: Sources,
    /// What is wrong with single files.
    pub problems: Vec<Problem>,
}

/// Where definitions stand.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// Directory of entity definitions.
    pub entities: &'a Utf8Path,
    /// Directory of event definitions.
    pub events: &'a Utf8Path,
}

/// Reads every `.yaml` and `.yml` file below the two directories. `loaded` may already hold sources.
pub fn load(files: &dyn Files, layout: Layout<'_>, mut loaded: Loaded) -> Loaded {
    for (path, source, text) in read_all(files, layout.entities, layout.events, &mut loaded) {
        let mut reader = Reader::default();
        let found = parse(source, &text)
            .map_err(|it| reader.report(it))
            .ok()
            .and_then(|node| entity::decode(&mut reader, source, &node));
        match found {
            Some(mut entity) => {
                loaded.definitions.events.append(&mut entity.events);
                loaded.definitions.entities.push(entity);
            }
            None => loaded.unreadable(&path),
        }
        loaded.problems.extend(reader.finish());
    }
    for (path, source, text) in read_all(files, layout.events, layout.entities, &mut loaded) {
        let mut reader = Reader::default();
        let found = parse(source, &text)
            .map_err(|it| reader.report(it))
            .ok()
            .and_then(|node| event::decode(&mut reader, source, &node));
        match found {
            Some(event) => loaded.definitions.events.push(event),
            None => loaded.unreadable(&path),
        }
        loaded.problems.extend(reader.finish());
    }
    loaded
}

impl Loaded {
    fn unreadable(&mut self, path: &Utf8Path) {
        let stem = path.file_stem().unwrap_or_default().to_owned();
        self.definitions.unreadable.insert(stem);
    }
}

/// Definitions below a directory, without those of the other kind if their directory lies inside it.
fn read_all(
    files: &dyn Files,
    dir: &Utf8Path,
    other: &Utf8Path,
    loaded: &mut Loaded,
) -> Vec<(Utf8PathBuf, SourceId, String)> {
    let paths = match files.list(dir) {
        Ok(paths) => paths,
        Err(error) => {
            loaded.problems.push(unreadable_file(&error));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for path in paths {
        let other_kind = other.starts_with(dir) && path.starts_with(other);
        if other_kind || !matches!(path.extension(), Some("yaml" | "yml")) {
            continue;
        }
        match files.read(&path) {
            Ok(Some(text)) => {
                let source = loaded.sources.add(&path, text.as_str());
                found.push((path, source, text));
            }
            // It went away between the two calls.
            Ok(None) => {}
            Err(error) => {
                loaded.unreadable(&path);
                loaded.problems.push(unreadable_file(&error));
            }
        }
    }
    found
}

/// A problem about a file as a whole, which could not be read.
pub(crate) fn unreadable_file(error: &FileError) -> Problem {
    let problem = Problem::global("unreadable-file", error.to_string());
    match error {
        FileError::Io { .. } => problem,
        FileError::NotUtf8 { .. } => problem.help("save the file as UTF-8"),
    }
}
