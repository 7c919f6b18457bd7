//! `docs/guarantees.md` names tests that exist, and has an entry for every failure.

use std::fs;
use std::path::Path;

use codegen_tests::named_tests;

use crate::support::not_in_memory::NOT_IN_MEMORY;

/// The promises that the design makes, each with an entry of its own.
const PROMISES: [&str; 27] = [
    "An event exists if and only if its transaction committed",
    "The same event id twice is one event",
    "Every committed event reaches every registered subscription at least once",
    "Events of one aggregate are delivered in order",
    "No handler runs inside the claiming transaction",
    "A run is executed by one worker at a time",
    "A dead worker's runs are taken up within 10 s",
    "A child is spawned once per run and name",
    "All decisions about time use the database's clock",
    "A completed step is not executed again",
    "A run that waits holds no worker",
    "Retries",
    "`timeout` is wall clock across attempts and really stops the handler",
    "A cancellation stops a running handler, and its tree by close policy",
    "A replay is the same run again",
    "A pool's limit holds over all workers",
    "A job's runs go where a worker claims them",
    "Many starts are one",
    "What is over is cleared away",
    "Concurrency keys",
    "A start inside the deduplication window returns the existing run",
    "A trigger fires exactly once per event",
    "A schedule fires once per slot",
    "A shutdown finishes what it can in the time given, hands back only its own runs, and loses nothing",
    "Tenants",
    "A trace goes from the request to the event, the run and its steps",
    "What a dashboard needs is measured",
];

#[test]
fn every_test_that_the_guarantees_name_exists() {
    assert_all_exist(&named_tests::named(&guarantees()));
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
fn every_promise_has_an_entry() {
    let text = guarantees();
    let promises = text.split("## Promises").nth(1).unwrap_or_default();
    let promises = promises.split("\n## ").next().unwrap_or_default();
    let titles: Vec<_> = promises
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(titles, PROMISES);
}

#[test]
fn every_entry_names_its_tests() {
    for entry in guarantees().split("\n### ").skip(1) {
        let title = entry.lines().next().unwrap_or_default();
        let tests = entry.lines().filter(|line| line.starts_with("Tests: "));
        assert_eq!(tests.count(), 1, "{title}");
        assert!(!named_tests::named(entry).is_empty(), "{title}");
    }
}

fn assert_all_exist(names: &[impl AsRef<str>]) {
    let missing = named_tests::missing(names).unwrap();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

fn guarantees() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guarantees.md");
    fs::read_to_string(path).unwrap()
}
