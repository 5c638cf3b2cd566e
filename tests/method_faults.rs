//! Table 5 of TR-069 and the fault lists of its methods, held against every recorded session: what answers
//! an ACS is the method's own response, or a fault with a code that the standard gives this method.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each method of a CPE with the fault codes of its own list (TR-069 A.3, A.4).
const METHODS: [(&str, &[u16]); 20] = [
    ("GetRPCMethods", &[9001, 9002]),
    ("SetParameterValues", &[9001, 9002, 9003, 9004, 9005, 9006, 9007, 9008]),
    ("GetParameterValues", &[9001, 9002, 9003, 9004, 9005]),
    ("GetParameterNames", &[9001, 9002, 9003, 9004, 9005]),
    ("SetParameterAttributes", &[9001, 9002, 9003, 9004, 9005, 9009]),
    ("GetParameterAttributes", &[9001, 9002, 9003, 9004, 9005]),
    ("AddObject", &[9001, 9002, 9003, 9004, 9005]),
    ("DeleteObject", &[9001, 9002, 9003, 9005]),
    ("Reboot", &[9001, 9002, 9003]),
    ("Download", &[9000, 9001, 9002, 9003, 9004, 9010, 9012, 9013]),
    ("ScheduleDownload", &[9000, 9001, 9002, 9003, 9004, 9010, 9013]),
    ("Upload", &[9000, 9001, 9002, 9003, 9004, 9011, 9012, 9013]),
    ("FactoryReset", &[9000, 9001, 9002, 9003]),
    ("GetQueuedTransfers", &[9000, 9001, 9002]),
    ("GetAllQueuedTransfers", &[9000, 9001, 9002]),
    ("CancelTransfer", &[9000, 9001, 9004, 9021]),
    ("ScheduleInform", &[9000, 9001, 9002, 9003]),
    ("ChangeDUState", &[9000, 9001, 9002, 9004]),
    ("SetVouchers", &[9000, 9001, 9002, 9003, 9004]),
    ("GetOptions", &[9000, 9001, 9002, 9003]),
];

/// The codes of a SetParameterValuesFault; 9004 is none (A.3.2.1).
const OF_A_PARAMETER: [u16; 6] = [9001, 9002, 9005, 9006, 9007, 9008];
/// Codes that blame the ACS (A.5).
const CLIENT: [u16; 7] = [9003, 9005, 9006, 9007, 9008, 9020, 9021];

fn list(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of the project")
        .map(|entry| entry.expect("an entry of it").path())
        .collect();
    files.sort();
    files
}

/// The local name of the first element in the Body.
fn message(text: &str) -> String {
    let body = text.split("Body>").nth(1).unwrap_or_default();
    let start = body.trim_start().strip_prefix('<').unwrap_or_default();
    let name = start.split(['>', '/', ' ', '\n']).next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default().to_owned()
}

/// The texts of all elements of a name.
fn texts<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let mark = format!("<{name}>");
    text.split(&mark).skip(1).map(|rest| rest.split('<').next().unwrap_or_default()).collect()
}

fn codes(text: &str) -> Vec<u16> {
    texts(text, "FaultCode").iter().map(|code| code.parse().expect("a code")).collect()
}

/// What is wrong with `answer` as an answer to `request`.
fn complaint(method: &str, answer: &str) -> Option<String> {
    let name = message(answer);
    let known = METHODS.iter().find(|(known, _)| *known == method);
    if name == format!("{method}Response") {
        return known.is_none().then(|| format!("{method} is answered"));
    }
    if name != "Fault" {
        return Some(format!("{name} answers {method}"));
    }
    let (own, parameters) = answer.split_once("<SetParameterValuesFault>").unwrap_or((answer, ""));
    let [code] = codes(own)[..] else { return Some("not one code".to_owned()) };
    let blames = if CLIENT.contains(&code) { "Client" } else { "Server" };
    if texts(answer, "faultcode") != [blames] || texts(answer, "faultstring") != ["CWMP fault"] {
        return Some(format!("{code} has another faultcode or faultstring"));
    }
    match known {
        // Arguments that the schema does not allow are 9003 for every method (A.2.3).
        Some((_, allowed)) if !allowed.contains(&code) && code != 9003 => {
            return Some(format!("{code} is none of {method}'s"));
        }
        None if code != 9000 => return Some(format!("{code} for a method nobody knows")),
        _ => {}
    }
    if !parameters.is_empty() && (method != "SetParameterValues" || code != 9003) {
        return Some(format!("a list of parameters with {code} of {method}"));
    }
    let strange = codes(parameters).into_iter().find(|code| !OF_A_PARAMETER.contains(code));
    strange.map(|code| format!("{code} blames a parameter"))
}

