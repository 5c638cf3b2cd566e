//! Where UCI's files are elsewhere (`--config-dir`), what the model tells of them is of those.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use rcwmp::backend::{Places, System};
use rcwmp::model::compiled;
use rcwmp::model::tree::Model;
use rcwmp::sys::fs::Root;

#[test]
fn files_are_those_of_the_folder_that_is_set() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, at) in [("etc/config", 1_000_000_000), ("data/uci", 1_600_000_000)] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        let path = dir.path().join(folder).join("firewall");
        fs::write(&path, "config defaults\n").unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(at)).unwrap();
    }
    fs::write(dir.path().join("etc/config/elsewhere"), "").unwrap();
    let places = Places {
        root: Root::new(dir.path()),
        config_dir: "/data/uci".into(),
        delta_dir: "/tmp/.uci".into(),
        state_dir: dir.path().join("state"),
        ubus_socket: None,
    };
    let (system, memory) = System::open(places).unwrap();
    let mut model = Model::new(compiled::schema(), system, memory);
    model.refresh();
    let mut value = |name: &str| model.values([name]).unwrap()[0].1.text.clone();
    assert_eq!(value("Device.DeviceInfo.VendorConfigFileNumberOfEntries"), "1");
    assert_eq!(value("Device.DeviceInfo.VendorConfigFile.1.Name"), "firewall");
    assert_eq!(value("Device.DeviceInfo.VendorConfigFile.1.Date"), "2020-09-13T12:26:40Z");
    assert_eq!(value("Device.Firewall.LastChange"), "2020-09-13T12:26:40Z");
}
