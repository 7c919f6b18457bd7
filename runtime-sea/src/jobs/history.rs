//! What earlier attempts of a run have recorded, and whether this one goes the same way.

use std::collections::HashMap;

use super::JobError;
use super::calls::Call;
use super::entities::job_step;

/// The steps, children and waits that are not to be executed again.
#[derive(Debug, Default)]
pub(crate) struct History {
    by_name: HashMap<String, job_step::Model>,
    /// Names by their place, where that is the same on every attempt.
    by_position: HashMap<i32, String>,
}

impl History {
    pub(crate) fn new(rows: Vec<job_step::Model>) -> Self {
        Self {
            by_position: rows
                .iter()
                .filter(|row| !row.concurrent)
                .map(|row| (row.position, row.name.clone()))
                .collect(),
            by_name: rows
                .into_iter()
                .map(|row| (row.name.clone(), row))
                .collect(),
        }
    }

    /// What is recorded of the call.
    ///
    /// Fails where the record shows that the steps are others than before: their outputs may not mean what this code
    /// takes them for. Where calls overlap, their order is up to chance, and only names and kinds are compared.
    pub(crate) fn find(&self, call: &Call) -> Result<Option<&job_step::Model>, JobError> {
        let row = self.by_name.get(&call.name);
        if let Some(row) = row
            && row.kind != call.kind
        {
            return Err(changed(&format!(
                "`{}` was a {} and is a {} now",
                call.name, row.kind, call.kind
            )));
        }
        let is_ordered = !call.concurrent && row.is_none_or(|row| !row.concurrent);
        let before = self.by_position.get(&call.position);
        if is_ordered
            && let Some(before) = before
            && *before != call.name
        {
            return Err(changed(&format!(
                "number {} was `{before}` and is `{}` now",
                call.position + 1,
                call.name
            )));
        }
        if is_ordered
            && let Some(row) = row
            && row.position != call.position
        {
            return Err(changed(&format!(
                "`{}` was number {} and is number {} now",
                call.name,
                row.position + 1,
                call.position + 1
            )));
        }
        Ok(row)
    }
}

fn changed(how: &str) -> JobError {
    JobError::non_retryable(format!(
        "the steps changed while the run was under way: {how}; a handler whose steps change must go on with the old \
         ones for runs of its earlier versions"
    ))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn row(position: i32, name: &str, concurrent: bool) -> job_step::Model {
        job_step::Model {
            run_id: uuid::Uuid::nil(),
            name: name.to_owned(),
            kind: "step".to_owned(),
            position,
            concurrent,
            status: "completed".to_owned(),
            output: None,
            error: None,
            executions: 1,
            attempt: 1,
            fence: 1,
            started_at: Utc::now(),
            finished_at: None,
            wake_at: None,
            event_type: None,
            event_key: None,
            event_id: None,
            child_run_id: None,
        }
    }

    fn call(position: i32, name: &str) -> Call {
        Call {
            kind: "step",
            name: name.to_owned(),
            position,
            concurrent: false,
        }
    }

    #[test]
    fn r60_renamed_moved_removed_and_inserted_steps_are_found() {
        let history = History::new(vec![row(0, "a", false), row(1, "b", false)]);
        assert!(history.find(&call(0, "a")).unwrap().is_some());
        assert!(history.find(&call(2, "c")).unwrap().is_none());
        for (position, name, text) in [
            (0, "b", "number 1 was `a` and is `b` now"),
            (1, "x", "number 2 was `b` and is `x` now"),
            (2, "b", "`b` was number 2 and is number 3 now"),
        ] {
            let error = history.find(&call(position, name)).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
            assert!(!error.is_retryable());
        }
        let sleep = Call {
            kind: "sleep",
            ..call(0, "a")
        };
        let error = history.find(&sleep).unwrap_err().to_string();
        assert!(
            error.contains("`a` was a step and is a sleep now"),
            "{error}"
        );
    }

    #[test]
    fn steps_that_overlap_may_change_places() {
        let history = History::new(vec![
            row(0, "a", false),
            row(1, "b", true),
            row(2, "c", true),
        ]);
        assert!(history.find(&call(1, "c")).unwrap().is_some());
        assert!(history.find(&call(2, "b")).unwrap().is_some());
        let overlapping = Call {
            concurrent: true,
            ..call(0, "x")
        };
        assert!(history.find(&overlapping).unwrap().is_none());
    }
}
