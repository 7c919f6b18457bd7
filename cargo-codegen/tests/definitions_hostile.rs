//! Whatever stands in a definition file: an answer with its place, never a panic.

use std::sync::LazyLock;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::definition::{Problem, Severity, Sources};
use cargo_codegen::model;
use cargo_codegen::report::diagnostics;
use cargo_codegen::workspace::{Disk, Files, Overlay};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Every YAML file of the fixtures and of the reference, right and wrong ones.
static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for dir in ["../fixtures", "tests/definitions"] {
        let files = Disk::new(root.join(dir));
        for path in files.list(Utf8Path::new("")).expect("a directory") {
            if path.extension() == Some("yaml") {
                texts.extend(files.read(&path).expect("readable"));
            }
        }
    }
    assert!(texts.len() > 50);
    texts
});

/// What makes a YAML file go wrong.
const TOKENS: [&str; 40] = [
    "\t", "\n", "\r\n", " ", ":", ": ", "- ", "?", "[", "]", "{", "}", ",", "&a ", "*a",
    "<<: *a\n", "!!int ", "!x ", "|", ">", "'", "\"", "#", "%", "@", "`", "~", "null", "no", "007",
    "1e999", "-", ".inf", "\u{0}", "\u{feff}", "é", "日本", "../x", "\\", "---\n",
];

#[derive(Debug, Clone)]
enum Mutation {
    Insert(Index, &'static str),
    Delete(Index, usize),
    Repeat(Index, usize, usize),
    Splice(Index, Index, Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), select(TOKENS.to_vec())).prop_map(|(at, it)| Mutation::Insert(at, it)),
        3 => (any::<Index>(), 1..20_usize).prop_map(|(at, len)| Mutation::Delete(at, len)),
        1 => (any::<Index>(), 1..40_usize, 1..60_usize).prop_map(|(at, len, n)| Mutation::Repeat(at, len, n)),
        2 => (any::<Index>(), any::<Index>(), any::<Index>(), 1..80_usize)
            .prop_map(|(at, file, from, len)| Mutation::Splice(at, file, from, len)),
    ]
}

fn mutate(text: &str, mutations: &[Mutation]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    let piece =
        |text: &[char], from: usize, len: usize| text[from..text.len().min(from + len)].to_vec();
    for mutation in mutations {
        let end = text.len() + 1;
        match mutation {
            Mutation::Insert(at, token) => {
                let at = at.index(end);
                text.splice(at..at, token.chars());
            }
            Mutation::Delete(at, len) => {
                let at = at.index(end);
                text.drain(at..text.len().min(at + len));
            }
            Mutation::Repeat(at, len, times) => {
                let at = at.index(end);
                let copy = piece(&text, at, *len).repeat(*times);
                text.splice(at..at, copy);
            }
            Mutation::Splice(at, file, from, len) => {
                let at = at.index(end);
                let other: Vec<char> = CORPUS[file.index(CORPUS.len())].chars().collect();
                let copy = piece(&other, from.index(other.len() + 1), *len);
                text.splice(at..at, copy);
            }
        }
    }
    text.into_iter().collect()
}

fn load(files: &[(&str, &str)]) -> (Sources, Result<Vec<Problem>, Vec<Problem>>) {
    let nothing = Disk::new("no/such/directory");
    let mut overlay = Overlay::new(&nothing);
    overlay.insert("codegen.yaml", "events: {}\n");
    for (path, text) in files {
        overlay.insert(Utf8PathBuf::from(*path), *text);
    }
    let loaded = model::load(&overlay);
    (loaded.sources, loaded.result.map(|it| it.1))
}

