//! How much goes into one statement.

use sea_orm::Value;
use sea_orm::sea_query::Expr;

use super::{Dialect, rows_per_statement};

/// How many bytes of values one statement carries: by default MySQL and MariaDB take packets of 16 MB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// About how much a value takes that is no text or JSON.
const SMALL: usize = 16;

/// Parts rows into as few statements as take them, by the number of their values and by their size. A row that is too
/// large goes alone. `spare` is how many parameters a row may have beyond its values.
pub(crate) fn in_statements<T>(
    dialect: &dyn Dialect,
    rows: Vec<T>,
    spare: usize,
    values: impl Fn(&T) -> &[Expr],
) -> Vec<Vec<T>> {
    let columns = rows.first().map_or(1, |row| values(row).len());
    let most = rows_per_statement(dialect, columns + spare);
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let size: usize = values(&row).iter().map(size).sum();
        if !chunk.is_empty() && (chunk.len() == most || bytes + size > MAX_BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += size;
        chunk.push(row);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

fn size(value: &Expr) -> usize {
    match value {
        Expr::Value(Value::String(Some(text))) => text.len(),
        Expr::Value(Value::Bytes(Some(bytes))) => bytes.len(),
        Expr::Value(Value::Json(Some(json))) => json.to_string().len(),
        _ => SMALL,
    }
}
