//! Starting files: a new workspace, and what a subsystem needs beside its generated code.

use camino::Utf8Path;
use chrono::{NaiveDateTime, TimeDelta};

use super::embedded::scaffold;
use super::fill::fill;
use super::{Result, text};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::{Config, Database, Model, RuntimeSource, Subsystem};

/// The files of a new workspace that are the user's from then on. A run over them adds what is generated.
///
/// `package` names the app's package.
///
/// # Errors
/// If an embedded file is broken.
pub fn new_workspace(
    package: &str,
    databases: &[Database],
    runtime: &RuntimeSource,
) -> Result<Vec<Output>> {
    let crate_ident = package.replace('-', "_");
    let members = match runtime {
        RuntimeSource::Vendored(dir) => {
            format!(r#""app", "entity", "migration", "{dir}""#)
        }
        _ => r#""app", "entity", "migration""#.to_owned(),
    };
    let drivers: Vec<String> = databases
        .iter()
        .map(|it| format!("    \"sqlx-{}\",", it.name()))
        .collect();
    let database_names: Vec<&str> = databases.iter().map(|it| it.name()).collect();
    let values = [
        ("package", package),
        ("crate", &crate_ident),
        ("members", &members),
        ("drivers", &drivers.join("\n")),
        ("databases", &database_names.join(", ")),
        ("database_url", &default_database_url(package, databases)),
        ("database_urls", &database_urls(databases)),
        ("runtime", &runtime_dependency(runtime, Utf8Path::new(""))),
        ("runtime_source", &runtime_source(runtime)),
    ];
    // What tests run on unless they are told otherwise; its driver is there only where the app supports it.
    let sqlite = databases.contains(&Database::Sqlite);
    scaffold("new-workspace")?
        .into_iter()
        .filter(|it| sqlite || !it.path.starts_with("app/tests"))
        .map(|file| {
            Ok(Output {
                content: fill(file.path.as_str(), file.text, &values)?,
                path: file.path,
                kind: OutputKind::Owned,
            })
        })
        .collect()
}

/// The starting files of a subsystem that is not installed yet, and the entries that it needs in the user's files.
///
/// `now` dates its migration, after those of the subsystems that it needs.
///
/// # Errors
/// If an embedded file is broken.
pub fn subsystem(
    model: &Model,
    subsystem: Subsystem,
    now: NaiveDateTime,
) -> Result<(Vec<Output>, Vec<Edit>)> {
    let config = &model.config;
    let order = Subsystem::ALL.iter().position(|it| *it == subsystem);
    let seconds = TimeDelta::seconds(order.and_then(|it| i64::try_from(it).ok()).unwrap_or(0));
    let stamp = (now + seconds).format("m%Y%m%d_%H%M%S");
    let state_type = state_type(config);
    let values = [
        ("state", config.app_state.as_str()),
        ("state_type", state_type),
    ];

    let mut outputs = Vec::new();
    let mut edits = vec![Edit::ConfigBlock {
        file: "codegen.yaml".into(),
        key: subsystem.name().to_owned(),
        body: config_body(subsystem).to_owned(),
    }];
    for file in scaffold(subsystem.name())? {
        let content = fill(file.path.as_str(), file.text, &values)?;
        let path = if let Ok(path) = file.path.strip_prefix("migration/src") {
            let ident = format!("{stamp}_{}", path.file_stem().unwrap_or_default());
            edits.push(Edit::Migration {
                file: config.migration_crate.file("src/lib.rs"),
                ident: ident.clone(),
            });
            config.migration_crate.file(&format!("src/{ident}.rs"))
        } else {
            let path = file.path.strip_prefix("app").unwrap_or(&file.path);
            edits.push(Edit::Module {
                file: config.app_crate.file("src/lib.rs"),
                ident: subsystem.name().to_owned(),
                public: true,
            });
            config.app_crate.file(path.as_str())
        };
        outputs.push(Output {
            path,
            kind: OutputKind::Owned,
            content,
        });
    }
    edits.push(runtime_edit(model));
    Ok((outputs, edits))
}

/// The dependency of the migrations on the runtime, whose tables they create.
pub(super) fn runtime_edit(model: &Model) -> Edit {
    let package = &model.config.migration_crate;
    Edit::Dependency {
        file: package.file("Cargo.toml"),
        name: "runtime-sea".to_owned(),
        spec: runtime_dependency(&model.config.runtime, &package.dir),
        dev: false,
    }
}

/// The dependency on the runtime as TOML, for a manifest in the directory `from`.
pub fn runtime_dependency(runtime: &RuntimeSource, from: &Utf8Path) -> String {
    match runtime {
        RuntimeSource::Vendored(dir) | RuntimeSource::Path(dir) => {
            let up = "../".repeat(if dir.is_absolute() {
                0
            } else {
                from.components().count()
            });
            format!("{{ path = {} }}", text::literal(&format!("{up}{dir}")))
        }
        RuntimeSource::Git { url, rev } => {
            let url = text::literal(url);
            match rev {
                Some(rev) => format!("{{ git = {url}, rev = {} }}", text::literal(rev)),
                None => format!("{{ git = {url} }}"),
            }
        }
        RuntimeSource::Registry(version) => text::literal(version),
    }
}

/// The last segment of the state's path.
pub(super) fn state_type(config: &Config) -> &str {
    let path = config.app_state.as_str();
    path.rsplit_once("::").map_or(path, |(_, name)| name)
}

fn runtime_source(runtime: &RuntimeSource) -> String {
    match runtime {
        RuntimeSource::Vendored(_) => "vendored".to_owned(),
        RuntimeSource::Path(path) => format!("{{ path: {} }}", text::literal(path.as_str())),
        RuntimeSource::Git { url, rev: None } => format!("{{ git: {} }}", text::literal(url)),
        RuntimeSource::Git {
            url,
            rev: Some(rev),
        } => format!(
            "{{ git: {}, rev: {} }}",
            text::literal(url),
            text::literal(rev)
        ),
        RuntimeSource::Registry(version) => format!("{{ registry: {} }}", text::literal(version)),
    }
}

fn default_database_url(package: &str, databases: &[Database]) -> String {
    match databases.first() {
        None | Some(Database::Sqlite) => format!("sqlite://{package}.db?mode=rwc"),
        Some(Database::Postgres) => format!("postgres://localhost/{package}"),
        Some(Database::Mysql) => format!("mysql://root@localhost/{package}"),
    }
}

/// What an address of each database looks like, for the help of `--database-url`.
fn database_urls(databases: &[Database]) -> String {
    let urls: Vec<&str> = databases
        .iter()
        .map(|it| match it {
            Database::Sqlite => "`sqlite://<file>?mode=rwc`",
            Database::Postgres => "`postgres://<user>:<password>@<host>/<name>`",
            Database::Mysql => "`mysql://<user>:<password>@<host>/<name>`",
        })
        .collect();
    match urls.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => urls.concat(),
    }
}

fn config_body(subsystem: Subsystem) -> &'static str {
    match subsystem {
        Subsystem::Events | Subsystem::Bridge => "",
        Subsystem::Jobs => {
            "  # How many runs of a pool may go on at once, in each worker.\n  pools: { batch: 10, interactive: 5 }\n"
        }
    }
}
