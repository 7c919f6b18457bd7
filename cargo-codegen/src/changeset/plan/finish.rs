//! The end of a plan: what is left of the user's files, and the lock.

use camino::Utf8PathBuf;

use super::Planner;
use crate::changeset::lock::{self, LOCK_FILE};
use crate::changeset::{Action, Change, ChangeSet, PlanError, orphan};
use crate::workspace::edit;

impl Planner<'_> {
    /// Files of the user's that no definition asks for any more.
    fn leftovers(&mut self, left: Vec<(Utf8PathBuf, String)>) -> Result<(), PlanError> {
        let (paths, texts): (Vec<_>, Vec<_>) = left.into_iter().unzip();
        for (path, text) in paths.iter().zip(&texts) {
            let mut there = Vec::new();
            for file in orphan::generated_modules(path) {
                let change = self.result.changes.iter().find(|it| it.path == file);
                let stays = match change {
                    Some(change) => change.after.is_some(),
                    None => self.files.read(&file)?.is_some(),
                };
                there.push(stays);
            }
            if !there.contains(&true) {
                let note = orphan::leftover(path, text, &paths);
                self.result.notes.extend(note);
            }
        }
        self.lock.owned.extend(paths);
        Ok(())
    }

    pub(super) fn finish(mut self, before: Option<String>) -> Result<ChangeSet, PlanError> {
        let mut forgotten = Vec::new();
        let mut left = Vec::new();
        for path in self.known.owned() {
            if self.lock.owned.contains(path) || self.removed.contains(path) {
                continue;
            }
            match self.files.read(path)? {
                Some(text) => left.push((path.to_owned(), text)),
                None => forgotten.push(path.to_owned()),
            }
        }
        self.leftovers(left)?;
        // That a file of the user's is gone is no reason of its own to touch the lock.
        let mut after = self.lock.render()?;
        if !forgotten.is_empty() && self.result.is_noop() {
            let mut lock = self.lock.clone();
            lock.owned.extend(forgotten);
            let unpruned = lock.render()?;
            if before.as_deref().map(lock::normal) == Some(lock::normal(&unpruned)) {
                after = unpruned;
            }
        }
        let unchanged = before.as_deref().map(lock::normal) == Some(lock::normal(&after));
        if let Some(text) = &before {
            if unchanged {
                after.clone_from(text);
            } else if edit::dominant_ending(text) == "\r\n" {
                after = after.replace('\n', "\r\n");
            }
        }
        let action = match &before {
            None => Action::Created,
            Some(_) if unchanged => Action::Unchanged,
            Some(_) => Action::Updated,
        };
        if before.is_some() || !self.result.changes.is_empty() {
            self.result.changes.push(Change {
                path: LOCK_FILE.into(),
                action,
                before,
                after: Some(after),
            });
        }
        self.result.changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.result)
    }
}
