//! Reading workspaces: what cargo says about them, and the job handlers in their code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::workspace::edit::migrator_files;
use cargo_codegen::workspace::handlers::{HandlerError, Handlers, scan};
use cargo_codegen::workspace::{FileError, Files, Workspace, discover};

struct Memory(BTreeMap<Utf8PathBuf, String>);

impl Memory {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(path, text)| ((*path).into(), (*text).to_owned()))
                .collect(),
        )
    }
}

impl Files for Memory {
    fn read(&self, path: &Utf8Path) -> Result<Option<String>, FileError> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FileError> {
        Ok(self
            .0
            .keys()
            .filter(|it| it.starts_with(dir))
            .cloned()
            .collect())
    }
}

fn handlers(files: &[(&str, &str)]) -> Result<Handlers, HandlerError> {
    scan(&Memory::new(files), Utf8Path::new("app/src/jobs"))
}

fn handler(name: &str, job_type: &str) -> String {
    format!(
        "pub struct {name};\nimpl From<&AppState> for {name} {{ fn from(_: &AppState) -> Self {{ Self }} }}\n\
         impl JobHandler for {name} {{\n    const TYPE: &'static str = \"{job_type}\";\n}}\n"
    )
}

fn places(handlers: &Handlers) -> Vec<(&str, String, usize)> {
    handlers
        .found
        .iter()
        .map(|it| {
            (
                it.job_type.as_str(),
                format!("{}::{}", it.module, it.type_name),
                it.line,
            )
        })
        .collect()
}

#[test]
fn handlers_are_found_in_every_kind_of_module() {
    let inline = format!("pub mod inner {{\n{}}}\n", handler("Inner", "inner"));
    let found = handlers(&[
        (
            "app/src/jobs/mod.rs",
            &format!(
                "pub mod flat;\n#[path = \"odd_name.rs\"]\nmod odd;\n{}",
                handler("Root", "root")
            ),
        ),
        ("app/src/jobs/flat.rs", &handler("Flat", "flat")),
        ("app/src/jobs/odd_name.rs", &handler("Odd", "odd")),
        ("app/src/jobs/deep/mod.rs", "pub mod leaf;\n"),
        ("app/src/jobs/deep/leaf.rs", &inline),
        ("app/src/jobs/match.rs", &handler("Match", "match")),
        ("app/src/jobs/gen.rs", &handler("Gen", "gen")),
        ("app/src/jobs/notes.txt", "impl JobHandler for Nothing {}"),
    ])
    .unwrap();
    assert_eq!(
        places(&found),
        [
            ("flat", "flat::Flat".to_owned(), 3),
            ("gen", "r#gen::Gen".to_owned(), 3),
            ("inner", "deep::leaf::inner::Inner".to_owned(), 4),
            ("match", "r#match::Match".to_owned(), 3),
            ("odd", "odd::Odd".to_owned(), 3),
            ("root", "::Root".to_owned(), 6),
        ]
    );
    assert!(found.notes.is_empty());
}

#[test]
fn handlers_for_tests_are_not_registered() {
    let in_tests = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}\n",
        handler("Fake", "fake")
    );
    let found = handlers(&[
        ("app/src/jobs/mod.rs", "#[cfg(test)]\nmod fixtures;\n"),
        ("app/src/jobs/fixtures.rs", &handler("Fixture", "fixture")),
        ("app/src/jobs/real.rs", &in_tests),
    ]);
    assert_eq!(found.unwrap(), Handlers::default());
}

#[test]
fn handlers_that_only_the_user_can_register_are_notes() {
    let found = handlers(&[(
        "app/src/jobs/mail.rs",
        "impl JobHandler for Mail { const TYPE: &'static str = \"mail\"; }\n\
         impl<T: Mailer> JobHandler for Any<T> { const TYPE: &'static str = \"any\"; }\n",
    )])
    .unwrap();
    assert!(found.found.is_empty());
    assert_eq!(
        found.notes,
        [
            "app/src/jobs/mail.rs:2: the handler `Any` is not registered by itself, because it has type parameters; register it in `subscriptions`",
            "app/src/jobs/mail.rs:1: the handler `Mail` is not registered by itself, because it has no `impl From<&AppState>`; register it in `subscriptions`",
        ]
    );
}

