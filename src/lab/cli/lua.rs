//! `--script` and `--profile` of `mini-acs`: reading them, and running them.

use std::path::Path;
use std::sync::Arc;

use super::options::Options;
use crate::lab::acs::profiles::{BUILT_IN, Profiles};
use crate::lab::acs::scripts::Scripts;
use crate::lab::lua::vm::MAX_SCRIPT;
use crate::sys::fs::read_capped;

/// Name and text of a script in a file; `flag` is who wants it.
///
/// # Errors
/// In one sentence.
pub fn read(flag: &str, path: &Path) -> Result<(String, String), String> {
    let bytes = read_capped(path, MAX_SCRIPT).map_err(|error| format!("{flag}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{flag}: {} is not UTF-8", path.display()))?;
    let name =
        path.file_stem().map_or_else(|| "script".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok((name, text))
}

/// The script of a file, or those of a folder, by name.
///
/// # Errors
/// In one sentence; a folder without scripts is one.
pub fn scripts(path: &Path) -> Result<Vec<(String, String)>, String> {
    if !path.is_dir() {
        return Ok(vec![read("--script", path)?]);
    }
    let told = |error: std::io::Error| format!("--script: {}: {error}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(told)? {
        let file = entry.map_err(told)?.path();
        if file.extension().is_some_and(|ending| ending == "lua") {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(format!("--script: there is no .lua file in {}", path.display())),
        false => files.iter().map(|file| read("--script", file)).collect(),
    }
}

/// The profile that is built in under this name, else that of the file.
///
/// # Errors
/// In one sentence.
pub fn profile(path: &Path) -> Result<(String, String), String> {
    let built_in = BUILT_IN.iter().find(|(name, _)| path.as_os_str() == *name);
    built_in
        .map_or_else(|| read("--profile", path), |(name, text)| Ok(((*name).to_owned(), (*text).to_owned())))
}

/// Running scripts; dropping it ends them.
pub struct Running(Arc<Scripts>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop_all();
    }
}

/// Takes the profiles and starts the scripts of a command line, and then what the store has kept of others. What is kept
/// and cannot be used any more is told, and does not hinder the rest.
///
/// # Errors
/// Why one of them cannot be, in one sentence.
pub fn start(options: &Options, scripts: &Arc<Scripts>, profiles: &Profiles) -> Result<Running, String> {
    for (name, text) in &options.profiles {
        profiles.put(name, text).map_err(|error| format!("--profile: {error}"))?;
    }
    let running = Running(Arc::clone(scripts));
    for (name, text) in &options.scripts {
        scripts.start(name, text).map_err(|error| format!("--script: {error}"))?;
    }
    for error in profiles.restore().map_err(|error| error.to_string())? {
        eprintln!("rcwmpd mini-acs: a profile that is kept: {error}");
    }
    for error in scripts.restore().map_err(|error| error.to_string())? {
        eprintln!("rcwmpd mini-acs: a script that is kept: {error}");
    }
    Ok(running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        assert!(scripts(folder.path()).unwrap_err().contains("no .lua file"));
        for name in ["b.lua", "a.lua", "c.txt"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let both = [("a".to_owned(), "a.lua".to_owned()), ("b".to_owned(), "b.lua".to_owned())];
        assert_eq!(scripts(folder.path()).unwrap(), both);
        assert_eq!(scripts(&folder.path().join("b.lua")).unwrap(), both[1..]);
        assert!(scripts(&folder.path().join("d.lua")).is_err());
        assert_eq!(profile(Path::new("tr098")).unwrap().1, BUILT_IN[1].1);
        assert_eq!(profile(&folder.path().join("a.lua")).unwrap(), both[0]);
        std::fs::write(folder.path().join("a.lua"), [0xff]).unwrap();
        assert!(profile(&folder.path().join("a.lua")).unwrap_err().contains("not UTF-8"));
    }
}
