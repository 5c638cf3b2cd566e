//! What a ubus broker does with messages, without a socket: who offers, calls, listens and subscribes to what.
//!
//! It answers as a stock ubusd does, frame for frame: `tests/ubus_frames.rs` and `tests/ubus_stock.rs` play captured
//! conversations against it. What differs: numbers come from a counter that the caller gives; everything is bounded;
//! access is denied by a list instead of by ACL files, to nobody for not being root: the ACL object knows of no rule,
//! and whoever likes is a monitor; descriptors are not passed on; and a message with an attribute of a wrong size is
//! refused, where ubusd passes over the attribute.

use std::collections::BTreeMap;

use super::monitors::Monitors;
use crate::ubus::blob::BlobError;
use crate::ubus::blobmsg::{Table, Text, Value};
use crate::ubus::msg::{self, Attribute, EVENT_OBJECT, Kind, Message, ReadError, Status};

/// Numbers below belong to the broker's own objects.
const FIRST_FREE: u32 = 1024;
/// The object that tells an owner of objects which rules there are for them.
const ACL_OBJECT: u32 = 2;
/// The object of those who want to see everything.
const MONITOR_OBJECT: u32 = 3;
/// The most clients.
pub const MAX_CLIENTS: usize = 64;
/// The most objects of all clients.
pub const MAX_OBJECTS: usize = 1024;
/// The most patterns and subscriptions of all clients, each.
pub const MAX_WATCHES: usize = 1024;
/// The longest name of an object and the longest pattern.
const MAX_NAME: usize = 256;
/// The most octets of a signature.
const MAX_SIGNATURE: usize = 64 << 10;

/// What a number is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbered {
    /// A client.
    Client,
    /// A signature.
    Signature,
    /// An object.
    Object,
}

/// What may be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To call a method, and to see it in a list.
    Access,
    /// To offer an object.
    Publish,
    /// To subscribe to an object.
    Subscribe,
    /// To hear an event.
    Listen,
    /// To tell an event.
    Send,
}

/// One line of the list of what is denied, to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What.
    pub right: Right,
    /// Of which object or event: a name, or a pattern with `*` at its end.
    pub name: String,
    /// Which method alone; every one if none is named.
    pub method: Option<String>,
}

/// Messages to be sent, with the client that each is for.
pub type Out = Vec<(u32, Vec<u8>)>;

/// The broker's state.
pub struct Hub {
    clients: BTreeMap<u32, Client>,
    objects: BTreeMap<u32, Object>,
    paths: BTreeMap<Text, u32>,
    signatures: BTreeMap<u32, Signature>,
    /// By their prefixes, those with the same as they came.
    patterns: Vec<Pattern>,
    /// The last comes first.
    subscriptions: Vec<Subscription>,
    monitors: Monitors,
    events: u16,
    denials: Vec<Denial>,
    numbers: Box<dyn FnMut(Numbered) -> u32 + Send>,
}

struct Client {
    user: Text,
    group: Text,
    /// As they came.
    objects: Vec<u32>,
}

struct Object {
    client: u32,
    path: Option<Text>,
    signature: Option<u32>,
    /// The last number of what the broker itself told the object's owner.
    sequence: u16,
}

struct Signature {
    octets: Vec<u8>,
    methods: Vec<(Text, Value)>,
    users: usize,
}

struct Pattern {
    object: u32,
    prefix: Text,
    partial: bool,
}

struct Subscription {
    object: u32,
    target: u32,
}

/// What a handler leaves to be done.
enum Answer {
    Status(Status),
    /// Everything was sent, or somebody else answers.
    None,
}

impl Hub {
    /// Without clients. `numbers` gives numbers for what is new; one that is taken or below 1024 is passed over.
    pub fn new(denials: Vec<Denial>, numbers: Box<dyn FnMut(Numbered) -> u32 + Send>) -> Hub {
        Hub {
            clients: BTreeMap::new(),
            objects: BTreeMap::new(),
            paths: BTreeMap::new(),
            signatures: BTreeMap::new(),
            patterns: Vec::new(),
            subscriptions: Vec::new(),
            monitors: Monitors::default(),
            events: 0,
            denials,
            numbers,
        }
    }

