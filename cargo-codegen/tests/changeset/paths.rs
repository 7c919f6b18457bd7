//! Links, line endings, permissions, and paths that lead elsewhere.

use camino::Utf8Path;
use cargo_codegen::changeset::{self, ApplyError, PlanError, Request, Rustfmt};
use cargo_codegen::workspace::{Disk, Files};

use crate::project::{CONTACT, Project, contact, generated, module};

#[cfg(unix)]
#[test]
fn g09_links_inside_the_workspace_are_followed_and_kept() {
    let project = Project::new(&[("real/lib.rs", "pub mod a;\n"), ("real/dir/x.txt", "")]);
    std::fs::create_dir(project.root.join("src")).unwrap();
    std::os::unix::fs::symlink("../real/lib.rs", project.root.join("src/lib.rs")).unwrap();
    std::os::unix::fs::symlink("../real/dir", project.root.join("src/dir")).unwrap();
    project.run(
        vec![generated("src/dir/b.rs", "fn b() {}\n")],
        vec![module("src/lib.rs", "b")],
    );
    assert_eq!(project.read("real/lib.rs"), "pub mod a;\npub mod b;\n");
    assert_eq!(project.read("real/dir/b.rs"), "fn b() {}\n");
    assert!(project.root.join("src/lib.rs").is_symlink());
    assert!(project.root.join("src/dir").is_symlink());
}

#[cfg(unix)]
#[test]
fn g09_links_out_of_the_workspace_are_refused() {
    let outside = Project::new(&[("lib.rs", "pub mod a;\n")]);
    let project = Project::new(&[]);
    std::os::unix::fs::symlink(outside.root.join("lib.rs"), project.root.join("lib.rs")).unwrap();
    std::os::unix::fs::symlink(&outside.root, project.root.join("dir")).unwrap();
    std::os::unix::fs::symlink("nowhere", project.root.join("dangling.rs")).unwrap();

    let edit = project
        .plan(Vec::new(), vec![module("lib.rs", "b")])
        .unwrap();
    let error = changeset::apply(&project.root, &edit).unwrap_err();
    assert!(matches!(error, ApplyError::Outside { .. }), "{error}");

    let new = project
        .plan(
            vec![
                generated("a.rs", ""),
                generated("dir/new.rs", "fn b() {}\n"),
            ],
            Vec::new(),
        )
        .unwrap();
    let error = changeset::apply(&project.root, &new).unwrap_err();
    assert!(matches!(error, ApplyError::Outside { .. }), "{error}");

    let dangling = project
        .plan(vec![generated("dangling.rs", "fn b() {}\n")], Vec::new())
        .unwrap();
    let error = changeset::apply(&project.root, &dangling).unwrap_err();
    assert!(error.to_string().contains("leads nowhere"), "{error}");

    assert_eq!(outside.read("lib.rs"), "pub mod a;\n");
    assert!(
        !project.exists("a.rs") && !project.exists(".cargo-codegen") && !outside.exists("new.rs")
    );
}

