//! Accounts, passwords and keys through the whole model: the files that they are in, before and after.
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/router.rs"]
mod router;

use std::fs;

use rcwmp::model::error::ErrorKind;
use router::{NETWORK, Router, router_with};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExample me@desk";

#[test]
fn keys_of_root() {
    let mut router = router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/dropbear/authorized_keys", &format!("# note\n\n{KEY}\n")),
    ]);
    let file =
        |router: &Router| fs::read_to_string(router.dir.path().join("etc/dropbear/authorized_keys")).unwrap();
    let mut bare = router_with(&[]);
    let refused = bare.model.add("Device.SSH.AuthorizedKey.", None).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Exhausted(_)), "9004, not {refused}");
    assert!(refused.to_string().contains("dropbear is not installed"), "{refused}");
    let new = router.add("Device.SSH.AuthorizedKey.");
    assert_eq!(new, "Device.SSH.AuthorizedKey.2.");
    router.check(&format!("{new}Key"), "");
    let other = KEY.replace("AAAAC3", "AAAAC4");
    for bad in ["nonsense", &format!("{other}\n{other}"), "# ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB", KEY] {
        assert!(router.try_set(&[(&format!("{new}Key"), bad)]).is_err(), "{bad}");
        assert_eq!(file(&router), format!("# note\n\n{KEY}\n# rcwmp 1\n"));
    }
    assert_eq!(router.try_set(&[(&format!("{new}Key"), &other)]), Ok(()));
    router.check(&format!("{new}Key"), &other);
    assert_eq!(file(&router), format!("# note\n\n{KEY}\n{other}\n"));
    router.delete("Device.SSH.AuthorizedKey.1.");
    assert_eq!(file(&router), format!("# note\n\n{other}\n"));
    router.check(&format!("{new}Key"), &other);
    let mut router = router.restart();
    router.check("Device.SSH.AuthorizedKey.2.Key", &other);
    router.delete(&new);
    assert_eq!(file(&router), "# note\n\n");
}

#[test]
fn accounts_come_and_go() {
    let mut router = router_with(&[
        ("etc/config/network", NETWORK),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/ash\ndaemon:*:1:1:daemon:/var:/bin/false\n"),
        ("etc/shadow", "root::0:0:99999:7:::\ndaemon:*:0:0:99999:7:::\n"),
        ("etc/group", "root:x:0:\nusers:x:100:\n"),
        ("etc/shells", "/bin/ash\n/bin/bash\n"),
    ]);
    let file =
        |router: &Router, name: &str| fs::read_to_string(router.dir.path().join("etc").join(name)).unwrap();
    let new = router.add("Device.Users.User.");
    for (name, value) in [
        ("Enable", "0"),
        ("Username", "user1"),
        ("UserID", "1000"),
        ("StaticUser", "0"),
        ("GroupParticipation", ""),
    ] {
        router.check(&format!("{new}{name}"), value);
    }
    // Without a password it can be opened by keys only.
    router.set(&[(&format!("{new}Enable"), "1"), (&format!("{new}Username"), "alice")]);
    assert!(file(&router, "shadow").contains("\nalice:*:"), "{}", file(&router, "shadow"));
    let set = router.try_set(&[
        (&format!("{new}Password"), "correct horse"),
        (&format!("{new}Shell"), "Device.Users.SupportedShell.2"),
        (&format!("{new}UserID"), "1005"),
    ]);
    assert_eq!(set, Ok(()));
    assert!(file(&router, "shadow").contains("\nalice:$5$"), "{}", file(&router, "shadow"));
    assert!(file(&router, "passwd").ends_with("\nalice:x:1005:1000:user1:/var:/bin/bash\n"));
    assert!(!file(&router, "shadow").contains("correct"));
    router.check(&format!("{new}Password"), "");
    router.set(&[(&format!("{new}Enable"), "0")]);
    assert!(file(&router, "shadow").contains("\nalice:!$5$"));
    router.set(&[(&format!("{new}Enable"), "1")]);
    assert!(file(&router, "shadow").contains("\nalice:$5$"));
    for (name, value) in [
        ("Username", "root"),
        ("Username", "Alice"),
        ("Username", "a:b"),
        ("Username", "../x"),
        ("Username", ""),
        ("UserID", "0"),
        ("UserID", "70000"),
        ("Password", ""),
        ("Password", "a\nroot::0"),
        ("Shell", ""),
        ("Shell", "/bin/sh"),
    ] {
        let before = (file(&router, "passwd"), file(&router, "shadow"));
        let result = router.try_set(&[(&format!("{new}{name}"), value)]);
        assert!(result.is_err() || value.is_empty() && name == "Shell", "{name} {value:?}");
        if result.is_err() {
            assert_eq!((file(&router, "passwd"), file(&router, "shadow")), before);
        }
    }
    // The system's own stay, but get a password.
    assert!(router.try_set(&[("Device.Users.User.1.Username", "toor")]).is_err());
    assert!(router.try_set(&[("Device.Users.User.1.UserID", "1001")]).is_err());
    assert!(router.model.delete("Device.Users.User.1.", None).is_err());
    let names = router.model.names("Device.Users.User.", true).unwrap();
    assert!(names.contains(&("Device.Users.User.1.".to_owned(), false)), "{names:?}");
    assert!(names.contains(&(new.clone(), true)), "{names:?}");
    assert_eq!(router.try_set(&[("Device.LANConfigSecurity.ConfigPassword", "s3cret")]), Ok(()));
    router.check("Device.LANConfigSecurity.ConfigPassword", "");
    assert!(file(&router, "shadow").starts_with("root:$5$"));
    let group = router.add("Device.Users.Group.");
    router.set(&[(&format!("{group}Groupname"), "guests")]);
    assert!(
        file(&router, "group").ends_with("\nguests:x:1000:\n")
            || file(&router, "group").contains("\nguests:x:100")
    );
    router.delete(&group);
    router.delete(&new);
    assert_eq!(
        file(&router, "passwd"),
        "root:x:0:0:root:/root:/bin/ash\ndaemon:*:1:1:daemon:/var:/bin/false\n"
    );
    assert!(!file(&router, "shadow").contains("alice"));
    assert_eq!(file(&router, "group"), "root:x:0:\nusers:x:100:\n");
}