    /// Somebody connected: gives the client's number, or nothing when there are too many.
    pub fn connect(&mut self, user: &str, group: &str, out: &mut Out) -> Option<u32> {
        if self.clients.len() >= MAX_CLIENTS {
            return None;
        }
        let id = self.number(Numbered::Client);
        self.clients.insert(id, Client { user: user.into(), group: group.into(), objects: Vec::new() });
        let mut sent = Out::new();
        send(&mut sent, id, &Message::new(Kind::Hello, 0, id, Vec::new()));
        self.monitors.pass(sent, out);
        Some(id)
    }

    /// A client is gone, and with it its objects, the last first.
    pub fn disconnect(&mut self, client: u32, out: &mut Out) {
        let Some(gone) = self.clients.remove(&client) else { return };
        self.monitors.remove(client);
        let mut sent = Out::new();
        gone.objects.into_iter().rev().for_each(|id| self.free(id, &mut sent));
        self.monitors.pass(sent, out);
        out.retain(|(to, _)| *to != client);
    }

    /// A client sent one whole message.
    pub fn receive(&mut self, client: u32, raw: &[u8], out: &mut Out) {
        if !self.clients.contains_key(&client) {
            return;
        }
        self.monitors.show(client, raw, false, out);
        let mut sent = Out::new();
        let (sequence, peer, answer) = match msg::decode(raw) {
            Ok(message) => (message.sequence, message.peer, self.handle(client, &message, raw, &mut sent)),
            Err(ReadError::Message { kind, sequence, peer, why }) => {
                let answer = match Kind::from_number(kind) {
                    Some(Kind::Status | Kind::Data) => Answer::None,
                    _ if why.is_none() => Answer::Status(Status::InvalidCommand),
                    _ => Answer::Status(Status::InvalidArgument),
                };
                (sequence, peer, answer)
            }
            // The reader that cut the stream has seen to these.
            Err(_) => return,
        };
        if let Answer::Status(status) = answer {
            let attributes = vec![Attribute::Status(status.number())];
            send(&mut sent, client, &Message::new(Kind::Status, sequence, peer, attributes));
        }
        self.monitors.pass(sent, out);
    }

    /// How many clients and objects there are.
    pub fn size(&self) -> (usize, usize) {
        (self.clients.len(), self.objects.len())
    }

    fn handle(&mut self, client: u32, message: &Message, raw: &[u8], out: &mut Out) -> Answer {
        let status = match message.kind {
            Kind::Ping => {
                let mut pong = raw.to_vec();
                if let Some(kind) = pong.get_mut(1) {
                    *kind = Kind::Data as u8;
                }
                out.push((client, pong));
                Status::Ok
            }
            Kind::Lookup => self.lookup(client, message, out),
            Kind::AddObject => self.add(client, message, out),
            Kind::RemoveObject => self.remove(client, message, out),
            Kind::Subscribe => self.subscribe(client, message, out),
            Kind::Unsubscribe => self.unsubscribe(client, message, out),
            Kind::Invoke => return self.invoke(client, message, out),
            Kind::Notify => return self.notify(client, message, out),
            Kind::Status | Kind::Data => {
                self.respond(client, message, raw, out);
                return Answer::None;
            }
            Kind::Hello | Kind::Monitor => Status::InvalidCommand,
        };
        Answer::Status(status)
    }

    fn number(&mut self, what: Numbered) -> u32 {
        loop {
            let number = (self.numbers)(what);
            let taken = match what {
                Numbered::Client => self.clients.contains_key(&number),
                Numbered::Signature => self.signatures.contains_key(&number),
                Numbered::Object => self.objects.contains_key(&number),
            };
            if number >= FIRST_FREE && !taken {
                return number;
            }
        }
    }

    /// Whose an object is; nobody's if it is the broker's own.
    fn owner(&self, object: u32) -> Option<Option<u32>> {
        match object {
            EVENT_OBJECT | ACL_OBJECT | MONITOR_OBJECT => Some(None),
            _ => self.objects.get(&object).map(|object| Some(object.client)),
        }
    }

    fn denied(&self, right: Right, name: &Text, method: Option<&Text>) -> bool {
        self.denials.iter().any(|denial| {
            denial.right == right
                && match denial.name.strip_suffix('*') {
                    Some(prefix) => name.as_bytes().starts_with(prefix.as_bytes()),
                    None => *name == *denial.name,
                }
                && denial.method.as_deref().is_none_or(|only| method.is_some_and(|method| *method == *only))
        })
    }

