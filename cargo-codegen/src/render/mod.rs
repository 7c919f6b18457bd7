//! askama views: the model in, file texts out.
