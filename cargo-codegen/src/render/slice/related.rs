//! How a slice reads rows of other entities, in one place: always from what their repositories let it see.

use super::Slice;
use super::scope::Place;
use crate::model::{Entity, Onward, Reference, Relation, RelationKind, Through};
use crate::render::field;
use crate::render::imports::Imports;

impl<'a> Slice<'a> {
    /// An item of an entity's or a join table's module in the entity crate.
    pub(super) fn row_item(self, module: &str, item: &str, imports: &mut Imports) -> String {
        let package = self.model.config.entity_crate.ident();
        let module = imports.name(&format!("{package}::{module}"));
        format!("{module}::{item}")
    }

    /// The key column of an entity.
    pub(super) fn key_column(self, entity: &Entity, imports: &mut Imports) -> String {
        let variant = entity.key().map_or_else(|| "Id".to_owned(), field::variant);
        self.row_item(&entity.name.ident, &format!("Column::{variant}"), imports)
    }

    /// A column that refers to another table.
    pub(super) fn reference_column(
        self,
        module: &str,
        column: &crate::model::Name,
        imports: &mut Imports,
    ) -> String {
        let field = self
            .model
            .entities
            .iter()
            .find(|it| it.name.ident == module)
            .and_then(|it| it.field(&column.snake));
        let variant = field.map_or_else(|| column.pascal.clone(), field::variant);
        self.row_item(module, &format!("Column::{variant}"), imports)
    }

    /// The rows of a relation's target that are visible, and the column by which they refer to this entity, itself or
    /// by way of the table between.
    pub(super) fn related_rows(
        self,
        relation: &Relation,
        target: &Entity,
        place: Place,
        imports: &mut Imports,
    ) -> (String, String) {
        let repository = self.repository_of(target, place, imports);
        let Some(through) = &relation.through else {
            let column = match relation.kind {
                RelationKind::BelongsTo => self.key_column(target, imports),
                _ => self.reference_column(&target.name.ident, &relation.foreign_key, imports),
            };
            return (format!("{repository}.select()"), column);
        };
        let join = imports.name("sea_orm::JoinType");
        let definition = match &through.onward {
            Onward::Refers(it) => {
                let it = self.relation_of(&through.module.ident, it, imports);
                format!("{it}.rev()")
            }
            Onward::Referred(it) => self.relation_of(&target.name.ident, it, imports),
        };
        imports.name("sea_orm::RelationTrait");
        imports.name("sea_orm::QuerySelect");
        let live = self.live_only(through, imports);
        let column = self.reference_column(&through.module.ident, &through.here.column, imports);
        (
            format!("{repository}.select().join({join}::InnerJoin, {definition}){live}"),
            column,
        )
    }

    /// The visible rows of the table between.
    pub(super) fn between(self, through: &Through, place: Place, imports: &mut Imports) -> String {
        match self.model.entity(&through.module.snake) {
            Some(between) => format!("{}.select()", self.repository_of(between, place, imports)),
            None => {
                imports.name("sea_orm::EntityTrait");
                self.row_item(&through.module.ident, "Entity::find()", imports)
            }
        }
    }

    fn relation_of(self, module: &str, reference: &Reference, imports: &mut Imports) -> String {
        let item = format!("Relation::{}.def()", reference.relation.pascal);
        self.row_item(module, &item, imports)
    }

    /// Leaves out deleted rows of the table between.
    fn live_only(self, through: &Through, imports: &mut Imports) -> String {
        let between = self.model.entity(&through.module.snake);
        if between.is_some_and(|it| it.behaviors.soft_delete) {
            imports.name("sea_orm::ColumnTrait");
            imports.name("sea_orm::QueryFilter");
            let column = self.row_item(&through.module.ident, "Column::DeletedAt", imports);
            format!(".filter({column}.is_null())")
        } else {
            String::new()
        }
    }
}
