//! What no definition asks for any more.

use cargo_codegen::changeset::Action;

use crate::project::{CONTACT, Project, action, contact, generated, module, owned};

#[test]
fn g08_an_orphan_goes_with_its_declaration() {
    let project = Project::new(&[("src/lib.rs", "//! Mine.\n\npub mod zebra;\n")]);
    project.run(contact(), vec![module("src/lib.rs", "contact")]);
    let changes = project.run(Vec::new(), Vec::new());
    assert_eq!(action(&changes, CONTACT), Some(Action::Deleted));
    assert_eq!(action(&changes, "src/lib.rs"), Some(Action::Edited));
    assert_eq!(project.read("src/lib.rs"), "//! Mine.\n\npub mod zebra;\n");
    assert!(!project.exists(CONTACT));
    assert!(project.plan(Vec::new(), Vec::new()).unwrap().is_noop());
}

#[test]
fn g08_an_edited_orphan_stays_and_so_does_what_it_needs() {
    let project = Project::new(&[("src/lib.rs", "")]);
    project.run(contact(), vec![module("src/lib.rs", "contact")]);
    project.write(CONTACT, "pub struct Mine;\n");
    for _ in 0..2 {
        let changes = project.run(Vec::new(), Vec::new());
        assert!(
            changes.notes[0].starts_with("src/contact.rs is kept"),
            "{:?}",
            changes.notes
        );
        assert_eq!(project.read(CONTACT), "pub struct Mine;\n");
        assert_eq!(project.read("src/lib.rs"), "pub mod contact;\n");
    }
}

#[test]
fn g08_what_is_left_of_a_definition_is_named_in_every_run() {
    let project = Project::new(&[("src/lib.rs", "pub mod contacts;\n")]);
    project.run(
        vec![
            owned(
                "src/contacts/mod.rs",
                "mod generated;\npub use generated::*;\n",
            ),
            owned("tests/contacts.rs", "mod common;\n"),
            generated("src/contacts/generated/mod.rs", "mod dto;\n"),
            generated("src/contacts/generated/dto.rs", "struct A;\n"),
        ],
        Vec::new(),
    );
    for _ in 0..2 {
        let changes = project.run(Vec::new(), Vec::new());
        assert!(!project.exists("src/contacts/generated"));
        assert_eq!(changes.notes.len(), 1, "{:?}", changes.notes);
        assert!(
            changes.notes[0].contains("delete src/contacts and tests/contacts.rs,"),
            "{:?}",
            changes.notes
        );
    }
    fs_err::remove_dir_all(project.root.join("src/contacts")).unwrap();
    assert!(project.run(Vec::new(), Vec::new()).notes.is_empty());
}
