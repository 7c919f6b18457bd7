//! `migrate --write`: the next migration.

use super::{Addition, Consent};
use crate::failure::Failure;
use crate::schema::{Change, Risk};

/// The migration for everything that has changed.
pub fn migration(consent: Consent) -> Addition {
    Addition {
        migrate: Some(consent),
        ..Addition::default()
    }
}

/// Refuses changes of the schema that lose something, unless that was asked for, and those that nothing can make.
///
/// # Errors
/// What they cost or need.
pub fn permitted(pending: &[Change], consent: Consent) -> Result<(), Failure> {
    if consent == Consent::ByHand {
        return Ok(());
    }
    let risks = pending.iter().map(Change::risk);
    let (impossible, costly): (Vec<Risk>, Vec<Risk>) = risks
        .filter(|it| *it != Risk::Safe)
        .partition(|it| matches!(it, Risk::Impossible(_)));
    let told = |risks: &[Risk]| -> Vec<String> {
        let costs = risks.iter().filter_map(Risk::costs);
        costs.map(str::to_owned).collect()
    };
    if !impossible.is_empty() {
        return Err(Failure::Impossible(told(&impossible)));
    }
    if !costly.is_empty() && consent == Consent::Safe {
        return Err(Failure::Lossy(told(&costly)));
    }
    Ok(())
}
