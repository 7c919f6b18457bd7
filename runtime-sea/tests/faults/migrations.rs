//! Real processes that migrate one database at once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use runtime_sea::migration;
use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

use crate::support::{TestBed, until};

crate::on_each_database! {
    r25_of_real_processes_that_migrate_at_once_one_applies_and_the_others_wait,
    r25_a_process_killed_while_it_migrates_lets_the_next_one_finish,
}

const URL: &str = "RUNTIME_SEA_MIGRATE_URL";

/// Names a file that the process makes in the middle of its migrations; it goes on once the file is gone.
const HALF_WAY: &str = "RUNTIME_SEA_MIGRATE_HALF_WAY";

struct App;

impl MigratorTrait for App {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(TheRuntimes), Box::new(Contacts)]
    }
}

struct TheRuntimes;

impl MigrationName for TheRuntimes {
    fn name(&self) -> &'static str {
        "m1_runtime"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for TheRuntimes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        migration::events::v1::up(manager).await?;
        if let Ok(half_way) = std::env::var(HALF_WAY) {
            std::fs::write(&half_way, "").unwrap();
            while Path::new(&half_way).exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        migration::jobs::v1::up(manager).await?;
        migration::bridge::v1::up(manager).await
    }
}

/// Cannot be applied twice.
struct Contacts;

impl MigrationName for Contacts {
    fn name(&self) -> &'static str {
        "m2_contacts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Contacts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let id = ColumnDef::new("id").integer().not_null().take();
        let table = Table::create().table("contacts").col(id).take();
        manager.create_table(table).await
    }
}

/// Not a test: the process that the tests start. It does nothing unless it is told the database.
#[test]
fn migrating_process() {
    let Ok(url) = std::env::var(URL) else { return };
    // Nobody leaves processes behind: its input ends with whoever started it.
    std::thread::spawn(|| {
        let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::abort();
    });
    let _ = tracing_subscriber::fmt()
        .with_env_filter("runtime_sea=info")
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let db = runtime_sea::connect(&url).await.unwrap();
        let migrated = migration::exclusively(&db, async || App::up(&db, None).await).await;
        migrated.unwrap();
    });
}

/// A process that migrates. It is killed when this is dropped.
struct Migrating {
    child: Child,
    log: PathBuf,
}

impl Migrating {
    fn start(bed: &TestBed, log: PathBuf, half_way: Option<&Path>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "migrations::migrating_process", "--nocapture"])
            .env(URL, &bed.url)
            .env_remove(HALF_WAY)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap());
        if let Some(half_way) = half_way {
            command.env(HALF_WAY, half_way);
        }
        let child = command.spawn().unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has come to the lock and found it taken.
    async fn waits(&mut self) {
        until("the process waits for the other one", async || {
            assert!(self.exited().is_none(), "{}", self.log());
            self.log().contains("another process is migrating")
        })
        .await;
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    async fn succeeds(mut self) {
        let mut status = None;
        until("the process has migrated", async || {
            status = self.exited();
            status.is_some()
        })
        .await;
        assert!(status.is_some_and(|it| it.success()), "{}", self.log());
    }

    fn kill(&mut self) {
        let _already_dead = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Drop for Migrating {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A database without tables, of which one process has made some, and two that wait for it.
struct HalfWay {
    dir: tempfile::TempDir,
    first: Migrating,
    others: Vec<Migrating>,
}

impl HalfWay {
    async fn come(bed: &TestBed) -> Self {
        let manager = SchemaManager::new(bed.runtime.db());
        migration::bridge::v1::down(&manager).await.unwrap();
        migration::jobs::v1::down(&manager).await.unwrap();
        migration::events::v1::down(&manager).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = Self::file(&dir);
        let first = Migrating::start(bed, dir.path().join("first.log"), Some(&file));
        until("the first is half way", async || file.exists()).await;
        let mut others = Vec::new();
        for number in 0..2 {
            let log = dir.path().join(format!("{number}.log"));
            others.push(Migrating::start(bed, log, None));
        }
        for other in &mut others {
            other.waits().await;
        }
        assert!(!manager.has_table("contacts").await.unwrap());
        Self { dir, first, others }
    }

    fn file(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().join("half-way")
    }

    fn go_on(&self) {
        std::fs::remove_file(Self::file(&self.dir)).unwrap();
    }
}

async fn assert_migrated(bed: &TestBed) {
    let db = bed.runtime.db();
    let manager = SchemaManager::new(db);
    for table in ["domain_events", "job_run", "bridge_delivery", "contacts"] {
        assert!(manager.has_table(table).await.unwrap(), "{table}");
    }
    assert_eq!(App::get_applied_migrations(db).await.unwrap().len(), 2);
    db.execute_unprepared("INSERT INTO contacts VALUES (1)")
        .await
        .unwrap();
    let worker = bed.runtime.worker().build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn r25_of_real_processes_that_migrate_at_once_one_applies_and_the_others_wait(bed: TestBed) {
    let half_way = HalfWay::come(&bed).await;
    half_way.go_on();
    half_way.first.succeeds().await;
    for other in half_way.others {
        other.succeeds().await;
    }
    assert_migrated(&bed).await;
}

async fn r25_a_process_killed_while_it_migrates_lets_the_next_one_finish(bed: TestBed) {
    let mut half_way = HalfWay::come(&bed).await;
    half_way.first.kill();
    for other in half_way.others {
        other.succeeds().await;
    }
    assert_migrated(&bed).await;
}
