//! What is missing for a workspace to be worked with, and what mends it.

use serde::Serialize;

use crate::changeset::LOCK_FILE;
use crate::failure::{Failure, drifted};
use crate::generate::Plan;
use crate::model::Database;
use crate::workspace::machine::{DatabaseLook, Machine};
use crate::workspace::{FileError, Files};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How it is, in words.
    pub found: String,
    /// The command or deed that mends it; nothing where it is well.
    pub remedy: Option<String>,
}

impl Finding {
    fn well(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            found: found.into(),
            remedy: None,
        }
    }

    fn ill(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..Self::well(what, found)
        }
    }
}

/// What was looked at, machine first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// In the order in which they are mended best.
    pub findings: Vec<Finding>,
}

impl Health {
    /// Nothing is to be mended.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|it| it.remedy.is_none())
    }
}

/// How the machine and the workspace are; `plan` is what a run would do, `sea_orm` the version that the workspace uses.
pub fn health(
    machine: &Machine,
    plan: &Result<Plan, Failure>,
    sea_orm: Option<&str>,
    interrupted: bool,
) -> Health {
    let mut findings = vec![
        match &machine.rustfmt {
            Some(version) => Finding::well("rustfmt", version),
            None => Finding::ill("rustfmt", "not found", "rustup component add rustfmt"),
        },
        sea_orm_cli(machine.sea_orm_cli.as_deref(), sea_orm),
    ];
    let databases = plan
        .as_ref()
        .ok()
        .map(|it| &it.loaded.model.config.databases);
    findings.push(database(&machine.database, databases.map(Vec::as_slice)));
    if interrupted {
        findings.push(Finding::ill(
            "last run",
            "was interrupted",
            "cargo codegen entity new --all finishes or undoes it",
        ));
    }
    findings.extend(workspace(plan));
    Health { findings }
}

fn sea_orm_cli(found: Option<&str>, wanted: Option<&str>) -> Finding {
    const WHAT: &str = "sea-orm-cli";
    let install = wanted.map_or_else(
        || "cargo install sea-orm-cli --locked".to_owned(),
        |it| format!("cargo install sea-orm-cli --locked --version {it}"),
    );
    match (found, wanted) {
        (None, _) => Finding::ill(
            WHAT,
            "not found",
            format!("{install}; without it: cargo run -- migrate up"),
        ),
        (Some(found), Some(wanted)) if line_of(found) != line_of(wanted) => Finding::ill(
            WHAT,
            format!("{found}, for a workspace on SeaORM {wanted}"),
            install,
        ),
        (Some(found), _) => Finding::well(WHAT, found),
    }
}