#[cfg(unix)]
#[test]
fn g09_a_link_to_a_directory_above_is_no_endless_walk() {
    let project = Project::new(&[("jobs/a.rs", "")]);
    std::os::unix::fs::symlink("..", project.root.join("jobs/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", project.root.join("jobs/.#a.rs")).unwrap();
    let found = Disk::new(&project.root)
        .list(Utf8Path::new("jobs"))
        .unwrap();
    assert_eq!(found, ["jobs/a.rs"]);
}

#[test]
fn g10_generated_files_with_other_line_endings_are_no_hand_edit_and_keep_them() {
    let project = Project::new(&[]);
    let outputs = |text: &str| vec![generated(CONTACT, text)];
    project.run(outputs("fn a() {}\nfn b() {}\n"), Vec::new());
    // As version control does on checkout.
    for path in [CONTACT, "codegen.lock"] {
        project.write(path, &project.read(path).replace('\n', "\r\n"));
    }
    assert!(
        project
            .plan(outputs("fn a() {}\nfn b() {}\n"), Vec::new())
            .unwrap()
            .is_noop()
    );

    project.run(outputs("fn a() {}\nfn c() {}\n"), Vec::new());
    assert_eq!(project.read(CONTACT), "fn a() {}\r\nfn c() {}\r\n");
    assert!(
        !project
            .read("codegen.lock")
            .replace("\r\n", "")
            .contains('\n')
    );
    assert!(
        project
            .plan(outputs("fn a() {}\nfn c() {}\n"), Vec::new())
            .unwrap()
            .is_noop()
    );
}

#[test]
fn g11_a_file_that_is_not_utf8_is_an_error_with_its_path() {
    let project = Project::new(&[]);
    std::fs::create_dir(project.root.join("src")).unwrap();
    std::fs::write(project.root.join(CONTACT), b"fn a() {} // \xff\n").unwrap();
    let error = project.plan(contact(), Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "src/contact.rs is not UTF-8 (byte 13 is the first that is not)"
    );
}

#[test]
fn g03_write_protected_files_and_directories_are_named_and_nothing_is_written() {
    let project = Project::new(&[("src/lib.rs", "mod a;\n"), ("locked/x", "")]);
    let protect = |path: &str, readonly: bool| {
        let path = project.root.join(path);
        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_readonly(readonly);
        std::fs::set_permissions(path, permissions).unwrap();
    };
    let outputs = vec![
        generated("a/new.rs", "fn a() {}\n"),
        generated("locked/new.rs", "fn a() {}\n"),
    ];

    protect("src/lib.rs", true);
    let changes = project
        .plan(outputs.clone(), vec![module("src/lib.rs", "b")])
        .unwrap();
    let error = changeset::apply(&project.root, &changes).unwrap_err();
    protect("src/lib.rs", false);
    assert_eq!(error.to_string(), "src/lib.rs is read-only");

    protect("locked", true);
    let error = changeset::apply(&project.root, &changes).unwrap_err();
    protect("locked", false);
    assert_eq!(error.to_string(), "locked is read-only");
    assert!(
        !project.exists("a")
            && !project.exists("codegen.lock")
            && !project.exists(".cargo-codegen")
    );
}

#[cfg(unix)]
#[test]
fn permissions_of_a_file_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::new(&[("src/lib.rs", "mod a;\n")]);
    let path = project.root.join("src/lib.rs");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    project.run(Vec::new(), vec![module("src/lib.rs", "b")]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn g16_paths_that_leave_the_workspace_are_refused() {
    let project = Project::new(&[]);
    for path in [
        "../x.rs",
        "/abs.rs",
        "a/../../x.rs",
        "a\\..\\x.rs",
        "",
        "codegen.lock",
        ".cargo-codegen/x",
        ".git/hooks/x",
    ] {
        let error = project
            .plan(vec![generated(path, "")], Vec::new())
            .unwrap_err();
        assert!(matches!(error, PlanError::Path { .. }), "{path}: {error}");
    }
    let error = project
        .plan(Vec::new(), vec![module("../lib.rs", "x")])
        .unwrap_err();
    assert!(matches!(error, PlanError::Path { .. }), "{error}");
}

#[test]
fn g15_two_outputs_for_one_file_are_refused() {
    let project = Project::new(&[]);
    let outputs = vec![generated("src/user.rs", "a"), generated("src/User.rs", "b")];
    let error = project.plan(outputs, Vec::new()).unwrap_err();
    assert!(matches!(error, PlanError::Collision { .. }), "{error}");
}

#[test]
fn a_new_workspace_directory_is_created_and_goes_again_on_failure() {
    let project = Project::new(&[]);
    let root = project.root.join("shop");
    let plan = |path: &str| {
        changeset::plan(Request {
            files: &Disk::new(&root),
            outputs: vec![generated(path, "text\n")],
            edits: Vec::new(),
            overwrite: false,
            recreate: Vec::new(),
            removed: Vec::new(),
            formatter: &Rustfmt::in_dir(&root),
        })
        .unwrap()
    };
    let mut wrong = plan("a.txt");
    wrong.changes[0].before = Some("never there".to_owned());
    assert!(changeset::apply(&root, &wrong).is_err());
    assert!(!root.exists());
    changeset::apply(&root, &plan("a.txt")).unwrap();
    assert_eq!(project.read("shop/a.txt"), "text\n");
}
