//! One transfer from beginning to end.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::fault::{Cause, Failure};
use super::http;
use super::part::Part;
use super::place::Place;
use crate::http::auth::Credentials;
use crate::http::wire::{Cancel, Secure};
use crate::sys::fs::open_regular;

/// How much is moved at a time.
const BLOCK: usize = 32 * 1024;

/// What to transfer, and how.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Which way, and our file.
    pub direction: Direction,
    /// The URL as the ACS gave it.
    pub url: String,
    /// User name and password as the ACS gave them; an empty name means none, for FTP `anonymous`.
    pub credentials: Credentials,
    /// `FileSize` of a Download, in octets, 0 if unknown. Too large for what is free is a failure; a
    /// wrong size is none (TR-069 A.3.2.8).
    pub size: u64,
    /// What puts TLS on a connection, with our trust, our certificate and the rule for an unset
    /// clock; `None` where none is set up. One for many transfers lets them resume each other.
    pub tls: Option<Arc<dyn Secure>>,
    /// Ask for TLS (AUTH TLS) on `ftp` as well; if the server has none, go on without.
    pub tls_for_ftp: bool,
    /// The HTTP `User-Agent`; empty for none.
    pub user_agent: String,
    /// The network interface to leave by.
    pub interface: Option<String>,
    /// Use IPv4 addresses only.
    pub force_ipv4: bool,
    /// Ask an HTTP server whether a file is welcome before it is sent.
    pub expect: bool,
}

/// Which way a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direction {
    /// From the server into this file, by an absolute path. It is replaced once the new one is whole.
    Download {
        /// The file; `NAME.part` beside it while it comes.
        into: PathBuf,
    },
    /// From this file to the server.
    Upload {
        /// A regular file.
        from: PathBuf,
    },
}

/// What a transfer may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest file, in octets.
    pub max_size: u64,
    /// What must stay free on the file system of a download, in octets.
    pub reserve: u64,
    /// How long to wait for a connection, and for each next octet.
    pub idle: Duration,
}

impl Default for Limits {
    /// 2 GiB, 1 MiB, 30 s.
    fn default() -> Limits {
        Limits { max_size: 2 << 30, reserve: 1 << 20, idle: Duration::from_secs(30) }
    }
}

/// A transfer that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The size of the file, in octets.
    pub size: u64,
}

/// Transfers a file. Waits, at most until `deadline`, and at most a second once `cancel` is set.
///
/// After a failed download neither the file nor a part of it is there that was not before.
pub fn run(job: &Transfer, limits: &Limits, cancel: &Cancel, deadline: Instant) -> Result<Done, Failure> {
    let is_upload = matches!(job.direction, Direction::Upload { .. });
    let work = Work { job, limits, cancel, deadline };
    let done = match &job.direction {
        Direction::Download { into } => Part::create(into, limits).and_then(|part| work.download(part)),
        Direction::Upload { from } => open_regular(from)
            .map_err(|error| Cause::Local(error.to_string()))
            .and_then(|file| work.upload(file)),
    };
    done.map(|size| Done { size }).map_err(|cause| {
        let cause = match cause {
            _ if cancel.load(Ordering::Relaxed) => Cause::Cancelled,
            Cause::Unreachable(_) | Cause::CutOff(_) if Instant::now() >= deadline => Cause::TooLong,
            cause => cause,
        };
        cause.of(is_upload)
    })
}

/// A transfer and its bounds, as the protocols need them.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) job: &'a Transfer,
    pub(super) limits: &'a Limits,
    pub(super) cancel: &'a Cancel,
    pub(super) deadline: Instant,
}

impl Work<'_> {
    fn download(&self, mut part: Part<'_>) -> Result<u64, Cause> {
        let place = Place::parse(&self.job.url)?;
        if self.job.size > 0 {
            part.expect(self.job.size)?;
        }
        match place {
            Place::Http(url) => http::download(&url, self, &mut part)?,
            #[cfg(feature = "ftp")]
            Place::Ftp(place) => super::ftp::download(&place, self, &mut part)?,
        }
        self.check()?;
        part.finish()
    }

    fn upload(&self, mut file: File) -> Result<u64, Cause> {
        let place = Place::parse(&self.job.url)?;
        let length = file.metadata().map_err(|error| Cause::Local(error.to_string()))?.len();
        if length > self.limits.max_size {
            return Err(Cause::TooLarge { max: self.limits.max_size });
        }
        match place {
            Place::Http(url) => http::upload(&url, self, &mut file, length)?,
            #[cfg(feature = "ftp")]
            Place::Ftp(place) => super::ftp::upload(&place, self, &mut file, length)?,
        }
        Ok(length)
    }

    /// Writes all that comes. Errors while reading break the file off.
    pub(super) fn receive(&self, from: &mut dyn Read, part: &mut Part<'_>) -> Result<(), Cause> {
        let mut block = vec![0; BLOCK];
        loop {
            self.check()?;
            match from.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(amount) => part.write(&block[..amount])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Cause::CutOff(error.to_string())),
            }
        }
    }

    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), Cause> {
        match () {
            () if self.cancel.load(Ordering::Relaxed) => Err(Cause::Cancelled),
            () if Instant::now() >= self.deadline => Err(Cause::TooLong),
            () => Ok(()),
        }
    }
}
