//! A line on standard error while something takes its time.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Options;

/// A spinner with the name of the stage; gone once dropped, and never shown where nobody watches.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts; indicatif itself stays silent unless standard error is a terminal.
    pub fn new(options: Options) -> Self {
        let bar = if options.quiet || options.json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// Names the stage that begins.
    pub fn stage(&self, name: &'static str) {
        self.bar.set_message(name);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
