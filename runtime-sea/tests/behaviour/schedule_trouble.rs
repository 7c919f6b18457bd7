//! Schedules that are many, slow, broken or wrong.

use crate::schedules::{
    ContactChanged, HOUR, HourBegan, at_a_quarter_past, events, heartbeat, made, reporting,
    schedules, work,
};

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::support::{Running, TestBed, until};
use runtime_sea::worker::BuildError;
use runtime_sea::{EventFilter, Schedule};

crate::on_each_database! {
    a_closure_that_blocks_or_panics_holds_up_nothing_but_its_own_schedule,
    a_schedule_that_the_database_refuses_holds_up_no_other,
    many_schedules_at_once_are_made_by_few_threads,
    wrong_schedules_are_refused,
}

async fn many_schedules_at_once_are_made_by_few_threads(bed: TestBed) {
    const SCHEDULES: usize = 60;

    let (busy, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let worker = || {
        (0..SCHEDULES).fold(bed.runtime.worker(), |worker, number| {
            let (busy, most) = (busy.clone(), most.clone());
            let schedule = Schedule::cron("0 * * * *").name(number.to_string());
            worker.schedule_event(schedule, move |slot| {
                let now_busy = busy.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now_busy, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                busy.fetch_sub(1, Ordering::SeqCst);
                HourBegan { hour: slot.at }
            })
        })
    };
    let worker = worker().build().unwrap();
    worker.drain_until_idle().await.unwrap();
    bed.clock.advance(HOUR);
    worker.drain_until_idle().await.unwrap();
    let events = bed.runtime.events();
    let made = events.list(EventFilter::new().limit(1000)).await.unwrap();
    assert_eq!(made.len(), SCHEDULES);
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 16, "{most} threads");
}

async fn a_closure_that_blocks_or_panics_holds_up_nothing_but_its_own_schedule(bed: TestBed) {
    let hourly = |name| Schedule::cron("0 * * * *").name(name);
    let (open, gate) = mpsc::channel::<()>();
    let (gate, called) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let worker = bed.runtime.worker().lease(Duration::from_millis(500));
    let worker = worker
        .schedule_event(hourly("blocks"), {
            let called = called.clone();
            move |slot| {
                called.fetch_add(1, Ordering::SeqCst);
                let _closed = gate.lock().unwrap().recv();
                HourBegan { hour: slot.at }
            }
        })
        .schedule_event(hourly("panics"), |_| -> HourBegan { panic!("no event") })
        .schedule_event(hourly("works"), |slot| HourBegan { hour: slot.at });
    at_a_quarter_past(&bed).await;
    let running = Running::start(worker.build().unwrap());
    until("it is registered", async || {
        schedules(&bed).await.len() == 3
    })
    .await;
    bed.clock.advance(HOUR);
    until("the others' slots are over", async || {
        let all = schedules(&bed).await;
        events(&bed).await == 1 && all[1..].iter().all(|it| it.last_slot_at.is_some())
    })
    .await;
    until("it blocks", async || called.load(Ordering::SeqCst) == 1).await;
    let beat = heartbeat(&bed).await;
    until("the heart beats", async || heartbeat(&bed).await > beat).await;
    open.send(()).unwrap();
    until("its event is there", async || events(&bed).await == 2).await;
    bed.clock.advance(HOUR);
    until("it blocks again", async || {
        events(&bed).await == 3 && called.load(Ordering::SeqCst) == 2
    })
    .await;
    // Nobody waits for it, and its slot is left for the next worker.
    running.stop().await;
    let worker = bed.other_process().await.worker();
    work(worker.schedule_event(hourly("blocks"), |slot| HourBegan { hour: slot.at })).await;
    assert_eq!(events(&bed).await, 4);
    drop(open);
}

async fn a_schedule_that_the_database_refuses_holds_up_no_other(bed: TestBed) {
    at_a_quarter_past(&bed).await;
    let worker = || {
        reporting(&bed.runtime).schedule_event(Schedule::cron("0 * * * *"), |slot| HourBegan {
            hour: slot.at,
        })
    };
    work(worker()).await;
    bed.clock.advance(HOUR);
    bed.sql("ALTER TABLE domain_events RENAME TO elsewhere")
        .await;
    // By name, the event's schedule is the first.
    let running = Running::start(worker().build().unwrap());
    until("the run is there", async || {
        made(&bed, "job/report").await.len() == 1
    })
    .await;
    bed.sql("ALTER TABLE elsewhere RENAME TO domain_events")
        .await;
    until("the event is there too", async || events(&bed).await == 1).await;
    running.stop().await;
}

async fn wrong_schedules_are_refused(bed: TestBed) {
    let hourly = || Schedule::cron("0 * * * *");
    let event = |schedule| {
        let worker = bed.runtime.worker();
        worker.schedule_event(schedule, |slot| HourBegan { hour: slot.at })
    };
    let wrong = [
        (event(Schedule::cron("0 25 * * *")), "cron expression"),
        (event(hourly().timezone("Berlin")), "time zone"),
        (
            event(hourly()).schedule_event(hourly(), |slot| HourBegan { hour: slot.at }),
            "declared twice",
        ),
        (
            bed.runtime
                .worker()
                .schedule_event(hourly(), |_| ContactChanged {}),
            "a change of `contact`",
        ),
    ];
    for (worker, reason) in wrong {
        let refused = worker.build().unwrap_err();
        assert!(matches!(refused, BuildError::Schedule { .. }), "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}