    fn lookup(&self, client: u32, message: &Message, out: &mut Out) -> Status {
        let Some(pattern) = message.object_path() else {
            self.paths.values().for_each(|id| self.show(client, message, *id, out));
            return Status::Ok;
        };
        if pattern.as_bytes().is_empty() {
            return Status::InvalidArgument;
        }
        match pattern.as_bytes().strip_suffix(b"*") {
            None => match self.paths.get(pattern) {
                Some(id) => self.show(client, message, *id, out),
                None => return Status::NotFound,
            },
            Some(prefix) => {
                let mut found = false;
                for (_, id) in self.paths.iter().filter(|(path, _)| path.as_bytes().starts_with(prefix)) {
                    self.show(client, message, *id, out);
                    found = true;
                }
                if !found {
                    return Status::NotFound;
                }
            }
        }
        Status::Ok
    }

    /// One object of a list, with the methods that the client may call; nothing if it may call none.
    fn show(&self, client: u32, message: &Message, id: u32, out: &mut Out) {
        let Some(object) = self.objects.get(&id) else { return };
        let (Some(path), Some(number)) = (&object.path, object.signature) else { return };
        let Some(signature) = self.signatures.get(&number) else { return };
        let allowed = |(name, _): &&(Text, Value)| !self.denied(Right::Access, path, Some(name));
        let methods: Vec<_> = signature.methods.iter().filter(allowed).collect();
        let octets = if methods.len() == signature.methods.len() {
            signature.octets.clone()
        } else if methods.is_empty() {
            return;
        } else {
            let table: Table = methods.into_iter().cloned().collect();
            table.encode().unwrap_or_default()
        };
        let attributes = vec![
            Attribute::ObjectPath(path.clone()),
            Attribute::ObjectId(id),
            Attribute::ObjectType(number),
            Attribute::Signature(octets),
        ];
        send(out, client, &Message::new(Kind::Data, message.sequence, message.peer, attributes));
    }

    fn add(&mut self, client: u32, message: &Message, out: &mut Out) -> Status {
        if self.objects.len() >= MAX_OBJECTS {
            return Status::InvalidArgument;
        }
        let path = message.object_path().cloned();
        if let Some(path) = &path
            && (path.as_bytes().len() > MAX_NAME
                || self.paths.contains_key(path)
                || self.denied(Right::Publish, path, None))
        {
            return Status::InvalidArgument;
        }
        // An object of a number that is none, or with a signature that cannot be read, has no methods to show.
        let signature = match (message.object_type(), message.signature()) {
            (Some(number), _) => self.signatures.contains_key(&number).then_some(number),
            (None, Some(octets)) if octets.len() > MAX_SIGNATURE => return Status::InvalidArgument,
            (None, Some(octets)) => match Table::decode(octets) {
                Ok(table) if table.iter().all(|(name, _)| !name.as_bytes().is_empty()) => {
                    let number = self.number(Numbered::Signature);
                    let methods = table.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                    let signature = Signature { octets: octets.to_vec(), methods, users: 0 };
                    self.signatures.insert(number, signature);
                    Some(number)
                }
                _ => None,
            },
            (None, None) => None,
        };
        if let Some(signature) = signature.and_then(|number| self.signatures.get_mut(&number)) {
            signature.users += 1;
        }
        let id = self.number(Numbered::Object);
        self.objects.insert(id, Object { client, path: path.clone(), signature, sequence: 0 });
        if let Some(owner) = self.clients.get_mut(&client) {
            owner.objects.push(id);
        }
        if let Some(path) = path {
            self.paths.insert(path.clone(), id);
            self.tell_object("ubus.object.add", id, &path, out);
        }
        let mut attributes = vec![Attribute::ObjectId(id)];
        if message.signature().is_some() {
            attributes.extend(signature.map(Attribute::ObjectType));
        }
        send(out, client, &Message::new(Kind::Data, message.sequence, message.peer, attributes));
        Status::Ok
    }

