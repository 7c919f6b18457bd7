//! YAML files, read into typed definitions that remember where they stand.
//!
//! Nothing here looks across files: that is [`crate::model`]. What is wrong becomes a [`Problem`], and
//! decoding goes on with the rest, so that one run reports everything.

mod config;
mod entity;
mod event;
mod field;
mod json_schema;
mod keys;
mod node;
mod pattern;
mod payload;
mod problem;
mod query;
mod reader;
mod relation;
mod rename;
mod schedule;
mod source;
mod words;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

pub use config::{ConfigDefinition, DatabaseWord, RuntimeDefinition, config};
pub use entity::{Behavior, EntityDefinition};
pub use event::{BackoffWord, DirectionWord, EventDefinition, OrderingWord, RetryDefinition};
pub use field::{FieldDefinition, FieldKind};
pub use json_schema::{DefinitionFile, json_schema};
pub(crate) use node::shorten;
pub use node::{Kind, Node, parse};
pub use pattern::PatternDefinition;
pub use payload::{PayloadDefinition, PayloadKind, PayloadWord};
pub use problem::{Label, Problem, Severity};
pub use query::{FinderLimit, NamedQueryDefinition, Pagination, QueryDefinition};
pub use relation::{OnDeleteWord, RelationDefinition, RelationType};
pub use rename::{Renaming, renamed};
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
    /// App-defined patterns, in the order of their paths.
    pub patterns: Vec<PatternDefinition>,
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
    /// Directory of app-defined patterns.
    pub patterns: &'a Utf8Path,
}

impl Layout<'_> {
    /// Whether a file below `dir` is a definition of another kind, whose directory lies inside.
    fn is_of_another_kind(&self, dir: &Utf8Path, path: &Utf8Path) -> bool {
        let inner = [self.entities, self.events, self.patterns].into_iter();
        let mut inner = inner.filter(|it| *it != dir && it.starts_with(dir));
        inner.any(|it| path.starts_with(it))
    }
}

/// Reads every `.yaml` and `.yml` file below the directories. `loaded` may already hold sources.
pub fn load(files: &dyn Files, layout: Layout<'_>, mut loaded: Loaded) -> Loaded {
    for (path, source, text) in read_all(files, layout, layout.entities, &mut loaded) {
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
    for (path, source, text) in read_all(files, layout, layout.events, &mut loaded) {
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
    for (path, source, text) in read_all(files, layout, layout.patterns, &mut loaded) {
        let mut reader = Reader::default();
        let found = parse(source, &text)
            .map_err(|it| reader.report(it))
            .ok()
            .and_then(|node| pattern::decode(&mut reader, &node));
        match found {
            Some(pattern) => loaded.definitions.patterns.push(pattern),
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

/// Definitions below a directory, without those of another kind whose directory lies inside it.
fn read_all(
    files: &dyn Files,
    layout: Layout<'_>,
    dir: &Utf8Path,
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
        if layout.is_of_another_kind(dir, &path)
            || !matches!(path.extension(), Some("yaml" | "yml"))
        {
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
