//! Words, written as a definition that a person would have written.

use std::fmt::Write as _;

use super::entity::{EntityWord, FieldWord, RelationWord};
use super::payload::PayloadWord;
use crate::model::{Direction, EventTier, PayloadType};
use crate::survey::{direction_name, payload_type_name};

/// Everything that `event new` was told.
#[derive(Debug, Clone)]
pub struct EventWords {
    /// snake_case type.
    pub event_type: String,
    /// Domain or audit.
    pub tier: EventTier,
    /// `None` for audit events.
    pub direction: Option<Direction>,
    /// The entity, for change events.
    pub aggregate: Option<String>,
    /// Logical origin of an inbound event.
    pub source: Option<String>,
    /// Logical target of an outbound event.
    pub destination: Option<String>,
    /// In the order of the words.
    pub payload: Vec<PayloadWord>,
}

/// The definition of an entity.
pub fn entity_yaml(name: &str, words: &[EntityWord]) -> String {
    let mut text = format!("entity:\n  name: {}\n", scalar(name));
    let fields = words.iter().filter_map(|it| match it {
        EntityWord::Field(field) => Some(field_yaml(field)),
        EntityWord::Relation(relation) => foreign_key_yaml(relation),
    });
    let fields: String = fields.collect();
    if !fields.is_empty() {
        text += "\nfields:\n";
        text += &fields;
    }
    text += "\n# also: soft_delete, user_tracking, external_id_tracking, optimistic_lock, tenant\nbehaviors: [timestamps]\n";
    let relations: String = words
        .iter()
        .filter_map(|it| match it {
            EntityWord::Relation(relation) => Some(relation_yaml(name, relation)),
            EntityWord::Field(_) => None,
        })
        .collect();
    if !relations.is_empty() {
        text += "\nrelationships:\n";
        text += &relations;
    }
    text
}

fn field_yaml(field: &FieldWord) -> String {
    let mut text = format!("  {}:\n    type: {}\n", scalar(&field.name), field.ty);
    if !field.choices.is_empty() {
        let choices: Vec<String> = field.choices.iter().map(|it| scalar(it)).collect();
        line(&mut text, "choices", &format!("[{}]", choices.join(", ")));
    }
    if field.optional {
        line(&mut text, "nullable", "true");
    } else if field.setting("default").is_none() {
        line(&mut text, "required", "true");
    }
    if field.unique {
        line(&mut text, "unique", "true");
    }
    if field.index {
        line(&mut text, "index", "true");
    }
    for (key, value) in &field.settings {
        line(&mut text, key, &setting_value(field.ty, key, value));
    }
    text
}

/// A `belongs_to` brings its column along; only what the relation cannot say is declared as a field.
fn foreign_key_yaml(relation: &RelationWord) -> Option<String> {
    if !relation.unique && !relation.index {
        return None;
    }
    let mut text = format!("  {}_id:\n    type: uuid\n", relation.name);
    let null = if relation.optional {
        "nullable"
    } else {
        "required"
    };
    line(&mut text, null, "true");
    if relation.unique {
        line(&mut text, "unique", "true");
    }
    if relation.index {
        line(&mut text, "index", "true");
    }
    Some(text)
}

fn relation_yaml(entity: &str, relation: &RelationWord) -> String {
    let mut text = format!(
        "  {}:\n    type: {}\n",
        scalar(&relation.name),
        relation.kind
    );
    line(&mut text, "target", &scalar(&relation.target));
    let foreign_key = match relation.kind {
        "belongs_to" => format!("{}_id", relation.name),
        _ => format!("{entity}_id"),
    };
    line(&mut text, "foreign_key", &foreign_key);
    if relation.kind == "belongs_to" && !relation.optional {
        line(&mut text, "required", "true");
    }
    if let Some(on_delete) = &relation.on_delete {
        line(&mut text, "on_delete", &scalar(on_delete));
    }
    text
}

/// The definition of an event.
pub fn event_yaml(words: &EventWords) -> String {
    let mut text = format!("type: {}\n", scalar(&words.event_type));
    match (words.tier, words.direction) {
        (EventTier::Audit, _) => text += "tier: audit # observed only: it starts no job\n",
        (EventTier::Domain, Some(direction)) => {
            let _ = writeln!(text, "direction: {}", direction_name(direction));
        }
        (EventTier::Domain, None) => {}
    }
    for (key, value) in [
        ("aggregate", &words.aggregate),
        ("source", &words.source),
        ("destination", &words.destination),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{key}: {}", scalar(value));
        }
    }
    text += "version: 1\n";
    if words.payload.is_empty() {
        return text + "payload: {}\n";
    }
    text += "payload:\n";
    for field in &words.payload {
        let _ = write!(
            text,
            "  {}: {{ type: {}",
            scalar(&field.name),
            payload_type_name(&field.ty)
        );
        if let PayloadType::Array(items) = &field.ty {
            let _ = write!(text, ", items: {}", payload_type_name(items));
        }
        if field.nullable {
            text += ", nullable: true";
        }
        text += " }\n";
    }
    text
}

