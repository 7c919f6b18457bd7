//! Entries in Rust files of the user's: `mod` lists and the list of migrations.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cargo_codegen::changeset::Edit;
use cargo_codegen::workspace::edit::{Refused, apply, remove_module};

fn module(ident: &str, public: bool) -> Edit {
    Edit::Module {
        file: "src/lib.rs".into(),
        ident: ident.to_owned(),
        public,
    }
}

fn migration(ident: &str) -> Edit {
    Edit::Migration {
        file: "src/lib.rs".into(),
        ident: ident.to_owned(),
    }
}

/// Applies an edit in every dress that a file may wear: line endings, a byte order mark, no final newline.
#[track_caller]
fn check(before: &str, edit: &Edit, after: &str) {
    let run = |text: &str| apply(text, edit, None);
    assert_eq!(run(before), Ok(Some(after.to_owned())));
    assert_eq!(run(after), Ok(None), "a second run changes nothing");

    let crlf = |text: &str| text.replace('\n', "\r\n");
    assert_eq!(run(&crlf(before)), Ok(Some(crlf(after))), "CRLF is kept");
    assert_eq!(run(&crlf(after)), Ok(None));

    let marked = |text: &str| format!("\u{feff}{text}");
    assert_eq!(
        run(&marked(before)),
        Ok(Some(marked(after))),
        "a mark is kept"
    );

    let bare = run(before.trim_end()).unwrap().unwrap();
    assert_eq!(bare.trim_end(), after.trim_end());
    if !before.trim().is_empty() {
        assert!(!bare.ends_with('\n'), "no final newline comes: {bare:?}");
    }
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
fn g19_a_sorted_list_stays_sorted() {
    check(
        "pub mod account;\npub mod opportunity;\n",
        &module("contact", true),
        "pub mod account;\npub mod contact;\npub mod opportunity;\n",
    );
    check(
        "pub mod account;\npub mod opportunity;\n",
        &module("aaa", true),
        "pub mod aaa;\npub mod account;\npub mod opportunity;\n",
    );
    check(
        "pub mod account;\npub mod opportunity;\n\npub use account::Entity;\n",
        &module("zebra", true),
        "pub mod account;\npub mod opportunity;\npub mod zebra;\n\npub use account::Entity;\n",
    );
}

#[test]
fn g19_an_unsorted_list_grows_at_its_end() {
    check(
        "mod zebra;\nmod account;\n\nfn main() {}\n",
        &module("contact", false),
        "mod zebra;\nmod account;\nmod contact;\n\nfn main() {}\n",
    );
}

#[test]
fn g19_public_and_private_lists_are_told_apart() {
    check(
        "pub mod account;\npub mod zebra;\nmod helper;\n",
        &module("contact", true),
        "pub mod account;\npub mod contact;\npub mod zebra;\nmod helper;\n",
    );
    check(
        "mod helper;\n\npub mod account;\n",
        &module("inner", false),
        "mod helper;\nmod inner;\n\npub mod account;\n",
    );
}

#[test]
fn g19_a_conditional_module_is_not_the_place() {
    check(
        "pub mod account;\n\n#[cfg(test)]\nmod tests;\n",
        &module("contact", false),
        "pub mod account;\nmod contact;\n\n#[cfg(test)]\nmod tests;\n",
    );
}

#[test]
fn g19_odd_modules_keep_a_place_of_their_own() {
    check(
        "pub mod http {\n    pub mod customers;\n}\n\n#[path = \"infra/signals.rs\"]\nmod signals;\n\nuse signals::x;\n",
        &module("context", true),
        "pub mod http {\n    pub mod customers;\n}\n\n#[path = \"infra/signals.rs\"]\nmod signals;\n\npub mod context;\n\nuse signals::x;\n",
    );
    check(
        "fn main() {}\n\n#[cfg(test)]\nmod tests;\n",
        &module("context", false),
        "mod context;\n\nfn main() {}\n\n#[cfg(test)]\nmod tests;\n",
    );
}

#[test]
fn g19_comments_and_docs_stay_with_their_module() {
    check(
        "mod account; // the customer\n// about zebras\n/// Zebra.\n#[rustfmt::skip]\nmod zebra;\n",
        &module("contact", false),
        "mod account; // the customer\nmod contact;\n// about zebras\n/// Zebra.\n#[rustfmt::skip]\nmod zebra;\n",
    );
    check(
        "// every table\nmod zebra;\n",
        &module("contact", false),
        "// every table\nmod contact;\nmod zebra;\n",
    );
}

#[test]
fn g19_several_modules_on_one_line() {
    check(
        "mod a; mod c;\n",
        &module("b", false),
        "mod a; mod b;\nmod c;\n",
    );
}

#[test]
fn g19_the_first_module_of_a_file() {
    let empty = apply("", &module("contact", true), None);
    assert_eq!(empty, Ok(Some("pub mod contact;\n".to_owned())));
    check(
        "//! Docs.\n",
        &module("contact", true),
        "//! Docs.\n\npub mod contact;\n",
    );
    check(
        "#![allow(dead_code)]\n\n// helper\nfn main() {}\n",
        &module("contact", false),
        "#![allow(dead_code)]\n\nmod contact;\n\n// helper\nfn main() {}\n",
    );
    check(
        "//! Docs.\nuse std::fmt;\n\nstruct A;\n",
        &module("contact", false),
        "//! Docs.\nuse std::fmt;\n\nmod contact;\n\nstruct A;\n",
    );
    check(
        "fn main() {}\n",
        &module("a", false),
        "mod a;\n\nfn main() {}\n",
    );
}

#[test]
fn g19_modules_that_are_there_already_are_seen() {
    let edit = module("contact", true);
    unchanged("mod contact;\n", &edit);
    unchanged("pub(crate) mod contact;\n", &edit);
    unchanged("#[path = \"other.rs\"]\nmod contact;\n", &edit);
    unchanged("#[cfg(feature = \"crm\")]\npub mod contact;\n", &edit);
    unchanged("mod contact { pub struct A; }\n", &edit);
    unchanged("mod r#contact;\n", &edit);
    unchanged("mod r#type;\n", &module("r#type", true));
    unchanged("cfg_if! { if #[cfg(unix)] { pub mod contact; } }\n", &edit);
    unchanged("pub /* odd */ mod\n    contact\n    ;\n", &edit);
}

#[test]
fn g19_text_that_only_looks_like_a_module_is_not_one() {
    check(
        "// mod contact;\n/* mod contact; */\nconst A: &str = \"mod contact;\";\nmod outer {\n    mod contact;\n}\n",
        &module("contact", false),
        "// mod contact;\n/* mod contact; */\nmod contact;\n\nconst A: &str = \"mod contact;\";\nmod outer {\n    mod contact;\n}\n",
    );
}

#[test]
fn g14_raw_identifiers_are_written_and_sorted_by_name() {
    check(
        "pub mod account;\npub mod zebra;\n",
        &module("r#type", true),
        "pub mod account;\npub mod r#type;\npub mod zebra;\n",
    );
}

#[test]
fn g19_multibyte_text_before_the_place() {
    check(
        "//! Füße, 日本語, 🦀.\n/* ü */ mod a; // ö\nmod zebra;\n",
        &module("contact", false),
        "//! Füße, 日本語, 🦀.\n/* ü */ mod a; // ö\nmod contact;\nmod zebra;\n",
    );
}

#[test]
fn g19_a_shebang_shifts_nothing() {
    let text = "#!/usr/bin/env run\nmod a;\nmod c;\n";
    let edited = apply(text, &module("b", false), None);
    assert_eq!(
        edited.unwrap().unwrap(),
        "#!/usr/bin/env run\nmod a;\nmod b;\nmod c;\n"
    );
}

#[test]
fn g10_mixed_line_endings_are_kept_line_by_line() {
    let text = "mod a;\r\nmod c;\nmod d;\r\n";
    let edited = apply(text, &module("b", false), None);
    assert_eq!(
        edited.unwrap().unwrap(),
        "mod a;\r\nmod b;\r\nmod c;\nmod d;\r\n"
    );
}

#[test]
fn g19_uncertain_files_are_refused_with_the_line_to_paste() {
    let edit = module("contact", true);
    let include = refused("include!(\"more.rs\");\n", &edit);
    assert_eq!(include.lines, "pub mod contact;");
    assert!(include.why.contains("line 1"), "{include:?}");

    let broken = refused("mod a;\nfn main( {\n", &edit);
    assert!(broken.why.contains("line 2"), "{broken:?}");

    // What was refused is accepted once it is there.
    unchanged("include!(\"more.rs\");\npub mod contact;\n", &edit);
}

#[test]
fn g08_a_module_is_taken_out_as_it_came_in() {
    for before in [
        "pub mod account;\npub mod opportunity;\n",
        "mod zebra;\nmod account;\n\nfn main() {}\n",
        "pub mod account; // note\n\n#[cfg(test)]\nmod tests;\n",
        "mod a;\r\nmod d;\r\n",
        "mod a;\nmod d;",
    ] {
        let with = apply(before, &module("contact", true), None)
            .unwrap()
            .unwrap();
        assert_eq!(remove_module(&with, "contact"), Ok(Some(before.to_owned())));
    }
    assert_eq!(remove_module("mod a;\n", "contact"), Ok(None));
    assert!(remove_module("mod contact;\npub use contact::*;\n", "contact").is_err());
    assert!(remove_module("#[cfg(unix)]\nmod contact;\n", "contact").is_err());
    assert!(remove_module("mod contact {}\n", "contact").is_err());
}

const MIGRATOR: &str = "\
pub use sea_orm_migration::prelude::*;

mod m20220101_000001_create_table;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20220101_000001_create_table::Migration)]
    }
}
";

