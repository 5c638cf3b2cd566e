//! The binding in a NAT that connection requests by UDP come through: found, told to the STUN server, kept
//! (TR-069 Annex G).
//!
//! Pure: time is a [`Duration`] since some start, random octets are arguments, datagrams are given and taken.
//!
//! ```text
//!  Binding Request ─► as before ─► how long it lives is known? ─► the next after that time
//!         ▲               │ new                     │ not yet
//!         │               ▼                         ▼
//!         │        BINDING-CHANGE at once    silence, then a second port asks the server to answer
//!         └──────────────────────────────────to the first (RFC 3489 10.2): lived as long, or did not
//! ```
//! Silence is as long as the longest time known to be survived at first, then twice that, and after a failure
//! between the two. A server that answers the second port itself cannot do that; the shortest period is
//! kept then.

use std::net::SocketAddr;
use std::time::Duration;

use crate::connreq::stun::{self, Answer, Request, TransactionId};
use crate::secret::Secret;

/// RFC 3489 9.3: the first copy follows after this, each further one after twice the time before.
const RETRANSMIT: Duration = Duration::from_millis(100);
/// The longest time between copies, and before giving up after the last.
const MAX_RETRANSMIT: Duration = Duration::from_millis(1600);
/// How often a request is sent.
const COPIES: u32 = 9;
/// Never more often, whatever is configured and whatever a server says.
const LEAST: Duration = Duration::from_secs(1);
/// A binding that lives so long is not tried longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// What the ACS has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// STUNUsername; empty for none.
    pub username: String,
    /// STUNPassword, for a server that asks for it.
    pub password: Secret,
    /// STUNMinimumKeepAlivePeriod.
    pub minimum: Duration,
    /// STUNMaximumKeepAlivePeriod; `None` for no limit.
    pub maximum: Option<Duration>,
}

/// Which of our two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The one that awaits connection requests.
    First,
    /// One that only asks for answers to the first.
    Second,
}

/// A datagram for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Where it is to leave.
    pub from: Port,
    /// Its octets.
    pub bytes: Vec<u8>,
}

/// The client of one STUN server.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    server: SocketAddr,
    binding: Option<SocketAddr>,
    /// The server has asked for MESSAGE-INTEGRITY.
    seals: bool,
    flight: Option<Flight>,
    /// What follows, and when.
    next: (Duration, Kind),
    search: Search,
    /// The last silence was perhaps too long.
    doubts: bool,
    /// Requests in a row that the server has not answered.
    failures: u32,
    /// The error that it has answered last.
    refusal: Option<u16>,
}

/// A request on its way.
#[derive(Debug)]
struct Flight {
    id: TransactionId,
    kind: Kind,
    bytes: Vec<u8>,
    sent: u32,
    again: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Keeps the binding and asks for it.
    Keep,
    /// The same, and tells the server that it is new.
    Announce,
    /// Asks through the second port whether the first still has it.
    Probe,
}

/// How long bindings live.
#[derive(Debug)]
struct Search {
    /// This long at least.
    survived: Duration,
    /// Not to be tried longer.
    limit: Duration,
    /// A silence as long as the limit was too long.
    is_measured: bool,
    /// The silence that is tried.
    trial: Duration,
    state: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Whether the server answers to another port is not known; tried without a silence.
    Untried,
    Trying,
    Done,
}

impl Search {
    fn new(settings: &Settings) -> Search {
        let survived = least(settings);
        // Periods that are the same leave nothing to be found.
        let is_fixed = settings.maximum.is_some_and(|maximum| maximum <= survived);
        Search {
            survived,
            limit: settings.maximum.unwrap_or(LONGEST).min(LONGEST).max(survived),
            is_measured: false,
            trial: Duration::ZERO,
            state: if is_fixed { Progress::Done } else { Progress::Untried },
        }
    }

    fn lived(&mut self) {
        self.survived = self.survived.max(self.trial);
        self.state = Progress::Trying;
        self.choose();
    }

    fn died(&mut self) {
        if self.state == Progress::Untried {
            self.state = Progress::Done;
            return;
        }
        (self.limit, self.is_measured) = (self.trial, true);
        self.choose();
    }

    fn choose(&mut self) {
        let left = self.limit.saturating_sub(self.survived);
        if left <= if self.is_measured { self.survived / 8 } else { Duration::ZERO } {
            self.state = Progress::Done;
        }
        self.trial = match self.is_measured {
            true => self.survived + left / 2,
            false => self.survived.saturating_mul(2).min(self.limit),
        };
    }
}

