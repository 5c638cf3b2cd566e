//! Work that takes its time, on a thread of its own: a transfer, a diagnostic.
//!
//! The thread owns what it is given and leaves one result; the loop is woken when it is there. Dropping
//! the [`Job`] asks the thread to end, and forgets it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TryRecvError;

use nix::sys::eventfd::EventFd;

use crate::sys::channel::{Receiver, channel};
use crate::sys::thread;

/// Enough for TLS and buffers on the stack; the default of 8 MiB only looks frightening on a router.
pub(super) const STACK: usize = 512 * 1024;

/// Running work.
#[derive(Debug)]
pub struct Job<T> {
    result: Receiver<T>,
    cancel: Arc<AtomicBool>,
}

/// Where work is.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// Still at it.
    Running,
    /// Its result.
    Done(T),
    /// The thread ended without one.
    Lost,
}

impl<T: Send + 'static> Job<T> {
    /// Starts `work`, which looks at the flag it is given and ends soon when it is set. `wake` is
    /// written to at its end.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        name: &str,
        wake: Arc<EventFd>,
        work: impl FnOnce(&Arc<AtomicBool>) -> T + Send + 'static,
    ) -> io::Result<Job<T>> {
        let (done, result) = channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        let work = move || {
            // Whatever ends this thread, a panic included, the loop must hear of it, and after the result.
            let _bell = Bell(wake);
            // Bound here, so that a panic drops it before the bell rings.
            let done = done;
            let _ = done.send(work(&flag));
        };
        thread::start(name, STACK, Box::new(work))?;
        Ok(Job { result, cancel })
    }

    /// Asks it to end, and keeps an eye on it.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// What has become of it.
    pub fn outcome(&self) -> Outcome<T> {
        match self.result.try_recv() {
            Ok(result) => Outcome::Done(result),
            Err(TryRecvError::Empty) => Outcome::Running,
            Err(TryRecvError::Disconnected) => Outcome::Lost,
        }
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// Rings when dropped.
pub(super) struct Bell(pub Arc<EventFd>);

impl Drop for Bell {
    fn drop(&mut self) {
        let _ = self.0.write(1);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::eventfd::EfdFlags;

    use super::*;

    fn wait(wake: &EventFd) {
        let mut fds = [PollFd::new(wake.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::try_from(Duration::from_secs(10)).unwrap()), Ok(1));
        let _ = wake.read();
    }

    #[test]
    fn results_losses_and_cancellation() {
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
        let job = Job::start("test", Arc::clone(&wake), |_| 7).unwrap();
        wait(&wake);
        assert_eq!(job.outcome(), Outcome::Done(7));
        let job: Job<u8> = Job::start("test", Arc::clone(&wake), |_| panic!("lost on purpose")).unwrap();
        wait(&wake);
        assert_eq!(job.outcome(), Outcome::Lost);
        let (started, begun) = channel();
        let job = Job::start("test", Arc::clone(&wake), move |cancel| {
            let _ = started.send(());
            while !cancel.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        begun.recv().unwrap();
        let job = job.unwrap();
        assert_eq!(job.outcome(), Outcome::Running);
        drop(job);
        wait(&wake);
    }
}
