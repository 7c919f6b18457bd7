//! What the slices of all entities share, in `app/src/generated`.

use askama::Template;

use super::Result;
use super::field::{is_input, is_moment, is_number, must_be_json};
use super::imports::Imports;
use super::slice::include::includable;
use crate::changeset::{Output, OutputKind};
use crate::model::{Entity, Family, Field, FieldType, Model, Pages, Subsystem};

#[derive(Template)]
#[template(path = "app/src/generated/error.rs.jinja")]
struct ErrorView {
    events: bool,
    versions: bool,
    of_users: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/identity.rs.jinja")]
struct IdentityView {
    actors: bool,
    tenants: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/version.rs.jinja")]
struct VersionView;

#[derive(Template)]
#[template(path = "app/src/generated/problem.rs.jinja")]
struct ProblemView {
    events: bool,
    of_users: bool,
    multi_tenant: bool,
    versions: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/bulk.rs.jinja")]
struct BulkView {
    upserts: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/custom_fields.rs.jinja")]
struct CustomFieldsView;

#[derive(Template)]
#[template(path = "app/src/generated/extract.rs.jinja")]
struct ExtractView {
    /// Some JSON must not be null.
    json: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/idempotency.rs.jinja")]
struct IdempotencyView;

#[derive(Template)]
#[template(path = "app/src/generated/location.rs.jinja")]
struct LocationView;

#[derive(Template)]
#[template(path = "app/src/generated/page.rs.jinja")]
struct PageView;

#[derive(Template)]
#[template(path = "app/src/generated/pattern.rs.jinja")]
struct PatternView;

#[derive(Template)]
#[template(path = "app/src/generated/moment.rs.jinja")]
struct MomentView {
    imports: String,
    datetimes: bool,
    dates: bool,
    times: bool,
    mysql: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/number.rs.jinja")]
struct NumberView {
    decimals: bool,
    bigints: bool,
    /// One of the databases forgets zeros at a decimal's end.
    scaled: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/schema.rs.jinja")]
struct SchemaView;

#[derive(Template)]
#[template(path = "app/src/generated/search.rs.jinja")]
struct SearchView;

#[derive(Template)]
#[template(path = "app/src/generated/similar.rs.jinja")]
struct SimilarView;

#[derive(Template)]
#[template(path = "app/src/generated/keyset.rs.jinja")]
struct KeysetView;

#[derive(Template)]
#[template(path = "app/src/generated/part.rs.jinja")]
struct PartView;

#[derive(Template)]
#[template(path = "app/src/generated/include.rs.jinja")]
struct IncludeView;

#[derive(Template)]
#[template(path = "app/src/generated/related.rs.jinja")]
struct RelatedView;

#[derive(Template)]
#[template(path = "app/src/generated/base64.rs.jinja")]
struct Base64View;

/// A shared module: its name, whether it is public, and what `app/src/generated/mod.rs` re-exports of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedModule {
    /// `pub mod` or `mod` and its name.
    pub(super) declaration: &'static str,
    /// The items to re-export.
    pub(super) exports: &'static [&'static str],
}

impl SharedModule {
    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.declaration.rsplit(' ').next().unwrap_or_default()
    }
}

/// What `problem.rs` has; the last is for custom fields of users only.
/// The modules that [`http_support`] writes for a model, sorted by name.
pub(super) fn shared_modules(model: &Model) -> Vec<SharedModule> {
    let module = |declaration, exports| SharedModule {
        declaration,
        exports,
    };
    let mut modules = Vec::new();
    if has_bytes(model) {
        modules.push(module("pub mod base64", &[]));
    }
    modules.push(if upserts(model) {
        module("mod bulk", &["MAX_IDS", "UpsertKey", "upsert"])
    } else {
        module("mod bulk", &["MAX_IDS"])
    });
    if has_custom_fields(model) {
        let exports = &["CustomFields", "FieldRule", "FieldType"];
        modules.push(module("mod custom_fields", exports));
    }
    modules.push(module("mod error", &["Error", "ForeignKey", "Unique"]));
    modules.push(if must_have_json(model) {
        module(
            "mod extract",
            &[
                "Body", "Input", "Path", "Query", "Rules", "not_null", "present",
            ],
        )
    } else {
        module(
            "mod extract",
            &["Body", "Input", "Path", "Query", "Rules", "present"],
        )
    });
    if model.creates_over_http() {
        modules.push(module("mod idempotency", &["IdempotencyKey", "Idempotent"]));
    }
    match (has_actors(model), has_tenants(model)) {
        (true, true) => modules.push(module(
            "mod identity",
            &["Actor", "Forbidden", "Tenant", "Unauthenticated"],
        )),
        (true, false) => modules.push(module("mod identity", &["Actor", "Unauthenticated"])),
        (false, true) => modules.push(module(
            "mod identity",
            &["Forbidden", "Tenant", "Unauthenticated"],
        )),
        (false, false) if model.creates_over_http() => modules.push(module("mod identity", &[])),
        (false, false) => {}
    }
    if includes(model) {
        modules.push(module(
            "mod include",
            &["Include", "ListQuery", "ShowQuery"],
        ));
    }
    if has_pages(model, Pages::Keyset) {
        modules.push(module("mod keyset", &["Keyset", "KeysetPage"]));
    }
    if model.creates_over_http() {
        modules.push(module("mod location", &["Location"]));
    }
    if has_moments(model) {
        modules.push(module("mod moment", &["storable"]));
    }
    if has_numbers(model) {
        modules.push(module("pub mod number", &[]));
    }
    modules.push(module("mod page", &["Page", "PageQuery"]));
    if has_pages(model, Pages::Uncounted) {
        modules.push(module("mod part", &["Part"]));
    }
    if has_patterns(model) {
        modules.push(module("mod pattern", &["Pattern"]));
    }
    modules.push(module(
        "mod problem",
        &[
            "Conflict",
            "FieldProblem",
            "Invalid",
            "Malformed",
            "NotFound",
            "Problem",
        ],
    ));
    if includes(model) {
        modules.push(module(
            "mod related",
            &["INCLUDED", "by_key", "first_of_each"],
        ));
    }
    if has_enums(model) {
        modules.push(module("pub mod schema", &[]));
    }
    if searches(model) {
        modules.push(module("mod search", &["contains"]));
    }
    if compares_vectors(model) {
        modules.push(module("mod similar", &["Similar", "nearest"]));
    }
    if has_versions(model) {
        modules.push(module(
            "mod version",
            &["ETag", "Expected", "Known", "Unconditional"],
        ));
    }
    modules
}

/// Errors, problem details, extractors, pages and what else the slices share.
///
/// # Errors
/// If a template fails.
pub fn http_support(model: &Model) -> Result<Vec<Output>> {
    let events = model.config.has(Subsystem::Events);
    let (actors, tenants, versions) = (has_actors(model), has_tenants(model), has_versions(model));
    let of_users = has_fields_of_users(model);
    let upserts = upserts(model);
    let mut files = vec![
        ("bulk.rs", BulkView { upserts }.render()?),
        (
            "error.rs",
            ErrorView {
                events,
                versions,
                of_users,
            }
            .render()?,
        ),
        (
            "extract.rs",
            ExtractView {
                json: must_have_json(model),
            }
            .render()?,
        ),
        ("page.rs", PageView.render()?),
        (
            "problem.rs",
            ProblemView {
                events,
                of_users,
                multi_tenant: model.config.multi_tenant,
                versions,
            }
            .render()?,
        ),
    ];
    if has_custom_fields(model) {
        files.push(("custom_fields.rs", CustomFieldsView.render()?));
    }
    if has_patterns(model) {
        files.push(("pattern.rs", PatternView.render()?));
    }
    if has_moments(model) {
        files.push(("moment.rs", moment_view(model).render()?));
    }
    if has_numbers(model) {
        let view = NumberView {
            decimals: numbers(model).any(|it| it.ty != FieldType::BigInt),
            bigints: numbers(model).any(|it| it.ty == FieldType::BigInt),
            scaled: model.config.shortens_decimals()
                && numbers(model).any(|it| it.ty != FieldType::BigInt),
        };
        files.push(("number.rs", view.render()?));
    }
    if has_enums(model) {
        files.push(("schema.rs", SchemaView.render()?));
    }
    if searches(model) {
        files.push(("search.rs", SearchView.render()?));
    }
    if compares_vectors(model) {
        files.push(("similar.rs", SimilarView.render()?));
    }
    if model.creates_over_http() {
        files.push(("idempotency.rs", IdempotencyView.render()?));
        files.push(("location.rs", LocationView.render()?));
    }
    if actors || tenants || model.creates_over_http() {
        files.push(("identity.rs", IdentityView { actors, tenants }.render()?));
    }
    if versions {
        files.push(("version.rs", VersionView.render()?));
    }
    if has_pages(model, Pages::Keyset) {
        files.push(("keyset.rs", KeysetView.render()?));
    }
    if has_pages(model, Pages::Uncounted) {
        files.push(("part.rs", PartView.render()?));
    }
    if includes(model) {
        files.push(("include.rs", IncludeView.render()?));
        files.push(("related.rs", RelatedView.render()?));
    }
    if has_bytes(model) {
        files.push(("base64.rs", Base64View.render()?));
    }
    Ok(files
        .into_iter()
        .map(|(name, content)| Output {
            path: model
                .config
                .app_crate
                .file(&format!("src/generated/{name}")),
            kind: OutputKind::Generated {
                source: "codegen.yaml".to_owned(),
            },
            content,
        })
        .collect())
}

pub(super) fn has_patterns(model: &Model) -> bool {
    model
        .entities
        .iter()
        .filter(|it| it.writes)
        .flat_map(|it| &it.fields)
        .any(|it| is_input(it) && it.constraints.pattern.is_some())
}

/// What clients give that is a date or a time.
fn moments(model: &Model) -> impl Iterator<Item = &Field> {
    let entities = model.entities.iter();
    let given = entities.flat_map(|entity| {
        let fields = entity.fields.iter();
        fields.filter(|it| (entity.writes && is_input(it)) || is_filter(entity, it))
    });
    given.filter(|it| is_moment(&it.ty))
}

fn is_filter(entity: &Entity, field: &Field) -> bool {
    let mut filters = entity.named_queries.iter().flat_map(|it| &it.filters);
    filters.any(|it| *it == field.name.snake)
}

fn has_moments(model: &Model) -> bool {
    moments(model).next().is_some()
}

fn moment_view(model: &Model) -> MomentView {
    let has = |ty: FieldType| moments(model).any(|it| it.ty == ty);
    let (datetimes, dates) = (has(FieldType::DateTime), has(FieldType::Date));
    let times = has(FieldType::Time);
    let mysql = model.config.bounds_moments();
    let mut imports = Imports::default();
    for (path, used) in [
        ("chrono::DateTime", datetimes),
        ("chrono::Datelike", dates || (datetimes && !mysql)),
        ("chrono::NaiveDate", dates),
        ("chrono::NaiveTime", times),
        ("chrono::Timelike", datetimes || times),
        ("chrono::Utc", datetimes),
    ] {
        if used {
            imports.name(path);
        }
    }
    MomentView {
        imports: imports.lines(),
        datetimes,
        dates,
        times,
        mysql,
    }
}

/// What is text in JSON although it is a number, or is made from it for an event.
fn numbers(model: &Model) -> impl Iterator<Item = &Field> {
    let entities = model.entities.iter();
    let seen = entities.filter(|it| it.rest || it.writes || !it.emits.is_empty());
    seen.flat_map(|it| &it.fields)
        .filter(|it| is_number(&it.ty))
}

fn has_numbers(model: &Model) -> bool {
    numbers(model).next().is_some()
}

/// Whether a route needs to know the user who asks.
fn has_actors(model: &Model) -> bool {
    let mut written = model.entities.iter().filter(|it| it.rest && it.writes);
    written.any(|it| it.behaviors.user_tracking) || has_fields_of_users(model)
}

fn has_tenants(model: &Model) -> bool {
    model.entities.iter().any(|it| it.behaviors.tenant)
}

fn has_versions(model: &Model) -> bool {
    model.entities.iter().any(|it| it.behaviors.optimistic_lock)
}

fn upserts(model: &Model) -> bool {
    model.entities.iter().any(super::slice::upsert::upserts)
}

fn has_custom_fields(model: &Model) -> bool {
    model.entities.iter().any(|it| it.field_values.is_some())
}

/// Whether some entity has custom fields that belong to users.
fn has_fields_of_users(model: &Model) -> bool {
    let mut values = model
        .entities
        .iter()
        .filter_map(|it| it.field_values.as_ref());
    let has_owner = model.entities.iter().any(|it| it.custom_fields.is_some());
    has_owner && values.any(|it| it.of_users)
}

pub(super) fn has_bytes(model: &Model) -> bool {
    exposed_fields(model).any(|it| it.ty == FieldType::Bytes)
}

fn must_have_json(model: &Model) -> bool {
    let written = model.entities.iter().filter(|it| it.writes);
    written
        .flat_map(|it| &it.fields)
        .any(|it| is_input(it) && must_be_json(it))
}

fn has_enums(model: &Model) -> bool {
    exposed_fields(model).any(|it| matches!(it.ty, FieldType::Enum { .. }))
}

fn searches(model: &Model) -> bool {
    let mut queries = model.entities.iter().flat_map(|it| &it.named_queries);
    queries.any(|it| !it.search.is_empty())
}

/// Whether rows are searched by the distance of their vectors.
fn compares_vectors(model: &Model) -> bool {
    let mut families = model.entities.iter().flat_map(|it| &it.families);
    families.any(|it| {
        matches!(
            it,
            Family::Knowledge {
                embedding: Some(_),
                ..
            }
        )
    })
}

/// Whether there are lists in parts of this kind.
pub(super) fn has_pages(model: &Model, pages: Pages) -> bool {
    let mut queries = model.entities.iter().flat_map(|it| &it.named_queries);
    queries.any(|it| it.pages == pages)
}

/// Whether rows can be shown with others.
fn includes(model: &Model) -> bool {
    let mut entities = model.entities.iter();
    entities.any(|it| includable(model, it).next().is_some())
}

fn exposed_fields(model: &Model) -> impl Iterator<Item = &Field> {
    model
        .entities
        .iter()
        .filter(|it| it.rest || it.writes)
        .flat_map(|it| &it.fields)
}
