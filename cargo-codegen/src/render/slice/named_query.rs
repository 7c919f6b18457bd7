//! Lists that clients filter, search and sort: `queries.rs`, and what the other files of a slice say about them.

use askama::Template;

use super::Slice;
use crate::model::{Entity, Field, FieldType, NamedQuery, SortOrder};
use crate::render::field::{self, string_literal};
use crate::render::imports::Imports;

#[derive(Template)]
#[template(path = "app/src/slice/generated/queries.rs.jinja")]
pub(super) struct QueriesView<'a> {
    source: &'a str,
    things: &'a str,
    imports: String,
    rest: bool,
    queries: Vec<ParametersView>,
}

/// The parameters of one list.
struct ParametersView {
    ty: String,
    filters: Vec<FilterParameter>,
    /// The columns to search in; empty if there are none.
    search: String,
    sort_ty: String,
    sort: Vec<SortParameter>,
    paginate: bool,
}

struct FilterParameter {
    docs: String,
    attributes: Vec<String>,
    ident: String,
    ty: String,
}

struct SortParameter {
    variant: String,
    docs: String,
    word: String,
}

/// One list, as repository, service and routes spell it.
pub(super) struct NamedQueryView {
    pub(super) name: String,
    pub(super) docs: String,
    pub(super) url: String,
    pub(super) operation: String,
    /// The struct of its parameters.
    pub(super) ty: String,
    pub(super) paginate: bool,
}

/// One list, as the repository selects it.
pub(super) struct SelectionView {
    pub(super) query: NamedQueryView,
    /// Method calls that leave rows out.
    pub(super) conditions: Vec<String>,
    /// Method calls that sort where the client chooses no order.
    pub(super) order: String,
    /// A variant for each order to choose, and the method call that sorts.
    pub(super) sort: Vec<(String, String)>,
}

/// The file that holds the parameters of a slice's lists.
pub(super) fn view<'a>(slice: Slice<'a>) -> QueriesView<'a> {
    let entity = slice.entity;
    let mut imports = Imports::beside(types(entity));
    let sorts = entity.named_queries.iter().any(|it| !it.sort.is_empty());
    for (path, used) in [
        ("garde::Validate", true),
        ("serde::Deserialize", true),
        ("utoipa::IntoParams", entity.rest),
        ("utoipa::ToSchema", entity.rest && sorts),
        ("crate::generated::PageQuery", true),
    ] {
        if used {
            imports.name(path);
        }
    }
    let queries = entity.named_queries.iter();
    QueriesView {
        source: entity.source.as_str(),
        things: &entity.plural.human,
        rest: entity.rest,
        queries: queries
            .map(|it| parameters(slice, it, &mut imports))
            .collect(),
        imports: imports.lines(),
    }
}

/// The types in that file.
pub(super) fn types(entity: &Entity) -> Vec<String> {
    let sorted = |it: &&NamedQuery| !it.sort.is_empty();
    let queries = entity.named_queries.iter();
    let sorts = queries.clone().filter(sorted);
    queries
        .map(|it| parameters_type(entity, it))
        .chain(sorts.map(|it| sort_type(entity, it)))
        .collect()
}

fn parameters_type(entity: &Entity, query: &NamedQuery) -> String {
    format!("{}{}", query.name.pascal, entity.plural.pascal)
}

fn sort_type(entity: &Entity, query: &NamedQuery) -> String {
    format!("{}Sort", parameters_type(entity, query))
}

fn fields<'a>(entity: &'a Entity, names: &'a [String]) -> impl Iterator<Item = &'a Field> {
    names.iter().filter_map(|it| entity.field(it))
}

fn parameters(slice: Slice<'_>, query: &NamedQuery, imports: &mut Imports) -> ParametersView {
    let entity = slice.entity;
    let search: Vec<String> = query.search.iter().map(|it| format!("`{it}`")).collect();
    ParametersView {
        ty: parameters_type(entity, query),
        filters: fields(entity, &query.filters)
            .map(|it| filter_parameter(slice, it, imports))
            .collect(),
        search: search.join(" or "),
        sort_ty: sort_type(entity, query),
        sort: fields(entity, &query.sort)
            .flat_map(|field| {
                let column = &field.name.snake;
                [
                    (SortOrder::Ascending, "ascending", ""),
                    (SortOrder::Descending, "descending", "-"),
                ]
                .map(|(order, direction, sign)| SortParameter {
                    variant: sort_variant(field, order),
                    docs: format!("By `{column}`, {direction}."),
                    word: string_literal(&format!("{sign}{column}")),
                })
            })
            .collect(),
        paginate: query.paginate,
    }
}

