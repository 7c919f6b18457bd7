//! Edits of files that are the user's.

use cargo_codegen::changeset::{Action, Edit, PlanError};

use crate::project::{CONTACT, Project, action, contact, module, owned};

#[test]
fn g21_every_refused_edit_is_reported_with_its_lines() {
    let project = Project::new(&[("src/lib.rs", "include!(\"x.rs\");\n")]);
    let migration = Edit::Migration {
        file: "src/gone.rs".into(),
        ident: "m1".to_owned(),
    };
    let error = project
        .plan(contact(), vec![module("src/lib.rs", "b"), migration])
        .unwrap_err();
    let PlanError::Refused(refused) = error else {
        panic!("{error}")
    };
    let lines: Vec<_> = refused
        .iter()
        .map(|it| (it.file.as_str(), it.lines.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("src/lib.rs", "pub mod b;"),
            ("src/gone.rs", "mod m1;\nBox::new(m1::Migration),")
        ]
    );
    assert!(!project.exists(CONTACT));
}

#[test]
fn several_edits_of_one_file_follow_each_other_also_in_a_new_file() {
    let project = Project::new(&[]);
    let outputs = vec![owned("src/lib.rs", "//! Docs.\n\nmod b;\n")];
    let edits = vec![
        module("src/lib.rs", "a"),
        module("src/lib.rs", "c"),
        module("src/lib.rs", "a"),
    ];
    let changes = project.run(outputs, edits);
    assert_eq!(action(&changes, "src/lib.rs"), Some(Action::Created));
    assert_eq!(
        project.read("src/lib.rs"),
        "//! Docs.\n\npub mod a;\nmod b;\npub mod c;\n"
    );
}

#[test]
fn g20_an_edited_file_is_formatted_only_if_it_was_before() {
    let messy = "mod  b ;\nfn   main( ) { }\n";
    let project = Project::new(&[
        ("messy.rs", messy),
        ("clean.rs", "mod m10;\nmod m9;\n\nfn main() {}\n"),
    ]);
    project.run(
        Vec::new(),
        vec![module("messy.rs", "a"), module("clean.rs", "m1")],
    );
    assert_eq!(project.read("messy.rs"), format!("pub mod a;\n{messy}"));
    assert!(project.read("clean.rs").contains("pub mod m1;\n"));
}

#[test]
fn g20_a_file_that_rustfmt_refuses_is_edited_all_the_same() {
    let text = "mod b;\n\nfn main() {}\n";
    let project = Project::new(&[
        ("main.rs", text),
        ("rustfmt.toml", "required_version = \"0.0.1\"\n"),
    ]);
    project.run(Vec::new(), vec![module("main.rs", "a")]);
    assert_eq!(project.read("main.rs"), format!("pub mod a;\n{text}"));
}
