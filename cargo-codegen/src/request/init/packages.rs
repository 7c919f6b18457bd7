//! What an adopted workspace lacks, taken from the files of a new one.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{DocumentMut, Item};

use super::detect::Roles;
use super::member;
use crate::changeset::{Edit, Output, OutputKind};
use crate::failure::Failure;
use crate::model::RuntimeSource;
use crate::render;
use crate::request::Addition;
use crate::workspace::{Disk, Files as _, Package};

/// What only the scaffolded `main` needs.
const OF_MAIN: [&str; 9] = [
    "anyhow",
    "config",
    "dotenvy",
    "opentelemetry",
    "opentelemetry-otlp",
    "opentelemetry_sdk",
    "secrecy",
    "tracing-opentelemetry",
    "tracing-subscriber",
];

/// The files of a new workspace.
pub(super) struct Scaffold {
    files: BTreeMap<Utf8PathBuf, String>,
    dependencies: toml_edit::Table,
}

impl Scaffold {
    pub(super) fn new(outputs: Vec<Output>) -> Result<Self, Failure> {
        let files: BTreeMap<Utf8PathBuf, String> = outputs
            .into_iter()
            .map(|it| (it.path, it.content))
            .collect();
        let mut scaffold = Self {
            files,
            dependencies: toml_edit::Table::new(),
        };
        let root = scaffold.manifest("Cargo.toml")?;
        let dependencies = root
            .get("workspace")
            .and_then(|it| it.get("dependencies"))
            .and_then(Item::as_table)
            .ok_or_else(|| broken("Cargo.toml"))?;
        scaffold.dependencies = dependencies.clone();
        Ok(scaffold)
    }

    pub(super) fn text(&self, path: &str) -> Result<&str, Failure> {
        self.files
            .get(Utf8Path::new(path))
            .map(String::as_str)
            .ok_or_else(|| broken(path))
    }

    fn manifest(&self, path: &str) -> Result<DocumentMut, Failure> {
        self.text(path)?.parse().map_err(|_| broken(path))
    }

    /// Names and full specifications of a package's dependencies on the registry.
    fn dependencies(&self, manifest: &str, dev: bool) -> Result<Vec<(String, String)>, Failure> {
        let kind = if dev {
            "dev-dependencies"
        } else {
            "dependencies"
        };
        let document = self.manifest(manifest)?;
        let Some(table) = document.get(kind).and_then(Item::as_table_like) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (name, _) in table.iter() {
            let ours = matches!(name, "entity" | "migration" | "runtime-sea");
            if ours || OF_MAIN.contains(&name) {
                continue;
            }
            let spec = self.dependencies.get(name).and_then(Item::as_value);
            let spec = spec.ok_or_else(|| broken("Cargo.toml"))?;
            found.push((name.to_owned(), one_line(&spec.to_string())));
        }
        Ok(found)
    }
}

fn broken(path: &str) -> Failure {
    Failure::workspace(
        format!("the scaffold file {path} is not as it should be"),
        "please report this",
    )
}

fn one_line(spec: &str) -> String {
    let words: Vec<&str> = spec.split_whitespace().collect();
    words.join(" ").replace("[ ", "[").replace(", ]", "]")
}

/// The entities' package: what it lacks, or all of it.
pub(super) fn entity(
    scaffold: &Scaffold,
    roles: &Roles<'_>,
    addition: &mut Addition,
) -> Result<(), Failure> {
    let dependencies = scaffold.dependencies("entity/Cargo.toml", false)?;
    match roles.entity {
        Some(package) => {
            addition
                .edits
                .extend(dependencies.iter().map(|it| dependency(package, it, false)));
        }
        None => {
            new_package(scaffold, "entity", &dependencies, addition);
        }
    }
    Ok(())
}

/// The migrations' package: what it lacks, or all of it.
pub(super) fn migration(
    scaffold: &Scaffold,
    roles: &Roles<'_>,
    addition: &mut Addition,
) -> Result<(), Failure> {
    let dependencies = scaffold.dependencies("migration/Cargo.toml", false)?;
    match roles.migration {
        Some(package) => {
            let runs = |it: &&(String, String)| it.0.starts_with("sea-orm");
            addition.edits.extend(
                dependencies
                    .iter()
                    .filter(runs)
                    .map(|it| dependency(package, it, false)),
            );
        }
        None => {
            new_package(scaffold, "migration", &dependencies, addition);
        }
    }
    Ok(())
}

