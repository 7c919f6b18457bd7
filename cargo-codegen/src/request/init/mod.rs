//! `init`: adopting a workspace that this tool did not make.

mod detect;
mod packages;

use camino::{Utf8Path, Utf8PathBuf};

use super::Addition;
use crate::changeset::{Edit, Output, OutputKind};
use crate::failure::Failure;
use crate::generate::Site;
use crate::model::{CONFIG_FILE, Database, RuntimeSource};
use crate::render;
use crate::survey::Step;
use crate::workspace::{Files as _, Package};
use detect::Roles;
use packages::Scaffold;

/// The arguments of `init`.
#[derive(Debug, Clone)]
pub struct InitArguments {
    /// Directory of the entities' package, where it cannot be told.
    pub entity: Option<Utf8PathBuf>,
    /// Directory of the migrations' package, where it cannot be told.
    pub migration: Option<Utf8PathBuf>,
    /// Directory of the app's package, where it cannot be told.
    pub app: Option<Utf8PathBuf>,
    /// Databases that the app supports; empty for those that its SeaORM has drivers for.
    pub databases: Vec<Database>,
    /// Where the runtime comes from.
    pub runtime: RuntimeSource,
}

/// What `init` adds to a Cargo workspace: `codegen.yaml`, the packages and modules that are missing, and
/// dependencies; nothing where it has been adopted. The user's own functions are never touched.
///
/// # Errors
/// If the role of a package cannot be told, or a name that the generated code needs is taken.
pub fn init(site: &Site, arguments: &InitArguments) -> Result<Addition, Failure> {
    let files = site.files();
    let read = |path: &str| files.read(Utf8Path::new(path)).map_err(Failure::other);
    if read(CONFIG_FILE)?.is_some() {
        return Ok(Addition::default());
    }
    let packages = site.packages();
    let roles = detect::roles(packages, arguments)?;
    detect::check_versions(packages)?;
    let databases = if arguments.databases.is_empty() {
        vec![Database::Sqlite, Database::Postgres]
    } else {
        arguments.databases.clone()
    };
    let scaffold = Scaffold::new(
        render::scaffold::new_workspace(&roles.app.name, &databases, &arguments.runtime)
            .map_err(Failure::other)?,
    )?;

    let mut addition = Addition::default();
    let state = packages::app_modules(&files, &scaffold, roles.app, &mut addition)?;
    addition.outputs.push(Output {
        path: CONFIG_FILE.into(),
        kind: OutputKind::Owned,
        content: config_text(&scaffold, &roles, state)?,
    });
    packages::entity(&scaffold, &roles, &mut addition)?;
    packages::migration(&scaffold, &roles, &mut addition)?;
    packages::app_dependencies(&scaffold, &roles, &arguments.runtime, &mut addition)?;
    if let RuntimeSource::Vendored(dir) = &arguments.runtime {
        addition.edits.push(member(dir));
    }
    addition.notes.push(mount_note(roles.app, state));
    addition.next.push(Step::new(
        "cargo codegen entity new product name:string price:decimal",
        "",
    ));
    Ok(addition)
}

fn member(dir: &Utf8Path) -> Edit {
    Edit::Member {
        file: "Cargo.toml".into(),
        member: dir.to_string(),
    }
}

/// The scaffold's configuration with the packages' true places.
fn config_text(scaffold: &Scaffold, roles: &Roles<'_>, state: &str) -> Result<String, Failure> {
    let mut text = scaffold.text(CONFIG_FILE)?.to_owned();
    let dir = |dir: &Utf8Path| {
        if dir.as_str().is_empty() {
            ".".to_owned()
        } else {
            dir.to_string()
        }
    };
    for (line, dir) in [
        ("  entity: entity\n", dir(roles.entity_dir())),
        ("  migration: migration\n", dir(roles.migration_dir())),
        ("  app: app\n", dir(&roles.app.dir)),
    ] {
        let key = line.split_once(':').map_or(line, |(key, _)| key);
        text = text.replacen(line, &format!("{key}: {dir}\n"), 1);
    }
    Ok(text.replacen(
        "crate::state::AppState",
        &format!("crate::{state}::AppState"),
        1,
    ))
}

fn mount_note(app: &Package, state: &str) -> String {
    let krate = app.name.replace('-', "_");
    format!(
        "your own `main` is as it was; let the generated routes answer what its router does not:\n\
         \x20     let state = {krate}::{state}::AppState::new(db.clone());\n\
         \x20     let app = app.fallback_service({krate}::generated::router(state.clone()));\n\
         \x20   or, without a router of your own:\n\
         \x20     let db = runtime_sea::connect(&std::env::var(\"DATABASE_URL\")?).await?;\n\
         \x20     let state = {krate}::{state}::AppState::new(db);\n\
         \x20     {krate}::generated::serve(state, &{krate}::generated::HttpSettings::default()).await?;"
    )
}
