//! A change set as a unified diff.

use similar::TextDiff;

use super::{Change, ChangeSet, Conflict};

/// Everything that would change, as one unified diff that `patch -p1` and `git apply` understand.
pub fn diff(changes: &ChangeSet) -> String {
    changes.changes.iter().map(diff_change).collect()
}

/// What a run would make of a file that was edited by hand.
pub fn diff_conflict(conflict: &Conflict) -> String {
    unified(
        &format!("a/{}", conflict.path),
        &format!("b/{}", conflict.path),
        &conflict.found,
        &conflict.wanted,
    )
}

fn diff_change(change: &Change) -> String {
    let before = change.before.as_deref();
    let after = change.after.as_deref();
    if before == after {
        return String::new();
    }
    let name = |side: &str, text: Option<&str>| match text {
        Some(_) => format!("{side}/{}", change.path),
        None => "/dev/null".to_owned(),
    };
    unified(
        &name("a", before),
        &name("b", after),
        before.unwrap_or_default(),
        after.unwrap_or_default(),
    )
}

fn unified(old_name: &str, new_name: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let hunks = diff.unified_diff().header(old_name, new_name).to_string();
    if hunks.is_empty() && old != new {
        // An empty file that comes or goes has no lines to show.
        return format!("--- {old_name}\n+++ {new_name}\n");
    }
    hunks
}