impl Client {
    /// A client that asks at once. `binding` is what is known from before.
    pub fn new(settings: Settings, server: SocketAddr, binding: Option<SocketAddr>, now: Duration) -> Client {
        let search = Search::new(&settings);
        Client {
            settings,
            server,
            binding,
            seals: false,
            flight: None,
            next: (now, Kind::Keep),
            search,
            doubts: false,
            failures: 0,
            refusal: None,
        }
    }

    /// Whom the datagrams are for.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Where the rest of the world finds the first port, as far as is known.
    pub fn binding(&self) -> Option<SocketAddr> {
        self.binding
    }

    /// How many requests in a row were in vain.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The error that the server has answered last.
    pub fn refusal(&self) -> Option<u16> {
        self.refusal
    }

    /// How long the binding is left alone, as far as is known.
    pub fn period(&self) -> Duration {
        self.search.survived
    }

    /// Whether the second port is needed.
    pub fn searches(&self) -> bool {
        self.search.state != Progress::Done
    }

    /// When [`Client::tick`] has something to do.
    pub fn deadline(&self) -> Duration {
        self.flight.as_ref().map_or(self.next.0, |flight| flight.again)
    }

    /// What is to be sent now; `random` fills its argument with random octets.
    pub fn tick(&mut self, now: Duration, random: &mut dyn FnMut(&mut [u8])) -> Option<Datagram> {
        match &mut self.flight {
            Some(flight) if now < flight.again => return None,
            Some(flight) if flight.sent < COPIES => {
                flight.again = now + (RETRANSMIT * (1 << flight.sent)).min(MAX_RETRANSMIT);
                flight.sent += 1;
                return Some(Datagram { from: flight.kind.port(), bytes: flight.bytes.clone() });
            }
            Some(_) => self.unanswered(now),
            None => {}
        }
        let (due, kind) = self.next;
        (now >= due && self.flight.is_none()).then(|| self.send(kind, now, random))
    }

    /// There is no second port now for what [`Client::tick`] has given. It says nothing of the binding, which is kept
    /// as long as it is known to live; the search goes on when there is one.
    pub fn has_no_second(&mut self, now: Duration) {
        if self.flight.take_if(|flight| flight.kind == Kind::Probe).is_some() {
            let Search { survived, trial, .. } = &mut self.search;
            // No longer silence than that is worth anything now.
            *trial = (*trial).min(*survived);
            self.next = (now + (*survived - *trial), Kind::Keep);
        }
    }

    /// Takes a datagram that came to one of our ports. Gives whether the binding is another now.
    pub fn receive(&mut self, at: Port, from: SocketAddr, bytes: &[u8], now: Duration) -> bool {
        let password = self.seals.then_some(self.settings.password.as_str());
        let Some(flight) = &self.flight else { return false };
        // The transaction is known to nobody but the server, whatever address somebody pretends to have.
        let Ok(response) = stun::read(bytes, password) else { return false };
        if from != self.server || response.id != flight.id {
            return false;
        }
        let kind = flight.kind;
        match response.answer {
            Answer::Mapped(_) if self.seals && !response.is_proven => return false,
            Answer::Mapped(mapped) if kind != Kind::Probe => {
                if at == Port::First {
                    return self.mapped(mapped, kind, now);
                }
            }
            Answer::Mapped(_) if at == Port::First => self.probed(true, now),
            Answer::Mapped(_) => self.unsupported(now),
            Answer::Refused(401) if !self.seals && self.has_credentials() => {
                (self.seals, self.flight, self.next) = (true, None, (now, kind));
            }
            Answer::Refused(_) if kind == Kind::Probe => self.unsupported(now),
            Answer::Refused(code) => {
                self.refusal = Some(code);
                self.failed(now);
            }
        }
        false
    }

    fn has_credentials(&self) -> bool {
        !self.settings.username.is_empty() && !self.settings.password.is_empty()
    }

    fn send(&mut self, kind: Kind, now: Duration, random: &mut dyn FnMut(&mut [u8])) -> Datagram {
        let mut id = TransactionId([0; 16]);
        random(&mut id.0);
        let request = Request {
            id,
            from_listener: kind != Kind::Probe,
            changed: kind == Kind::Announce,
            username: &self.settings.username,
            password: self.seals.then_some(self.settings.password.as_str()),
            answer_to: self.binding.filter(|_| kind == Kind::Probe),
        };
        let bytes = request.to_bytes();
        self.flight = Some(Flight { id, kind, bytes: bytes.clone(), sent: 1, again: now + RETRANSMIT });
        Datagram { from: kind.port(), bytes }
    }

