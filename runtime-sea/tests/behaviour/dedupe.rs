//! Deduplication: starts with one key within a time.

use crate::keys::{Once, count, input};

use crate::support::TestBed;
use futures::future::join_all;
use runtime_sea::begin;

crate::on_each_database! {
    r39_starts_that_race_for_a_deduplication_key_give_one_run,
    r39_a_deduplicated_start_that_rolls_back_leaves_the_key_to_the_next,
    a_deduplication_window_ends,
}

async fn r39_starts_that_race_for_a_deduplication_key_give_one_run(bed: TestBed) {
    let other = bed.other_process().await;
    let starts = (0..40).map(|number| {
        let runtime = if number % 2 == 0 {
            bed.runtime.clone()
        } else {
            other.clone()
        };
        tokio::spawn(async move {
            let tx = begin(runtime.db()).await.unwrap();
            let started = runtime
                .jobs()
                .start::<Once>(&tx, input("a", number))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            started
        })
    });
    let started: Vec<_> = join_all(starts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(started.iter().filter(|it| !it.deduplicated).count(), 1);
    assert!(started.iter().all(|it| it.run_id == started[0].run_id));
    assert_eq!(count(&bed).await, 1);
}

async fn r39_a_deduplicated_start_that_rolls_back_leaves_the_key_to_the_next(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let tx = begin(bed.runtime.db()).await.unwrap();
    let gone = jobs.start::<Once>(&tx, input("a", 1)).await.unwrap();
    let waiting = tokio::spawn({
        let (jobs, db) = (jobs.clone(), bed.runtime.db().clone());
        async move { jobs.start::<Once>(&db, input("a", 2)).await.unwrap() }
    });
    tx.rollback().await.unwrap();
    let kept = waiting.await.unwrap();
    assert!(!kept.deduplicated);
    assert_ne!(kept.run_id, gone.run_id);
    let again = jobs
        .start::<Once>(bed.runtime.db(), input("a", 3))
        .await
        .unwrap();
    assert_eq!((again.run_id, again.deduplicated), (kept.run_id, true));
}

async fn a_deduplication_window_ends(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let first = jobs
        .start::<Once>(bed.runtime.db(), input("a", 1))
        .await
        .unwrap();
    bed.sql(
        "UPDATE job_dedupe SET expires_at = (SELECT created_at FROM job_run WHERE id = run_id)",
    )
    .await;
    let second = jobs
        .start::<Once>(bed.runtime.db(), input("a", 2))
        .await
        .unwrap();
    assert!(!second.deduplicated);
    assert_ne!(first.run_id, second.run_id);
}
