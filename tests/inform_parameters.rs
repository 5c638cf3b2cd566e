//! The parameters of an Inform on the whole model: those that it always has, the changed ones, and those
//! of the InformParameter table, with the rules for its rows.
#![allow(clippy::unwrap_used)]

use rcwmp::agent::inform::{Content, content, device_id};
use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::rpc::DeviceId;
use rcwmp::model::addressing::Addressing;
use rcwmp::model::reach::Scope;
use rcwmp::model::watch::{ByAcs, Watch};

#[path = "support/router.rs"]
mod router;
use router::{Router, router_with};

const TABLE: &str = "Device.ManagementServer.InformParameter.";
/// What TR-181 forces: seven.
const FORCED: [&str; 7] = [
    "Device.DeviceInfo.HardwareVersion",
    "Device.DeviceInfo.ProvisioningCode",
    "Device.DeviceInfo.SoftwareVersion",
    "Device.ManagementServer.AliasBasedAddressing",
    "Device.ManagementServer.ConnectionRequestURL",
    "Device.ManagementServer.ParameterKey",
    "Device.RootDataModelVersion",
];

fn router() -> Router {
    router_with(&[
        ("etc/config/network", router::NETWORK),
        ("etc/config/cwmp", "config acs 'acs'\n\toption url 'http://192.0.2.1/'\n\nconfig cpe 'cpe'\n"),
        ("etc/config/system", "config system\n\toption hostname 'r'\n"),
    ])
}

/// A new row; its name.
fn row(router: &mut Router, pattern: &str, events: &str) -> String {
    let row = router.add(TABLE);
    router.set(&[
        (&format!("{row}ParameterName"), pattern),
        (&format!("{row}EventList"), events),
        (&format!("{row}Enable"), "1"),
    ]);
    row
}

fn inform(router: &mut Router, events: &[EventCode], changed: &[&str]) -> Content {
    let events = events.iter().map(|code| Event::of(code.clone())).collect();
    content(&mut router.model, DeviceId::default(), events, String::new(), 0, changed).unwrap()
}

/// The names beyond the forced ones, which are always there and stand first.
fn extras(content: &Content) -> Vec<&str> {
    let names: Vec<&str> = content.inform.parameter_list.iter().map(|one| one.name.as_str()).collect();
    let mut forced = names[..FORCED.len()].to_vec();
    forced.sort_unstable();
    assert_eq!(forced, FORCED);
    names[FORCED.len()..].to_vec()
}

#[test]
fn rows_add_parameters_to_their_events() {
    let mut router = router();
    let up = row(&mut router, "Device.DeviceInfo.UpTime", "2 PERIODIC,M Reboot");
    row(&mut router, "Device.IP.Interface.*.Name", "1 BOOT,2 PERIODIC");
    row(&mut router, "Device.Time.", "6 CONNECTION REQUEST");
    let wide = extras(&inform(&mut router, &[EventCode::Periodic], &[])).len();
    assert!(wide > 3, "{wide}");
    let reboot = EventCode::Method("Reboot".into());
    let content = inform(&mut router, &[EventCode::Scheduled, reboot.clone()], &[]);
    assert_eq!(extras(&content), ["Device.DeviceInfo.UpTime"]);
    let content = inform(&mut router, &[EventCode::ConnectionRequest], &[]);
    assert!(extras(&content).iter().all(|name| name.starts_with("Device.Time.")));
    // The same parameter by two ways is there once; changed ones come first.
    let changed = ["Device.DeviceInfo.HostName", "Device.DeviceInfo.UpTime", "Device.Gone.1.Thing"];
    let content = inform(&mut router, &[EventCode::ValueChange, reboot.clone()], &changed);
    assert_eq!(extras(&content), changed[..2]);
    assert!(extras(&inform(&mut router, &[EventCode::Heartbeat], &changed)).is_empty());
    router.set(&[(&format!("{up}Enable"), "0")]);
    assert!(extras(&inform(&mut router, &[reboot], &[])).is_empty());
    router.delete(&up);
    assert_eq!(extras(&inform(&mut router, &[EventCode::Periodic], &[])).len(), wide - 1);
}

