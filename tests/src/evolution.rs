//! A model that changes step by step: its migrations, one after the other, make the schema that the last model alone
//! makes, keep the rows, and go back.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::databases::{self, TestDatabase};
use crate::tool;

/// Migrations of the first model: its tables, and that of idempotency keys.
const FIRST: usize = 5;

/// Applies the migrations of the fixture `evolution` on each database that there is.
///
/// # Errors
/// If the schema is another one, a row is lost, or a migration fails.
pub fn check(workspace: &Utf8Path, parent: &Utf8Path) -> Result<()> {
    let chain = build(workspace, &parent.join("evolution-chain"))?;
    let fresh = build(
        &from_nothing(workspace, parent)?,
        &parent.join("evolution-fresh"),
    )?;
    let servers = [
        (
            Kind::Sqlite,
            Some((databases::sqlite()?, databases::sqlite()?)),
        ),
        (
            Kind::Postgres,
            databases::postgres()?.zip(databases::postgres()?),
        ),
        (Kind::MySql, databases::mysql()?.zip(databases::mysql()?)),
    ];
    for (kind, found) in servers {
        if let Some((one, other)) = found {
            evolve(kind, &chain, &fresh, &one, &other).with_context(|| format!("{kind:?}"))?;
        }
    }
    Ok(())
}

/// A workspace that has had no other model than the last one.
fn from_nothing(workspace: &Utf8Path, parent: &Utf8Path) -> Result<Utf8PathBuf> {
    let runtime = format!("path:{workspace}/runtime-sea");
    let words = [
        "new",
        "evolved",
        "--database",
        "sqlite,postgres,mysql",
        "--runtime",
        &runtime,
    ];
    tool::run(&mut tool::codegen(parent, &words)?)?;
    let evolved = parent.join("evolved");
    fs_err::create_dir_all(evolved.join("entities"))?;
    for entry in workspace.join("entities").read_dir_utf8()? {
        let file = entry?;
        fs_err::copy(file.path(), evolved.join("entities").join(file.file_name()))?;
    }
    tool::run(&mut tool::codegen(&evolved, &["entity", "new", "--all"])?)?;
    tool::pin_dependencies(&evolved)?;
    Ok(evolved)
}

/// The program that migrates, out of the way of the next one of that name.
fn build(workspace: &Utf8Path, to: &Utf8Path) -> Result<Utf8PathBuf> {
    tool::run(tool::cargo_in(workspace).args(["build", "--package", "migration"]))?;
    fs_err::copy(tool::generated_target_dir().join("debug/migration"), to)?;
    Ok(to.to_owned())
}

fn evolve(
    kind: Kind,
    chain: &Utf8Path,
    fresh: &Utf8Path,
    database: &TestDatabase,
    other: &TestDatabase,
) -> Result<()> {
    let run = |program: &Utf8Path, url: &str, words: &[&str]| {
        tool::run(Command::new(program).args(words).env("DATABASE_URL", url))
    };
    let migrate = |words: &[&str]| run(chain, &database.url, words);
    let schema = || kind.schema(&database.url);
    run(fresh, &other.url, &["up"])?;
    let wanted = kind.schema(&other.url)?;

    migrate(&["up", "-n", &FIRST.to_string()])?;
    for sql in rows(kind) {
        kind.execute(&database.url, &sql)?;
    }
    let mut schemas = vec![schema()?];
    while migrate(&["status"])?.contains("Pending") {
        migrate(&["up", "-n", "1"])?;
        schemas.push(schema()?);
    }
    same(
        "the last model",
        schemas.last().context("no migration")?,
        &wanted,
    )?;
    let books = "SELECT concat(name, ' ', pages, ' [', note, '] ', copies, ' ', stage, ' ', version) FROM books ORDER BY name";
    let found = kind.texts(&database.url, books)?;
    ensure!(
        found == ["A 12 [n] 1 draft 1", "B 0 [] 1 draft 1"],
        "{found:?}"
    );

    schemas.pop();
    while let Some(before) = schemas.pop() {
        migrate(&["down", "-n", "1"])?;
        same("the way back", &schema()?, &before)?;
    }
    let books = "SELECT concat(title, ' ', stage) FROM books ORDER BY title";
    let found = kind.texts(&database.url, books)?;
    ensure!(found == ["A draft", "B draft"], "{found:?}");
    migrate(&["down", "-n", &FIRST.to_string()])?;
    ensure!(schema()?.is_empty(), "`down` leaves something");
    migrate(&["up"])?;
    same("the second time", &schema()?, &wanted)
}

