//! Periodic statistics by the daemon: what an ACS sets up is sampled between sessions, the ACS is told when to fetch
//! (Status goes to Trigger and back), and the settings outlive the agent, the samples do not.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/play.rs"]
mod play;
#[path = "support/scripted.rs"]
mod scripted;

use messages::{envelope, get_values, set_values};
use play::{codes, end, has, inform, inform_with, methods, object, router, say, value};
use scripted::Scripted;

const SET: &str = "Device.PeriodicStatistics.SampleSet.1.";

/// SetParameterValues of names below the set.
fn set(id: &str, list: &[(&str, &str, &str)]) -> String {
    let list: Vec<(String, &str, &str)> =
        list.iter().map(|(name, ty, text)| (format!("{SET}{name}"), *ty, *text)).collect();
    let list: Vec<(&str, &str, &str)> =
        list.iter().map(|(name, ty, text)| (name.as_str(), *ty, *text)).collect();
    set_values(id, &list, "")
}

/// SetParameterAttributes: active notification.
fn notify(id: &str, name: &str) -> String {
    let one = format!(
        "<SetParameterAttributesStruct><Name>{name}</Name><NotificationChange>1</NotificationChange>\
         <Notification>2</Notification><AccessListChange>0</AccessListChange><AccessList \
         soap-enc:arrayType=\"xsd:string[0]\"></AccessList></SetParameterAttributesStruct>"
    );
    envelope(
        id,
        &format!(
            "<cwmp:SetParameterAttributes><ParameterList \
             soap-enc:arrayType=\"cwmp:SetParameterAttributesStruct[1]\">{one}</ParameterList>\
             </cwmp:SetParameterAttributes>"
        ),
    )
}

#[test]
fn samples_are_taken_and_the_acs_is_told_to_fetch_them() {
    let (string, number, boolean) = ("xsd:string", "xsd:unsignedInt", "xsd:boolean");
    let parameters = format!("{SET}Parameter.");
    let acs = Scripted::start(vec![
        inform(),
        methods(),
        say(object("1", "AddObject", "Device.PeriodicStatistics.SampleSet.")),
        say(object("2", "AddObject", &parameters)),
        say(object("3", "AddObject", &parameters)),
        say(get_values("4", &[SET])),
        say(set("5", &[("ReportSamples", number, "289")])),
        say(set(
            "6",
            &[
                ("Name", string, "test"),
                ("SampleInterval", number, "1"),
                ("ReportSamples", number, "5"),
                ("FetchSamples", number, "3"),
                ("Parameter.1.Reference", string, "Device.DeviceInfo.MemoryStatus.Total"),
                ("Parameter.1.Enable", boolean, "1"),
                ("Parameter.2.Reference", string, "Device.DeviceInfo.NoSuchParameter"),
                ("Parameter.2.Enable", boolean, "1"),
                ("Enable", boolean, "1"),
            ],
        )),
        // A preview in the session itself.
        say(set("7", &[("ForceSample", boolean, "1")])),
        say(get_values("8", &[SET])),
        // By now it is Enabled: that is no news.
        say(notify("9", &format!("{SET}Status"))),
        end(),
        inform_with(&["4 VALUE CHANGE"]),
        say(get_values("10", &[SET])),
        end(),
    ]);
    let router = router(&acs.url());
    let agent = router.start(&[]);
    agent.wait_for("Waiting the next session", 2);
    let seen = acs.finish();
    let answer = |at: usize| seen[at + 2].text();
    has(&answer(5), &["<FaultCode>9003</FaultCode>", "9007", "288"]);
    let (string, text) = (|name: &str| format!("{SET}{name}"), answer(8));
    assert_eq!(value(&text, &string("Status")), "Enabled");
    assert_eq!(value(&text, &string("ForceSample")), "0");
    assert_eq!(value(&text, &string("SampleSeconds")), "0");
    let memory = value(&text, &string("Parameter.1.Values"));
    assert!(memory.parse::<u32>().unwrap() > 1000, "{memory}");
    // The Inform tells of Status, which is as it was; and of nothing else that was not asked for.
    let told = seen[12].text();
    assert_eq!(codes(&told), ["4 VALUE CHANGE"]);
    assert_eq!(value(&told, &string("Status")), "Enabled");
    let text = seen[14].text();
    let list = |name: &str| value(&text, &string(name)).split(',').map(str::to_owned).collect::<Vec<_>>();
    let values = list("Parameter.1.Values");
    // On a slow machine there are more of them by now.
    assert!((3..=5).contains(&values.len()) && values.iter().all(|one| *one == memory), "{values:?}");
    assert_eq!(list("SampleSeconds").len(), values.len());
    assert!(list("SampleSeconds").iter().all(|one| one == "1" || one == "0"), "{:?}", list("SampleSeconds"));
    assert_eq!(list("Parameter.1.SuspectData").len(), values.len());
    // What does not exist keeps its place.
    assert!(list("Parameter.2.Values").iter().all(String::is_empty));
    assert_eq!(list("Parameter.2.Values").len(), values.len());
    assert!(list("Parameter.2.SuspectData").iter().all(|one| one == "1"));
    assert!(value(&text, &string("ReportStartTime")).starts_with("20"));
    assert!(value(&text, &string("ReportEndTime")) > value(&text, &string("ReportStartTime")));
    let (status, _) = agent.stop();
    assert!(status.success());

    // Another life: the settings are there, and it begins anew.
    let acs = Scripted::start(vec![inform(), methods(), say(get_values("1", &[SET])), end()]);
    router.set("acs", "url", &acs.url());
    router.play();
    let text = acs.finish()[3].text();
    assert_eq!(value(&text, &string("Name")), "test");
    assert_eq!(value(&text, &string("Status")), "Enabled");
    assert_eq!(value(&text, &string("ParameterNumberOfEntries")), "2");
    assert!(value(&text, &string("Parameter.1.Values")).split(',').count() < 3);
}
