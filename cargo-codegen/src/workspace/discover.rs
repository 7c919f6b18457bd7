//! The workspace as cargo sees it.

use std::env;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{DependencyKind, MetadataCommand, TargetKind};

use super::Disk;

/// What cargo sets for the programs that it starts, and what must not reach the cargo that they start: it would make
/// build scripts run again.
const SET_BY_CARGO: [&str; 14] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_RUSTC_CURRENT_DIR",
    "CARGO_TARGET_TMPDIR",
    "CARGO_BIN_EXE_",
    "CARGO_CFG_",
    "CARGO_FEATURE_",
    "CARGO_ENCODED_RUSTFLAGS",
    "OUT_DIR",
    "DEP_",
];

/// A Cargo workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Absolute path of the directory of the workspace's `Cargo.toml`.
    pub root: Utf8PathBuf,
    /// Absolute path of the build directory.
    pub target_dir: Utf8PathBuf,
    /// The members, sorted by directory.
    pub packages: Vec<Package>,
}

/// A member of a workspace. Paths are relative to the workspace root, with forward slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name in `Cargo.toml`.
    pub name: String,
    /// Directory of its `Cargo.toml`; empty for a package in the root.
    pub dir: Utf8PathBuf,
    /// Its edition, such as `2024`.
    pub edition: String,
    /// Root file of its library.
    pub lib: Option<Utf8PathBuf>,
    /// Root files of its binaries.
    pub bins: Vec<Utf8PathBuf>,
    /// What it depends on, in the order of its manifest.
    pub dependencies: Vec<Dependency>,
}

/// A dependency of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the package.
    pub package: String,
    /// Name in the code, if another.
    pub rename: Option<String>,
    /// The required version.
    pub version: String,
    /// Only for tests.
    pub dev: bool,
    /// Directory, for a dependency by path.
    pub path: Option<Utf8PathBuf>,
}

impl Package {
    /// Its manifest.
    pub fn manifest(&self) -> Utf8PathBuf {
        self.dir.join("Cargo.toml")
    }

    /// Whether it depends on a package outside of its tests.
    pub fn depends_on(&self, package: &str) -> bool {
        self.dependencies
            .iter()
            .any(|it| it.package == package && !it.dev)
    }
}

impl Workspace {
    /// The files of the workspace.
    pub fn files(&self) -> Disk {
        Disk::new(&self.root)
    }

    /// The member in a directory relative to the root.
    pub fn package_in(&self, dir: &Utf8Path) -> Option<&Package> {
        self.packages.iter().find(|it| it.dir == dir)
    }
}

/// No workspace that can be worked with.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// cargo has refused; its own words.
    #[error("{0}")]
    Cargo(String),
    /// cargo could not be run, or its answer not be read.
    #[error("cannot run `cargo metadata`: {0}")]
    Run(#[source] cargo_metadata::Error),
    /// A package stands outside of the workspace's directory.
    #[error("the package `{package}` at {path} is outside of the workspace root {root}")]
    Outside {
        /// The package.
        package: String,
        /// Its manifest.
        path: Utf8PathBuf,
        /// The workspace.
        root: Utf8PathBuf,
    },
}

/// Asks cargo for the workspace of a manifest, or of the current directory. The code in it need not compile, and
/// nothing is fetched.
///
/// # Errors
/// If there is no `Cargo.toml`, or cargo cannot read it or one of the members.
pub fn discover(
    manifest_path: Option<&Utf8Path>,
    offline: bool,
) -> Result<Workspace, DiscoverError> {
    let mut command = MetadataCommand::new();
    command.no_deps();
    if offline {
        command.other_options(["--offline".to_owned()]);
    }
    if let Some(path) = manifest_path {
        command.manifest_path(path);
    }
    for key in inherited_keys() {
        command.env_remove(key);
    }
    let metadata = command.exec().map_err(|error| match error {
        cargo_metadata::Error::CargoMetadata { stderr } => {
            let message = stderr.trim();
            DiscoverError::Cargo(
                message
                    .strip_prefix("error: ")
                    .unwrap_or(message)
                    .to_owned(),
            )
        }
        other => DiscoverError::Run(other),
    })?;
    let root = metadata.workspace_root.clone();
    let mut packages = metadata
        .workspace_packages()
        .into_iter()
        .map(|it| read_package(&root, it))
        .collect::<Result<Vec<_>, _>>()?;
    packages.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok(Workspace {
        root,
        target_dir: metadata.target_directory,
        packages,
    })
}

/// A command that runs cargo without the variables of the cargo that runs this program.
pub fn cargo_command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    clean_environment(&mut command);
    command
}

/// Without the variables of the cargo that runs this program.
pub(super) fn clean_environment(command: &mut Command) {
    for key in inherited_keys() {
        command.env_remove(key);
    }
}

fn inherited_keys() -> impl Iterator<Item = String> {
    env::vars_os()
        .filter_map(|(key, _)| key.into_string().ok())
        .filter(|key| {
            SET_BY_CARGO
                .iter()
                .any(|it| key == it || (it.ends_with('_') && key.starts_with(it)))
        })
}

fn read_package(
    root: &Utf8Path,
    package: &cargo_metadata::Package,
) -> Result<Package, DiscoverError> {
    let relative = |path: &Utf8Path| slashes(path.strip_prefix(root).unwrap_or(path));
    let dir = package.manifest_path.parent().unwrap_or(root);
    if !dir.starts_with(root) {
        return Err(DiscoverError::Outside {
            package: package.name.to_string(),
            path: package.manifest_path.clone(),
            root: root.to_owned(),
        });
    }
    let target = |kind: TargetKind| {
        package
            .targets
            .iter()
            .filter(move |it| it.is_kind(kind.clone()))
            .map(|it| relative(&it.src_path))
    };
    Ok(Package {
        name: package.name.to_string(),
        dir: relative(dir),
        edition: package.edition.to_string(),
        lib: target(TargetKind::Lib).next(),
        bins: target(TargetKind::Bin).collect(),
        dependencies: package
            .dependencies
            .iter()
            .filter(|it| it.kind != DependencyKind::Build)
            .map(|it| Dependency {
                package: it.name.clone(),
                rename: it.rename.clone(),
                version: it.req.to_string(),
                dev: it.kind == DependencyKind::Development,
                path: it.path.as_deref().map(relative),
            })
            .collect(),
    })
}

fn slashes(path: &Utf8Path) -> Utf8PathBuf {
    if std::path::MAIN_SEPARATOR == '/' {
        path.to_owned()
    } else {
        path.as_str().replace(std::path::MAIN_SEPARATOR, "/").into()
    }
}
