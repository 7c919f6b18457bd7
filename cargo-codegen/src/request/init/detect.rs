//! Which package of a workspace plays which part.

use camino::Utf8Path;

use super::InitArguments;
use crate::failure::Failure;
use crate::workspace::Package;

/// The packages that the generated code goes to; `None` for one that is to be made.
#[derive(Debug)]
pub(super) struct Roles<'a> {
    pub(super) entity: Option<&'a Package>,
    pub(super) migration: Option<&'a Package>,
    pub(super) app: &'a Package,
}

impl Roles<'_> {
    pub(super) fn entity_dir(&self) -> &Utf8Path {
        self.entity.map_or(Utf8Path::new("entity"), |it| &it.dir)
    }

    pub(super) fn migration_dir(&self) -> &Utf8Path {
        self.migration
            .map_or(Utf8Path::new("migration"), |it| &it.dir)
    }
}

/// Tells the packages apart by what they depend on, or takes what the arguments say.
pub(super) fn roles<'a>(
    packages: &'a [Package],
    arguments: &InitArguments,
) -> Result<Roles<'a>, Failure> {
    let migration = match &arguments.migration {
        Some(dir) => Some(named(packages, dir, "--migration")?),
        None => one(
            &packages
                .iter()
                .filter(|it| is_migration(it))
                .collect::<Vec<_>>(),
            "migrations",
            "--migration",
        )?,
    };
    let others = |it: &&Package| Some(it.dir.as_path()) != migration.map(|it| it.dir.as_path());
    let entity = match &arguments.entity {
        Some(dir) => Some(named(packages, dir, "--entity")?),
        None => entity(packages.iter().filter(others).collect())?,
    };
    let app = match &arguments.app {
        Some(dir) => named(packages, dir, "--app")?,
        None => {
            let rest = packages.iter().filter(others);
            app(rest
                .filter(|it| Some(it.dir.as_path()) != entity.map(|it| it.dir.as_path()))
                .filter(|it| !it.bins.is_empty())
                .collect())?
        }
    };
    Ok(Roles {
        entity,
        migration,
        app,
    })
}

fn is_migration(package: &Package) -> bool {
    package.lib.is_some() && package.depends_on("sea-orm-migration")
}

/// A library with SeaORM and without a program; by its name where there are several.
fn entity(packages: Vec<&Package>) -> Result<Option<&Package>, Failure> {
    let candidates: Vec<&Package> = packages
        .into_iter()
        .filter(|it| it.lib.is_some() && it.bins.is_empty() && it.depends_on("sea-orm"))
        .collect();
    let usual: Vec<&Package> = candidates
        .iter()
        .copied()
        .filter(|it| matches!(it.name.as_str(), "entity" | "entities" | "model" | "models"))
        .collect();
    if usual.len() == 1 {
        return Ok(usual.first().copied());
    }
    one(&candidates, "SeaORM entities", "--entity")
}

/// A program; one with axum where there are several.
fn app(candidates: Vec<&Package>) -> Result<&Package, Failure> {
    if candidates.is_empty() {
        return Err(Failure::workspace(
            "no package with a program could be found",
            "make one (`cargo new app`), or name the package of the app: cargo codegen init --app <dir>",
        ));
    }
    let with_axum: Vec<&Package> = candidates
        .iter()
        .copied()
        .filter(|it| it.depends_on("axum"))
        .collect();
    let candidates = if with_axum.len() == 1 {
        with_axum
    } else {
        candidates
    };
    match candidates.as_slice() {
        [only] => Ok(only),
        several => Err(several_packages(several, "the app", "--app")),
    }
}

fn one<'a>(
    candidates: &[&'a Package],
    what: &str,
    option: &str,
) -> Result<Option<&'a Package>, Failure> {
    match candidates {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => Err(several_packages(several, what, option)),
    }
}

fn several_packages(packages: &[&Package], what: &str, option: &str) -> Failure {
    let dirs: Vec<String> = packages
        .iter()
        .map(|it| format!("`{}`", shown(&it.dir)))
        .collect();
    Failure::workspace(
        format!("several packages could hold {what}: {}", dirs.join(", ")),
        format!("name one: cargo codegen init {option} <dir>"),
    )
}