#[test]
fn every_answer_is_one_of_its_method() {
    let mut wrong = Vec::new();
    let mut answered: BTreeMap<String, usize> = BTreeMap::new();
    let mut refused = BTreeSet::new();
    for case in list(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session")) {
        let files = list(&case);
        for pair in files.windows(2) {
            let named = |at: usize, what: &str| pair[at].to_string_lossy().ends_with(what);
            if !named(0, "-acs.xml") || !named(1, "-cpe.xml") {
                continue;
            }
            let text = |at: usize| fs::read_to_string(&pair[at]).expect("a step");
            let (request, answer) = (text(0), text(1));
            let method = message(&request);
            // What follows a response or a fault of the ACS is no answer to it.
            if method.ends_with("Response") || method == "Fault" {
                continue;
            }
            if let Some(why) = complaint(&method, &answer) {
                wrong.push(format!("{}: {why}", pair[1].display()));
            } else if message(&answer) == "Fault" {
                refused.insert((method, codes(&answer)[0]));
            } else {
                *answered.entry(method).or_default() += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // SetVouchers is refused always: no option of this device hangs on one.
    let silent: Vec<&str> = METHODS
        .iter()
        .map(|(method, _)| *method)
        .filter(|method| !answered.contains_key(*method) && *method != "SetVouchers")
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
    assert!(refused.contains(&("SetVouchers".to_owned(), 9001)) && refused.len() > 20, "{refused:?}");
}

#[test]
fn the_list_of_methods_is_the_standard_s() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session/methods");
    let answer = fs::read_to_string(folder.join("05-cpe.xml")).expect("the recorded answer");
    assert_eq!(texts(&answer, "string"), METHODS.map(|(method, _)| method));
}

#[test]
fn the_check_can_fail() {
    let fault = |code: u16, blames: &str, more: &str| {
        format!(
            "<s:Body><s:Fault><faultcode>{blames}</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>\
             <FaultCode>{code}</FaultCode>{more}</cwmp:Fault></detail></s:Fault></s:Body>"
        )
    };
    let of = |code: u16| {
        format!("<SetParameterValuesFault><FaultCode>{code}</FaultCode></SetParameterValuesFault>")
    };
    let check = |method: &str, answer: &str, is_wrong: bool| {
        assert_eq!(complaint(method, answer).is_some(), is_wrong, "{method} {answer}");
    };
    check("Reboot", "<s:Body>\n<c:RebootResponse/></s:Body>", false);
    check("Reboot", "<s:Body><c:UploadResponse/></s:Body>", true);
    check("Nonsense", "<s:Body><c:NonsenseResponse/></s:Body>", true);
    check("Reboot", &fault(9002, "Server", ""), false);
    check("Reboot", &fault(9002, "Client", ""), true);
    check("Reboot", &fault(9004, "Server", ""), true);
    check("CancelTransfer", &fault(9003, "Client", ""), false);
    check("DeleteObject", &fault(9004, "Server", ""), true);
    check("Nonsense", &fault(9000, "Server", ""), false);
    check("Nonsense", &fault(9003, "Client", ""), true);
    check("SetParameterValues", &fault(9003, "Client", &of(9008)), false);
    check("SetParameterValues", &fault(9003, "Client", &of(9004)), true);
    check("AddObject", &fault(9003, "Client", &of(9005)), true);
}
