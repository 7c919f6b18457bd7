//! Entities under construction: their columns, and where each of them comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::key::{key_field, own_key_field};
use super::{
    Behaviors, DefaultValue, Entity, Field, FieldOrigin, FieldType, Name, TENANT, collision, field,
    name,
};
use crate::definition::{
    Behavior, Definitions, EntityDefinition, FieldDefinition, Problem, Sources, Span, Spanned,
    nearest,
};

/// An entity whose relations, queries and emissions are not resolved yet.
#[derive(Debug)]
pub(crate) struct Draft<'d> {
    pub(crate) definition: &'d EntityDefinition,
    pub(crate) entity: Entity,
    /// Column -> where it is declared.
    pub(crate) places: BTreeMap<String, Span>,
    /// Declared columns that could not be resolved: what refers to them is not reported again.
    pub(crate) uncertain: BTreeSet<String>,
}

impl Draft<'_> {
    /// Where the entity is named.
    pub(crate) fn place(&self) -> Span {
        self.definition.name.span.clone()
    }

    /// Adds a column, unless its name is taken.
    pub(crate) fn add(&mut self, field: Field, place: Span, problems: &mut Vec<Problem>) {
        let same =
            |it: &&Field| it.name.snake == field.name.snake || it.name.pascal == field.name.pascal;
        let Some(other) = self.entity.fields.iter().find(same) else {
            self.places.insert(field.name.snake.clone(), place);
            self.entity.fields.push(field);
            return;
        };
        let (new, old) = (&field.name.snake, &other.name.snake);
        let message = if field.origin == FieldOrigin::Behavior {
            format!("the column `{new}` comes with a behavior, and is declared too")
        } else {
            format!(
                "the fields `{old}` and `{new}` are both `{}` in Rust",
                field.name.pascal
            )
        };
        let help = if field.origin == FieldOrigin::Behavior {
            "remove the field, or the behavior"
        } else {
            "rename one of the two"
        };
        let mut problem = Problem::error("collision", message, place).help(help);
        if let Some(first) = self.places.get(old) {
            problem = problem.also(first.clone(), "declared here");
        }
        problems.push(problem);
    }

    /// The column that a name refers to; an unknown one is reported.
    pub(crate) fn column(
        &self,
        name: &Spanned<String>,
        problems: &mut Vec<Problem>,
    ) -> Option<&Field> {
        let found = self.entity.field(&name.value);
        if found.is_none() && !self.uncertain.contains(&name.value) {
            problems.push(self.no_column(name));
        }
        found
    }

    fn no_column(&self, name: &Spanned<String>) -> Problem {
        let known: Vec<&str> = self
            .entity
            .fields
            .iter()
            .map(|it| it.name.snake.as_str())
            .collect();
        let message = format!(
            "`{}` has no field `{}`",
            self.entity.name.snake,
            crate::definition::shorten(&name.value)
        );
        let problem = Problem::error("unknown-field", message, name.span.clone());
        match nearest(&name.value, &known) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem.help(format!("its fields are {}", list(&known))),
        }
    }
}

/// `a`, `b` and 3 more.
pub(crate) fn list(words: &[&str]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = words
        .iter()
        .take(SHOWN)
        .map(|it| format!("`{it}`"))
        .collect();
    if words.len() > SHOWN {
        text.push(format!("{} more", words.len() - SHOWN));
    }
    match text.split_last() {
        Some((last, start)) if !start.is_empty() => format!("{} and {last}", start.join(", ")),
        Some((last, _)) => last.clone(),
        None => "none".to_owned(),
    }
}

/// Modules of the app crate beside the entities' slices.
const APP_MODULES: [&str; 8] = [
    "config",
    "context",
    "events",
    "generated",
    "jobs",
    "lib",
    "main",
    "state",
];

/// Names that the entity crate cannot give to a module: its own files, and crates that its code names.
const ENTITY_MODULES: [&str; 13] = [
    "alloc",
    "chrono",
    "core",
    "entity",
    "lib",
    "main",
    "mod",
    "prelude",
    "sea_orm",
    "serde",
    "serde_json",
    "std",
    "uuid",
];

/// Every entity with its key, declared fields and behaviors, sorted by name; the columns that relations add come later.
pub(crate) fn drafts<'d>(
    definitions: &'d Definitions,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Vec<Draft<'d>> {
    let mut drafts: Vec<Draft<'d>> = Vec::new();
    for definition in &definitions.entities {
        let draft = draft(definition, sources, problems);
        match drafts
            .iter()
            .find(|it| it.entity.name.pascal == draft.entity.name.pascal)
        {
            Some(first) => {
                let message = if first.entity.name.snake == draft.entity.name.snake {
                    format!("there are two entities `{}`", draft.entity.name.snake)
                } else {
                    format!(
                        "the entities `{}` and `{}` are both `{}` in Rust",
                        first.entity.name.snake, draft.entity.name.snake, draft.entity.name.pascal
                    )
                };
                problems.push(
                    Problem::error("collision", message, draft.place())
                        .also(first.place(), "the other one")
                        .help("rename one of the two"),
                );
            }
            None => drafts.push(draft),
        }
    }
    drafts.sort_by(|a, b| a.entity.name.snake.cmp(&b.entity.name.snake));
    collision::check(&drafts, problems);
    drafts
}

