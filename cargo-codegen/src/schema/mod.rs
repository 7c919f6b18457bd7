//! The database schema that a model asks for.
