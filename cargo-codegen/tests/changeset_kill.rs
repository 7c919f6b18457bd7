//! A process that is killed while it writes a change set.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::changeset::{self, Action, Change, ChangeSet};

const ROOT: &str = "CARGO_CODEGEN_TEST_ROOT";
const FILES: usize = 60;

fn path(index: usize) -> Utf8PathBuf {
    format!("dir{}/file{index:03}.txt", index % 7).into()
}

/// Replaces most files, creates some, deletes some.
fn changes() -> ChangeSet {
    let change = |index: usize| {
        let before = (!index.is_multiple_of(5)).then(|| format!("old {index}\n"));
        let after = (index % 5 != 1).then(|| format!("new {index}\n"));
        let action = match (&before, &after) {
            (None, _) => Action::Created,
            (_, None) => Action::Deleted,
            _ => Action::Updated,
        };
        Change {
            path: path(index),
            action,
            before,
            after,
        }
    };
    ChangeSet {
        changes: (0..FILES).map(change).collect(),
        ..ChangeSet::default()
    }
}

fn content(root: &Utf8Path, index: usize) -> Option<String> {
    std::fs::read_to_string(root.join(path(index))).ok()
}

/// What the process that is killed does; an ordinary test run has nothing to do here.
#[test]
fn the_process_that_is_killed() {
    if let Ok(root) = std::env::var(ROOT) {
        changeset::apply(Utf8Path::new(&root), &changes()).unwrap();
    }
}

/// Starts the process, kills it when `ready`, and gives whether it was killed before its end.
fn killed_when(ready: impl Fn(&Utf8Path) -> bool) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
    for change in &changes().changes {
        let path = root.join(&change.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(text) = &change.before {
            std::fs::write(path, text).unwrap();
        }
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed"])
        .env(ROOT, &root)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break true;
        }
        if ready(&root) {
            child.kill().unwrap();
            break child.wait().unwrap().success();
        }
        std::thread::yield_now();
    };

    changeset::recover(&root).unwrap();
    let changes = changes();
    let is = |wanted: fn(&Change) -> &Option<String>| {
        (0..FILES).all(|it| content(&root, it) == *wanted(&changes.changes[it]))
    };
    assert!(
        is(|it| &it.before) || is(|it| &it.after),
        "every file is old, or every file is new"
    );
    assert!(!root.join(".cargo-codegen").exists());
    !ended
}

#[test]
fn g01_a_killed_run_leaves_the_old_workspace_or_the_new_one() {
    let mut killed = 0;
    for _ in 0..2 {
        for moment in [
            "lock",
            "pending",
            "pending/new-9",
            "pending/new-40",
            "pending/journal.tmp",
            "pending/journal.json",
        ] {
            killed += usize::from(killed_when(|root| {
                root.join(".cargo-codegen").join(moment).exists()
            }));
        }
        for index in [0, 15, 30, 50] {
            killed += usize::from(killed_when(|root| {
                content(root, index).is_some_and(|it| it.starts_with("new"))
            }));
        }
    }
    assert!(killed > 0, "some process was killed in time");
}
