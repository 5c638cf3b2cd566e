//! A queue from one thread to another: what `std::sync::mpsc` is, for one sender.
//!
//! The standard library's is three kinds of queue in one, made for machines with many processors, and
//! costs 5 to 10 KB of code for each type that goes through it. Here a lock around a list will do.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A queue without an end: its users put in no more than they get answers for.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State { items: VecDeque::new(), open: true }),
        more: Condvar::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The end that gives.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end that takes.
pub struct Receiver<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    more: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    /// Both ends are there.
    open: bool,
}

impl<T> Shared<T> {
    /// Nothing in here panics with the lock held, so what a panic elsewhere leaves is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().open = false;
        self.more.notify_all();
    }
}

impl<T> Sender<T> {
    /// Puts one in.
    ///
    /// # Errors
    /// It comes back when nobody can take it any more.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(SendError(item));
        }
        state.items.push_back(item);
        self.0.more.notify_one();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> Receiver<T> {
    /// Takes the oldest, if there is one.
    ///
    /// # Errors
    /// `Empty` while one may still come, `Disconnected` when none can.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.lock();
        match state.items.pop_front() {
            Some(item) => Ok(item),
            None if state.open => Err(TryRecvError::Empty),
            None => Err(TryRecvError::Disconnected),
        }
    }

    /// Takes the oldest, and waits for it.
    ///
    /// # Errors
    /// When none can come.
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.0.lock();
        loop {
            match state.items.pop_front() {
                Some(item) => return Ok(item),
                None if !state.open => return Err(RecvError),
                None => state = self.0.more.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Takes the oldest, and waits for it, but not longer than `most`.
    ///
    /// # Errors
    /// `Timeout` when none has come, `Disconnected` when none can.
    pub fn recv_timeout(&self, most: Duration) -> Result<T, RecvTimeoutError> {
        let begun = Instant::now();
        let mut state = self.0.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Ok(item);
            }
            if !state.open {
                return Err(RecvTimeoutError::Disconnected);
            }
            let left = most.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            state = self.0.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn in_order_and_all_of_them_after_the_sender_has_gone() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let sending = thread::spawn(move || (0..1000).try_for_each(|number| sender.send(number)));
        for number in 0..500 {
            assert_eq!(receiver.recv(), Ok(number));
        }
        sending.join().unwrap().unwrap();
        for number in 500..999 {
            assert_eq!(receiver.try_recv(), Ok(number));
        }
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(999));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_wait_ends_by_its_time_and_when_the_sender_goes() {
        let (sender, receiver) = channel::<u8>();
        let begun = Instant::now();
        assert_eq!(receiver.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
        assert!(begun.elapsed() >= Duration::from_millis(50));
        let waiting = thread::spawn(move || receiver.recv());
        thread::sleep(Duration::from_millis(20));
        drop(sender);
        assert_eq!(waiting.join().unwrap(), Err(RecvError));
    }

    #[test]
    fn a_thread_that_panics_has_let_go() {
        let (sender, receiver) = channel::<u8>();
        let _ = thread::spawn(move || {
            let _sender = sender;
            panic!("on purpose");
        })
        .join();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn what_nobody_takes_comes_back() {
        let (sender, receiver) = channel();
        drop(receiver);
        assert_eq!(sender.send(7), Err(SendError(7)));
    }
}
