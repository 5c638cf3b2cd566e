//! Tests in a network of their own: a test starts itself again in namespaces that are gone with its last process, even
//! when it is killed, and that neither another run nor this machine's own addresses can disturb.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_macros)]

use std::process::Command;

/// Set where a test is already inside.
const INSIDE: &str = "RCWMP_TEST_INSIDE";

/// What every such network has: loopback, and its own list of named namespaces.
const FIRST: &str = "ip link set lo up && mkdir -p /run/netns && mount -t tmpfs none /run/netns";

/// Whether this is inside. If not, the test `name` (its whole path) runs again inside, after the commands of a shell
/// in `prepare`, and has then passed; it says `skipped` where there are no namespaces or these commands fail.
pub fn inside(name: &str, prepare: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let prepare = [FIRST, prepare].map(str::trim).join("\n").trim().lines().collect::<Vec<_>>().join(" && ");
    let unshare = |script: String| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", &script]);
        command
    };
    match unshare(prepare.clone()).output() {
        Ok(done) if done.status.success() => {}
        Ok(done) => {
            println!("skipped: no network of its own here: {}", String::from_utf8_lossy(&done.stderr).trim());
            return false;
        }
        Err(why) => {
            println!("skipped: unshare not installed: {why}");
            return false;
        }
    }
    let done = unshare(format!("{prepare} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}{errors}");
    assert!(out.contains("1 passed"), "no test is named {name}: {out}");
    out.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| println!("{line}"));
    false
}

/// Runs commands, one a line; what the first says that fails.
pub fn run(lines: &str) -> Result<(), String> {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = Command::new(words[0]).args(&words[1..]).output();
        let output = output.map_err(|why| format!("{} not installed: {why}", words[0]))?;
        if !output.status.success() {
            return Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    Ok(())
}