fn filter_parameter(slice: Slice<'_>, field: &Field, imports: &mut Imports) -> FilterParameter {
    let mut attributes = Vec::new();
    let ty = field::app_type(&field.ty, &slice.row_path(), imports);
    if slice.entity.rest {
        attributes.push(if matches!(field.ty, FieldType::Enum { .. }) {
            let schema = imports.name("crate::generated::schema");
            format!("#[param(schema_with = {schema}::one_of::<{ty}>, required = false)]")
        } else {
            "#[param(nullable = false)]".to_owned()
        });
    }
    if field.name.ident.trim_start_matches("r#") != field.name.snake {
        attributes.push(format!(
            "#[serde(rename = {})]",
            string_literal(&field.name.snake)
        ));
    }
    FilterParameter {
        docs: format!("Only those with this `{}`.", field.name.snake),
        attributes,
        ident: field.name.ident.clone(),
        ty,
    }
}

/// Every variant ends with its direction: `name_descending` may be a column too.
fn sort_variant(field: &Field, order: SortOrder) -> String {
    let direction = match order {
        SortOrder::Ascending => "Ascending",
        SortOrder::Descending => "Descending",
    };
    // `Self_` is a variant, `Self_Ascending` would be none that Rust likes.
    let column = field.name.pascal.trim_end_matches('_');
    format!("{column}{direction}")
}

/// The lists of a slice; imports what their parameters are.
pub(super) fn named_queries(slice: Slice<'_>, imports: &mut Imports) -> Vec<NamedQueryView> {
    let queries = slice.entity.named_queries.iter();
    queries.map(|it| named_query(slice, it, imports)).collect()
}

fn named_query(slice: Slice<'_>, query: &NamedQuery, imports: &mut Imports) -> NamedQueryView {
    let entity = slice.entity;
    let things = &entity.plural.human;
    NamedQueryView {
        name: query.name.ident.clone(),
        docs: if query.filters.is_empty() && query.search.is_empty() {
            format!("All {things}")
        } else {
            format!("The {things} that match")
        },
        url: query.name.kebab.clone(),
        operation: query.operation(&entity.plural),
        ty: imports.name(&format!(
            "super::queries::{}",
            parameters_type(entity, query)
        )),
        paginate: query.paginate,
    }
}

/// The lists of a slice, as its repository selects them.
pub(super) fn selections(slice: Slice<'_>, imports: &mut Imports) -> Vec<SelectionView> {
    let queries = slice.entity.named_queries.iter();
    queries.map(|it| selection(slice, it, imports)).collect()
}

fn selection(slice: Slice<'_>, query: &NamedQuery, imports: &mut Imports) -> SelectionView {
    let entity = slice.entity;
    let view = named_query(slice, query, imports);
    let mut conditions: Vec<String> = fields(entity, &query.filters)
        .map(|field| {
            let borrow = match field.ty {
                FieldType::String | FieldType::Text => ".as_deref()",
                _ => "",
            };
            format!(
                ".apply_if(query.{}{borrow}, |found, value| found.filter(Column::{}.eq(value)))",
                field.name.ident,
                field::variant(field)
            )
        })
        .collect();
    if !query.search.is_empty() {
        let contains = imports.name("crate::generated::contains");
        let columns: Vec<String> = fields(entity, &query.search)
            .map(|it| format!("Column::{}", field::variant(it)))
            .collect();
        conditions.push(format!(
            ".apply_if(query.q.as_deref(), |found, text| found.filter({contains}([{}], text)))",
            columns.join(", ")
        ));
    }
    if !conditions.is_empty() {
        imports.name("sea_orm::QueryTrait");
    }
    let order = query
        .order
        .iter()
        .filter_map(|(name, order)| Some(sorted(entity.field(name)?, *order, imports)))
        .collect();
    let mut sort = Vec::new();
    if !query.sort.is_empty() {
        let ty = imports.name(&format!("super::queries::{}", sort_type(entity, query)));
        for field in fields(entity, &query.sort) {
            for order in [SortOrder::Ascending, SortOrder::Descending] {
                let variant = format!("{ty}::{}", sort_variant(field, order));
                sort.push((variant, sorted(field, order, imports)));
            }
        }
    }
    SelectionView {
        query: view,
        conditions,
        order,
        sort,
    }
}

/// A method call that sorts; where nothing is, every database puts it last.
fn sorted(field: &Field, order: SortOrder, imports: &mut Imports) -> String {
    let column = field::variant(field);
    if field.nullable {
        let nulls = imports.name("sea_orm::sea_query::NullOrdering");
        let orders = imports.name("sea_orm::Order");
        let order = match order {
            SortOrder::Ascending => "Asc",
            SortOrder::Descending => "Desc",
        };
        return format!(".order_by_with_nulls(Column::{column}, {orders}::{order}, {nulls}::Last)");
    }
    match order {
        SortOrder::Ascending => format!(".order_by_asc(Column::{column})"),
        SortOrder::Descending => format!(".order_by_desc(Column::{column})"),
    }
}
