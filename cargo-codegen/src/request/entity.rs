//! `entity new`.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Addition, Asked};
use crate::changeset::{Output, OutputKind};
use crate::failure::Failure;
use crate::generate::{self, Site};
use crate::model::{Entity, Field, FieldType, Model, Relation, RelationKind};
use crate::survey::{Step, default_text, on_delete_name, relation_name, type_name};
use crate::words::{
    EntityWord, FieldWord, RelationWord, entity_starter, entity_words, entity_yaml, name_word,
    nearest,
};
use crate::workspace::Files as _;

/// What `entity new [name|file] [words]` adds: a definition, or nothing where there is one already. `ask` is asked for
/// what is missing, with the name if there is one, and the entities that there are.
///
/// # Errors
/// If the words are wrong or say something else than the definition does, or there is nothing to go by.
pub fn entity_new(
    site: &Site,
    name: Option<&str>,
    words: &[String],
    ask: impl Fn(Option<&str>, &[&str]) -> Asked,
) -> Result<Addition, Failure> {
    let Some(name) = name else {
        let model = generate::load(&site.files())?.model;
        return match ask(None, &names(&model)) {
            Asked::Described(name, words) => asked(site, &name, &words),
            Asked::Dismissed => Err(dismissed()),
            Asked::Nobody => Err(Failure::usage(
                "an entity needs a name",
                "cargo codegen entity new contact email:string:unique phone:string:optional; or `--all`, for what the definitions describe",
            )),
        };
    };
    if name.ends_with(".yaml") || name.ends_with(".yml") {
        return of_file(site, Utf8Path::new(name), words);
    }
    name_word("an entity", name, &[])?;
    let described = entity_words(words)?;
    let files = site.files();
    let model = generate::load(&files)?.model;
    if let Some(entity) = model.entity(name) {
        return same_as(entity, &described);
    }
    let path = model.config.entities_dir.join(format!("{name}.yaml"));
    if files.read(&path).map_err(Failure::other)?.is_some() {
        return Err(Failure::workspace(
            format!("{path} is there, but describes another entity"),
            "rename the file, or the entity in it",
        ));
    }
    let definition = |content| Output {
        path: path.clone(),
        kind: OutputKind::Owned,
        content,
    };
    if !described.is_empty() {
        return Ok(Addition {
            outputs: vec![definition(entity_yaml(name, &described))],
            ..Addition::default()
        });
    }
    let others = names(&model);
    match ask(Some(name), &others) {
        Asked::Described(_, words) if !words.is_empty() => return asked(site, name, &words),
        Asked::Dismissed => return Err(dismissed()),
        Asked::Described(..) | Asked::Nobody => {}
    }
    let notes = nearest(name, others)
        .map(|it| format!("there is an entity `{it}`; `{name}` is another one"))
        .into_iter()
        .collect();
    Ok(Addition {
        outputs: vec![definition(entity_starter(name))],
        notes,
        next: vec![Step::new(
            format!("cargo codegen entity new {name}"),
            format!("generates from {path} once it says what you want"),
        )],
        only_outputs: true,
        ..Addition::default()
    })
}

fn names(model: &Model) -> Vec<&str> {
    let entities = model.entities.iter();
    entities.map(|it| it.name.snake.as_str()).collect()
}

/// What the answers add, and the command that does without the questions.
fn asked(site: &Site, name: &str, words: &[String]) -> Result<Addition, Failure> {
    let mut addition = entity_new(site, Some(name), words, |_, _| Asked::Nobody)?;
    let command = format!("cargo codegen entity new {name} {}", words.join(" "));
    addition.notes.push(format!(
        "the same without questions: {}",
        command.trim_end()
    ));
    Ok(addition)
}

fn dismissed() -> Failure {
    Failure::usage(
        "the questions were broken off, so there is no entity",
        "run it again, or give name and fields: cargo codegen entity new contact email:string:unique",
    )
}

fn of_file(site: &Site, path: &Utf8Path, words: &[String]) -> Result<Addition, Failure> {
    if !words.is_empty() {
        return Err(Failure::usage(
            "a definition file already says what the fields are",
            "leave the field words out, or give a name instead of a file",
        ));
    }
    let text = fs_err::read_to_string(path).map_err(Failure::other)?;
    let full = path.canonicalize_utf8().map_err(Failure::other)?;
    let config = generate::load(&site.files())?.model.config;
    let dir = site.root().join(&config.entities_dir);
    let dir = dir.canonicalize_utf8().unwrap_or(dir);
    if full.starts_with(&dir) {
        return Ok(Addition::default());
    }
    let file_name = path.file_name().unwrap_or("entity.yaml");
    let target: Utf8PathBuf = config.entities_dir.join(file_name);
    match site.files().read(&target).map_err(Failure::other)? {
        Some(there) if there == text => Ok(Addition::default()),
        Some(_) => Err(Failure::workspace(
            format!("{target} is there already, with other content"),
            "edit that file, or give yours another name",
        )),
        None => Ok(Addition {
            outputs: vec![Output {
                path: target.clone(),
                kind: OutputKind::Owned,
                content: text,
            }],
            notes: vec![format!("{path} was copied to {target}: edit it there")],
            ..Addition::default()
        }),
    }
}

