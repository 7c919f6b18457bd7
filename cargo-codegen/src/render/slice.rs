//! A vertical slice of the app crate: everything about one entity.

use askama::Template;

use super::entity::file_stem;
use super::field::{self, capitalized, string_literal, with_article};
use super::imports::Imports;
use super::{Rendered, Result, dto, scaffold};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::{EmitOn, Entity, Field, FieldType, Model, Query, SortOrder, Subsystem};
use crate::schema;

/// One entity, in the model that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Slice<'a> {
    pub(super) model: &'a Model,
    pub(super) entity: &'a Entity,
}

impl Slice<'_> {
    /// Path of the entity's module in the entity crate.
    pub(super) fn row_path(&self) -> String {
        let config = &self.model.config;
        format!(
            "{}::{}",
            config.entity_crate.ident(),
            self.entity.name.ident
        )
    }

    /// The same, as a file that imports it spells it.
    pub(super) fn row_module(&self, imports: &mut Imports) -> String {
        imports.name(&self.row_path())
    }

    /// Imports an item of the slice; `item` holds a `*` where the entity's name goes.
    fn import(&self, imports: &mut Imports, item: &str) {
        imports.name(&format!(
            "super::{}",
            item.replace('*', &self.entity.name.pascal)
        ));
    }
}

#[derive(Template)]
#[template(path = "app/src/slice/mod.rs.jinja")]
struct OwnedModuleView<'a> {
    title: String,
    pascal: &'a str,
}

#[derive(Template)]
#[template(path = "app/src/slice/generated/mod.rs.jinja")]
struct ModuleView<'a> {
    source: &'a str,
    title: String,
    pascal: &'a str,
    has_dto: bool,
    rest: bool,
    writes: bool,
}

#[derive(Template)]
#[template(path = "app/src/slice/generated/repository.rs.jinja")]
struct RepositoryView<'a> {
    source: &'a str,
    table: &'a str,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    module: String,
    key: KeyView,
    queries: Vec<QueryView>,
    writes: bool,
    soft_delete: bool,
}

#[derive(Template)]
#[template(path = "app/src/slice/generated/service.rs.jinja")]
struct ServiceView<'a> {
    source: &'a str,
    table: &'a str,
    title: String,
    thing: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    module: String,
    key: KeyView,
    queries: Vec<QueryView>,
    unique: Vec<UniqueView>,
    writes: bool,
    soft_delete: bool,
    user_tracking: bool,
}

#[derive(Template)]
#[template(path = "app/src/slice/generated/use_cases.rs.jinja")]
struct UseCasesView<'a> {
    source: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    module: String,
    key: KeyView,
    state: &'a str,
    emits: bool,
    aggregate: String,
    on_create: EmissionView,
    on_update: EmissionView,
    on_delete: EmissionView,
    user_tracking: bool,
}

#[derive(Template)]
#[template(path = "app/src/slice/generated/routes.rs.jinja")]
struct RoutesView<'a> {
    source: &'a str,
    title: String,
    thing: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    snake: &'a str,
    plural: &'a str,
    url: &'a str,
    ident: &'a str,
    key: KeyView,
    state: &'a str,
    writes: bool,
    soft_delete: bool,
    user_tracking: bool,
}

/// The primary key.
#[derive(Clone)]
struct KeyView {
    ident: String,
    variant: String,
    ty: String,
    /// As a parameter.
    argument: String,
    /// `&` where an owned key is passed as a parameter.
    borrow: &'static str,
}

struct QueryView {
    ident: String,
    docs: String,
    arguments: Vec<ArgumentView>,
    order: Vec<String>,
    result: String,
    fetch: &'static str,
}

struct ArgumentView {
    ident: String,
    variant: String,
    ty: String,
}

struct UniqueView {
    name: String,
    columns: String,
    fields: String,
}

struct EmissionView {
    docs: String,
    events: Vec<String>,
}

