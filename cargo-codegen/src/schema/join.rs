//! From join tables that no definition describes to tables.

use super::name::constraint;
use super::table::{Column, ColumnType, ForeignKey, Index, IndexColumn, OnDeleteAction, Table};
use crate::model::{FieldType, Join, JoinEnd, Model};

/// Both foreign keys are the primary key, which finds rows by the first of them; an index finds them by the second.
pub(super) fn table(model: &Model, join: &Join) -> Table {
    let mut foreign_keys: Vec<ForeignKey> = join
        .ends
        .iter()
        .filter_map(|it| foreign_key(model, join, it))
        .collect();
    foreign_keys.sort_by(|a, b| a.name.cmp(&b.name));
    let [first, second] = join.ends.each_ref().map(|it| it.column.snake.as_str());
    let backwards = [second, first];
    Table {
        name: join.table.clone(),
        columns: join.ends.iter().map(|it| column(model, it)).collect(),
        indexes: vec![Index {
            name: constraint("idx", &join.table, &backwards),
            columns: backwards
                .iter()
                .map(|it| IndexColumn {
                    name: (*it).to_owned(),
                    descending: false,
                })
                .collect(),
            unique: false,
            where_null: None,
            using: None,
        }],
        foreign_keys,
    }
}

fn column(model: &Model, end: &JoinEnd) -> Column {
    let key = model.entity(&end.entity).and_then(|it| it.key());
    Column {
        name: end.column.snake.clone(),
        ty: ColumnType::of(key.map_or(&FieldType::Uuid, |it| &it.ty), None),
        nullable: false,
        primary_key: true,
        auto_increment: false,
        default: None,
        choices: None,
    }
}

fn foreign_key(model: &Model, join: &Join, end: &JoinEnd) -> Option<ForeignKey> {
    let entity = model.entity(&end.entity)?;
    Some(ForeignKey {
        name: constraint("fk", &join.table, &[&end.column.snake]),
        column: end.column.snake.clone(),
        to_table: entity.table.clone(),
        to_column: entity.key()?.name.snake.clone(),
        on_delete: OnDeleteAction::Cascade,
    })
}
