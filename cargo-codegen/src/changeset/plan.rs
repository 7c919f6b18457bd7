//! From what is wanted and what is there to a change set; nothing is written.

mod finish;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::format::{FormatError, Formatter, Unformatted};
use super::lock::{self, Entry, Known, LOCK_FILE, Lock};
use super::orphan::{self, Dangling};
use super::request::{PlanError, RefusedEdit, Remedy, Request, check_paths};
use super::{Action, Change, ChangeSet, Conflict, ConflictReason, Edit, Output, OutputKind};
use crate::workspace::edit;
use crate::workspace::merge;
use crate::workspace::{FileError, Files};

/// Why a file is not edited in which a merge was not decided.
const UNMERGED: &str = "it holds an unresolved merge";

/// Compares what is wanted with what is there.
///
/// The result is the same for the same request on any machine. Conflicts are in it; what else is wrong is an error.
///
/// # Errors
/// If a file cannot be read or formatted, an output has no legal path, or an edit's place is not certain.
pub fn plan(request: Request<'_>) -> Result<ChangeSet, PlanError> {
    check_paths(&request)?;
    let lock_text = request.files.read(Utf8Path::new(LOCK_FILE))?;
    let known = Known::read(lock_text.as_deref())?;
    let mut planner = Planner {
        files: request.files,
        formatter: request.formatter,
        overwrite: request.overwrite,
        recreate: request.recreate.into_iter().collect(),
        removed: request.removed.into_iter().collect(),
        known: &known,
        lock: Lock::new(),
        drafts: BTreeMap::new(),
        result: ChangeSet::default(),
    };
    let wanted: BTreeSet<Utf8PathBuf> = request.outputs.iter().map(|it| it.path.clone()).collect();
    for output in request.outputs {
        planner.output(output)?;
    }
    planner.edits(&request.edits)?;
    planner.orphans(&wanted)?;
    planner.format()?;
    planner.settle();
    planner.finish(lock_text)
}

/// A file on its way to a change.
struct Draft {
    before: Option<String>,
    after: String,
    state: State,
}

enum State {
    /// As recorded; nothing to do.
    Settled,
    Generated {
        source: String,
        rendered: String,
    },
    Owned,
    /// The user's, with entries of ours.
    Edited,
}

struct Planner<'a> {
    files: &'a dyn Files,
    formatter: &'a dyn Formatter,
    overwrite: bool,
    recreate: BTreeSet<Utf8PathBuf>,
    removed: BTreeSet<Utf8PathBuf>,
    known: &'a Known,
    lock: Lock,
    drafts: BTreeMap<Utf8PathBuf, Draft>,
    result: ChangeSet,
}

