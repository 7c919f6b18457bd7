//! Cancelling runs, and what the end of a run does to its children.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{TestBed, until, while_working};
use futures::future::join_all;
use runtime_sea::{
    JobContext, JobError, JobHandler, JobPolicy, JobResult, ParentClose, Retry, RunFilter, RunId,
    RunRecord, RunStatus, StartOptions, Worker, jobs,
};
use serde::{Deserialize, Serialize};

crate::on_each_database! {
    r42_cancelling_a_run_closes_the_tree_below_it_by_policy,
    r42_running_children_are_stopped_by_policy,
    r42_a_run_that_is_being_cancelled_spawns_no_child,
    r42_no_child_escapes_a_cancellation_that_comes_while_it_is_spawned,
    r42_children_go_down_with_a_parent_that_fails_or_times_out_and_outlive_one_that_completes,
    r42_the_children_of_a_run_that_died_with_its_workers_are_closed,
    r42_a_run_that_fails_after_its_cancellation_is_cancelled,
    r41_cancelling_and_completing_at_once_leaves_one_end,
}

/// Spawns its children, then ends in the way that its input asks for.
#[derive(Clone, Default)]
struct Node {
    notes: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Input {
    name: String,
    children: Vec<Child>,
    end: End,
}

#[derive(Clone, Serialize, Deserialize)]
struct Child {
    policy: Policy,
    later: bool,
    input: Input,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Policy {
    Terminate,
    Cancel,
    Abandon,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum End {
    Complete,
    Fail,
    TimeOut,
    WhenCancelled,
    SpawnWhenCancelled,
    FailWhenCancelled,
}

impl Node {
    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }

    fn has_noted(&self, text: &str) -> bool {
        self.notes.lock().unwrap().iter().any(|note| note == text)
    }

    fn worker(&self, bed: &TestBed) -> Worker {
        bed.runtime.worker().job(self.clone()).build().unwrap()
    }
}

impl JobHandler for Node {
    const TYPE: &'static str = "node";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::new().retry(Retry::fixed(3, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, input: Input) -> JobResult<()> {
        for child in input.children {
            let policy = match child.policy {
                Policy::Terminate => ParentClose::Terminate,
                Policy::Cancel => ParentClose::Cancel,
                Policy::Abandon => ParentClose::Abandon,
            };
            let mut options = StartOptions::new().parent_close(policy);
            if child.later {
                options = options.delay(Duration::from_secs(3600));
            }
            let name = child.input.name.clone();
            ctx.spawn_child_with::<Self>(&name, child.input, options)
                .await?;
            self.note(&format!("{} spawned {name}", input.name));
        }
        self.note(&format!("{} is there", input.name));
        match input.end {
            End::Complete => Ok(()),
            End::Fail => Err(JobError::non_retryable("no good")),
            End::TimeOut => std::future::pending().await,
            End::WhenCancelled => {
                ctx.cancelled().cancelled().await;
                // Only who is given the time gets here.
                tokio::time::sleep(Duration::from_millis(10)).await;
                self.note(&format!("{} was told", input.name));
                Err(JobError::retryable("told to stop"))
            }
            End::FailWhenCancelled => {
                while ctx.db().ping().await.is_ok() {
                    let run = ctx.runtime().jobs().show(ctx.run_id()).await?.unwrap();
                    if run.run.cancel_requested_at.is_some() {
                        break;
                    }
                }
                Err(JobError::non_retryable("in the middle of it"))
            }
            End::SpawnWhenCancelled => {
                ctx.cancelled().cancelled().await;
                let child = node("too late", End::Complete, Vec::new());
                let refused = ctx.spawn_child::<Self>("too late", child).await;
                self.note(&refused.unwrap_err().to_string());
                Ok(())
            }
        }
    }
}

fn node(name: &str, end: End, children: Vec<Child>) -> Input {
    Input {
        name: name.to_owned(),
        children,
        end,
    }
}

fn child(policy: Policy, later: bool, input: Input) -> Child {
    Child {
        policy,
        later,
        input,
    }
}

async fn start(bed: &TestBed, input: Input) -> RunId {
    bed.runtime
        .jobs()
        .start::<Node>(bed.runtime.db(), input)
        .await
        .unwrap()
        .run_id
}

async fn named(bed: &TestBed, name: &str) -> RunRecord {
    let runs = bed.runtime.jobs().list(RunFilter::new()).await.unwrap();
    runs.into_iter()
        .find(|run| run.child_name.as_deref() == Some(name))
        .unwrap()
}

async fn status(bed: &TestBed, name: &str) -> RunStatus {
    named(bed, name).await.status
}

async fn r42_cancelling_a_run_closes_the_tree_below_it_by_policy(bed: TestBed) {
    let leaf = |name: &str, policy| child(policy, true, node(name, End::Complete, Vec::new()));
    let middle = node(
        "middle",
        End::Complete,
        vec![leaf("below", Policy::Terminate)],
    );
    let kept = node(
        "kept",
        End::Complete,
        vec![leaf("kept leaf", Policy::Terminate)],
    );
    let top = node(
        "top",
        End::WhenCancelled,
        vec![
            leaf("terminate", Policy::Terminate),
            leaf("cancel", Policy::Cancel),
            leaf("abandon", Policy::Abandon),
            child(Policy::Terminate, false, middle),
            child(Policy::Abandon, false, kept),
        ],
    );
    let handler = Node::default();
    while_working(handler.worker(&bed), async || {
        let top = start(&bed, top).await;
        until("the tree is there", async || {
            ["top", "middle", "kept"]
                .iter()
                .all(|name| handler.has_noted(&format!("{name} is there")))
        })
        .await;
        bed.until_status(named(&bed, "middle").await.id, RunStatus::Completed)
            .await;
        let cancelled = bed.runtime.jobs().cancel(top).await.unwrap();
        assert_eq!(cancelled, jobs::Cancelled::Requested);
        // With the cancellation, not when the parent has stopped.
        for name in ["terminate", "cancel"] {
            let run = named(&bed, name).await;
            assert_eq!(run.status, RunStatus::Canceled, "{name}");
            assert_eq!(run.error.as_deref(), Some("cancelled with its parent"));
        }
        for name in ["abandon", "kept leaf"] {
            assert_eq!(status(&bed, name).await, RunStatus::Pending, "{name}");
        }
        // Its parent has completed, and with that it is on its own.
        assert_eq!(status(&bed, "below").await, RunStatus::Pending);
        bed.until_status(top, RunStatus::Canceled).await;
    })
    .await;
}

async fn r42_running_children_are_stopped_by_policy(bed: TestBed) {
    let hang = |name: &str, policy, children| {
        child(policy, false, node(name, End::WhenCancelled, children))
    };
    let below = hang("below", Policy::Cancel, Vec::new());
    let top = node(
        "top",
        End::WhenCancelled,
        vec![
            hang("terminate", Policy::Terminate, Vec::new()),
            hang("cancel", Policy::Cancel, vec![below]),
            hang("abandon", Policy::Abandon, Vec::new()),
        ],
    );
    let handler = Node::default();
    while_working(handler.worker(&bed), async || {
        let top = start(&bed, top).await;
        until("the tree is there", async || {
            ["terminate", "cancel", "abandon", "below"]
                .iter()
                .all(|name| handler.has_noted(&format!("{name} is there")))
        })
        .await;
        bed.runtime.jobs().cancel(top).await.unwrap();
        bed.until_status(top, RunStatus::Canceled).await;
        for name in ["terminate", "cancel", "below"] {
            bed.until_status(named(&bed, name).await.id, RunStatus::Canceled)
                .await;
        }
        assert!(handler.has_noted("cancel was told"));
        assert!(handler.has_noted("below was told"));
        assert!(!handler.has_noted("terminate was told"));
        assert_eq!(status(&bed, "abandon").await, RunStatus::Running);
        let alone = named(&bed, "abandon").await.id;
        bed.runtime.jobs().cancel(alone).await.unwrap();
        bed.until_status(alone, RunStatus::Canceled).await;
        assert!(handler.has_noted("abandon was told"));
    })
    .await;
}

async fn r42_a_run_that_is_being_cancelled_spawns_no_child(bed: TestBed) {
    let handler = Node::default();
    while_working(handler.worker(&bed), async || {
        let id = start(&bed, node("top", End::SpawnWhenCancelled, Vec::new())).await;
        until("it runs", async || handler.has_noted("top is there")).await;
        bed.runtime.jobs().cancel(id).await.unwrap();
        // Who completes in spite of it has completed.
        bed.until_status(id, RunStatus::Completed).await;
        assert!(handler.has_noted(&format!(
            "the child `too late` was not spawned: run {id} is being cancelled"
        )));
        assert_eq!(bed.run(id).await.children, []);
    })
    .await;
}

async fn r42_no_child_escapes_a_cancellation_that_comes_while_it_is_spawned(bed: TestBed) {
    let children = (0..200)
        .map(|number| {
            let leaf = node(&number.to_string(), End::Complete, Vec::new());
            child(Policy::Terminate, true, leaf)
        })
        .collect();
    let handler = Node::default();
    while_working(handler.worker(&bed), async || {
        let id = start(&bed, node("top", End::WhenCancelled, children)).await;
        until("some are spawned", async || {
            handler.has_noted("top spawned 5")
        })
        .await;
        bed.runtime.jobs().cancel(id).await.unwrap();
        bed.until_status(id, RunStatus::Canceled).await;
        let children = bed.run(id).await.children;
        assert!(children.len() > 5);
        for child in children {
            assert_eq!(child.status, RunStatus::Canceled, "{:?}", child.child_name);
        }
    })
    .await;
}

async fn r42_children_go_down_with_a_parent_that_fails_or_times_out_and_outlive_one_that_completes(
    bed: TestBed,
) {
    let top = |name: &str, end| {
        let leaf = |policy, what: &str| {
            let name = format!("{name}/{what}");
            child(policy, true, node(&name, End::Complete, Vec::new()))
        };
        let children = vec![
            leaf(Policy::Terminate, "child"),
            leaf(Policy::Abandon, "abandoned"),
        ];
        node(name, end, children)
    };
    let handler = Node::default();
    let failed = start(&bed, top("fails", End::Fail)).await;
    let completed = start(&bed, top("completes", End::Complete)).await;
    handler.worker(&bed).drain_until_idle().await.unwrap();
    let timed_out = start(&bed, top("times out", End::TimeOut)).await;
    bed.sql("UPDATE job_run SET timeout_ms = 1500 WHERE attempt = 0 AND child_name IS NULL")
        .await;
    handler.worker(&bed).drain_until_idle().await.unwrap();
    assert_eq!(bed.status(failed).await, RunStatus::Failed);
    assert_eq!(bed.status(timed_out).await, RunStatus::TimedOut);
    assert_eq!(bed.status(completed).await, RunStatus::Completed);
    for (name, expected) in [
        ("fails/child", RunStatus::Canceled),
        ("fails/abandoned", RunStatus::Pending),
        ("times out/child", RunStatus::Canceled),
        ("times out/abandoned", RunStatus::Pending),
        ("completes/child", RunStatus::Pending),
        ("completes/abandoned", RunStatus::Pending),
    ] {
        assert_eq!(status(&bed, name).await, expected, "{name}");
    }
}

async fn r42_the_children_of_a_run_that_died_with_its_workers_are_closed(bed: TestBed) {
    let leaf = node("leaf", End::Complete, Vec::new());
    let input = node("top", End::Fail, vec![child(Policy::Cancel, true, leaf)]);
    let id = start(&bed, input).await;
    Node::default()
        .worker(&bed)
        .drain_until_idle()
        .await
        .unwrap();
    // As if the worker had died before its ending, for the last time.
    bed.sql(
        "UPDATE job_run SET status = 'running', finished_at = NULL, recoveries = 99 WHERE child_name IS NULL",
    )
    .await;
    bed.sql(
        "UPDATE job_run SET status = 'pending', finished_at = NULL, closed_by_parent = false WHERE child_name = 'leaf'",
    )
    .await;
    let other = bed
        .runtime
        .worker()
        .job(Node::default())
        .lease(Duration::from_secs(1))
        .build()
        .unwrap();
    while_working(other, async || {
        bed.until_status(id, RunStatus::Failed).await;
        assert_eq!(status(&bed, "leaf").await, RunStatus::Canceled);
    })
    .await;
}

async fn r42_a_run_that_fails_after_its_cancellation_is_cancelled(bed: TestBed) {
    let handler = Node::default();
    while_working(handler.worker(&bed), async || {
        let id = start(&bed, node("top", End::FailWhenCancelled, Vec::new())).await;
        until("it runs", async || handler.has_noted("top is there")).await;
        bed.runtime.jobs().cancel(id).await.unwrap();
        bed.until_status(id, RunStatus::Canceled).await;
        let run = bed.run(id).await.run;
        assert_eq!(run.errors.len(), 1);
        assert_eq!(run.errors[0].outcome, "canceled");
    })
    .await;
}

async fn r41_cancelling_and_completing_at_once_leaves_one_end(bed: TestBed) {
    let handler = Node::default();
    let mut ids = Vec::new();
    for number in 0..60 {
        let input = node(&number.to_string(), End::Complete, Vec::new());
        ids.push(start(&bed, input).await);
    }
    let worker = handler.worker(&bed);
    let jobs = bed.runtime.jobs();
    let (drained, cancelled) = tokio::join!(
        worker.drain_until_idle(),
        join_all(ids.iter().map(|id| jobs.cancel(*id)))
    );
    drained.unwrap();
    for (number, (id, cancelled)) in ids.into_iter().zip(cancelled).enumerate() {
        let run = bed.run(id).await.run;
        let executed = handler.has_noted(&format!("{number} is there"));
        match cancelled.unwrap() {
            jobs::Cancelled::AtOnce => {
                assert_eq!((run.status, executed), (RunStatus::Canceled, false));
            }
            jobs::Cancelled::Requested => assert!(run.status.is_final()),
            jobs::Cancelled::AlreadyOver(status) => {
                assert_eq!((run.status, status), (status, RunStatus::Completed));
            }
            jobs::Cancelled::NotFound => panic!("run {id} is gone"),
        }
        assert_eq!(run.status == RunStatus::Completed, run.output.is_some());
        assert!(run.finished_at.is_some());
    }
}
