//! Entities as the rest of the tool sees them.

use camino::Utf8PathBuf;

use super::{Name, Through};
use crate::definition::FinderLimit;

/// The column that `tenant` adds.
pub const TENANT: &str = "tenant_id";

/// One entity: a table and its vertical slice.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Singular.
    pub name: Name,
    /// Plural; names the slice's module and the URL.
    pub plural: Name,
    /// Table name.
    pub table: String,
    /// What the table was called before.
    pub previously: Option<String>,
    /// One line for rustdoc and OpenAPI.
    pub description: Option<String>,
    /// Every column in table order: key, declared fields, relations' columns, behaviors' columns.
    pub fields: Vec<Field>,
    /// Columns and logic that come with a word.
    pub behaviors: Behaviors,
    /// Methods beyond those that every entity has.
    pub families: Vec<Family>,
    /// The unique key that `upsert_many` goes by.
    pub upsert: Option<Vec<String>>,
    /// It has custom fields; the entity that holds their values.
    pub custom_fields: Option<String>,
    /// It holds the values of custom fields.
    pub field_values: Option<FieldValues>,
    /// In the order of the file.
    pub relations: Vec<Relation>,
    /// Declared finders, in the order of the file.
    pub queries: Vec<Query>,
    /// Lists that clients filter, search and sort, in the order of the file.
    pub named_queries: Vec<NamedQuery>,
    /// `false`: only reads are generated.
    pub writes: bool,
    /// Routes are generated.
    pub rest: bool,
    /// Routes are part of the OpenAPI document.
    pub openapi: bool,
    /// Events that the use cases publish.
    pub emits: Vec<Emission>,
    /// Jobs may be scoped to it.
    pub scopeable: bool,
    /// The definition, relative to the workspace root.
    pub source: Utf8PathBuf,
}

impl Entity {
    /// The column with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|it| it.name.snake == name)
    }

    /// Whether clients see the column; what a behavior adds for the database alone they do not, and no vectors.
    pub fn shows(&self, field: &Field) -> bool {
        const INTERNAL: [&str; 4] = ["deleted_at", "provider", "provider_metadata", TENANT];
        match field.origin {
            FieldOrigin::Behavior => !INTERNAL.contains(&field.name.snake.as_str()),
            _ => !field.ty.is_vector(),
        }
    }

    /// The column that is NULL in rows that unique keys are about; the other rows are deleted, or former values.
    pub fn live(&self) -> Option<&'static str> {
        let current = self.field_values.as_ref().and_then(FieldValues::current);
        current.or(self.behaviors.soft_delete.then_some("deleted_at"))
    }

    /// The primary key column.
    pub fn key(&self) -> Option<&Field> {
        self.fields.iter().find(|it| it.origin == FieldOrigin::Key)
    }
}

/// Behaviors that an entity has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Behaviors {
    /// `created_at`, `updated_at`.
    pub timestamps: bool,
    /// `deleted_at`; deleted rows vanish from every generated read.
    pub soft_delete: bool,
    /// `created_by`, `updated_by`.
    pub user_tracking: bool,
    /// `external_id`, `provider` and `provider_metadata`, with a finder by the first two.
    pub external_id_tracking: bool,
    /// `version`; a change of a row that was changed in between is refused.
    pub optimistic_lock: bool,
    /// `tenant_id`; every read and write is of one tenant.
    pub tenant: bool,
}

/// A family of methods; every entity has those of `Base`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Family {
    /// Mirrors records of an external system.
    Synced {
        /// The column with the user whose row it is; none where rows are nobody's.
        owner: Option<String>,
    },
    /// Happens to something at some time.
    Activity {
        /// Foreign keys of what it happens to.
        subjects: Vec<String>,
    },
    /// Describes rows of other entities.
    Metadata {
        /// The column that orders the history of a row; `None` for what describes a type of entity instead.
        history: Option<String>,
    },
    /// Has a status, and waits for somebody while that is `pending`.
    Knowledge {
        /// Foreign keys of what it is about.
        subjects: Vec<String>,
        /// The vector that rows are searched by.
        embedding: Option<String>,
    },
}

