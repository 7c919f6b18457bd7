//! What rustfmt has to do with it, and the diff that is shown.

use cargo_codegen::changeset::{self, Request, Rustfmt};
use cargo_codegen::workspace::Disk;

use crate::project::{Project, contact, generated, module};

#[test]
fn g31_without_rustfmt_the_error_says_how_to_get_it() {
    let project = Project::new(&[]);
    let error = changeset::plan(Request {
        files: &Disk::new(&project.root),
        outputs: contact(),
        edits: Vec::new(),
        overwrite: false,
        recreate: Vec::new(),
        removed: Vec::new(),
        formatter: &Rustfmt::in_dir(&project.root).program("no-such-rustfmt"),
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        "rustfmt is not installed; install it with `rustup component add rustfmt`"
    );
}

#[test]
fn g29_the_nearest_rustfmt_toml_counts_for_every_file() {
    let project = Project::new(&[
        ("rustfmt.toml", "tab_spaces = 2\n"),
        ("app/.rustfmt.toml", "tab_spaces = 8\n"),
    ]);
    let text = "mod x;\nfn a() {\n    b();\n}\n";
    let leaf = "fn a() {\n    b();\n}\n";
    project.run(
        vec![
            generated("a.rs", leaf),
            generated("b.rs", text),
            generated("app/a.rs", leaf),
            generated("app/b.rs", text),
        ],
        Vec::new(),
    );
    assert_eq!(project.read("a.rs"), leaf.replace("    ", "  "));
    assert_eq!(project.read("b.rs"), text.replace("    ", "  "));
    assert_eq!(project.read("app/a.rs"), leaf.replace("    ", "        "));
    assert_eq!(project.read("app/b.rs"), text.replace("    ", "        "));
}

#[test]
fn a_file_that_rustfmt_refuses_is_named() {
    let project = Project::new(&[]);
    let outputs = vec![
        generated("good.rs", "fn a() {}\n"),
        generated("bad.rs", "fn a( {\n"),
    ];
    let error = project.plan(outputs, Vec::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("rustfmt cannot format bad.rs: "),
        "{error}"
    );
}

#[test]
fn the_diff_can_be_applied_by_other_tools() {
    let project = Project::new(&[("src/lib.rs", "mod a;\n")]);
    project.run(vec![generated("old.txt", "old\n")], Vec::new());
    let changes = project
        .plan(
            vec![generated("new.txt", "one\ntwo")],
            vec![module("src/lib.rs", "b")],
        )
        .unwrap();
    let diff = changeset::diff(&changes);
    assert!(diff.contains("--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n"), "{diff}");
    assert!(
        diff.contains("--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n"),
        "{diff}"
    );
    assert!(
        diff.contains("--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1 +1,2 @@\n mod a;\n+pub mod b;\n"),
        "{diff}"
    );
    assert_eq!(project.read("src/lib.rs"), "mod a;\n");
}
