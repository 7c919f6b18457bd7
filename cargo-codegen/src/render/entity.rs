//! The entity crate: one SeaORM entity per definition.

use askama::Template;
use heck::ToSnakeCase;

use super::field::{self, capitalized, one_line, string_literal, with_article};
use super::imports::Imports;
use super::relation::{self, LinkView, RelatedView, RelationView};
use super::{Rendered, Result};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::{DefaultValue, Entity, Field, FieldOrigin, FieldType, Model, Name};
use crate::schema::ColumnType;

#[derive(Template)]
#[template(path = "entity/src/entity.rs.jinja")]
struct EntityView<'a> {
    entity: &'a Entity,
    imports: String,
    docs: String,
    a_thing: String,
    table: String,
    eq: bool,
    fields: Vec<FieldView>,
    enums: Vec<EnumView<'a>>,
    relations: Vec<RelationView>,
    related: Vec<RelatedView>,
    links: Vec<LinkView>,
    now: bool,
    /// Columns of points in time that have to be checked: name, identifier and whether they may be null.
    moments: Vec<(String, &'a str, bool)>,
    /// Columns of decimals: name, the value that is set, precision and scale.
    decimals: Vec<(String, String, u32, u32)>,
    hook: &'static str,
    on_insert: Vec<String>,
    on_save: Vec<String>,
}

struct FieldView {
    docs: String,
    attributes: Vec<String>,
    ident: String,
    ty: String,
}

struct EnumView<'a> {
    name: &'a str,
    docs: String,
    length: u32,
    /// `DeriveActiveEnum` can cope with its values.
    derived: bool,
    /// serde's `snake_case` gives every value.
    snake_case: bool,
    choices: Vec<ChoiceView<'a>>,
}

struct ChoiceView<'a> {
    value: &'a str,
    literal: String,
    variant: &'a str,
}

/// The SeaORM entities, and their modules in the crate's `lib.rs`.
///
/// # Errors
/// If a template fails.
pub fn entity_crate(model: &Model) -> Result<Rendered> {
    let package = &model.config.entity_crate;
    let mut rendered = Rendered::default();
    for entity in &model.entities {
        rendered.outputs.push(Output {
            path: package.file(&format!("src/{}.rs", file_stem(&entity.name))),
            kind: OutputKind::Generated {
                source: entity.source.to_string(),
            },
            content: view(model, entity).render()?,
        });
        rendered.edits.push(Edit::Module {
            file: package.file("src/lib.rs"),
            ident: entity.name.ident.clone(),
            public: true,
        });
    }
    for join in &model.joins {
        rendered.outputs.push(super::join::join(model, join)?);
        rendered.edits.push(Edit::Module {
            file: package.file("src/lib.rs"),
            ident: join.name.ident.clone(),
            public: true,
        });
    }
    Ok(rendered)
}

/// A module `r#type` lies in `type.rs`.
pub(super) fn file_stem(name: &Name) -> &str {
    name.ident.trim_start_matches("r#")
}

fn view<'a>(model: &Model, entity: &'a Entity) -> EntityView<'a> {
    let mut imports = Imports::default();
    let enums: Vec<EnumView<'a>> = entity
        .fields
        .iter()
        .filter_map(|it| enum_view(entity, it))
        .collect();
    let (on_insert, on_save) = before_save(entity);
    let now = entity.fields.iter().any(is_set_to_now);
    if now {
        imports.name("chrono::Utc");
    }
    if now || on_save.iter().any(|it| it.contains("trunc_subsecs")) {
        imports.name("chrono::SubsecRound");
    }
    if on_save.iter().any(|it| it.contains("Set(")) {
        imports.name("sea_orm::ActiveValue::Set");
    }
    imports.name("sea_orm::entity::prelude::*");
    let moments = if model.config.bounds_moments() {
        moments(entity)
    } else {
        Vec::new()
    };
    if !moments.is_empty() {
        imports.name("sea_orm::DbBackend");
    }
    if !enums.is_empty() {
        imports.name("serde::Deserialize");
        imports.name("serde::Serialize");
    }
    if enums.iter().any(|it| !it.derived) {
        imports.name("sea_orm::ColumnDef");
        imports.name("sea_orm::sea_query::DynIden");
        imports.name("std::fmt");
        imports.name("std::str::FromStr");
    }
    let decimals = decimals(entity);
    let hook = hook(entity, !(moments.is_empty() && decimals.is_empty()));
    let relations = relation::views(model, entity);
    EntityView {
        entity,
        imports: imports.lines(),
        docs: entity_doc(entity),
        a_thing: with_article(&entity.name.human),
        table: string_literal(&entity.table),
        eq: !entity.fields.iter().any(|it| {
            it.ty == FieldType::Float || it.ty.is_vector() || it.constraints.json.is_some()
        }),
        fields: entity
            .fields
            .iter()
            .map(|it| field_view(model, entity, it))
            .collect(),
        enums,
        relations: relations.variants,
        related: relations.related,
        links: relations.links,
        now,
        moments,
        decimals,
        hook,
        on_insert,
        on_save,
    }
}

