//! `values.rs`: the values of custom fields, and what their definitions say.

use askama::Template;

use super::scope::Place;
use super::{Slice, cascade, upsert};
use crate::model::{Entity, Field, FieldType, RelationKind};
use crate::render::field;
use crate::render::imports::Imports;

#[derive(Template)]
#[template(path = "app/src/slice/generated/values.rs.jinja")]
pub(super) struct ValuesView<'a> {
    source: &'a str,
    thing: &'a str,
    things: &'a str,
    definitions: &'a str,
    imports: String,
    pascal: &'a str,
    module: String,
    relation: String,
    upsert_key: String,
    entity_type: EntityTypeView,
    /// The type of the keys of rows that have custom fields.
    id: String,
    definition_id: PointerView,
    definition: DefinitionView,
    repository: String,
    value: &'static str,
    user_value: &'static str,
    now_value: &'static str,
    history: bool,
    of_users: bool,
    tenant: bool,
    timestamps: bool,
    /// Rows with custom fields are deleted by the database too.
    cascades: bool,
}

struct EntityTypeView {
    /// The type of an argument.
    ty: String,
    owned: &'static str,
}

/// The column that points to a definition.
struct PointerView {
    ident: String,
    variant: String,
    definition: &'static str,
}

struct DefinitionView {
    repository: String,
    module: String,
    id: String,
    key: String,
    soft_delete: bool,
    is_required: Option<&'static str>,
    types: Vec<TypeView>,
    limits: Vec<(&'static str, String)>,
}

struct TypeView {
    variant: String,
    name: String,
}

/// The values of custom fields; `None` if the entity holds none.
pub(super) fn view<'a>(slice: Slice<'a>) -> Option<ValuesView<'a>> {
    let (model, entity) = (slice.model, slice.entity);
    let table = entity.field_values.as_ref()?;
    let defining = model.entity(&table.definition)?;
    let (history, of_users) = (table.history, table.of_users);
    let cascades = cascade::is_needed(model);
    let mut imports = Imports::default();
    for (path, used) in [
        ("std::collections::BTreeMap", true),
        ("std::collections::HashMap", true),
        ("chrono::SubsecRound", history),
        ("chrono::Utc", history),
        ("garde::Path", true),
        ("garde::Report", true),
        ("sea_orm::ActiveModelBehavior", history),
        ("sea_orm::ActiveValue::Set", true),
        ("sea_orm::ColumnTrait", true),
        ("sea_orm::Condition", true),
        ("sea_orm::ConnectionTrait", true),
        ("sea_orm::DatabaseTransaction", true),
        ("sea_orm::DbErr", true),
        ("sea_orm::EntityTrait", true),
        ("sea_orm::JoinType", true),
        ("sea_orm::QueryFilter", true),
        ("sea_orm::QuerySelect", true),
        ("sea_orm::RelationTrait", true),
        ("sea_orm::sea_query::SelectStatement", cascades),
        ("serde_json::Value", true),
        ("uuid::Uuid", of_users),
        ("crate::generated::CustomFields", true),
        ("crate::generated::Error", true),
        ("crate::generated::FieldRule", true),
        ("crate::generated::FieldType", true),
        ("crate::generated::UpsertKey", !history),
        ("crate::generated::upsert", !history),
    ] {
        if used {
            imports.name(path);
        }
    }
    slice.import(&mut imports, "repository::*Repository");
    slice.import(&mut imports, "service::*Service");
    let module = slice.row_module(&mut imports);
    imports.name(&format!("{}::Column", slice.row_path()));
    imports.name(&format!("{}::Entity", slice.row_path()));
    let relation = entity.relations.iter().find(|it| {
        it.kind == RelationKind::BelongsTo && it.foreign_key.snake == table.definition_id
    })?;
    let pointer = entity.field(&table.definition_id)?;
    let entity_type = entity.field("entity_type")?;
    let is_enum = matches!(entity_type.ty, FieldType::Enum { .. });
    let nullable = |name: &str| entity.field(name).is_some_and(|it| it.nullable);
    let one_of = |nullable: bool, plain, optional| if nullable { optional } else { plain };
    let key: Vec<&str> = table.key.iter().map(String::as_str).collect();
    Some(ValuesView {
        source: entity.source.as_str(),
        thing: &entity.name.human,
        things: &entity.plural.human,
        definitions: &defining.plural.human,
        pascal: &entity.name.pascal,
        relation: relation.name.pascal.clone(),
        upsert_key: upsert::key(entity, &key),
        entity_type: EntityTypeView {
            ty: field::argument_type(&entity_type.ty, &slice.row_path(), &mut imports),
            owned: match (is_enum, entity_type.nullable) {
                (true, false) => "entity_type",
                (true, true) => "Some(entity_type)",
                (false, false) => "entity_type.to_owned()",
                (false, true) => "Some(entity_type.to_owned())",
            },
        },
        id: field::app_type(&entity.field("entity_id")?.ty, "", &mut imports),
        definition_id: PointerView {
            ident: pointer.name.ident.clone(),
            variant: field::variant(pointer),
            definition: one_of(pointer.nullable, "definition", "Some(definition)"),
        },
        definition: definition(slice, defining, &mut imports)?,
        value: one_of(nullable("value"), "value", "Some(value)"),
        user_value: one_of(nullable("user_id"), "actor", "Some(actor)"),
        now_value: one_of(nullable("valid_from"), "now", "Some(now)"),
        repository: slice.repository(),
        history,
        of_users,
        tenant: slice.is_of_tenant(),
        cascades,
        timestamps: entity.behaviors.timestamps,
        module,
        imports: imports.lines(),
    })
}

fn definition(slice: Slice<'_>, entity: &Entity, imports: &mut Imports) -> Option<DefinitionView> {
    let path = format!(
        "{}::{}",
        slice.model.config.entity_crate.ident(),
        entity.name.ident
    );
    let key = entity.key()?;
    let FieldType::Enum { type_name, choices } = &entity.field("data_type")?.ty else {
        return None;
    };
    let data_type = imports.name(&format!("{path}::{type_name}"));
    Some(DefinitionView {
        repository: slice.repository_of(entity, Place::Service, imports),
        module: imports.name(&path),
        id: field::app_type(&key.ty, "", imports),
        key: key.name.ident.clone(),
        soft_delete: entity.behaviors.soft_delete,
        is_required: entity.field("is_required").map(|it| {
            if it.nullable {
                "is_required.unwrap_or_default()"
            } else {
                "is_required"
            }
        }),
        types: choices
            .iter()
            .map(|it| TypeView {
                variant: format!("{data_type}::{}", it.pascal),
                name: it.pascal.clone(),
            })
            .collect(),
        limits: [
            ("choices", "picklist_values"),
            ("min_length", "min_length"),
            ("max_length", "max_length"),
            ("min", "min"),
            ("max", "max"),
        ]
        .map(|(limit, column)| (limit, limit_of(entity.field(column))))
        .into(),
    })
}

fn limit_of(field: Option<&Field>) -> String {
    let Some(field) = field else {
        return "None".to_owned();
    };
    let ident = &field.name.ident;
    match (field.ty == FieldType::Json, field.nullable) {
        (true, true) => format!("definition.{ident}.as_ref()"),
        (true, false) => format!("Some(&definition.{ident})"),
        (false, true) => format!("definition.{ident}"),
        (false, false) => format!("Some(definition.{ident})"),
    }
}
