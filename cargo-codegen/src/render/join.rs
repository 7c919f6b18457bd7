//! The entity crate: one SeaORM entity per join table that no definition describes.

use askama::Template;
use heck::ToUpperCamelCase;

use super::Result;
use super::entity::file_stem;
use super::field::{self, string_literal, with_article};
use crate::changeset::{Output, OutputKind};
use crate::model::{Join, JoinEnd, Model};

#[derive(Template)]
#[template(path = "entity/src/join.rs.jinja")]
struct JoinView<'a> {
    join: &'a Join,
    source: &'a str,
    table: String,
    docs: String,
    a_thing: String,
    self_reference: bool,
    ends: Vec<EndView<'a>>,
}

struct EndView<'a> {
    human: &'a str,
    column: &'a str,
    variant: String,
    ty: String,
    module: &'a str,
    key: String,
    relation: &'a str,
}

/// The SeaORM entity of a join table.
///
/// # Errors
/// If a template fails.
pub(super) fn join(model: &Model, join: &Join) -> Result<Output> {
    let [first, second] = join
        .ends
        .each_ref()
        .map(|it| with_article(&it.relation.human));
    let view = JoinView {
        join,
        source: join.source.as_str(),
        table: string_literal(&join.table),
        docs: format!(
            "{} and {second} that belong together.",
            field::capitalized(&first)
        ),
        a_thing: with_article(&join.name.human),
        self_reference: join.ends[0].entity == join.ends[1].entity,
        ends: join.ends.iter().filter_map(|it| end(model, it)).collect(),
    };
    let package = &model.config.entity_crate;
    Ok(Output {
        path: package.file(&format!("src/{}.rs", file_stem(&join.name))),
        kind: OutputKind::Generated {
            source: join.source.to_string(),
        },
        content: view.render()?,
    })
}

fn end<'a>(model: &'a Model, end: &'a JoinEnd) -> Option<EndView<'a>> {
    let entity = model.entity(&end.entity)?;
    let key = entity.key()?;
    Some(EndView {
        human: &end.relation.human,
        column: &end.column.ident,
        variant: end.column.snake.to_upper_camel_case(),
        ty: field::entity_type(key, &model.config.entity_crate.ident()),
        module: &entity.name.ident,
        key: field::variant(key),
        relation: &end.relation.pascal,
    })
}
