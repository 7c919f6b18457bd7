//! `email:string:unique` and its kin: words of the command line, read into fields and written as YAML.

mod entity;
mod line;
mod payload;
mod yaml;

pub use entity::{EntityWord, FieldWord, RELATION_TYPES, RelationWord, entity_words, field_types};
pub use line::{Wrong, name_word, nearest};
pub use payload::{PayloadWord, payload_words};
pub use yaml::{EventWords, entity_starter, entity_yaml, event_yaml};
