//! A publisher and a trigger whose code is of two versions.

use crate::bridge::{SignedUp, publish_and_start, signed_up};
use crate::support::TestBed;
use runtime_sea::{
    EventId, JobContext, JobHandler, JobPolicy, JobResult, PublishOptions, RunFilter,
};

crate::on_each_database! {
    r39_a_publisher_and_a_trigger_of_two_versions_start_one_run,
    r39_a_publisher_and_a_trigger_of_two_versions_race_for_one_run,
}

/// Versions of one job: without a trigger on the event, with one by a former name, and with today's.
struct Untriggered;
struct Renamed;
struct Current;

impl JobHandler for Untriggered {
    const TYPE: &'static str = "onboard";
    type Input = String;
    type Output = ();

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

impl JobHandler for Renamed {
    const TYPE: &'static str = "onboard";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new().on_named::<SignedUp>("former", |_| Some("former".to_owned()))
    }

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

impl JobHandler for Current {
    const TYPE: &'static str = "onboard";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new().on::<SignedUp>(|_| Some("current".to_owned()))
    }

    async fn run(&self, _: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

// Each version publishes what each other one delivers, before and after.
async fn r39_a_publisher_and_a_trigger_of_two_versions_start_one_run(bed: TestBed) {
    type Both = runtime_sea::PublishedAndStarted;

    async fn ask(bed: &TestBed, publisher: usize, id: EventId) -> Both {
        let runtime = &bed.runtime;
        match publisher {
            0 => publish_and_start::<Untriggered>(runtime, id, "ada").await,
            1 => publish_and_start::<Renamed>(runtime, id, "ada").await,
            _ => publish_and_start::<Current>(runtime, id, "ada").await,
        }
        .unwrap()
    }
    async fn deliver(bed: &TestBed, deliverer: usize) {
        let worker = bed.runtime.worker();
        let worker = match deliverer {
            1 => worker.job(Renamed),
            _ => worker.job(Current),
        };
        worker.build().unwrap().drain_until_idle().await.unwrap();
    }
    for (publisher, deliverer) in [(0, 1), (0, 2), (1, 2), (2, 1)] {
        for delivered_first in [false, true] {
            let id = EventId::generate();
            if delivered_first {
                let options = PublishOptions::new().id(id);
                let events = bed.runtime.events();
                let alone = events.publish_detached_with("ada", signed_up("ada"), options);
                assert!(alone.await.unwrap().is_new());
                deliver(&bed, deliverer).await;
            }
            let both = ask(&bed, publisher, id).await;
            assert_eq!(both.started.deduplicated, delivered_first);
            deliver(&bed, deliverer).await;
            let filter = RunFilter::new().event(id);
            let runs = bed.runtime.jobs().list(filter).await.unwrap();
            let case = (publisher, deliverer, delivered_first);
            assert_eq!(runs.len(), 1, "{case:?}: {runs:?}");
            assert_eq!(runs[0].id, both.started.run_id, "{case:?}");
            let event = bed.runtime.events().show(id).await.unwrap().unwrap();
            assert_eq!(event.bridge.len(), 1, "{case:?}: {:?}", event.bridge);
        }
    }
}

async fn r39_a_publisher_and_a_trigger_of_two_versions_race_for_one_run(bed: TestBed) {
    let ids: Vec<_> = (0..12).map(|_| EventId::generate()).collect();
    for id in &ids {
        let options = PublishOptions::new().id(*id);
        let events = bed.runtime.events();
        let alone = events.publish_detached_with("ada", signed_up("ada"), options);
        assert!(alone.await.unwrap().is_new());
    }
    let asked = tokio::spawn({
        let (runtime, ids) = (bed.runtime.clone(), ids.clone());
        async move {
            let mut runs = Vec::new();
            // From the last one on, so that the two meet somewhere.
            for id in ids.into_iter().rev() {
                let both = publish_and_start::<Untriggered>(&runtime, id, "ada").await;
                runs.push((id, both.unwrap().started.run_id));
            }
            runs
        }
    });
    let worker = bed.runtime.worker().job(Current).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let asked = asked.await.unwrap();
    worker.drain_until_idle().await.unwrap();
    for (id, run) in asked {
        let filter = RunFilter::new().event(id);
        let runs = bed.runtime.jobs().list(filter).await.unwrap();
        assert_eq!(runs.iter().map(|it| it.id).collect::<Vec<_>>(), [run]);
    }
}