/// Every label can be drawn, and drawing succeeds.
fn check(sources: &Sources, result: &Result<Vec<Problem>, Vec<Problem>>) {
    let (Ok(problems) | Err(problems)) = result;
    for problem in problems {
        for label in &problem.labels {
            let text = &sources.get(label.span.source).text;
            assert!(text.get(label.span.range.clone()).is_some(), "{problem:?}");
        }
    }
    let failed = problems.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(failed, result.is_err());
    let drawn = diagnostics::render(sources, problems);
    assert_eq!(drawn.is_empty(), problems.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_input_panics(
        files in prop::collection::vec(
            (any::<Index>(), prop::collection::vec(mutation(), 0..6), 0..3_usize),
            1..4,
        ),
    ) {
        let paths = [
            ["entities/contact.yaml", "events/contact_created.yaml", "codegen.yaml"],
            ["entities/account.yaml", "events/account_created.yaml", "codegen.yaml"],
            ["entities/note.yml", "events/note_created.yml", "codegen.yaml"],
        ];
        let texts: Vec<(&str, String)> = files
            .iter()
            .zip(paths)
            .map(|((file, mutations, kind), paths)| {
                (paths[*kind], mutate(&CORPUS[file.index(CORPUS.len())], mutations))
            })
            .collect();
        let files: Vec<(&str, &str)> = texts.iter().map(|it| (it.0, it.1.as_str())).collect();
        let (sources, result) = load(&files);
        check(&sources, &result);
        // The same files give the same answer.
        prop_assert_eq!(load(&files).1, result);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let (sources, result) = load(&[("entities/contact.yaml", &text), ("events/seen.yaml", &text)]);
        check(&sources, &result);
    }
}

/// The one error of a single entity file.
fn only_error(text: &str) -> String {
    let (sources, result) = load(&[("entities/contact.yaml", text)]);
    check(&sources, &result);
    let problems = result.expect_err("refused");
    assert_eq!(
        problems.len(),
        1,
        "{}",
        diagnostics::render(&sources, &problems)
    );
    diagnostics::render(&sources, &problems)
}

#[test]
fn g13_a_misspelt_key_is_an_error_that_names_the_right_one() {
    const BLOCKS: [(&str, &[&str]); 4] = [
        (
            "entity: { name: contact, KEY: x }",
            &["plural", "table", "pattern", "description"],
        ),
        (
            "entity: { name: contact }\nfields:\n  age: { type: integer, KEY: 1 }",
            &["required", "nullable", "default", "max_length", "choices"],
        ),
        (
            "entity: { name: contact }\nrelationships:\n  parent: { type: belongs_to, target: contact, foreign_key: parent_id, KEY: x }",
            &["on_delete", "through", "required"],
        ),
        (
            "entity: { name: contact }\nfields: { age: { type: integer } }\nqueries:\n  - { by: [age], KEY: x }",
            &["unique", "order", "select", "limit"],
        ),
    ];
    for (block, keys) in BLOCKS {
        for key in keys {
            let (first, rest) = key.split_at(key.len() / 2);
            let misspelt = format!("{first}{}", &rest[1..]);
            let error = only_error(&block.replace("KEY", &misspelt));
            let meant = format!("did you mean `{key}`?");
            assert!(
                error.contains(&misspelt) && error.contains(&meant),
                "{error}"
            );
        }
    }
}

#[test]
fn g12_a_file_of_ten_megabytes_is_refused_before_it_is_parsed() {
    let text = "fields: { a: { type: string } }\n".repeat(350_000);
    assert!(text.len() > 10 << 20);
    let drawn = only_error(&text);
    assert!(drawn.contains("too-large"), "{drawn}");
    assert!(drawn.contains("entities/contact.yaml"), "{drawn}");
}

#[test]
fn g12_nesting_is_bounded_in_both_styles() {
    let flow = format!("entity: {}{}\n", "[".repeat(200_000), "]".repeat(200_000));
    let drawn = only_error(&flow);
    assert!(drawn.contains("too-large"), "{drawn}");
    let block: String = (0..2_000).fold(String::new(), |text, depth| {
        text + &" ".repeat(depth) + "a:\n"
    });
    let drawn = only_error(&block[..900_000.min(block.len())]);
    assert!(drawn.contains("too-large"), "{drawn}");
}

#[test]
fn g12_aliases_cannot_grow_a_file() {
    let mut text = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let item = format!("*a{}, ", level - 1);
        text += &format!(
            "b{level}: &a{level} [{}]\n",
            item.repeat(10).trim_end_matches(", ")
        );
    }
    let drawn = only_error(&text);
    assert!(drawn.contains("too-large"), "{drawn}");
}

#[test]
fn g12_thousands_of_problems_are_counted_after_the_first_hundreds() {
    let fields: String = (0..4_000)
        .map(|it| format!("  f{it}: {{ typ: string }}\n"))
        .collect();
    let text = format!("entity: {{ name: contact }}\nfields:\n{fields}");
    let (sources, result) = load(&[("entities/contact.yaml", &text)]);
    let problems = result.expect_err("refused");
    assert_eq!(problems.len(), 8_000);
    let drawn = diagnostics::render(&sources, &problems);
    assert!(drawn.ends_with("and 7500 more\n"));
}

#[test]
fn g12_a_line_too_long_to_draw_is_named_by_its_place() {
    let text = format!(
        "entity: {{ name: contact, description: \"{}\", pural: x }}\n",
        "x".repeat(5_000)
    );
    let drawn = only_error(&text);
    assert!(drawn.contains("`pural` is no key of `entity`"), "{drawn}");
    assert!(drawn.contains("entities/contact.yaml:1:5043"), "{drawn}");
    assert!(drawn.contains("did you mean `plural`?"), "{drawn}");
    assert!(drawn.len() < 500, "{drawn}");
}

#[test]
fn g11_a_file_that_is_not_utf_8_is_named_with_the_offset() {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(dir.path()).unwrap();
    std::fs::create_dir(root.join("entities")).unwrap();
    std::fs::write(root.join("codegen.yaml"), "").unwrap();
    std::fs::write(
        root.join("entities/contact.yaml"),
        b"entity: { name: \xff }\n",
    )
    .unwrap();
    let loaded = model::load(&Disk::new(root));
    let problems = loaded.result.expect_err("refused");
    let drawn = diagnostics::render(&loaded.sources, &problems);
    assert!(
        drawn.contains("entities/contact.yaml is not UTF-8 (byte 16"),
        "{drawn}"
    );
    assert!(drawn.contains("save the file as UTF-8"), "{drawn}");
}

#[test]
fn a_missing_configuration_says_how_to_get_one() {
    let loaded = model::load(&Disk::new("no/such/directory"));
    let problems = loaded.result.expect_err("refused");
    let drawn = diagnostics::render(&loaded.sources, &problems);
    assert!(drawn.contains("there is no `codegen.yaml` here"), "{drawn}");
    assert!(drawn.contains("cargo codegen init"), "{drawn}");
}
