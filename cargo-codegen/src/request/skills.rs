//! `skills install`.

use camino::{Utf8Path, Utf8PathBuf};

use crate::changeset::{Action, Change, ChangeSet, same_text};
use crate::failure::Failure;
use crate::generate::Site;
use crate::render::{self, Skill};
use crate::words::nearest;
use crate::workspace::Files as _;

/// Writes the guides of these names, or all of them, below a directory of the workspace; one that is there with other
/// content is the user's.
///
/// # Errors
/// If there is no such guide, or the directory is outside of the workspace.
pub fn skills_install(site: &Site, names: &[String], dir: &Utf8Path) -> Result<ChangeSet, Failure> {
    let all = render::skills().map_err(Failure::other)?;
    let wanted: Vec<&Skill> = if names.is_empty() {
        all.iter().collect()
    } else {
        let known = names.iter().map(|it| known(&all, it));
        known.collect::<Result<_, _>>()?
    };
    if dir.is_absolute() || dir.components().any(|it| it.as_str() == "..") {
        return Err(Failure::usage(
            format!("{dir} is outside of the workspace"),
            "give a directory below its root",
        ));
    }
    let files = site.files();
    let mut set = ChangeSet::default();
    for skill in wanted {
        let path: Utf8PathBuf = dir.join(&skill.path);
        let before = files.read(&path).map_err(Failure::other)?;
        let action = match &before {
            None => Action::Created,
            Some(text) if same_text(text, skill.text) => Action::Unchanged,
            Some(_) => {
                set.notes.push(format!(
                    "{path} is yours, or of another version: delete it to get this one"
                ));
                Action::Kept
            }
        };
        set.changes.push(Change {
            after: Some(before.clone().unwrap_or_else(|| skill.text.to_owned())),
            path,
            action,
            before,
        });
    }
    Ok(set)
}

fn known<'a>(all: &'a [Skill], name: &str) -> Result<&'a Skill, Failure> {
    all.iter().find(|it| it.name == name).ok_or_else(|| {
        let message = format!("there is no skill `{name}`");
        let help = match nearest(name, all.iter().map(|it| it.name.as_str())) {
            Some(meant) => format!("did you mean `{meant}`? `cargo codegen skills list` shows all"),
            None => "`cargo codegen skills list` shows all".to_owned(),
        };
        Failure::usage(message, help)
    })
}
