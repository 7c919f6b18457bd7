//! The job tables as SeaORM entities.
//!
//! Every timestamp is written from the database's clock, never from the process's.

pub mod job;
pub mod job_dedupe;
pub mod job_pool;
pub mod job_run;
pub mod job_schedule;
pub mod job_step;
pub mod job_worker;
