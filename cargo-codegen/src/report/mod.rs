//! Terminal, JSON, diagnostics and progress: the only place that prints.

mod ask;
mod changes;
mod consumers;
pub mod diagnostics;
mod health;
mod human;
pub mod json;
mod outcome;
mod progress;
mod views;
mod wizard;

use std::io::{ErrorKind, Write as _};

use anstream::{AutoStream, ColorChoice};

pub use ask::{confirm, confirm_deletions, confirm_loss};
pub use outcome::{Changes, Outcome};
pub use progress::Progress;
pub use wizard::ask_entity;

use crate::failure::{Exit, Failure};

/// How to talk to the user.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// One JSON object on standard output, nothing else.
    pub json: bool,
    /// Results and errors only.
    pub quiet: bool,
    /// Every file and every cause.
    pub verbose: bool,
    /// When to colour.
    pub color: ColorChoice,
}

impl Options {
    fn colored(&self, stream: &impl anstream::stream::RawStream) -> bool {
        let choice = match self.color {
            ColorChoice::Auto => AutoStream::choice(stream),
            fixed => fixed,
        };
        choice != ColorChoice::Never
    }
}

/// What goes to the two streams.
#[derive(Debug, Default)]
struct Text {
    out: String,
    err: String,
}

/// Prints how a command ended and returns its exit status.
///
/// A reader that closes the pipe early is no error: the rest is dropped.
pub fn finish(command: &str, result: &Result<Outcome, Failure>, options: Options) -> Exit {
    let exit = match result {
        Ok(_) => Exit::Done,
        Err(failure) => failure.exit(),
    };
    let color = options.colored(&std::io::stderr());
    let text = if options.json {
        Text {
            out: json::object(command, result, exit),
            err: String::new(),
        }
    } else {
        match result {
            Ok(outcome) => human::outcome(outcome, options, color),
            Err(failure) => human::failure(failure, color),
        }
    };
    match write(&text, options.color) {
        Ok(()) => exit,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit,
        Err(_) if exit != Exit::Done => exit,
        Err(_) => Exit::Problems,
    }
}

/// Prints what clap has to say: help on standard output, wrong usage on standard error, or as JSON if that was
/// asked for.
pub fn usage(error: &clap::Error, json: bool) -> Exit {
    if json && error.use_stderr() {
        let options = Options {
            json,
            quiet: false,
            verbose: false,
            color: ColorChoice::Never,
        };
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim();
        let (message, help) = text.split_once("\n\n").unwrap_or((text, ""));
        let failure = Failure::Usage {
            message: message.to_owned(),
            help: Some(help.to_owned()).filter(|it| !it.is_empty()),
        };
        return finish("", &Err(failure), options);
    }
    // clap ignores a closed pipe itself; there is nobody left to tell about any other failure.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}

fn write(text: &Text, color: ColorChoice) -> std::io::Result<()> {
    if !text.out.is_empty() {
        let mut out = AutoStream::new(std::io::stdout(), color).lock();
        out.write_all(text.out.as_bytes())?;
        out.flush()?;
    }
    if !text.err.is_empty() {
        let mut err = AutoStream::new(std::io::stderr(), color).lock();
        err.write_all(text.err.as_bytes())?;
        err.flush()?;
    }
    Ok(())
}
