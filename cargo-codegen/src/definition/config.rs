//! `codegen.yaml`, as written.

use super::keys::{
    CONFIG, CONFIG_APP, CONFIG_BRIDGE, CONFIG_CRATES, CONFIG_ENTITY, CONFIG_EVENTS, CONFIG_JOBS,
    CONFIG_PATHS, CONFIG_RUNTIME, CONFIG_RUNTIME_SOURCE, Keys,
};
use super::node::{Kind, Node, parse, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader};
use super::source::{SourceId, Span, Spanned};

/// A database's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that the file uses")]
pub enum DatabaseWord {
    Sqlite,
    Postgres,
    Mysql,
}

/// `runtime.source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeDefinition {
    /// A copy in the workspace.
    Vendored,
    /// A directory.
    Path(Spanned<String>),
    /// A git repository, and a tag, branch or commit.
    Git(String, Option<String>),
    /// A version on the package registry.
    Registry(String),
}

/// `codegen.yaml`, as written; what is `None` or empty was left out.
#[derive(Debug, Clone, Default)]
pub struct ConfigDefinition {
    /// `databases`.
    pub databases: Vec<Spanned<DatabaseWord>>,
    /// `paths.entities`.
    pub entities_dir: Option<Spanned<String>>,
    /// `paths.events`.
    pub events_dir: Option<Spanned<String>>,
    /// `paths.patterns`.
    pub patterns_dir: Option<Spanned<String>>,
    /// `crates.entity`.
    pub entity_crate: Option<Spanned<String>>,
    /// `crates.migration`.
    pub migration_crate: Option<Spanned<String>>,
    /// `crates.app`.
    pub app_crate: Option<Spanned<String>>,
    /// `app.state`.
    pub app_state: Option<Spanned<String>>,
    /// `runtime.source`.
    pub runtime: Option<RuntimeDefinition>,
    /// The `events` block is there.
    pub events: Option<Span>,
    /// `events.multi_tenant`.
    pub multi_tenant: bool,
    /// The `jobs` block is there.
    pub jobs: Option<Span>,
    /// The `bridge` block is there.
    pub bridge: Option<Span>,
    /// `jobs.pools`.
    pub pools: Vec<(Spanned<String>, u32)>,
}

/// Reads `codegen.yaml`, with everything that is wrong in it.
pub fn config(source: SourceId, text: &str) -> (ConfigDefinition, Vec<Problem>) {
    let mut reader = Reader::default();
    let config = match parse(source, text) {
        Ok(node) => decode(&mut reader, &node),
        Err(problem) => {
            reader.report(problem);
            ConfigDefinition::default()
        }
    };
    (config, reader.finish())
}

fn decode(reader: &mut Reader, node: &Node) -> ConfigDefinition {
    let Some(file) = reader.block(node, &CONFIG, "`codegen.yaml`") else {
        return ConfigDefinition::default();
    };
    let paths = inner(reader, &file, "paths", &CONFIG_PATHS);
    let crates = inner(reader, &file, "crates", &CONFIG_CRATES);
    let app = inner(reader, &file, "app", &CONFIG_APP);
    let runtime = inner(reader, &file, "runtime", &CONFIG_RUNTIME);
    let jobs = inner(reader, &file, "jobs", &CONFIG_JOBS);
    let multi_tenant = inner(reader, &file, "events", &CONFIG_EVENTS)
        .and_then(|it| reader.boolean_of(&it, "multi_tenant"));
    inner(reader, &file, "bridge", &CONFIG_BRIDGE);
    if let Some(entity) = inner(reader, &file, "entity", &CONFIG_ENTITY)
        && let Some(format) =
            reader.word_of(&entity, "format", &[("compact", true), ("dense", false)])
        && !format.value
    {
        reader.report(
            Problem::error(
                "not-supported",
                "the entity format `dense` is not supported by this version",
                format.span,
            )
            .help("write `compact`"),
        );
    }
    let mut text = |block: &Option<Block<'_>>, key: &str| {
        let block = block.as_ref()?;
        reader.text_of(block, key)
    };
    let (entities_dir, events_dir) = (text(&paths, "entities"), text(&paths, "events"));
    let patterns_dir = text(&paths, "patterns");
    let entity_crate = text(&crates, "entity");
    let migration_crate = text(&crates, "migration");
    let app_crate = text(&crates, "app");
    let app_state = text(&app, "state");
    let present = |key: &str| file.entry(key).map(|it| it.0.span.clone());
    ConfigDefinition {
        databases: databases(reader, &file),
        entities_dir,
        events_dir,
        patterns_dir,
        entity_crate,
        migration_crate,
        app_crate,
        app_state,
        runtime: runtime.and_then(|it| runtime_source(reader, it.get("source")?)),
        events: present("events"),
        multi_tenant: multi_tenant.is_some_and(|it| it.value),
        jobs: present("jobs"),
        bridge: present("bridge"),
        pools: jobs
            .and_then(|it| reader.entries(it.get("pools")?, "`pools`"))
            .map(|it| pools(reader, &it))
            .unwrap_or_default(),
    }
}

