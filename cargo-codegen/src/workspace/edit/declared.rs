//! Dependencies where the workspace keeps all versions in one table.

use camino::Utf8Path;
use toml_edit::{DocumentMut, Item};

use crate::changeset::Edit;
use crate::workspace::{FileError, Files};

const MANIFEST: &str = "Cargo.toml";

/// The edits, with each dependency that is new to its package put into `[workspace.dependencies]` first, from which
/// the package then inherits it; unchanged where the workspace has no such table.
///
/// # Errors
/// If a manifest cannot be read.
pub fn declared(edits: Vec<Edit>, files: &dyn Files) -> Result<Vec<Edit>, FileError> {
    let root = manifest(files, Utf8Path::new(MANIFEST))?;
    let table = root
        .as_ref()
        .and_then(|it| it.get("workspace")?.get("dependencies"));
    if !table.is_some_and(Item::is_table_like) {
        return Ok(edits);
    }
    let mut all = Vec::new();
    for edit in &edits {
        let Edit::Dependency {
            file, name, spec, ..
        } = edit
        else {
            continue;
        };
        if manifest(files, file)?.is_some_and(|it| is_its_own(&it, name)) {
            continue;
        }
        let dir = file.parent().unwrap_or(Utf8Path::new(""));
        let up = "../".repeat(dir.components().count());
        all.push(Edit::WorkspaceDependency {
            file: MANIFEST.into(),
            name: name.clone(),
            spec: spec.replace(&format!("path = \"{up}"), "path = \""),
        });
    }
    all.extend(edits);
    Ok(all)
}

/// A manifest; `None` if it is not there, or is left to the edit itself to refuse.
fn manifest(files: &dyn Files, path: &Utf8Path) -> Result<Option<DocumentMut>, FileError> {
    Ok(files.read(path)?.and_then(|it| it.parse().ok()))
}

/// Whether the package has the dependency without inheriting it.
fn is_its_own(manifest: &DocumentMut, name: &str) -> bool {
    ["dependencies", "dev-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(kind)?.get(name))
        .any(|it| it.get("workspace").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Disk, Overlay};

    fn wanted(name: &str, spec: &str) -> Edit {
        Edit::Dependency {
            file: "app/Cargo.toml".into(),
            name: name.to_owned(),
            spec: spec.to_owned(),
            dev: false,
        }
    }

    fn added(root: &str, app: &str, edit: Edit) -> Vec<Edit> {
        let nothing = Disk::new("no-such-directory");
        let mut files = Overlay::new(&nothing);
        files.insert("Cargo.toml", root);
        files.insert("app/Cargo.toml", app);
        let mut edits = declared(vec![edit.clone()], &files).expect("readable files");
        assert_eq!(
            edits.pop(),
            Some(edit),
            "the package's own entry comes last"
        );
        edits
    }

    fn in_workspace(name: &str, spec: &str) -> Vec<Edit> {
        vec![Edit::WorkspaceDependency {
            file: "Cargo.toml".into(),
            name: name.to_owned(),
            spec: spec.to_owned(),
        }]
    }

    const TABLE: &str = "[workspace.dependencies]\n";

    #[test]
    fn a_new_dependency_goes_through_the_table_of_the_workspace() {
        let edit = || wanted("regex", "\"1\"");
        assert_eq!(added(TABLE, "", edit()), in_workspace("regex", "\"1\""));
        let inherits = "[dependencies]\nregex.workspace = true\n";
        assert_eq!(
            added(TABLE, inherits, edit()),
            in_workspace("regex", "\"1\"")
        );
        assert_eq!(added("[workspace]\n", "", edit()), []);
    }

    #[test]
    fn a_path_is_taken_from_the_root() {
        let edit = wanted("entity", "{ path = \"../entity\" }");
        assert_eq!(
            added(TABLE, "", edit),
            in_workspace("entity", "{ path = \"entity\" }")
        );
    }

    #[test]
    fn a_version_of_the_packages_own_stays_where_it_is() {
        for app in [
            "[dependencies]\nregex = \"1\"\n",
            "[dev-dependencies]\nregex = { version = \"1\" }\n",
        ] {
            assert_eq!(added(TABLE, app, wanted("regex", "\"1\"")), [], "{app}");
        }
    }
}
