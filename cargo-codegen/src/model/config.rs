//! `codegen.yaml` with its defaults filled in.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::name;
use crate::definition::{
    ConfigDefinition, DatabaseWord, Problem, RuntimeDefinition, Span, Spanned, shorten,
};
use crate::workspace::Files;

/// A database that the generated app supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Database {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

impl Database {
    /// As written on the command line and in `codegen.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }
}

/// An installable part of the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subsystem {
    /// The transactional outbox and its drain.
    Events,
    /// Durable jobs; needs `events`.
    Jobs,
    /// Event to job triggers; needs `events` and `jobs`.
    Bridge,
}

impl Subsystem {
    /// Every subsystem, in the order of installation.
    pub const ALL: [Self; 3] = [Self::Events, Self::Jobs, Self::Bridge];

    /// As written on the command line and in `codegen.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Jobs => "jobs",
            Self::Bridge => "bridge",
        }
    }

    /// What must be installed before it.
    pub fn needs(self) -> &'static [Self] {
        match self {
            Self::Events => &[],
            Self::Jobs => &[Self::Events],
            Self::Bridge => &[Self::Events, Self::Jobs],
        }
    }
}

/// Where the runtime crate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeSource {
    /// A copy in the workspace, at this path relative to its root (default `runtime-sea`).
    Vendored(Utf8PathBuf),
    /// A directory elsewhere, relative to the workspace root or absolute.
    Path(Utf8PathBuf),
    /// A git repository and optional revision.
    Git {
        /// The repository's address.
        url: String,
        /// Tag, branch or commit.
        rev: Option<String>,
    },
    /// The package registry, with this version requirement.
    Registry(String),
}

/// A package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrateLocation {
    /// Directory of its `Cargo.toml`, relative to the workspace root; empty for a root package.
    pub dir: Utf8PathBuf,
    /// Name of the package: `package.name` of its `Cargo.toml`; the directory's name while there is none.
    pub package: String,
}

impl CrateLocation {
    /// A package that may not exist yet; `name` is what it is called if its directory has no name.
    fn at(dir: Utf8PathBuf, name: &str) -> Self {
        let package = dir.file_name().unwrap_or(name).to_owned();
        Self { dir, package }
    }

    /// The crate's name in Rust paths: `use <ident>::...`.
    pub fn ident(&self) -> String {
        self.package.replace('-', "_")
    }

    /// A file of this package, relative to the workspace root.
    pub fn file(&self, path: &str) -> Utf8PathBuf {
        self.dir.join(path)
    }
}

/// `codegen.yaml` with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Databases that the app supports (default SQLite and PostgreSQL).
    pub databases: Vec<Database>,
    /// Directory of entity definitions (default `entities`).
    pub entities_dir: Utf8PathBuf,
    /// Directory of event definitions (default `events`).
    pub events_dir: Utf8PathBuf,
    /// Directory of app-defined patterns (default `patterns`).
    pub patterns_dir: Utf8PathBuf,
    /// The package that holds the SeaORM entities (default `entity`).
    pub entity_crate: CrateLocation,
    /// The package that holds the migrations (default `migration`).
    pub migration_crate: CrateLocation,
    /// The package that holds services, routes and jobs (default `app`).
    pub app_crate: CrateLocation,
    /// Path of the user's state type in the app crate (default `crate::state::AppState`): it is `Clone`
    /// and has the public fields `db: DatabaseConnection` and `runtime: Runtime`.
    pub app_state: String,
    /// Where the runtime comes from.
    pub runtime: RuntimeSource,
    /// Installed subsystems, in the order of [`Subsystem::ALL`].
    pub subsystems: Vec<Subsystem>,
    /// Every event and run belongs to a tenant, or says that it belongs to none.
    pub multi_tenant: bool,
    /// User job pools and their concurrency, in the order of the file.
    pub job_pools: Vec<(String, u32)>,
}

impl Config {
    /// Whether one of the databases does not take every point in time: MariaDB, which SeaORM gives them as
    /// `TIMESTAMP`, makes NULL of those outside of 1970 to 2038.
    pub fn bounds_moments(&self) -> bool {
        self.databases.contains(&Database::Mysql)
    }