/// One line about an entity.
pub(super) fn entity_doc(entity: &Entity) -> String {
    entity
        .description
        .as_deref()
        .map(one_line)
        .filter(|it| !it.is_empty())
        .unwrap_or_else(|| format!("{}.", capitalized(&with_article(&entity.name.human))))
}

fn field_view(model: &Model, entity: &Entity, field: &Field) -> FieldView {
    let mut attributes = Vec::new();
    if field.origin == FieldOrigin::Key {
        attributes.push(match field.ty {
            FieldType::Integer | FieldType::BigInt => "primary_key".to_owned(),
            _ => "primary_key, auto_increment = false".to_owned(),
        });
    }
    let plain = field.name.ident.trim_start_matches("r#");
    if plain != field.name.snake || plain != field::variant(field).to_snake_case() {
        attributes.push(format!(
            "column_name = {}",
            string_literal(&field.name.snake)
        ));
    }
    let column_type = match ColumnType::of(&field.ty, field.constraints.max_length) {
        ColumnType::String(length) if field.ty == FieldType::String => {
            Some(format!("String(StringLen::N({length}))"))
        }
        ColumnType::Text => Some("Text".to_owned()),
        ColumnType::Decimal(precision, scale) => {
            Some(format!("Decimal(Some(({precision}, {scale})))"))
        }
        ColumnType::JsonBinary => Some("JsonBinary".to_owned()),
        ColumnType::Blob => Some("Blob".to_owned()),
        ColumnType::Vector(dimensions) => Some(format!("Vector(Some({dimensions}))")),
        _ => None,
    };
    if let Some(column_type) = column_type {
        attributes.push(format!("column_type = \"{column_type}\""));
    }
    let of_all_rows = !entity.behaviors.soft_delete && !entity.behaviors.tenant;
    if field.unique && field.origin != FieldOrigin::Key && of_all_rows {
        attributes.push("unique".to_owned());
    }
    FieldView {
        docs: field::doc(entity, field),
        attributes: if attributes.is_empty() {
            Vec::new()
        } else {
            vec![format!("#[sea_orm({})]", attributes.join(", "))]
        },
        ident: field.name.ident.clone(),
        ty: field::entity_type(field, &model.config.entity_crate.ident()),
    }
}

fn enum_view<'a>(entity: &Entity, field: &'a Field) -> Option<EnumView<'a>> {
    let FieldType::Enum { type_name, choices } = &field.ty else {
        return None;
    };
    let ColumnType::String(length) = ColumnType::of(&field.ty, None) else {
        return None;
    };
    Some(EnumView {
        name: type_name,
        docs: format!(
            "{} of {}.",
            capitalized(&field.name.human),
            with_article(&entity.name.human)
        ),
        length,
        derived: !choices
            .iter()
            .any(|it| it.snake.eq_ignore_ascii_case("self")),
        snake_case: choices
            .iter()
            .all(|it| serde_snake_case(&it.pascal) == it.snake),
        choices: choices
            .iter()
            .map(|choice| ChoiceView {
                value: &choice.snake,
                literal: string_literal(&choice.snake),
                variant: &choice.pascal,
            })
            .collect(),
    })
}

/// What `#[serde(rename_all = "snake_case")]` makes of a variant: an underscore before each capital.
fn serde_snake_case(variant: &str) -> String {
    let mut snake = String::new();
    for (index, char) in variant.char_indices() {
        if index > 0 && char.is_uppercase() {
            snake.push('_');
        }
        snake.extend(char.to_lowercase());
    }
    snake
}

