//! `many_to_many`, and `has_many` with `through`: relations that reach their target by way of another table.

use super::draft::{Draft, list};
use super::inverse::misplaced;
use super::join::{Join, JoinEnd, Onward, Reference, Through};
use super::name::MAX_BYTES;
use super::relation::{relation_name, unknown_entity};
use super::{Name, OnDelete, Relation, RelationKind};
use crate::definition::{Definitions, Problem, RelationDefinition, RelationType, Spanned};

/// Adds the relations that go through another table; returns the join tables that no definition describes.
pub(crate) fn relations(
    drafts: &mut [Draft<'_>],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) -> Vec<Join> {
    let mut resolver = Resolver {
        drafts,
        definitions,
        problems,
        joins: Vec::new(),
    };
    let mut found = Vec::new();
    for (index, draft) in resolver.drafts.iter().enumerate() {
        for relation in &draft.definition.relations {
            found.extend(resolver.relation(draft, relation).map(|it| (index, it)));
        }
    }
    let Resolver { mut joins, .. } = resolver;
    for (index, relation) in found {
        drafts[index].entity.relations.push(relation);
    }
    joins.sort_by(|a, b| a.name.cmp(&b.name));
    joins
}

struct Resolver<'a, 'd> {
    drafts: &'a [Draft<'d>],
    definitions: &'a Definitions,
    problems: &'a mut Vec<Problem>,
    joins: Vec<Join>,
}

impl<'a, 'd> Resolver<'a, 'd> {
    fn relation(
        &mut self,
        draft: &'a Draft<'d>,
        relation: &RelationDefinition,
    ) -> Option<Relation> {
        let kind = match (relation.kind.value, &relation.through) {
            (RelationType::ManyToMany, _) => RelationKind::ManyToMany,
            (RelationType::HasMany, Some(_)) => RelationKind::HasMany,
            (RelationType::BelongsTo | RelationType::HasOne, Some(through)) => {
                self.problems.push(
                    Problem::error(
                        "wrong-constraint",
                        "only `has_many` and `many_to_many` go through another entity",
                        through.span.clone(),
                    )
                    .help("remove `through`"),
                );
                return None;
            }
            _ => return None,
        };
        let target = self.entity(&relation.target);
        for (key, span) in misplaced(relation) {
            let message = format!("`{key}` belongs to a foreign key, and this side has none");
            let help = if relation.through.is_some() {
                "write it at the `belongs_to` of the entity that this goes through"
            } else {
                "remove it: a join table has both foreign keys with `cascade`; for another one, define the join entity \
                 and name it in `through`"
            };
            self.problems
                .push(Problem::error("wrong-constraint", message, span).help(help));
        }
        let name = relation_name(draft, relation, self.problems)?;
        let target = target?;
        let through = match &relation.through {
            Some(through) => {
                let between = self.between(draft, through)?;
                if between.entity.name == target.entity.name {
                    let message =
                        format!("`{}` is reached through itself", target.entity.name.snake);
                    self.problems.push(
                        Problem::error("wrong-constraint", message, through.span.clone())
                            .help("name the entity between the two"),
                    );
                    return None;
                }
                self.through(draft, relation, between, target)?
            }
            None => self.join(draft, relation, &name, target)?,
        };
        Some(Relation {
            foreign_key: through.here.column.clone(),
            name,
            kind,
            target: relation.target.value.clone(),
            on_delete: OnDelete::Restrict,
            self_reference: relation.target.value == draft.entity.name.snake,
            sole_to_target: false,
            through: Some(through),
        })
    }

    fn entity(&mut self, name: &Spanned<String>) -> Option<&'a Draft<'d>> {
        let drafts = self.drafts;
        let found = drafts.iter().find(|it| it.entity.name.snake == name.value);
        if found.is_none() {
            let known: Vec<&str> = drafts
                .iter()
                .map(|it| it.entity.name.snake.as_str())
                .collect();
            self.problems
                .extend(unknown_entity(name, &known, self.definitions));
        }
        found
    }