/// What there is to know about the values of custom fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValues {
    /// The entity that defines the fields.
    pub definition: String,
    /// The column that points to a definition.
    pub definition_id: String,
    /// The columns that tell the current values of a row apart, within a tenant if they belong to tenants.
    pub key: Vec<String>,
    /// Former values stay, with `valid_to`.
    pub history: bool,
    /// Fields belong to users: definitions and values have a `user_id`.
    pub of_users: bool,
}

impl FieldValues {
    /// The column that is NULL in current values, if others are kept.
    pub fn current(&self) -> Option<&'static str> {
        self.history.then_some("valid_to")
    }
}

/// Why a column exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldOrigin {
    /// Primary key, set by the generated code.
    Key,
    /// Written in `fields:`, or added by a `belongs_to`; clients may set it.
    Declared,
    /// Added by a behavior; never taken from a client.
    Behavior,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Field {
    /// Also the column's name.
    pub name: Name,
    /// Its type.
    pub ty: FieldType,
    /// NULL is allowed.
    pub nullable: bool,
    /// Must be given on create: NOT NULL, declared, without a default.
    pub required: bool,
    /// Value when a create leaves it out.
    pub default: Option<DefaultValue>,
    /// Has a unique index of its own.
    pub unique: bool,
    /// Has an index of its own.
    pub index: bool,
    /// What the column was called before.
    pub previously: Option<String>,
    /// Value of the rows that there are when a migration adds the column or makes it NOT NULL.
    pub backfill: Option<DefaultValue>,
    /// Validation.
    pub constraints: Constraints,
    /// One line for rustdoc and OpenAPI.
    pub description: Option<String>,
    /// Why it exists.
    pub origin: FieldOrigin,
}

/// A column's type.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldType {
    /// Text of bounded length; 255 characters unless `max_length` says otherwise.
    String,
    /// Text of any length.
    Text,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInt,
    /// Exact number.
    Decimal {
        /// Digits in all.
        precision: u32,
        /// Digits behind the point.
        scale: u32,
    },
    /// 64-bit floating point.
    Float,
    /// True or false.
    Boolean,
    /// 128-bit id.
    Uuid,
    /// Calendar day.
    Date,
    /// Time of day.
    Time,
    /// Point in time, UTC.
    DateTime,
    /// JSON value.
    Json,
    /// One of a closed list of strings.
    Enum {
        /// The Rust type's name.
        type_name: String,
        /// Database value and Rust variant of each choice.
        choices: Vec<Name>,
    },
    /// Byte string.
    Bytes,
    /// Numbers that are compared by their distance, on PostgreSQL with pgvector; set by the app's own code alone.
    Vector {
        /// How many.
        dimensions: u32,
    },
}

impl FieldType {
    /// Whether it is a vector, of whatever length.
    pub fn is_vector(&self) -> bool {
        matches!(self, Self::Vector { .. })
    }
}

/// A default, checked against the field's type.
#[derive(Debug, Clone, PartialEq)]
pub enum DefaultValue {
    /// For strings, texts, uuids, dates, times, and decimals (as written).
    Text(String),
    /// For integers.
    Integer(i64),
    /// For floats.
    Float(f64),
    /// For booleans.
    Boolean(bool),
    /// For enums: index into the choices.
    Choice(usize),
    /// For dates and times: the moment of the insert.
    Now,
    /// For JSON, in compact form.
    Json(String),
}

/// What a value must satisfy, checked by the generated DTOs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Constraints {
    /// Characters.
    pub max_length: Option<u32>,
    /// Characters.
    pub min_length: Option<u32>,
    /// Smallest number, as written.
    pub min: Option<String>,
    /// Largest number, as written.
    pub max: Option<String>,
    /// Regular expression.
    pub pattern: Option<String>,
    /// The Rust type that JSON is read as.
    pub json: Option<JsonType>,
}

/// The Rust type of JSON values: a path that begins with the entity crate or another one that it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonType {
    /// As written, such as `entity::values::Address`.
    pub path: String,
}

