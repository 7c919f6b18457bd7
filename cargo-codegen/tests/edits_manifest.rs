//! Entries in `Cargo.toml` and `codegen.yaml`.

use cargo_codegen::changeset::Edit;
use cargo_codegen::workspace::edit::{Refused, apply};

fn dependency(name: &str, spec: &str) -> Edit {
    Edit::Dependency {
        file: "app/Cargo.toml".into(),
        name: name.to_owned(),
        spec: spec.to_owned(),
        dev: false,
    }
}

fn dev_dependency(name: &str, spec: &str) -> Edit {
    Edit::Dependency {
        file: "app/Cargo.toml".into(),
        name: name.to_owned(),
        spec: spec.to_owned(),
        dev: true,
    }
}

fn workspace_dependency(name: &str, spec: &str) -> Edit {
    Edit::WorkspaceDependency {
        file: "Cargo.toml".into(),
        name: name.to_owned(),
        spec: spec.to_owned(),
    }
}

fn member(member: &str) -> Edit {
    Edit::Member {
        file: "Cargo.toml".into(),
        member: member.to_owned(),
    }
}

fn block(key: &str, body: &str) -> Edit {
    Edit::ConfigBlock {
        file: "codegen.yaml".into(),
        key: key.to_owned(),
        body: body.to_owned(),
    }
}

#[track_caller]
fn check_in(root: Option<&str>, before: &str, edit: &Edit, after: &str) {
    let run = |text: &str| apply(text, edit, root);
    assert_eq!(run(before), Ok(Some(after.to_owned())));
    assert_eq!(run(after), Ok(None), "a second run changes nothing");
    let crlf = |text: &str| text.replace('\n', "\r\n");
    if before.contains('\n') {
        assert_eq!(run(&crlf(before)), Ok(Some(crlf(after))), "CRLF is kept");
        assert_eq!(run(&crlf(after)), Ok(None));
    }
}

#[track_caller]
fn check(before: &str, edit: &Edit, after: &str) {
    check_in(None, before, edit, after);
}

#[track_caller]
fn unchanged(text: &str, edit: &Edit) {
    assert_eq!(apply(text, edit, None), Ok(None));
}

#[track_caller]
fn refused(text: &str, edit: &Edit) -> Refused {
    match apply(text, edit, None) {
        Err(refused) => refused,
        Ok(text) => panic!("not refused: {text:?}"),
    }
}

#[test]
fn g18_sorted_dependencies_stay_sorted_and_comments_stay() {
    check(
        "# app\n[package]\nname = \"app\" # the app\n\n[dependencies]\n# web\naxum = \"0.8\"   # http\nuuid    = { version = \"1\" }\n\n[dev-dependencies]\ntower = \"0.5\"\n",
        &dependency("serde", "{ version = \"1.0\", features = [\"derive\"] }"),
        "# app\n[package]\nname = \"app\" # the app\n\n[dependencies]\n# web\naxum = \"0.8\"   # http\nserde = { version = \"1.0\", features = [\"derive\"] }\nuuid    = { version = \"1\" }\n\n[dev-dependencies]\ntower = \"0.5\"\n",
    );
}

#[test]
fn g18_unsorted_dependencies_grow_at_their_end() {
    check(
        "[dependencies]\nuuid = \"1\"\naxum = \"0.8\" # last\n\n[features]\na = []\n",
        &dependency("serde", "\"1.0\""),
        "[dependencies]\nuuid = \"1\"\naxum = \"0.8\" # last\nserde = \"1.0\"\n\n[features]\na = []\n",
    );
}

#[test]
fn g18_a_missing_or_empty_table() {
    check(
        "[package]\nname = \"app\"\n\n[dependencies]\n",
        &dependency("serde", "\"1.0\""),
        "[package]\nname = \"app\"\n\n[dependencies]\nserde = \"1.0\"\n",
    );
    check(
        "[package]\nname = \"app\"\n",
        &dependency("serde", "\"1.0\""),
        "[package]\nname = \"app\"\n\n[dependencies]\nserde = \"1.0\"\n",
    );
    check(
        "[package]\nname = \"app\"\n\n[dependencies]\naxum = \"0.8\"\n\n[lints]\nworkspace = true\n",
        &dev_dependency("tower", "\"0.5\""),
        "[package]\nname = \"app\"\n\n[dependencies]\naxum = \"0.8\"\n\n[dev-dependencies]\ntower = \"0.5\"\n\n[lints]\nworkspace = true\n",
    );
    check(
        "[package]\nname = \"app\"\n\n[dependencies.axum]\nversion = \"0.8\"\n\n[lints]\nworkspace = true\n",
        &dependency("serde", "\"1.0\""),
        "[package]\nname = \"app\"\n\n[dependencies]\nserde = \"1.0\"\n\n[dependencies.axum]\nversion = \"0.8\"\n\n[lints]\nworkspace = true\n",
    );
}

const ROOT: &str = "[workspace]\nmembers = [\"app\"]\n\n[workspace.dependencies]\nserde = { version = \"1.0\", features = [\"derive\"] }\nuuid = \"1.2\"\nold = \"1.0\"\n";