#[test]
fn g21_a_migration_is_listed_last_and_declared() {
    check(
        MIGRATOR,
        &migration("m20261123_101500_create_contacts"),
        "\
pub use sea_orm_migration::prelude::*;

mod m20220101_000001_create_table;
mod m20261123_101500_create_contacts;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20220101_000001_create_table::Migration),
            Box::new(m20261123_101500_create_contacts::Migration),
        ]
    }
}
",
    );
}

fn migrator(list: &str) -> String {
    format!(
        "mod m1;\n\nimpl MigratorTrait for Migrator {{\n    fn migrations() -> Vec<Box<dyn MigrationTrait>> {{\n        {list}\n    }}\n}}\n"
    )
}

#[track_caller]
fn check_list(before: &str, after: &str) {
    check(
        &migrator(before),
        &migration("m2"),
        &migrator(after).replace("mod m1;", "mod m1;\nmod m2;"),
    );
}

#[test]
fn g21_every_layout_of_the_list() {
    check_list("vec![]", "vec![Box::new(m2::Migration)]");
    check_list(
        "vec![Box::new(m1::Migration)]",
        "vec![Box::new(m1::Migration), Box::new(m2::Migration)]",
    );
    check_list(
        "vec![Box::new(m1::Migration),]",
        "vec![Box::new(m1::Migration), Box::new(m2::Migration),]",
    );
    check_list(
        "vec![\n            Box::new(m1::Migration), // the first\n            // end\n        ]",
        "vec![\n            Box::new(m1::Migration), // the first\n            Box::new(m2::Migration),\n            // end\n        ]",
    );
    check_list(
        "vec![\n            Box::new(m1::Migration)\n        ]",
        "vec![\n            Box::new(m1::Migration),\n            Box::new(m2::Migration)\n        ]",
    );
    check_list(
        "vec![\n            Box::new(m1::Migration), /* a, b */ ]",
        "vec![\n            Box::new(m1::Migration),\n            Box::new(m2::Migration), /* a, b */ ]",
    );
    check_list(
        "vec![\n            // none yet\n        ]",
        "vec![\n            // none yet\n            Box::new(m2::Migration),\n        ]",
    );
    check_list(
        "use m1::Migration as First;\n        std::vec![Box::new(First)]",
        "use m1::Migration as First;\n        std::vec![Box::new(First), Box::new(m2::Migration)]",
    );
}

