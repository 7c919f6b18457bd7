//! `entity new` as a conversation, for who does not know the field words yet.

use std::rc::Rc;

use super::Options;
use super::ask::{Check, Dismissed, Questions, Terminal, somebody};
use crate::request::Asked;
use crate::words::{RELATION_TYPES, Wrong, entity_words, field_types, name_word};

/// Asks what an entity is made of; `name` is not asked for where it is known, `entities` are those that there are.
pub fn ask_entity(name: Option<&str>, entities: &[&str], options: Options) -> Asked {
    if !somebody(options) {
        return Asked::Nobody;
    }
    match describe(&mut Terminal, name, entities) {
        Ok((name, words)) => Asked::Described(name, words),
        Err(Dismissed) => Asked::Dismissed,
    }
}

fn describe(
    questions: &mut dyn Questions,
    name: Option<&str>,
    entities: &[&str],
) -> Result<(String, Vec<String>), Dismissed> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            let taken: Vec<String> = entities.iter().map(ToString::to_string).collect();
            let check = move |answer: &str| match taken.iter().any(|it| it == answer) {
                true => Err(format!("there is an entity `{answer}` already")),
                false => name_word("an entity", answer, &[]).map_err(first),
            };
            questions.line(
                "Name of the entity",
                "singular, in snake_case: order_line",
                Rc::new(check),
            )?
        }
    };
    let mut words = Vec::new();
    while let Some(word) = field(questions, &words, entities)? {
        words.push(word);
    }
    Ok((name, words))
}

/// The next word; `None` if there are no more fields.
fn field(
    questions: &mut dyn Questions,
    words: &[String],
    entities: &[&str],
) -> Result<Option<String>, Dismissed> {
    let name = questions.line(
        "Field",
        "in snake_case, or a whole word such as email:string:unique; empty: no more",
        any_word(words),
    )?;
    if name.is_empty() || name.contains(':') {
        return Ok(Some(name).filter(|it| !it.is_empty()));
    }
    let types = field_types().into_iter().chain(RELATION_TYPES);
    let ty = questions.one(
        &format!("Type of {name}"),
        types.map(str::to_owned).collect(),
    )?;
    let mut word = format!("{name}:{ty}");
    match ty.as_str() {
        "enum" => {
            let head = word.clone();
            let whole = move |choices: &str| readable(&[format!("{head}:{choices}")]);
            let choices = questions.line(
                &format!("Choices of {name}"),
                "separated by commas: active,inactive",
                Rc::new(whole),
            )?;
            word = format!("{word}:{choices}");
        }
        "vector" => {
            let head = word.clone();
            let whole =
                move |dimensions: &str| readable(&[format!("{head}:dimensions={dimensions}")]);
            let dimensions =
                questions.line(&format!("Dimensions of {name}"), "768", Rc::new(whole))?;
            word = format!("{word}:dimensions={dimensions}");
        }
        relation if RELATION_TYPES.contains(&relation) && !entities.is_empty() => {
            let mut targets: Vec<String> = entities.iter().map(ToString::to_string).collect();
            // What most people mean comes first.
            targets.sort_by_key(|it| !name.starts_with(it.as_str()));
            let target = questions.one(&format!("Entity that {name} is of"), targets)?;
            word = format!("{word}:{target}");
        }
        _ => {}
    }
    if !matches!(ty.as_str(), "has_many" | "has_one") {
        let flags = ["optional", "unique", "index"].map(str::to_owned);
        for flag in questions.any(
            &format!("Modifiers of {name} (none: it is required)"),
            flags.to_vec(),
        )? {
            word = format!("{word}:{flag}");
        }
    }
    Ok(Some(word))
}

/// A name of a field, or its whole word, that goes with those before it.
fn any_word(words: &[String]) -> Check {
    let words = words.to_vec();
    Rc::new(move |answer: &str| {
        if answer.is_empty() {
            return Ok(());
        }
        let word = match answer.contains(':') {
            true => answer.to_owned(),
            false => format!("{answer}:string"),
        };
        let mut all = words.clone();
        all.push(word);
        readable(&all)
    })
}

fn readable(words: &[String]) -> Result<(), String> {
    entity_words(words).map(|_| ()).map_err(first)
}

fn first(wrong: Wrong) -> String {
    let first = wrong.problems.into_iter().next();
    first.map_or_else(String::new, |it| match it.help {
        Some(help) => format!("{}: {help}", it.message),
        None => it.message,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Answers in turn, and notes what was said of those that were wrong.
    struct Script {
        answers: VecDeque<&'static str>,
        refused: Vec<String>,
    }

    impl Script {
        fn new(answers: &[&'static str]) -> Self {
            Self {
                answers: answers.iter().copied().collect(),
                refused: Vec::new(),
            }
        }

        fn next(&mut self) -> Result<String, Dismissed> {
            self.answers.pop_front().map(str::to_owned).ok_or(Dismissed)
        }
    }

    impl Questions for Script {
        fn line(&mut self, _: &str, _: &str, check: Check) -> Result<String, Dismissed> {
            loop {
                let answer = self.next()?;
                match check(&answer) {
                    Ok(()) => return Ok(answer),
                    Err(wrong) => self.refused.push(wrong),
                }
            }
        }

        fn one(&mut self, _: &str, options: Vec<String>) -> Result<String, Dismissed> {
            let answer = self.next()?;
            assert!(options.contains(&answer), "{answer} of {options:?}");
            Ok(answer)
        }

        fn any(&mut self, _: &str, options: Vec<String>) -> Result<Vec<String>, Dismissed> {
            let answers = self.next()?;
            let answers = answers.split_whitespace().map(str::to_owned);
            let answers: Vec<String> = answers.collect();
            assert!(answers.iter().all(|it| options.contains(it)));
            Ok(answers)
        }
    }

    #[test]
    fn answers_become_the_words_that_somebody_could_have_written() {
        let mut script = Script::new(&[
            "contact",
            "email",
            "string",
            "unique",
            "status",
            "enum",
            "active,inactive",
            "",
            "account",
            "belongs_to",
            "account",
            "optional index",
            "notes",
            "has_many",
            "note",
            "age:integer:min=0",
            "",
        ]);
        let (name, words) = describe(&mut script, None, &["note", "account"]).unwrap();
        assert_eq!(name, "contact");
        assert_eq!(
            words,
            [
                "email:string:unique",
                "status:enum:active,inactive",
                "account:belongs_to:account:optional:index",
                "notes:has_many:note",
                "age:integer:min=0",
            ]
        );
        assert!(script.refused.is_empty());
    }

    #[test]
    fn a_wrong_answer_is_told_and_asked_for_again() {
        let mut script = Script::new(&[
            "account", "Contact", "contact", "e mail", "email", "enum", "a,,b", "a,b", "", "email",
            "age:int", "",
        ]);
        let (name, words) = describe(&mut script, None, &["account"]).unwrap();
        assert_eq!((name.as_str(), words.len()), ("contact", 1));
        let refused = script.refused.join("\n");
        for wrong in [
            "there is an entity `account` already",
            "Contact",
            "e mail",
            "a choice of `email` is empty",
            "`email` is given twice",
            "there is no type `int`: write `integer`",
        ] {
            assert!(refused.contains(wrong), "{wrong}: {refused}");
        }
    }

    #[test]
    fn who_breaks_off_describes_nothing() {
        let mut script = Script::new(&["email", "string"]);
        assert_eq!(describe(&mut script, Some("contact"), &[]), Err(Dismissed));
    }
}
