//! Runs that are interrupted at every step they take.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::changeset::{recover, recover_around};
use crate::workspace::{Disk, Files};

type Tree = BTreeMap<Utf8PathBuf, String>;

struct Scene {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
    before: Tree,
    after: Tree,
    changes: ChangeSet,
}

fn tree(files: &[(&str, &str)]) -> Tree {
    files
        .iter()
        .map(|(path, text)| ((*path).into(), (*text).to_owned()))
        .collect()
}

fn scene() -> Scene {
    let before = tree(&[
        ("Cargo.toml", "[workspace]\n"),
        ("gone/deep/old.rs", "old\n"),
        ("src/contact.rs", "one\n"),
        ("src/lib.rs", "mod contact;\n"),
    ]);
    let after = tree(&[
        ("Cargo.toml", "[workspace]\n"),
        ("new/deep/own.rs", "own\n"),
        ("src/account.rs", "two\n"),
        ("src/contact.rs", "three\n"),
        ("src/lib.rs", "mod account;\nmod contact;\n"),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
    for (path, text) in &before {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    let mut paths: Vec<&Utf8PathBuf> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    let change = |path: &Utf8PathBuf| {
        let (before, after) = (before.get(path).cloned(), after.get(path).cloned());
        let action = match (&before, &after) {
            (None, _) => Action::Created,
            (_, None) => Action::Deleted,
            _ if before == after => Action::Unchanged,
            _ => Action::Updated,
        };
        Change {
            path: path.clone(),
            action,
            before,
            after,
        }
    };
    let changes = ChangeSet {
        changes: paths.into_iter().map(change).collect(),
        ..ChangeSet::default()
    };
    Scene {
        _dir: dir,
        root,
        before,
        after,
        changes,
    }
}

impl Scene {
    fn tree(&self) -> Tree {
        let files = Disk::new(&self.root);
        let paths = files.list(Utf8Path::new("")).unwrap();
        paths
            .into_iter()
            .filter(|it| !it.starts_with(crate::changeset::STATE_DIR))
            .map(|path| {
                let text = files.read(&path).unwrap().unwrap();
                (path, text)
            })
            .collect()
    }

    /// Dies at the given step, as a process would: nothing is taken back. Gives whether there was such a step.
    fn die_at(&self, step: usize) -> bool {
        let taken = Cell::new(0);
        let probe = |_: &Utf8Path| {
            taken.set(taken.get() + 1);
            assert!(taken.get() != step, "killed");
        };
        catch_unwind(AssertUnwindSafe(|| {
            apply_probed(&self.root, &self.changes, &probe).unwrap();
        }))
        .is_err()
    }
}

#[test]
fn g01_a_run_that_died_at_any_step_is_finished_or_undone_by_the_next() {
    let (mut old, mut new) = (0, 0);
    for step in 1.. {
        let scene = scene();
        if !scene.die_at(step) {
            assert_eq!(scene.tree(), scene.after);
            break;
        }
        recover(&scene.root).unwrap();
        match scene.tree() {
            tree if tree == scene.before => old += 1,
            tree if tree == scene.after => new += 1,
            torn => panic!("torn at step {step}: {torn:#?}"),
        }
        assert!(
            !scene.root.join(".cargo-codegen").exists(),
            "nothing is left behind"
        );
        assert!(recover(&scene.root).unwrap().is_none());
    }
    assert!(
        old > 0 && new > 4,
        "both sides of the journal were tried: {old}, {new}"
    );
}

#[test]
fn g01_the_next_run_recovers_by_itself_and_says_what_has_changed() {
    let scene = scene();
    assert!(scene.die_at(3));
    let again = apply(&scene.root, &scene.changes);
    assert!(
        matches!(again, Err(ApplyError::Changed { .. })),
        "{again:?}"
    );
    assert_eq!(scene.tree(), scene.after);
}

#[test]
fn g01_a_file_edited_after_the_crash_is_left_alone() {
    let scene = scene();
    assert!(scene.die_at(2));
    fs::write(scene.root.join("src/contact.rs"), "mine\n").unwrap();
    let recovery = recover(&scene.root).unwrap().unwrap();
    assert!(recovery.finished);
    assert_eq!(recovery.left, ["src/contact.rs"]);
    assert_eq!(
        fs::read_to_string(scene.root.join("src/contact.rs")).unwrap(),
        "mine\n"
    );
}

#[test]
fn g02_a_failure_at_any_file_undoes_all_of_them() {
    let steps = scene()
        .changes
        .changes
        .iter()
        .filter(|it| it.action != Action::Unchanged)
        .count();
    for failing in 0..steps {
        let scene = scene();
        let taken = Cell::new(0);
        // A directory appears where a file was to go: no rename can succeed.
        let probe = |path: &Utf8Path| {
            if path == "journal" || path == "clear" {
                return;
            }
            if taken.get() == failing {
                let target = scene.root.join(path);
                let _ = fs::remove_file(&target);
                fs::create_dir_all(target.join("in the way")).unwrap();
            }
            taken.set(taken.get() + 1);
        };
        let result = apply_probed(&scene.root, &scene.changes, &probe);
        assert!(result.is_err(), "step {failing}");
        let blocked: Vec<Utf8PathBuf> = scene
            .changes
            .changes
            .iter()
            .filter(|it| scene.root.join(&it.path).is_dir())
            .map(|it| it.path.clone())
            .collect();
        assert_eq!(blocked.len(), 1);
        let mut expected = scene.before.clone();
        expected.remove(&blocked[0]);
        let mut found = scene.tree();
        found.remove(&blocked[0]);
        assert_eq!(found, expected, "step {failing}");
    }
}

#[test]
fn g02_a_file_edited_during_the_run_undoes_it() {
    let scene = scene();
    let probe = |path: &Utf8Path| {
        if path == "src/lib.rs" {
            fs::write(scene.root.join(path), "mine\n").unwrap();
        }
    };
    let result = apply_probed(&scene.root, &scene.changes, &probe);
    assert!(
        matches!(result, Err(ApplyError::Changed { .. })),
        "{result:?}"
    );
    let mut expected = scene.before.clone();
    expected.insert("src/lib.rs".into(), "mine\n".to_owned());
    assert_eq!(scene.tree(), expected);
}

#[test]
fn g08_directories_that_a_run_empties_go() {
    let scene = scene();
    apply(&scene.root, &scene.changes).unwrap();
    assert_eq!(scene.tree(), scene.after);
    assert!(!scene.root.join("gone").exists());
    assert!(!scene.root.join(".cargo-codegen").exists());
}

#[test]
fn g01_an_interrupted_run_is_found_from_a_directory_below_and_told() {
    let scene = scene();
    assert!(scene.die_at(4));
    let recovery = recover_around(&scene.root.join("src")).unwrap().unwrap();
    assert_eq!(
        recovery.to_string(),
        "an earlier run was interrupted; it is finished now (5 files)"
    );
    assert_eq!(scene.tree(), scene.after);
    assert!(
        recover_around(&scene.root.join("nowhere"))
            .unwrap()
            .is_none()
    );
}
