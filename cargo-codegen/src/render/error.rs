//! What can go wrong between a model and a file's text: mistakes of this tool, never of the user.

/// A template that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// An askama template failed.
    #[error("a template of this tool failed: {0}; please report this")]
    Template(#[from] askama::Error),
    /// A scaffold file has a placeholder that nobody fills.
    #[error("the scaffold file {file} has the unknown placeholder `{name}`; please report this")]
    Placeholder {
        /// The scaffold file.
        file: String,
        /// What stands between the braces.
        name: String,
    },
    /// An embedded file cannot be used.
    #[error("the embedded file {file} cannot be used: {reason}; please report this")]
    Embedded {
        /// The embedded file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An embedded file is not text.
    #[error("the embedded file {file} is not UTF-8; please report this")]
    NotUtf8 {
        /// The embedded file.
        file: String,
    },
}

/// The outcome of rendering.
pub type Result<T, E = RenderError> = std::result::Result<T, E>;