/// Kind of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// This entity has the foreign key.
    BelongsTo,
    /// The target has the foreign key.
    HasMany,
    /// The target has a unique foreign key.
    HasOne,
    /// A table between the two has a foreign key to each.
    ManyToMany,
}

/// What happens to a row when the row that it points to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The deletion is refused.
    Restrict,
    /// The row goes too.
    Cascade,
    /// The foreign key becomes NULL.
    SetNull,
}

/// A relation to another entity, or to the same one.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Name of the accessor.
    pub name: Name,
    /// Which side this is.
    pub kind: RelationKind,
    /// snake_case name of the target entity.
    pub target: String,
    /// The foreign key column: of this entity for `belongs_to`, of the table between for [`Relation::through`], else
    /// of the target.
    pub foreign_key: Name,
    /// Only meaningful for `belongs_to`.
    pub on_delete: OnDelete,
    /// The target is this entity.
    pub self_reference: bool,
    /// No other relation of this entity has the same target, so `Related` may be implemented.
    pub sole_to_target: bool,
    /// The table between this entity and the target.
    pub through: Option<Through>,
}

/// Direction of one sort column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortOrder {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A declared finder.
#[derive(Debug, Clone)]
pub struct Query {
    /// Method name: `find_by_email`, `list_by_account_id_and_status`.
    pub name: Name,
    /// Names of the columns it filters by: of [`Query::via`], if there is one.
    pub by: Vec<String>,
    /// The rows that the columns are of.
    pub via: Option<Via>,
    /// Names of the columns that it gives; all of them if empty.
    pub select: Vec<String>,
    /// How many rows it gives.
    pub limit: Option<FinderLimit>,
    /// At most one row matches; the columns have a unique index.
    pub unique: bool,
    /// Sort columns.
    pub order: Vec<(String, SortOrder)>,
}

/// A list that clients filter, search and sort.
#[derive(Debug, Clone)]
pub struct NamedQuery {
    /// Method name, and what its URL ends with.
    pub name: Name,
    /// Columns that clients may give a value for.
    pub filters: Vec<String>,
    /// Columns in which clients may search for a text.
    pub search: Vec<String>,
    /// Columns that clients may sort by.
    pub sort: Vec<String>,
    /// Sort columns where a client chooses none.
    pub order: Vec<(String, SortOrder)>,
    /// How clients get further than the first rows.
    pub pages: Pages,
    /// How many rows come where a client does not say.
    pub default_limit: u32,
    /// How many rows a client may ask for.
    pub max_limit: u32,
}

impl NamedQuery {
    /// Its rows come as the items of something.
    pub fn is_in_pages(&self) -> bool {
        self.pages != Pages::None
    }
}

/// How the parts of a list are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// There is only one.
    None,
    /// By limit and offset, with the number of rows in all.
    Counted,
    /// By limit and offset.
    Uncounted,
    /// By what the part before ended with.
    Keyset,
}

/// Where a finder looks for the values of its columns.
#[derive(Debug, Clone)]
pub struct Via {
    /// How the rows that it finds are related to those.
    pub relation: Relation,
    /// The columns are of the table between the two.
    pub between: bool,
}

/// When a generated use case publishes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmitOn {
    /// After the insert.
    Create,
    /// After the update.
    Update,
    /// After the deletion.
    Delete,
    /// After a deletion was taken back.
    Restore,
    /// After a deleted row was removed.
    Purge,
    /// Never by a generated use case: the user's code publishes it (`opportunity_won`).
    Manual,
}

/// One entry of `emits`.
#[derive(Debug, Clone)]
pub struct Emission {
    /// The event's type.
    pub event: String,
    /// By the suffix of `<entity>_...`: `_created`, `_updated`, `_deleted`, `_restored`, `_purged`.
    pub on: EmitOn,
    /// Payload field -> column of this entity that fills it. Complete, or, only where `on` is `Manual`, empty.
    pub mapping: Vec<(String, String)>,
}
