//! What goes to which stream, in which colours, with which exit code; nobody is asked where nobody can answer.

mod support;

use std::process::Output;

use support::Session;

const NEW: &str = "new shop --runtime registry:0.1";

fn shop(name: &'static str) -> Session {
    let mut session = Session::new(name);
    session.prepare(NEW);
    session.enter("shop");
    session
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn run(session: &Session, words: &str, color: Option<(&str, &str)>) -> Output {
    let mut command = session.command(words);
    command.env_remove("NO_COLOR").envs(color);
    command.output().expect("the tool runs")
}

#[test]
fn g32_each_way_to_end_has_its_exit_code() {
    let session = shop("exit_codes");
    let code = |words: &str| run(&session, words, None).status.code();
    assert_eq!(code("entity new product name:string"), Some(0));
    assert_eq!(code("check"), Some(0));
    assert_eq!(code("entity shwo"), Some(2));
    session.append("app/src/generated/router.rs", "// mine\n");
    assert_eq!(code("entity new --all"), Some(3));
    assert_eq!(code("entity new --all --overwrite"), Some(0));
    session.write(
        "entities/product.yaml",
        "entity: { name: product }\nfields:\n  title: { type: string }\n",
    );
    assert_eq!(code("check"), Some(4));
    session.write("entities/product.yaml", "entity: { nam: product }\n");
    assert_eq!(code("check"), Some(1));
}

#[test]
fn g32_results_go_to_standard_output_and_the_rest_does_not() {
    let session = shop("streams");
    let list = run(&session, "entity list", None);
    assert!(list.status.success() && list.stderr.is_empty());
    let created = run(&session, "entity new product name:string", None);
    assert!(text(&created.stdout).contains("entities/product.yaml"));
    session.write("entities/broken.yaml", "entity: [\n");
    let wrong = run(&session, "check", None);
    assert!(wrong.stdout.is_empty());
    assert!(text(&wrong.stderr).contains("entities/broken.yaml:"));
    let json = run(&session, "check --json", None);
    assert!(json.stderr.is_empty());
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one JSON object");
    assert!(object.is_object());
}

#[test]
fn g32_colours_are_for_terminals_and_those_who_ask_for_them() {
    const ESCAPE: char = '\u{1b}';
    let session = shop("colours");
    session.write("entities/broken.yaml", "entity: { nam: product }\n");
    let coloured = |words: &str, color| text(&run(&session, words, color).stderr).contains(ESCAPE);
    assert!(!coloured("check", None), "there is no terminal here");
    assert!(coloured("check --color always", None));
    assert!(coloured("check", Some(("CARGO_TERM_COLOR", "always"))));
    assert!(!coloured(
        "check --color never",
        Some(("CLICOLOR_FORCE", "1"))
    ));
    assert!(!coloured("check", Some(("NO_COLOR", "1"))));
}

#[test]
fn g32_nobody_is_asked_without_a_terminal() {
    let session = shop("no_terminal");
    let nameless = run(&session, "entity new", None);
    assert_eq!(nameless.status.code(), Some(2));
    session.prepare("entity new product name:string note:text:optional");
    session.write(
        "entities/product.yaml",
        "entity: { name: product }\nfields:\n  name: { type: string, required: true }\n",
    );
    let before = session.times();
    let lossy = run(&session, "migrate --write", None);
    assert_eq!(lossy.status.code(), Some(1));
    assert!(text(&lossy.stderr).contains("--allow-destructive"));
    assert_eq!(before, session.times(), "a file was touched");
}