#[test]
fn g18_what_the_workspace_declares_is_inherited() {
    let run = |before: &str, edit: &Edit, after: &str| check_in(Some(ROOT), before, edit, after);
    run(
        "[dependencies]\naxum.workspace = true\n",
        &dependency("serde", "{ version = \"1\", features = [\"derive\"] }"),
        "[dependencies]\naxum.workspace = true\nserde.workspace = true\n",
    );
    run(
        "[dependencies]\n",
        &dependency("uuid", "{ version = \"1.0\", features = [\"v7\"] }"),
        "[dependencies]\nuuid = { workspace = true, features = [\"v7\"] }\n",
    );
    run(
        "[dependencies]\n",
        &dependency("tracing", "\"0.1\""),
        "[dependencies]\ntracing = \"0.1\"\n",
    );
    let old = apply(
        "[dependencies]\n",
        &dependency("old", "\"2.0\""),
        Some(ROOT),
    );
    assert!(old.unwrap_err().why.contains("written for `2.0`"));
}

#[test]
fn g18_dependencies_that_are_there_are_seen() {
    let edit = dependency("serde", "\"1.0\"");
    for text in [
        "[dependencies]\nserde = \"1.0.200\"\n",
        "[dependencies]\nserde.workspace = true\n",
        "[dependencies]\nserde = { path = \"../serde\" }\n",
        "[dependencies.serde]\ngit = \"https://example.com/serde\"\n",
        "dependencies = { serde = \"1\" }\n",
        "dependencies.serde = \"1\"\n",
        "[dependencies]\n\"serde\" = { version = \">=1\", optional = true }\n",
        "[target.'cfg(unix)'.dependencies]\nserde = \"1\"\n",
    ] {
        unchanged(text, &edit);
    }
    unchanged(
        "[dependencies]\ntower = \"0.5\"\n",
        &dev_dependency("tower", "\"0.5\""),
    );
}

#[test]
fn g18_missing_features_are_added_to_what_is_there() {
    let edit = dependency(
        "uuid",
        "{ version = \"1\", features = [\"serde\", \"v7\"] }",
    );
    check(
        "[dependencies]\nuuid = \"1.2\" # ids\n",
        &edit,
        "[dependencies]\nuuid = { version = \"1.2\", features = [\"serde\", \"v7\"] } # ids\n",
    );
    check(
        "[dependencies]\nuuid = { version = \"1\", features = [\"v4\", \"serde\"], optional = true }\n",
        &edit,
        "[dependencies]\nuuid = { version = \"1\", features = [\"v4\", \"serde\", \"v7\"], optional = true }\n",
    );
    check(
        "[dependencies]\nuuid.workspace = true\nzebra = \"1\"\n",
        &edit,
        "[dependencies]\nuuid.workspace = true\nuuid.features = [\"serde\", \"v7\"]\nzebra = \"1\"\n",
    );
    check(
        "[dependencies.uuid]\nversion = \"1\"\nfeatures = [\n    \"v4\", # random\n]\n\n[features]\n",
        &edit,
        "[dependencies.uuid]\nversion = \"1\"\nfeatures = [\n    \"v4\", # random\n    \"serde\",\n    \"v7\",\n]\n\n[features]\n",
    );
    check(
        "[dependencies]\ntokio = \"1\"\n",
        &dev_dependency("tokio", "{ version = \"1\", features = [\"test-util\"] }"),
        "[dependencies]\ntokio = \"1\"\n\n[dev-dependencies]\ntokio = { version = \"1\", features = [\"test-util\"] }\n",
    );
}

#[test]
fn g18_what_the_generated_code_could_not_use_is_refused() {
    let edit = dependency("sea-orm", "\"2.0\"");
    let other_version = refused("[dependencies]\nsea-orm = \"1.1\"\n", &edit);
    assert!(
        other_version.why.contains("version `1.1`"),
        "{other_version:?}"
    );
    let renamed = refused(
        "[dependencies]\norm = { package = \"sea-orm\", version = \"2\" }\n",
        &edit,
    );
    assert!(renamed.why.contains("`orm`"), "{renamed:?}");
    let taken = refused(
        "[dependencies]\nsea-orm = { package = \"other\", version = \"2\" }\n",
        &edit,
    );
    assert!(taken.why.contains("`other`"), "{taken:?}");
    let broken = refused("[dependencies\n", &edit);
    assert_eq!(broken.lines, "[dependencies]\nsea-orm = \"2.0\"");
}

#[test]
fn g18_dotted_and_inline_tables_grow_in_their_own_style() {
    check(
        "dependencies = { axum = \"0.8\" }\n",
        &dependency("serde", "\"1.0\""),
        "dependencies = { axum = \"0.8\", serde = \"1.0\" }\n",
    );
    check(
        "dependencies.axum = \"0.8\"\n\n[package]\nname = \"a\"\n",
        &dependency("serde", "\"1.0\""),
        "dependencies.axum = \"0.8\"\ndependencies.serde = \"1.0\"\n\n[package]\nname = \"a\"\n",
    );
}

