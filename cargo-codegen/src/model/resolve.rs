//! Definitions in, model out, and everything that is wrong at once.

use super::draft::{add_behaviors, drafts};
use super::{
    Config, Model, custom_fields, emit, event_draft, family, include, inverse, mysql, named_query,
    pattern, previously, query, relation, sqlite, tenant, through, upsert, vector,
};
use crate::definition::{Definitions, Problem, Severity, Sources};

/// Resolves every definition.
///
/// # Errors
/// Every problem, if one of them is an error; otherwise notes and warnings come with the model.
pub fn resolve(
    definitions: &Definitions,
    sources: &Sources,
) -> Result<(Model, Vec<Problem>), Vec<Problem>> {
    let mut problems = Vec::new();
    let config = Config::resolve(&definitions.config, &mut problems);
    let mut definitions = pattern::merged(definitions, &mut problems);
    for entity in &mut definitions.entities {
        family::imply_behaviors(entity);
    }
    let definitions = &definitions;
    let mut drafts = drafts(definitions, sources, &mut problems);
    relation::foreign_keys(&mut drafts, definitions, &mut problems);
    for draft in &mut drafts {
        add_behaviors(draft, &mut problems);
    }
    inverse::inverses(&mut drafts, definitions, &mut problems);
    let joins = through::relations(&mut drafts, definitions, &mut problems);
    for draft in &mut drafts {
        inverse::order(draft);
        include::check(draft, &mut problems);
    }
    query::resolve(&mut drafts, &joins, &mut problems);
    for draft in &mut drafts {
        named_query::resolve(draft, &mut problems);
    }
    named_query::check(&drafts, &mut problems);
    previously::check(&drafts, &mut problems);
    tenant::check(&drafts, &mut problems);
    mysql::check(&config, &drafts, &mut problems);
    sqlite::check(&config, &mut drafts, &mut problems);
    vector::check(&config, &drafts, &mut problems);
    for draft in &mut drafts {
        family::resolve(draft, &mut problems);
        upsert::resolve(draft, &mut problems);
    }
    custom_fields::resolve(&mut drafts, definitions, &mut problems);
    let mut events = event_draft::resolve(&drafts, definitions, sources, &mut problems);
    for draft in &mut drafts {
        emit::resolve(draft, &mut events, definitions, &mut problems);
    }
    if problems.iter().any(|it| it.severity == Severity::Error) {
        return Err(problems);
    }
    let model = Model {
        config,
        joins,
        entities: drafts.into_iter().map(|it| it.entity).collect(),
        events: events.into_iter().map(|it| it.event).collect(),
    };
    Ok((model, problems))
}
