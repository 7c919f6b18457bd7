//! The stages wired together: from definitions and a workspace to a change set.
