//! Random sequences of operations do the same on every database, and what a small model says that they do.
//!
//! `DIFFERENTIAL_CASES` says how many, `DIFFERENTIAL_SEED` which; what has failed once is in
//! `differential/regressions.txt` and is tried first.

mod model;
mod script;
mod time;
mod view;
mod world;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use codegen_tests::databases::{self, TestDatabase};
use futures::FutureExt;
use futures::future::join_all;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner,
};
use sea_orm::DatabaseConnection;

use crate::support::{TestBed, next_moment};
use model::Model;
use script::{Op, ops};
use view::View;
use world::World;

/// About a minute's.
const CASES: u32 = 20;

/// Rounds of time and work after which everything is over.
const ROUNDS: usize = 60;

#[test]
fn every_database_does_the_same_and_what_the_model_says() {
    let cases = from_environment("DIFFERENTIAL_CASES").unwrap_or(u64::from(CASES));
    let seed = from_environment("DIFFERENTIAL_SEED").unwrap_or_else(random_seed);
    say(&format!(
        "DIFFERENTIAL_SEED={seed} DIFFERENTIAL_CASES={cases}"
    ));
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    crate::support::observe();
    let servers = servers();
    let databases = tokio.block_on(connect(&servers));
    let persistence = FileFailurePersistence::Direct(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/behaviour/differential/regressions.txt"
    ));
    let mut runner = TestRunner::new(Config {
        cases: u32::try_from(cases).unwrap(),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: Some(Box::new(persistence)),
        max_shrink_iters: 300,
        max_shrink_time: 2 * 60 * 1000,
        ..Config::default()
    });
    let result = runner.run(&ops(), |ops| {
        tokio
            .block_on(compare(&databases, &ops))
            .map_err(TestCaseError::fail)
    });
    tokio.shutdown_timeout(Duration::from_secs(5));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, ops)) => {
            panic!("DIFFERENTIAL_SEED={seed}\n{ops:#?}\n{}", reason.message());
        }
        Err(error) => panic!("DIFFERENTIAL_SEED={seed}: {error}"),
    }
}

type Databases = Vec<(&'static str, DatabaseConnection)>;

fn servers() -> Vec<(&'static str, TestDatabase)> {
    let servers = [
        ("SQLite", databases::sqlite().ok()),
        ("PostgreSQL", databases::postgres().unwrap()),
        ("MySQL", databases::mysql().unwrap()),
    ];
    servers
        .into_iter()
        .filter_map(|(name, database)| Some((name, database?)))
        .collect()
}

async fn connect(servers: &[(&'static str, TestDatabase)]) -> Databases {
    let mut connected = Databases::new();
    for (name, database) in servers {
        let bed = TestBed::on(database.url.clone()).await;
        connected.push((*name, bed.runtime.db().clone()));
    }
    connected
}

/// What one database made of a case: the answers, and what was to be seen after each piece of work.
struct Course {
    answers: Vec<String>,
    views: Vec<(usize, View)>,
}

async fn compare(databases: &Databases, ops: &[Op]) -> Result<(), String> {
    let mut databases = databases.clone();
    let memory = TestBed::in_memory().await;
    databases.push(("memory", memory.runtime.db().clone()));
    let plays = databases
        .iter()
        .map(|(_, db)| AssertUnwindSafe(play(db, ops)).catch_unwind());
    let mut courses = Vec::new();
    for (play, (name, _)) in join_all(plays).await.into_iter().zip(&databases) {
        courses.push(play.map_err(|_| format!("{name}: the test panicked"))?);
    }
    let (first, others) = courses.split_first().unwrap();
    for (course, (name, _)) in others.iter().zip(&databases[1..]) {
        let against = format!("{} and {name}", databases[0].0);
        for (at, (left, right)) in first.answers.iter().zip(&course.answers).enumerate() {
            if left != right {
                return Err(format!("{against}, operation {at}: {left} / {right}"));
            }
        }
        for ((at, left), (_, right)) in first.views.iter().zip(&course.views) {
            if let Some(difference) = left.difference(right) {
                return Err(format!("{against}, after operation {at}: {difference}"));
            }
        }
        if first.views.len() != course.views.len() {
            return Err(format!(
                "{against}: the rounds until everything is over differ"
            ));
        }
    }
    let (_, end) = first.views.last().unwrap();
    Model::of(ops, &first.answers)?.check(end)
}

async fn play(db: &DatabaseConnection, ops: &[Op]) -> Course {
    let mut world = World::new(db).await;
    let mut course = Course {
        answers: Vec::new(),
        views: Vec::new(),
    };
    for (at, op) in ops.iter().enumerate() {
        course.answers.push(world.apply(op).await);
        // Each operation has a moment of its own, or what came first is left to chance.
        next_moment(&world.runtime).await;
        if matches!(op, Op::Work) {
            course.views.push((at, world.view().await));
        }
    }
    world.apply(&Op::Resume).await;
    for round in ops.len()..ops.len() + ROUNDS {
        world.apply(&Op::Work).await;
        let view = world.view().await;
        let is_over = view.is_over();
        course.views.push((round, view));
        if is_over {
            break;
        }
        world.apply(&Op::Advance { ticks: 4 }).await;
    }
    course
}

fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    )
}

fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() % 1_000_000
}

// Not by a macro: the test harness would keep it to itself until the test is over.
fn say(text: &str) {
    let mut terminal = std::io::stderr();
    writeln!(terminal, "{text}").unwrap();
}
