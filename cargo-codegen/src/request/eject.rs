//! `eject`.

use camino::{Utf8Path, Utf8PathBuf};

use crate::changeset::{self, ChangeSet, EjectError};
use crate::failure::Failure;
use crate::generate::Site;
use crate::words::nearest;

/// What makes a generated file the user's; `path` is taken from the current directory, or from the workspace's root.
///
/// # Errors
/// If it is no generated file.
pub fn eject(site: &Site, path: &Utf8Path) -> Result<ChangeSet, Failure> {
    let files = site.files();
    let path = inside(site.root(), path);
    let mut set = changeset::eject(&files, &path).map_err(|error| match &error {
        EjectError::Unknown { path, generated } => {
            let names = generated.iter().map(|it| it.as_str());
            let same_name = generated
                .iter()
                .find(|it| it.file_name() == path.file_name());
            let meant = same_name.map(|it| it.as_str());
            let help = match nearest(path.as_str(), names).or(meant) {
                Some(meant) => format!("did you mean {meant}? {} lists them", changeset::LOCK_FILE),
                None => format!(
                    "{} lists those that are, under `generated`",
                    changeset::LOCK_FILE
                ),
            };
            Failure::workspace(error.to_string(), help)
        }
        EjectError::Owned(_) => {
            Failure::workspace(error.to_string(), "no run writes it; edit it as you like")
        }
        EjectError::Missing(_) => Failure::workspace(
            error.to_string(),
            "cargo codegen entity new --all makes it again",
        ),
        EjectError::Merging => Failure::workspace(
            error.to_string(),
            "cargo codegen entity new --all makes one of its two sides",
        ),
        EjectError::Lock(_) | EjectError::File(_) => Failure::other(error),
    })?;
    set.notes.push(format!(
        "{path} is yours from now on: what its definition says does not reach it any more; to get it back, take it out of `owned` in {}, and run with `--overwrite`",
        changeset::LOCK_FILE
    ));
    Ok(set)
}

fn inside(root: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    let absolute = path.canonicalize_utf8().ok();
    let from_here = absolute
        .as_deref()
        .and_then(|it| it.strip_prefix(root).ok());
    from_here.unwrap_or(path).to_owned()
}
