//! `family.rs`: what an entity can do because of its pattern.

use askama::Template;

use super::key::{KeyView, key};
use super::{Slice, upsert};
use crate::model::{Entity, Family, Field, FieldType};
use crate::render::field;
use crate::render::imports::Imports;

#[derive(Template)]
#[template(path = "app/src/slice/generated/family.rs.jinja")]
pub(super) struct FamilyView<'a> {
    source: &'a str,
    thing: &'a str,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    module: String,
    key: KeyView,
    tenant: bool,
    external_key: Option<String>,
    synced: Option<SyncedView>,
    activity: Option<Vec<ColumnView>>,
    history: Option<HistoryView>,
    knowledge: Option<KnowledgeView>,
}

struct SyncedView {
    owner: Option<OwnerView>,
    provider: &'static str,
    external_id: &'static str,
}

/// The column with the user whose row it is.
struct OwnerView {
    variant: String,
    /// Rows may belong to nobody.
    shared: bool,
}

struct HistoryView {
    /// The type of `entity_id`.
    ty: String,
    variant: String,
}

struct KnowledgeView {
    status: String,
    subjects: Vec<ColumnView>,
    timestamps: bool,
    soft_delete: bool,
    search: Option<SearchView>,
}

struct SearchView {
    column: String,
    variant: String,
    dimensions: u32,
}

struct ColumnView {
    column: String,
    ident: String,
    variant: String,
    ty: String,
}

/// Whether a family of this entity has methods of its own.
pub(super) fn has_methods(entity: &Entity) -> bool {
    entity.families.iter().any(|it| !it.methods().is_empty())
}

/// The methods of a slice's families.
pub(super) fn view<'a>(slice: Slice<'a>) -> FamilyView<'a> {
    let entity = slice.entity;
    let mut imports = Imports::default();
    for path in [
        "sea_orm::ColumnTrait",
        "sea_orm::ConnectionTrait",
        "sea_orm::DbErr",
        "sea_orm::QueryFilter",
    ] {
        imports.name(path);
    }
    slice.import(&mut imports, "repository::*Repository");
    let module = slice.row_module(&mut imports);
    imports.name(&format!("{}::Column", slice.row_path()));
    let mut view = FamilyView {
        source: entity.source.as_str(),
        thing: &entity.name.human,
        things: &entity.plural.human,
        imports: String::new(),
        pascal: &entity.name.pascal,
        module,
        key: key(entity, &mut imports),
        tenant: entity.behaviors.tenant,
        external_key: None,
        synced: None,
        activity: None,
        history: None,
        knowledge: None,
    };
    for family in &entity.families {
        add(slice, family, &mut view, &mut imports);
    }
    view.imports = imports.lines();
    view
}

fn add(slice: Slice<'_>, family: &Family, view: &mut FamilyView<'_>, imports: &mut Imports) {
    let entity = slice.entity;
    let mut import = |paths: &[&str]| {
        for path in paths {
            imports.name(path);
        }
    };
    match family {
        Family::Synced { owner } => {
            import(&[
                "sea_orm::ActiveValue::Set",
                "crate::generated::MAX_IDS",
                "crate::generated::UpsertKey",
                "crate::generated::upsert",
            ]);
            let owner = owner.as_ref().and_then(|it| entity.field(it));
            if let Some(owner) = owner {
                import(&["sea_orm::QueryOrder", "uuid::Uuid"]);
                if owner.nullable {
                    import(&["sea_orm::ExprTrait"]);
                }
            }
            let is_nullable = |name: &str| entity.field(name).is_some_and(|it| it.nullable);
            let owned = |name: &str, plain, optional| {
                if is_nullable(name) { optional } else { plain }
            };
            view.external_key = Some(upsert::key(entity, &["provider", "external_id"]));
            view.synced = Some(SyncedView {
                owner: owner.map(|it| OwnerView {
                    variant: field::variant(it),
                    shared: it.nullable,
                }),
                provider: owned(
                    "provider",
                    "provider.to_owned()",
                    "Some(provider.to_owned())",
                ),
                external_id: owned("external_id", "external_id", "Some(external_id)"),
            });
        }
        Family::Activity { subjects } => {
            import(&["chrono::DateTime", "chrono::Utc", "sea_orm::QueryOrder"]);
            if !subjects.is_empty() {
                import(&["sea_orm::QuerySelect"]);
            }
            view.activity = Some(columns(slice, subjects, imports));
        }
        Family::Metadata { history } => {
            let column = history.as_deref().and_then(|it| entity.field(it));
            if let (Some(column), Some(id)) = (column, entity.field("entity_id")) {
                import(&["sea_orm::QueryOrder"]);
                view.history = Some(HistoryView {
                    ty: field::argument_type(&id.ty, &slice.row_path(), imports),
                    variant: field::variant(column),
                });
            }
        }
        Family::Knowledge {
            subjects,
            embedding,
        } => {
            let behaviors = entity.behaviors;
            import(&[
                "sea_orm::EntityTrait",
                "sea_orm::QueryOrder",
                "sea_orm::QuerySelect",
                "crate::generated::MAX_IDS",
            ]);
            if behaviors.timestamps {
                import(&["chrono::SubsecRound", "chrono::Utc"]);
            }
            imports.name(&format!("{}::Entity", slice.row_path()));
            let Some(FieldType::Enum { type_name, .. }) = entity.field("status").map(|it| &it.ty)
            else {
                return;
            };
            view.knowledge = Some(KnowledgeView {
                status: imports.name(&format!("{}::{type_name}", slice.row_path())),
                subjects: columns(slice, subjects, imports),
                timestamps: behaviors.timestamps,
                soft_delete: behaviors.soft_delete,
                search: search(slice, embedding.as_deref(), imports),
            });
        }
    }
}

fn search(slice: Slice<'_>, embedding: Option<&str>, imports: &mut Imports) -> Option<SearchView> {
    let field = slice.entity.field(embedding?)?;
    let FieldType::Vector { dimensions } = field.ty else {
        return None;
    };
    for path in [
        "sea_orm::QueryTrait",
        "crate::generated::Similar",
        "crate::generated::nearest",
    ] {
        imports.name(path);
    }
    Some(SearchView {
        column: field.name.snake.clone(),
        variant: field::variant(field),
        dimensions,
    })
}

fn columns(slice: Slice<'_>, names: &[String], imports: &mut Imports) -> Vec<ColumnView> {
    let fields = names.iter().filter_map(|it| slice.entity.field(it));
    fields
        .map(|it: &Field| ColumnView {
            column: it.name.snake.clone(),
            ident: it.name.ident.clone(),
            variant: field::variant(it),
            ty: field::argument_type(&it.ty, &slice.row_path(), imports),
        })
        .collect()
}
