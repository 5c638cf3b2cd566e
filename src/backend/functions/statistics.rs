//! `Device.PeriodicStatistics.`: its settings are kept in the agent's store, its samples in memory only, see
//! [`crate::backend::statistics`].

use crate::backend::statistics::{Calculation, MAX_PARAMETERS, MAX_SAMPLES, Sample, Setting, Wish};
use crate::backend::{System, ValueFn};
use crate::map::Map;
use crate::model::backend::{Place, Raw};
use crate::model::date::{self, Moment};
use crate::model::error::{Error, Result};

/// Behind parameters.
pub const VALUES: &[ValueFn] = &[
    ValueFn { name: "statistics", get: found, set: None },
    ValueFn { name: "statistics_limit", get: limit, set: None },
    ValueFn { name: "statistics_setting", get: setting, set: Some(set) },
    ValueFn { name: "statistics_force", get: forced, set: Some(force) },
];

const TABLE: &str = "Device.PeriodicStatistics.SampleSet.";
/// Which parameters are sampled.
const PARAMETER: &str = ".Parameter.";

/// The most samples that are kept.
fn limit(_system: &mut System, _at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    Ok(Some(Raw::one(MAX_SAMPLES.to_string())))
}

/// What has been found: of the set, or of one of its parameters.
fn found(system: &mut System, at: Place<'_>, what: &str) -> Result<Option<Raw>> {
    let Some(set) = at.rows.first().map(|row| row.number) else { return Ok(None) };
    let parameter = at.rows.get(1).map_or(0, |row| row.number);
    let statistics = &system.statistics;
    let list = |text: fn(&Sample) -> String| {
        let samples =
            statistics.samples(set, parameter).map(|(samples, _)| samples.iter().map(text).collect());
        samples.map(Raw::Many)
    };
    let moment = |moment: Option<i64>| moment.map(|moment| Raw::One(date::format_utc(moment)));
    Ok(match what {
        "status" => Some(Raw::one(if statistics.is_enabled(set) { "Enabled" } else { "Disabled" })),
        "start" => moment(statistics.report(set).map(|(start, _)| start)),
        "end" => moment(statistics.report(set).map(|(_, end)| end)),
        "set_seconds" => Some(Raw::Many(statistics.sample_seconds(set).iter().map(u32::to_string).collect())),
        "seconds" => list(|sample| sample.seconds.to_string()),
        "suspect" => list(|sample| u8::from(sample.suspect).to_string()),
        "values" => list(|sample| sample.value.to_string()),
        _ => statistics.samples(set, parameter).map(|(_, failures)| Raw::One(failures.to_string())),
    })
}

fn setting(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let kept = system.staged.as_ref().unwrap_or(&system.kept);
    Ok(kept.values.get(&System::stored_name(at)).map(Raw::one))
}

/// Settings that have a bound which the parameter's type does not tell.
fn set(system: &mut System, at: Place<'_>, what: &str, raw: &Raw) -> Result<()> {
    let (name, text) = (System::stored_name(at), raw.text());
    match what {
        "report" if text.parse::<u32>().is_ok_and(|report| report > MAX_SAMPLES) => {
            return Err(Error::bad_value(at.name, format!("at most {MAX_SAMPLES} samples are kept")));
        }
        "enable" if text == "1" => {
            let enabled = |(path, text): (&String, &String)| {
                *path != name && path.starts_with(TABLE) && is_switch(path) && text == "1"
            };
            if system.staging().values.iter().filter(|one| enabled(*one)).count() >= MAX_PARAMETERS {
                return Err(Error::exhausted(format!("at most {MAX_PARAMETERS} parameters are sampled")));
            }
        }
        _ => {}
    }
    system.staging().values.insert(name, text);
    Ok(())
}

/// Whether a path is Enable of a parameter.
fn is_switch(path: &str) -> bool {
    path.contains(PARAMETER) && path.ends_with(".Enable")
}

/// True only until the change is committed, which reads back what it has written.
fn forced(system: &mut System, at: Place<'_>, _argument: &str) -> Result<Option<Raw>> {
    let waits = at.rows.first().is_some_and(|row| system.forcing.contains(&row.number));
    Ok(Some(Raw::one(if waits { "1" } else { "0" })))
}

fn force(system: &mut System, at: Place<'_>, _argument: &str, raw: &Raw) -> Result<()> {
    if let (Some(row), "1") = (at.rows.first(), raw.text().as_str()) {
        system.forcing.push(row.number);
    }
    Ok(())
}

