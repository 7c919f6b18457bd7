//! SQLite cannot change a column or a foreign key of a table: a new table takes its rows over.

use sea_orm::sea_query::{SqliteQueryBuilder, TableCreateStatement, TableRef};
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{self, Row as _};
use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, DbErr, RuntimeErr};

use super::OneConnection;

/// What a table is called until it takes the place of the old one.
const PREFIX: &str = "_rebuilt_";

/// Replaces a table by `table`, which has the same name and no column that the old one lacks.
pub(crate) async fn rebuild_table(
    conn: &DatabaseExecutor<'_>,
    table: &TableCreateStatement,
) -> Result<(), DbErr> {
    let Some(TableRef::Table(name, _)) = table.get_table_name() else {
        return Err(failed("the new table has no name"));
    };
    let name = name.1.to_string();
    if conn.get_database_backend() != DbBackend::Sqlite {
        return Err(failed(&format!("`{name}` can be altered on this database")));
    }
    let one = OneConnection::to(conn).await?;
    let manager = one.manager();
    let DatabaseExecutor::Connection(db) = manager.get_connection() else {
        return Err(failed(&format!(
            "`{name}` cannot be rebuilt within a transaction, in which SQLite does not let foreign keys be switched off: \
             let `use_transaction` of the migration return `None`"
        )));
    };
    let columns = table
        .get_columns()
        .iter()
        .map(|it| quoted(&it.get_column_name()));
    let columns: Vec<String> = columns.collect();
    let mut create = table.clone();
    create.table(format!("{PREFIX}{name}"));
    let plan = Plan {
        create: create.to_string(SqliteQueryBuilder),
        columns: columns.join(", "),
        name,
    };
    // The only one: nobody else's statement runs without foreign keys.
    let pool = db.get_sqlite_connection_pool();
    let mut connection = pool.acquire().await.map_err(sqlx_error)?;
    let keys = "PRAGMA foreign_keys";
    let keys: i64 = sqlx::query_scalar(keys)
        .fetch_one(&mut *connection)
        .await
        .map_err(sqlx_error)?;
    let done = plan.carry_out(&mut connection).await;
    let restored = restore(&mut connection, keys).await;
    let done = done.and_then(|()| restored.map_err(Failed::Sqlx));
    done.map_err(|error| match error {
        Failed::Sqlx(error) => sqlx_error(error),
        Failed::Told(text) => failed(&text),
    })
}

enum Failed {
    Sqlx(sqlx::Error),
    Told(String),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlx(error)
    }
}

struct Plan {
    name: String,
    create: String,
    columns: String,
}

impl Plan {
    async fn carry_out(&self, connection: &mut SqliteConnection) -> Result<(), Failed> {
        // Dropping the old table would delete its rows first, and with them those that refer to them. With the second
        // one, a rename leaves alone what other tables, views and triggers say about the name.
        run(connection, "PRAGMA foreign_keys = OFF").await?;
        run(connection, "PRAGMA legacy_alter_table = ON").await?;
        run(connection, "BEGIN IMMEDIATE").await?;
        let done = match self.replace(connection).await {
            Ok(()) => run(connection, "COMMIT").await.map_err(Failed::Sqlx),
            Err(error) => Err(error),
        };
        if done.is_err() {
            // The connection's end would do the same; the first error is the one to tell.
            let _ = run(connection, "ROLLBACK").await;
        }
        done
    }

    async fn replace(&self, connection: &mut SqliteConnection) -> Result<(), Failed> {
        let name = quoted(&self.name);
        let new_name = format!("{PREFIX}{}", self.name);
        let new = quoted(&new_name);
        let beside: Vec<String> = sqlx::query_scalar(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL \
             ORDER BY rowid",
        )
        .bind(&self.name)
        .fetch_all(&mut *connection)
        .await?;
        run(connection, &self.create).await?;
        let columns = &self.columns;
        run(
            connection,
            &format!("INSERT INTO {new} ({columns}) SELECT {columns} FROM {name}"),
        )
        .await?;
        self.keep_counting(connection, &new_name).await?;
        run(connection, &format!("DROP TABLE {name}")).await?;
        run(connection, &format!("ALTER TABLE {new} RENAME TO {name}")).await?;
        for sql in &beside {
            run(connection, sql).await?;
        }
        self.check(connection).await
    }

