//! Who uses an event.

use super::views::list;
use crate::survey::Consumers;

/// Who uses an event, and what may.
pub(super) fn consumers(found: &Consumers) -> String {
    let rows = found.consumers.iter().map(|it| {
        let name = it.name.clone().unwrap_or_else(|| "-".to_owned());
        let every = if it.every_event { "every event" } else { "" };
        vec![
            it.kind.to_owned(),
            name,
            it.place.to_string(),
            every.to_owned(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let empty = format!("nothing is known to consume {}", found.event);
    let mut text = list(&empty, &["consumer", "name", "place", ""], &rows);
    if !found.publishers.is_empty() {
        text.push('\n');
        let rows = found.publishers.iter().map(|it| vec![it.to_string()]);
        text += &list("", &["published"], &rows.collect::<Vec<_>>());
    }
    if !found.unknown.is_empty() {
        text.push('\n');
        let rows = found.unknown.iter();
        let rows = rows.map(|it| vec![it.what.clone(), it.place.to_string(), it.why.clone()]);
        let header = ["may be this event too", "place", "because"];
        text += &list("", &header, &rows.collect::<Vec<_>>());
    }
    text
}
