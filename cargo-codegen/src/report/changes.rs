//! The table that ends every writing command.

use std::fmt::Write as _;

use camino::Utf8Path;
use owo_colors::OwoColorize as _;

use crate::changeset::{Action, Change, ChangeSet};

/// The order of the table, and the word for each action.
pub(super) const ACTIONS: [(Action, &str); 6] = [
    (Action::Created, "created"),
    (Action::Updated, "updated"),
    (Action::Edited, "edited"),
    (Action::Deleted, "deleted"),
    (Action::Unchanged, "unchanged"),
    (Action::Kept, "kept"),
];

/// The table: a count and the paths for each action. Unless asked for, paths of files that nothing happens to
/// are left out, and the vendored runtime is one line.
pub(super) fn table(set: &ChangeSet, vendored: Option<&Utf8Path>, verbose: bool) -> String {
    let mut text = String::new();
    for (action, word) in ACTIONS {
        let files: Vec<&Change> = set
            .changes
            .iter()
            .filter(|it| it.action == action)
            .collect();
        let quiet = matches!(action, Action::Unchanged | Action::Kept);
        if files.is_empty() {
            continue;
        }
        let _ = write!(text, "{} {:>4}", painted(action, word), files.len());
        if quiet && !verbose {
            text.push('\n');
            continue;
        }
        let folded = vendored.filter(|_| !verbose);
        let (inside, outside): (Vec<&Change>, Vec<&Change>) = files
            .into_iter()
            .partition(|it| folded.is_some_and(|dir| it.path.starts_with(dir)));
        let mut lines: Vec<String> = outside.iter().map(|it| it.path.to_string()).collect();
        if let (Some(dir), false) = (folded, inside.is_empty()) {
            let more = if inside.len() == 1 { "" } else { "s" };
            lines.push(format!("{dir}/.. ({} file{more})", inside.len()));
        }
        for (position, line) in lines.iter().enumerate() {
            let indent = if position == 0 { 2 } else { 17 };
            let _ = writeln!(text, "{:indent$}{line}", "");
        }
    }
    text
}

fn painted(action: Action, word: &str) -> String {
    let word = format!("{word:>10}");
    match action {
        Action::Created => word.green().to_string(),
        Action::Updated | Action::Edited => word.cyan().to_string(),
        Action::Deleted => word.red().to_string(),
        Action::Unchanged | Action::Kept => word.dimmed().to_string(),
    }
}

/// What `check` found: only files that would change, and those edited by hand.
pub(super) fn drift(set: &ChangeSet) -> String {
    let mut changed = set.clone();
    changed
        .changes
        .retain(|it| !matches!(it.action, Action::Unchanged | Action::Kept));
    let mut text = table(&changed, None, true);
    for conflict in &set.conflicts {
        let _ = writeln!(text, "{}  {}", " edited by hand".red(), conflict.path);
    }
    text
}

/// A unified diff, coloured line by line.
pub(super) fn colored_diff(diff: &str) -> String {
    let mut text = String::with_capacity(diff.len());
    for line in diff.split_inclusive('\n') {
        let (body, end) = line
            .strip_suffix('\n')
            .map_or((line, ""), |body| (body, "\n"));
        let painted = match body.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => body.bold().to_string(),
            [b'+', ..] => body.green().to_string(),
            [b'-', ..] => body.red().to_string(),
            [b'@', ..] => body.cyan().to_string(),
            _ => body.to_owned(),
        };
        text += &painted;
        text += end;
    }
    text
}