    fn remove(&mut self, client: u32, message: &Message, out: &mut Out) -> Status {
        let Some(id) = message.object_id() else { return Status::InvalidArgument };
        match self.owner(id) {
            None => return Status::NotFound,
            Some(owner) if owner != Some(client) => return Status::PermissionDenied,
            Some(_) => {}
        }
        let Some(object) = self.objects.get(&id) else { return Status::NotFound };
        let mut attributes = vec![Attribute::ObjectId(id)];
        let last = |number: &u32| self.signatures.get(number).is_some_and(|signature| signature.users == 1);
        attributes.extend(object.signature.filter(last).map(Attribute::ObjectType));
        send(out, client, &Message::new(Kind::Data, message.sequence, message.peer, attributes));
        self.free(id, out);
        Status::Ok
    }

    /// Takes an object away and tells everybody whom it concerns.
    fn free(&mut self, id: u32, out: &mut Out) {
        let of: Vec<u32> =
            self.subscriptions.iter().filter(|link| link.object == id).map(|link| link.target).collect();
        for target in of {
            self.unlink(id, target, out);
        }
        let to: Vec<u32> =
            self.subscriptions.iter().filter(|link| link.target == id).map(|link| link.object).collect();
        for subscriber in to {
            if let Some(object) = self.objects.get_mut(&subscriber) {
                object.sequence = object.sequence.wrapping_add(1);
                let attributes = vec![Attribute::ObjectId(subscriber), Attribute::Target(id)];
                send(out, object.client, &Message::new(Kind::Unsubscribe, object.sequence, 0, attributes));
            }
            self.unlink(subscriber, id, out);
        }
        self.patterns.retain(|pattern| pattern.object != id);
        let Some(object) = self.objects.remove(&id) else { return };
        if let Some(owner) = self.clients.get_mut(&object.client) {
            owner.objects.retain(|of| *of != id);
        }
        if let Some(path) = object.path {
            self.paths.remove(&path);
            self.tell_object("ubus.object.remove", id, &path, out);
        }
        if let Some(number) = object.signature
            && let Some(signature) = self.signatures.get_mut(&number)
        {
            signature.users -= 1;
            if signature.users == 0 {
                self.signatures.remove(&number);
            }
        }
    }

    fn invoke(&mut self, client: u32, message: &Message, out: &mut Out) -> Answer {
        let (Some(method), Some(id)) = (message.method(), message.object_id()) else {
            return Answer::Status(Status::InvalidArgument);
        };
        match id {
            EVENT_OBJECT => return Answer::Status(self.event(client, method, message, out)),
            ACL_OBJECT => return Answer::Status(rules(client, method, message, out)),
            MONITOR_OBJECT => return Answer::Status(self.monitors.asked(client, method)),
            _ => {}
        }
        let Some(object) = self.objects.get(&id) else { return Answer::Status(Status::NotFound) };
        if object.path.as_ref().is_some_and(|path| self.denied(Right::Access, path, Some(method))) {
            return Answer::Status(Status::PermissionDenied);
        }
        match self.forward(client, id, method, false, message) {
            Ok(octets) => {
                out.push((object.client, octets));
                Answer::None
            }
            Err(_) => Answer::Status(Status::NoMemory),
        }
    }

    /// An INVOKE as its object gets it.
    fn forward(
        &self,
        client: u32,
        id: u32,
        method: &Text,
        no_reply: bool,
        message: &Message,
    ) -> Result<Vec<u8>, BlobError> {
        let mut attributes = Vec::new();
        if no_reply {
            attributes.push(Attribute::NoReply(true));
        }
        attributes.extend([Attribute::ObjectId(id), Attribute::Method(method.clone())]);
        if let Some(Client { user, group, .. }) = self.clients.get(&client) {
            attributes.extend([Attribute::User(user.clone()), Attribute::Group(group.clone())]);
        }
        attributes.extend(message.data().map(|data| Attribute::Data(data.to_vec())));
        Message::new(Kind::Invoke, message.sequence, client, attributes).encode()
    }

    /// An answer goes to whom it names, as it is, if it is that of its object's owner.
    fn respond(&self, client: u32, message: &Message, raw: &[u8], out: &mut Out) {
        let whole = match message.kind {
            Kind::Status => message.status().is_some(),
            _ => message.data().is_some(),
        };
        let Some(id) = message.object_id() else { return };
        let owns = self.objects.get(&id).is_some_and(|object| object.client == client);
        if !whole || !owns || !self.clients.contains_key(&message.peer) {
            return;
        }
        let mut octets = raw.to_vec();
        if let Some(peer) = octets.get_mut(4..8) {
            peer.copy_from_slice(&id.to_be_bytes());
        }
        out.push((message.peer, octets));
    }

