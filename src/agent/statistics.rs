//! Samples for `Device.PeriodicStatistics.`: what the sample sets want is read from the model, and given to them.

use crate::backend::System;
use crate::backend::statistics::Reading;
use crate::map::Map;
use crate::model::Model;
use crate::model::value::Kind;
use crate::sys::clock::Now;

/// Reads what is due now; gives the parameters `Status` that go to Trigger and back. Not `live`: within a session, when
/// the model looks frozen, only new sets begin and forced samples are shown.
pub fn look(model: &mut Model<System>, now: Now, live: bool) -> Vec<String> {
    let statistics = model.backend().statistics();
    if statistics.deadline().is_none_or(|at| at > now.mono) {
        return Vec::new();
    }
    let wanted = statistics.wanted(now.mono, live);
    let readings: Map<String, Reading> = wanted
        .into_iter()
        .filter_map(|name| Some((read(model, &name)?, name)))
        .map(|(one, name)| (name, one))
        .collect();
    let triggered = model.backend().statistics().look(now.mono, now.wall, live, &readings);
    let status = |set: u32| format!("Device.PeriodicStatistics.SampleSet.{set}.Status");
    triggered.into_iter().map(status).collect()
}

/// The value of a parameter, if there is one of that name.
fn read(model: &mut Model<System>, name: &str) -> Option<Reading> {
    // Nothing but one parameter: no object, and no wildcards.
    if name.ends_with('.') || name.contains('*') {
        return None;
    }
    let (_, value) = model.values([name]).ok()?.pop()?;
    let numeric = matches!(value.kind, Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong);
    let number = if numeric { value.text.parse().ok() } else { None };
    Some(Reading { number, text: value.text })
}
