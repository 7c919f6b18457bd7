//! Planning and applying change sets on real directories.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::changeset::{
    self, Action, ApplyError, ChangeSet, ConflictReason, Edit, Output, OutputKind, PlanError,
    Request, RunLock, RunLockError, Rustfmt,
};
use cargo_codegen::workspace::{Disk, Files};

struct Project {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
        let project = Self { _dir: dir, root };
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    fn plan(&self, outputs: Vec<Output>, edits: Vec<Edit>) -> Result<ChangeSet, PlanError> {
        self.plan_with(outputs, edits, false)
    }

    fn plan_with(
        &self,
        outputs: Vec<Output>,
        edits: Vec<Edit>,
        overwrite: bool,
    ) -> Result<ChangeSet, PlanError> {
        changeset::plan(Request {
            files: &Disk::new(&self.root),
            outputs,
            edits,
            overwrite,
            recreate: Vec::new(),
            formatter: &Rustfmt::in_dir(&self.root),
        })
    }

    fn run(&self, outputs: Vec<Output>, edits: Vec<Edit>) -> ChangeSet {
        let changes = self.plan(outputs, edits).unwrap();
        changeset::apply(&self.root, &changes).unwrap();
        changes
    }
}

fn generated(path: &str, content: &str) -> Output {
    Output {
        path: path.into(),
        kind: OutputKind::Generated {
            source: "entities/contact.yaml".to_owned(),
        },
        content: content.to_owned(),
    }
}

fn owned(path: &str, content: &str) -> Output {
    Output {
        path: path.into(),
        kind: OutputKind::Owned,
        content: content.to_owned(),
    }
}

fn module(file: &str, ident: &str) -> Edit {
    Edit::Module {
        file: file.into(),
        ident: ident.to_owned(),
        public: true,
    }
}

fn action(changes: &ChangeSet, path: &str) -> Option<Action> {
    let change = changes
        .changes
        .iter()
        .find(|it| it.path == Utf8Path::new(path));
    change.map(|it| it.action)
}

fn conflicts(changes: &ChangeSet) -> Vec<(&str, ConflictReason)> {
    changes
        .conflicts
        .iter()
        .map(|it| (it.path.as_str(), it.reason))
        .collect()
}

/// Everything that a run could have touched: content, time of change, identity.
fn state(project: &Project) -> Vec<(Utf8PathBuf, String, std::time::SystemTime)> {
    let files = Disk::new(&project.root);
    let paths = files.list(Utf8Path::new("")).unwrap();
    paths
        .into_iter()
        .map(|path| {
            let modified = project
                .root
                .join(&path)
                .metadata()
                .unwrap()
                .modified()
                .unwrap();
            (path.clone(), project.read(path.as_str()), modified)
        })
        .collect()
}

const CONTACT: &str = "src/contact.rs";

fn contact() -> Vec<Output> {
    vec![generated(CONTACT, "pub struct Contact;\n")]
}

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

#[test]
fn g31_without_rustfmt_the_error_says_how_to_get_it() {
    let project = Project::new(&[]);
    let error = changeset::plan(Request {
        files: &Disk::new(&project.root),
        outputs: contact(),
        edits: Vec::new(),
        overwrite: false,
        recreate: Vec::new(),
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
