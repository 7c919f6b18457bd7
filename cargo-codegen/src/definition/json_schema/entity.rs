//! `entities/<name>.yaml` and `patterns/<name>.yaml`.

use serde_json::{Value, json};

use super::{Property, block, boolean, entries, event, list, number, one_or_more, text, words};
use crate::definition::entity::BEHAVIORS;
use crate::definition::field::{FieldKind, MAX_DIMENSIONS, MAX_LENGTH};
use crate::definition::keys::{
    ENTITY, ENTITY_FILE, FIELD, FIELD_JSON, GENERATE, LIMIT, PATTERN, PATTERN_FILE, QUERY, RELATION,
};
use crate::definition::query::{MAX_LIMIT, PAGINATION};
use crate::definition::relation::{ON_DELETE, RELATION_TYPES};

const SCOPEABLE: &str = "Runs of jobs can be found by a row of this entity.";

pub(super) fn entity() -> Value {
    let entity = block(
        &ENTITY,
        &["name"],
        vec![
            ("name", "Singular, in snake_case.", text()),
            (
                "plural",
                "The plural, where it is not the usual one.",
                text(),
            ),
            ("table", "The table; the plural unless it is said.", text()),
            (
                "previously",
                "What the table was called: a rename, no loss.",
                text(),
            ),
            (
                "pattern",
                "`Base`, `Synced`, `Activity`, `Metadata`, `Knowledge`, or one of yours.",
                text(),
            ),
            ("patterns", "Several patterns.", list(&text())),
            (
                "description",
                "Goes to the documentation of the code and of the API.",
                text(),
            ),
            ("scopeable", SCOPEABLE, boolean()),
        ],
    );
    let relations = entries(&relation());
    let mut properties = vec![
        ("entity", "What the entity is called.", entity),
        ("relationships", "How its rows belong to others.", relations),
        ("generate", "What is generated.", generate()),
        (
            "emits",
            "Types of events that its use cases publish.",
            list(&text()),
        ),
        (
            "events",
            "Events about it, as in a file of their own.",
            list(&event::inline()),
        ),
        ("scopeable", SCOPEABLE, boolean()),
        ("eav", "Its rows have custom fields.", boolean()),
        (
            "eav_value_table",
            "It holds the values of custom fields.",
            boolean(),
        ),
        (
            "eav_definition_table",
            "The entity that defines the custom fields.",
            text(),
        ),
    ];
    properties.extend(columns());
    block(&ENTITY_FILE, &["entity"], properties)
}

pub(super) fn pattern() -> Value {
    let pattern = block(
        &PATTERN,
        &["name"],
        vec![
            ("name", "What entities call it, in PascalCase.", text()),
            ("extends", "Patterns that come with it.", one_or_more()),
            ("description", "What it is for.", text()),
        ],
    );
    let mut properties = vec![("pattern", "What the pattern is called.", pattern)];
    properties.extend(columns());
    block(&PATTERN_FILE, &["pattern"], properties)
}

/// What entities and patterns have in common.
fn columns() -> Vec<Property> {
    vec![
        ("fields", "Its columns.", entries(&field())),
        (
            "behaviors",
            "Columns that come with logic.",
            list(&words(&BEHAVIORS)),
        ),
        (
            "queries",
            "Finders for your code, and lists for clients.",
            list(&query()),
        ),
    ]
}

