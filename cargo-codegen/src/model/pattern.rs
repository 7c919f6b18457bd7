//! What entities take over from app-defined patterns, merged before anything is resolved.

use super::draft::list;
use crate::definition::{
    Definitions, EntityDefinition, PatternDefinition, Problem, QueryDefinition, Spanned, nearest,
    shorten,
};

/// The families that come with the tool.
pub(super) const BUILT_IN: [&str; 5] = ["Base", "Synced", "Activity", "Metadata", "Knowledge"];

/// The definitions with their patterns merged in; the patterns that an entity then names are built in.
pub(crate) fn merged(definitions: &Definitions, problems: &mut Vec<Problem>) -> Definitions {
    check(definitions, problems);
    let mut merged = definitions.clone();
    for entity in &mut merged.entities {
        let mut taking = Taking {
            definitions,
            taken: Vec::new(),
            built_in: Vec::new(),
        };
        for (index, name) in entity.patterns.clone().iter().enumerate() {
            if let Some(first) = entity.patterns[..index]
                .iter()
                .find(|it| it.value == name.value)
            {
                problems.push(
                    Problem::error(
                        "duplicate",
                        "this pattern is listed twice",
                        name.span.clone(),
                    )
                    .also(first.span.clone(), "first listed here"),
                );
                continue;
            }
            taking.take(entity, name, name, problems);
        }
        entity.patterns = taking.built_in;
    }
    merged
}

/// What is wrong with the patterns' names.
fn check(definitions: &Definitions, problems: &mut Vec<Problem>) {
    for (index, pattern) in definitions.patterns.iter().enumerate() {
        let name = &pattern.name;
        let error = |message: String| Problem::error("wrong-name", message, name.span.clone());
        let pascal = heck::ToUpperCamelCase::to_upper_camel_case(name.value.as_str());
        if BUILT_IN.contains(&name.value.as_str()) {
            let message = format!("the pattern `{}` is built in", name.value);
            problems.push(error(message).help("give yours another name; it may have `extends`"));
        } else if name.value.is_empty() || pascal != name.value {
            let message = format!("`{}` is no name of a pattern", shorten(&name.value));
            problems.push(error(message).help(format!("write `{pascal}`")));
        }
        let mut before = definitions.patterns[..index].iter();
        if let Some(first) = before.find(|it| it.name.value == name.value) {
            let message = format!("there are two patterns `{}`", shorten(&name.value));
            problems.push(
                Problem::error("collision", message, name.span.clone())
                    .also(first.name.span.clone(), "the other one")
                    .help("rename one of the two"),
            );
        }
    }
}

/// One entity while it takes patterns over.
struct Taking<'d> {
    definitions: &'d Definitions,
    taken: Vec<&'d str>,
    built_in: Vec<Spanned<String>>,
}

impl<'d> Taking<'d> {
    /// `name` is where the entity names the pattern, or the one that extends it.
    fn take(
        &mut self,
        entity: &mut EntityDefinition,
        pattern: &Spanned<String>,
        name: &Spanned<String>,
        problems: &mut Vec<Problem>,
    ) {
        if BUILT_IN.contains(&pattern.value.as_str()) {
            if !self.built_in.iter().any(|it| it.value == pattern.value) {
                let place = Spanned::new(pattern.value.clone(), name.span.clone());
                self.built_in.push(place);
            }
            return;
        }
        let mut patterns = self.definitions.patterns.iter();
        let Some(found) = patterns.find(|it| it.name.value == pattern.value) else {
            problems.extend(self.unknown(pattern));
            return;
        };
        // Whichever way it comes, once is enough; that also ends a circle.
        if self.taken.contains(&found.name.value.as_str()) {
            return;
        }
        self.taken.push(&found.name.value);
        for extended in &found.extends {
            self.take(entity, extended, name, problems);
        }
        add(entity, found, problems);
    }

    fn unknown(&self, name: &Spanned<String>) -> Option<Problem> {
        let file = heck::ToSnakeCase::to_snake_case(name.value.as_str());
        if self.definitions.unreadable.contains(&file) {
            return None;
        }
        let own = self.definitions.patterns.iter();
        let own = own.map(|it| it.name.value.as_str());
        let known: Vec<&str> = BUILT_IN.into_iter().chain(own).collect();
        let message = format!("there is no pattern `{}`", shorten(&name.value));
        let problem = Problem::error("unknown-pattern", message, name.span.clone());
        Some(match nearest(&name.value, &known) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem.help(format!(
                "define it in `patterns/{file}.yaml`; there are {}",
                list(&known)
            )),
        })
    }
}

fn add(entity: &mut EntityDefinition, pattern: &PatternDefinition, problems: &mut Vec<Problem>) {
    for field in &pattern.fields {
        let same = entity
            .fields
            .iter()
            .find(|it| it.name.value == field.name.value);
        let Some(same) = same else {
            entity.fields.push(field.clone());
            continue;
        };
        let message = format!(
            "`{}` has a field `{}`, and takes another one over from the pattern `{}`",
            entity.name.value, field.name.value, pattern.name.value
        );
        problems.push(
            Problem::error("collision", message, same.name.span.clone())
                .also(field.name.span.clone(), "the pattern's field")
                .help("rename one of the two, or remove it"),
        );
    }
    for behavior in &pattern.behaviors {
        if !entity.behaviors.iter().any(|it| it.value == behavior.value) {
            entity.behaviors.push(behavior.clone());
        }
    }
    for query in &pattern.queries {
        if !entity.queries.iter().any(|it| says_the_same(it, query)) {
            entity.queries.push(query.clone());
        }
    }
    entity
        .named_queries
        .extend(pattern.named_queries.iter().cloned());
}

fn says_the_same(one: &QueryDefinition, other: &QueryDefinition) -> bool {
    let by = |it: &QueryDefinition| it.by.iter().map(|it| it.value.clone()).collect::<Vec<_>>();
    let order = |it: &QueryDefinition| {
        let order = it.order.iter();
        order
            .map(|(column, descending)| (column.value.clone(), *descending))
            .collect::<Vec<_>>()
    };
    one.unique == other.unique && by(one) == by(other) && order(one) == order(other)
}
