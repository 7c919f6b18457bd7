//! Field words of `entity new`.

use super::line::{Line, Piece, SETTINGS, Wrong, fields, nearest};
use crate::definition::{FieldKind, Problem};

/// One word of `entity new`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityWord {
    /// `email:string:unique`.
    Field(FieldWord),
    /// `account:belongs_to`.
    Relation(RelationWord),
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldWord {
    /// snake_case.
    pub name: String,
    /// As in YAML.
    pub ty: &'static str,
    /// Of an enum.
    pub choices: Vec<String>,
    /// May be NULL.
    pub optional: bool,
    /// Has a unique index.
    pub unique: bool,
    /// Has an index.
    pub index: bool,
    /// `default`, `max_length` and so on, as in YAML, in the order of the word.
    pub settings: Vec<(&'static str, String)>,
}

impl FieldWord {
    /// The value of a `key=value` modifier.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(it, _)| *it == key)
            .map(|(_, value)| value.as_str())
    }
}

/// A relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationWord {
    /// snake_case.
    pub name: String,
    /// `belongs_to`, `has_many` or `has_one`.
    pub kind: &'static str,
    /// Name of the other entity.
    pub target: String,
    /// The foreign key of a `belongs_to` may be NULL.
    pub optional: bool,
    /// The foreign key of a `belongs_to` has a unique index.
    pub unique: bool,
    /// The foreign key of a `belongs_to` has an index.
    pub index: bool,
    /// `on_delete`, as in YAML.
    pub on_delete: Option<String>,
}

/// What else may stand in the place of a type.
pub const RELATION_TYPES: [&str; 3] = ["belongs_to", "has_many", "has_one"];
const FLAGS: [&str; 5] = ["optional", "nullable", "required", "unique", "index"];

/// Names that people bring from elsewhere.
const FOREIGN: [(&str, &str); 16] = [
    ("int", "integer"),
    ("i32", "integer"),
    ("i64", "bigint"),
    ("long", "bigint"),
    ("number", "decimal"),
    ("numeric", "decimal"),
    ("money", "decimal"),
    ("double", "float"),
    ("f64", "float"),
    ("bool", "boolean"),
    ("str", "string"),
    ("varchar", "string"),
    ("timestamp", "datetime"),
    ("jsonb", "json"),
    ("references", "belongs_to"),
    ("blob", "bytes"),
];

/// The types of columns.
pub fn field_types() -> [&'static str; 15] {
    FieldKind::WORDS.map(|it| it.0)
}

/// Reads the field words of `entity new`.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn entity_words(words: &[String]) -> Result<Vec<EntityWord>, Wrong> {
    fields(words, one_word)
}

fn one_word(
    line: &mut Line,
    name: &Piece<'_>,
    ty: &Piece<'_>,
    modifiers: &[Piece<'_>],
) -> Option<EntityWord> {
    if let Some(kind) = RELATION_TYPES.into_iter().find(|it| *it == ty.text) {
        return Some(EntityWord::Relation(relation(line, name, kind, modifiers)));
    }
    let Some(known) = field_types().into_iter().find(|it| *it == ty.text) else {
        line.wrong(unknown_type(
            ty,
            field_types().into_iter().chain(RELATION_TYPES),
        ));
        return None;
    };
    field(line, name, known, ty, modifiers).map(EntityWord::Field)
}

pub(super) fn unknown_type<'a>(
    ty: &Piece<'_>,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Problem {
    let all: Vec<&str> = known.clone().collect();
    let foreign = FOREIGN
        .into_iter()
        .find(|(it, ours)| *it == ty.text && all.contains(ours))
        .map(|(_, ours)| ours);
    let list = all.join(", ");
    let problem = Problem::error(
        "unknown-type",
        format!("there is no type `{}`", ty.text),
        ty.span.clone(),
    );
    match foreign.or_else(|| nearest(ty.text, known)) {
        Some(meant) => problem.help(format!("write `{meant}`; the types are {list}")),
        None => problem.help(format!("the types are {list}")),
    }
}

fn field(
    line: &mut Line,
    name: &Piece<'_>,
    ty: &'static str,
    ty_piece: &Piece<'_>,
    modifiers: &[Piece<'_>],
) -> Option<FieldWord> {
    let (choices, modifiers) = if ty == "enum" {
        choices(line, name, ty_piece, modifiers)?
    } else {
        (Vec::new(), modifiers)
    };
    let mut word = FieldWord {
        name: name.text.to_owned(),
        ty,
        choices,
        optional: false,
        unique: false,
        index: false,
        settings: Vec::new(),
    };
    for modifier in modifiers {
        match modifier.text {
            "optional" | "nullable" => word.optional = true,
            "required" => {}
            "unique" => word.unique = true,
            "index" => word.index = true,
            other => {
                let setting = setting(other).filter(|(key, _)| *key != "on_delete");
                match setting {
                    Some((key, value)) if !value.is_empty() => {
                        word.settings.push((key, value.to_owned()));
                    }
                    _ => line.wrong(unknown_modifier(modifier, ty)),
                }
            }
        }
    }
    Some(word)
}

fn setting(text: &str) -> Option<(&'static str, &str)> {
    let (key, value) = text.split_once(['=', ':'])?;
    let key = SETTINGS.into_iter().find(|it| *it == key)?;
    Some((key, value))
}

fn choices<'a, 'b>(
    line: &mut Line,
    name: &Piece<'_>,
    ty: &Piece<'_>,
    modifiers: &'b [Piece<'a>],
) -> Option<(Vec<String>, &'b [Piece<'a>])> {
    let missing = || {
        Problem::error(
            "missing-choices",
            format!("the enum `{}` has no choices", name.text),
            ty.span.clone(),
        )
        .help(format!("write `{}:enum:first,second`", name.text))
    };
    let Some((list, rest)) = modifiers.split_first() else {
        line.wrong(missing());
        return None;
    };
    if FLAGS.contains(&list.text) || list.text.is_empty() || list.text.contains(['=', ':']) {
        line.wrong(missing());
        return None;
    }
    let mut found: Vec<String> = Vec::new();
    let mut start = list.span.range.start;
    for choice in list.text.split(',') {
        let span = line.span(start, start + choice.len());
        start += choice.len() + 1;
        if choice.is_empty() {
            line.wrong(Problem::error(
                "empty-choice",
                format!("a choice of `{}` is empty", name.text),
                list.span.clone(),
            ));
        } else if found.iter().any(|it| it == choice) {
            line.wrong(Problem::error(
                "duplicate-choice",
                format!("`{}` has the choice `{choice}` twice", name.text),
                span,
            ));
        } else {
            found.push(choice.to_owned());
        }
    }
    Some((found, rest))
}

