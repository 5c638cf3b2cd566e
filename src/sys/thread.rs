//! Threads.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread and leaves it to itself. `stack` is its stack's size in bytes.
///
/// The work is boxed so that what starts a thread is there once, not for each kind of work.
///
/// # Errors
/// When no thread can be started.
pub fn start(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    joined(name, stack, work).map(drop)
}

/// As [`start`], for one whose end is waited for.
///
/// # Errors
/// When no thread can be started.
pub fn joined(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).stack_size(stack).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::channel::channel;

    #[test]
    fn it_has_its_name() {
        let (tell, told) = channel();
        let work = move || drop(tell.send(std::thread::current().name().map(str::to_owned)));
        start("work", 64 * 1024, Box::new(work)).unwrap();
        assert_eq!(told.recv().unwrap().as_deref(), Some("work"));
    }
}
