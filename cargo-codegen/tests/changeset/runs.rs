//! One run after the other, and two at a time.

use cargo_codegen::changeset::{self, Action, ApplyError, RunLock, RunLockError};

use crate::project::{CONTACT, Project, action, contact, generated, module, owned, state};

#[test]
fn g22_a_second_run_touches_no_file() {
    let project = Project::new(&[("src/lib.rs", "pub mod zebra;\n")]);
    let outputs = || {
        vec![
            generated(CONTACT, "fn   a( ) {}\n"),
            owned("src/own.rs", "mod  x;\nfn b(){}\n"),
        ]
    };
    let edits = || vec![module("src/lib.rs", "contact")];
    let first = project.run(outputs(), edits());
    assert_eq!(action(&first, CONTACT), Some(Action::Created));
    assert_eq!(action(&first, "src/own.rs"), Some(Action::Created));
    assert_eq!(action(&first, "src/lib.rs"), Some(Action::Edited));
    assert_eq!(action(&first, "codegen.lock"), Some(Action::Created));
    assert_eq!(project.read(CONTACT), "fn a() {}\n");
    assert_eq!(project.read("src/own.rs"), "mod x;\nfn b() {}\n");
    assert_eq!(
        project.read("src/lib.rs"),
        "pub mod contact;\npub mod zebra;\n"
    );

    let before = state(&project);
    let second = project.run(outputs(), edits());
    assert!(second.is_noop(), "{second:#?}");
    assert_eq!(action(&second, CONTACT), Some(Action::Unchanged));
    assert_eq!(action(&second, "src/own.rs"), Some(Action::Kept));
    assert_eq!(action(&second, "src/lib.rs"), Some(Action::Unchanged));
    assert_eq!(state(&project), before);
    assert!(!project.exists(".cargo-codegen"));
}

#[test]
fn g22_the_order_of_the_outputs_does_not_matter() {
    let project = Project::new(&[]);
    let mut outputs = vec![
        generated("b.rs", "fn b() {}\n"),
        generated("a.rs", "fn a() {}\n"),
        owned("c.rs", "mod x;\n"),
        generated("d.json", "{}\n"),
    ];
    let one = project.plan(outputs.clone(), Vec::new()).unwrap();
    outputs.reverse();
    assert_eq!(project.plan(outputs, Vec::new()).unwrap(), one);
}

#[test]
fn g23_a_second_run_says_who_is_writing() {
    let project = Project::new(&[]);
    let changes = project.plan(contact(), Vec::new()).unwrap();
    let lock = RunLock::acquire(&project.root).unwrap();
    let error = changeset::apply(&project.root, &changes).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    drop(lock);
    changeset::apply(&project.root, &changes).unwrap();
    assert!(!project.exists(".cargo-codegen"));
}

#[test]
fn g23_never_two_runs_hold_the_lock() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let project = Project::new(&[]);
    let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while taken.load(Ordering::SeqCst) < 400 {
                    match RunLock::acquire(&project.root) {
                        Ok(lock) => {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            taken.fetch_add(1, Ordering::SeqCst);
                            drop(lock);
                        }
                        Err(RunLockError::Held { .. }) => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert!(!project.exists(".cargo-codegen"));
}

#[test]
fn g23_a_file_that_changed_since_the_plan_stops_the_run() {
    let project = Project::new(&[("src/lib.rs", "mod a;\n")]);
    let changes = project
        .plan(contact(), vec![module("src/lib.rs", "b")])
        .unwrap();
    project.write("src/lib.rs", "mod a;\nmod z;\n");
    let error = changeset::apply(&project.root, &changes).unwrap_err();
    assert!(
        matches!(&error, ApplyError::Changed { path } if path == "src/lib.rs"),
        "{error}"
    );
    assert!(!project.exists(CONTACT) && !project.exists(".cargo-codegen"));
}

#[test]
fn g25_an_unresolved_merge_is_generated_anew() {
    let project = Project::new(&[]);
    project.run(contact(), Vec::new());
    let ours = project.read("codegen.lock");
    let theirs = ours.replace("src/contact.rs", "src/gone.rs");
    project.write(
        "codegen.lock",
        &format!("<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n"),
    );
    project.write(
        CONTACT,
        "<<<<<<< HEAD\nstruct A;\n=======\nstruct B;\n>>>>>>> other\n",
    );
    let changes = project.run(contact(), Vec::new());
    assert_eq!(project.read(CONTACT), "pub struct Contact;\n");
    assert_eq!(project.read("codegen.lock"), ours);
    assert!(
        changes.notes[0].contains("unresolved merge"),
        "{:?}",
        changes.notes
    );
}

#[test]
fn g26_a_lock_of_a_newer_version_is_refused() {
    let project = Project::new(&[("codegen.lock", "version = 99\nnew = true\n")]);
    let error = project.plan(contact(), Vec::new()).unwrap_err();
    assert!(
        error.to_string().contains("update cargo-codegen"),
        "{error}"
    );
    project.write("codegen.lock", "nonsense\n");
    let error = project.plan(contact(), Vec::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("restore it from version control"),
        "{error}"
    );
}
