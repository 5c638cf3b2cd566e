//! A CPE in this process: the agent's own session machine and HTTP client, over a small tree of its own.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its part, and may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use rcwmp::cwmp::event::{Event, EventCode};
use rcwmp::cwmp::fault::Fault;
use rcwmp::cwmp::rpc::{
    DeviceId, Inform, Message, ParameterInfo, ParameterValue, Request, Response, Status, TransferTimes,
    UNKNOWN_TIME,
};
use rcwmp::cwmp::session::{Close, Input, Output, Plan, Session};
use rcwmp::cwmp::soap::envelope::{Envelope, Header, Namespace};
use rcwmp::cwmp::soap::{self, Limits};
use rcwmp::http::client::{self, Post};
use rcwmp::model::value::{Kind, Value};

/// The simulated device.
pub struct Cpe {
    /// Its serial number.
    pub serial: String,
    /// Names and values.
    pub tree: BTreeMap<String, String>,
    /// The number of the next instance.
    pub next: u32,
    /// Parts of the model that it has not: reading them is a fault.
    pub lacks: Vec<String>,
    /// Methods done, in order, with what they were about.
    pub done: Vec<String>,
    /// How it talks to the ACS.
    pub settings: client::Settings,
}

impl Cpe {
    /// One that has never informed.
    pub fn new(url: &str, serial: &str) -> Cpe {
        let tree = [
            ("Device.DeviceInfo.SoftwareVersion", "1.0"),
            ("Device.ManagementServer.ConnectionRequestURL", "http://127.0.0.1:9/"),
            ("Device.ManagementServer.ParameterKey", ""),
        ];
        let tree = tree.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = client::Settings::new(url);
        Cpe { serial: serial.to_owned(), tree, next: 1, lacks: Vec::new(), done: Vec::new(), settings }
    }

    /// Its Inform with one event.
    pub fn inform(&self, event: EventCode) -> Inform {
        let items = self.tree.iter().filter(|(name, _)| !name.contains(".T."));
        Inform {
            device_id: DeviceId {
                manufacturer: "Example".into(),
                oui: "020000".into(),
                product_class: "Simulated".into(),
                serial_number: self.serial.clone(),
            },
            events: vec![Event::of(event)],
            max_envelopes: 1,
            current_time: "2026-11-21T06:00:00+01:00".into(),
            retry_count: 0,
            parameter_list: items.map(|(name, value)| item(name, value)).collect(),
        }
    }

    /// A whole session; how it closed.
    pub fn session(&mut self, event: EventCode) -> Result<Close, String> {
        let mut http = client::Session::new(self.settings.clone()).map_err(|error| error.to_string())?;
        let mut machine = Session::new(Plan::new(self.inform(event)));
        let now = Duration::ZERO;
        machine.handle(Input::Begin, now);
        loop {
            match machine.poll_output() {
                Output::Post(envelope) => {
                    let bytes = envelope.map(|envelope| soap::write(&envelope));
                    let post = bytes.as_deref().map_or(Post::Empty, Post::Soap);
                    let reply = http.post(post).map_err(|error| error.to_string())?;
                    machine.handle(input(&reply.body), now);
                }
                Output::Perform(request) => {
                    let performed = self.perform(&request);
                    machine.handle(Input::Performed(performed), now);
                }
                Output::Close(close) => return Ok(close),
                Output::Wait(_) => return Err(format!("waits at {}", machine.stage())),
                _ => {}
            }
        }
    }

    fn perform(&mut self, request: &Request) -> Result<Response, Fault> {
        let about = match request {
            Request::AddObject(call) | Request::DeleteObject(call) => call.object_name.clone(),
            Request::GetParameterValues(names) => names.join(","),
            Request::SetParameterValues(set) => {
                set.list.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(",")
            }
            Request::Reboot(key) => key.clone(),
            _ => String::new(),
        };
        self.done.push(format!("{} {about}", request.name()));
        Ok(match request {
            Request::AddObject(call) => {
                let instance_number = self.next;
                self.next += 1;
                self.tree.insert(format!("{}{instance_number}.Name", call.object_name), String::new());
                Response::AddObject { instance_number, status: Status::Applied }
            }
            Request::SetParameterValues(set) => {
                for one in &set.list {
                    let Some(value) = self.tree.get_mut(&one.name) else {
                        return Err(Fault::new(9005, &one.name));
                    };
                    one.value.text.clone_into(value);
                }
                Response::SetParameterValues(Status::Applied)
            }
            Request::GetParameterValues(names) => {
                let mut values = Vec::new();
                for name in names {
                    if self.lacks.contains(name) {
                        return Err(Fault::new(9005, name));
                    }
                    let of = |known: &str| {
                        known == name || name.ends_with('.') && known.starts_with(name.as_str())
                    };
                    let found = self.tree.iter().filter(|(known, _)| of(known));
                    values.extend(found.map(|(name, value)| item(name, value)));
                }
                Response::GetParameterValues(values)
            }
            Request::GetParameterNames(_) => {
                let info = |name: &String| ParameterInfo { name: name.clone(), writable: true };
                Response::GetParameterNames(self.tree.keys().map(info).collect())
            }
            Request::Reboot(_) => Response::Reboot,
            Request::GetRpcMethods => Response::GetRpcMethods(vec!["Reboot".into()]),
            Request::Download(_) | Request::Upload(_) => {
                let times = TransferTimes {
                    status: Status::Committed,
                    start_time: UNKNOWN_TIME.into(),
                    complete_time: UNKNOWN_TIME.into(),
                };
                if request.name() == "Download" { Response::Download(times) } else { Response::Upload(times) }
            }
            other => return Err(Fault::new(9000, other.name())),
        })
    }
}

/// A message of a CPE in octets.
pub fn octets(message: Message, id: &str) -> Vec<u8> {
    let header = Header { id: Some(id.to_owned()), ..Header::default() };
    soap::write(&Envelope { namespace: Namespace::V1_2, header, message })
}

fn item(name: &str, value: &str) -> ParameterValue {
    ParameterValue { name: name.to_owned(), value: Value { kind: Kind::String, text: value.to_owned() } }
}

fn input(body: &[u8]) -> Input {
    if body.is_empty() {
        return Input::Empty;
    }
    match soap::read(body, &Limits::default()) {
        Ok(envelope) => Input::Reply(envelope),
        Err(error) => Input::Unreadable(error.to_string()),
    }
}
