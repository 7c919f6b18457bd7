//! A directory that change sets are planned for and applied to.

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::changeset::{
    self, Action, ChangeSet, ConflictReason, Edit, Output, OutputKind, PlanError, Request, Rustfmt,
};
use cargo_codegen::workspace::{Disk, Files};

pub(crate) struct Project {
    _dir: tempfile::TempDir,
    pub(crate) root: Utf8PathBuf,
}

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
        let project = Self { _dir: dir, root };
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    pub(crate) fn plan(
        &self,
        outputs: Vec<Output>,
        edits: Vec<Edit>,
    ) -> Result<ChangeSet, PlanError> {
        self.plan_with(outputs, edits, false)
    }

    pub(crate) fn plan_with(
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
            removed: Vec::new(),
            formatter: &Rustfmt::in_dir(&self.root),
        })
    }

    pub(crate) fn run(&self, outputs: Vec<Output>, edits: Vec<Edit>) -> ChangeSet {
        let changes = self.plan(outputs, edits).unwrap();
        changeset::apply(&self.root, &changes).unwrap();
        changes
    }
}

pub(crate) fn generated(path: &str, content: &str) -> Output {
    Output {
        path: path.into(),
        kind: OutputKind::Generated {
            source: "entities/contact.yaml".to_owned(),
        },
        content: content.to_owned(),
    }
}

pub(crate) fn owned(path: &str, content: &str) -> Output {
    Output {
        path: path.into(),
        kind: OutputKind::Owned,
        content: content.to_owned(),
    }
}

pub(crate) fn module(file: &str, ident: &str) -> Edit {
    Edit::Module {
        file: file.into(),
        ident: ident.to_owned(),
        public: true,
    }
}

pub(crate) fn action(changes: &ChangeSet, path: &str) -> Option<Action> {
    let change = changes
        .changes
        .iter()
        .find(|it| it.path == Utf8Path::new(path));
    change.map(|it| it.action)
}

pub(crate) fn conflicts(changes: &ChangeSet) -> Vec<(&str, ConflictReason)> {
    changes
        .conflicts
        .iter()
        .map(|it| (it.path.as_str(), it.reason))
        .collect()
}

/// Everything that a run could have touched: content, time of change, identity.
pub(crate) fn state(project: &Project) -> Vec<(Utf8PathBuf, String, std::time::SystemTime)> {
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

pub(crate) const CONTACT: &str = "src/contact.rs";

pub(crate) fn contact() -> Vec<Output> {
    vec![generated(CONTACT, "pub struct Contact;\n")]
}
