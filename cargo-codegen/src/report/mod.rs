//! Terminal, JSON, diagnostics and progress: the only place that prints.

pub mod diagnostics;