#[test]
fn g18_shared_dependencies_of_the_workspace() {
    check(
        "[workspace]\nmembers = []\n\n[workspace.dependencies]\naxum = \"0.8\"\n",
        &workspace_dependency("runtime-sea", "{ path = \"runtime-sea\" }"),
        "[workspace]\nmembers = []\n\n[workspace.dependencies]\naxum = \"0.8\"\nruntime-sea = { path = \"runtime-sea\" }\n",
    );
    check(
        "[workspace]\nmembers = []\n",
        &workspace_dependency("axum", "\"0.8\""),
        "[workspace]\nmembers = []\n\n[workspace.dependencies]\naxum = \"0.8\"\n",
    );
}

#[test]
fn g18_members_keep_their_layout() {
    check(
        "[workspace]\nmembers = [\"app\", \"zebra\"]\n",
        &member("entity"),
        "[workspace]\nmembers = [\"app\", \"entity\", \"zebra\"]\n",
    );
    check(
        "[workspace]\nmembers = [\n    \"zebra\", # first\n    \"app\", # second\n    # end\n]\nresolver = \"3\"\n",
        &member("entity"),
        "[workspace]\nmembers = [\n    \"zebra\", # first\n    \"app\", # second\n    \"entity\",\n    # end\n]\nresolver = \"3\"\n",
    );
    check(
        "[workspace]\nmembers = [\n  \"app\",\n  # why\n  \"zebra\"\n]\n",
        &member("entity"),
        "[workspace]\nmembers = [\n  \"app\",\n  \"entity\",\n  # why\n  \"zebra\"\n]\n",
    );
    check(
        "[workspace]\nmembers = []\n",
        &member("entity"),
        "[workspace]\nmembers = [\"entity\"]\n",
    );
    check(
        "[workspace] # all\nresolver = \"3\"\n",
        &member("entity"),
        "[workspace] # all\nmembers = [\"entity\"]\nresolver = \"3\"\n",
    );
    check(
        "[package]\nname = \"app\"\n",
        &member("entity"),
        "[package]\nname = \"app\"\n\n[workspace]\nmembers = [\"entity\"]\n",
    );
}

#[test]
fn g18_members_by_glob_and_exclusion() {
    let edit = member("crates/entity");
    unchanged("[workspace]\nmembers = [\"crates/*\"]\n", &edit);
    unchanged("[workspace]\nmembers = [\"./crates/entity/\"]\n", &edit);
    check(
        "[workspace]\nmembers = [\"*\"]\n",
        &edit,
        "[workspace]\nmembers = [\"*\", \"crates/entity\"]\n",
    );
    let excluded = refused(
        "[workspace]\nmembers = [\"app\"]\nexclude = [\"crates\"]\n",
        &edit,
    );
    assert!(excluded.why.contains("exclude"), "{excluded:?}");
    refused("[workspace]\nmembers = \"app\"\n", &edit);
}

#[test]
fn config_blocks_keep_comments_and_order() {
    check(
        "# yaml-language-server: $schema=x\ndatabases: [sqlite]\n# why\npaths:\n  entities: entities # here\n",
        &block("events", ""),
        "# yaml-language-server: $schema=x\ndatabases: [sqlite]\n# why\npaths:\n  entities: entities # here\nevents: {}\n",
    );
    check(
        "events: {}\n...\n",
        &block("jobs", "  pools:\n    batch: 10\n"),
        "events: {}\njobs:\n  pools:\n    batch: 10\n...\n",
    );
    check(
        "# only a comment\n",
        &block("events", ""),
        "# only a comment\nevents: {}\n",
    );
    let spaced = "a: 1\n\nb:\n  c: 1\n";
    let with_events = format!("{spaced}\nevents: {{}}\n");
    check(spaced, &block("events", ""), &with_events);
    check(
        &with_events,
        &block("bridge", ""),
        &format!("{with_events}bridge: {{}}\n"),
    );
    check(
        &with_events,
        &block("jobs", "  pools: {}\n"),
        &format!("{with_events}\njobs:\n  pools: {{}}\n"),
    );
    unchanged("events:\n", &block("events", ""));
    unchanged("\"events\": {}\n", &block("events", ""));
}

#[test]
fn config_blocks_are_refused_where_the_file_is_no_block_mapping() {
    for text in ["{ databases: [sqlite] }\n", "- a\n", "a: [\n"] {
        let refused = refused(text, &block("events", ""));
        assert_eq!(refused.lines, "events: {}", "{text}");
    }
    // An open text block would swallow the key.
    let swallowed = refused(
        "text: |\n  line\nother:\n  - x\n - y\n",
        &block("events", ""),
    );
    assert_eq!(swallowed.lines, "events: {}");
}

#[test]
fn g10_a_missing_final_newline_stays_missing() {
    let text = "[dependencies]\naxum = \"0.8\"\n\n[features]\na = []";
    let edited = apply(text, &dependency("serde", "\"1.0\""), None);
    assert_eq!(
        edited,
        Ok(Some(
            "[dependencies]\naxum = \"0.8\"\nserde = \"1.0\"\n\n[features]\na = []".to_owned()
        ))
    );
}
