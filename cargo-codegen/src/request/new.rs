//! `new`.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use toml_edit::DocumentMut;

use super::Addition;
use crate::changeset::Output;
use crate::failure::Failure;
use crate::generate::Site;
use crate::model::{Database, Name, RuntimeSource};
use crate::render;
use crate::survey::Step;
use crate::workspace::Files as _;

/// Where `new <dir>` puts its workspace, and the files that it starts with.
///
/// # Errors
/// If the directory's name cannot name a package, or something else is there already.
pub fn new_workspace(
    dir: &Utf8Path,
    databases: &[Database],
    runtime: &RuntimeSource,
    dry_run: bool,
) -> Result<(Site, Addition), Failure> {
    let root = absolute(dir)?;
    let package = package_name(&root)?;
    let site = Site::at(root).recovered(dry_run)?;
    let files = site.files();
    let ours = files
        .read(Utf8Path::new("codegen.yaml"))
        .map_err(Failure::other)?
        .is_some();
    if !ours && !is_free(site.root())? {
        let help = if site.root().join("Cargo.toml").is_file() {
            format!("choose another directory, or adopt it: cd {dir} && cargo codegen init")
        } else {
            "choose another directory".to_owned()
        };
        return Err(Failure::workspace(
            format!("{dir} is there and not empty"),
            help,
        ));
    }
    let outputs =
        render::scaffold::new_workspace(&package, databases, runtime).map_err(Failure::other)?;
    if !ours && declares(&outputs, &package) {
        return Err(Failure::usage(
            format!(
                "`{package}` cannot name the app's package: the app depends on a package of this name"
            ),
            "choose another name for the directory",
        ));
    }
    let next = if ours {
        Vec::new()
    } else {
        vec![Step::new(
            format!("cd {dir} && cargo codegen entity new product name:string price:decimal"),
            "",
        )]
    };
    Ok((
        site,
        Addition {
            outputs,
            next,
            ..Addition::default()
        },
    ))
}

/// Reads `vendored`, `path:<dir>`, `git:<url>[#rev]` or `registry:<version>`. A relative directory is taken
/// from the current one, and written relative to the workspace's root.
///
/// # Errors
/// If it is none of them.
pub fn runtime_source(text: &str, root: &Utf8Path) -> Result<RuntimeSource, Failure> {
    let wrong = || {
        Failure::usage(
            format!("`{text}` names no runtime source"),
            "write vendored, path:<dir>, git:<url>, git:<url>#<rev> or registry:<version>",
        )
    };
    if text == "vendored" {
        return Ok(RuntimeSource::Vendored("runtime-sea".into()));
    }
    let (kind, value) = text.split_once(':').ok_or_else(wrong)?;
    if value.is_empty() {
        return Err(wrong());
    }
    match kind {
        "path" => {
            let path = Utf8Path::new(value);
            if !path.join("Cargo.toml").is_file() {
                return Err(Failure::usage(
                    format!("there is no package in {path}"),
                    "give the directory of runtime-sea's Cargo.toml",
                ));
            }
            if path.is_absolute() {
                return Ok(RuntimeSource::Path(path.to_owned()));
            }
            Ok(RuntimeSource::Path(relative(
                &absolute(root)?,
                &absolute(path)?,
            )))
        }
        "git" => {
            let (url, rev) = match value.rsplit_once('#') {
                Some((url, rev)) => (url, Some(rev.to_owned())),
                None => (value, None),
            };
            Ok(RuntimeSource::Git {
                url: url.to_owned(),
                rev,
            })
        }
        "registry" => Ok(RuntimeSource::Registry(value.to_owned())),
        _ => Err(wrong()),
    }
}

/// The path without `.` and `..`, from the root of the file system.
fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    let path = camino::absolute_utf8(path).map_err(Failure::other)?;
    let mut clean = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::ParentDir => {
                clean.pop();
            }
            Utf8Component::CurDir => {}
            other => clean.push(other),
        }
    }
    Ok(clean)
}

/// How to get from one absolute directory to another.
fn relative(from: &Utf8Path, to: &Utf8Path) -> Utf8PathBuf {
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().skip(shared).map(|_| "..");
    let down = to.components().skip(shared).map(|it| it.as_str());
    up.chain(down).collect()
}

fn is_free(root: &Utf8Path) -> Result<bool, Failure> {
    match root.read_dir_utf8() {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Failure::other(error)),
    }
}

