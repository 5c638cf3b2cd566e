//! The lines of the log that icwmp's own documents show: scripts and monitoring look for them, so they are word for
//! word as they stand there. What else there is to say has a line of its own.

use std::fmt;

/// A line of icwmp's, at INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'l> {
    /// The daemon begins; its process.
    Starting(u32),
    /// The periodic Inform is sent, every so many seconds.
    PeriodicOn(u32),
    /// It is not.
    PeriodicOff,
    /// The moment its period is counted from, as a dateTime; `None` where there is none.
    PeriodicTime(Option<&'l str>),
    /// Connection requests are taken on this port.
    PortOpen(u16),
    /// A session begins.
    SessionBegins,
    /// With the ACS there.
    AcsUrl(&'l str),
    /// The Inform is put together.
    Preparing,
    /// A call of this method goes out.
    Send(&'l str),
    /// The Inform was confirmed.
    InformConfirmed,
    /// The ACS may speak.
    SendEmpty,
    /// It has nothing to say.
    NoContent,
    /// The session was good.
    SessionEnds,
    /// The session is over, good or not.
    Waiting,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Starting(pid) => write!(f, "STARTING ICWMP with PID :{pid}"),
            Line::PeriodicOn(seconds) => write!(f, "Periodic event is enabled. Interval period = {seconds}s"),
            Line::PeriodicOff => f.write_str("Periodic event is disabled"),
            Line::PeriodicTime(time) => write!(f, "Periodic time is {}", time.unwrap_or("Unknown")),
            Line::PortOpen(port) => write!(f, "Connection Request server initiated with the port: {port}"),
            Line::SessionBegins => f.write_str("Start session"),
            Line::AcsUrl(url) => write!(f, "ACS url: {url}"),
            Line::Preparing => f.write_str("Preparing the Inform RPC message to send to the ACS"),
            Line::Send(method) => write!(f, "Send the {method} RPC message to the ACS"),
            Line::InformConfirmed => f.write_str("Get the InformResponse message from the ACS"),
            Line::SendEmpty => f.write_str("Send empty message to the ACS"),
            Line::NoContent => f.write_str("Receive HTTP 204 No Content"),
            Line::SessionEnds => f.write_str("End session"),
            Line::Waiting => f.write_str("Waiting the next session"),
        }
    }
}
