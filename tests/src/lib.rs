//! Support for the end-to-end tests and the demo.

pub mod app;
pub mod contract;
pub mod databases;
pub mod evolution;
pub mod fixture;
pub mod hurl;
pub mod named_tests;
pub mod openapi;
pub mod readme;
pub mod servers;
pub mod tool;
pub mod tree;
