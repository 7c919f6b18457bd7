//! Lists that clients filter, search and sort: `queries.rs`, and what the other files of a slice say about them.

use askama::Template;

use super::{Slice, include};
use crate::model::{Entity, Field, FieldType, NamedQuery, Pages, SortOrder};
use crate::render::constraint;
use crate::render::field::{self, string_literal};
use crate::render::imports::Imports;

/// How many rows come where neither a definition nor a client says.
const DEFAULT_LIMIT: u32 = 50;

#[derive(Template)]
#[template(path = "app/src/slice/generated/queries.rs.jinja")]
pub(super) struct QueriesView<'a> {
    source: &'a str,
    things: &'a str,
    imports: String,
    rest: bool,
    /// The relations that can be included.
    include: Option<String>,
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
    pages: Pages,
    /// How many rows come where a client does not say, if that differs from other lists.
    own_default: Option<u32>,
    default: u32,
    max: u32,
    /// The order without `sort`, and for each choice of it, as pairs of columns and directions.
    keyset: Vec<(String, String)>,
    key: String,
}

impl ParametersView {
    /// Clients skip rows.
    fn by_offset(&self) -> bool {
        matches!(self.pages, Pages::Counted | Pages::Uncounted)
    }

    fn by_keyset(&self) -> bool {
        self.pages == Pages::Keyset
    }
}

struct FilterParameter {
    docs: String,
    rule: String,
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
    pub(super) pages: Pages,
    /// What the rows come in.
    pub(super) container: String,
}

impl NamedQueryView {
    pub(super) fn in_pages(&self) -> bool {
        self.pages != Pages::None
    }

    /// The repository counts the rows.
    pub(super) fn is_counted(&self) -> bool {
        self.pages == Pages::Counted
    }

    pub(super) fn is_uncounted(&self) -> bool {
        self.pages == Pages::Uncounted
    }

    pub(super) fn by_keyset(&self) -> bool {
        self.pages == Pages::Keyset
    }
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
    let skips = entity
        .named_queries
        .iter()
        .any(|it| it.pages != Pages::Keyset);
    let sorts = entity.named_queries.iter().any(|it| !it.sort.is_empty());
    for (path, used) in [
        ("garde::Validate", true),
        ("serde::Deserialize", true),
        ("utoipa::IntoParams", entity.rest),
        ("utoipa::ToSchema", entity.rest && sorts),
        ("crate::generated::PageQuery", skips),
    ] {
        if used {
            imports.name(path);
        }
    }
    let includes = !include::items(slice).is_empty();
    let include = includes.then(|| {
        imports.name("crate::generated::Include");
        imports.name(&format!("super::include::{}Include", entity.name.pascal))
    });
    let queries = entity.named_queries.iter();
    QueriesView {
        source: entity.source.as_str(),
        things: &entity.plural.human,
        rest: entity.rest,
        include,
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
        pages: query.pages,
        own_default: (query.default_limit != DEFAULT_LIMIT).then_some(query.default_limit),
        default: query.default_limit,
        max: query.max_limit,
        keyset: if query.pages == Pages::Keyset {
            keyset(slice, query, imports)
        } else {
            Vec::new()
        },
        key: entity.key().map_or_else(|| "Id".to_owned(), field::variant),
    }
}

/// The orders of a list: what `sort` is for each, and the columns with their directions.
fn keyset(slice: Slice<'_>, query: &NamedQuery, imports: &mut Imports) -> Vec<(String, String)> {
    let entity = slice.entity;
    imports.name("crate::generated::Keyset");
    imports.name(&format!("{}::Column", slice.row_path()));
    imports.name(&format!("{}::Entity", slice.row_path()));
    let part = |field: &Field, order: SortOrder| {
        let order = match order {
            SortOrder::Ascending => "Order::Asc",
            SortOrder::Descending => "Order::Desc",
        };
        format!("(Column::{}, {order})", field::variant(field))
    };
    let declared: Vec<String> = query
        .order
        .iter()
        .filter_map(|(name, order)| Some(part(entity.field(name)?, *order)))
        .collect();
    if !(declared.is_empty() && query.sort.is_empty()) {
        imports.name("sea_orm::Order");
    }
    let mut orders = vec![("None".to_owned(), declared.join(", "))];
    let ty = sort_type(entity, query);
    for field in fields(entity, &query.sort) {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let variant = format!("Some({ty}::{})", sort_variant(field, order));
            orders.push((variant, part(field, order)));
        }
    }
    orders
}

fn filter_parameter(slice: Slice<'_>, field: &Field, imports: &mut Imports) -> FilterParameter {
    let mut attributes = Vec::new();
    let ty = field::app_type(&field.ty, &slice.row_path(), imports);
    if slice.entity.rest {
        attributes.push(if matches!(field.ty, FieldType::Enum { .. }) {
            let schema = imports.name("crate::generated::schema");
            format!("#[param(schema_with = {schema}::one_of::<{ty}>, required = false)]")
        } else {
            let mut words = constraint::text_format(&field.ty);
            if !words.is_empty() {
                words.insert(0, "value_type = Option<String>".to_owned());
            }
            words.push("nullable = false".to_owned());
            format!("#[param({})]", words.join(", "))
        });
    }
    let mut serde = Vec::new();
    if field.name.ident.trim_start_matches("r#") != field.name.snake {
        serde.push(format!("rename = {}", string_literal(&field.name.snake)));
    }
    if field::is_number(&field.ty) {
        let number = imports.name("crate::generated::number");
        serde.push(format!(
            "default, deserialize_with = \"{number}::deserialize\""
        ));
    }
    if !serde.is_empty() {
        attributes.push(format!("#[serde({})]", serde.join(", ")));
    }
    FilterParameter {
        rule: constraint::storable_rule(field, imports).unwrap_or_else(|| "skip".to_owned()),
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
        pages: query.pages,
        container: match query.pages {
            Pages::None => "Vec".to_owned(),
            Pages::Counted => "Page".to_owned(),
            Pages::Uncounted => imports.name("crate::generated::Part"),
            Pages::Keyset => imports.name("crate::generated::KeysetPage"),
        },
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
    if query.pages == Pages::Keyset {
        imports.name("crate::generated::Error");
        return SelectionView {
            query: view,
            conditions,
            order: String::new(),
            sort: Vec::new(),
        };
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
pub(super) fn sorted(field: &Field, order: SortOrder, imports: &mut Imports) -> String {
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