#[test]
fn g21_a_list_that_is_no_literal_is_refused() {
    for list in [
        "let mut list = vec![Box::new(m1::Migration)]; list.extend(more()); list",
        "Vec::new()",
        "all_migrations()",
        "vec![Box::new(m1::Migration); 2]",
        "[vec![a()], vec![b()]].concat()",
        "return vec![Box::new(m1::Migration)];",
    ] {
        let refused = refused(&migrator(list), &migration("m2"));
        assert_eq!(refused.lines, "mod m2;\nBox::new(m2::Migration),", "{list}");
    }
}

#[test]
fn g21_two_migrators_or_none_are_refused() {
    let one = migrator("vec![]");
    refused(&format!("{one}{one}"), &migration("m2"));
    refused("pub struct Migrator;\n", &migration("m2"));
    refused("impl MigratorTrait for Migrator {}\n", &migration("m2"));
}

#[test]
fn g21_half_of_an_entry_is_completed() {
    let listed = migrator("vec![Box::new(m2::Migration)]");
    check(
        &listed,
        &migration("m2"),
        &listed.replace("mod m1;", "mod m1;\nmod m2;"),
    );
    let declared = migrator("vec![]").replace("mod m1;", "mod m1;\nmod m2;");
    check(
        &declared,
        &migration("m2"),
        &declared.replace("vec![]", "vec![Box::new(m2::Migration)]"),
    );
}