/// What SeaORM's hook does on insert, and on every save.
fn before_save(entity: &Entity) -> (Vec<String>, Vec<String>) {
    let mut on_insert = Vec::new();
    let mut on_save = Vec::new();
    for field in &entity.fields {
        let ident = &field.name.ident;
        match (field.origin, field.name.snake.as_str()) {
            (FieldOrigin::Key, _) if field.ty == FieldType::Uuid => {
                on_insert.push(format!("self.{ident}.set_if_unset_with(Uuid::now_v7);"));
            }
            (FieldOrigin::Behavior, "created_at") => {
                on_insert.push(format!("self.{ident}.set_if_unset(now);"));
            }
            (FieldOrigin::Behavior, "updated_at") => {
                on_save.push(format!("self.{ident} = Set(now);"));
            }
            _ if field::defaults_to_now(field) => {
                let now = match field.ty {
                    FieldType::Date => "now.date_naive()",
                    FieldType::Time => "now.time()",
                    _ => "now",
                };
                let now = if field.nullable {
                    format!("Some({now})")
                } else {
                    now.to_owned()
                };
                on_insert.push(format!("self.{ident}.set_if_unset({now});"));
            }
            _ => on_insert.extend(uuid_default(field).map(|value| {
                let value = if field.nullable {
                    format!("Some({value})")
                } else {
                    value
                };
                format!("self.{ident}.set_if_unset({value});")
            })),
        }
    }
    on_save.extend(entity.fields.iter().filter_map(whole_microseconds));
    (on_insert, on_save)
}

/// What gives every database the same value: PostgreSQL and MySQL keep microseconds, SQLite all that it is given.
fn whole_microseconds(field: &Field) -> Option<String> {
    let moment = match field.ty {
        FieldType::DateTime => "moment",
        FieldType::Time => "time",
        _ => return None,
    };
    if field.origin != FieldOrigin::Declared {
        return None;
    }
    let ident = &field.name.ident;
    let pattern = if field.nullable {
        format!("Set(Some({moment}))")
    } else {
        format!("Set({moment})")
    };
    Some(format!(
        "if let {pattern} = &mut self.{ident} {{ *{moment} = {moment}.trunc_subsecs(6); }}"
    ))
}

/// The decimals that have to be checked.
fn decimals(entity: &Entity) -> Vec<(String, String, u32, u32)> {
    let fields = entity.fields.iter();
    fields
        .filter_map(|it| {
            let FieldType::Decimal { precision, scale } = it.ty else {
                return None;
            };
            let null = if it.nullable {
                ".and_then(Option::as_ref)"
            } else {
                ""
            };
            let value = format!("self.{}.try_as_ref(){null}", it.name.ident);
            Some((string_literal(&it.name.snake), value, precision, scale))
        })
        .collect()
}

/// What SeaORM's hook is for.
fn hook(entity: &Entity, checks: bool) -> &'static str {
    let fields = || entity.fields.iter();
    let fills = fields().any(is_set_to_now)
        || fields().any(|it| it.origin == FieldOrigin::Key && it.ty == FieldType::Uuid)
        || fields().any(|it| uuid_default(it).is_some());
    let keeps = checks || fields().any(|it| whole_microseconds(it).is_some());
    match (fills, keeps) {
        (_, false) => "Fills in what neither clients nor services set.",
        (false, true) => "Keeps to what every database stores.",
        (true, true) => {
            "Fills in what neither clients nor services set, and keeps to what every database stores."
        }
    }
}

/// The points in time that are not the present one.
fn moments(entity: &Entity) -> Vec<(String, &str, bool)> {
    let given = entity
        .fields
        .iter()
        .filter(|it| it.ty == FieldType::DateTime && it.origin == FieldOrigin::Declared);
    given
        .map(|it| {
            let name = string_literal(&it.name.snake);
            (name, it.name.ident.as_str(), it.nullable)
        })
        .collect()
}

fn is_set_to_now(field: &Field) -> bool {
    let by_behavior = field.origin == FieldOrigin::Behavior
        && matches!(field.name.snake.as_str(), "created_at" | "updated_at");
    by_behavior || field::defaults_to_now(field)
}

fn uuid_default(field: &Field) -> Option<String> {
    match (&field.ty, &field.default) {
        (FieldType::Uuid, Some(DefaultValue::Text(text))) => {
            let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            Some(format!("Uuid::from_u128(0x{digits})"))
        }
        _ => None,
    }
}
