//! `http/<plural>.hurl`: the requests of an entity, to try them.

use askama::Template;

use super::Result;
use super::entity::file_stem;
use super::example::{Example, Language, Parent, changeable};
use super::field::{string_literal, with_article};
use crate::changeset::{Output, OutputKind};
use crate::model::{Entity, Model, NamedQuery};

#[derive(Template)]
#[template(path = "http/slice.hurl.jinja")]
struct HurlView<'a> {
    source: &'a str,
    path: String,
    thing: &'a str,
    a_thing: String,
    things: &'a str,
    url: &'a str,
    parents: Vec<Parent>,
    created: Option<Created>,
    queries: &'a [NamedQuery],
}

/// A row that the file creates, changes and deletes.
struct Created {
    body: String,
    change: String,
    key: String,
    variable: String,
    /// A change says which version it is of; this one takes any.
    versioned: bool,
}

/// A file for each entity with routes, unless no valid input for it could be made up.
///
/// # Errors
/// If a template fails.
pub fn http_files(model: &Model) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for entity in model.entities.iter().filter(|it| it.rest) {
        if let Some(view) = view(model, entity) {
            outputs.push(Output {
                path: view.path.clone().into(),
                kind: OutputKind::Generated {
                    source: entity.source.to_string(),
                },
                content: view.render()? + "\n",
            });
        }
    }
    Ok(outputs)
}

fn view<'a>(model: &'a Model, entity: &'a Entity) -> Option<HurlView<'a>> {
    let (parents, created) = if entity.writes {
        let example = Example::new(model, entity, Language::Hurl)?;
        let key = &entity.key()?.name.snake;
        let change = changeable(entity).map_or("{}".to_owned(), |(name, value)| {
            format!("{{ {}: {value} }}", string_literal(&name))
        });
        let created = Created {
            body: example.body,
            change,
            key: key.clone(),
            variable: format!("{}_{key}", entity.name.snake),
            versioned: entity.behaviors.optimistic_lock,
        };
        (example.parents, Some(created))
    } else {
        (Vec::new(), None)
    };
    Some(HurlView {
        source: entity.source.as_str(),
        path: format!("http/{}.hurl", file_stem(&entity.plural)),
        thing: &entity.name.human,
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        url: &entity.plural.kebab,
        parents,
        created,
        queries: &entity.named_queries,
    })
}
