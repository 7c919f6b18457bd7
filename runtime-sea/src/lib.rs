//! Durable events and jobs on SeaORM.
