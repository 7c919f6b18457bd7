//! Entities that would have the same table, module or type.

use super::draft::Draft;
use crate::definition::Problem;

/// Tables of the runtime and of the migrations.
const RUNTIME_TABLES: [&str; 12] = [
    "bridge_delivery",
    "domain_events",
    "event_delivery",
    "idempotency_key",
    "job",
    "job_dedupe",
    "job_pool",
    "job_run",
    "job_schedule",
    "job_step",
    "job_worker",
    "seaql_migrations",
];

/// Reports every two entities that stand in each other's way.
pub(crate) fn check(drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
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
    }
}