/// Everything about one entity in the app crate.
///
/// # Errors
/// If a template fails.
pub fn slice(model: &Model, entity: &Entity) -> Result<Rendered> {
    let slice = Slice { model, entity };
    let app = &model.config.app_crate;
    let directory = format!("src/{}", file_stem(&entity.plural));
    let owned = OwnedModuleView {
        title: title(entity),
        pascal: &entity.name.pascal,
    };
    let has_dto = entity.rest || entity.writes;
    let mut files = vec![
        (
            "mod.rs",
            ModuleView {
                source: entity.source.as_str(),
                title: title(entity),
                pascal: &entity.name.pascal,
                has_dto,
                rest: entity.rest,
                writes: entity.writes,
            }
            .render()?,
        ),
        ("repository.rs", repository(slice).render()?),
        ("service.rs", service(slice).render()?),
    ];
    if has_dto {
        files.push(("dto.rs", dto::view(&slice).render()?));
    }
    if entity.writes {
        files.push(("use_cases.rs", use_cases(slice).render()?));
    }
    if entity.rest {
        files.push(("routes.rs", routes(slice).render()?));
    }
    let mut outputs = vec![Output {
        path: app.file(&format!("{directory}/mod.rs")),
        kind: OutputKind::Owned,
        content: owned.render()?,
    }];
    outputs.extend(files.into_iter().map(|(name, content)| Output {
        path: app.file(&format!("{directory}/generated/{name}")),
        kind: OutputKind::Generated {
            source: entity.source.to_string(),
        },
        content,
    }));
    Ok(Rendered {
        outputs,
        edits: vec![Edit::Module {
            file: app.file("src/lib.rs"),
            ident: entity.plural.ident.clone(),
            public: true,
        }],
        notes: Vec::new(),
    })
}

fn title(entity: &Entity) -> String {
    capitalized(&entity.plural.human)
}

fn key(entity: &Entity, imports: &mut Imports) -> KeyView {
    let Some(key) = entity.key() else {
        // The model gives every entity a key; a UUID is what it gives by default.
        let ty = imports.name("uuid::Uuid");
        return KeyView {
            ident: "id".to_owned(),
            variant: "Id".to_owned(),
            argument: ty.clone(),
            ty,
            borrow: "",
        };
    };
    let text = key.ty == FieldType::String;
    KeyView {
        ident: key.name.ident.clone(),
        variant: field::variant(key),
        ty: field::app_type(&key.ty, "", imports),
        argument: field::argument_type(&key.ty, "", imports),
        borrow: if text { "&" } else { "" },
    }
}

fn queries(slice: Slice<'_>, module: &str, imports: &mut Imports) -> Vec<QueryView> {
    let entity = slice.entity;
    entity
        .queries
        .iter()
        .map(|query| {
            let fields: Vec<&Field> = query.by.iter().filter_map(|it| entity.field(it)).collect();
            QueryView {
                ident: query.name.ident.clone(),
                docs: query_doc(entity, query, &fields),
                arguments: fields
                    .iter()
                    .map(|it| ArgumentView {
                        ident: it.name.ident.clone(),
                        variant: field::variant(it),
                        ty: field::argument_type(&it.ty, &slice.row_path(), imports),
                    })
                    .collect(),
                order: if query.unique {
                    Vec::new()
                } else {
                    order(entity, query)
                },
                result: if query.unique {
                    format!("Option<{module}::Model>")
                } else {
                    format!("Vec<{module}::Model>")
                },
                fetch: if query.unique { "one" } else { "all" },
            }
        })
        .collect()
}

fn query_doc(entity: &Entity, query: &Query, fields: &[&Field]) -> String {
    let by: Vec<String> = fields
        .iter()
        .map(|it| format!("`{}`", it.name.snake))
        .collect();
    let thing = if query.unique {
        &entity.name.human
    } else {
        &entity.plural.human
    };
    format!("The {thing} with this {}.", by.join(" and "))
}

/// The declared order, and the key behind it, so that equal rows keep their places.
fn order(entity: &Entity, query: &Query) -> Vec<String> {
    let declared = query
        .order
        .iter()
        .filter_map(|(name, order)| Some((entity.field(name)?, *order)));
    let has_key = query
        .order
        .iter()
        .any(|(name, _)| entity.key().is_some_and(|key| key.name.snake == *name));
    let key = entity
        .key()
        .filter(|_| !has_key)
        .map(|key| (key, SortOrder::Ascending));
    declared
        .chain(key)
        .map(|(field, order)| {
            let method = match order {
                SortOrder::Ascending => "order_by_asc",
                SortOrder::Descending => "order_by_desc",
            };
            format!(".{method}(Column::{})", field::variant(field))
        })
        .collect()
}

