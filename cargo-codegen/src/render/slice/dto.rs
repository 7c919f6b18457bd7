//! `dto.rs` of a slice: what clients send and receive.

use askama::Template;

use super::{Slice, title};
use crate::model::{Field, FieldType};
use crate::render::constraint;
use crate::render::entity::entity_doc;
use crate::render::field::{
    self, capitalized, is_input, is_number, must_be_json, optional, string_literal, with_article,
};
use crate::render::imports::Imports;

#[derive(Template)]
#[template(path = "app/src/slice/generated/dto.rs.jinja")]
pub(super) struct DtoView<'a> {
    source: &'a str,
    title: String,
    imports: String,
    docs: String,
    a_thing: String,
    a_thing_capital: String,
    pascal: &'a str,
    ident: &'a str,
    module: String,
    rest: bool,
    writes: bool,
    has_fields: bool,
    patterns: Vec<PatternView>,
    response: Vec<DtoField>,
    create: Vec<DtoField>,
    update: Vec<DtoField>,
    required: String,
}

struct PatternView {
    field: String,
    name: String,
    literal: String,
}

struct DtoField {
    docs: String,
    attributes: Vec<String>,
    ident: String,
    ty: String,
    /// What a response takes from the row.
    value: String,
}

/// Which struct a field stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Response,
    Create,
    Update,
}

/// The DTOs of a slice.
pub(super) fn view<'a>(slice: Slice<'a>) -> DtoView<'a> {
    let entity = slice.entity;
    let pascal = &entity.name.pascal;
    let mut imports = Imports::beside([
        format!("{pascal}Response"),
        format!("Create{pascal}"),
        format!("Update{pascal}"),
    ]);
    let module = slice.row_module(&mut imports);
    let writes = entity.writes;
    let has_fields = writes && entity.custom_fields.is_some();
    for (path, used) in [
        ("garde::Validate", writes),
        ("sea_orm::DeriveIntoActiveModel", writes),
        ("serde::Deserialize", writes),
        ("serde::Serialize", entity.rest),
        ("utoipa::ToSchema", true),
        ("crate::generated::CustomFields", has_fields),
        ("crate::generated::Input", writes),
        ("crate::generated::Rules", writes),
    ] {
        if used {
            imports.name(path);
        }
    }
    let inputs: Vec<&Field> = entity.fields.iter().filter(|it| is_input(it)).collect();
    let patterns: Vec<PatternView> = inputs
        .iter()
        .filter(|_| writes)
        .filter_map(|field| {
            Some(PatternView {
                field: field.name.snake.clone(),
                name: constraint::pattern_name(field),
                literal: constraint::raw_literal(field.constraints.pattern.as_deref()?),
            })
        })
        .collect();
    if !patterns.is_empty() {
        imports.name("crate::generated::Pattern");
    }
    let mut fields = |role: Role, fields: Vec<&Field>| -> Vec<DtoField> {
        fields
            .into_iter()
            .map(|field| dto_field(slice, field, role, &mut imports))
            .collect()
    };
    let response = entity
        .fields
        .iter()
        .filter(|it| entity.shows(it))
        .filter(|_| entity.rest)
        .collect();
    let response = fields(Role::Response, response);
    let inputs = if writes { inputs } else { Vec::new() };
    let create = fields(Role::Create, inputs.clone());
    // The same fields: what is created is held to the rules of a change, which needs none of them.
    let update = fields(Role::Update, inputs);
    let required: Vec<String> = entity
        .fields
        .iter()
        .filter(|it| is_input(it) && it.required)
        .map(|it| string_literal(&it.name.snake))
        .collect();
    let a_thing = with_article(&entity.name.human);
    DtoView {
        source: entity.source.as_str(),
        title: title(entity),
        imports: imports.lines(),
        docs: entity_doc(entity),
        a_thing_capital: capitalized(&a_thing),
        a_thing,
        pascal,
        ident: &entity.name.ident,
        module,
        rest: entity.rest,
        writes,
        has_fields,
        patterns,
        response,
        create,
        update,
        required: required.join(", "),
    }
}