fn dependency(package: &Package, (name, spec): &(String, String), dev: bool) -> Edit {
    Edit::Dependency {
        file: package.manifest(),
        name: name.clone(),
        spec: spec.clone(),
        dev,
    }
}

/// A package of the scaffold, whose manifest inherits nothing but dependencies.
fn new_package(
    scaffold: &Scaffold,
    name: &str,
    dependencies: &[(String, String)],
    addition: &mut Addition,
) {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n"
    );
    let path = Utf8PathBuf::from(format!("{name}/Cargo.toml"));
    let edits = dependencies.iter().map(|(name, spec)| Edit::Dependency {
        file: path.clone(),
        name: name.clone(),
        spec: spec.clone(),
        dev: false,
    });
    addition.edits.extend(edits);
    addition.outputs.push(owned(path, manifest));
    let sources = Utf8PathBuf::from(format!("{name}/src"));
    for (path, content) in &scaffold.files {
        if path.starts_with(&sources) {
            addition.outputs.push(owned(path.clone(), content.clone()));
        }
    }
    addition.edits.push(member(Utf8Path::new(name)));
}

fn owned(path: Utf8PathBuf, content: String) -> Output {
    Output {
        path,
        kind: OutputKind::Owned,
        content,
    }
}

/// What the generated code in the app depends on.
pub(super) fn app_dependencies(
    scaffold: &Scaffold,
    roles: &Roles<'_>,
    runtime: &RuntimeSource,
    addition: &mut Addition,
) -> Result<(), Failure> {
    let app = roles.app;
    for dev in [false, true] {
        let dependencies = scaffold.dependencies("app/Cargo.toml", dev)?;
        addition
            .edits
            .extend(dependencies.iter().map(|it| dependency(app, it, dev)));
    }
    let up = "../".repeat(app.dir.components().count());
    let by_path = |dir: &Utf8Path| format!("{{ path = \"{up}{dir}\" }}");
    let entity = roles.entity.map_or("entity", |it| it.name.as_str());
    let migration = roles.migration.map_or("migration", |it| it.name.as_str());
    for (name, spec) in [
        (entity, by_path(roles.entity_dir())),
        (migration, by_path(roles.migration_dir())),
        (
            "runtime-sea",
            render::scaffold::runtime_dependency(runtime, &app.dir),
        ),
    ] {
        let entry = (name.to_owned(), spec);
        addition.edits.push(dependency(app, &entry, false));
    }
    Ok(())
}

/// The modules of the app, with `state` and `context` where they are missing. Gives the state's module.
pub(super) fn app_modules(
    files: &Disk,
    scaffold: &Scaffold,
    app: &Package,
    addition: &mut Addition,
) -> Result<&'static str, Failure> {
    let taken = |module: &str| -> Result<Option<Utf8PathBuf>, Failure> {
        for path in [format!("src/{module}.rs"), format!("src/{module}/mod.rs")] {
            let path = app.dir.join(path);
            if files.read(&path).map_err(Failure::other)?.is_some() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    };
    for module in ["generated", "context"] {
        if let Some(path) = taken(module)? {
            return Err(Failure::workspace(
                format!(
                    "{path} is there, and the generated code needs the module `{module}` for itself"
                ),
                "rename yours, then run this again",
            ));
        }
    }
    let state = if taken("state")?.is_some() {
        "backend_state"
    } else {
        "state"
    };
    if let Some(path) = taken(state)? {
        return Err(Failure::workspace(
            format!("{path} is there, and so is a module `state`"),
            "rename one of them, then run this again",
        ));
    }
    for (module, source) in [("context", "context"), (state, "state")] {
        let text = scaffold.text(&format!("app/src/{source}.rs"))?;
        let path = app.dir.join(format!("src/{module}.rs"));
        addition.outputs.push(owned(path, text.to_owned()));
    }
    let lib = app
        .lib
        .clone()
        .unwrap_or_else(|| app.dir.join("src/lib.rs"));
    if app.lib.is_none() {
        let text = format!("//! The backend of `{}`.\n", app.name);
        addition.outputs.push(owned(lib.clone(), text));
    }
    for module in ["context", "generated", state] {
        addition.edits.push(Edit::Module {
            file: lib.clone(),
            ident: module.to_owned(),
            public: true,
        });
    }
    Ok(state)
}
