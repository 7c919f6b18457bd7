//! The JSON Schemas of the definition files and their reader agree: on every definition of this repository that is
//! right, and on those that are wrong.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::definition::{DefinitionFile, Severity, json_schema};
use cargo_codegen::model;
use cargo_codegen::workspace::Disk;
use jsonschema::Validator;
use serde_json::Value;

/// What is wrong with the form of one file, and so is seen without the others.
const OF_FORM: [&str; 4] = ["unknown-key", "unknown-type", "unknown-word", "wrong-type"];

struct Validators([(DefinitionFile, Validator); 4]);

impl Validators {
    fn new() -> Self {
        let all = [
            DefinitionFile::Entity,
            DefinitionFile::Event,
            DefinitionFile::Pattern,
            DefinitionFile::Config,
        ];
        Self(all.map(|file| {
            let schema = json_schema(file);
            jsonschema::meta::validate(&schema).expect("a schema");
            let validator = jsonschema::draft202012::new(&schema);
            (file, validator.expect("a schema"))
        }))
    }

    /// What is wrong with a file; `None` if it is no YAML at all.
    fn wrong(&self, path: &Utf8Path) -> Option<Vec<String>> {
        let file = kind(path)?;
        let text = fs_err::read_to_string(path).expect("read");
        let value: Value = serde_yaml::from_str(&text).ok()?;
        let (_, validator) = self.0.iter().find(|it| it.0 == file)?;
        let errors = validator.iter_errors(&value);
        Some(
            errors
                .map(|it| format!("{path}: {}: {it}", it.instance_path()))
                .collect(),
        )
    }
}

fn kind(path: &Utf8Path) -> Option<DefinitionFile> {
    if path.file_name() == Some("codegen.yaml") {
        return Some(DefinitionFile::Config);
    }
    path.components().rev().find_map(|it| match it.as_str() {
        "entities" => Some(DefinitionFile::Entity),
        "events" => Some(DefinitionFile::Event),
        "patterns" => Some(DefinitionFile::Pattern),
        _ => None,
    })
}

fn yaml_files(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in dir.read_dir_utf8().expect("a directory") {
            let path = entry.expect("an entry").into_path();
            if path.is_dir() {
                pending.push(path);
            } else if matches!(path.extension(), Some("yaml" | "yml")) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn fixtures() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

#[test]
fn every_definition_that_is_right_is_valid() {
    let validators = Validators::new();
    let reference = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions");
    let files = [fixtures(), reference].map(|it| yaml_files(&it)).concat();
    let right = files.iter().filter(|it| !it.as_str().contains("/bad/"));
    let right: Vec<_> = right.filter(|it| kind(it).is_some()).collect();
    assert!(right.len() > 60, "{}", right.len());
    let wrong: Vec<String> = right
        .into_iter()
        .flat_map(|it| validators.wrong(it).expect("YAML"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_in_the_form_of_a_file_is_seen() {
    let validators = Validators::new();
    let cases = fixtures().join("bad").read_dir_utf8().expect("a directory");
    let mut problems = Vec::new();
    let mut seen = 0;
    for case in cases {
        let dir = case.expect("an entry").into_path();
        let name = dir.file_name().unwrap_or_default().to_owned();
        let Err(found) = model::load(&Disk::new(&dir)).result else {
            continue;
        };
        let errors = found.iter().filter(|it| it.severity == Severity::Error);
        let codes: BTreeSet<&str> = errors.map(|it| it.code).collect();
        let files = yaml_files(&dir);
        let wrong: Vec<Option<Vec<String>>> = files.iter().map(|it| validators.wrong(it)).collect();
        let refused = wrong
            .iter()
            .any(|it| it.as_ref().is_none_or(|it| !it.is_empty()));
        let of_form = OF_FORM.iter().any(|it| codes.contains(it));
        if of_form && !refused {
            problems.push(format!("{name}: {codes:?}"));
        }
        seen += usize::from(refused);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(seen > 30, "{seen}");
}

/// A schema that is stricter than the reader would underline what works.
#[test]
fn no_schema_is_stricter_than_the_reader() {
    let validators = Validators::new();
    let mut stricter = Vec::new();
    for case in fixtures().join("bad").read_dir_utf8().expect("a directory") {
        let dir = case.expect("an entry").into_path();
        let loaded = model::load(&Disk::new(&dir));
        let Ok((_, _)) = loaded.result else { continue };
        for file in yaml_files(&dir) {
            stricter.extend(validators.wrong(&file).expect("YAML"));
        }
    }
    assert!(stricter.is_empty(), "{}", stricter.join("\n"));
}
