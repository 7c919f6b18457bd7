//! `include.rs`: rows together with what belongs to them.

use askama::Template;

use super::key::{KeyView, key};
use super::scope::Place;
use super::{Slice, title};
use crate::model::{Entity, Model, Relation, RelationKind};
use crate::render::field::{capitalized, string_literal, with_article};
use crate::render::imports::Imports;
use crate::render::relation;

#[derive(Template)]
#[template(path = "app/src/slice/generated/include.rs.jinja")]
pub(super) struct IncludeView<'a> {
    source: &'a str,
    title: String,
    a_thing: String,
    a_thing_capital: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    plural: &'a str,
    module: String,
    key: KeyView,
    /// What is loaded is a tenant's.
    of_tenant: bool,
    relations: Vec<RelationView<'a>>,
}

/// A relation to include.
struct RelationView<'a> {
    docs: String,
    word: String,
    variant: &'a str,
    ident: &'a str,
    rename: Option<String>,
    /// The target's rows are a list.
    many: bool,
    /// This entity holds the key of the target's row.
    keyed: bool,
    /// The type of the keys that rows are found by.
    key: String,
    row: String,
    response: String,
    /// The part of an iterator that gives those keys.
    keys: String,
    select: String,
    column: String,
    target_key: String,
    lookup: String,
}

/// The relations that clients may ask for: those to entities that have responses.
pub(crate) fn includable<'a>(
    model: &'a Model,
    entity: &'a Entity,
) -> impl Iterator<Item = (&'a Relation, &'a Entity)> {
    entity
        .relations
        .iter()
        .filter(|_| entity.rest)
        .filter_map(|it| Some((it, model.entity(&it.target)?)))
        .filter(|(_, target)| target.rest)
        // Whose rows are shown is known where the row itself is somebody's.
        .filter(|(_, target)| entity.behaviors.tenant || !target.behaviors.tenant)
}

/// Whether some of the rows that are shown with others belong to tenants.
pub(super) fn loads_of_tenant(slice: Slice<'_>) -> bool {
    includable(slice.model, slice.entity).any(|(relation, target)| {
        let between = relation.through.as_ref().filter(|it| !it.generated);
        let between = between.and_then(|it| slice.model.entity(&it.module.snake));
        target.behaviors.tenant || between.is_some_and(|it| it.behaviors.tenant)
    })
}

/// The items of the file.
pub(super) fn items(slice: Slice<'_>) -> Vec<String> {
    let entity = slice.entity;
    if includable(slice.model, entity).next().is_none() {
        return Vec::new();
    }
    let pascal = &entity.name.pascal;
    vec![
        format!("{pascal}Include"),
        format!("{pascal}Related"),
        format!("{pascal}WithRelated"),
    ]
}

/// The file that shows the rows of a slice with what belongs to them.
pub(super) fn view<'a>(slice: Slice<'a>) -> IncludeView<'a> {
    let entity = slice.entity;
    let pascal = &entity.name.pascal;
    let mut imports = Imports::beside(items(slice));
    for path in [
        "std::collections::BTreeMap",
        "sea_orm::ConnectionTrait",
        "sea_orm::DbErr",
        "serde::Deserialize",
        "serde::Serialize",
        "utoipa::ToSchema",
        "crate::generated::Include",
    ] {
        imports.name(path);
    }
    slice.import(&mut imports, "dto::*Response");
    let module = slice.row_module(&mut imports);
    let of_tenant = loads_of_tenant(slice);
    if of_tenant {
        imports.name("crate::generated::Tenant");
    }
    let relations = includable(slice.model, entity)
        .map(|(relation, target)| relation_view(slice, relation, target, &mut imports))
        .collect();
    let a_thing = with_article(&entity.name.human);
    IncludeView {
        source: entity.source.as_str(),
        title: title(entity),
        a_thing_capital: capitalized(&a_thing),
        a_thing,
        things: &entity.plural.human,
        pascal,
        ident: &entity.name.ident,
        plural: &entity.plural.ident,
        module,
        // Only its name is printed.
        key: key(entity, &mut Imports::default()),
        of_tenant,
        relations,
        imports: imports.lines(),
    }
}

fn relation_view<'a>(
    slice: Slice<'a>,
    relation: &'a Relation,
    target: &Entity,
    imports: &mut Imports,
) -> RelationView<'a> {
    let keyed = relation.kind == RelationKind::BelongsTo;
    imports.name(if keyed {
        "crate::generated::by_key"
    } else {
        "crate::generated::first_of_each"
    });
    let response = format!("{}Response", target.name.pascal);
    let response = if relation.self_reference {
        response
    } else {
        imports.name(&format!("crate::{}::{response}", target.plural.ident))
    };
    let (select, column) = slice.related_rows(relation, target, Place::Function, imports);
    let mut unused = Imports::default();
    let own_key = key(
        slice.entity,
        if keyed { &mut unused } else { &mut *imports },
    );
    let target_key = key(target, if keyed { &mut *imports } else { &mut unused });
    let foreign_key = slice.entity.field(&relation.foreign_key.snake);
    let nullable = foreign_key.is_some_and(|it| it.nullable);
    let column_ident = &relation.foreign_key.ident;
    let ident = &slice.entity.name.ident;
    RelationView {
        docs: relation::doc(relation, target),
        word: string_literal(&relation.name.snake),
        variant: &relation.name.pascal,
        ident: &relation.name.ident,
        rename: (relation.name.ident.trim_start_matches("r#") != relation.name.snake)
            .then(|| string_literal(&relation.name.snake)),
        many: matches!(
            relation.kind,
            RelationKind::HasMany | RelationKind::ManyToMany
        ),
        keyed,
        key: if keyed {
            target_key.ty.clone()
        } else {
            own_key.ty.clone()
        },
        row: slice.row_item(&target.name.ident, "Model", imports),
        response,
        keys: match (keyed, nullable) {
            (true, true) => format!("filter_map(|it| it.{column_ident})"),
            (true, false) => format!("map(|it| it.{column_ident})"),
            (false, _) => format!("map(|it| it.{})", own_key.ident),
        },
        select,
        column,
        target_key: target_key.ident,
        lookup: if nullable {
            format!("{ident}.{column_ident}.and_then(|key| rows.get(&key))")
        } else {
            format!("rows.get(&{ident}.{column_ident})")
        },
    }
}
