//! `docs/guarantees.md` names tests that exist, and has an entry for every failure.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::not_in_memory::NOT_IN_MEMORY;

#[test]
fn every_test_that_the_guarantees_name_exists() {
    assert_all_exist(&named_tests(&guarantees()));
}

#[test]
fn every_test_that_is_not_run_in_memory_exists() {
    assert_all_exist(NOT_IN_MEMORY);
}

#[test]
fn every_failure_has_an_entry() {
    let text = guarantees();
    let numbers: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### r")?.split_once(':'))
        .map(|(number, _)| number.to_owned())
        .collect();
    let wanted: Vec<_> = (1..=64).map(|number| format!("{number:02}")).collect();
    assert_eq!(numbers, wanted);
}

#[test]
fn every_entry_names_its_tests() {
    for entry in guarantees().split("\n### ").skip(1) {
        let title = entry.lines().next().unwrap_or_default();
        let tests = entry.lines().filter(|line| line.starts_with("Tests: "));
        assert_eq!(tests.count(), 1, "{title}");
    }
}

fn assert_all_exist(names: &[impl AsRef<str>]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut functions = BTreeSet::new();
    for sources in ["runtime-sea", "cargo-codegen", "tests"] {
        collect_functions(&root.join(sources), &mut functions);
    }
    let missing: Vec<_> = names
        .iter()
        .map(AsRef::as_ref)
        .filter(|name| !functions.contains(*name))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

fn guarantees() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guarantees.md");
    fs::read_to_string(path).unwrap()
}

fn named_tests(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("Tests: "))
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn collect_functions(folder: &Path, functions: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_functions(&path, functions);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let names = source.lines().filter_map(|line| {
                let (_, name) = line.split_once("fn ")?;
                Some(name.split(['(', '<']).next()?.to_owned())
            });
            functions.extend(names);
        }
    }
}