    /// Whether one of the databases forgets zeros at the end of a decimal: SQLite.
    pub fn shortens_decimals(&self) -> bool {
        self.databases.contains(&Database::Sqlite)
    }

    /// Whether a subsystem is installed.
    pub fn has(&self, subsystem: Subsystem) -> bool {
        self.subsystems.contains(&subsystem)
    }

    /// Directory of the runtime's copy in the workspace, if it has one.
    pub fn vendored(&self) -> Option<&Utf8Path> {
        match &self.runtime {
            RuntimeSource::Vendored(dir) => Some(dir),
            _ => None,
        }
    }

    /// Takes the packages' names from their manifests, where there are some.
    pub(crate) fn name_packages(&mut self, files: &dyn Files) {
        for location in [
            &mut self.entity_crate,
            &mut self.migration_crate,
            &mut self.app_crate,
        ] {
            // A manifest that cannot be read is reported by whoever has to edit it.
            let text = files.read(&location.file("Cargo.toml")).ok().flatten();
            let manifest = text.and_then(|it| it.parse::<toml_edit::DocumentMut>().ok());
            let name = manifest
                .as_ref()
                .and_then(|it| it.get("package")?.get("name")?.as_str());
            if let Some(name) = name {
                location.package = name.to_owned();
            }
        }
    }