#[test]
fn rows_have_rules() {
    let mut router = router();
    let row = row(&mut router, "Device.DeviceInfo.UpTime", "2 PERIODIC");
    let (name, events) = (format!("{row}ParameterName"), format!("{row}EventList"));
    for (param, value, good) in [
        (&name, "Device.IP.Interface.*.Status", true),
        (&name, "Device.WiFi.", true),
        (&name, "", true),
        (&name, "Device.DeviceInfo.UpTime", true),
        (&name, "Device.IP.Interface.1.Status", false),
        (&name, "Device.IP.Interface.[cpe-1].Status", false),
        (&name, "Device.IP.Interface.Status", false),
        (&name, "Device.NoSuch.Thing", false),
        // What every Inform carries, by itself and below a path.
        (&name, "Device.DeviceInfo.SoftwareVersion", false),
        (&name, "Device.DeviceInfo.", false),
        (&name, "Device.", false),
        (&events, "", true),
        (&events, "0 BOOTSTRAP, 1 BOOT,14 HEARTBEAT,M Download,X 02AB00 Own", true),
        (&events, "2 PERIODIC,4 VALUE CHANGE", false),
        (&events, "periodic", false),
    ] {
        let refused = router.try_set(&[(param, value)]).err();
        assert_eq!(refused.is_none(), good, "{param} {value}: {refused:?}");
    }
    let other = router.add(TABLE);
    let why = router.try_set(&[(&format!("{other}ParameterName"), "Device.DeviceInfo.UpTime")]).unwrap_err();
    assert!(why.contains("another row"), "{why}");
    router.set(&[(&name, "Device.DeviceInfo.UpTime")]);
}

#[test]
fn instances_are_named_as_the_acs_wants_them() {
    let mut router = router();
    row(&mut router, "Device.IP.Interface.*.Name", "2 PERIODIC");
    router.model.set_addressing(Addressing { by_alias: true, auto_create: false });
    let content = inform(&mut router, &[EventCode::Periodic], &[]);
    assert!(extras(&content).iter().all(|name| name.contains("[cpe-")), "{:?}", extras(&content));
    assert!(content.values.iter().all(|(name, _)| !name.contains('[')));
}

#[test]
fn a_change_by_hand_is_told_once_and_one_by_the_acs_never() {
    let mut router = router();
    let mut watch = Watch::default();
    watch.check(&mut router.model, &Scope::All);
    // The ACS sets what is always active.
    router.set(&[("Device.DeviceInfo.ProvisioningCode", "acs")]);
    watch.absorb(&mut router.model, ByAcs::Set(&["Device.DeviceInfo.ProvisioningCode"]));
    router.model.refresh();
    assert!(watch.check(&mut router.model, &Scope::All).is_empty());
    // Somebody else does.
    let file = router.dir.path().join("etc/config/cwmp");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replace("provisioning_code 'acs'", "provisioning_code 'hand'");
    assert_ne!(text, changed);
    std::fs::write(&file, changed).unwrap();
    router.model.refresh();
    let only = |name: &str| Scope::Packages([name.to_owned()].into());
    assert!(watch.check(&mut router.model, &only("network")).is_empty());
    let changes = watch.check(&mut router.model, &only("cwmp"));
    assert_eq!(changes.active, ["Device.DeviceInfo.ProvisioningCode"]);
    let pending = watch.pending(&router.model);
    let changed: Vec<&str> = pending.inform().collect();
    let content = inform(&mut router, &[EventCode::ValueChange], &changed);
    assert!(extras(&content).is_empty(), "it is a forced one");
    watch.told(content.values.iter().map(|(name, value)| (name.as_str(), value)));
    assert!(watch.check(&mut router.model, &Scope::All).is_empty());
    assert!(watch.pending(&router.model).is_empty());
}

/// DeviceIdStruct (A.3.3.1): DeviceInfo's values, within the lengths that the schema has.
#[test]
fn who_we_are() {
    let id = |options: &[(&str, &str)]| {
        let options: String =
            options.iter().map(|(name, value)| format!("\toption {name} '{value}'\n")).collect();
        let file = format!("config acs 'acs'\n\nconfig cpe 'cpe'\n{options}");
        device_id(&mut router_with(&[("etc/config/cwmp", &file)]).model)
    };
    let long = "ü".repeat(70);
    let given = [
        ("manufacturer", long.as_str()),
        ("manufacturer_oui", "00a1bF"),
        ("product_class", "Class"),
        ("serial_number", "S-1"),
    ];
    let found = id(&given).unwrap();
    assert_eq!(found.manufacturer, "ü".repeat(64));
    assert_eq!((found.oui.as_str(), found.product_class.as_str()), ("00A1BF", "Class"));
    assert_eq!(found.serial_number, "S-1");
    // What is no OUI is not sent as one.
    for bad in ["00A1B", "00A1BG", "+0A1BF", "00A1BFF"] {
        let mut given = given;
        given[1].1 = bad;
        let why = id(&given).unwrap_err().to_string();
        assert!(why.contains("ManufacturerOUI"), "{bad}: {why}");
    }
}
