//! Who asks the workers of the fault tests for work.

use std::time::Duration;

use runtime_sea::jobs::entities::job_run;
use runtime_sea::{EventId, PublishOptions, RunId, RunStatus, Runtime, StartOptions, begin};
use sea_orm::{
    ActiveValue, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, Set,
};
use uuid::Uuid;

use crate::witness::{Expected, request};
use crate::workload::{
    ACCOUNTS, Account, Answered, Called, Endless, Import, LIMIT, LIMITED_POOL, Latest, Moved, Once,
    Overdue, Patient, Report,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Asks for work, and writes down what was asked for. Asking again after a failure, by whichever process, asks for no
/// more.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    runtime: Runtime,
    may_be_stopped: bool,
    /// How many runs of each kind it asks for in a round; of events, twice as many.
    at_a_time: u32,
}

impl Customer {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            may_be_stopped: false,
            at_a_time: 2,
        }
    }

    /// One that asks for no more of each kind than it takes to get every commit made.
    pub(crate) fn brief(mut self) -> Self {
        self.at_a_time = 1;
        self
    }

    /// One that sees to it that its transactions end where its process is stopped.
    pub(crate) fn that_may_be_stopped(mut self) -> Self {
        self.may_be_stopped = true;
        self
    }

    /// Everything of one round, however often that takes.
    pub(crate) async fn ask(&self, round: u32) {
        while let Err(error) = self.try_ask(round).await {
            tracing::debug!(%error, round, "asking again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn try_ask(&self, round: u32) -> Result<(), Failure> {
        let jobs = self.runtime.jobs();
        jobs.limit_pool(LIMITED_POOL, Some(LIMIT)).await?;
        let runs = self.at_a_time * round..self.at_a_time * (round + 1);
        for number in 2 * runs.start..2 * runs.end {
            for account in ACCOUNTS {
                self.publish(account, number).await?;
            }
            self.publish_and_roll_back(number).await?;
            self.publish_detached(number).await?;
        }
        for number in runs {
            self.start(number).await?;
            self.start_once(number).await?;
            self.start_many(number).await?;
            self.start_and_answer(number).await?;
            self.start_overdue(number).await?;
            self.start_latest(number).await?;
            self.cancel_waiting(number).await?;
            self.cancel_scope(number).await?;
        }
        self.cancel_running(round).await
    }

    fn db(&self) -> &DatabaseConnection {
        self.runtime.db()
    }

    // What an app does that may be stopped in the middle of a transaction, and lets others wait for its locks.
    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let tx = begin(self.db()).await?;
        let limit = match self.db().get_database_backend() {
            DbBackend::Postgres => "SET LOCAL idle_in_transaction_session_timeout = '1s'",
            DbBackend::MySql => {
                "SET /*M! SESSION idle_transaction_timeout = 1 */ /*!80000 SESSION wait_timeout = 1 */"
            }
            _ => return Ok(tx),
        };
        tx.execute_unprepared(limit).await?;
        Ok(tx)
    }

    async fn is_done(&self, name: &str) -> Result<bool, DbErr> {
        let found = request::Entity::find_by_id(name).one(self.db()).await?;
        Ok(found.is_some())
    }

    async fn write_down(
        conn: &impl ConnectionTrait,
        name: String,
        expected: Expected,
        about: Uuid,
    ) -> Result<(), DbErr> {
        let row = request::ActiveModel {
            name: Set(name),
            expected: ActiveValue::Set(expected.as_str().to_owned()),
            about: Set(about),
        };
        request::Entity::insert(row)
            .exec_without_returning(conn)
            .await
            .map(drop)
    }

    async fn publish_in(
        &self,
        tx: &DatabaseTransaction,
        account: &str,
        number: u32,
    ) -> Result<EventId, Failure> {
        let event = Moved {
            account: account.to_owned(),
            number,
        };
        Ok(self
            .runtime
            .events()
            .publish(tx, account, event)
            .await?
            .id())
    }

    async fn publish(&self, account: &str, number: u32) -> Result<(), Failure> {
        let name = format!("publish:{account}:{number}");
        if self.is_done(&name).await? {
            return Ok(());
        }
        let tx = self.begin().await?;
        let id = if number.is_multiple_of(5) {
            self.publish_and_start(&tx, account, number).await?
        } else {
            self.publish_in(&tx, account, number).await?
        };
        Self::write_down(&tx, name, Expected::Delivered, id.as_uuid()).await?;
        Ok(tx.commit().await?)
    }

    /// The run stands for the trigger, which must not start another one.
    async fn publish_and_start(
        &self,
        tx: &DatabaseTransaction,
        account: &str,
        number: u32,
    ) -> Result<EventId, Failure> {
        let event = Moved {
            account: account.to_owned(),
            number,
        };
        let input = Account {
            account: account.to_owned(),
            number,
        };
        let both = self
            .runtime
            .events()
            .publish_and_start::<Moved, Import>(tx, account, event, input)
            .await?;
        Ok(both.published.id())
    }

    async fn publish_and_roll_back(&self, number: u32) -> Result<(), Failure> {
        let name = format!("rolled back:{number}");
        if self.is_done(&name).await? {
            return Ok(());
        }
        let tx = self.begin().await?;
        let event = self.publish_in(&tx, "ada", number).await?;
        let run = self.runtime.jobs().start::<Report>(&tx, number).await?;
        tx.rollback().await?;
        Self::write_down(self.db(), name, Expected::Nothing, event.as_uuid()).await?;
        let name = format!("rolled back start:{number}");
        Ok(Self::write_down(self.db(), name, Expected::Nothing, run.run_id.as_uuid()).await?)
    }

    async fn publish_detached(&self, number: u32) -> Result<(), Failure> {
        let name = format!("detached:{number}");
        let id = EventId::from_source("test", &name);
        if self.is_done(&name).await? {
            return Ok(());
        }
        let options = PublishOptions::new().id(id);
        self.runtime
            .events()
            .publish_detached_with(runtime_sea::NoAggregate, Called { number }, options)
            .await?;
        Ok(Self::write_down(self.db(), name, Expected::Delivered, id.as_uuid()).await?)
    }

    /// A run of a key that events start runs of too, a little later.
    async fn start(&self, number: u32) -> Result<(), Failure> {
        let name = format!("start:{number}");
        if self.is_done(&name).await? {
            return Ok(());
        }
        let account = "ada".to_owned();
        let options = StartOptions::new().delay(Duration::from_millis(100));
        let tx = self.begin().await?;
        let run = self
            .runtime
            .jobs()
            .start_with::<Import>(&tx, Account { account, number }, options)
            .await?;
        Self::write_down(&tx, name, Expected::Completed, run.run_id.as_uuid()).await?;
        Ok(tx.commit().await?)
    }

    async fn start_many(&self, number: u32) -> Result<(), Failure> {
        let name = |index| format!("many:{number}:{index}");
        if self.is_done(&name(0)).await? {
            return Ok(());
        }
        let tx = self.begin().await?;
        let runs = self
            .runtime
            .jobs()
            .start_many::<Report>(&tx, [number, number])
            .await?;
        for (index, run) in runs.iter().enumerate() {
            let id = run.run_id.as_uuid();
            Self::write_down(&tx, name(index), Expected::Completed, id).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn start_and_answer(&self, number: u32) -> Result<(), Failure> {
        let name = format!("patient:{number}");
        if !self.is_done(&name).await? {
            let tx = self.begin().await?;
            let run = self.runtime.jobs().start::<Patient>(&tx, number).await?;
            Self::write_down(&tx, name, Expected::Completed, run.run_id.as_uuid()).await?;
            tx.commit().await?;
        }
        let name = format!("answer:{number}");
        if self.is_done(&name).await? {
            return Ok(());
        }
        let tx = self.begin().await?;
        let key = number.to_string();
        let events = self.runtime.events();
        let answer = events.publish(&tx, key, Answered { number }).await?;
        let id = answer.id().as_uuid();
        Self::write_down(&tx, name, Expected::Delivered, id).await?;
        Ok(tx.commit().await?)
    }

    async fn start_overdue(&self, number: u32) -> Result<(), Failure> {
        let name = format!("overdue:{number}");
        if self.is_done(&name).await? {
            return Ok(());
        }
        let tx = self.begin().await?;
        let run = self.runtime.jobs().start::<Overdue>(&tx, ()).await?;
        Self::write_down(&tx, name, Expected::TimedOut, run.run_id.as_uuid()).await?;
        Ok(tx.commit().await?)
    }

    /// Runs of one key, each of which takes the place of the one before it.
    async fn start_latest(&self, number: u32) -> Result<(), Failure> {
        for index in 0..3 {
            let name = format!("latest:{number}:{index}");
            if self.is_done(&name).await? {
                continue;
            }
            let account = ACCOUNTS[0].to_owned();
            let tx = self.begin().await?;
            let jobs = self.runtime.jobs();
            let run = jobs.start::<Latest>(&tx, Account { account, number });
            let id = run.await?.run_id.as_uuid();
            Self::write_down(&tx, name, Expected::Over, id).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn start_once(&self, number: u32) -> Result<(), Failure> {
        let name = format!("once:{number}");
        if self.is_done(&name).await? {
            return Ok(());
        }
        let options = || StartOptions::new().delay(Duration::from_millis(50));
        let jobs = self.runtime.jobs();
        if self.may_be_stopped {
            let tx = self.begin().await?;
            let run = jobs
                .start_with::<Once>(&tx, name.clone(), options())
                .await?;
            Self::write_down(&tx, name, Expected::Completed, run.run_id.as_uuid()).await?;
            return Ok(tx.commit().await?);
        }
        // On the connection: each in a transaction of the runtime's own.
        let first = jobs
            .start_with::<Once>(self.db(), name.clone(), options())
            .await?;
        let second = jobs
            .start_with::<Once>(self.db(), name.clone(), options())
            .await?;
        assert_eq!((first.run_id, true), (second.run_id, second.deduplicated));
        let id = first.run_id.as_uuid();
        Ok(Self::write_down(self.db(), name, Expected::Completed, id).await?)
    }

    async fn cancel_waiting(&self, number: u32) -> Result<(), Failure> {
        let options = StartOptions::new().delay(Duration::from_secs(3600));
        let id = self
            .start_to_cancel(format!("late:{number}"), options)
            .await?;
        self.cancel(id).await
    }

    async fn cancel_scope(&self, number: u32) -> Result<(), Failure> {
        let options = StartOptions::new().delay(Duration::from_secs(3600));
        self.start_to_cancel(format!("scoped:{number}"), options)
            .await?;
        let jobs = self.runtime.jobs();
        Ok(jobs.cancel_for_scope("endless", "all").await.map(drop)?)
    }

    async fn cancel_running(&self, number: u32) -> Result<(), Failure> {
        let name = format!("endless:{number}");
        let id = self.start_to_cancel(name, StartOptions::new()).await?;
        // Where no worker takes it soon, it is cancelled while it waits.
        for _ in 0..50 {
            let run = job_run::Entity::find_by_id(id.as_uuid())
                .one(self.db())
                .await?;
            if run.is_some_and(|run| run.status != RunStatus::Pending.as_str()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.cancel(id).await
    }

    async fn start_to_cancel(&self, name: String, options: StartOptions) -> Result<RunId, Failure> {
        if let Some(request) = request::Entity::find_by_id(&name).one(self.db()).await? {
            return Ok(request.about.to_string().parse()?);
        }
        let tx = self.begin().await?;
        let run = self
            .runtime
            .jobs()
            .start_with::<Endless>(&tx, (), options)
            .await?;
        Self::write_down(&tx, name, Expected::Canceled, run.run_id.as_uuid()).await?;
        tx.commit().await?;
        Ok(run.run_id)
    }

    async fn cancel(&self, id: RunId) -> Result<(), Failure> {
        Ok(self.runtime.jobs().cancel(id).await.map(drop)?)
    }
}