fn inner<'n>(reader: &mut Reader, file: &Block<'n>, key: &str, keys: &Keys) -> Option<Block<'n>> {
    let node = file.get(key)?;
    reader.block(node, keys, &format!("`{key}`"))
}

pub(super) const DATABASES: [(&str, DatabaseWord); 3] = [
    ("sqlite", DatabaseWord::Sqlite),
    ("postgres", DatabaseWord::Postgres),
    ("mysql", DatabaseWord::Mysql),
];

fn databases(reader: &mut Reader, file: &Block<'_>) -> Vec<Spanned<DatabaseWord>> {
    let Some(node) = file.get("databases") else {
        return Vec::new();
    };
    let Some(items) = reader.list(node, "`databases`") else {
        return Vec::new();
    };
    if items.is_empty() {
        reader.report(
            Problem::error(
                "no-value",
                "`databases` lists no database",
                node.span.clone(),
            )
            .help("write `databases: [sqlite, postgres]`"),
        );
    }
    items
        .iter()
        .filter_map(|it| reader.word(it, "a database", &DATABASES))
        .collect()
}

fn runtime_source(reader: &mut Reader, node: &Node) -> Option<RuntimeDefinition> {
    if let Kind::Text(text) = &node.kind {
        if text == "vendored" {
            return Some(RuntimeDefinition::Vendored);
        }
        reader.report(
            Problem::error(
                "unknown-word",
                format!("`source` cannot be `{}`", shorten(text)),
                node.span.clone(),
            )
            .help("write `vendored`, `{ path: ../runtime-sea }`, `{ git: <url>, rev: <tag> }` or `{ registry: \"0.1\" }`"),
        );
        return None;
    }
    let block = reader.block(node, &CONFIG_RUNTIME_SOURCE, "`source`")?;
    let path = reader.text_of(&block, "path");
    let git = reader.text_of(&block, "git");
    let rev = reader.text_of(&block, "rev");
    let registry = reader.text_of(&block, "registry");
    match (path, git, registry) {
        (Some(path), None, None) => Some(RuntimeDefinition::Path(path)),
        (None, Some(git), None) => Some(RuntimeDefinition::Git(git.value, rev.map(|it| it.value))),
        (None, None, Some(registry)) => Some(RuntimeDefinition::Registry(registry.value)),
        _ => {
            reader.report(
                Problem::error(
                    "contradiction",
                    "`source` must be exactly one of `path`, `git` and `registry`",
                    node.span.clone(),
                )
                .help("write `vendored` for a copy in the workspace"),
            );
            None
        }
    }
}

fn pools(reader: &mut Reader, block: &Block<'_>) -> Vec<(Spanned<String>, u32)> {
    block
        .iter()
        .filter_map(|(name, node)| {
            let what = format!("the concurrency of pool `{}`", shorten(&name.value));
            let concurrency = reader.number(node, &what, 1..=10_000)?;
            Some((name.clone(), concurrency.value))
        })
        .collect()
}
