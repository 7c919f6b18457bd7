//! The slots of a cron expression in a time zone.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;

use super::Misfire;

/// How old a slot may be that [`Misfire::Skip`] does not pass over.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// How many slots are made at a time.
const MOST: usize = 1000;

/// What is wrong with a schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The expression cannot be read.
    #[error("`{cron}` is not a cron expression: {reason}")]
    Cron {
        /// The expression.
        cron: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such time zone.
    #[error("there is no time zone `{timezone}`; use an IANA name such as `Europe/Berlin`")]
    Timezone {
        /// The name.
        timezone: String,
    },
}

/// The most times of a day that an expression may list to be read as that; one with more follows real time.
const MOST_TIMES: usize = 96;

/// An expression and a time zone, read.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// One for each time of the day that the expression lists, or the expression itself. Where clocks are put forward or
    /// back, `croner` moves an expression for a single time, and lets others follow real time.
    crons: Vec<Cron>,
    timezone: Tz,
}

/// What is to be made now, and what comes then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The oldest first.
    pub(super) slots: Vec<DateTime<Utc>>,
    pub(super) next: Option<DateTime<Utc>>,
}

impl Plan {
    pub(crate) fn read(cron: &str, timezone: &str) -> Result<Self, ScheduleError> {
        let read = |text: &str| {
            text.parse::<Cron>().map_err(|error| ScheduleError::Cron {
                cron: cron.to_owned(),
                reason: error.to_string(),
            })
        };
        let whole = read(cron)?;
        let crons = match times_of(cron) {
            Some(times) => times.iter().map(|it| read(it)).collect::<Result<_, _>>()?,
            None => vec![whole],
        };
        Ok(Self {
            timezone: timezone.parse().map_err(|_| ScheduleError::Timezone {
                timezone: timezone.to_owned(),
            })?,
            crons,
        })
    }

    /// The first slot after a moment; none where the expression has no more.
    pub(super) fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let moment = moment.with_timezone(&self.timezone);
        let next = self.crons.iter();
        next.filter_map(|it| it.find_next_occurrence(&moment, false).ok())
            .map(|it| it.with_timezone(&Utc))
            .min()
    }

    fn at_or_before(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let moment = moment.with_timezone(&self.timezone);
        let last = self.crons.iter();
        last.filter_map(|it| it.find_previous_occurrence(&moment, true).ok())
            .map(|it| it.with_timezone(&Utc))
            .max()
    }

    /// What a slot that has come means at this moment.
    pub(super) fn due(&self, slot: DateTime<Utc>, now: DateTime<Utc>, misfire: Misfire) -> Due {
        let first = match misfire {
            Misfire::All => Some(slot),
            Misfire::Last => Some(self.at_or_before(now).map_or(slot, |last| last.max(slot))),
            Misfire::Skip if slot >= now - GRACE => Some(slot),
            Misfire::Skip => self.after(now - GRACE),
        };
        let mut slots = Vec::new();
        let mut next = first;
        while let Some(slot) = next
            && slot <= now
            && slots.len() < MOST
        {
            slots.push(slot);
            next = self.after(slot);
        }
        Due { slots, next }
    }
}

/// The expression for each time of the day alone, if seconds, minutes and hours are lists or ranges of numbers and there
/// are several times.
fn times_of(cron: &str) -> Option<Vec<String>> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    // Seconds may stand before the minutes, and then a year at the end.
    let of_day = match fields.len() {
        5 => 2,
        6 | 7 => 3,
        _ => return None,
    };
    let (times, days) = fields.split_at(of_day);
    let mut listed = vec![String::new()];
    // The hours last, as they stand.
    for field in times {
        let values = numbers(field)?;
        listed = listed
            .iter()
            .flat_map(|before| values.iter().map(move |it| format!("{before}{it} ")))
            .collect();
        if listed.len() > MOST_TIMES {
            return None;
        }
    }
    let days = days.join(" ");
    (listed.len() > 1).then(|| listed.into_iter().map(|it| it + &days).collect())
}

