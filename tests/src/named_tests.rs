//! Pages that name a test for what they promise: the tests exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

/// The tests that a page names, in its lines that begin with `Tests: `.
#[must_use]
pub fn named(page: &str) -> Vec<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("Tests: "))
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// Those of the names that are no test of this repository.
///
/// # Errors
/// If its sources cannot be read.
pub fn missing<S: AsRef<str>>(names: &[S]) -> Result<Vec<&str>> {
    let mut tests = BTreeSet::new();
    for sources in ["runtime-sea", "cargo-codegen", "tests"] {
        collect(
            crate::tool::repository().join(sources).as_std_path(),
            &mut tests,
        )?;
    }
    let names = names.iter().map(AsRef::as_ref);
    Ok(names.filter(|it| !tests.contains(*it)).collect())
}

fn collect(folder: &Path, tests: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, tests)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            collect_of(&fs::read_to_string(path)?, tests);
        }
    }
    Ok(())
}

/// Those that have an attribute, and those that the macros make of a list.
fn collect_of(source: &str, tests: &mut BTreeSet<String>) {
    let (mut has_attribute, mut is_in_list) = (false, false);
    for line in source.lines().map(str::trim) {
        if is_in_list {
            is_in_list = !line.starts_with([')', '}']);
            tests.extend(line.strip_suffix(',').map(str::to_owned));
        } else if line.starts_with('#') {
            has_attribute |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some((_, function)) = line.split_once("fn ") {
            let name = function.split(['(', '<']).next();
            tests.extend(name.filter(|_| has_attribute).map(str::to_owned));
            has_attribute = false;
        } else {
            is_in_list = line.contains("on_each_database!") && line.ends_with(['(', '{']);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_nothing_calls_is_no_test() {
        let source = "
            crate::on_each_database! {
                on_each,
            }
            #[test]
            #[should_panic]
            fn of_its_own() {}
            async fn forgotten(bed: TestBed) {}
            proptest_like!(other,)
        ";
        let mut tests = BTreeSet::new();
        collect_of(source, &mut tests);
        let tests: Vec<_> = tests.into_iter().collect();
        assert_eq!(tests, ["of_its_own", "on_each"]);
    }
}