    fn mapped(&mut self, mapped: SocketAddr, kind: Kind, now: Duration) -> bool {
        (self.flight, self.failures, self.refusal) = (None, 0, None);
        let doubted = std::mem::take(&mut self.doubts);
        if self.binding != Some(mapped) {
            // A binding that was given up to find out how long it lives is no reason to begin again.
            // One that does not even live for the shortest period cannot be kept at all.
            if self.binding.is_some() && !doubted && self.search.survived > least(&self.settings) {
                self.search = Search::new(&self.settings);
            }
            self.binding = Some(mapped);
            // A server that says something else each time is not to be asked without a pause.
            let pause = if kind == Kind::Announce { self.search.survived } else { Duration::ZERO };
            self.next = (now + pause, Kind::Announce);
            return true;
        }
        self.next = match self.search.state {
            Progress::Done => (now + self.search.survived, Kind::Keep),
            _ => (now + self.search.trial, Kind::Probe),
        };
        false
    }

    fn probed(&mut self, lived: bool, now: Duration) {
        self.flight = None;
        if lived {
            self.failures = 0;
            self.search.lived();
        } else {
            self.search.died();
            self.doubts = true;
        }
        self.next = (now, Kind::Keep);
    }

    /// The server does not answer to another port than the one that asks.
    fn unsupported(&mut self, now: Duration) {
        self.search.state = Progress::Done;
        self.flight = None;
        self.next = (now + self.search.survived, Kind::Keep);
    }

    fn unanswered(&mut self, now: Duration) {
        match &self.flight {
            Some(flight) if flight.kind == Kind::Probe => self.probed(false, now),
            _ => self.failed(now),
        }
    }

    /// The binding may live all the same, and requests that are not answered keep it.
    fn failed(&mut self, now: Duration) {
        let kind = self.flight.take().map_or(Kind::Keep, |flight| flight.kind);
        self.failures = self.failures.saturating_add(1);
        if std::mem::take(&mut self.doubts) {
            // It was the server that was silent, not the binding that was dead.
            self.search = Search::new(&self.settings);
        }
        self.next = (now + self.search.survived, kind);
    }
}

/// The shortest period: the maximum, where that is less than the minimum.
fn least(settings: &Settings) -> Duration {
    settings.minimum.min(settings.maximum.unwrap_or(Duration::MAX)).max(LEAST)
}