/// What `2,14` and `9-17` list; nothing of wildcards and steps.
fn numbers(field: &str) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for part in field.split(',').filter(|it| !it.is_empty()) {
        match part.split_once('-') {
            Some((first, last)) => found.extend(first.parse::<u32>().ok()?..=last.parse().ok()?),
            None => found.push(part.parse().ok()?),
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn slots(cron: &str, from: &str, until: &str) -> Vec<String> {
        let plan = Plan::read(cron, "Europe/Berlin").unwrap();
        let due = plan.due(plan.after(at(from)).unwrap(), at(until), Misfire::All);
        let text = |slot: &DateTime<Utc>| slot.format("%d %H:%M").to_string();
        due.slots.iter().map(text).collect()
    }

    // At 02:00 in Berlin, 01:00 UTC, the clocks are put forward to 03:00.
    #[test]
    fn r55_a_time_that_spring_leaves_out_has_its_slot_after_the_gap() {
        let night = ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(slots("30 2 * * *", night.0, night.1), ["29 01:00"]);
        assert_eq!(slots("0 3 * * *", night.0, night.1), ["29 01:00"]);
        assert_eq!(slots("30 1 * * *", night.0, night.1), ["29 00:30"]);
    }

    #[test]
    fn r55_times_that_are_listed_are_times_of_the_day_too() {
        let spring = ("2026-03-28T12:00:00Z", "2026-03-29T13:00:00Z");
        let slots_in = |cron, (from, until)| slots(cron, from, until);
        assert_eq!(
            slots_in("30 2,14 * * *", spring),
            ["28 13:30", "29 01:00", "29 12:30"]
        );
        assert_eq!(slots_in("0,30 2 * * *", spring), ["29 01:00"]);
        assert_eq!(slots_in("0 2-4 * * *", spring), ["29 01:00", "29 02:00"]);
        let autumn = ("2026-10-24T12:00:00Z", "2026-10-25T13:00:00Z");
        assert_eq!(
            slots_in("30 2,14 * * *", autumn),
            ["24 12:30", "25 00:30"],
            "the second 02:30 is none"
        );
        assert_eq!(
            slots_in("0 0 2-4 * * *", autumn),
            ["25 00:00", "25 02:00", "25 03:00"]
        );
        for cron in ["0 30 2,14 * * * 2026", "30 2,14, * * *"] {
            assert_eq!(slots(cron, autumn.0, autumn.1), ["24 12:30", "25 00:30"]);
        }
        let last = Plan::read("30 2,14 * * *", "UTC").unwrap();
        let noon = at("2026-05-01T12:00:00Z");
        assert_eq!(last.at_or_before(noon), Some(at("2026-05-01T02:30:00Z")));
    }

    #[test]
    fn r55_steps_follow_real_time_when_clocks_are_put_forward() {
        let slots = slots(
            "*/30 * * * *",
            "2026-03-29T00:00:00Z",
            "2026-03-29T02:00:00Z",
        );
        assert_eq!(slots, ["29 00:30", "29 01:00", "29 01:30", "29 02:00"]);
    }

    // At 03:00 in Berlin, 01:00 UTC, the clocks are put back to 02:00.
    #[test]
    fn r55_a_time_that_autumn_has_twice_has_one_slot_the_first() {
        let night = ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
        assert_eq!(slots("30 2 * * *", night.0, night.1), ["25 00:30"]);
        assert_eq!(slots("0 3 * * *", night.0, night.1), ["25 02:00"]);
    }

    #[test]
    fn r55_steps_follow_real_time_when_clocks_are_put_back() {
        let slots = slots(
            "*/30 * * * *",
            "2026-10-25T00:00:00Z",
            "2026-10-25T02:00:00Z",
        );
        assert_eq!(slots, ["25 00:30", "25 01:00", "25 01:30", "25 02:00"]);
    }

    #[test]
    fn missed_slots_follow_the_policy() {
        let plan = Plan::read("0 * * * *", "UTC").unwrap();
        let (slot, now) = (at("2026-05-01T01:00:00Z"), at("2026-05-01T04:30:00Z"));
        let hours = |misfire| {
            let due = plan.due(slot, now, misfire);
            assert_eq!(due.next, Some(at("2026-05-01T05:00:00Z")));
            let hour = |it: &DateTime<Utc>| it.format("%H").to_string();
            due.slots.iter().map(hour).collect::<Vec<_>>()
        };
        assert_eq!(hours(Misfire::All), ["01", "02", "03", "04"]);
        assert_eq!(hours(Misfire::Last), ["04"]);
        assert_eq!(hours(Misfire::Skip), [""; 0]);
        let on_time = plan.due(slot, at("2026-05-01T01:00:59Z"), Misfire::Skip);
        assert_eq!(on_time.slots, [slot]);
    }

    #[test]
    fn a_long_backlog_is_made_in_parts() {
        let plan = Plan::read("* * * * * *", "UTC").unwrap();
        let (slot, now) = (at("2026-05-01T01:00:00Z"), at("2026-05-03T00:00:00Z"));
        let due = plan.due(slot, now, Misfire::All);
        assert_eq!((due.slots.len(), due.slots[0]), (MOST, slot));
        assert_eq!(due.next, plan.after(due.slots[MOST - 1]));
        assert_eq!(plan.due(slot, now, Misfire::Last).slots, [now]);
    }

    #[test]
    fn wrong_expressions_and_zones_are_named() {
        let wrong = Plan::read("0 6 * *", "UTC").unwrap_err().to_string();
        assert!(wrong.starts_with("`0 6 * *` is not a cron expression: "));
        let wrong = Plan::read("0 6 * * *", "Berlin").unwrap_err().to_string();
        assert!(wrong.starts_with("there is no time zone `Berlin`"));
    }
}