fn repository<'a>(slice: Slice<'a>) -> RepositoryView<'a> {
    let entity = slice.entity;
    let (writes, soft_delete) = (entity.writes, entity.behaviors.soft_delete);
    let mut imports = Imports::beside([format!("{}Repository", entity.name.pascal)]);
    for (path, used) in [
        ("sea_orm::ActiveModelTrait", writes),
        ("sea_orm::ActiveValue::Set", writes && soft_delete),
        ("sea_orm::ColumnTrait", true),
        ("sea_orm::ConnectionTrait", true),
        ("sea_orm::DbErr", true),
        ("sea_orm::EntityTrait", true),
        ("sea_orm::IntoActiveModel", writes && soft_delete),
        ("sea_orm::ModelTrait", writes && !soft_delete),
        ("sea_orm::PaginatorTrait", true),
        ("sea_orm::QueryFilter", true),
        ("sea_orm::QueryOrder", true),
        ("sea_orm::QuerySelect", true),
        ("sea_orm::Select", true),
        ("chrono::Utc", writes && soft_delete),
    ] {
        if used {
            imports.name(path);
        }
    }
    let module = slice.row_module(&mut imports);
    imports.name(&format!("{}::Column", slice.row_path()));
    imports.name(&format!("{}::Entity", slice.row_path()));
    RepositoryView {
        source: entity.source.as_str(),
        table: &entity.table,
        pascal: &entity.name.pascal,
        ident: &entity.name.ident,
        key: key(entity, &mut imports),
        queries: queries(slice, &module, &mut imports),
        module,
        writes,
        soft_delete,
        imports: imports.lines(),
    }
}

fn service<'a>(slice: Slice<'a>) -> ServiceView<'a> {
    let entity = slice.entity;
    let writes = entity.writes;
    let user_tracking = entity.behaviors.user_tracking;
    let mut imports = Imports::beside([format!("{}Service", entity.name.pascal)]);
    for (path, used) in [
        ("garde::Validate", true),
        ("sea_orm::ActiveValue::Set", writes && user_tracking),
        ("sea_orm::ActiveValue::Unchanged", writes),
        ("sea_orm::ConnectionTrait", true),
        ("sea_orm::DbErr", writes),
        ("sea_orm::IntoActiveModel", writes),
        ("uuid::Uuid", writes && user_tracking),
        ("crate::generated::Error", true),
        ("crate::generated::Page", true),
        ("crate::generated::PageQuery", true),
        ("crate::generated::Unique", writes),
    ] {
        if used {
            imports.name(path);
        }
    }
    if writes {
        slice.import(&mut imports, "dto::Create*");
        slice.import(&mut imports, "dto::Update*");
    }
    slice.import(&mut imports, "repository::*Repository");
    let module = slice.row_module(&mut imports);
    ServiceView {
        source: entity.source.as_str(),
        table: &entity.table,
        title: title(entity),
        thing: &entity.name.human,
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        pascal: &entity.name.pascal,
        ident: &entity.name.ident,
        key: key(entity, &mut imports),
        queries: queries(slice, &module, &mut imports),
        unique: unique(slice),
        module,
        writes,
        soft_delete: entity.behaviors.soft_delete,
        user_tracking,
        imports: imports.lines(),
    }
}

/// What databases say about the unique indexes of the entity's table.
fn unique(slice: Slice<'_>) -> Vec<UniqueView> {
    let tables = schema::tables(slice.model);
    let table = tables.iter().find(|it| it.name == slice.entity.table);
    table
        .into_iter()
        .flat_map(|it| &it.indexes)
        .filter(|it| it.unique)
        .map(|index| {
            let list = |format: &dyn Fn(&str) -> String| {
                let items: Vec<String> = index.columns.iter().map(|it| format(&it.name)).collect();
                items.join(", ")
            };
            UniqueView {
                name: string_literal(&index.name),
                columns: string_literal(&list(&|column| {
                    format!("{}.{column}", slice.entity.table)
                })),
                fields: list(&|column| string_literal(column)),
            }
        })
        .collect()
}

