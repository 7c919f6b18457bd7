//! Planning and applying change sets on real directories.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::changeset::{
    self, Action, ChangeSet, Edit, Output, OutputKind, PlanError, Request, Rustfmt,
};
use cargo_codegen::workspace::Disk;

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

#[test]
fn a_first_run_creates_and_formats_and_a_second_touches_nothing() {
    let project = Project::new(&[("src/lib.rs", "pub mod zebra;\n")]);
    let outputs = || {
        vec![
            generated("src/contact.rs", "fn   a( ) {}\n"),
            owned("src/own.rs", "mod  x;\nfn b(){}\n"),
        ]
    };
    let edits = || vec![module("src/lib.rs", "contact")];
    let first = project.run(outputs(), edits());
    assert_eq!(action(&first, "src/contact.rs"), Some(Action::Created));
    assert_eq!(action(&first, "src/own.rs"), Some(Action::Created));
    assert_eq!(action(&first, "src/lib.rs"), Some(Action::Edited));
    assert_eq!(action(&first, "codegen.lock"), Some(Action::Created));
    assert_eq!(project.read("src/contact.rs"), "fn a() {}\n");
    assert_eq!(project.read("src/own.rs"), "mod x;\nfn b() {}\n");
    assert_eq!(
        project.read("src/lib.rs"),
        "pub mod contact;\npub mod zebra;\n"
    );
    assert!(!project.exists(".codegen"));

    let second = project.plan(outputs(), edits()).unwrap();
    assert!(second.is_noop(), "{second:#?}");
    changeset::apply(&project.root, &second).unwrap();
}