    /// `through` names the entity between, or the relation to it.
    fn between(&mut self, draft: &Draft<'_>, through: &Spanned<String>) -> Option<&'a Draft<'d>> {
        let mut relations = draft.definition.relations.iter();
        let own = relations.find(|it| it.name.value == through.value);
        let name = match own {
            Some(own) if own.through.is_none() => &own.target.value,
            _ => &through.value,
        };
        self.entity(&Spanned::new(name.clone(), through.span.clone()))
    }

    fn through(
        &mut self,
        draft: &Draft<'_>,
        relation: &RelationDefinition,
        between: &Draft<'_>,
        target: &Draft<'_>,
    ) -> Option<Through> {
        let here = self.reference(
            between,
            draft,
            relation.foreign_key.as_ref(),
            None,
            relation,
        )?;
        let goes_back = references(target, between);
        let refers = references(between, target)
            .iter()
            .any(|it| it.column != here.column);
        let onward =
            if !refers && relation.kind.value == RelationType::HasMany && !goes_back.is_empty() {
                Onward::Referred(self.reference(target, between, None, None, relation)?)
            } else {
                let known = Some(&here.column);
                Onward::Refers(self.reference(between, target, None, known, relation)?)
            };
        Some(Through {
            module: between.entity.name.clone(),
            here,
            onward,
            generated: false,
        })
    }

    /// The only foreign key of `from` to `to`, but for `known`; or the one that is wanted.
    fn reference(
        &mut self,
        from: &Draft<'_>,
        to: &Draft<'_>,
        wanted: Option<&Spanned<String>>,
        known: Option<&Name>,
        relation: &RelationDefinition,
    ) -> Option<Reference> {
        let mut found = references(from, to);
        found.retain(|it| Some(&it.column) != known);
        let (name, target) = (&from.entity.name.snake, &to.entity.name.snake);
        let columns: Vec<&str> = found.iter().map(|it| it.column.snake.as_str()).collect();
        let through = relation.through.as_ref();
        let place = through.map_or(&relation.name.span, |it| &it.span).clone();
        let problem = match (wanted, found.as_slice()) {
            (Some(wanted), _) => {
                let same = found.iter().find(|it| it.column.snake == wanted.value);
                if let Some(same) = same {
                    return Some(same.clone());
                }
                if from.uncertain.contains(&wanted.value) {
                    return None;
                }
                let message = format!("`{name}.{}` is no foreign key to `{target}`", wanted.value);
                Problem::error("no-foreign-key", message, wanted.span.clone()).help(format!(
                    "its foreign keys to `{target}` are {}",
                    list(&columns)
                ))
            }
            (None, [only]) => return Some(only.clone()),
            (None, []) => {
                let message = format!("`{name}` has no `belongs_to` that points to `{target}`");
                Problem::error("no-foreign-key", message, place).help(format!(
                    "add to `{}`: `relationships: {{ {target}: {{ type: belongs_to, target: {target} }} }}`",
                    from.entity.source
                ))
            }
            (None, _) => {
                let message = format!("`{name}` has several foreign keys to `{target}`");
                let help = if known.is_none() {
                    format!("add `foreign_key:` with one of {}", list(&columns))
                } else {
                    "write a `has_many` to the entity between, and a query `via` it".to_owned()
                };
                Problem::error("ambiguous", message, place).help(help)
            }
        };
        self.problems.push(problem);
        None
    }

