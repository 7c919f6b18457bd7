//! `http/<plural>.hurl`: the requests of an entity, to try them.

use askama::Template;

use super::Result;
use super::entity::file_stem;
use super::example::{Example, Language, Parent, changeable};
use super::field::{string_literal, with_article};
use super::slice::links::linked;
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
    /// Rows are created, but not by this file.
    no_input: bool,
    /// What the row refers to.
    parents: Vec<Parent>,
    created: Option<Created>,
    /// What it is linked to.
    linked: Vec<Parent>,
    links: Vec<Link<'a>>,
    has_fields: bool,
    queries: &'a [NamedQuery],
    /// Those of the parents and the linked rows that can be deleted, in this order.
    deleted: Vec<Parent>,
}

/// A row that the file creates, changes and deletes.
struct Created {
    body: String,
    change: String,
    key: String,
    variable: String,
    /// Its URL.
    row: String,
    /// A change says which version it is of; this one takes any.
    versioned: bool,
    soft_delete: bool,
}

/// A relation that goes through another table.
struct Link<'a> {
    human: &'a str,
    to: String,
    /// The URL of the list.
    list: String,
    /// The URL of one link; `None` where none is made.
    row: Option<String>,
}

/// A file for each entity with routes.
///
/// # Errors
/// If a template fails.
pub fn http_files(model: &Model) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for entity in model.entities.iter().filter(|it| it.rest) {
        let view = view(model, entity);
        outputs.push(Output {
            path: view.path.clone().into(),
            kind: OutputKind::Generated {
                source: entity.source.to_string(),
            },
            content: view.render()? + "\n",
        });
    }
    Ok(outputs)
}

fn view<'a>(model: &'a Model, entity: &'a Entity) -> HurlView<'a> {
    let mut view = HurlView {
        source: entity.source.as_str(),
        path: format!("http/{}.hurl", file_stem(&entity.plural)),
        thing: &entity.name.human,
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        url: &entity.plural.kebab,
        no_input: entity.writes,
        parents: Vec::new(),
        created: None,
        linked: Vec::new(),
        links: Vec::new(),
        has_fields: entity.custom_fields.is_some(),
        queries: &entity.named_queries,
        deleted: Vec::new(),
    };
    let example = Example::new(model, entity, Language::Hurl).filter(|_| entity.writes);
    if let (Some(mut example), Some(key)) = (example, entity.key()) {
        let needed = example.parents.len();
        let created = created(entity, &key.name.snake, &example.body);
        view.links = links(model, entity, &created, &mut example);
        view.linked = example.parents.split_off(needed);
        view.parents = example.parents;
        view.deleted = deletable(entity, &view.parents, &view.linked);
        view.created = Some(created);
        view.no_input = false;
    }
    view
}

fn created(entity: &Entity, key: &str, body: &str) -> Created {
    let change = changeable(entity).map_or("{}".to_owned(), |(name, value)| {
        format!("{{ {}: {value} }}", string_literal(&name))
    });
    let variable = format!("{}_{key}", entity.name.snake);
    Created {
        body: body.to_owned(),
        change,
        key: key.to_owned(),
        row: format!("{{{{host}}}}/{}/{{{{{variable}}}}}", entity.plural.kebab),
        variable,
        versioned: entity.behaviors.optimistic_lock,
        soft_delete: entity.behaviors.soft_delete,
    }
}

/// The links of a row; what it is linked to gets among the rows of the example.
fn links<'a>(
    model: &'a Model,
    entity: &'a Entity,
    created: &Created,
    example: &mut Example,
) -> Vec<Link<'a>> {
    let mut links = Vec::new();
    for (relation, through, target) in linked(model, entity).filter(|(.., it)| it.rest) {
        let list = format!("{}/{}", created.row, relation.name.kebab);
        let is_itself = target.name == entity.name;
        // Links that are rows of an entity are made there.
        let variable = if !through.generated {
            None
        } else if is_itself {
            Some(created.variable.clone())
        } else {
            example.also(model, entity, target, Language::Hurl)
        };
        links.push(Link {
            human: &relation.name.human,
            to: if is_itself {
                "itself".to_owned()
            } else {
                with_article(&target.name.human)
            },
            row: variable.map(|it| format!("{list}/{{{{{it}}}}}")),
            list,
        });
    }
    links
}

/// What was created for a row, the newest first, as far as nothing is left that may refer to it: what is deleted by a mark
/// stays in its table.
fn deletable(entity: &Entity, parents: &[Parent], linked: &[Parent]) -> Vec<Parent> {
    let linked = linked.iter().rev().map(|it| (it, false));
    let parents = parents.iter().rev();
    let parents = parents.map(|it| (it, entity.behaviors.soft_delete));
    let mut stays = false;
    let mut deleted = Vec::new();
    for (row, is_referred_to) in linked.chain(parents) {
        stays |= is_referred_to;
        if stays && !row.soft_delete {
            break;
        }
        stays |= row.soft_delete;
        deleted.push(row.clone());
    }
    deleted
}