fn field() -> Value {
    let json = block(
        &FIELD_JSON,
        &["type"],
        vec![("type", "The Rust type of its values: `path::To`.", text())],
    );
    block(
        &FIELD,
        &["type"],
        vec![
            ("type", "What its values are.", words(&FieldKind::WORDS)),
            (
                "required",
                "NOT NULL, and needed to create a row.",
                boolean(),
            ),
            ("nullable", "May be NULL.", boolean()),
            (
                "default",
                "The value where none is given; makes the column NOT NULL.",
                json!({}),
            ),
            ("unique", "No two rows have the same value.", boolean()),
            ("index", "Has an index.", boolean()),
            (
                "max_length",
                "At most so many characters.",
                number(1, MAX_LENGTH),
            ),
            (
                "min_length",
                "At least so many characters.",
                number(0, MAX_LENGTH),
            ),
            ("min", "The least value.", text()),
            ("max", "The largest value.", text()),
            (
                "pattern",
                "A regular expression that the whole text matches.",
                text(),
            ),
            ("choices", "The values of an `enum`.", list(&text())),
            ("precision", "Digits of a `decimal` in all.", number(1, 28)),
            (
                "scale",
                "Digits of a `decimal` behind the point.",
                number(0, 28),
            ),
            (
                "dimensions",
                "How many numbers a `vector` has.",
                number(1, MAX_DIMENSIONS),
            ),
            ("json", "JSON of one Rust type.", json),
            ("foreign_key", "What it refers to: `table.column`.", text()),
            (
                "description",
                "Goes to the documentation of the code and of the API.",
                text(),
            ),
            (
                "previously",
                "What the column was called: a rename, no loss.",
                text(),
            ),
            (
                "backfill",
                "The value for rows that there are when the column comes.",
                json!({}),
            ),
        ],
    )
}

fn relation() -> Value {
    block(
        &RELATION,
        &["type", "target"],
        vec![
            ("type", "Which side it is.", words(&RELATION_TYPES)),
            ("target", "The other entity.", text()),
            ("foreign_key", "The column that refers.", text()),
            (
                "on_delete",
                "What becomes of the row when the other one is deleted.",
                words(&ON_DELETE),
            ),
            ("required", "There is always one.", boolean()),
            ("nullable", "There may be none.", boolean()),
            ("index", "The column has an index.", boolean()),
            ("unique", "No two rows refer to the same one.", boolean()),
            (
                "description",
                "Goes to the documentation of the code and of the API.",
                text(),
            ),
            ("through", "The entity between the two.", text()),
        ],
    )
}

fn query() -> Value {
    let limits = block(
        &LIMIT,
        &[],
        vec![
            (
                "default",
                "So many rows unless a client says otherwise.",
                number(1, MAX_LIMIT),
            ),
            ("max", "At most so many rows.", number(1, MAX_LIMIT)),
        ],
    );
    let limit = json!({ "anyOf": [boolean(), number(1, MAX_LIMIT), limits] });
    let paginate = json!({ "anyOf": [boolean(), words(&PAGINATION)] });
    let direction = json!({ "enum": ["asc", "desc"] });
    let by_column = json!({ "type": "object", "additionalProperties": direction });
    let order = json!({
        "anyOf": [text(), by_column, { "type": "array", "items": { "anyOf": [text(), by_column] } }],
    });
    block(
        &QUERY,
        &[],
        vec![
            (
                "by",
                "Columns that a method for your code finds rows by.",
                list(&text()),
            ),
            (
                "unique",
                "At most one row is found: a unique index.",
                boolean(),
            ),
            ("order", "`created_at desc`, or a list of such.", order),
            (
                "name",
                "The method, and the route of a list for clients.",
                text(),
            ),
            (
                "filters",
                "Columns that clients may filter by.",
                one_or_more(),
            ),
            (
                "search",
                "Columns that clients may search in.",
                one_or_more(),
            ),
            ("sort", "Columns that clients may sort by.", one_or_more()),
            (
                "paginate",
                "`true` or `offset` for pages by offset, `keyset` for pages that no insert moves.",
                paginate,
            ),
            (
                "total",
                "Whether a page says how many rows there are.",
                boolean(),
            ),
            ("via", "The relation whose entity has the columns.", text()),
            (
                "select",
                "The columns that are read; all unless it is said.",
                one_or_more(),
            ),
            ("limit", "At most so many rows.", limit),
        ],
    )
}

fn generate() -> Value {
    block(
        &GENERATE,
        &[],
        vec![
            (
                "writes",
                "Rows can be created, changed and deleted.",
                boolean(),
            ),
            ("rest", "There are routes.", boolean()),
            ("openapi", "The routes are in the document.", boolean()),
            (
                "upsert",
                "Columns of a unique key: `upsert_many` by them.",
                one_or_more(),
            ),
        ],
    )
}