fn unknown_modifier(modifier: &Piece<'_>, ty: &str) -> Problem {
    let text = modifier.text;
    let known = || {
        FLAGS
            .into_iter()
            .chain(SETTINGS.into_iter().filter(|it| *it != "on_delete"))
    };
    if text.is_empty() {
        return Problem::error(
            "empty-modifier",
            "there is nothing between or behind the colons",
            modifier.span.clone(),
        );
    }
    if text.contains(',') {
        return Problem::error(
            "stray-choices",
            format!("`{ty}` has no choices"),
            modifier.span.clone(),
        )
        .help(format!("write `enum:{text}`"));
    }
    let key = text.split_once(['=', ':']).map_or(text, |(key, _)| key);
    if known().any(|it| it == key) {
        let problem = Problem::error(
            "modifier-value",
            format!("`{text}` cannot be read"),
            modifier.span.clone(),
        );
        return if FLAGS.contains(&key) {
            problem.help(format!("`{key}` takes no value: write `{key}`"))
        } else {
            problem.help(format!("write `{key}=` and its value"))
        };
    }
    let problem = Problem::error(
        "unknown-modifier",
        format!("there is no modifier `{key}`"),
        modifier.span.clone(),
    );
    let list = "optional, unique, index, default=.., max_length=.., min_length=.., min=.., max=.., \
                precision=.., scale=.., pattern=..";
    match nearest(key, known()) {
        Some(meant) => problem.help(format!("write `{meant}`; the modifiers are {list}")),
        None => problem.help(format!("the modifiers are {list}")),
    }
}

fn relation(
    line: &mut Line,
    name: &Piece<'_>,
    kind: &'static str,
    modifiers: &[Piece<'_>],
) -> RelationWord {
    let mut word = RelationWord {
        name: name.text.to_owned(),
        kind,
        target: match kind {
            "has_many" => pluralizer::pluralize(name.text, 1, false),
            _ => name.text.to_owned(),
        },
        optional: false,
        unique: false,
        index: false,
        on_delete: None,
    };
    for (position, modifier) in modifiers.iter().enumerate() {
        match modifier.text {
            "optional" | "nullable" => word.optional = true,
            "required" => {}
            "unique" => word.unique = true,
            "index" => word.index = true,
            other => match setting(other) {
                Some(("on_delete", value)) => word.on_delete = Some(value.to_owned()),
                Some(_) => line.wrong(unknown_modifier_of_relation(modifier, kind)),
                None if position == 0 && !other.contains(['=', ':']) => {
                    let flag = nearest(other, FLAGS)
                        .filter(|it| strsim::damerau_levenshtein(it, other) <= 2 && it.len() > 4);
                    if flag.is_some() {
                        line.wrong(unknown_modifier_of_relation(modifier, kind));
                    } else if line.check_name("an entity", modifier) {
                        word.target = other.to_owned();
                    }
                }
                None => line.wrong(unknown_modifier_of_relation(modifier, kind)),
            },
        }
    }
    if kind != "belongs_to"
        && (word.optional || word.unique || word.index || word.on_delete.is_some())
    {
        line.wrong(
            Problem::error(
                "modifier-of-relation",
                format!(
                    "`{}` has no column here, so it takes no modifiers",
                    name.text
                ),
                name.span.clone(),
            )
            .help(format!(
                "the foreign key stands in `{}`: give the modifiers to its `belongs_to`",
                word.target
            )),
        );
    }
    word
}

fn unknown_modifier_of_relation(modifier: &Piece<'_>, kind: &str) -> Problem {
    let problem = Problem::error(
        "unknown-modifier",
        format!("`{kind}` has no modifier `{}`", modifier.text),
        modifier.span.clone(),
    );
    let list = "the other entity's name first, then optional, unique, index, on_delete=..";
    match nearest(modifier.text, FLAGS) {
        Some(meant) => problem.help(format!("write `{meant}`; what may stand here: {list}")),
        None => problem.help(format!("what may stand here: {list}")),
    }
}

#[cfg(test)]
#[path = "entity_tests.rs"]
mod tests;