    fn notify(&mut self, client: u32, message: &Message, out: &mut Out) -> Answer {
        let (Some(method), Some(id)) = (message.method(), message.object_id()) else {
            return Answer::Status(Status::InvalidArgument);
        };
        match self.owner(id) {
            None => return Answer::Status(Status::NotFound),
            Some(owner) if owner != Some(client) => return Answer::Status(Status::PermissionDenied),
            Some(_) => {}
        }
        let no_reply = message.no_reply().unwrap_or(false);
        let to: Vec<u32> =
            self.subscriptions.iter().filter(|link| link.target == id).map(|link| link.object).collect();
        if !no_reply {
            let attributes = vec![
                Attribute::ObjectId(id),
                Attribute::Subscribers(to.clone()),
                Attribute::Status(Status::Ok.number()),
            ];
            send(out, client, &Message::new(Kind::Status, message.sequence, message.peer, attributes));
        }
        for subscriber in to {
            let Some(object) = self.objects.get(&subscriber) else { continue };
            if let Ok(octets) = self.forward(client, subscriber, method, no_reply, message) {
                out.push((object.client, octets));
            }
        }
        Answer::None
    }

    fn subscribe(&mut self, client: u32, message: &Message, out: &mut Out) -> Status {
        let (Some(id), Some(target)) = (message.object_id(), message.target()) else {
            return Status::InvalidArgument;
        };
        match self.owner(id) {
            None => return Status::NotFound,
            Some(owner) if owner != Some(client) => return Status::InvalidArgument,
            Some(_) => {}
        }
        let Some(other) = self.objects.get(&target) else { return Status::NotFound };
        if other.client == client {
            return Status::InvalidArgument;
        }
        let hidden = match &other.path {
            Some(path) => self.denied(Right::Subscribe, path, None),
            None => !self.are_related(client, other.client),
        };
        if hidden {
            return Status::NotFound;
        }
        if self.subscriptions.len() >= MAX_WATCHES {
            return Status::NoMemory;
        }
        let first = !self.subscriptions.iter().any(|link| link.target == target);
        self.subscriptions.insert(0, Subscription { object: id, target });
        if first {
            self.tell_active(target, true, out);
        }
        Status::Ok
    }

    fn unsubscribe(&mut self, client: u32, message: &Message, out: &mut Out) -> Status {
        let (Some(id), Some(target)) = (message.object_id(), message.target()) else {
            return Status::InvalidArgument;
        };
        match self.owner(id) {
            None => Status::NotFound,
            Some(owner) if owner != Some(client) => Status::InvalidArgument,
            Some(_) if self.unlink(id, target, out) => Status::Ok,
            Some(_) => Status::NotFound,
        }
    }

    /// Ends one subscription; gives whether there was one.
    fn unlink(&mut self, object: u32, target: u32, out: &mut Out) -> bool {
        let found = |link: &Subscription| link.object == object && link.target == target;
        let Some(at) = self.subscriptions.iter().position(found) else { return false };
        self.subscriptions.remove(at);
        if !self.subscriptions.iter().any(|link| link.target == target) {
            self.tell_active(target, false, out);
        }
        true
    }

    /// The same user or the same group.
    fn are_related(&self, one: u32, other: u32) -> bool {
        match (self.clients.get(&one), self.clients.get(&other)) {
            (Some(one), Some(other)) => one.user == other.user || one.group == other.group,
            _ => false,
        }
    }

    fn tell_active(&mut self, target: u32, active: bool, out: &mut Out) {
        let Some(object) = self.objects.get_mut(&target) else { return };
        object.sequence = object.sequence.wrapping_add(1);
        let attributes = vec![Attribute::ObjectId(target), Attribute::Active(active)];
        send(out, object.client, &Message::new(Kind::Notify, object.sequence, 0, attributes));
    }