/// Rows of the first model, one of which has values that later models do not have.
fn rows(kind: Kind) -> Vec<String> {
    let id = |number: u32| match kind {
        Kind::Postgres => format!("'{number:032x}'"),
        Kind::Sqlite | Kind::MySql => format!("X'{number:032x}'"),
    };
    let book = |number, title, pages, note, stage| {
        format!(
            "INSERT INTO books (id, title, pages, note, stage, author_id) \
             VALUES ({}, '{title}', {pages}, {note}, '{stage}', {})",
            id(number),
            id(1)
        )
    };
    vec![
        format!("INSERT INTO authors (id, name) VALUES ({}, 'Ada')", id(1)),
        format!("INSERT INTO tags (id, name) VALUES ({}, 'new')", id(2)),
        book(10, "A", "'12'", "'n'", "draft"),
        book(11, "B", "NULL", "NULL", "gone"),
        format!(
            "INSERT INTO book_tags (book_id, tag_id) VALUES ({}, {})",
            id(10),
            id(2)
        ),
    ]
}

fn same(what: &str, found: &[String], wanted: &[String]) -> Result<()> {
    let difference = similar::TextDiff::from_lines(wanted.join("\n"), found.join("\n"))
        .unified_diff()
        .to_string();
    ensure!(
        difference.is_empty(),
        "{what}: the schema is another one\n{difference}"
    );
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
    MySql,
}

impl Kind {
    /// Columns, indexes and foreign keys, as the database tells them; the order of columns does not count.
    fn schema(self, url: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for sql in self.questions() {
            lines.extend(self.texts(url, sql)?);
        }
        Ok(lines)
    }

    fn questions(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &[
                "SELECT concat_ws('|', m.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk) AS line \
                 FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.name <> 'seaql_migrations' ORDER BY line",
                "SELECT concat_ws('|', m.name, k.\"from\", k.\"table\", k.\"to\", k.on_delete) AS line \
                 FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) k WHERE m.type = 'table' ORDER BY line",
                "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
            ],
            // A primary key keeps its name when its table gets another one.
            Self::Postgres => &[
                "SELECT concat_ws('|', table_name, column_name, data_type, character_maximum_length, \
                 numeric_precision, numeric_scale, is_nullable, column_default) AS line \
                 FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name <> 'seaql_migrations' ORDER BY line",
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'seaql_migrations' \
                 AND indexname NOT LIKE '%_pkey' ORDER BY indexname",
                "SELECT concat_ws('|', conrelid::regclass, CASE contype WHEN 'p' THEN 'key' ELSE conname END, \
                 pg_get_constraintdef(oid)) AS line FROM pg_constraint \
                 WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'seaql_migrations' \
                 ORDER BY line",
            ],
            Self::MySql => &[
                "SELECT concat_ws('|', table_name, column_name, column_type, is_nullable, column_default, extra, \
                 generation_expression, collation_name) AS line FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name <> 'seaql_migrations' ORDER BY line",
                "SELECT concat_ws('|', table_name, index_name, seq_in_index, column_name, non_unique, collation) AS line \
                 FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND table_name <> 'seaql_migrations' ORDER BY line",
                "SELECT concat_ws('|', k.table_name, k.constraint_name, k.column_name, k.referenced_table_name, \
                 r.delete_rule) AS line FROM information_schema.key_column_usage k \
                 JOIN information_schema.referential_constraints r \
                 ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name \
                 WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL ORDER BY line",
            ],
        }
    }

    fn execute(self, url: &str, sql: &str) -> Result<()> {
        match self {
            Self::Postgres => databases::postgres_execute(url, sql),
            Self::MySql => databases::mysql_execute(url, sql),
            Self::Sqlite => self.texts(url, sql).map(drop),
        }
    }

    /// The first column of each row.
    fn texts(self, url: &str, sql: &str) -> Result<Vec<String>> {
        match self {
            Self::Postgres => databases::postgres_texts(url, sql),
            Self::MySql => databases::mysql_texts(url, sql),
            Self::Sqlite => databases::sqlite_texts(url, sql),
        }
    }
}