    /// Ids of deleted rows are not given again.
    async fn keep_counting(
        &self,
        connection: &mut SqliteConnection,
        new: &str,
    ) -> Result<(), sqlx::Error> {
        let counts = "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'";
        let counts: i64 = sqlx::query_scalar(counts)
            .fetch_one(&mut *connection)
            .await?;
        if counts == 0 {
            return Ok(());
        }
        let last = "SELECT seq FROM sqlite_sequence WHERE name = ?";
        let last: Option<i64> = sqlx::query_scalar(last)
            .bind(&self.name)
            .fetch_optional(&mut *connection)
            .await?;
        let Some(last) = last else { return Ok(()) };
        sqlx::query("DELETE FROM sqlite_sequence WHERE name = ?")
            .bind(new)
            .execute(&mut *connection)
            .await?;
        sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)")
            .bind(new)
            .bind(last)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    async fn check(&self, connection: &mut SqliteConnection) -> Result<(), Failed> {
        let broken = sqlx::query("PRAGMA foreign_key_check")
            .fetch_all(&mut *connection)
            .await?;
        for row in broken {
            let (table, parent): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            if table == self.name || parent == self.name {
                return Err(Failed::Told(format!(
                    "`{table}` has rows that refer to rows of `{parent}` that do not exist; mend them, then migrate again"
                )));
            }
        }
        Ok(())
    }
}

/// As the pool opened it.
async fn restore(connection: &mut SqliteConnection, keys: i64) -> Result<(), sqlx::Error> {
    run(connection, "PRAGMA legacy_alter_table = OFF").await?;
    run(connection, &format!("PRAGMA foreign_keys = {keys}")).await
}