impl System {
    /// Gives the kept settings to the sample sets, and forces what a commit has asked for.
    pub(in crate::backend) fn configure_statistics(&mut self) {
        self.statistics.configure(settings(&self.kept.values));
        for set in std::mem::take(&mut self.forcing) {
            self.statistics.force(set);
        }
    }
}

/// The settings of all sets that have any.
fn settings(kept: &Map<String, String>) -> Map<u32, Setting> {
    let mut sets: Map<u32, Setting> = Map::new();
    for (path, text) in kept.iter() {
        let Some((number, name)) = path.strip_prefix(TABLE).and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        let Ok(number) = number.parse::<u32>() else { continue };
        let set = sets.or_insert_with(number, || Setting {
            enabled: false,
            interval: 3600,
            report: 24,
            reference: None,
            fetch: 0,
            parameters: Map::new(),
        });
        let whole = || text.parse::<u32>().ok();
        match name {
            "Enable" => set.enabled = text == "1",
            "SampleInterval" => set.interval = whole().unwrap_or(3600).max(1),
            "ReportSamples" => set.report = whole().unwrap_or(24).clamp(1, MAX_SAMPLES),
            "FetchSamples" => set.fetch = whole().unwrap_or(0),
            "TimeReference" => {
                set.reference = match date::parse(text) {
                    Some(Moment::At(moment)) => Some(moment),
                    _ => None,
                };
            }
            _ => {}
        }
        let rest = name.strip_prefix(&PARAMETER[1..]).and_then(|rest| rest.split_once('.'));
        let Some((Ok(parameter), name)) = rest.map(|(number, name)| (number.parse::<u32>(), name)) else {
            continue;
        };
        let wish: &mut Wish = set.parameters.or_default(parameter);
        match name {
            "Reference" => wish.reference.clone_from(text),
            "SampleMode" => wish.change = text == "Change",
            "CalculationMode" => {
                wish.calculation = match text.as_str() {
                    "Minimum" => Calculation::Minimum,
                    "Maximum" => Calculation::Maximum,
                    "Average" => Calculation::Average,
                    _ => Calculation::Latest,
                };
            }
            "LowThreshold" => wish.low = text.parse().unwrap_or(0),
            "HighThreshold" => wish.high = text.parse().unwrap_or(0),
            _ => {}
        }
    }
    for (number, set) in sets.iter_mut() {
        // It is off until it is said to be on.
        set.parameters.retain(|parameter, wish| {
            let on = kept.get(&format!("{TABLE}{number}{PARAMETER}{parameter}.Enable"));
            on.is_some_and(|on| on == "1") && !wish.reference.is_empty()
        });
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_becomes_settings() {
        let kept = [
            ("Device.PeriodicStatistics.SampleSet.2.Enable", "1"),
            ("Device.PeriodicStatistics.SampleSet.2.ReportSamples", "9999"),
            ("Device.PeriodicStatistics.SampleSet.2.SampleInterval", "x"),
            ("Device.PeriodicStatistics.SampleSet.2.TimeReference", "2023-11-14T22:00:00Z"),
            ("Device.PeriodicStatistics.SampleSet.2.Parameter.4.Enable", "1"),
            ("Device.PeriodicStatistics.SampleSet.2.Parameter.4.Reference", "Device.A"),
            ("Device.PeriodicStatistics.SampleSet.2.Parameter.4.SampleMode", "Change"),
            ("Device.PeriodicStatistics.SampleSet.2.Parameter.4.HighThreshold", "-5"),
            ("Device.PeriodicStatistics.SampleSet.2.Parameter.5.Enable", "0"),
            ("Device.PeriodicStatistics.SampleSet.2.Parameter.5.Reference", "Device.B"),
            ("Device.PeriodicStatistics.SampleSet.2.Parameter.6.Reference", "Device.C"),
            ("Device.PeriodicStatistics.SampleSet.10.Name", "off"),
            ("Device.XYZ.1.Enable", "1"),
        ];
        let kept = kept.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        let found = settings(&kept);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [2, 10]);
        let set = &found[&2];
        assert_eq!((set.enabled, set.interval, set.report), (true, 3600, MAX_SAMPLES));
        assert_eq!(set.reference, Some(1_699_999_200));
        let wish = Wish { reference: "Device.A".into(), change: true, high: -5, ..Wish::default() };
        assert_eq!(set.parameters, Map::from_iter([(4, wish)]));
    }
}