fn named<'a>(
    packages: &'a [Package],
    dir: &Utf8Path,
    option: &str,
) -> Result<&'a Package, Failure> {
    let clean = dir.as_str().trim_start_matches("./").trim_end_matches('/');
    let clean = if clean == "." { "" } else { clean };
    packages.iter().find(|it| it.dir == clean).ok_or_else(|| {
        let dirs: Vec<&str> = packages.iter().map(|it| shown(&it.dir)).collect();
        Failure::usage(
            format!("{option} {dir}: the workspace has no package there"),
            format!("its packages are in {}", dirs.join(", ")),
        )
    })
}

fn shown(dir: &Utf8Path) -> &str {
    if dir.as_str().is_empty() {
        "."
    } else {
        dir.as_str()
    }
}

/// The generated code is for SeaORM 2; beside an older one it would not compile.
pub(super) fn check_versions(packages: &[Package]) -> Result<(), Failure> {
    for package in packages {
        for dependency in &package.dependencies {
            let ours = matches!(dependency.package.as_str(), "sea-orm" | "sea-orm-migration");
            let major: String = dependency
                .version
                .chars()
                .skip_while(|it| !it.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            if ours && matches!(major.as_str(), "0" | "1") {
                return Err(Failure::workspace(
                    format!(
                        "{} depends on {} {}, and the generated code needs 2",
                        package.name, dependency.package, dependency.version
                    ),
                    "update SeaORM first: https://www.sea-ql.org/SeaORM/docs/introduction/whats-new/",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RuntimeSource;
    use crate::workspace::Dependency;

    fn package(dir: &str, lib: bool, bin: bool, dependencies: &[&str]) -> Package {
        Package {
            name: dir.rsplit('/').next().unwrap_or(dir).to_owned(),
            dir: dir.into(),
            edition: "2024".to_owned(),
            lib: lib.then(|| format!("{dir}/src/lib.rs").into()),
            bins: if bin {
                vec![format!("{dir}/src/main.rs").into()]
            } else {
                Vec::new()
            },
            dependencies: dependencies
                .iter()
                .map(|it| Dependency {
                    package: (*it).to_owned(),
                    rename: None,
                    version: "^2.0".to_owned(),
                    dev: false,
                    path: None,
                })
                .collect(),
        }
    }

    fn arguments() -> InitArguments {
        InitArguments {
            entity: None,
            migration: None,
            app: None,
            databases: Vec::new(),
            runtime: RuntimeSource::Vendored("runtime-sea".into()),
        }
    }

    #[test]
    fn the_usual_layout_is_told_apart_by_dependencies() {
        let packages = [
            package("crates/api", true, true, &["axum", "sea-orm"]),
            package("crates/cli", false, true, &[]),
            package("crates/db", true, false, &["sea-orm"]),
            package("crates/schema", true, true, &["sea-orm-migration"]),
        ];
        let roles = roles(&packages, &arguments()).expect("certain");
        assert_eq!(roles.app.dir, "crates/api");
        assert_eq!(roles.entity_dir(), "crates/db");
        assert_eq!(roles.migration_dir(), "crates/schema");
    }

    #[test]
    fn a_single_package_is_the_app_and_the_others_are_to_be_made() {
        let packages = [package("", false, true, &[])];
        let roles = roles(&packages, &arguments()).expect("certain");
        assert_eq!(roles.app.dir, "");
        assert!(roles.entity.is_none());
        assert_eq!(roles.migration_dir(), "migration");
    }

    #[test]
    fn what_is_not_certain_is_asked_for_and_may_be_given() {
        let packages = [
            package("web", true, true, &["axum"]),
            package("admin", true, true, &["axum"]),
            package("tables", true, false, &["sea-orm"]),
            package("views", true, false, &["sea-orm"]),
        ];
        assert!(roles(&packages, &arguments()).is_err());
        let given = InitArguments {
            entity: Some("./tables/".into()),
            app: Some("web".into()),
            ..arguments()
        };
        let roles = roles(&packages, &given).expect("given");
        assert_eq!(
            (roles.app.dir.as_str(), roles.entity_dir().as_str()),
            ("web", "tables")
        );
    }

    #[test]
    fn an_older_sea_orm_is_refused() {
        let mut old = package("app", false, true, &["sea-orm"]);
        old.dependencies[0].version = ">=1.1, <2".to_owned();
        assert!(check_versions(&[old]).is_err());
        assert!(check_versions(&[package("app", false, true, &["sea-orm"])]).is_ok());
    }
}
