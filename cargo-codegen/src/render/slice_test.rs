//! A starting test for each entity: its routes, on SQLite unless told otherwise.

use askama::Template;

use super::entity::file_stem;
use super::field::{capitalized, is_input, string_literal, with_article};
use super::{Rendered, Result, sample, scaffold};
use crate::changeset::{Output, OutputKind};
use crate::model::{Database, Entity, FieldOrigin, FieldType, Model, NamedQuery, RelationKind};
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
    key: String,
    key_is_string: bool,
    parents: Vec<ParentView>,
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

/// A row that must be there first.
struct ParentView {
    name: String,
    path: String,
    body: String,
    key: String,
}

/// A test of each entity's routes. An entity for which no valid input could be made up gets none.
///
/// # Errors
/// If a template fails.
pub fn slice_tests(model: &Model) -> Result<Rendered> {
    let mut rendered = Rendered::default();
    let config = &model.config;
    if !config.databases.contains(&Database::Sqlite) {
        return Ok(rendered);
    }
    let owned = |path: &str, content| Output {
        path: config.app_crate.file(path),
        kind: OutputKind::Owned,
        content,
    };
    for entity in model.entities.iter().filter(|it| it.rest) {
        // Only the user knows how a request names its tenant.
        if config.multi_tenant && !entity.emits.is_empty() {
            continue;
        }
        if let Some(view) = view(model, entity) {
            let path = format!("tests/{}.rs", file_stem(&entity.plural));
            rendered.outputs.push(owned(&path, view.render()?));
        }
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

fn view<'a>(model: &'a Model, entity: &'a Entity) -> Option<SliceTestView<'a>> {
    let mut parents = Vec::new();
    let (body, change, changed, kept) = if entity.writes {
        let body = object(
            &body(model, entity, &mut parents, &mut vec![entity])?,
            "    ",
        );
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
        (body, change, changed, kept)
    } else {
        Default::default()
    };
    let key = entity.key();
    Some(SliceTestView {
        title: capitalized(&entity.plural.human),
        a_thing: with_article(&entity.name.human),
        url: &entity.plural.kebab,
        writes: entity.writes,
        key: string_literal(key.map_or("id", |it| &it.name.snake)),
        key_is_string: !matches!(
            key.map(|it| &it.ty),
            Some(FieldType::Integer | FieldType::BigInt | FieldType::Float | FieldType::Boolean)
        ),
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

/// The input for an entity, after creating what it must refer to; `above` are the entities that wait for this one.
fn body<'a>(
    model: &'a Model,
    entity: &'a Entity,
    parents: &mut Vec<ParentView>,
    above: &mut Vec<&'a Entity>,
) -> Option<Vec<String>> {
    let mut members = Vec::new();
    for field in entity
        .fields
        .iter()
        .filter(|it| is_input(it) && it.required)
    {
        let relation = entity.relations.iter().find(|it| {
            it.kind == RelationKind::BelongsTo && it.foreign_key.snake == field.name.snake
        });
        let value = match relation {
            Some(relation) => parent(model, model.entity(&relation.target)?, parents, above)?,
            None => sample::value(field)?,
        };
        members.push(format!("{}: {value}", string_literal(&field.name.snake)));
    }
    Some(members)
}

/// A JSON object, each member in a line of its own unless they are few; `indent` is that of its first line.
fn object(members: &[String], indent: &str) -> String {
    if members.is_empty() {
        "{}".to_owned()
    } else if members.len() <= 3 {
        format!("{{ {} }}", members.join(", "))
    } else {
        let between = format!(",\n{indent}    ");
        format!("{{\n{indent}    {}\n{indent}}}", members.join(&between))
    }
}

/// The variable that holds the key of a row of this entity.
fn parent<'a>(
    model: &'a Model,
    entity: &'a Entity,
    parents: &mut Vec<ParentView>,
    above: &mut Vec<&'a Entity>,
) -> Option<String> {
    let name = format!("{}_{}", entity.name.snake, entity.key()?.name.snake);
    if parents.iter().any(|it| it.name == name) {
        return Some(name);
    }
    // Rows that must refer to each other cannot be created one after the other.
    if above.iter().any(|it| it.name == entity.name) || !(entity.writes && entity.rest) {
        return None;
    }
    above.push(entity);
    let body = body(model, entity, parents, above);
    above.pop();
    parents.push(ParentView {
        name: name.clone(),
        path: format!("/{}", entity.plural.kebab),
        body: object(&body?, "        "),
        key: string_literal(&entity.key()?.name.snake),
    });
    Some(name)
}

/// A field and another valid value for it than the one in the input.
fn changeable(entity: &Entity) -> Option<(String, String)> {
    entity
        .fields
        .iter()
        .filter(|it| it.origin == FieldOrigin::Declared)
        .filter(|it| {
            !entity
                .relations
                .iter()
                .any(|relation| relation.foreign_key.snake == it.name.snake)
        })
        .find_map(|it| Some((it.name.snake.clone(), sample::other_value(it)?)))
}

/// The fields that are named as wrong when nothing but an unknown field is sent.
fn refused(entity: &Entity) -> String {
    let required: Vec<String> = entity
        .fields
        .iter()
        .filter(|it| is_input(it) && it.required)
        .map(|it| string_literal(&it.name.snake))
        .collect();
    if required.is_empty() {
        string_literal("no_such_field")
    } else {
        required.join(", ")
    }
}

/// Whether the same input twice is refused: a unique index whose columns are all in it.
fn has_unique_input(model: &Model, entity: &Entity) -> bool {
    let is_given = |name: &str| {
        entity
            .field(name)
            .is_some_and(|it| it.required && it.origin == FieldOrigin::Declared)
    };
    schema::tables(model)
        .iter()
        .filter(|it| it.name == entity.table)
        .flat_map(|it| &it.indexes)
        .any(|index| index.unique && index.columns.iter().all(|it| is_given(&it.name)))
}