/// Nothing, if the definition has all that the words say.
fn same_as(entity: &Entity, words: &[EntityWord]) -> Result<Addition, Failure> {
    let differences: Vec<String> = words
        .iter()
        .filter_map(|it| match it {
            EntityWord::Field(word) => field_difference(entity, word),
            EntityWord::Relation(word) => relation_difference(entity, word),
        })
        .collect();
    if differences.is_empty() {
        return Ok(Addition::default());
    }
    Err(Failure::workspace(
        format!(
            "{} describes `{}` differently: {}",
            entity.source,
            entity.name.snake,
            differences.join("; ")
        ),
        format!(
            "edit {}, then run `cargo codegen entity new {}`",
            entity.source, entity.name.snake
        ),
    ))
}

fn field_difference(entity: &Entity, word: &FieldWord) -> Option<String> {
    let Some(field) = entity.field(&word.name) else {
        return Some(format!("there is no field `{}`", word.name));
    };
    let name = &word.name;
    let found = type_name(&field.ty);
    if found != word.ty {
        return Some(format!("`{name}` is {found}, not {}", word.ty));
    }
    if let FieldType::Enum { choices, .. } = &field.ty {
        let choices: Vec<&str> = choices.iter().map(|it| it.snake.as_str()).collect();
        if choices != word.choices {
            return Some(format!(
                "the choices of `{name}` are {}",
                choices.join(", ")
            ));
        }
    }
    for (what, has, wants) in [
        ("optional", field.nullable, word.optional),
        ("unique", field.unique, word.unique),
        ("an index", field.index, word.index),
    ] {
        let implied = what == "an index" && field.unique;
        if has != wants && !implied {
            let verb = if what == "an index" {
                ["has", "has no"]
            } else {
                ["is", "is not"]
            };
            let what = if what == "an index" { "index" } else { what };
            return Some(format!("`{name}` {} {what}", verb[usize::from(!has)]));
        }
    }
    word.settings
        .iter()
        .find(|(key, value)| setting_of(field, key).as_deref() != Some(value))
        .map(|(key, _)| match setting_of(field, key) {
            Some(value) => format!("`{name}` has {key} {value}"),
            None => format!("`{name}` has no {key}"),
        })
}

fn setting_of(field: &Field, key: &str) -> Option<String> {
    let constraints = &field.constraints;
    match (key, &field.ty) {
        ("default", ty) => field.default.as_ref().map(|it| default_text(it, ty)),
        ("max_length", _) => constraints.max_length.map(|it| it.to_string()),
        ("min_length", _) => constraints.min_length.map(|it| it.to_string()),
        ("min", _) => constraints.min.clone(),
        ("max", _) => constraints.max.clone(),
        ("pattern", _) => constraints.pattern.clone(),
        ("precision", FieldType::Decimal { precision, .. }) => Some(precision.to_string()),
        ("scale", FieldType::Decimal { scale, .. }) => Some(scale.to_string()),
        _ => None,
    }
}

fn relation_difference(entity: &Entity, word: &RelationWord) -> Option<String> {
    let name = &word.name;
    let found = entity.relations.iter().find(|it| it.name.snake == *name);
    let Some(relation) = found else {
        return Some(format!("there is no relation `{name}`"));
    };
    let kind = relation_name(relation.kind);
    if kind != word.kind || relation.target != word.target {
        return Some(format!("`{name}` is {kind} {}", relation.target));
    }
    if relation.kind == RelationKind::BelongsTo {
        foreign_key_difference(entity, relation, word)
    } else {
        None
    }
}

fn foreign_key_difference(
    entity: &Entity,
    relation: &Relation,
    word: &RelationWord,
) -> Option<String> {
    let name = &word.name;
    let column = entity.field(&relation.foreign_key.snake)?;
    if column.nullable != word.optional {
        let not = if column.nullable { "" } else { " not" };
        return Some(format!("`{name}` is{not} optional"));
    }
    if word.unique && !column.unique {
        return Some(format!("`{name}` is not unique"));
    }
    let on_delete = on_delete_name(relation.on_delete);
    match &word.on_delete {
        Some(wanted) if wanted != on_delete => Some(format!("`{name}` has on_delete {on_delete}")),
        _ => None,
    }
}
