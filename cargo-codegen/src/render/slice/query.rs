//! Declared finders, as the templates of a slice spell them.

use super::Slice;
use crate::model::{Entity, Field, Query, SortOrder};
use crate::render::field;
use crate::render::imports::Imports;

pub(super) struct QueryView {
    pub(super) ident: String,
    pub(super) docs: String,
    pub(super) arguments: Vec<ArgumentView>,
    pub(super) order: Vec<String>,
    pub(super) result: String,
    pub(super) fetch: &'static str,
}

pub(super) struct ArgumentView {
    pub(super) ident: String,
    pub(super) variant: String,
    pub(super) ty: String,
}

pub(super) fn queries(slice: Slice<'_>, module: &str, imports: &mut Imports) -> Vec<QueryView> {
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
