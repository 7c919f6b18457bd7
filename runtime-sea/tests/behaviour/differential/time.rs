//! Moves everything that waits for a moment nearer to it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use runtime_sea::events::entities::{domain_event, event_delivery};
use runtime_sea::jobs::entities::{job_dedupe, job_run, job_step};
use sea_orm::{ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel, Set};

pub(super) async fn advance(db: &DatabaseConnection, by: Duration) {
    let earlier = |at: DateTime<Utc>| at - by;
    for row in job_run::Entity::find().all(db).await.unwrap() {
        let mut new = row.clone().into_active_model();
        new.run_at = Set(earlier(row.run_at));
        new.created_at = Set(earlier(row.created_at));
        new.deadline_at = Set(row.deadline_at.map(earlier));
        new.update(db).await.unwrap();
    }
    for row in job_dedupe::Entity::find().all(db).await.unwrap() {
        let at = row.expires_at;
        let mut new = row.into_active_model();
        new.expires_at = Set(earlier(at));
        new.update(db).await.unwrap();
    }
    for row in domain_event::Entity::find().all(db).await.unwrap() {
        let mut new = row.clone().into_active_model();
        new.available_at = Set(earlier(row.available_at));
        new.created_at = Set(earlier(row.created_at));
        new.update(db).await.unwrap();
    }
    for row in job_step::Entity::find().all(db).await.unwrap() {
        let at = row.wake_at;
        let mut new = row.into_active_model();
        new.wake_at = Set(at.map(earlier));
        new.update(db).await.unwrap();
    }
    for row in event_delivery::Entity::find().all(db).await.unwrap() {
        let at = row.available_at;
        let mut new = row.into_active_model();
        new.available_at = Set(earlier(at));
        new.update(db).await.unwrap();
    }
}