    /// The join table of two entities, which both of them may declare.
    fn join(
        &mut self,
        draft: &Draft<'_>,
        relation: &RelationDefinition,
        name: &Name,
        target: &Draft<'_>,
    ) -> Option<Through> {
        let join = join_of(draft, name, target);
        let place = &relation.name.span;
        let problem = if let Some(column) = &relation.foreign_key {
            let [first, second] = join.ends.each_ref().map(|it| &it.column.snake);
            let message = "a generated join table names its own columns";
            Some(
                Problem::error("wrong-constraint", message, column.span.clone()).help(format!(
                    "remove `foreign_key`: they are `{first}` and `{second}`; or define the join entity and name it in \
                     `through`"
                )),
            )
        } else if join.ends[0].column == join.ends[1].column {
            let message = format!(
                "both columns of the join table would be `{}`",
                join.ends[0].column.snake
            );
            Some(
                Problem::error("collision", message, place.clone())
                    .help("call the relationship by what the others are, such as `friends`"),
            )
        } else if join.table.len() > MAX_BYTES {
            let message = format!(
                "the name of the join table would have {} bytes; databases cut off names after {MAX_BYTES}",
                join.table.len()
            );
            Some(
                Problem::error("illegal-name", message, place.clone())
                    .help("define a join entity with a shorter name, and name it in `through`"),
            )
        } else if let Some(other) = self.drafts.iter().find(|it| is_taken(it, &join)) {
            let message = format!(
                "the join table would be `{}`, and there is an entity `{}`",
                join.table, other.entity.name.snake
            );
            Some(
                Problem::error("collision", message, place.clone())
                    .also(other.place(), "the entity")
                    .help(format!("write `through: {}`", other.entity.name.snake)),
            )
        } else {
            let earlier = draft.definition.relations.iter();
            let earlier = earlier
                .take_while(|it| it.name != relation.name)
                .find(|it| {
                    it.kind.value == RelationType::ManyToMany
                        && it.through.is_none()
                        && it.target.value == relation.target.value
                        && relation.target.value != draft.entity.name.snake
                });
            earlier.map(|first| {
                let message = format!(
                    "`{}` and `{}` would have the same join table, `{}`",
                    first.name.value, name.snake, join.table
                );
                Problem::error("collision", message, place.clone())
                    .also(first.name.span.clone(), "the other one")
                    .help("define a join entity for one of them, and name it in `through`")
            })
        };
        if let Some(problem) = problem {
            self.problems.push(problem);
            return None;
        }
        // For a self reference, the first end is this side.
        let (here, there) = match &join.ends {
            [first, second] if first.entity == draft.entity.name.snake => (first, second),
            [first, second] => (second, first),
        };
        let through = Through {
            module: join.name.clone(),
            here: here.into(),
            onward: Onward::Refers(there.into()),
            generated: true,
        };
        if self.joins.iter().all(|it| it.name != join.name) {
            self.joins.push(join);
        }
        Some(through)
    }
}

/// The foreign keys of one entity to another.
fn references(from: &Draft<'_>, to: &Draft<'_>) -> Vec<Reference> {
    let relations = from.entity.relations.iter();
    relations
        .filter(|it| it.kind == RelationKind::BelongsTo && it.target == to.entity.name.snake)
        .map(|it| Reference {
            column: it.foreign_key.clone(),
            relation: it.name.clone(),
        })
        .collect()
}

/// The same join table from whichever side it is declared.
fn join_of(draft: &Draft<'_>, relation: &Name, target: &Draft<'_>) -> Join {
    let end = |entity: &Name, name: &str| JoinEnd {
        entity: entity.snake.clone(),
        column: Name::new(format!("{name}_id")),
        relation: Name::new(name),
    };
    let (here, there) = (&draft.entity.name, &target.entity.name);
    let ends = if here == there {
        let other = pluralizer::pluralize(&relation.snake, 1, false);
        [end(here, &here.snake), end(here, &other)]
    } else {
        let mut names = [here, there];
        names.sort();
        names.map(|it| end(it, &it.snake))
    };
    let name = Name::new(format!(
        "{}_{}",
        ends[0].relation.snake, ends[1].relation.snake
    ));
    Join {
        table: pluralizer::pluralize(&name.snake, 2, false),
        name,
        ends,
        source: draft.entity.source.clone(),
    }
}

fn is_taken(draft: &Draft<'_>, join: &Join) -> bool {
    let entity = &draft.entity;
    entity.table == join.table
        || entity.name.pascal == join.name.pascal
        || entity.plural.snake == join.table
}
