//! Entities under construction: their columns, and where each of them comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::name::{self, MAX_BYTES};
use super::{Behaviors, Entity, Field, FieldOrigin, FieldType, Name, field};
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

/// Tables of the runtime and of the migrations.
pub(crate) const RUNTIME_TABLES: [&str; 11] = [
    "bridge_delivery",
    "domain_events",
    "event_delivery",
    "job",
    "job_dedupe",
    "job_pool",
    "job_run",
    "job_schedule",
    "job_step",
    "job_worker",
    "seaql_migrations",
];

/// Every entity with its key, declared fields and behaviors, sorted by name; the columns that relations add come later.
pub(crate) fn drafts<'d>(
    definitions: &'d Definitions,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Vec<Draft<'d>> {
    let mut drafts: Vec<Draft<'d>> = Vec::new();
    for definition in &definitions.entities {
        let Some(draft) = draft(definition, sources, problems) else {
            continue;
        };
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
    collisions(&drafts, problems);
    drafts
}

fn draft<'d>(
    definition: &'d EntityDefinition,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Option<Draft<'d>> {
    let mut checked = |result: Result<Name, Problem>| result.map_err(|it| problems.push(it)).ok();
    let name = checked(name::check_file(
        &definition.name,
        "an entity",
        &ENTITY_MODULES,
    ))?;
    let plural = match &definition.plural {
        Some(plural) => checked(name::check_file(plural, "an entity's plural", &APP_MODULES))?,
        None => {
            let plural = pluralizer::pluralize(&name.snake, 2, false);
            let inferred = Spanned::new(plural, definition.name.span.clone());
            checked(
                name::check_file(&inferred, "an entity's plural", &APP_MODULES)
                    .map_err(|it| it.help("give the entity another `plural`")),
            )?
        }
    };
    let table = match &definition.table {
        Some(table) => checked(name::check(table, "a table"))?.snake,
        None => plural.snake.clone(),
    };
    let mut draft = Draft {
        definition,
        entity: Entity {
            table,
            description: definition.description.clone(),
            fields: Vec::new(),
            behaviors: Behaviors::default(),
            relations: Vec::new(),
            queries: Vec::new(),
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
    Some(draft)
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
        let resolved = name::check(&field.name, "a field")
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
        Some(other) => problem.also(other.name.span.clone(), "which is here already"),
        None => problem,
    }
}

fn key_field(ty: FieldType, description: Option<String>) -> Field {
    Field {
        name: Name::new("id"),
        ty,
        nullable: false,
        required: false,
        default: None,
        unique: false,
        index: false,
        constraints: super::Constraints::default(),
        description,
        origin: FieldOrigin::Key,
    }
}

fn own_key_field(entity: &Name, field: &FieldDefinition, problems: &mut Vec<Problem>) -> Field {
    let resolved = field::resolve(entity, Name::new("id"), field, problems);
    let ty = match resolved.map(|it| it.ty) {
        Some(ty @ (FieldType::Uuid | FieldType::Integer | FieldType::BigInt)) => ty,
        Some(_) => {
            let place = field.kind.as_ref().map_or(&field.name.span, |it| &it.span);
            problems.push(
                Problem::error("wrong-key", "a key cannot be of this type", place.clone()).help(
                    "a key is a `uuid`, an `integer` or a `bigint`; leave `id` out for a uuid",
                ),
            );
            FieldType::Uuid
        }
        // Reported already.
        None => FieldType::Uuid,
    };
    let misplaced = [
        (
            "nullable",
            field
                .nullable
                .as_ref()
                .filter(|it| it.value)
                .map(|it| &it.span),
        ),
        ("default", field.default.as_ref().map(|it| &it.span)),
        ("foreign_key", field.foreign_key.as_ref().map(|it| &it.span)),
    ];
    for (key, span) in misplaced {
        if let Some(span) = span {
            problems.push(
                Problem::error(
                    "wrong-key",
                    format!("the key `id` cannot have `{key}`"),
                    span.clone(),
                )
                .help("remove it; the generated code gives every row its key"),
            );
        }
    }
    key_field(ty, field.description.clone())
}

/// Adds the behaviors' columns; they come last in the table.
pub(crate) fn add_behaviors(draft: &mut Draft<'_>, problems: &mut Vec<Problem>) {
    for behavior in &draft.definition.behaviors {
        let behaviors = &mut draft.entity.behaviors;
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
            Behavior::Later => &[],
        };
        for (column, ty, nullable) in columns {
            let field = Field {
                name: Name::new(*column),
                ty: ty.clone(),
                nullable: *nullable,
                required: false,
                default: None,
                unique: false,
                index: false,
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

fn collisions(drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    for (index, draft) in drafts.iter().enumerate() {
        let (entity, definition) = (&draft.entity, draft.definition);
        let table_place = definition.table.as_ref().or(definition.plural.as_ref());
        let table_place = table_place.map_or(draft.place(), |it| it.span.clone());
        if RUNTIME_TABLES.contains(&entity.table.as_str()) {
            problems.push(
                Problem::error(
                    "reserved-name",
                    format!("the table `{}` belongs to the runtime", entity.table),
                    table_place.clone(),
                )
                .help("give the entity another `table`"),
            );
        }
        for other in &drafts[..index] {
            let both = [&other.entity.name.snake, &entity.name.snake]
                .map(|it| format!("`{it}`"))
                .join(" and ");
            if other.entity.table == entity.table {
                problems.push(
                    Problem::error(
                        "collision",
                        format!("{both} have the same table, `{}`", entity.table),
                        table_place.clone(),
                    )
                    .also(other.place(), "the other one")
                    .help("give one of them another `table`"),
                );
            } else if other.entity.plural.snake == entity.plural.snake {
                let place = definition
                    .plural
                    .as_ref()
                    .map_or(draft.place(), |it| it.span.clone());
                problems.push(
                    Problem::error(
                        "collision",
                        format!("{both} have the same plural, `{}`", entity.plural.snake),
                        place,
                    )
                    .also(other.place(), "the other one")
                    .help("give one of them another `plural`"),
                );
            }
        }
        debug_assert!(entity.table.len() <= MAX_BYTES || !problems.is_empty());
    }
}
