//! Declared finders, as the templates of a slice spell them.

use super::Slice;
use super::named_query::sorted;
use crate::model::{Entity, Field, FinderLimit, Query, SortOrder};
use crate::render::field;
use crate::render::imports::Imports;

pub(super) struct QueryView {
    pub(super) ident: String,
    pub(super) docs: String,
    pub(super) arguments: Vec<ArgumentView>,
    /// What is looked up first.
    pub(super) before: Vec<String>,
    /// Method calls that leave rows out, sort and choose columns.
    pub(super) calls: Vec<String>,
    /// A part of the list is asked for.
    pub(super) parts: bool,
    pub(super) result: String,
    pub(super) fetch: &'static str,
}

pub(super) struct ArgumentView {
    pub(super) ident: String,
    pub(super) ty: String,
}

/// A unique key of the values of custom fields is about the current ones.
fn current(entity: &Entity) -> Option<String> {
    let column = entity.field_values.as_ref()?.current()?;
    let variant = field::variant(entity.field(column)?);
    Some(format!(".filter(Column::{variant}.is_null())"))
}

/// The finders of a slice, as its repository and its service have them; `in_repository` imports what only that needs.
pub(super) fn queries(
    slice: Slice<'_>,
    module: &str,
    in_repository: bool,
    imports: &mut Imports,
) -> Vec<QueryView> {
    let mut views = Vec::new();
    for query in &slice.entity.queries {
        views.push(view(slice, query, module, false, in_repository, imports));
        if query.limit == Some(FinderLimit::Parts) && !query.unique {
            views.push(view(slice, query, module, true, in_repository, imports));
        }
    }
    views
}

fn view(
    slice: Slice<'_>,
    query: &Query,
    module: &str,
    parts: bool,
    in_repository: bool,
    imports: &mut Imports,
) -> QueryView {
    let entity = slice.entity;
    let (path, fields) = searched(slice, query);
    let arguments = fields
        .iter()
        .map(|it| ArgumentView {
            ident: it.name.ident.clone(),
            ty: field::argument_type(&it.ty, &path, imports),
        })
        .collect();
    let selected: Vec<&Field> = query
        .select
        .iter()
        .filter_map(|it| entity.field(it))
        .collect();
    let item = selection(slice, &selected, imports).unwrap_or_else(|| format!("{module}::Model"));
    let mut before = Vec::new();
    let mut calls = Vec::new();
    if in_repository {
        match &query.via {
            Some(via) => {
                imports.name("sea_orm::QueryTrait");
                let (lines, filter) = super::via::lookup(slice, via, &fields, imports);
                before = lines;
                calls.push(filter);
            }
            None => calls.extend(fields.iter().map(|it| {
                format!(
                    ".filter(Column::{}.eq({}))",
                    field::variant(it),
                    it.name.ident
                )
            })),
        }
        if query.unique {
            calls.extend(current(entity));
        } else {
            calls.extend(order(entity, query, imports));
        }
        calls.extend(match query.limit {
            Some(FinderLimit::AtMost(limit)) => Some(format!(".limit({limit})")),
            _ if parts => Some(".limit(limit).offset(offset)".to_owned()),
            _ => None,
        });
        if !selected.is_empty() {
            let columns: String = selected
                .iter()
                .map(|it| format!(".column(Column::{})", field::variant(it)))
                .collect();
            calls.push(format!(".select_only(){columns}.into_tuple()"));
        }
    }
    QueryView {
        ident: if parts {
            format!("{}_part", query.name.snake)
        } else {
            query.name.ident.clone()
        },
        docs: docs(entity, query, &fields, &selected, parts),
        arguments,
        before,
        calls,
        parts,
        result: if query.unique {
            format!("Option<{item}>")
        } else {
            format!("Vec<{item}>")
        },
        fetch: if query.unique { "one" } else { "all" },
    }
}

/// The columns whose values a query is given, and the module of their entity.
fn searched<'a>(slice: Slice<'a>, query: &Query) -> (String, Vec<Field>) {
    let fields = |entity: &'a Entity| {
        let fields = query.by.iter().filter_map(|it| entity.field(it));
        (slice.module_of(entity), fields.cloned().collect())
    };
    let Some(via) = &query.via else {
        return fields(slice.entity);
    };
    let through = via.relation.through.as_ref().filter(|_| via.between);
    let table = through.map_or(&via.relation.target, |it| &it.module.snake);
    match slice.model.entity(table) {
        Some(entity) => fields(entity),
        None => (String::new(), slice.join_fields(table, &query.by)),
    }
}

/// The type of what a query selects, unless that is whole rows.
fn selection(slice: Slice<'_>, fields: &[&Field], imports: &mut Imports) -> Option<String> {
    let types: Vec<String> = fields
        .iter()
        .map(|it| {
            let plain = field::app_type(&it.ty, &slice.row_path(), imports);
            field::optional(plain, it.nullable)
        })
        .collect();
    match types.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        types => Some(format!("({})", types.join(", "))),
    }
}

fn docs(
    entity: &Entity,
    query: &Query,
    fields: &[Field],
    selected: &[&Field],
    parts: bool,
) -> String {
    let quoted = |fields: &mut dyn Iterator<Item = &str>| {
        let names: Vec<String> = fields.map(|it| format!("`{it}`")).collect();
        names.join(" and ")
    };
    let by = quoted(&mut fields.iter().map(|it| it.name.snake.as_str()));
    let thing = if query.unique {
        &entity.name.human
    } else {
        &entity.plural.human
    };
    let whose = match &query.via {
        None => format!("with this {by}"),
        Some(via) if via.between => format!("with this {by} in one of their links"),
        Some(via) => format!("by the {by} of their {}", via.relation.name.human),
    };
    let what = match selected {
        [] => format!("The {thing}"),
        selected => {
            let columns = quoted(&mut selected.iter().map(|it| it.name.snake.as_str()));
            format!("The {columns} of the {thing}")
        }
    };
    let part = if parts { ": a part of them" } else { "" };
    let most = match query.limit {
        Some(FinderLimit::AtMost(limit)) => format!(", at most {limit}"),
        _ => String::new(),
    };
    format!("{what} {whose}{most}{part}.")
}

/// The declared order, and the key behind it, so that equal rows keep their places.
fn order(entity: &Entity, query: &Query, imports: &mut Imports) -> Vec<String> {
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
        .map(|(field, order)| sorted(field, order, imports))
        .collect()
}
