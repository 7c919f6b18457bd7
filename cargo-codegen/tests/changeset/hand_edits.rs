//! A hand edit is found, told of, and never lost.

use cargo_codegen::changeset::{self, Action, ApplyError, ConflictReason, Request, Rustfmt};
use cargo_codegen::workspace::Disk;

use crate::project::{CONTACT, Project, action, conflicts, contact, generated, owned, state};

#[test]
fn g04_a_hand_edit_stops_the_run_and_nothing_is_written() {
    let project = Project::new(&[]);
    project.run(contact(), Vec::new());
    project.write(CONTACT, "pub struct Contact; // mine\n");
    let outputs = || {
        vec![
            generated(CONTACT, "pub struct Contact2;\n"),
            generated("src/b.rs", "fn b() {}\n"),
        ]
    };
    let before = state(&project);

    let changes = project.plan(outputs(), Vec::new()).unwrap();
    assert_eq!(
        conflicts(&changes),
        [(CONTACT, ConflictReason::EditedByHand)]
    );
    assert!(matches!(
        changeset::apply(&project.root, &changes),
        Err(ApplyError::Conflicts(_))
    ));
    assert_eq!(state(&project), before);
    let diff = changeset::diff_conflict(&changes.conflicts[0]);
    assert!(
        diff.contains("-pub struct Contact; // mine\n+pub struct Contact2;\n"),
        "{diff}"
    );

    let forced = project.plan_with(outputs(), Vec::new(), true).unwrap();
    changeset::apply(&project.root, &forced).unwrap();
    assert_eq!(project.read(CONTACT), "pub struct Contact2;\n");
    assert!(project.plan(outputs(), Vec::new()).unwrap().is_noop());
}

#[test]
fn g05_a_hand_edit_is_found_though_the_definition_did_not_change() {
    let project = Project::new(&[]);
    project.run(contact(), Vec::new());
    project.write(CONTACT, "pub struct Mine;\n");
    for _ in 0..2 {
        let changes = project.plan(contact(), Vec::new()).unwrap();
        assert_eq!(
            conflicts(&changes),
            [(CONTACT, ConflictReason::EditedByHand)]
        );
    }
    // Taken back by hand, it is as if nothing had been.
    project.write(CONTACT, "pub struct Contact;\n");
    assert!(project.plan(contact(), Vec::new()).unwrap().is_noop());
}

#[test]
fn g04_what_the_formatter_of_the_user_did_is_no_hand_edit() {
    let project = Project::new(&[]);
    let outputs = || vec![generated(CONTACT, "fn a() {\n    b();\n}\n")];
    project.run(outputs(), Vec::new());
    project.write("rustfmt.toml", "tab_spaces = 2\n");
    project.write(CONTACT, "fn a() {\n  b();\n}\n");
    let changes = project.run(outputs(), Vec::new());
    assert_eq!(conflicts(&changes), []);
    assert_eq!(action(&changes, CONTACT), Some(Action::Unchanged));
    assert_eq!(action(&changes, "codegen.lock"), Some(Action::Updated));
}

#[test]
fn g06_a_deleted_generated_file_comes_back_and_a_deleted_owned_file_does_not() {
    let project = Project::new(&[]);
    let outputs = || {
        vec![
            generated(CONTACT, "fn a() {}\n"),
            owned("src/own.rs", "fn b() {}\n"),
        ]
    };
    project.run(outputs(), Vec::new());
    std::fs::remove_file(project.root.join(CONTACT)).unwrap();
    std::fs::remove_file(project.root.join("src/own.rs")).unwrap();

    let changes = project.run(outputs(), Vec::new());
    assert_eq!(action(&changes, CONTACT), Some(Action::Created));
    assert_eq!(action(&changes, "src/own.rs"), None);
    assert!(changes.notes[0].starts_with("src/own.rs was written once and deleted since"));
    assert!(!project.exists("src/own.rs"));
    assert!(project.plan(outputs(), Vec::new()).unwrap().is_noop());

    let asked = changeset::plan(Request {
        files: &Disk::new(&project.root),
        outputs: outputs(),
        edits: Vec::new(),
        overwrite: false,
        recreate: vec!["src/own.rs".into()],
        removed: Vec::new(),
        formatter: &Rustfmt::in_dir(&project.root),
    });
    assert_eq!(action(&asked.unwrap(), "src/own.rs"), Some(Action::Created));
}

#[test]
fn g06_an_owned_file_that_nothing_asks_for_is_forgotten_with_the_next_change() {
    let project = Project::new(&[]);
    project.run(vec![owned("src/own.rs", "fn b() {}\n")], Vec::new());
    assert!(project.plan(Vec::new(), Vec::new()).unwrap().is_noop());
    std::fs::remove_file(project.root.join("src/own.rs")).unwrap();
    assert!(
        project.plan(Vec::new(), Vec::new()).unwrap().is_noop(),
        "no reason of its own to write"
    );
    project.run(contact(), Vec::new());
    assert!(!project.read("codegen.lock").contains("own.rs"));
}

#[test]
fn g07_a_file_that_no_run_has_written_is_not_overwritten() {
    let project = Project::new(&[(CONTACT, "pub struct Mine;\n")]);
    let changes = project.plan(contact(), Vec::new()).unwrap();
    assert_eq!(
        conflicts(&changes),
        [(CONTACT, ConflictReason::NotGenerated)]
    );
    // The very file that would be written is taken over.
    project.write(CONTACT, "pub struct Contact;\n");
    let changes = project.run(contact(), Vec::new());
    assert_eq!(action(&changes, CONTACT), Some(Action::Unchanged));
    project.write(CONTACT, "pub struct Mine;\n");
    let changes = project.plan(contact(), Vec::new()).unwrap();
    assert_eq!(
        conflicts(&changes),
        [(CONTACT, ConflictReason::EditedByHand)]
    );
}

#[test]
fn g07_an_owned_file_that_exists_is_kept() {
    let project = Project::new(&[("src/own.rs", "fn   mine( ) {}\n")]);
    let changes = project.run(vec![owned("src/own.rs", "fn b() {}\n")], Vec::new());
    assert_eq!(action(&changes, "src/own.rs"), Some(Action::Kept));
    assert_eq!(project.read("src/own.rs"), "fn   mine( ) {}\n");
}
