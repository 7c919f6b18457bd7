//! Wrong definitions and exactly what is said about them.
//!
//! Every directory below `fixtures/bad` is one case: a `codegen.yaml` (or none, for the usual one), entities and
//! events. `UPDATE_GOLDENS=1 cargo test -p cargo-codegen --test definitions` rewrites the expected texts.

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::definition::Severity;
use cargo_codegen::model;
use cargo_codegen::report::diagnostics;
use cargo_codegen::workspace::{Disk, Files, Overlay};

const EXPECTED: &str = "expected.txt";

fn fixtures() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bad")
}

fn cases() -> Vec<Utf8PathBuf> {
    let mut cases: Vec<Utf8PathBuf> = fixtures()
        .read_dir_utf8()
        .expect("fixtures/bad")
        .map(|it| it.expect("an entry").into_path())
        .filter(|it| it.is_dir())
        .collect();
    cases.sort();
    cases
}

/// What the tool says about a case, and whether it would go on.
fn diagnose(case: &Utf8Path) -> (String, bool) {
    let disk = Disk::new(case);
    let mut files = Overlay::new(&disk);
    if disk
        .read(Utf8Path::new("codegen.yaml"))
        .expect("readable")
        .is_none()
    {
        files.insert("codegen.yaml", "events: {}\n");
    }
    let loaded = model::load(&files);
    match loaded.result {
        Ok((_, notes)) => (diagnostics::render(&loaded.sources, &notes), true),
        Err(problems) => {
            assert!(
                problems.iter().any(|it| it.severity == Severity::Error),
                "{case} fails without an error"
            );
            (diagnostics::render(&loaded.sources, &problems), false)
        }
    }
}

#[test]
fn wrong_definitions_get_exactly_these_diagnostics() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let (found, accepted) = diagnose(&case);
        let accepted_by_name = case.file_name().unwrap().starts_with("accepted-");
        assert_eq!(accepted, accepted_by_name, "{case}:\n{found}");
        let golden = case.join(EXPECTED);
        if update {
            std::fs::write(&golden, &found).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if expected != found {
            wrong.push(format!(
                "{golden}\n--- expected\n{expected}\n--- found\n{found}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of the expected texts differ; read the differences, then rewrite them with UPDATE_GOLDENS=1\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_diagnostic_names_its_place_and_a_way_out() {
    for case in cases() {
        let disk = Disk::new(&case);
        let mut files = Overlay::new(&disk);
        if disk.read(Utf8Path::new("codegen.yaml")).unwrap().is_none() {
            files.insert("codegen.yaml", "events: {}\n");
        }
        let loaded = model::load(&files);
        let problems = match loaded.result {
            Ok((_, problems)) | Err(problems) => problems,
        };
        for problem in problems {
            let place = problem.labels.first();
            let says_how = problem.help.is_some()
                || problem.labels.iter().any(|it| !it.text.is_empty())
                || problem.severity != Severity::Error
                || problem.code.starts_with("wrong-");
            assert!(says_how, "{case}: {problem:?}");
            assert!(!problem.message.ends_with('.'), "{case}: {problem:?}");
            if let Some(place) = place {
                let text = &loaded.sources.get(place.span.source).text;
                assert!(
                    text.get(place.span.range.clone()).is_some(),
                    "{case}: {problem:?}"
                );
            }
        }
    }
}

#[test]
fn there_are_enough_cases() {
    assert!(cases().len() >= 40, "{}", cases().len());
}
