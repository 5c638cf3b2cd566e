//! The session worker: the one connection to the ACS lives on its thread, for one session.
//!
//! It gets bodies to post and gives replies, and wakes the loop for each. Dropping the [`Worker`] ends
//! the thread as soon as its current exchange is over, and with it the connection.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use nix::sys::eventfd::EventFd;

use super::job::{Bell, STACK};
use crate::http::HttpError;
use crate::http::client::{Post, Reply, Session, Settings};
use crate::sys::channel::{Receiver, Sender, channel};
use crate::sys::thread;

/// What an exchange has brought, and where its connection went, if there was one.
pub type Brought = (Result<Reply, HttpError>, Option<IpAddr>);

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    bodies: Sender<Option<Vec<u8>>>,
    replies: Receiver<Brought>,
}

impl Worker {
    /// Starts a worker that connects with the first post. `wake` is written to after each reply.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(settings: Settings, wake: Arc<EventFd>) -> io::Result<Worker> {
        let (bodies, todo) = channel::<Option<Vec<u8>>>();
        let (done, replies) = channel();
        let work = move || {
            // Whatever ends this thread, a panic included, the loop must hear of it.
            let _bell = Bell(Arc::clone(&wake));
            // Bound here, so that a panic drops it before the bell rings.
            let done = done;
            let mut session = Session::new(settings);
            while let Ok(body) = todo.recv() {
                let post = body.as_deref().map_or(Post::Empty, Post::Soap);
                let reply = match &mut session {
                    Ok(session) => session.post(post),
                    Err(why) => Err(why.clone()),
                };
                let over = reply.is_err();
                let peer = session.as_ref().ok().and_then(Session::peer);
                if done.send((reply, peer)).is_err() {
                    return;
                }
                let _ = wake.write(1);
                if over {
                    return;
                }
            }
        };
        thread::start("session", STACK, Box::new(work))?;
        Ok(Worker { bodies, replies })
    }

    /// Posts a body, or an empty one. The reply comes by [`Worker::reply`].
    pub fn post(&self, body: Option<Vec<u8>>) {
        // A worker that is gone has left its last words among the replies.
        let _ = self.bodies.send(body);
    }

    /// The reply that has come, if one has.
    pub fn reply(&self) -> Option<Brought> {
        match self.replies.try_recv() {
            Ok(reply) => Some(reply),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some((Err(HttpError::NoAnswer("the session worker ended".to_owned())), None))
            }
        }
    }
}
