//! How the daemon was started.

use std::path::PathBuf;

use crate::sys::fs::{FsError, Root};
use crate::ubus;

/// The command line's say, for daemon and commands alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What stands for `/`.
    pub root: Root,
    /// Where UCI files are, below the root.
    pub config_dir: PathBuf,
    /// Where the state is kept; `None`: `/etc/rcwmp` below the root.
    pub state_dir: Option<PathBuf>,
    /// `-s`: ubusd's socket; `None`: where it is below the root.
    pub ubus_socket: Option<PathBuf>,
    /// `-b`: the device has just booted.
    pub boot: bool,
    /// `-g`: ask the ACS for its methods.
    pub get_rpc_methods: bool,
    /// `-f`: log to stderr.
    pub foreground: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            root: Root::default(),
            config_dir: "/etc/config".into(),
            state_dir: None,
            ubus_socket: None,
            boot: false,
            get_rpc_methods: false,
            foreground: false,
        }
    }
}

impl Options {
    /// ubusd's socket as a path of this machine.
    ///
    /// # Errors
    /// When it leads out of the root.
    pub fn ubus_socket(&self) -> Result<PathBuf, FsError> {
        match &self.ubus_socket {
            Some(path) => Ok(path.clone()),
            None => self.root.resolve(ubus::SOCKET),
        }
    }

    /// The state directory as a path of this machine.
    pub fn state_dir(&self) -> PathBuf {
        match &self.state_dir {
            Some(dir) => dir.clone(),
            None => self.root.dir().join("etc/rcwmp"),
        }
    }
}
