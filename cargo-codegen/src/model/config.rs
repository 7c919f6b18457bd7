//! `codegen.yaml` with its defaults filled in.

use camino::Utf8PathBuf;

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
    /// User job pools and their concurrency, in the order of the file.
    pub job_pools: Vec<(String, u32)>,
}

impl Config {
    /// Whether a subsystem is installed.
    pub fn has(&self, subsystem: Subsystem) -> bool {
        self.subsystems.contains(&subsystem)
    }
}
