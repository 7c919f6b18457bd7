//! Problems of definitions, drawn with the text that they are about.

use std::fmt;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

use crate::definition::{Label, Problem, Severity, SourceId, Sources};

/// Columns of a rendering whose reader is unknown.
const WIDTH: usize = 100;
/// More problems than anyone reads; the rest is counted.
const MOST: usize = 500;
/// A longer line is not drawn; its place is given in words.
const LONGEST_LINE: usize = 400;

/// Renders problems without colour and for a fixed width.
pub fn render(sources: &Sources, problems: &[Problem]) -> String {
    render_with(sources, problems, GraphicalTheme::unicode_nocolor(), WIDTH)
}

/// Renders problems with a theme and a width in columns.
pub fn render_with(
    sources: &Sources,
    problems: &[Problem],
    theme: GraphicalTheme,
    width: usize,
) -> String {
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_links(false);
    let mut text = String::new();
    for problem in problems.iter().take(MOST) {
        let view = View::new(sources, problem);
        if handler.render_report(&mut text, &view).is_err() {
            // Writing to a string fails only if the library cannot place a label.
            text.push_str(&view.message);
        }
        text.push('\n');
    }
    if problems.len() > MOST {
        text.push_str(&format!("and {} more\n", problems.len() - MOST));
    }
    text
}

/// One problem as miette sees it; labels in other files become related diagnostics.
struct View {
    message: String,
    code: &'static str,
    severity: miette::Severity,
    help: Option<String>,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
    related: Vec<View>,
}

impl View {
    fn new(sources: &Sources, problem: &Problem) -> Self {
        let main = problem.labels.first().map(|it| it.span.source);
        let (here, elsewhere): (Vec<&Label>, Vec<&Label>) = problem
            .labels
            .iter()
            .partition(|it| Some(it.span.source) == main);
        let mut view = Self {
            message: problem.message.clone(),
            code: problem.code,
            severity: match problem.severity {
                Severity::Note => miette::Severity::Advice,
                Severity::Warning => miette::Severity::Warning,
                Severity::Error => miette::Severity::Error,
            },
            help: problem.help.clone(),
            source: None,
            labels: Vec::new(),
            related: Vec::new(),
        };
        if let Some(main) = main {
            view.draw(sources, main, &here);
        }
        view.related = elsewhere
            .iter()
            .map(|label| Self::place(sources, label))
            .collect();
        view
    }

    /// The place of a label in another file.
    fn place(sources: &Sources, label: &Label) -> Self {
        let mut view = Self {
            message: match label.text.as_str() {
                "" => "see also".to_owned(),
                text => text.to_owned(),
            },
            code: "",
            severity: miette::Severity::Advice,
            help: None,
            source: None,
            labels: Vec::new(),
            related: Vec::new(),
        };
        let bare = Label {
            span: label.span.clone(),
            text: String::new(),
        };
        view.draw(sources, label.span.source, &[&bare]);
        view
    }

    fn draw(&mut self, sources: &Sources, source: SourceId, labels: &[&Label]) {
        let source = sources.get(source);
        let text: &str = &source.text;
        let too_long = labels
            .iter()
            .find(|it| line_length(text, it.span.range.start) > LONGEST_LINE);
        if let Some(label) = too_long {
            let (line, column) = line_and_column(text, label.span.range.start);
            self.message = format!("{} ({}:{line}:{column})", self.message, source.path);
            let words = labels.iter().map(|it| it.text.clone());
            let words: Vec<String> = words
                .chain(self.help.take())
                .filter(|it| !it.is_empty())
                .collect();
            self.help = (!words.is_empty()).then(|| words.join("; "));
            return;
        }
        self.source = Some(NamedSource::new(&source.path, Arc::clone(&source.text)));
        for (index, label) in labels.iter().enumerate() {
            let words = (!label.text.is_empty()).then(|| label.text.clone());
            let span = (label.span.range.start, label.span.range.len());
            self.labels.push(if index == 0 {
                LabeledSpan::new_primary_with_span(words, span)
            } else {
                LabeledSpan::new_with_span(words, span)
            });
        }
    }
}

fn line_length(text: &str, offset: usize) -> usize {
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |it| it + 1);
    let end = after.find('\n').unwrap_or(after.len());
    before.len() - start + end
}

/// One-based line and column of a byte offset, columns in characters.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |it| it + 1);
    (line, before[start..].chars().count() + 1)
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for View {}

impl Diagnostic for View {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.code.is_empty()).then(|| Box::new(self.code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let source = self.source.as_ref()?;
        Some(source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.related.is_empty() {
            return None;
        }
        Some(Box::new(
            self.related.iter().map(|it| it as &dyn Diagnostic),
        ))
    }
}