/// Whether the new workspace has a dependency of this name, as Rust code calls it.
fn declares(outputs: &[Output], package: &str) -> bool {
    let ident = |name: &str| name.replace('-', "_").to_ascii_lowercase();
    let manifest = outputs.iter().find(|it| it.path == "Cargo.toml");
    manifest
        .and_then(|it| it.content.parse::<DocumentMut>().ok())
        .and_then(|it| {
            let table = it.get("workspace")?.get("dependencies")?.as_table_like()?;
            Some(table.iter().any(|(name, _)| ident(name) == ident(package)))
        })
        .unwrap_or_default()
}

/// The rules of `cargo new`.
fn package_name(root: &Utf8Path) -> Result<String, Failure> {
    const TAKEN: [&str; 12] = [
        "entity",
        "migration",
        "runtime-sea",
        "test",
        "core",
        "std",
        "alloc",
        "proc_macro",
        "con",
        "nul",
        "aux",
        "prn",
    ];
    let name = root.file_name().unwrap_or_default();
    let wrong = |why: &str| {
        Err(Failure::usage(
            format!("`{name}` cannot name the app's package: {why}"),
            "choose another name for the directory",
        ))
    };
    let legal = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
    if !name.starts_with(|it: char| it.is_ascii_alphabetic()) {
        return wrong("it must begin with a letter");
    }
    if let Some(bad) = name.chars().find(|it| !legal(*it)) {
        return wrong(&format!("it must not hold `{bad}`"));
    }
    if TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
        return wrong("the name is taken");
    }
    let ident = name.replace('-', "_").to_ascii_lowercase();
    if Name::new(ident.as_str()).ident != ident {
        return wrong("it is a Rust keyword");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_source_is_one_of_four() {
        let root = Utf8Path::new("shop");
        let read = |text| runtime_source(text, root);
        assert_eq!(
            read("vendored").expect("legal"),
            RuntimeSource::Vendored("runtime-sea".into())
        );
        assert_eq!(
            read("git:https://example.org/r.git#v1").expect("legal"),
            RuntimeSource::Git {
                url: "https://example.org/r.git".to_owned(),
                rev: Some("v1".to_owned())
            }
        );
        assert_eq!(
            read("registry:0.1").expect("legal"),
            RuntimeSource::Registry("0.1".to_owned())
        );
        for wrong in ["", "vendor", "git:", "path:no-such-directory", "svn:x"] {
            let failure = read(wrong).expect_err("not legal");
            assert_eq!(failure.exit().code(), 2, "{wrong}");
        }
    }

    #[test]
    fn a_relative_path_leads_from_one_directory_to_the_other() {
        let from = Utf8Path::new("/home/me/shop");
        assert_eq!(relative(from, Utf8Path::new("/home/me/rt")), "../rt");
        assert_eq!(relative(from, Utf8Path::new("/srv/rt")), "../../../srv/rt");
        assert_eq!(relative(from, Utf8Path::new("/home/me/shop/rt")), "rt");
    }

    #[test]
    fn g14_a_directory_named_as_a_dependency_is_refused() {
        let new = |dir: &str| {
            let dir = Utf8PathBuf::try_from(std::env::temp_dir())
                .expect("UTF-8")
                .join(dir);
            let databases = [Database::Sqlite];
            let runtime = RuntimeSource::Registry("0.1".to_owned());
            new_workspace(&dir, &databases, &runtime, true).map(|it| it.1.outputs.len())
        };
        for taken in ["tokio", "sea-orm", "Serde_JSON"] {
            let failure = new(taken).expect_err("not legal");
            assert_eq!(failure.exit().code(), 2, "{taken}");
        }
        assert!(new("no-such-shop").is_ok_and(|it| it > 0));
    }

    #[test]
    fn g14_a_directory_that_cannot_name_a_package_is_refused() {
        for good in ["shop", "my-shop", "Shop_2"] {
            assert_eq!(package_name(Utf8Path::new(good)).expect("legal"), good);
        }
        for bad in [
            "",
            "2shop",
            "caf\u{e9}",
            "a b",
            "gen",
            "self",
            "entity",
            "Test",
            "CON",
        ] {
            assert!(package_name(Utf8Path::new(bad)).is_err(), "{bad}");
        }
    }
}