fn draft<'d>(
    definition: &'d EntityDefinition,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Draft<'d> {
    // A wrong name is replaced by the one that was meant, so that the rest is checked too.
    let mut checked = |written: &Spanned<String>, result: Result<Name, Problem>| {
        result.unwrap_or_else(|problem| {
            problems.push(problem);
            Name::new(heck::ToSnakeCase::to_snake_case(written.value.as_str()))
        })
    };
    let written = &definition.name;
    let name = checked(
        written,
        name::check_file(written, "an entity", &ENTITY_MODULES),
    );
    let plural = match &definition.plural {
        Some(plural) => checked(
            plural,
            name::check_file(plural, "an entity's plural", &APP_MODULES),
        ),
        None => {
            let plural = plural(&name.snake);
            let inferred = Spanned::new(plural, written.span.clone());
            let result = name::check_file(&inferred, "an entity's plural", &APP_MODULES);
            // The name itself was reported.
            if name::is_snake_case(&written.value) {
                checked(
                    &inferred,
                    result.map_err(|it| it.help("give the entity another `plural`")),
                )
            } else {
                Name::new(inferred.value)
            }
        }
    };
    let table = match &definition.table {
        Some(table) => checked(table, name::check(table, "a table")).snake,
        None => plural.snake.clone(),
    };
    let mut draft = Draft {
        definition,
        entity: Entity {
            table,
            previously: definition.previously.as_ref().map(|it| it.value.clone()),
            description: definition.description.clone(),
            fields: Vec::new(),
            behaviors: Behaviors::default(),
            families: Vec::new(),
            upsert: None,
            custom_fields: None,
            field_values: None,
            relations: Vec::new(),
            queries: Vec::new(),
            named_queries: Vec::new(),
            writes: definition.writes,
            rest: definition.rest,
            openapi: definition.openapi,
            emits: Vec::new(),
            scopeable: definition.scopeable,
            source: sources.get(definition.source).path.clone(),
            plural,
            name,
        },
        places: BTreeMap::new(),
        uncertain: BTreeSet::new(),
    };
    add_fields(&mut draft, problems);
    draft
}

fn add_fields(draft: &mut Draft<'_>, problems: &mut Vec<Problem>) {
    let definition = draft.definition;
    let own_key = definition.fields.iter().find(|it| it.name.value == "id");
    let key = match own_key {
        Some(field) => own_key_field(&draft.entity.name, field, problems),
        None => key_field(FieldType::Uuid, None),
    };
    let place = own_key.map_or(draft.place(), |it| it.name.span.clone());
    draft.add(key, place, problems);
    for field in definition.fields.iter().filter(|it| it.name.value != "id") {
        let resolved = name::check_column(&field.name)
            .map_err(|it| problems.push(beside(it, definition, field)))
            .ok()
            .and_then(|name| field::resolve(&draft.entity.name, name, field, problems));
        match resolved {
            Some(resolved) => draft.add(resolved, field.name.span.clone(), problems),
            None => {
                draft.uncertain.insert(field.name.value.clone());
            }
        }
    }
}

/// `userId` beside `user_id` is more than a wrong name.
fn beside(problem: Problem, definition: &EntityDefinition, field: &FieldDefinition) -> Problem {
    let spelled = heck::ToSnakeCase::to_snake_case(field.name.value.as_str());
    match definition.fields.iter().find(|it| it.name.value == spelled) {
        Some(other) if other.name != field.name => {
            problem.also(other.name.span.clone(), "which is here already")
        }
        _ => problem,
    }
}

/// Adds the behaviors' columns; they come last in the table.
pub(crate) fn add_behaviors(draft: &mut Draft<'_>, problems: &mut Vec<Problem>) {
    for behavior in &draft.definition.behaviors {
        let behaviors = &mut draft.entity.behaviors;
        // With whether the column may be NULL.
        let columns: &[(&str, FieldType, bool)] = match behavior.value {
            Behavior::Timestamps => {
                behaviors.timestamps = true;
                &[
                    ("created_at", FieldType::DateTime, false),
                    ("updated_at", FieldType::DateTime, false),
                ]
            }
            Behavior::SoftDelete => {
                behaviors.soft_delete = true;
                &[("deleted_at", FieldType::DateTime, true)]
            }
            Behavior::UserTracking => {
                behaviors.user_tracking = true;
                &[
                    ("created_by", FieldType::Uuid, true),
                    ("updated_by", FieldType::Uuid, true),
                ]
            }
            Behavior::ExternalIdTracking => {
                behaviors.external_id_tracking = true;
                &[
                    ("external_id", FieldType::String, true),
                    ("provider", FieldType::String, true),
                    ("provider_metadata", FieldType::Json, true),
                ]
            }
            Behavior::OptimisticLock => {
                behaviors.optimistic_lock = true;
                &[("version", FieldType::Integer, false)]
            }
            Behavior::Tenant => {
                behaviors.tenant = true;
                &[(TENANT, FieldType::String, false)]
            }
        };
        for (column, ty, nullable) in columns {
            let field = Field {
                name: Name::new(*column),
                ty: ty.clone(),
                nullable: *nullable,
                required: false,
                default: (*column == "version").then_some(DefaultValue::Integer(1)),
                unique: false,
                index: false,
                previously: None,
                // When the rows were made nobody knows; the migration is what there is.
                backfill: (!nullable && *ty == FieldType::DateTime).then_some(DefaultValue::Now),
                constraints: super::Constraints::default(),
                description: None,
                origin: FieldOrigin::Behavior,
            };
            if !draft.uncertain.contains(*column) {
                draft.add(field, behavior.span.clone(), problems);
            }
        }
    }
}

/// The plural that a name has where nothing else is said.
pub fn plural(name: &str) -> String {
    pluralizer::pluralize(name, 2, false)
}
