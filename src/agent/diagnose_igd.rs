//! Diagnostics as TR-098 has them: four objects whose tests are TR-181's, with other names and fewer states.
//!
//! A router has them only if a data model file brings them; the lab's `tr098` does.

use super::diagnose::Found;

/// TR-098's objects, and those of TR-181 that they became.
const OBJECTS: &[(&str, &str)] = &[
    (PING, "Device.IP.Diagnostics.IPPing."),
    (TRACEROUTE, "Device.IP.Diagnostics.TraceRoute."),
    (DOWNLOAD, "Device.IP.Diagnostics.DownloadDiagnostics."),
    (UPLOAD, "Device.IP.Diagnostics.UploadDiagnostics."),
];

const PING: &str = "InternetGatewayDevice.IPPingDiagnostics.";
const TRACEROUTE: &str = "InternetGatewayDevice.TraceRouteDiagnostics.";
const DOWNLOAD: &str = "InternetGatewayDevice.DownloadDiagnostics.";
const UPLOAD: &str = "InternetGatewayDevice.UploadDiagnostics.";

/// The table of a route's hops.
const HOPS: &str = "RouteHops.";

/// The TR-181 object whose test an object's is: itself, but for those of TR-098.
pub fn standard(object: &str) -> &str {
    OBJECTS.iter().find(|(theirs, _)| *theirs == object).map_or(object, |(_, ours)| ours)
}

/// What a test has found, in the words of its object; TR-181's stay as they are.
pub fn told(object: &str, mut found: Found) -> Found {
    if standard(object) == object {
        return found;
    }
    found.state = state(object, &found.state).to_owned();
    for (name, text) in &mut found.values {
        if let Some((number, hop)) = name.strip_prefix(HOPS).and_then(|rest| rest.split_once('.')) {
            *name = format!("{HOPS}{number}.Hop{hop}");
        }
        // Its counters have 32 bits.
        if text.parse::<u64>().is_ok_and(|number| number > u64::from(u32::MAX)) {
            *text = u32::MAX.to_string();
        }
    }
    found
}

/// A state in the words that TR-098 has; where it has none, the nearest.
fn state<'s>(object: &str, state: &'s str) -> &'s str {
    match (object, state) {
        (PING, "Error_NoRouteToHost") => "Error_Other",
        (TRACEROUTE, "Error_NoRouteToHost" | "Error_Internal" | "Error_Other") => "Error_MaxHopCountExceeded",
        (DOWNLOAD | UPLOAD, "Complete") => "Completed",
        (DOWNLOAD | UPLOAD, "Error_CannotResolveHostName" | "Error_NoRouteToHost") => {
            "Error_InitConnectionFailed"
        }
        (DOWNLOAD, "Error_Internal" | "Error_Other") => "Error_TransferFailed",
        (UPLOAD, "Error_Internal" | "Error_Other" | "Error_Timeout") => "Error_NoTransferComplete",
        _ => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compiled;
    use crate::model::load::{Templates, load};
    use crate::model::schema::Schema;

    const STATE: &str = "DiagnosticsState";
    /// The lab's model of TR-098.
    const MODEL: &str = include_str!("../lab/models/tr098.json");

    fn found(state: &str, values: &[(&str, &str)]) -> Found {
        let values = values.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Found { state: state.to_owned(), is_event: true, values, rows: Vec::new() }
    }

    #[test]
    fn every_state_has_a_word() {
        let model = Schema::new(load("tr098", MODEL, &mut Templates::default()).unwrap()).unwrap();
        let words = |schema: &Schema, object: &str| {
            let object = &schema.objects()[schema.find(object).unwrap()];
            object.params.iter().find(|param| param.name == STATE).unwrap().ty.values
        };
        for (theirs, ours) in OBJECTS {
            assert_eq!(standard(theirs), *ours);
            let known = words(&model, theirs);
            for word in words(&compiled::schema(), ours).iter().filter(|word| **word != "Canceled") {
                let told = told(theirs, found(word, &[])).state;
                assert!(known.contains(&told.as_str()), "{theirs} {word} is told as {told}");
            }
        }
        let tests = model.objects().iter().filter(|object| object.params.iter().any(|one| one.name == STATE));
        assert_eq!(tests.count(), OBJECTS.len(), "the model has no test that cannot be run");
    }

    #[test]
    fn names_and_numbers() {
        let hops =
            [("RouteHops.12.Host", "a"), ("RouteHops.12.RTTimes", "1,2"), ("ResponseTime", "5000000000")];
        let out = told(TRACEROUTE, found("Complete", &hops));
        let expected = [
            ("RouteHops.12.HopHost", "a"),
            ("RouteHops.12.HopRTTimes", "1,2"),
            ("ResponseTime", "4294967295"),
        ];
        assert_eq!(out, found("Complete", &expected));
        let ours = found("Error_Other", &hops);
        assert_eq!(told("Device.IP.Diagnostics.TraceRoute.", ours.clone()), ours);
    }
}