/// A commented start for an entity of which only the name is known.
pub fn entity_starter(name: &str) -> String {
    format!(
        "# One table and everything around it. Make it yours, then generate from it:
#
#     cargo codegen entity new {name}
entity:
  name: {name}
  # plural: ..        # inferred
  # description: ..   # one line for the docs and the OpenAPI document

# string text integer bigint decimal float boolean uuid date time datetime json enum bytes vector
fields:
  name:
    type: string
    required: true      # NOT NULL, and asked for on create
    max_length: 200
  # sku:
  #   type: string
  #   required: true
  #   unique: true
  # status:
  #   type: enum
  #   choices: [draft, active]
  #   default: draft    # NOT NULL, and may be left out on create
  # note:
  #   type: text
  #   nullable: true

# also: soft_delete, user_tracking, external_id_tracking, optimistic_lock, tenant
behaviors: [timestamps]

# relationships:
#   account:
#     type: belongs_to  # or has_many, has_one
#     target: account
#     foreign_key: account_id

# queries:
#   - by: [name]        # list_by_name
",
        name = scalar(name)
    )
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "    {key}: {value}");
}

/// Numbers and booleans stand bare where the type wants them; everything else is a string.
fn setting_value(ty: &str, key: &str, value: &str) -> String {
    let numeric = match key {
        "default" => matches!(ty, "integer" | "bigint" | "float" | "decimal"),
        "pattern" => false,
        _ => true,
    };
    let boolean = key == "default" && ty == "boolean" && matches!(value, "true" | "false");
    if boolean || (numeric && is_number(value)) {
        value.to_owned()
    } else {
        scalar(value)
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    !leading_zero
        && digits.starts_with(|it: char| it.is_ascii_digit())
        && !digits.ends_with('.')
        && digits.chars().filter(|it| *it == '.').count() <= 1
        && digits.chars().all(|it| it.is_ascii_digit() || it == '.')
}

/// A YAML scalar that reads back as this string: bare where no reader could take it for something else.
fn scalar(text: &str) -> String {
    const TAKEN: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let bare = text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && text
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-'))
        && !TAKEN.contains(&text.to_ascii_lowercase().as_str());
    if bare {
        text.to_owned()
    } else {
        // A JSON string is a YAML double-quoted scalar.
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{entity_words, payload_words};

    fn strings(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn words_become_a_tidy_definition() {
        let words = entity_words(&strings(
            "name:string sku:string:unique price:decimal:optional status:enum:draft,active:default=draft account:belongs_to:index",
        ))
        .expect("legal words");
        assert_eq!(
            entity_yaml("product", &words),
            "entity:
  name: product

fields:
  name:
    type: string
    required: true
  sku:
    type: string
    required: true
    unique: true
  price:
    type: decimal
    nullable: true
  status:
    type: enum
    choices: [draft, active]
    default: draft
  account_id:
    type: uuid
    required: true
    index: true

# also: soft_delete, user_tracking, external_id_tracking, optimistic_lock, tenant
behaviors: [timestamps]

relationships:
  account:
    type: belongs_to
    target: account
    foreign_key: account_id
    required: true
"
        );
    }

    #[test]
    fn words_that_yaml_would_misread_are_quoted() {
        let words = entity_words(&strings(
            "answer:enum:yes,no,1 on:boolean:default=true code:string:default=007",
        ))
        .expect("legal words");
        let text = entity_yaml("survey", &words);
        assert!(text.contains("choices: [\"yes\", \"no\", \"1\"]"), "{text}");
        assert!(
            text.contains("  \"on\":\n    type: boolean\n    default: true"),
            "{text}"
        );
        assert!(text.contains("default: \"007\""), "{text}");
    }

    #[test]
    fn event_words_become_a_definition() {
        let payload = payload_words(&strings(
            "product_id:uuid note:string:nullable tags:array:string",
        ))
        .expect("legal words");
        let words = EventWords {
            event_type: "product_created".to_owned(),
            tier: EventTier::Domain,
            direction: Some(Direction::Change),
            aggregate: Some("product".to_owned()),
            source: None,
            destination: None,
            payload,
        };
        assert_eq!(
            event_yaml(&words),
            "type: product_created
direction: change
aggregate: product
version: 1
payload:
  product_id: { type: uuid }
  note: { type: string, nullable: true }
  tags: { type: array, items: string }
"
        );
    }
}
