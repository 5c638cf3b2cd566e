//! The fourteen examples of Oktopus' *Services* page, unchanged, each provisioning our own agent with a TR-098 model from its
//! BOOTSTRAP on: with success, and with what they must tell when it fails.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a test that panics has failed")]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/oktopus.rs"]
mod oktopus;

use std::time::Duration;

use oktopus::{Acs, example};
use rcwmp::lab::lua::service::Variables;
use rcwmp::lab::store::Status;

const SERIAL: &str = "LAB0000098";
const UNSET: &str = "the script ended without setting provisioning_status";
const FAILED: &str = "the script set provisioning_status to \"failed\"";
const ADD: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.";
const LINK: &str =
    "InternetGatewayDevice.WANDevice.1.WANCommonInterfaceConfig.X_AVM-DE_InternetConnectionLinkType";

/// A message for the examples that leave theirs undefined, as an expression of Lua.
const MESSAGE: &str = "[[<soap:Envelope><soap:Body><cwmp:AddObject><ObjectName>InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.\
    WANPPPConnection.</ObjectName><ParameterKey/></cwmp:AddObject></soap:Body></soap:Envelope>]]";

fn variables() -> Variables {
    let text = |text: &str| serde_json::Value::String(text.to_owned());
    [("pppoe_username", text("u@isp.example")), ("pppoe_password", text("s3cret"))]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What became of a script: reason, and log.
struct Run {
    acs: Acs,
    device: oktopus::Device,
    status: Status,
    reason: String,
    log: Vec<String>,
}

/// Provisions a new device with a script; `prepare` may break something before.
fn provision(text: &str, variables: &Variables, tr098: bool, prepare: impl Fn(&Acs)) -> Run {
    provision_in(Acs::new(), text, variables, tr098, prepare)
}

fn provision_in(acs: Acs, text: &str, variables: &Variables, tr098: bool, prepare: impl Fn(&Acs)) -> Run {
    let router = acs.router(SERIAL, tr098);
    let instance = acs.service(SERIAL, text, variables);
    prepare(&acs);
    let agent = router.start(&["-b"]);
    let (status, reason, log) = acs.outcome(instance);
    acs.notes.wait(&format!("over {SERIAL} "), 1);
    Run { device: oktopus::Device { agent, router }, acs, status, reason, log }
}

impl Run {
    /// How the device answered AddObjects: whether it did what they ask.
    fn added(&self) -> Vec<bool> {
        let lines = self.acs.notes.lines();
        let theirs = lines.iter().filter(|line| line.starts_with(&format!("{SERIAL} AddObject {ADD}: ")));
        theirs.map(|line| line.contains(": Ok(")).collect()
    }
}

/// An example whose names are defined before it: what it comes to where the device does what it asks, and where it refuses.
fn with(defined: &str, text: &str) -> [Run; 2] {
    [true, false].map(|tr098| provision(&format!("{defined} {text}"), &variables(), tr098, |_| {}))
}

/// An example that ends so, and has printed this.
fn check(name: &str, failed: Option<&str>, printed: &[&str]) {
    let Some(text) = example(&format!("services/{name}.lua")) else { return };
    let run = provision(&text, &variables(), true, |_| {});
    assert_eq!((run.status, run.reason.as_str()), expected(failed), "{:?}", run.log);
    let mut printed: Vec<String> = printed.iter().map(|line| (*line).to_owned()).collect();
    printed.extend(failed.map(str::to_owned));
    assert_eq!(run.log, printed);
}

fn expected(failed: Option<&str>) -> (Status, &str) {
    failed.map_or((Status::Provisioned, ""), |why| (Status::Failed, why))
}

#[test]
fn best_practice_1_always_check_return_values() {
    // `msg` is not defined in it: the error table is caught, and nothing said.
    check("best_practice_1_always_check_return_values", Some(UNSET), &[]);
    let Some(text) = example("services/best_practice_1_always_check_return_values.lua") else { return };
    let [done, refused] = with(&format!("msg = {MESSAGE}"), &text);
    assert_eq!((done.added(), done.reason.as_str()), (vec![true], UNSET));
    assert_eq!(refused.added(), [false]);
    assert!(
        refused.reason.starts_with(UNSET) && refused.reason.contains("was refused: 9005"),
        "{}",
        refused.reason
    );
}

#[test]
fn best_practice_2_use_descriptive_logging() {
    // It takes only `false` for a failure, and never sets a status.
    let step = "Step 1: Creating PPPoE WAN connection";
    check("best_practice_2_use_descriptive_logging", Some(UNSET), &[step]);
    let Some(text) = example("services/best_practice_2_use_descriptive_logging.lua") else { return };
    let [done, refused] = with(&format!("msg = {MESSAGE}"), &text);
    assert_eq!((done.added(), done.log.as_slice()), (vec![true], &[step.to_owned(), UNSET.to_owned()][..]));
    assert_eq!((refused.added(), refused.log[0].as_str()), (vec![false], step));
    assert!(refused.reason.contains("was refused: 9005"), "{}", refused.reason);
}

#[test]
fn best_practice_3_set_status_explicitly() {
    check("best_practice_3_set_status_explicitly", Some(FAILED), &[]);
    let Some(text) = example("services/best_practice_3_set_status_explicitly.lua") else { return };
    let run = provision(&format!("success = true\n{text}"), &variables(), true, |_| {});
    assert_eq!((run.status, run.log.as_slice()), (Status::Provisioned, &["Success".to_owned()][..]));
}

#[test]
fn best_practice_4_handle_sequential_operations() {
    // Neither of its messages is defined in it, and an error table is not `false`.
    check("best_practice_4_handle_sequential_operations", None, &[]);
    let Some(text) = example("services/best_practice_4_handle_sequential_operations.lua") else { return };
    let [done, refused] = with(&format!("msg1 = {MESSAGE} msg2 = msg1"), &text);
    assert_eq!(
        (done.added(), done.status, done.reason.as_str()),
        (vec![true, true], Status::Provisioned, "")
    );
    assert_eq!((refused.added(), refused.status), (vec![false, false], Status::Failed));
    assert_eq!(refused.reason.matches(" was refused: 9005").count(), 2, "{}", refused.reason);
}

#[test]
fn create_or_update_device_credential() {
    let Some(text) = example("services/create_or_update_device_credential.lua") else { return };
    let run = provision(&text, &variables(), true, |_| {});
    assert_eq!(run.reason, UNSET);
    assert_eq!(run.log, ["Credential created: oktopus-admin_user", UNSET]);
    let stored = run.acs.office.store.credential("oktopus-admin_user").unwrap();
    // Of a password the store has what Digest needs of it: H(user:realm:password).
    assert!(stored.is_some_and(|kept| !kept.contains("secure_pass_123")));
    let run = provision(&text, &variables(), true, Acs::break_credentials);
    assert_eq!(run.reason, FAILED);
    assert!(run.log[0].starts_with("Failed to create credential: "), "{:?}", run.log);
}

#[test]
fn execution_flow() {
    // `message_xml` is not defined in it.
    let begun = "Processing device: LAB0000098";
    check("execution_flow", Some(FAILED), &[begun]);
    let Some(text) = example("services/execution_flow.lua") else { return };
    let [done, refused] = with(&format!("message_xml = {MESSAGE}"), &text);
    assert_eq!(
        (done.added(), done.status, done.log.as_slice()),
        (vec![true], Status::Provisioned, &[begun.to_owned()][..])
    );
    assert_eq!((refused.status, refused.log[0].as_str()), (Status::Failed, begun));
    assert!(refused.reason.contains("was refused: 9005"), "{}", refused.reason);
}

#[test]
fn generate_random_string() {
    let Some(text) = example("services/generate_random_string.lua") else { return };
    let run = provision(&text, &variables(), true, |_| {});
    let password = run.log[0].strip_prefix("Generated password: ").unwrap();
    assert!(password.len() == 12 && password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{password}");
    assert_eq!(run.reason, UNSET);
    // A length that cannot be.
    let none = "generate_random_string = (function(f) return function(n) return f(-n) end end)(generate_random_string)";
    let run = provision(&format!("{none} {text}"), &variables(), true, |_| {});
    assert_eq!(run.log, ["Generated password: ", UNSET]);
}

#[test]
fn get_device_id() {
    check("get_device_id", Some(UNSET), &["Device SN: LAB0000098"]);
    // It cannot fail; a word that is not there can.
    let Some(text) = example("services/get_device_id.lua") else { return };
    let run = provision(&format!("get_device_id = nil {text}"), &variables(), true, |_| {});
    let why = "the script raised an error: <string>:1: attempt to call global 'get_device_id' (a nil value)";
    assert!(run.status == Status::Failed && run.reason.starts_with(why), "{}", run.reason);
    assert_eq!(run.log[..2], [why, "stack traceback:"]);
}

#[test]
fn get_variable_value() {
    check("get_variable_value", Some(UNSET), &[]);
    let Some(text) = example("services/get_variable_value.lua") else { return };
    let run = provision(&text, &Variables::new(), true, |_| {});
    let why = format!("{UNSET} (variables asked for but not given: pppoe_username, pppoe_password)");
    assert_eq!(run.reason, why);
}

#[test]
fn refresh_device_parameters() {
    let Some(text) = example("services/refresh_device_parameters.lua") else { return };
    let run = provision(&text, &variables(), true, |_| {});
    assert_eq!((run.reason.as_str(), run.log[0].as_str()), (UNSET, "Device parameters refresh initiated"));
    let kept = run.acs.office.store.value(SERIAL, "Device.DeviceInfo.ModelName").unwrap();
    assert_eq!(kept.as_deref(), Some("Example Lab Router"));
    let forgotten = format!("get_device_id = function() return 'nobody' end\n{text}");
    let run = provision(&forgotten, &variables(), true, |_| {});
    assert_eq!((run.reason.as_str(), run.log[0].as_str()), (FAILED, "Failed to refresh device parameters"));
}

#[test]
fn send_cwmp_message_and_forget() {
    let Some(text) = example("services/send_cwmp_message_and_forget.lua") else { return };
    let run = provision(&text, &variables(), true, |_| {});
    // Its list of parameters is a comment: what it sends is no request that a CPE could do.
    assert!(run.log.iter().any(|line| line == "Message sent successfully"), "{:?}", run.log);
    assert!(run.reason.starts_with(UNSET) && run.reason.contains("was refused: 9003"), "{}", run.reason);
    let forgotten = format!("get_device_id = function() return 'nobody' end\n{text}");
    let run = provision(&forgotten, &variables(), true, |_| {});
    assert_eq!(run.log, ["Error: Device not found (404)", FAILED]);
}

#[test]
fn set_provisioning_status() {
    check("set_provisioning_status", Some(FAILED), &[]);
    let Some(text) = example("services/set_provisioning_status.lua") else { return };
    assert_eq!(
        provision(&format!("success = 1\n{text}"), &variables(), true, |_| {}).status,
        Status::Provisioned
    );
}

#[test]
fn sleep() {
    check("sleep", Some(UNSET), &["Waiting for device to process...", "Continuing..."]);
    // A service that may not run for so long is ended in its sleep.
    let Some(text) = example("services/sleep.lua") else { return };
    let run = provision_in(Acs::limited(Duration::from_secs(3)), &text, &variables(), true, |_| {});
    let why = "the script ran longer than 3 s";
    assert_eq!((run.status, run.reason.as_str()), (Status::Failed, why));
    assert_eq!(run.log, ["Waiting for device to process...", why]);
}

#[test]
fn real_world_example_pppoe_service_configuration() {
    let Some(text) = example("services/real_world_example_pppoe_service_configuration.lua") else { return };
    let run = provision(&text, &variables(), true, |_| {});
    assert_eq!((run.status, run.reason.as_str()), (Status::Provisioned, ""));
    assert_eq!(
        run.log,
        [
            "Processing device SN: LAB0000098, adding PPPoE WAN connection",
            "Added PPPoE WAN successfully done, SN: LAB0000098, now setting credentials and changing WAN to PPPoE",
            "Set PPPoE credentials successfully done, SN: LAB0000098, now changing WAN to PPPoE",
            "Changed WAN to PPPoE successfully done",
            "Finished processing device SN: LAB0000098, messages queued",
        ]
    );
    // Its three messages, in order, in one session with the two of the refresh.
    let lines = run.acs.notes.lines();
    let answered: Vec<&String> =
        lines.iter().filter(|line| line.starts_with(&format!("{SERIAL} "))).collect();
    assert_eq!(answered.len(), 5, "{answered:?}");
    assert!(answered[0].starts_with(&format!("{SERIAL} AddObject {ADD}: Ok(")), "{answered:?}");
    assert!(
        answered[1].starts_with(&format!("{SERIAL} SetParameterValues {ADD}1: Enable = \"1\", Username = "))
    );
    assert!(answered[2].contains("X_AVM-DE_InternetConnectionLinkType = \"PPPoE\""));
    assert!(answered[1..3].iter().all(|line| line.contains(": Ok(")), "{answered:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("informed")).count(), 1);
    assert!(lines.contains(&format!("over {SERIAL} 5")), "{lines:?}");
    // The device's tree shows the connection.
    for (name, value) in [
        (format!("{ADD}1.Enable"), "1"),
        (format!("{ADD}1.Username"), "u@isp.example"),
        (format!("{ADD}1.Name"), "internet-pppoe"),
        (LINK.to_owned(), "PPPoE"),
    ] {
        assert_eq!(run.device.get(&name), [format!("{name} => {value}")]);
    }
}

#[test]
fn the_real_world_example_tells_what_goes_wrong() {
    let Some(text) = example("services/real_world_example_pppoe_service_configuration.lua") else { return };
    // A device without the data model: the messages were queued, and refused by it.
    let run = provision(&text, &variables(), false, |_| {});
    assert_eq!(run.status, Status::Failed);
    assert_eq!(run.reason.matches(" was refused: 900").count(), 3, "{}", run.reason);
    // A variable that was not given.
    let run = provision(&text, &Variables::new(), true, |_| {});
    assert!(run.reason.contains("attempt to concatenate a nil value"), "{}", run.reason);
    assert!(run.log.iter().any(|line| line == "stack traceback:"), "{:?}", run.log);
    // A queue that takes nothing.
    let forgotten = format!("get_device_id = function() return 'nobody' end\n{text}");
    let run = provision(&forgotten, &variables(), true, |_| {});
    assert_eq!(
        run.log[1],
        "Failed to add PPPoE WAN, SN: nobody | Error Message: Device not found | Code: 404"
    );
}