impl Kind {
    fn port(self) -> Port {
        if self == Kind::Probe { Port::Second } else { Port::First }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "192.0.2.1:3478";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn settings(minimum: u64, maximum: Option<u64>) -> Settings {
        Settings {
            username: String::new(),
            password: Secret::default(),
            minimum: seconds(minimum),
            maximum: maximum.map(seconds),
        }
    }

    /// A client behind a NAT whose bindings live for a while, and a server beyond.
    struct World {
        client: Client,
        now: Duration,
        lifetime: Duration,
        used: Option<Duration>,
        public: u16,
        redirects: bool,
        has_second: bool,
        is_up: bool,
        random: u8,
        /// What the server got: when, and which attributes of ours.
        seen: Vec<(Duration, &'static str)>,
        changes: usize,
    }

    fn world(settings: Settings, lifetime: u64) -> World {
        World {
            client: Client::new(settings, address(SERVER), None, seconds(1000)),
            now: seconds(1000),
            lifetime: seconds(lifetime),
            used: None,
            public: 4000,
            redirects: true,
            has_second: true,
            is_up: true,
            random: 0,
            seen: Vec::new(),
            changes: 0,
        }
    }

    fn has(datagram: &[u8], kind: u16) -> bool {
        datagram[20..].chunks(2).any(|pair| *pair == kind.to_be_bytes())
    }

    fn mapped(request: &[u8], at: SocketAddr) -> Vec<u8> {
        let SocketAddr::V4(at) = at else { panic!("IPv4 here") };
        let head = [&[1, 1, 0, 12][..], &request[4..20], &[0, 1, 0, 8, 0, 1]].concat();
        [&head[..], &at.port().to_be_bytes(), &at.ip().octets()].concat()
    }

    impl World {
        fn lives(&self) -> bool {
            self.used.is_some_and(|used| self.now <= used + self.lifetime)
        }

        /// Lets time pass, up to a moment.
        fn until(&mut self, end: u64) {
            let end = seconds(1000 + end);
            while self.client.deadline() <= end {
                self.now = self.now.max(self.client.deadline());
                let random = &mut self.random;
                let datagram = self.client.tick(self.now, &mut |octets| {
                    *random = random.wrapping_add(1);
                    octets.fill(*random);
                });
                let Some(Datagram { from, bytes }) = datagram else { continue };
                if from == Port::Second && !self.has_second {
                    self.client.has_no_second(self.now);
                    continue;
                }
                if from == Port::First {
                    if !self.lives() {
                        self.public += 1;
                    }
                    self.used = Some(self.now);
                }
                if !self.is_up {
                    continue;
                }
                let kind = match (has(&bytes, 0xC001), has(&bytes, 0xC002), has(&bytes, 2)) {
                    (true, true, false) => "announce",
                    (true, false, false) => "keep",
                    (false, false, true) => "probe",
                    other => panic!("{other:?}"),
                };
                self.seen.push((self.now - seconds(1000), kind));
                let public = SocketAddr::new([198, 51, 100, 1].into(), self.public);
                let (port, answer) = match from {
                    Port::First => (Port::First, mapped(&bytes, public)),
                    Port::Second if self.redirects && self.lives() => (Port::First, mapped(&bytes, public)),
                    Port::Second if self.redirects => continue,
                    Port::Second => (Port::Second, mapped(&bytes, public)),
                };
                if port == Port::First {
                    self.used = Some(self.now);
                }
                self.changes += usize::from(self.client.receive(port, address(SERVER), &answer, self.now));
            }
            self.now = end;
        }

        fn kinds(&self) -> Vec<&'static str> {
            self.seen.iter().map(|(_, kind)| *kind).collect()
        }

        fn first(&mut self) -> Vec<u8> {
            self.client.tick(self.now, &mut |octets| octets.fill(7)).unwrap().bytes
        }
    }

    #[test]
    fn a_period_that_is_fixed() {
        let mut world = world(settings(30, Some(30)), 60);
        world.until(100);
        let times: Vec<_> = world.seen.iter().map(|(at, kind)| (at.as_secs(), *kind)).collect();
        let expected = [(0, "keep"), (0, "announce"), (30, "keep"), (60, "keep"), (90, "keep")];
        assert_eq!((times.as_slice(), world.changes), (&expected[..], 1));
        assert_eq!(world.client.binding(), Some(address("198.51.100.1:4001")));
        assert!(!world.client.searches());
    }

    #[test]
    fn the_lifetime_is_found() {
        for (lifetime, least) in [(300, 240), (65, 50), (125, 110), (29, 30)] {
            let mut world = world(settings(30, None), lifetime);
            world.until(4000);
            assert!(!world.client.searches(), "found after an hour");
            let period = world.client.period().as_secs();
            assert!(period >= least && period <= lifetime.max(30), "{period} of {lifetime}");
            assert_eq!(world.kinds()[..3], ["keep", "announce", "probe"]);
            if lifetime >= 30 {
                let (changes, port) = (world.changes, world.public);
                world.until(20_000);
                assert_eq!((world.changes, world.public), (changes, port), "and kept from then on");
            }
        }
    }

    #[test]
    fn limits_of_the_search() {
        let period = |minimum, maximum| {
            let mut world = world(settings(minimum, maximum), 100_000);
            world.until(20_000);
            assert!(!world.client.searches());
            world.client.period().as_secs()
        };
        assert_eq!(period(30, None), 3600);
        assert_eq!(period(30, Some(100)), 100);
        assert_eq!(period(30, Some(10)), 10, "the maximum goes first");
        assert_eq!(period(0, Some(1)), 1);
        assert_eq!(period(7200, None), 7200);
    }

    #[test]
    fn a_server_that_answers_the_sender() {
        let mut world = world(settings(30, None), 60);
        world.redirects = false;
        world.until(65);
        assert_eq!(world.kinds(), ["keep", "announce", "probe", "keep", "keep"]);
        assert_eq!(world.client.period(), seconds(30));
    }

    /// At once, or when the search has found something already.
    #[test]
    fn a_search_without_a_second_port_waits_for_one() {
        for begin in [0, 200] {
            let mut world = world(settings(30, None), 300);
            world.until(begin);
            world.has_second = false;
            let before = world.client.period();
            world.until(begin + 2000);
            let (changes, port) = (world.changes, world.public);
            let count = world.seen.len();
            world.until(begin + 5000);
            assert_eq!((world.changes, world.public), (changes, port), "the binding is kept");
            assert!(world.client.searches() && world.client.period() == before, "{:?}", world.client);
            let sent = u64::try_from(world.seen.len() - count).unwrap();
            assert!(sent <= 3000 / before.as_secs() + 1, "{sent} in 3000 s, every {before:?}");
            world.has_second = true;
            world.until(begin + 10_000);
            assert!(!world.client.searches() && (240..=300).contains(&world.client.period().as_secs()));
        }
    }

    #[test]
    fn a_binding_that_is_lost_is_told_and_measured_anew() {
        let mut world = world(settings(30, Some(60)), 1000);
        world.until(1000);
        assert_eq!((world.client.period(), world.changes), (seconds(60), 1));
        (world.used, world.lifetime) = (None, seconds(40));
        world.until(5000);
        assert!(world.changes >= 2 && world.client.period() < seconds(40), "{:?}", world.client);
        assert!(world.kinds().iter().filter(|kind| **kind == "announce").count() >= 2);
    }

    #[test]
    fn nine_copies_and_a_pause() {
        let mut world = world(settings(30, Some(30)), 60);
        let mut times = Vec::new();
        while world.client.failures() == 0 {
            world.now = world.client.deadline();
            let sent = world.client.tick(world.now, &mut |octets| octets.fill(3));
            times.extend(sent.map(|_| (world.now - seconds(1000)).as_millis()));
        }
        assert_eq!(times, [0, 100, 300, 700, 1500, 3100, 4700, 6300, 7900]);
        assert_eq!(world.now - seconds(1000), Duration::from_millis(9500));
        assert_eq!(world.client.deadline(), world.now + seconds(30));
    }

    #[test]
    fn a_server_that_comes_back() {
        let mut world = world(settings(30, Some(600)), 1000);
        world.until(40);
        world.is_up = false;
        world.until(500);
        assert!(world.client.failures() > 3 && world.client.binding().is_some());
        world.is_up = true;
        world.until(20_000);
        assert_eq!((world.client.failures(), world.changes), (0, 1), "its silence was no death");
        assert_eq!(world.client.period(), seconds(600));
    }

    #[test]
    fn answers_that_are_nobodys() {
        let mut world = world(settings(30, Some(30)), 60);
        let request = world.first();
        let now = world.now;
        let lie = mapped(&request, address("203.0.113.66:6"));
        let mut receive = |from: &str, bytes: &[u8]| {
            world.client.receive(Port::First, address(from), bytes, now);
            world.client.binding()
        };
        assert_eq!(receive("203.0.113.66:3478", &lie), None, "another server");
        let mut other = lie.clone();
        other[19] ^= 1;
        assert_eq!(receive(SERVER, &other), None, "another transaction");
        assert_eq!(receive(SERVER, &lie[..20]), None);
        let good = mapped(&request, address("198.51.100.1:4001"));
        assert_eq!(receive(SERVER, &good), Some(address("198.51.100.1:4001")));
        assert_eq!(receive(SERVER, &lie), Some(address("198.51.100.1:4001")), "the request is answered");
    }

    #[test]
    fn integrity_when_it_is_asked_for() {
        let user = Settings { username: "cpe1".into(), password: "secret".into(), ..settings(30, Some(30)) };
        let mut world = world(user, 60);
        let first = world.first();
        assert!(has(&first, 6) && !has(&first, 8));
        let refusal = |request: &[u8], code: [u8; 2]| {
            [&[1, 0x11, 0, 8][..], &request[4..20], &[0, 9, 0, 4, 0, 0], &code].concat()
        };
        let server = address(SERVER);
        world.client.receive(Port::First, server, &refusal(&first, [4, 1]), world.now);
        let mut second = world.client.tick(world.now, &mut |octets| octets.fill(8)).unwrap().bytes;
        assert!(has(&second, 8) && second[4..20] != first[4..20]);
        let unproven = mapped(&second, address("203.0.113.66:6"));
        assert!(!world.client.receive(Port::First, server, &unproven, world.now));
        assert_eq!(world.client.binding(), None);
        world.client.receive(Port::First, server, &refusal(&second, [4, 1]), world.now);
        assert_eq!((world.client.refusal(), world.client.failures()), (Some(401), 1), "no ping-pong");
        second.clear();
        assert_eq!(world.client.deadline(), world.now + seconds(30));
    }

    #[test]
    fn a_server_that_changes_its_mind_all_the_time() {
        let mut world = world(settings(30, Some(30)), 60);
        let mut sent = 0;
        for round in 0..600u16 {
            world.now = seconds(1000 + u64::from(round));
            while let Some(datagram) = world.client.tick(world.now, &mut |octets| octets.fill(9)) {
                sent += 1;
                let answer = mapped(&datagram.bytes, SocketAddr::new([198, 51, 100, 1].into(), 1000 + sent));
                world.client.receive(Port::First, address(SERVER), &answer, world.now);
            }
        }
        assert!(sent <= 22, "{sent} in ten minutes");
    }
}