    /// The object of events: `register` and `send`.
    fn event(&mut self, client: u32, method: &Text, message: &Message, out: &mut Out) -> Status {
        if *method != "register" && *method != "send" {
            return Status::InvalidCommand;
        }
        let Some(arguments) = message.data().and_then(|data| Table::decode(data).ok()) else {
            return Status::InvalidArgument;
        };
        if *method == "register" {
            return self.register(client, &arguments);
        }
        let name = argument(&arguments, "id", Value::as_text);
        let data = argument(&arguments, "data", Value::as_table);
        let (Some(name), Some(data)) = (name, data) else { return Status::InvalidArgument };
        if name.as_bytes().starts_with(b"ubus.") || self.denied(Right::Send, name, None) {
            return Status::PermissionDenied;
        }
        self.tell(Some(client), name, data, out);
        Status::Ok
    }

    fn register(&mut self, client: u32, arguments: &Table) -> Status {
        let number = |value: &Value| match value {
            Value::Int32(number) => Some(u32::from_be_bytes(number.to_be_bytes())),
            _ => None,
        };
        let object = argument(arguments, "object", number);
        let pattern = argument(arguments, "pattern", Value::as_text);
        let (Some(object), Some(pattern)) = (object, pattern) else { return Status::InvalidArgument };
        if object < FIRST_FREE {
            return Status::PermissionDenied;
        }
        match self.objects.get(&object) {
            None => return Status::NotFound,
            Some(object) if object.client != client => return Status::PermissionDenied,
            Some(_) => {}
        }
        let (prefix, partial) = match pattern.as_bytes().strip_suffix(b"*") {
            Some(prefix) => (Text::new(prefix), true),
            None => (pattern.clone(), false),
        };
        // Everything may be listened to by whoever asks for it so; what he may not hear has names.
        if !prefix.as_bytes().is_empty() && self.denied(Right::Listen, &prefix, None) {
            return Status::PermissionDenied;
        }
        if self.patterns.len() >= MAX_WATCHES || prefix.as_bytes().len() > MAX_NAME {
            return Status::NoData;
        }
        let at = self.patterns.partition_point(|other| other.prefix <= prefix);
        self.patterns.insert(at, Pattern { object, prefix, partial });
        Status::Ok
    }

    fn tell_object(&mut self, event: &str, id: u32, path: &Text, out: &mut Out) {
        let number = i32::from_be_bytes(id.to_be_bytes());
        let mut data = Table::new().with("id", number);
        data.push("path", Value::String(path.clone()));
        self.tell(None, &event.into(), &data, out);
    }

    /// An event for every object that listens, once each; not for those of who tells it.
    fn tell(&mut self, from: Option<u32>, name: &Text, data: &Table, out: &mut Out) {
        let Ok(data) = data.encode() else { return };
        let mut told = Vec::new();
        for pattern in &self.patterns {
            let heard = match pattern.partial {
                true => name.as_bytes().starts_with(pattern.prefix.as_bytes()),
                false => *name == pattern.prefix,
            };
            let Some(object) = self.objects.get(&pattern.object) else { continue };
            if !heard || Some(object.client) == from || told.contains(&pattern.object) {
                continue;
            }
            told.push(pattern.object);
            self.events = self.events.wrapping_add(1);
            let attributes = vec![
                Attribute::ObjectId(pattern.object),
                Attribute::Method(name.clone()),
                Attribute::Data(data.clone()),
            ];
            send(out, object.client, &Message::new(Kind::Invoke, self.events, 0, attributes));
        }
    }
}

/// The first argument of this name that is of the right type.
fn argument<'t, T>(arguments: &'t Table, name: &str, read: impl Fn(&'t Value) -> Option<T>) -> Option<T> {
    arguments.iter().filter(|(other, _)| **other == *name).find_map(|(_, value)| read(value))
}

/// The ACL object: no rules of nobody, as where no ACL file is.
fn rules(client: u32, method: &Text, message: &Message, out: &mut Out) -> Status {
    if *method != "query" {
        return Status::InvalidCommand;
    }
    let rules = Table::new().with("seq", 0).with("acl", Vec::<Value>::new());
    let Ok(data) = rules.encode() else { return Status::NoMemory };
    let attributes = vec![Attribute::ObjectId(ACL_OBJECT), Attribute::Data(data)];
    send(out, client, &Message::new(Kind::Data, message.sequence, message.peer, attributes));
    Status::Ok
}

/// What is too large for a message came in none: only the few octets that a broker adds could make it so.
fn send(out: &mut Out, to: u32, message: &Message) {
    if let Ok(octets) = message.encode() {
        out.push((to, octets));
    }
}
