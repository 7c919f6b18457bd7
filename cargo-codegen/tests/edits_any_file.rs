//! Edits of files that nobody would think of: none panics, each result parses and is final, and a module that was put in
//! comes out again with every other line as it was.

use cargo_codegen::changeset::Edit;
use cargo_codegen::workspace::edit::{apply, remove_module};
use proptest::prelude::*;
use proptest::sample::select;

/// Lines of a Rust file, from the usual to the odd.
const RUST: [&str; 26] = [
    "mod account;",
    "pub mod opportunity;",
    "pub(crate) mod zebra;",
    "mod a; mod b;",
    "mod inline { mod inner; }",
    "mod r#type;",
    "#[cfg(test)]\nmod tests;",
    "#[path = \"elsewhere.rs\"]\nmod odd;",
    "/// Documented.\npub mod documented;",
    "mod noted; // why",
    "mod /* inside */ strange;",
    "// mod contact;",
    "/* mod contact; */",
    "//! About this file.",
    "#![allow(dead_code)]",
    "use std::fmt;",
    "pub use account::*;",
    "fn main() {}",
    "const TEXT: &str = \"mod contact;\";",
    "const RAW: &str = r#\"\nmod contact;\n\"#;",
    "macro_rules! modules { ($($it:ident)*) => { $(mod $it;)* } }",
    "modules! { one two }",
    "include!(\"more.rs\");",
    "",
    "    ",
    "// é 日本",
];

/// Lines of a manifest.
const TOML: [&str; 20] = [
    "[package]",
    "name = \"shop\"",
    "edition = \"2024\"",
    "[dependencies]",
    "serde = \"1\"",
    "serde = { version = \"1\", features = [\"derive\"] }",
    "tokio.version = \"1\"",
    "tokio.workspace = true",
    "other = { package = \"uuid\", version = \"1\" }",
    "[target.'cfg(unix)'.dependencies]",
    "uuid = \"1\"",
    "[dev-dependencies]",
    "[workspace]",
    "members = [\"app\", \"crates/*\"]",
    "members = [\n    \"app\", # the app\n]",
    "exclude = [\"old\"]",
    "[workspace.dependencies]",
    "uuid = { version = \"1\", features = [\"v7\"] }",
    "# a comment",
    "",
];

fn file(lines: &'static [&'static str]) -> impl Strategy<Value = String> {
    let lines = prop::collection::vec(select(lines), 0..12);
    (lines, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(lines, crlf, mark, newline)| {
        let mut text = lines.join("\n");
        if newline && !text.is_empty() {
            text.push('\n');
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if mark {
            text.insert(0, '\u{feff}');
        }
        text
    })
}

/// The lines that hold something, each with its ending: a blank line may set a declaration apart.
fn written(text: &str) -> Vec<&str> {
    let lines = text.trim_end().split_inclusive('\n');
    lines.filter(|it| !it.trim().is_empty()).collect()
}

fn parses(text: &str) -> bool {
    syn::parse_file(text.strip_prefix('\u{feff}').unwrap_or(text)).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1024)
    })]

    #[test]
    fn g19_a_module_goes_into_any_file_and_comes_out_again(
        text in file(&RUST),
        public in any::<bool>(),
    ) {
        let edit = Edit::Module {
            file: "src/lib.rs".into(),
            ident: "contact".to_owned(),
            public,
        };
        let Ok(Some(with)) = apply(&text, &edit, None) else {
            return Ok(());
        };
        prop_assert!(parses(&with), "{with}");
        prop_assert_eq!(apply(&with, &edit, None), Ok(None));
        match remove_module(&with, "contact") {
            Ok(without) => prop_assert_eq!(without.as_deref().map(written), Some(written(&text))),
            Err(refused) => prop_assert!(refused.why.contains("contact"), "{}", refused.why),
        }
    }

    #[test]
    fn g18_entries_go_into_any_manifest(text in file(&TOML), dev in any::<bool>()) {
        let file = || "Cargo.toml".into();
        let edits = [
            Edit::Dependency {
                file: file(),
                name: "uuid".to_owned(),
                spec: "{ version = \"1\", features = [\"v7\"] }".to_owned(),
                dev,
            },
            Edit::WorkspaceDependency {
                file: file(),
                name: "uuid".to_owned(),
                spec: "\"1\"".to_owned(),
            },
            Edit::Member {
                file: file(),
                member: "entity".to_owned(),
            },
        ];
        for edit in edits {
            let Ok(Some(with)) = apply(&text, &edit, Some(&text)) else {
                continue;
            };
            let parsed = with.strip_prefix('\u{feff}').unwrap_or(&with);
            prop_assert!(parsed.parse::<toml_edit::DocumentMut>().is_ok(), "{with}");
            prop_assert_eq!(apply(&with, &edit, Some(&with)), Ok(None), "{}", with);
            // What stood there stands there.
            for line in text.lines().filter(|it| it.starts_with('#')) {
                prop_assert!(with.contains(line), "{with}");
            }
        }
    }
}