/// What has to be the same of two versions: `2.0` of `2.0.4`.
fn line_of(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

fn database(look: &DatabaseLook, supported: Option<&[Database]>) -> Finding {
    const WHAT: &str = "DATABASE_URL";
    let is_supported = |database| supported.is_none_or(|it| it.contains(&database));
    let kind = match look {
        DatabaseLook::Unset => {
            return Finding::ill(
                WHAT,
                "not set",
                "cp .env.example .env, or export DATABASE_URL='sqlite://app.db?mode=rwc'",
            );
        }
        DatabaseLook::NoUrl => {
            return Finding::ill(
                WHAT,
                "is no URL",
                "write sqlite://file?mode=rwc, postgres://user@host/database or mysql://..",
            );
        }
        DatabaseLook::File { .. } | DatabaseLook::Memory => Database::Sqlite,
        DatabaseLook::Server { scheme, .. } if scheme.starts_with("postgres") => Database::Postgres,
        DatabaseLook::Server { .. } => Database::Mysql,
    };
    if !is_supported(kind) {
        return Finding::ill(
            WHAT,
            format!("leads to {}, which the app does not support", kind.name()),
            "add it to `databases` in codegen.yaml, or choose another database",
        );
    }
    match look {
        DatabaseLook::File { path, exists: true } => {
            Finding::well(WHAT, format!("the file {path}"))
        }
        DatabaseLook::File { path, .. } => Finding::well(
            WHAT,
            format!("the file {path}, which the first migration makes"),
        ),
        DatabaseLook::Server {
            address,
            answers: false,
            ..
        } => Finding::ill(
            WHAT,
            format!("nobody answers at {address}"),
            "start the server, or correct the URL",
        ),
        DatabaseLook::Server { address, .. } => Finding::well(WHAT, format!("{address} answers")),
        DatabaseLook::Memory | DatabaseLook::Unset | DatabaseLook::NoUrl => {
            Finding::well(WHAT, "in memory")
        }
    }
}

fn workspace(plan: &Result<Plan, Failure>) -> Vec<Finding> {
    let plan = match plan {
        Ok(plan) => plan,
        Err(failure @ Failure::Definitions { .. }) => {
            return vec![Finding::ill(
                "definitions",
                failure.to_string(),
                "cargo codegen entity validate shows where",
            )];
        }
        Err(failure) => {
            let causes = failure.causes();
            let found = std::iter::once(failure.to_string()).chain(causes);
            let help = failure.help().unwrap_or("cargo codegen check says more");
            return vec![Finding::ill(
                "workspace",
                found.collect::<Vec<_>>().join(": "),
                help,
            )];
        }
    };
    let model = &plan.loaded.model;
    let described = format!(
        "{}, {}",
        counted(model.entities.len(), "entity", "entities"),
        counted(model.events.len(), "event", "events")
    );
    let edited: Vec<&str> = plan
        .set
        .conflicts
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    let changed = drifted(&plan.set);
    let files = if !edited.is_empty() {
        Finding::ill(
            "generated files",
            format!("edited by hand: {}", edited.join(", ")),
            "cargo codegen entity new --all shows the edits and the ways on",
        )
    } else if changed > 0 {
        Finding::ill(
            "generated files",
            format!("{changed} are not what the definitions say"),
            "cargo codegen entity new --all",
        )
    } else {
        Finding::well("generated files", format!("as {LOCK_FILE} records them"))
    };
    let migrations = match plan.pending.len() {
        0 => Finding::well("migrations", "make the schema that is described"),
        n => Finding::ill(
            "migrations",
            format!("lack {n} of the changes that are described"),
            "cargo codegen migrate",
        ),
    };
    vec![Finding::well("definitions", described), files, migrations]
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The version of SeaORM that `Cargo.lock` has; `None` before the first build.
///
/// # Errors
/// If the file cannot be read.
pub fn locked_sea_orm(files: &dyn Files) -> Result<Option<String>, FileError> {
    let text = files.read("Cargo.lock".into())?.unwrap_or_default();
    let mut lines = text.lines().skip_while(|it| *it != "name = \"sea-orm\"");
    let version = lines.nth(1).and_then(|it| it.strip_prefix("version = \""));
    Ok(version
        .and_then(|it| it.strip_suffix('"'))
        .map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cli_must_be_of_the_workspaces_line() {
        assert_eq!(sea_orm_cli(Some("2.0.1"), Some("2.0.4")).remedy, None);
        assert_eq!(sea_orm_cli(Some("1.1.19"), None).remedy, None);
        let old = sea_orm_cli(Some("1.1.19"), Some("2.0.4"));
        assert_eq!(old.found, "1.1.19, for a workspace on SeaORM 2.0.4");
        assert_eq!(
            old.remedy.as_deref(),
            Some("cargo install sea-orm-cli --locked --version 2.0.4")
        );
        let missing = sea_orm_cli(None, None).remedy.unwrap();
        assert!(
            missing.starts_with("cargo install sea-orm-cli --locked;"),
            "{missing}"
        );
    }

    #[test]
    fn a_database_that_the_app_does_not_support_is_told() {
        let server = |scheme: &str, answers| DatabaseLook::Server {
            scheme: scheme.to_owned(),
            address: "db:1".to_owned(),
            answers,
        };
        let supported = [Database::Sqlite, Database::Postgres];
        let found = |look: &DatabaseLook| database(look, Some(&supported));
        assert_eq!(found(&server("postgresql", true)).remedy, None);
        assert_eq!(found(&DatabaseLook::Memory).remedy, None);
        assert!(
            found(&server("postgres", false))
                .found
                .contains("nobody answers")
        );
        assert!(found(&server("mysql", true)).found.contains("mysql"));
        assert!(found(&DatabaseLook::Unset).remedy.is_some());
    }
}
