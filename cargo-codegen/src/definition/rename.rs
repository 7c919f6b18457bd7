//! An entity gets another name: its definition, and what others say of it, changed where the name stands and nowhere else.

use std::ops::Range;

use super::node::{Kind, Node, parse};
use super::problem::Problem;
use super::source::{SourceId, Spanned};

/// The names of an entity before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// snake_case.
    pub from: String,
    /// snake_case.
    pub to: String,
    /// Where nothing says otherwise, the name of the table and of routes.
    pub plural: String,
    /// The table.
    pub table_from: String,
    /// The table; the same where the definition names it.
    pub table_to: String,
}

/// Keys whose value is the name of an entity.
const ENTITY_KEYS: [&str; 4] = ["target", "through", "aggregate", "eav_definition_table"];

/// A definition with every mention of the entity changed; `None` if there is none. Its own one gets `previously`, where the
/// table is renamed with it.
///
/// # Errors
/// If the text is no YAML.
pub fn renamed(
    source: SourceId,
    text: &str,
    renaming: &Renaming,
) -> Result<Option<String>, Problem> {
    let root = parse(source, text)?;
    let mut edits = Vec::new();
    if let Some(entity) = get(&root, "entity")
        && get(entity, "name").and_then(value) == Some(&renaming.from)
    {
        own(text, entity, renaming, &mut edits);
    }
    mentions(&root, renaming, &mut edits);
    if edits.is_empty() {
        return Ok(None);
    }
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, new) in edits {
        text.replace_range(range, &new);
    }
    Ok(Some(text))
}

type Edits = Vec<(Range<usize>, String)>;

fn own(text: &str, entity: &Node, renaming: &Renaming, edits: &mut Edits) {
    let place = |key: &str| get(entity, key).map(|it| it.span.range.clone());
    if let Some(plural) = place("plural") {
        edits.push((plural, renaming.plural.clone()));
    }
    let Some((key, name)) = entry(entity, "name") else {
        return;
    };
    let place_of_name = name.span.range.clone();
    if renaming.table_from == renaming.table_to {
        edits.push((place_of_name, renaming.to.clone()));
    } else if let Some(previously) = place("previously") {
        edits.push((place_of_name, renaming.to.clone()));
        edits.push((previously, renaming.table_from.clone()));
    } else {
        let key = key.span.range.start;
        let line = text[..key].rfind('\n').map_or(0, |it| it + 1);
        let indent = &text[line..key];
        let previously = format!("previously: {}", renaming.table_from);
        // In a block of lines the key stands behind blanks alone.
        if indent.trim().is_empty() {
            let end = text[key..].find('\n').map_or(text.len(), |it| key + it);
            edits.push((place_of_name, renaming.to.clone()));
            edits.push((end..end, format!("\n{indent}{previously}")));
        } else {
            edits.push((place_of_name, format!("{}, {previously}", renaming.to)));
        }
    }
}

fn mentions(node: &Node, renaming: &Renaming, edits: &mut Edits) {
    let inner: Vec<&Node> = match &node.kind {
        Kind::Map(pairs) => {
            for (key, child) in pairs {
                let Some(text) = value(child) else { continue };
                let column = text
                    .strip_prefix(renaming.table_from.as_str())
                    .filter(|it| it.starts_with('.') && key.value == "foreign_key");
                if ENTITY_KEYS.contains(&key.value.as_str()) && *text == renaming.from {
                    edits.push((child.span.range.clone(), renaming.to.clone()));
                } else if let Some(column) = column
                    && renaming.table_from != renaming.table_to
                {
                    let new = format!("{}{column}", renaming.table_to);
                    edits.push((child.span.range.clone(), new));
                }
            }
            pairs.iter().map(|it| &it.1).collect()
        }
        Kind::List(items) => items.iter().collect(),
        Kind::Null | Kind::Text(_) | Kind::Literal(_) => Vec::new(),
    };
    for node in inner {
        mentions(node, renaming, edits);
    }
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a (Spanned<String>, Node)> {
    match &node.kind {
        Kind::Map(pairs) => pairs.iter().find(|it| it.0.value == key),
        _ => None,
    }
}

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    entry(node, key).map(|it| &it.1)
}

fn value(node: &Node) -> Option<&String> {
    match &node.kind {
        Kind::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Sources;
    use super::*;

    fn after(text: &str) -> Option<String> {
        let renaming = Renaming {
            from: "contact".to_owned(),
            to: "person".to_owned(),
            plural: "people".to_owned(),
            table_from: "contacts".to_owned(),
            table_to: "people".to_owned(),
        };
        let source = Sources::default().add("x.yaml", text);
        renamed(source, text, &renaming).unwrap()
    }

    #[test]
    fn its_own_definition_says_what_the_table_was_called() {
        let lines =
            "# Who buys.\nentity:\n  name: contact  # singular\n  plural: contacts\nfields: {}\n";
        assert_eq!(
            after(lines).unwrap(),
            "# Who buys.\nentity:\n  name: person  # singular\n  previously: contacts\n  plural: people\nfields: {}\n"
        );
        assert_eq!(
            after("entity: { name: 'contact', pattern: Base }\n").unwrap(),
            "entity: { name: person, previously: contacts, pattern: Base }\n"
        );
        assert_eq!(
            after("entity: { previously: people_of_old, name: contact }\n").unwrap(),
            "entity: { previously: contacts, name: person }\n"
        );
    }

    #[test]
    fn what_others_say_of_it_is_changed_and_nothing_else() {
        let text = "entity: { name: note, description: of a contact }\n\
                    fields:\n  contact: { type: string }\n  about_id: { type: uuid, foreign_key: contacts.id }\n\
                    relationships:\n  contact: { type: belongs_to, target: contact, foreign_key: contact_id }\n\
                    events:\n  - { type: noted, aggregate: contact, payload: {} }\n";
        assert_eq!(
            after(text).unwrap(),
            text.replace("contacts.id", "people.id")
                .replace("target: contact", "target: person")
                .replace("aggregate: contact", "aggregate: person")
        );
        assert_eq!(
            after("type: contact_created\naggregate: note\npayload: {}\n"),
            None
        );
    }
}
