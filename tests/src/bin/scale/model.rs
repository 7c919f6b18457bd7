//! The definitions of a model of any size, always the same for a size.

use anyhow::Result;
use camino::Utf8Path;

/// Writes the definitions of so many entities: a tree of them, in which every third refers to another one too.
pub(crate) fn write(entities: &Utf8Path, count: usize) -> Result<()> {
    fs_err::create_dir_all(entities)?;
    for index in 0..count {
        let file = entities.join(format!("{}.yaml", name(index)));
        fs_err::write(file, definition(index, count))?;
    }
    Ok(())
}

fn name(index: usize) -> String {
    format!("unit_{index:03}")
}

fn definition(index: usize, count: usize) -> String {
    let mut yaml = format!(
        "entity:
  name: {name}
  plural: units_{index:03}
  description: Unit {index} of a large model.
fields:
  name: {{ type: string, required: true, min_length: 1, max_length: 120 }}
  code: {{ type: string, required: true, max_length: 40 }}
  note: {{ type: text, nullable: true }}
  amount: {{ type: decimal, required: true, precision: 12, scale: 2, min: 0 }}
  quantity: {{ type: integer, default: 1, min: 0 }}
  active: {{ type: boolean, default: true }}
  state: {{ type: enum, choices: [draft, open, done], default: draft }}
  starts_on: {{ type: date, nullable: true }}
  due_at: {{ type: datetime, nullable: true }}
behaviors: [timestamps{soft_delete}]
",
        name = name(index),
        soft_delete = if index.is_multiple_of(2) {
            ", soft_delete"
        } else {
            ""
        },
    );
    yaml += &relationships(index, count);
    yaml += "queries:
  - by: [code]
    unique: true
  - name: search
    filters: [state, active]
    search: [name, code]
    sort: [name, created_at]
    paginate: true
";
    yaml
}

/// A parent, children, and for every third entity the one before it.
fn relationships(index: usize, count: usize) -> String {
    let mut yaml = String::from("relationships:\n");
    if index > 0 {
        let parent = name((index - 1) / 2);
        yaml += &format!(
            "  parent: {{ type: belongs_to, target: {parent}, foreign_key: parent_id, on_delete: set_null }}\n"
        );
    }
    if index > 0 && index.is_multiple_of(3) {
        let other = name(index - 1);
        yaml += &format!(
            "  previous: {{ type: belongs_to, target: {other}, foreign_key: previous_id, on_delete: set_null }}\n"
        );
    }
    for (side, child) in [("left", 2 * index + 1), ("right", 2 * index + 2)] {
        if child < count {
            let child = name(child);
            yaml += &format!(
                "  {side}: {{ type: has_many, target: {child}, foreign_key: parent_id }}\n"
            );
        }
    }
    if yaml.ends_with("relationships:\n") {
        yaml.clear();
    }
    yaml
}
