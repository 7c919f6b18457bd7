//! Tables as data: what a migration creates and the snapshot remembers.

use serde::{Deserialize, Serialize};

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// In table order.
    pub columns: Vec<Column>,
    /// Sorted by name; unique indexes included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// Sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// NULL is allowed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// It is the primary key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub primary_key: bool,
    /// The database counts it up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub auto_increment: bool,
    /// Value of rows that do not set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Literal>,
    /// The texts that it may hold, of an enum; not known of tables that earlier versions have recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<String>>,
}

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ColumnType {
    /// At most this many characters.
    String(u32),
    /// Any number of characters.
    Text,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInteger,
    /// Precision and scale.
    Decimal(u32, u32),
    /// 64-bit floating point.
    Double,
    /// True or false.
    Boolean,
    /// 128-bit id.
    Uuid,
    /// Calendar day.
    Date,
    /// Time of day.
    Time,
    /// Point in time.
    TimestampWithTimeZone,
    /// JSON, binary where the database has it.
    JsonBinary,
    /// Bytes.
    Blob,
    /// pgvector's type, with so many numbers.
    Vector(u32),
}

/// A column type that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no column type")]
pub struct UnknownColumnType(String);

impl From<ColumnType> for String {
    fn from(ty: ColumnType) -> Self {
        let plain = match ty {
            ColumnType::String(length) => return format!("string({length})"),
            ColumnType::Decimal(precision, scale) => {
                return format!("decimal({precision}, {scale})");
            }
            ColumnType::Vector(dimensions) => return format!("vector({dimensions})"),
            ColumnType::Text => "text",
            ColumnType::Integer => "integer",
            ColumnType::BigInteger => "big_integer",
            ColumnType::Double => "double",
            ColumnType::Boolean => "boolean",
            ColumnType::Uuid => "uuid",
            ColumnType::Date => "date",
            ColumnType::Time => "time",
            ColumnType::TimestampWithTimeZone => "timestamp_with_time_zone",
            ColumnType::JsonBinary => "json_binary",
            ColumnType::Blob => "blob",
        };
        plain.to_owned()
    }
}

impl TryFrom<String> for ColumnType {
    type Error = UnknownColumnType;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let arguments = |name: &str| -> Option<Vec<u32>> {
            let inner = text
                .strip_prefix(name)?
                .strip_prefix('(')?
                .strip_suffix(')')?;
            inner.split(',').map(|it| it.trim().parse().ok()).collect()
        };
        if let Some([length]) = arguments("string").as_deref() {
            return Ok(Self::String(*length));
        }
        if let Some([dimensions]) = arguments("vector").as_deref() {
            return Ok(Self::Vector(*dimensions));
        }
        if let Some([precision, scale]) = arguments("decimal").as_deref() {
            return Ok(Self::Decimal(*precision, *scale));
        }
        [
            Self::Text,
            Self::Integer,
            Self::BigInteger,
            Self::Double,
            Self::Boolean,
            Self::Uuid,
            Self::Date,
            Self::Time,
            Self::TimestampWithTimeZone,
            Self::JsonBinary,
            Self::Blob,
        ]
        .into_iter()
        .find(|it| String::from(*it) == text)
        .ok_or(UnknownColumnType(text))
    }
}

/// A default value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// True or false.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A floating point number.
    Float(f64),
    /// Anything that is written as text.
    Text(String),
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name, unique in the database.
    pub name: String,
    /// In index order.
    pub columns: Vec<IndexColumn>,
    /// No two rows have the same values.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// Only rows in which this column is NULL are indexed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub where_null: Option<String>,
    /// How it finds rows, unless by order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<IndexMethod>,
}

/// How an index finds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexMethod {
    /// pgvector's graph of near vectors, by cosine distance.
    Hnsw,
}

/// A column of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexColumn {
    /// Its name.
    pub name: String,
    /// Largest value first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub descending: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The column that refers.
    pub column: String,
    /// The table that is referred to.
    pub to_table: String,
    /// The column that is referred to.
    pub to_column: String,
    /// What becomes of the row when the one that it refers to is deleted.
    pub on_delete: OnDeleteAction,
}

/// What becomes of a row when the one that it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDeleteAction {
    /// The deletion is refused.
    Restrict,
    /// It is deleted too.
    Cascade,
    /// It refers to nothing.
    SetNull,
}

fn is_false(value: &bool) -> bool {
    !*value
}
