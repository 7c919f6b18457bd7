//! What this process has warned of.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How many warnings and errors have had this field.
pub(crate) fn warned(field: &str, value: impl Debug) -> usize {
    let text = format!("\n{field}={value:?}\n");
    let warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    warnings.iter().filter(|it| it.contains(&text)).count()
}

/// The values that this field has had in warnings and errors that say so.
pub(crate) fn warned_of(message: &str, field: &str) -> Vec<String> {
    let (message, field) = (format!("\nmessage={message}\n"), format!("{field}="));
    let warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let these = warnings.iter().filter(|it| it.contains(&message));
    these
        .flat_map(|it| it.lines().filter_map(|line| line.strip_prefix(&field)))
        .map(str::to_owned)
        .collect()
}

pub(super) fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Warnings.with_filter(LevelFilter::WARN)
}

struct Warnings;

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text("\n".to_owned());
        event.record(&mut text);
        let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(text.0);
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _always_fits = writeln!(self.0, "{}={value:?}", field.name());
    }
}
