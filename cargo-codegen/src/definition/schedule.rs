//! `schedule` of an event, as written.

use super::keys::SCHEDULE;
use super::node::{Kind, Node};
use super::problem::Problem;
use super::reader::Reader;
use super::source::Spanned;

/// When an event is published by itself.
#[derive(Debug, Clone)]
pub struct ScheduleDefinition {
    /// `cron`, or the whole of `schedule`.
    pub cron: Spanned<String>,
    /// `timezone`.
    pub timezone: Option<Spanned<String>>,
    /// `misfire`.
    pub misfire: Option<Spanned<MisfireWord>>,
}

/// `schedule.misfire`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that a definition uses")]
pub enum MisfireWord {
    Skip,
    Last,
    All,
}

pub(super) const MISFIRES: [(&str, MisfireWord); 3] = [
    ("skip", MisfireWord::Skip),
    ("last", MisfireWord::Last),
    ("all", MisfireWord::All),
];

/// Reads `schedule`: a cron expression, or a block with one.
pub(crate) fn decode(reader: &mut Reader, node: &Node) -> Option<Spanned<ScheduleDefinition>> {
    let definition = match &node.kind {
        Kind::Map(_) => {
            let block = reader.block(node, &SCHEDULE, "`schedule`")?;
            let timezone = reader.text_of(&block, "timezone");
            let misfire = reader.word_of(&block, "misfire", &MISFIRES);
            let cron = reader.required(
                &block,
                "cron",
                "`schedule`",
                &block.span,
                r#"cron: "0 6 * * *""#,
            )?;
            ScheduleDefinition {
                cron: reader.text(cron, "`cron`")?,
                timezone,
                misfire,
            }
        }
        Kind::List(_) => {
            let message = format!(
                "`schedule` must be one cron expression, not {}",
                node.describe()
            );
            reader.report(
                Problem::error("wrong-type", message, node.span.clone())
                    .help(r#"write `schedule: "0 6 * * *"`"#),
            );
            return None;
        }
        _ => ScheduleDefinition {
            cron: reader.text(node, "`schedule`")?,
            timezone: None,
            misfire: None,
        },
    };
    Some(Spanned::new(definition, node.span.clone()))
}
