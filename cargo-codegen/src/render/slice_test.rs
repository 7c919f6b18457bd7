//! A starting test for each entity: its routes, on SQLite unless told otherwise.

use std::collections::HashMap;

use askama::Template;
use camino::Utf8PathBuf;

use super::entity::file_stem;
use super::example::{Example, Language, Parent, changeable, is_text};
use super::field::{capitalized, is_input, string_literal, with_article};
use super::{Rendered, Result, scaffold};
use crate::changeset::{Action, Change, Output, OutputKind};
use crate::model::{Database, Entity, Field, FieldOrigin, FieldType, Model, NamedQuery, TENANT};
use crate::schema;

#[derive(Template)]
#[template(path = "app/tests/common/mod.rs.jinja")]
struct CommonView<'a> {
    app: String,
    migration: String,
    state_path: &'a str,
    state_type: &'a str,
}

#[derive(Template)]
#[template(path = "app/tests/slice.rs.jinja")]
struct SliceTestView<'a> {
    title: String,
    a_thing: String,
    url: &'a str,
    writes: bool,
    soft_delete: bool,
    key: String,
    key_is_string: bool,
    parents: Vec<Parent>,
    body: String,
    total: usize,
    change: String,
    changed: Option<(String, String)>,
    kept: Option<String>,
    unique: bool,
    refused: String,
    queries: &'a [NamedQuery],
    absent: &'static str,
}

/// A test of each entity's routes. An entity for which no valid input could be made up gets none.
///
/// # Errors
/// If a template fails.
pub fn slice_tests(model: &Model) -> Result<Rendered> {
    let mut rendered = Rendered::default();
    let config = &model.config;
    let owned = |path: &str, content| Output {
        path: config.app_crate.file(path),
        kind: OutputKind::Owned,
        content,
    };
    for entity in &model.entities {
        rendered.outputs.extend(slice_test(model, entity)?);
    }
    if !rendered.outputs.is_empty() {
        let common = CommonView {
            app: config.app_crate.ident(),
            migration: config.migration_crate.ident(),
            state_path: config
                .app_state
                .strip_prefix("crate::")
                .unwrap_or(&config.app_state),
            state_type: scaffold::state_type(config),
        };
        rendered
            .outputs
            .push(owned("tests/common/mod.rs", common.render()?));
    }
    Ok(rendered)
}

/// The test of one entity.
///
/// # Errors
/// If the template fails.
pub fn slice_test(model: &Model, entity: &Entity) -> Result<Option<Output>> {
    let config = &model.config;
    if !entity.rest || !config.databases.contains(&Database::Sqlite) {
        return Ok(None);
    }
    let Some(view) = view(model, entity) else {
        return Ok(None);
    };
    Ok(Some(Output {
        path: config.app_crate.file(&test_file(entity)),
        kind: OutputKind::Owned,
        content: view.render()?,
    }))
}

fn test_file(entity: &Entity) -> String {
    format!("tests/{}.rs", file_stem(&entity.plural))
}

/// What the test of an entity does not send, though no row is created without it: the test is the user's, and the
/// definition has changed since it was written. With the test's path; `files` are the changes of the plan by path.
pub fn unsent(
    model: &Model,
    entity: &Entity,
    files: &HashMap<&str, &Change>,
) -> Option<(Utf8PathBuf, String)> {
    let file = |path: String| files.get(model.config.app_crate.file(&path).as_str());
    let requests = format!("src/{}/generated/dto.rs", file_stem(&entity.plural));
    file(requests).filter(|it| it.action == Action::Updated)?;
    let test = file(test_file(entity)).filter(|it| it.action == Action::Kept)?;
    let text = test.before.as_deref()?;
    let unsent: Vec<String> = entity
        .fields
        .iter()
        .filter(|it| is_input(it) && it.required)
        .filter(|it| !text.contains(&string_literal(&it.name.snake)))
        .map(|it| format!("`{}`", it.name.snake))
        .collect();
    Some((test.path.clone(), unsent.join(", "))).filter(|_| !unsent.is_empty())
}

fn view<'a>(model: &'a Model, entity: &'a Entity) -> Option<SliceTestView<'a>> {
    let (parents, (body, change, changed, kept)): (_, (_, _, _, _)) = if entity.writes {
        let example = Example::new(model, entity, Language::Rust)?;
        let body = example.body;
        let changed = changeable(entity);
        let kept = entity
            .fields
            .iter()
            .filter(|it| it.required && is_input(it))
            .find(|it| {
                Some(it.name.snake.as_str()) != changed.as_ref().map(|(name, _)| name.as_str())
            })
            .map(|it| string_literal(&it.name.snake));
        let change = changed.as_ref().map_or("{}".to_owned(), |(name, value)| {
            format!("{{ {}: {value} }}", string_literal(name))
        });
        let changed = changed.map(|(name, value)| (string_literal(&name), value));
        (example.parents, (body, change, changed, kept))
    } else {
        Default::default()
    };
    let key = entity.key();
    Some(SliceTestView {
        title: capitalized(&entity.plural.human),
        a_thing: with_article(&entity.name.human),
        url: &entity.plural.kebab,
        writes: entity.writes,
        soft_delete: entity.behaviors.soft_delete,
        key: string_literal(key.map_or("id", |it| &it.name.snake)),
        key_is_string: key.is_none_or(|it| is_text(&it.ty)),
        total: 1 + parents
            .iter()
            .filter(|it| it.path == format!("/{}", entity.plural.kebab))
            .count(),
        parents,
        body,
        change,
        changed,
        kept,
        unique: has_unique_input(model, entity),
        refused: refused(entity),
        queries: &entity.named_queries,
        absent: match key.map(|it| &it.ty) {
            Some(FieldType::Integer | FieldType::BigInt) => "1",
            _ => "018f0000-0000-7000-8000-000000000001",
        },
    })
}

/// The fields that are named as wrong when nothing but an unknown field is sent.
fn refused(entity: &Entity) -> String {
    let required = entity
        .fields
        .iter()
        .filter(|it| is_input(it) && it.required)
        .map(|it| it.name.snake.as_str());
    let fields: Vec<String> = required
        .chain(["no_such_field"])
        .map(string_literal)
        .collect();
    fields.join(", ")
}

/// Whether the same input twice is refused: a unique index whose columns are all in it.
fn has_unique_input(model: &Model, entity: &Entity) -> bool {
    let is_given = |name: &str| {
        let given = |it: &Field| it.required && it.origin == FieldOrigin::Declared;
        name == TENANT || entity.field(name).is_some_and(given)
    };
    schema::tables(model)
        .iter()
        .filter(|it| it.name == entity.table)
        .flat_map(|it| &it.indexes)
        .any(|index| index.unique && index.columns.iter().all(|it| is_given(&it.name)))
}
