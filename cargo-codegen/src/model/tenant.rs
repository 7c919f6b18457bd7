//! What holds between entities whose rows belong to tenants and those whose rows do not.

use super::draft::Draft;
use super::{OnDelete, Query, RelationKind};
use crate::definition::Problem;

/// Reports relations by which one tenant would change or see the rows of another.
pub(super) fn check(drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    for draft in drafts {
        let entity = &draft.entity;
        for relation in &entity.relations {
            let target = drafts
                .iter()
                .find(|it| it.entity.name.snake == relation.target);
            let Some(target) = target else { continue };
            let written = draft
                .definition
                .relations
                .iter()
                .find(|it| it.name.value == relation.name.snake);
            let (here, there) = (entity.behaviors.tenant, target.entity.behaviors.tenant);
            let name = &target.entity.name.snake;
            let reaches = relation.kind == RelationKind::BelongsTo
                && relation.on_delete != OnDelete::Restrict;
            if here && !there && reaches {
                let place = written
                    .and_then(|it| it.on_delete.as_ref())
                    .map_or_else(|| draft.place(), |it| it.span.clone());
                let message = format!(
                    "`{name}` belongs to no tenant, so deleting one would change rows of every tenant"
                );
                problems.push(
                    Problem::error("across-tenants", message, place)
                        .also(target.place(), "this one has no `tenant`")
                        .help("write `on_delete: restrict`, or give both entities the behavior `tenant`"),
                );
            }
            if !here && there && relation.kind == RelationKind::BelongsTo {
                let place = written.map_or_else(|| draft.place(), |it| it.name.span.clone());
                let message = format!(
                    "`{}` belongs to no tenant, and refers to what belongs to one",
                    entity.name.snake
                );
                problems.push(
                    Problem::warning("across-tenants", message, place)
                        .label("every tenant reads and changes it")
                        .help("give it the behavior `tenant`, unless that is meant"),
                );
            }
            let links = relation.kind == RelationKind::ManyToMany && here != there;
            let passes = relation.through.is_some() && there && !here;
            if links || passes {
                let place = written.map_or_else(|| draft.place(), |it| it.kind.span.clone());
                let message = format!(
                    "`{}` and `{name}` cannot be linked: the rows of one of them belong to tenants, those of the other do not",
                    entity.name.snake
                );
                problems.push(
                    Problem::error("across-tenants", message, place)
                        .help("give both entities the behavior `tenant`"),
                );
            }
            if !here && there && relation.kind == RelationKind::HasOne {
                let place = written.map_or_else(|| draft.place(), |it| it.kind.span.clone());
                let message = format!("every tenant may have a `{name}` of this row");
                problems.push(
                    Problem::error("across-tenants", message, place)
                        .help("write `has_many`, or give both entities the behavior `tenant`"),
                );
            }
        }
        queries(draft, drafts, problems);
    }
}

/// Reports queries of rows that belong to no tenant by what belongs to one: whose is not known.
fn queries(draft: &Draft<'_>, drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    let of_tenants = |name: &str| {
        let found = drafts.iter().find(|it| it.entity.name.snake == name);
        found.is_some_and(|it| it.entity.behaviors.tenant)
    };
    let reaches = |query: &Query| {
        let via = query.via.as_ref().map(|it| &it.relation);
        via.is_some_and(|it| {
            let between = it.through.as_ref().map(|it| it.module.snake.as_str());
            of_tenants(&it.target) || between.is_some_and(of_tenants)
        })
    };
    if draft.entity.behaviors.tenant {
        return;
    }
    for query in draft.entity.queries.iter().filter(|it| reaches(it)) {
        let message = format!(
            "the query `{}` finds rows of no tenant by rows that belong to tenants",
            query.name.snake
        );
        let mut written = draft.definition.queries.iter();
        let written = written.find(|it| it.by.iter().map(|it| &it.value).eq(&query.by));
        let place = written.and_then(|it| it.via.as_ref());
        let place = place.map_or_else(|| draft.place(), |it| it.span.clone());
        problems.push(
            Problem::error("across-tenants", message, place)
                .label("whose rows are meant is not known")
                .help("give both entities the behavior `tenant`, or write the method yourself"),
        );
    }
}
