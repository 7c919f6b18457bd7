//! Entities as the rest of the tool sees them.

use camino::Utf8PathBuf;

use super::Name;

/// One entity: a table and its vertical slice.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Singular.
    pub name: Name,
    /// Plural; names the slice's module and the URL.
    pub plural: Name,
    /// Table name.
    pub table: String,
    /// One line for rustdoc and OpenAPI.
    pub description: Option<String>,
    /// Every column in table order: key, declared fields, relations' columns, behaviors' columns.
    pub fields: Vec<Field>,
    /// Columns and logic that come with a word.
    pub behaviors: Behaviors,
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
    /// The foreign key column: of this entity for `belongs_to`, else of the target.
    pub foreign_key: Name,
    /// Only meaningful for `belongs_to`.
    pub on_delete: OnDelete,
    /// The target is this entity.
    pub self_reference: bool,
    /// No other relation of this entity has the same target, so `Related` may be implemented.
    pub sole_to_target: bool,
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
    /// Names of the columns it filters by.
    pub by: Vec<String>,
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
    /// Comes in pages, with the number of rows in all.
    pub paginate: bool,
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
    /// Never by a generated use case: the user's code publishes it (`opportunity_won`).
    Manual,
}

/// One entry of `emits`.
#[derive(Debug, Clone)]
pub struct Emission {
    /// The event's type.
    pub event: String,
    /// By the suffix `_created`, `_updated`, `_deleted` of `<entity>_...`.
    pub on: EmitOn,
    /// Payload field -> column of this entity that fills it. Complete, or, only where `on` is `Manual`, empty.
    pub mapping: Vec<(String, String)>,
}
