//! When an event is published by itself: the rules of cron expressions, time zones and payloads.

use chrono::{DateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use croner::errors::CronError;

use super::{Direction, Misfire, Schedule};
use crate::definition::{
    EventDefinition, MisfireWord, Problem, ScheduleDefinition, Spanned, nearest, shorten,
};

/// The names that stand for expressions.
const NICKNAMES: [&str; 6] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@hourly",
];

/// Resolves the `schedule` of an event.
pub(super) fn resolve(
    definition: &EventDefinition,
    direction: Option<Direction>,
    problems: &mut Vec<Problem>,
) -> Option<Schedule> {
    let written = definition.schedule.as_ref()?;
    if definition.audit.is_none() {
        publishable(definition, direction, written, problems);
    }
    let ScheduleDefinition {
        cron,
        timezone,
        misfire,
    } = &written.value;
    problems.extend(wrong_cron(cron));
    problems.extend(timezone.as_ref().and_then(wrong_timezone));
    Some(Schedule {
        cron: cron.value.trim().to_owned(),
        timezone: timezone.as_ref().map(|it| it.value.clone()),
        misfire: match misfire.as_ref().map(|it| it.value) {
            Some(MisfireWord::Skip) => Misfire::Skip,
            Some(MisfireWord::Last) | None => Misfire::Last,
            Some(MisfireWord::All) => Misfire::All,
        },
    })
}

/// Nobody is asked for the payload of a scheduled event, nor which row it is about.
fn publishable(
    definition: &EventDefinition,
    direction: Option<Direction>,
    written: &Spanned<ScheduleDefinition>,
    problems: &mut Vec<Problem>,
) {
    if direction == Some(Direction::Change) {
        let message = format!(
            "the change event `{}` cannot have a `schedule`",
            shorten(&definition.name.value)
        );
        problems.push(
            Problem::error("wrong-schedule", message, written.span.clone())
                .label("it is about one row, and a clock knows of none")
                .help("write `direction: inbound` with `source: clock`, and look for the rows in a job"),
        );
    }
    if let Some(field) = definition.payload.iter().find(|it| !it.nullable) {
        let message = format!(
            "the event `{}` cannot be published by a `schedule`, because its payload needs values",
            shorten(&definition.name.value)
        );
        problems.push(
            Problem::error("wrong-schedule", message, written.span.clone())
                .also(field.name.span.clone(), "this one, for example")
                .help("give each field `nullable: true`, or schedule the event in Rust, where values can be computed"),
        );
    }
}

fn wrong_cron(cron: &Spanned<String>) -> Option<Problem> {
    let problem = |message: String| Problem::error("wrong-schedule", message, cron.span.clone());
    match cron.value.parse::<Cron>() {
        // Any moment will do to begin with: days that no year has are what is looked for.
        Ok(parsed) => parsed
            .find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, true)
            .is_err()
            .then(|| {
                problem(format!("`{}` never comes", shorten(&cron.value)))
                    .help("remove `schedule`, or write a day that a year can have")
            }),
        Err(error) => {
            let message = format!("`{}` is no cron expression", shorten(&cron.value));
            Some(problem(message).label(reason(&cron.value, &error)).help(
                "write minute, hour, day, month and weekday, such as `0 6 * * MON-FRI`, or `@daily`",
            ))
        }
    }
}

fn reason(cron: &str, error: &CronError) -> String {
    let fields = cron.split_whitespace().count();
    if cron.trim_start().starts_with('@') {
        return format!("the names are {}", NICKNAMES.join(", "));
    }
    if !(5..=7).contains(&fields) {
        let noun = if fields == 1 { "field" } else { "fields" };
        return format!("it has {fields} {noun}");
    }
    // croner's message after the kind of the error.
    let text = error.to_string();
    let text = text.split_once(": ").map_or(text.as_str(), |it| it.1);
    text.trim_end_matches('.').to_owned()
}

fn wrong_timezone(timezone: &Spanned<String>) -> Option<Problem> {
    if timezone.value.parse::<Tz>().is_ok() {
        return None;
    }
    let message = format!("there is no time zone `{}`", shorten(&timezone.value));
    let problem = Problem::error("wrong-schedule", message, timezone.span.clone());
    let names: Vec<&str> = TZ_VARIANTS.iter().map(|it| it.name()).collect();
    Some(match nearest(&timezone.value, &names) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem.help("write a name of the time zone database, such as `Europe/Berlin`"),
    })
}
