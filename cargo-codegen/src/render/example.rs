//! Example requests for an entity, in the languages that generated files are written in.

use super::field::{is_input, string_literal};
use super::sample;
use crate::model::{Entity, FieldOrigin, FieldType, Model, RelationKind};

/// What the examples are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// The argument of `json!`; a key is a variable.
    Rust,
    /// A JSON body of a Hurl file; a key is a captured variable.
    Hurl,
}

/// The input that creates a row of an entity.
#[derive(Debug)]
pub(super) struct Example {
    /// What must be created first, in this order.
    pub(super) parents: Vec<Parent>,
    /// A JSON object.
    pub(super) body: String,
}

/// A row that must be there first.
#[derive(Debug, Clone)]
pub(super) struct Parent {
    /// The variable that holds its key.
    pub(super) name: String,
    /// Where it is created.
    pub(super) path: String,
    /// Its input.
    pub(super) body: String,
    /// The field that is its key.
    pub(super) key: String,
    /// It is deleted by a mark, and stays in its table.
    pub(super) soft_delete: bool,
    /// A deletion says which version it is of.
    pub(super) versioned: bool,
}

impl Example {
    /// The shortest valid input; `None` where none could be made up.
    pub(super) fn new(model: &Model, entity: &Entity, language: Language) -> Option<Self> {
        let mut making = Making {
            model,
            language,
            parents: Vec::new(),
            above: vec![entity],
        };
        let members = making.body(entity)?;
        let indent = if language == Language::Rust {
            "    "
        } else {
            ""
        };
        Some(Self {
            parents: making.parents,
            body: object(&members, indent),
        })
    }

    /// Creates a row of another entity, too; returns the variable that holds its key, or `None` where no input for it
    /// could be made up.
    pub(super) fn also(
        &mut self,
        model: &Model,
        entity: &Entity,
        other: &Entity,
        language: Language,
    ) -> Option<String> {
        let mut making = Making {
            model,
            language,
            parents: self.parents.clone(),
            above: vec![entity],
        };
        let variable = making.create(other)?;
        self.parents = making.parents;
        Some(variable)
    }
}

struct Making<'a> {
    model: &'a Model,
    language: Language,
    parents: Vec<Parent>,
    /// The entities that wait for the one in hand.
    above: Vec<&'a Entity>,
}

impl<'a> Making<'a> {
    /// The members of an entity's input, after what they refer to is among the parents.
    fn body(&mut self, entity: &'a Entity) -> Option<Vec<String>> {
        let mut members = Vec::new();
        for field in entity
            .fields
            .iter()
            .filter(|it| is_input(it) && it.required)
        {
            let relation = entity.relations.iter().find(|it| {
                it.kind == RelationKind::BelongsTo && it.foreign_key.snake == field.name.snake
            });
            let value = match relation {
                Some(relation) => self.parent(self.model.entity(&relation.target)?)?,
                None => sample::value(field)?,
            };
            // What only Rust escapes in this way.
            if self.language == Language::Hurl && value.contains("\\u{") {
                return None;
            }
            members.push(format!("{}: {value}", string_literal(&field.name.snake)));
        }
        Some(members)
    }

    /// The key of a row of this entity.
    fn parent(&mut self, entity: &'a Entity) -> Option<String> {
        let name = self.create(entity)?;
        Some(match self.language {
            Language::Rust => name,
            Language::Hurl if is_text(&entity.key()?.ty) => format!("\"{{{{{name}}}}}\""),
            Language::Hurl => format!("{{{{{name}}}}}"),
        })
    }

    /// The variable with the key of a row of this entity, which is created unless it is there.
    fn create(&mut self, entity: &'a Entity) -> Option<String> {
        let key = entity.key()?;
        let name = format!("{}_{}", entity.name.snake, key.name.snake);
        if !self.parents.iter().any(|it| it.name == name) {
            // Rows that must refer to each other cannot be created one after the other.
            let waits = self.above.iter().any(|it| it.name == entity.name);
            if waits || !(entity.writes && entity.rest) {
                return None;
            }
            self.above.push(entity);
            let body = self.body(entity);
            self.above.pop();
            let indent = if self.language == Language::Rust {
                "        "
            } else {
                ""
            };
            self.parents.push(Parent {
                name: name.clone(),
                path: format!("/{}", entity.plural.kebab),
                body: object(&body?, indent),
                key: key.name.snake.clone(),
                soft_delete: entity.behaviors.soft_delete,
                versioned: entity.behaviors.optimistic_lock,
            });
        }
        Some(name)
    }
}

/// Whether JSON has values of the type as strings.
pub(super) fn is_text(ty: &FieldType) -> bool {
    !matches!(
        ty,
        FieldType::Integer | FieldType::Float | FieldType::Boolean
    )
}

/// A JSON object, each member in a line of its own unless they are few; `indent` is that of its first line.
fn object(members: &[String], indent: &str) -> String {
    if members.is_empty() {
        "{}".to_owned()
    } else if members.len() <= 3 {
        format!("{{ {} }}", members.join(", "))
    } else {
        let between = format!(",\n{indent}    ");
        format!("{{\n{indent}    {}\n{indent}}}", members.join(&between))
    }
}

/// A field and another valid value for it than the one in the input.
pub(super) fn changeable(entity: &Entity) -> Option<(String, String)> {
    entity
        .fields
        .iter()
        .filter(|it| it.origin == FieldOrigin::Declared)
        .filter(|it| {
            !entity
                .relations
                .iter()
                .any(|relation| relation.foreign_key.snake == it.name.snake)
        })
        .find_map(|it| Some((it.name.snake.clone(), sample::other_value(it)?)))
}