    /// Fills the defaults in and checks the rest.
    pub(crate) fn resolve(config: &ConfigDefinition, problems: &mut Vec<Problem>) -> Self {
        let defaults = Self::default();
        let mut dir = |path: &Option<Spanned<String>>, default: Utf8PathBuf| match path {
            Some(path) => inside(path, problems),
            None => default,
        };
        let entities_dir = dir(&config.entities_dir, defaults.entities_dir);
        let events_dir = dir(&config.events_dir, defaults.events_dir);
        let patterns_dir = dir(&config.patterns_dir, defaults.patterns_dir);
        if entities_dir == events_dir
            && let Some(place) = config.events_dir.as_ref().or(config.entities_dir.as_ref())
        {
            problems.push(
                Problem::error(
                    "collision",
                    "entities and events cannot stand in the same directory",
                    place.span.clone(),
                )
                .help("give events a directory of their own, such as `events`"),
            );
        }
        if (patterns_dir == entities_dir || patterns_dir == events_dir)
            && let Some(place) = &config.patterns_dir
        {
            problems.push(
                Problem::error(
                    "collision",
                    "patterns cannot stand in the same directory as entities or events",
                    place.span.clone(),
                )
                .help("give patterns a directory of their own, such as `patterns`"),
            );
        }
        let mut package = |path: &Option<Spanned<String>>, default: CrateLocation| match path {
            Some(path) => CrateLocation::at(inside(path, problems), &default.package),
            None => default,
        };
        let entity_crate = package(&config.entity_crate, defaults.entity_crate);
        let migration_crate = package(&config.migration_crate, defaults.migration_crate);
        let app_crate = package(&config.app_crate, defaults.app_crate);
        let mut databases: Vec<Database> = config
            .databases
            .iter()
            .map(|it| match it.value {
                DatabaseWord::Sqlite => Database::Sqlite,
                DatabaseWord::Postgres => Database::Postgres,
                DatabaseWord::Mysql => Database::Mysql,
            })
            .collect();
        databases.sort_unstable();
        databases.dedup();
        Self {
            databases: if databases.is_empty() {
                defaults.databases
            } else {
                databases
            },
            entities_dir,
            events_dir,
            patterns_dir,
            entity_crate,
            migration_crate,
            app_crate,
            app_state: config
                .app_state
                .as_ref()
                .map_or(defaults.app_state, |it| rust_path(it, problems)),
            runtime: config
                .runtime
                .as_ref()
                .map_or(defaults.runtime, runtime_source),
            subsystems: subsystems(config, problems),
            multi_tenant: config.multi_tenant,
            job_pools: pools(config, problems),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let package = |dir: &str| CrateLocation::at(dir.into(), dir);
        Self {
            databases: vec![Database::Sqlite, Database::Postgres],
            entities_dir: "entities".into(),
            events_dir: "events".into(),
            patterns_dir: "patterns".into(),
            entity_crate: package("entity"),
            migration_crate: package("migration"),
            app_crate: package("app"),
            app_state: "crate::state::AppState".to_owned(),
            runtime: RuntimeSource::Vendored("runtime-sea".into()),
            subsystems: Vec::new(),
            multi_tenant: false,
            job_pools: Vec::new(),
        }
    }
}

/// A directory of the workspace: relative, and below its root.
fn inside(path: &Spanned<String>, problems: &mut Vec<Problem>) -> Utf8PathBuf {
    let mut clean = Utf8PathBuf::new();
    let mut escapes =
        path.value.contains('\\') || path.value.contains(':') || path.value.contains('\0');
    for component in Utf8Path::new(&path.value).components() {
        match component {
            Utf8Component::Normal(part) => clean.push(part),
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir | Utf8Component::RootDir | Utf8Component::Prefix(_) => {
                escapes = true;
            }
        }
    }
    if escapes {
        let message = format!(
            "`{}` is no directory inside the workspace",
            shorten(&path.value)
        );
        problems.push(
            Problem::error("outside-workspace", message, path.span.clone())
                .help("write a relative path with forward slashes and without `..`"),
        );
    }
    clean
}

fn rust_path(path: &Spanned<String>, problems: &mut Vec<Problem>) -> String {
    if syn::parse_str::<syn::TypePath>(&path.value).is_err() {
        let message = format!("`{}` is no path of a Rust type", shorten(&path.value));
        problems.push(
            Problem::error("wrong-value", message, path.span.clone())
                .help("write the type as the app crate would, such as `crate::state::AppState`"),
        );
    }
    path.value.clone()
}

fn runtime_source(source: &RuntimeDefinition) -> RuntimeSource {
    match source {
        RuntimeDefinition::Vendored => RuntimeSource::Vendored("runtime-sea".into()),
        RuntimeDefinition::Path(path) => RuntimeSource::Path(path.value.clone().into()),
        RuntimeDefinition::Git(url, rev) => RuntimeSource::Git {
            url: url.clone(),
            rev: rev.clone(),
        },
        RuntimeDefinition::Registry(version) => RuntimeSource::Registry(version.clone()),
    }
}

fn subsystems(config: &ConfigDefinition, problems: &mut Vec<Problem>) -> Vec<Subsystem> {
    let place = |subsystem: Subsystem| -> Option<&Span> {
        match subsystem {
            Subsystem::Events => config.events.as_ref(),
            Subsystem::Jobs => config.jobs.as_ref(),
            Subsystem::Bridge => config.bridge.as_ref(),
        }
    };
    let installed: Vec<Subsystem> = Subsystem::ALL
        .into_iter()
        .filter(|it| place(*it).is_some())
        .collect();
    for subsystem in &installed {
        let missing = subsystem.needs().iter().find(|it| !installed.contains(it));
        if let (Some(missing), Some(span)) = (missing, place(*subsystem)) {
            let message = format!(
                "`{}` needs `{}`, which is not installed",
                subsystem.name(),
                missing.name()
            );
            problems.push(
                Problem::error("missing-subsystem", message, span.clone()).help(format!(
                    "run `cargo codegen subsystem install {}`",
                    missing.name()
                )),
            );
        }
    }
    installed
}

fn pools(config: &ConfigDefinition, problems: &mut Vec<Problem>) -> Vec<(String, u32)> {
    for (pool, _) in &config.pools {
        if let Err(problem) = name::check(pool, "a pool") {
            problems.push(problem);
        } else if pool.value.starts_with("events_") {
            let message = format!("the pool `{}` is reserved for events", pool.value);
            problems.push(
                Problem::error("reserved-name", message, pool.span.clone())
                    .help("give the pool of your jobs a name that does not begin with `events_`"),
            );
        }
    }
    config
        .pools
        .iter()
        .map(|(pool, concurrency)| (pool.value.clone(), *concurrency))
        .collect()
}