impl Planner<'_> {
    fn output(&mut self, output: Output) -> Result<(), PlanError> {
        let before = self.files.read(&output.path)?;
        let draft = match output.kind {
            // One that was ejected is the user's, whatever the model says of it.
            OutputKind::Generated { source } if !self.known.owns(&output.path) => {
                Some(self.generated_draft(&output.path, before, output.content, source))
            }
            _ => self.owned_draft(&output.path, before, output.content),
        };
        self.drafts.extend(draft.map(|it| (output.path, it)));
        Ok(())
    }

    fn generated_draft(
        &mut self,
        path: &Utf8Path,
        before: Option<String>,
        content: String,
        source: String,
    ) -> Draft {
        let rendered = lock::hash(&content);
        let recorded = before.as_ref().and_then(|before| {
            let found = lock::hash(before);
            self.known
                .entries(path)
                .find(|it| it.sha256 == found && it.rendered == rendered)
        });
        let (state, after) = match (recorded, &before) {
            (Some(entry), Some(before)) => {
                let entry = Entry {
                    source,
                    ..entry.clone()
                };
                self.lock.generated.insert(path.to_owned(), entry);
                (State::Settled, before.clone())
            }
            _ => (State::Generated { source, rendered }, content),
        };
        Draft {
            before,
            after,
            state,
        }
    }

    /// `None` if the user has deleted it.
    fn owned_draft(
        &mut self,
        path: &Utf8Path,
        before: Option<String>,
        content: String,
    ) -> Option<Draft> {
        self.lock.owned.insert(path.to_owned());
        if before.is_none() && self.known.owns(path) && !self.recreate.contains(path) {
            self.result.notes.push(format!(
                "{path} was written once and deleted since, so it is not written again; to get it back, remove it from `owned` in {LOCK_FILE}"
            ));
            return None;
        }
        let after = before.clone().unwrap_or(content);
        Some(Draft {
            before,
            after,
            state: State::Owned,
        })
    }

    fn edits(&mut self, edits: &[Edit]) -> Result<(), PlanError> {
        let mut refused = Vec::new();
        for edit in edits {
            let root_manifest = match edit {
                Edit::Dependency { .. } => self.text(Utf8Path::new("Cargo.toml"))?,
                _ => None,
            };
            let path = edit.file().to_owned();
            let mut refuse = |why: String, lines: String| {
                let remedy = match edit {
                    _ if why == UNMERGED => Remedy::Merge,
                    Edit::Migration { .. } => Remedy::List,
                    _ => Remedy::Paste,
                };
                let same = |it: &RefusedEdit| it.file == path && it.why == why;
                // Where there is nothing to paste, the first one says it for all.
                if remedy != Remedy::Paste && refused.iter().any(same) {
                    return;
                }
                refused.push(RefusedEdit {
                    file: path.clone(),
                    remedy,
                    why,
                    lines,
                });
            };
            let Some(text) = self.text(&path)? else {
                refuse(
                    "the file is not there".to_owned(),
                    edit::lines_to_paste(edit),
                );
                continue;
            };
            let is_ours = self
                .drafts
                .get(&path)
                .is_some_and(|it| matches!(it.state, State::Settled | State::Generated { .. }));
            if is_ours {
                refuse(
                    "it is a generated file".to_owned(),
                    edit::lines_to_paste(edit),
                );
                continue;
            }
            if merge::has_conflict_markers(&text) {
                refuse(UNMERGED.to_owned(), String::new());
                continue;
            }
            match edit::apply(&text, edit, root_manifest.as_deref()) {
                Ok(edited) => self.edited(path, text, edited),
                Err(error) => refuse(error.why, error.lines),
            }
        }
        if refused.is_empty() {
            Ok(())
        } else {
            Err(PlanError::Refused(refused))
        }
    }

    /// The text of a file with everything that is planned so far.
    fn text(&self, path: &Utf8Path) -> Result<Option<String>, FileError> {
        match self.drafts.get(path) {
            Some(draft) => Ok(Some(draft.after.clone())),
            None => self.files.read(path),
        }
    }

    fn edited(&mut self, path: Utf8PathBuf, text: String, edited: Option<String>) {
        match self.drafts.get_mut(&path) {
            Some(draft) => draft.after = edited.unwrap_or(text),
            None => {
                let draft = Draft {
                    before: Some(text.clone()),
                    after: edited.unwrap_or(text),
                    state: State::Edited,
                };
                self.drafts.insert(path, draft);
            }
        }
    }

    fn orphans(&mut self, wanted: &BTreeSet<Utf8PathBuf>) -> Result<(), PlanError> {
        let mut found = orphan::find(self.files, self.known, |it| wanted.contains(it))?;
        for path in &self.removed {
            let before = self.files.read(path)?;
            found
                .changes
                .extend(before.map(|it| Change::deletion(path, it)));
        }
        let deleted: BTreeSet<Utf8PathBuf> =
            found.changes.iter().map(|it| it.path.clone()).collect();
        for path in &deleted {
            let read = |file: &Utf8Path| {
                if deleted.contains(file) {
                    Ok(None)
                } else {
                    self.text(file)
                }
            };
            match orphan::dangling(path, read)? {
                Some(Dangling::Removed {
                    file,
                    before,
                    after,
                }) => self.edited(file, before, Some(after)),
                // `leftovers` says more of these, in every run.
                Some(Dangling::Left { file, .. })
                    if self.known.owns(&file)
                        && !wanted.contains(&file)
                        && orphan::generated_modules(&file).contains(path) => {}
                Some(Dangling::Left { note, .. }) => self.result.notes.push(note),
                None => {}
            }
        }
        for path in found.kept {
            if let Some(entry) = self.known.entries(&path).next() {
                self.lock.generated.insert(path.clone(), entry.clone());
            }
        }
        self.result.changes.extend(found.changes);
        self.result.notes.extend(found.notes);
        Ok(())
    }

    /// Formats what is new. A file of the user's is formatted after an edit only if it was formatted before it.
    fn format(&mut self) -> Result<(), PlanError> {
        let unformatted = |path: &Utf8PathBuf, text: &str| Unformatted {
            path: path.clone(),
            text: lock::normal(text),
        };
        let mut ours = Vec::new();
        for (path, draft) in &mut self.drafts {
            if path.extension() != Some("rs") || draft.before.as_ref() == Some(&draft.after) {
                continue;
            }
            let before = match (&draft.state, &draft.before) {
                (State::Settled, _) => continue,
                (State::Owned | State::Edited, Some(before)) => before,
                _ => {
                    ours.push(unformatted(path, &draft.after));
                    continue;
                }
            };
            let pair = [unformatted(path, before), unformatted(path, &draft.after)];
            let formatted = match self.formatter.format(&pair) {
                // What rustfmt cannot read was not formatted by it before.
                Err(FormatError::Refused { .. }) => continue,
                other => other?,
            };
            if let [formatted, after] = formatted.as_slice()
                && formatted == before
            {
                draft.after.clone_from(after);
            }
        }
        if ours.is_empty() {
            return Ok(());
        }
        let formatted = self.formatter.format(&ours)?;
        for (file, text) in ours.iter().zip(formatted) {
            if let Some(draft) = self.drafts.get_mut(&file.path) {
                draft.after = text;
            }
        }
        Ok(())
    }

    fn settle(&mut self) {
        for (path, draft) in std::mem::take(&mut self.drafts) {
            let Draft {
                before,
                after,
                state,
            } = draft;
            let (action, after) = match state {
                State::Settled => (Action::Unchanged, after),
                State::Owned if before.is_none() => (Action::Created, after),
                State::Owned if before.as_ref() == Some(&after) => (Action::Kept, after),
                State::Edited if before.as_ref() == Some(&after) => (Action::Unchanged, after),
                State::Owned | State::Edited => (Action::Edited, after),
                State::Generated { source, rendered } => {
                    match self.generated(&path, before.as_deref(), after, source, rendered) {
                        Some(settled) => settled,
                        None => continue,
                    }
                }
            };
            self.result.changes.push(Change {
                path,
                action,
                before,
                after: Some(after),
            });
        }
    }

    /// What happens to a generated file; `None` if it is a conflict.
    fn generated(
        &mut self,
        path: &Utf8Path,
        before: Option<&str>,
        wanted: String,
        source: String,
        rendered: String,
    ) -> Option<(Action, String)> {
        let entry = Entry {
            source,
            sha256: lock::hash(&wanted),
            rendered,
        };
        let Some(found) = before else {
            self.lock.generated.insert(path.to_owned(), entry);
            return Some((Action::Created, wanted));
        };
        let unchanged = lock::normal(found) == lock::normal(&wanted);
        let merging =
            merge::has_conflict_markers(found) && self.known.entries(path).next().is_some();
        if unchanged || merging || self.overwrite || self.known.wrote(path, &lock::hash(found)) {
            if merging {
                self.result
                    .notes
                    .push(format!("{path} held an unresolved merge; it is made anew"));
            }
            self.lock.generated.insert(path.to_owned(), entry);
            return Some(if unchanged {
                (Action::Unchanged, found.to_owned())
            } else if edit::dominant_ending(found) == "\r\n" {
                (Action::Updated, lock::normal(&wanted).replace('\n', "\r\n"))
            } else {
                (Action::Updated, wanted)
            });
        }
        let recorded = self.known.entries(path).next();
        let reason = match recorded {
            Some(_) => ConflictReason::EditedByHand,
            None => ConflictReason::NotGenerated,
        };
        if let Some(entry) = recorded {
            self.lock.generated.insert(path.to_owned(), entry.clone());
        }
        self.result.conflicts.push(Conflict {
            path: path.to_owned(),
            reason,
            found: found.to_owned(),
            wanted,
        });
        None
    }
}
