//! Each failure that the generator is made to survive has an entry, and the tests that it names exist.

use anyhow::{Result, ensure};
use codegen_tests::{named_tests, tool};

fn page() -> Result<String> {
    Ok(fs_err::read_to_string(
        tool::repository().join("docs/safety.md"),
    )?)
}

#[test]
fn every_failure_of_the_generator_has_an_entry() -> Result<()> {
    let page = page()?;
    let titles = page.lines().filter_map(|it| it.strip_prefix("### g"));
    let numbers = titles.filter_map(|it| it.split_once(':'));
    let mut numbers: Vec<&str> = numbers.map(|(number, _)| number).collect();
    numbers.sort_unstable();
    let wanted: Vec<String> = (1..=32).map(|number| format!("{number:02}")).collect();
    ensure!(numbers == wanted, "{numbers:?}");
    Ok(())
}

#[test]
fn every_entry_names_tests_that_exist() -> Result<()> {
    let page = page()?;
    for entry in page.split("\n### ").skip(1) {
        let title = entry.lines().next().unwrap_or_default();
        ensure!(!named_tests::named(entry).is_empty(), "{title}: no test");
    }
    let names = named_tests::named(&page);
    let missing = named_tests::missing(&names)?;
    ensure!(
        missing.is_empty(),
        "docs/safety.md: no such tests: {missing:#?}"
    );
    Ok(())
}