fn dto_field(slice: Slice<'_>, field: &Field, role: Role, imports: &mut Imports) -> DtoField {
    let plain = match &field.constraints.json {
        Some(json) => imports.name(&json.in_app_crate(&slice.model.config.entity_crate.ident())),
        None => field::app_type(&field.ty, &slice.row_path(), imports),
    };
    let may_be_absent = match role {
        Role::Response => field.nullable,
        Role::Create => !field.required,
        Role::Update => field.nullable,
    };
    let ty = optional(plain, may_be_absent);
    let ty = optional(ty, role == Role::Update);
    let mut attributes = Vec::new();
    if role != Role::Response {
        attributes.push(format!(
            "#[garde({})]",
            constraint::garde_rules(field, imports).join(", ")
        ));
    }
    let schema = schema_attribute(slice, field, role, imports);
    if !schema.is_empty() {
        attributes.push(format!("#[schema({})]", schema.join(", ")));
    }
    let serde = serde_attribute(field, role, imports);
    if !serde.is_empty() {
        attributes.push(format!("#[serde({})]", serde.join(", ")));
    }
    let value = format!("{}.{}", slice.entity.name.ident, field.name.ident);
    DtoField {
        value: match role {
            Role::Response => field::shown(field, &slice.model.config, value, imports),
            Role::Create | Role::Update => value,
        },
        docs: field::doc(slice.entity, field),
        attributes,
        ident: field.name.ident.clone(),
        ty,
    }
}

fn schema_attribute(
    slice: Slice<'_>,
    field: &Field,
    role: Role,
    imports: &mut Imports,
) -> Vec<String> {
    let null = match role {
        Role::Response | Role::Update => field.nullable,
        Role::Create => !field.required,
    };
    let mut schema = Vec::new();
    match &field.ty {
        FieldType::Enum { type_name, .. } => {
            let function = if null { "one_of_or_null" } else { "one_of" };
            let path = imports.name("crate::generated::schema");
            let ty = imports.name(&format!("{}::{type_name}", slice.row_path()));
            schema.push(format!("schema_with = {path}::{function}::<{ty}>"));
            if role != Role::Response && (role == Role::Update || null) {
                schema.push("required = false".to_owned());
            }
        }
        FieldType::Bytes => {
            let optional = null || role == Role::Update;
            let ty = if optional { "Option<String>" } else { "String" };
            schema.push(format!("value_type = {ty}"));
            schema.push("format = Byte".to_owned());
        }
        FieldType::BigInt | FieldType::Decimal { .. } | FieldType::Time => {
            let optional = null || role == Role::Update;
            let ty = if optional { "Option<String>" } else { "String" };
            schema.push(format!("value_type = {ty}"));
            schema.extend(constraint::text_format(&field.ty));
        }
        _ => {
            if role != Role::Response {
                schema.extend(constraint::schema_rules(field));
            }
        }
    }
    if role == Role::Update && !null && !matches!(field.ty, FieldType::Enum { .. }) {
        schema.push("nullable = false".to_owned());
    }
    schema
}

/// JSON of any form in a column that is not nullable, where the client has to send some or may leave it out.
fn is_needed_json(field: &Field, role: Role) -> bool {
    let is_given = role == Role::Update || field.required;
    must_be_json(field) && is_given
}

fn serde_attribute(field: &Field, role: Role, imports: &mut Imports) -> Vec<String> {
    let mut serde = Vec::new();
    if field.name.ident.trim_start_matches("r#") != field.name.snake {
        serde.push(format!("rename = {}", string_literal(&field.name.snake)));
    }
    if field.ty == FieldType::Bytes {
        let path = imports.name("crate::generated::base64");
        serde.push(match (role, field.nullable || !field.required) {
            (Role::Response, _) if field.nullable => {
                format!("serialize_with = \"{path}::serialize_optional\"")
            }
            (Role::Response, _) => format!("serialize_with = \"{path}::serialize\""),
            (Role::Create, false) => format!("deserialize_with = \"{path}::deserialize\""),
            (Role::Create, true) => {
                format!("default, deserialize_with = \"{path}::deserialize_optional\"")
            }
            (Role::Update, _) if field.nullable => {
                format!("default, deserialize_with = \"{path}::deserialize_change\"")
            }
            (Role::Update, _) => {
                format!("default, deserialize_with = \"{path}::deserialize_present\"")
            }
        });
    } else if is_number(&field.ty) {
        let path = imports.name("crate::generated::number");
        serde.push(match role {
            Role::Response => format!("serialize_with = \"{path}::serialize\""),
            Role::Create if field.required => {
                format!("deserialize_with = \"{path}::deserialize\"")
            }
            Role::Create => format!("default, deserialize_with = \"{path}::deserialize\""),
            Role::Update => format!("default, deserialize_with = \"{path}::present\""),
        });
    } else if role != Role::Response && is_needed_json(field, role) {
        imports.name("crate::generated::not_null");
        let default = if role == Role::Update {
            "default, "
        } else {
            ""
        };
        serde.push(format!("{default}deserialize_with = \"not_null\""));
    } else if role == Role::Update {
        imports.name("crate::generated::present");
        serde.push("default, deserialize_with = \"present\"".to_owned());
    }
    serde
}
