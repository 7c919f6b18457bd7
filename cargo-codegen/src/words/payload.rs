//! Field words of `event new` and `job new`.

use super::entity::unknown_type;
use super::line::{Line, Piece, Wrong, fields, nearest};
use crate::definition::Problem;
use crate::model::{Name, PayloadField, PayloadType};

/// One field of an event's payload or a job's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadWord {
    /// snake_case.
    pub name: String,
    /// Its type.
    pub ty: PayloadType,
    /// May be null.
    pub nullable: bool,
}

impl PayloadWord {
    /// The field as the model has it.
    pub fn field(&self) -> PayloadField {
        PayloadField {
            name: Name::new(&self.name),
            ty: self.ty.clone(),
            nullable: self.nullable,
            description: None,
        }
    }
}

const SCALARS: [&str; 9] = [
    "uuid", "string", "number", "integer", "decimal", "boolean", "datetime", "day", "date",
];
const MODIFIERS: [&str; 3] = ["nullable", "optional", "required"];

fn scalar(text: &str) -> Option<PayloadType> {
    Some(match text {
        "uuid" => PayloadType::Uuid,
        "string" => PayloadType::String,
        "number" => PayloadType::Number,
        "integer" => PayloadType::Integer,
        "decimal" => PayloadType::Decimal,
        "boolean" => PayloadType::Boolean,
        "datetime" | "date" => PayloadType::DateTime,
        "day" => PayloadType::Day,
        _ => return None,
    })
}

/// Reads the field words of `event new` and `job new`.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn payload_words(words: &[String]) -> Result<Vec<PayloadWord>, Wrong> {
    fields(words, one_word)
}

fn one_word(
    line: &mut Line,
    name: &Piece<'_>,
    ty: &Piece<'_>,
    rest: &[Piece<'_>],
) -> Option<PayloadWord> {
    let types = || SCALARS.into_iter().chain(["json", "array"]);
    let (ty, rest) = match ty.text {
        "json" => (PayloadType::Json, rest),
        "array" => {
            let Some((items, rest)) = rest.split_first() else {
                line.wrong(
                    Problem::error(
                        "missing-items",
                        format!("the array `{}` has no item type", name.text),
                        ty.span.clone(),
                    )
                    .help(format!("write `{}:array:string`", name.text)),
                );
                return None;
            };
            let Some(item) = scalar(items.text) else {
                line.wrong(unknown_type(items, SCALARS.into_iter()));
                return None;
            };
            (PayloadType::Array(Box::new(item)), rest)
        }
        other => {
            let Some(known) = scalar(other) else {
                line.wrong(unknown_type(ty, types()));
                return None;
            };
            (known, rest)
        }
    };
    let mut word = PayloadWord {
        name: name.text.to_owned(),
        ty,
        nullable: false,
    };
    for modifier in rest {
        match modifier.text {
            "nullable" | "optional" => word.nullable = true,
            "required" => {}
            other => {
                let problem = Problem::error(
                    "unknown-modifier",
                    format!("a payload field has no modifier `{other}`"),
                    modifier.span.clone(),
                );
                line.wrong(match nearest(other, MODIFIERS) {
                    Some(meant) => problem.help(format!("write `{meant}`")),
                    None => problem.help("the only modifier is `nullable`"),
                });
            }
        }
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<PayloadWord>, Wrong> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        payload_words(&words)
    }

    #[test]
    fn payload_words_have_types_items_and_null() {
        let found = words("product_id:uuid note:string:nullable tags:array:string at:date")
            .expect("legal words");
        assert_eq!(found[0].ty, PayloadType::Uuid);
        assert!(found[1].nullable);
        assert_eq!(
            found[2].ty,
            PayloadType::Array(Box::new(PayloadType::String))
        );
        assert_eq!(found[3].ty, PayloadType::DateTime);
    }

    #[test]
    fn wrong_payload_words_are_named() {
        let wrong = words("id:uid tags:array extra:string:unique tags:string")
            .expect_err("the words are wrong");
        let found: Vec<(&str, &str)> = wrong
            .problems
            .iter()
            .map(|it| (it.message.as_str(), it.help.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(found[0].0, "there is no type `uid`");
        assert!(found[0].1.starts_with("write `uuid`"));
        assert_eq!(
            found[1],
            (
                "the array `tags` has no item type",
                "write `tags:array:string`"
            )
        );
        assert_eq!(
            found[2],
            (
                "a payload field has no modifier `unique`",
                "the only modifier is `nullable`"
            )
        );
        assert_eq!(found[3].0, "`tags` is given twice");
    }
}