#[test]
fn handlers_that_cannot_be_told_are_errors_with_their_place() {
    let broken = handlers(&[("app/src/jobs/a.rs", "fn a() {}\nimpl {\n")]).unwrap_err();
    assert!(
        broken
            .to_string()
            .starts_with("app/src/jobs/a.rs:2: not valid Rust: "),
        "{broken}"
    );

    let computed = handlers(&[(
        "app/src/jobs/a.rs",
        "impl JobHandler for A { const TYPE: &'static str = NAME; }\n",
    )]);
    assert!(matches!(
        computed,
        Err(HandlerError::NoLiteral { line: 1, .. })
    ));

    let twice = handlers(&[
        ("app/src/jobs/a.rs", &handler("A", "mail")),
        ("app/src/jobs/b.rs", &handler("B", "mail")),
    ]);
    assert_eq!(
        twice.unwrap_err().to_string(),
        "the job type `mail` has two handlers: app/src/jobs/a.rs:3 and app/src/jobs/b.rs:3"
    );
}

#[test]
fn the_migrator_is_found_where_it_is() {
    let files = Memory::new(&[
        ("migration/src/lib.rs", "mod migrator;\n"),
        (
            "migration/src/migrator.rs",
            "impl sea_orm_migration::MigratorTrait for Migrator {}\n",
        ),
        ("migration/src/broken.rs", "impl {\n"),
    ]);
    let found = migrator_files(&files, Utf8Path::new("migration/src")).unwrap();
    assert_eq!(found, ["migration/src/migrator.rs"]);
}

fn workspace(files: &[(&str, &str)]) -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    (dir, root)
}

fn discover_in(root: &Utf8Path, manifest: &str) -> Workspace {
    discover(Some(&root.join(manifest)), true).unwrap()
}

#[test]
fn a_workspace_is_read_though_its_code_does_not_compile() {
    let (_dir, root) = workspace(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
        ),
        (
            "crates/app/Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\norm = { package = \"sea-orm\", version = \"2.0\" }\nentity = { path = \"../entity\" }\n\n[dev-dependencies]\ntower = \"0.5\"\n",
        ),
        ("crates/app/src/lib.rs", "not rust at all {{{"),
        ("crates/app/src/main.rs", "fn main() {}"),
        (
            "crates/entity/Cargo.toml",
            "[package]\nname = \"entity\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        ),
        ("crates/entity/src/lib.rs", ""),
    ]);
    let found = discover_in(&root, "crates/app/Cargo.toml");
    assert_eq!(found.root, root);
    let dirs: Vec<_> = found.packages.iter().map(|it| it.dir.as_str()).collect();
    assert_eq!(dirs, ["crates/app", "crates/entity"]);
    let app = found.package_in(Utf8Path::new("crates/app")).unwrap();
    assert_eq!((app.name.as_str(), app.edition.as_str()), ("shop", "2021"));
    assert_eq!(app.manifest(), "crates/app/Cargo.toml");
    assert_eq!(
        app.lib.as_deref(),
        Some(Utf8Path::new("crates/app/src/lib.rs"))
    );
    assert_eq!(app.bins, ["crates/app/src/main.rs"]);
    assert!(app.depends_on("sea-orm") && app.depends_on("entity") && !app.depends_on("tower"));
    assert_eq!(
        app.dependencies
            .iter()
            .find(|it| it.package == "sea-orm")
            .unwrap()
            .rename
            .as_deref(),
        Some("orm")
    );
    assert!(!root.join("Cargo.lock").exists(), "reading writes nothing");
}

#[test]
fn a_package_in_the_root_has_no_directory_of_its_own() {
    let (_dir, root) = workspace(&[
        (
            "Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        ),
        ("src/main.rs", "fn main() {}"),
    ]);
    let found = discover_in(&root, "Cargo.toml");
    assert_eq!(found.packages[0].dir, "");
    assert_eq!(found.packages[0].manifest(), "Cargo.toml");
}

#[test]
fn a_workspace_that_cargo_refuses_is_an_error_in_cargos_words() {
    let (_dir, root) = workspace(&[("Cargo.toml", "[workspace]\nmembers = [\"gone\"]\n")]);
    let error = discover(Some(&root.join("Cargo.toml")), true).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("failed to load manifest for workspace member"),
        "{error}"
    );
    let error = discover(Some(&root.join("none/Cargo.toml")), true).unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}