async fn run(connection: &mut SqliteConnection, sql: &str) -> Result<(), sqlx::Error> {
    // Not a statement of its own making: names come from the migration, quoted.
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await?;
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn failed(text: &str) -> DbErr {
    DbErr::Migration(text.to_owned())
}

pub(super) fn sqlx_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

#[cfg(test)]
mod tests {
    use codegen_tests::databases;
    use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
    use sea_orm_migration::prelude::*;
    use sea_orm_migration::schema::{integer, string_len, string_len_null};

    use crate::connect;
    use crate::migration::rebuild_table;

    const TABLES: &str = "
        CREATE TABLE authors (id integer NOT NULL PRIMARY KEY AUTOINCREMENT, name varchar(10), mentor integer,
            FOREIGN KEY (mentor) REFERENCES authors (id) ON DELETE CASCADE);
        CREATE TABLE books (id integer NOT NULL PRIMARY KEY, author integer NOT NULL,
            FOREIGN KEY (author) REFERENCES authors (id) ON DELETE CASCADE);
        CREATE UNIQUE INDEX uq_authors_name ON authors (name);
        CREATE TABLE log (text varchar(10));
        CREATE TRIGGER authors_log AFTER UPDATE ON authors BEGIN INSERT INTO log VALUES (new.name); END;
        CREATE VIEW names AS SELECT name FROM authors;
        INSERT INTO authors VALUES (1, 'Ada', NULL), (2, 'Ben', 1), (9, 'Cid', NULL);
        DELETE FROM authors WHERE id = 9;
        INSERT INTO books VALUES (1, 1), (2, 2);
    ";

    fn wider() -> TableCreateStatement {
        Table::create()
            .table("authors")
            .col(integer("id").primary_key().auto_increment())
            .col(string_len("name", 20))
            .col(ColumnDef::new("mentor").integer().null())
            .foreign_key(
                ForeignKey::create()
                    .name("fk_authors_mentor")
                    .from("authors", "mentor")
                    .to("authors", "id")
                    .on_delete(ForeignKeyAction::SetNull),
            )
            .to_owned()
    }

    async fn numbers(db: &DatabaseConnection, sql: &str) -> Vec<i64> {
        let rows = db.query_all_raw(sea_orm::Statement::from_string(
            db.get_database_backend(),
            sql,
        ));
        let rows = rows.await.unwrap();
        rows.iter()
            .map(|it| it.try_get_by_index(0).unwrap())
            .collect()
    }

    async fn count(db: &DatabaseConnection, sql: &str) -> i64 {
        numbers(db, sql).await[0]
    }

    async fn rebuilt(db: &DatabaseConnection) {
        db.execute_unprepared(TABLES).await.unwrap();
        let manager = SchemaManager::new(db);
        rebuild_table(&manager, wider()).await.unwrap();

        assert_eq!(
            numbers(db, "SELECT id FROM authors ORDER BY id").await,
            [1, 2]
        );
        assert_eq!(count(db, "SELECT count(*) FROM books").await, 2);
        let of = "SELECT count(*) FROM sqlite_master WHERE tbl_name = 'authors' AND name IN";
        let beside = format!("{of} ('uq_authors_name', 'authors_log')");
        assert_eq!(count(db, &beside).await, 2);
        assert_eq!(count(db, "SELECT count(*) FROM names").await, 2);
        assert_eq!(
            count(
                db,
                "SELECT count(*) FROM sqlite_master WHERE name LIKE '\\_%' ESCAPE '\\'"
            )
            .await,
            0
        );

        db.execute_unprepared("INSERT INTO authors (name) VALUES ('Dot')")
            .await
            .unwrap();
        assert_eq!(
            count(db, "SELECT max(id) FROM authors").await,
            10,
            "an id is given again"
        );

        // Foreign keys are obeyed as before, and by what they say now.
        db.execute_unprepared("DELETE FROM authors WHERE id = 1")
            .await
            .unwrap();
        assert_eq!(
            count(db, "SELECT count(*) FROM authors WHERE mentor IS NULL").await,
            2
        );
        assert_eq!(count(db, "SELECT count(*) FROM books").await, 1);
        db.execute_unprepared("INSERT INTO books VALUES (3, 77)")
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn g27_rows_and_what_refers_to_them_outlive_their_table() {
        let database = databases::sqlite().unwrap();
        rebuilt(&connect(&database.url).await.unwrap()).await;
    }

    #[tokio::test]
    async fn g27_rows_outlive_their_table_in_memory() {
        rebuilt(&connect("sqlite::memory:").await.unwrap()).await;
    }

    #[tokio::test]
    async fn what_fails_changes_nothing() {
        let database = databases::sqlite().unwrap();
        for url in [&database.url, "sqlite::memory:"] {
            let db = connect(url).await.unwrap();
            db.execute_unprepared(TABLES).await.unwrap();
            let manager = SchemaManager::new(&db);
            let stricter = Table::create()
                .table("authors")
                .col(integer("id").primary_key())
                .col(integer("mentor"))
                .to_owned();
            rebuild_table(&manager, stricter).await.unwrap_err();
            let dangling = Table::create()
                .table("authors")
                .col(integer("id").primary_key())
                .col(string_len_null("name", 10))
                .foreign_key(ForeignKey::create().from("authors", "id").to("books", "id"))
                .to_owned();
            db.execute_unprepared("DELETE FROM books WHERE id = 2")
                .await
                .unwrap();
            let error = rebuild_table(&manager, dangling).await.unwrap_err();
            assert!(
                error.to_string().contains("`authors` has rows that refer"),
                "{error}"
            );
            assert_eq!(
                count(&db, "SELECT count(*) FROM authors WHERE mentor = 1").await,
                1
            );
            assert_eq!(count(&db, "PRAGMA foreign_keys").await, 1);
        }
    }

    #[tokio::test]
    async fn within_a_transaction_it_is_refused() {
        let db = connect("sqlite::memory:").await.unwrap();
        let tx = db.begin().await.unwrap();
        let error = rebuild_table(&SchemaManager::new(&tx), wider())
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("within a transaction"),
            "{error}"
        );
    }
}