fn use_cases<'a>(slice: Slice<'a>) -> UseCasesView<'a> {
    let (model, entity) = (slice.model, slice.entity);
    let user_tracking = entity.behaviors.user_tracking;
    let mut imports = Imports::default();
    imports.name("runtime_sea::begin");
    imports.name("crate::generated::Error");
    imports.name(&model.config.app_state);
    if user_tracking {
        imports.name("uuid::Uuid");
    }
    slice.import(&mut imports, "dto::Create*");
    slice.import(&mut imports, "dto::Update*");
    slice.import(&mut imports, "service::*Service");
    let module = slice.row_module(&mut imports);
    let on_create = emission(slice, EmitOn::Create, &mut imports);
    let on_update = emission(slice, EmitOn::Update, &mut imports);
    let on_delete = emission(slice, EmitOn::Delete, &mut imports);
    let key = key(entity, &mut imports);
    let id = format!("{}.{}", entity.name.ident, key.ident);
    UseCasesView {
        source: entity.source.as_str(),
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        pascal: &entity.name.pascal,
        ident: &entity.name.ident,
        state: scaffold::state_type(&model.config),
        emits: [&on_create, &on_update, &on_delete]
            .iter()
            .any(|it| !it.events.is_empty()),
        aggregate: match entity.key().map(|it| &it.ty) {
            Some(FieldType::String) => format!("{id}.as_str()"),
            Some(FieldType::Integer) => format!("i64::from({id})"),
            _ => id,
        },
        module,
        key,
        on_create,
        on_update,
        on_delete,
        user_tracking,
        imports: imports.lines(),
    }
}

fn emission(slice: Slice<'_>, on: EmitOn, imports: &mut Imports) -> EmissionView {
    let (model, entity) = (slice.model, slice.entity);
    let names: Vec<&str> = entity
        .emits
        .iter()
        .filter(|it| it.on == on && model.config.has(Subsystem::Events))
        .filter_map(|it| model.event(&it.event))
        .map(|it| it.name.pascal.as_str())
        .collect();
    let listed: Vec<String> = names.iter().map(|it| format!("[`{it}`]")).collect();
    EmissionView {
        docs: if listed.is_empty() {
            String::new()
        } else {
            format!(" and publishes {}", listed.join(" and "))
        },
        events: names
            .into_iter()
            .map(|it| imports.name(&format!("crate::events::{it}")))
            .collect(),
    }
}

fn routes<'a>(slice: Slice<'a>) -> RoutesView<'a> {
    let (model, entity) = (slice.model, slice.entity);
    let writes = entity.writes;
    let user_tracking = entity.behaviors.user_tracking;
    let mut imports = Imports::default();
    for (path, used) in [
        ("axum::Json", true),
        ("axum::extract::State", true),
        ("axum::http::StatusCode", writes),
        ("utoipa_axum::router::OpenApiRouter", true),
        ("utoipa_axum::routes", true),
        ("crate::context::RequestContext", writes && user_tracking),
        ("crate::generated::Body", writes),
        ("crate::generated::Conflict", writes),
        ("crate::generated::Error", true),
        ("crate::generated::Invalid", true),
        ("crate::generated::NotFound", true),
        ("crate::generated::Page", true),
        ("crate::generated::PageQuery", true),
        ("crate::generated::Path", true),
        ("crate::generated::Query", true),
        (model.config.app_state.as_str(), true),
    ] {
        if used {
            imports.name(path);
        }
    }
    if writes {
        slice.import(&mut imports, "dto::Create*");
        slice.import(&mut imports, "dto::Update*");
        slice.import(&mut imports, "use_cases");
    }
    slice.import(&mut imports, "dto::*Response");
    slice.import(&mut imports, "service::*Service");
    RoutesView {
        source: entity.source.as_str(),
        title: title(entity),
        thing: &entity.name.human,
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        pascal: &entity.name.pascal,
        snake: &entity.name.snake,
        plural: &entity.plural.snake,
        url: &entity.plural.kebab,
        ident: &entity.name.ident,
        key: key(entity, &mut imports),
        state: scaffold::state_type(&model.config),
        writes,
        soft_delete: entity.behaviors.soft_delete,
        user_tracking,
        imports: imports.lines(),
    }
}
