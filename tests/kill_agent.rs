//! The agent is killed a hundred times while an ACS sets parameters of three packages: whatever the
//! moment, the next life has all of the old values or all of the new ones, and works.
//!
//! ```text
//!  start (recovers) ─► Inform ─► GetParameterValues: old or new? files? ─► SetParameterValues ─► SIGKILL
//!    ▲                                                                                             │
//!    └─────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Half of the kills come at a random time between the request and what is usually its response, half
//! at a random time after the commit was seen to begin.
#![cfg(feature = "lab")]
// Helpers of tests may unwrap and print as tests may; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::disallowed_macros)]

#[path = "support/agent.rs"]
mod agent;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/scripted.rs"]
mod scripted;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent::{Agent, Router};
use rcwmp::uci::Document;
use scripted::{Scripted, Seen, Step, step};

const KILLS: usize = 100;
const SEED: u32 = 20_261_121;
const SSID: &str = "Device.WiFi.SSID.1.SSID";
const SERVER: &str = "Device.Time.Client.1.Servers";
const LEASE: &str = "Device.DHCPv4.Server.Pool.1.LeaseTime";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const PATIENCE: Duration = Duration::from_secs(20);

/// What the ACS sees and does.
enum News {
    /// This body, not empty, came in.
    Came(String),
    /// The next request is about to be sent.
    Sent,
}

/// An ACS that lives through all of the agent's lives: what is put in is sent, one after the other.
struct Acs {
    server: Scripted,
    requests: Arc<Mutex<VecDeque<String>>>,
    news: Receiver<News>,
    life: Arc<AtomicU32>,
}

impl Acs {
    fn start() -> Acs {
        let requests = Arc::new(Mutex::new(VecDeque::new()));
        let life = Arc::new(AtomicU32::new(0));
        let (sender, news) = channel();
        let steps = (0..20 * KILLS)
            .map(|_| {
                let (requests, sender, life) = (Arc::clone(&requests), sender.clone(), Arc::clone(&life));
                step().computed(move |seen| answer(seen, &requests, &sender, &life))
            })
            .collect();
        Acs { server: Scripted::start(steps), requests, news, life }
    }

    fn ask(&self, request: String) {
        self.requests.lock().unwrap().push_back(request);
    }

    /// The next message of the agent.
    fn message(&self) -> String {
        loop {
            if let News::Came(text) = self.news.recv_timeout(PATIENCE).expect("a message") {
                return text;
            }
        }
    }

    /// The agent is dead: nobody waits for an answer. Gives time to what it has sent before.
    fn buried(&self) {
        sleep(Duration::from_millis(30));
        self.life.fetch_add(1, Ordering::SeqCst);
        self.requests.lock().unwrap().clear();
    }

    /// Whether the agent has said something since.
    fn has_heard(&self, word: &str) -> bool {
        self.news.try_iter().any(|one| matches!(one, News::Came(text) if text.contains(word)))
    }

    fn wait_sent(&self) {
        while !matches!(self.news.recv_timeout(PATIENCE).expect("a request"), News::Sent) {}
    }
}

fn answer(seen: &Seen, requests: &Mutex<VecDeque<String>>, news: &Sender<News>, life: &AtomicU32) -> Step {
    let text = seen.text();
    let now = life.load(Ordering::SeqCst);
    if !text.is_empty() {
        let _ = news.send(News::Came(text.clone()));
    }
    if text.contains(":Inform>") {
        return step().status(200).body(messages::inform_response(&text));
    }
    // An ACS that has nothing to say yet keeps its CPE waiting: here it is always about to.
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && life.load(Ordering::SeqCst) == now {
        if let Some(request) = requests.lock().unwrap().pop_front() {
            let _ = news.send(News::Sent);
            return if request.is_empty() { step().status(204) } else { step().status(200).body(request) };
        }
        sleep(Duration::from_micros(200));
    }
    step().status(204)
}

/// The values of a generation, as the model has them.
fn values(generation: u32) -> [(&'static str, &'static str, String); 3] {
    [
        // Of a length that differs, so that a mixture of two files would show.
        (SSID, "xsd:string", format!("net-{generation}-{}", "x".repeat(generation as usize % 19))),
        (SERVER, "xsd:string", format!("{generation}.pool.example")),
        (LEASE, "xsd:int", (3600 + 60 * generation).to_string()),
    ]
}

fn set(generation: u32) -> String {
    let list = values(generation);
    let list: Vec<_> = list.iter().map(|(name, ty, text)| (*name, *ty, text.as_str())).collect();
    messages::set_values("set", &list, &format!("key {generation}"))
}

/// The text of `<Value …>` after a name.
fn value_of<'m>(message: &'m str, name: &str) -> &'m str {
    let at = message.find(&format!("{name}<")).unwrap_or_else(|| panic!("no {name} in {message}"));
    let rest = &message[at + message[at..].find("<Value").expect("a value")..];
    let rest = &rest[rest.find('>').expect("a tag") + 1..];
    rest.split('<').next().unwrap_or_default()
}

/// Every file of `/etc/config` is UCI; the generation that the three options tell.
fn generation_of_files(root: &Path) -> u32 {
    let mut documents = Vec::new();
    for entry in fs::read_dir(root.join("etc/config")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(!name.starts_with('.'), "a leftover {name}");
        let document = Document::parse(&name, &fs::read(&path).unwrap());
        documents.push((name, document.unwrap_or_else(|why| panic!("{}", why.explain()))));
    }
    let text = |package: &str, section: &str, option: &str| {
        let (_, document) = documents.iter().find(|(name, _)| name == package).unwrap();
        document.option(section, option).unwrap().words()[0].to_owned()
    };
    let ssid = text("wireless", "default_radio0", "ssid");
    let server = text("system", "ntp", "server");
    let lease = text("dhcp", "lan", "leasetime");
    let generation: u32 = server.split('.').next().unwrap().parse().unwrap();
    let [(.., expected_ssid), (.., expected_server), _] = values(generation);
    let minutes = 60 + generation;
    let expected_lease =
        if minutes.is_multiple_of(60) { format!("{}h", minutes / 60) } else { format!("{minutes}m") };
    assert_eq!((ssid, server, lease), (expected_ssid, expected_server, expected_lease));
    generation
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A life begins: its session has to get through, and what it tells has to be one generation.
fn begin(router: &Router, acs: &Acs) -> (Agent, u32) {
    let agent = router.start(&["-b"]);
    let mut inform = acs.message();
    // The last words of the life before may come late.
    while inform.contains("SetParameterValuesResponse") {
        inform = acs.message();
    }
    assert!(inform.contains("LAB0000001") && inform.contains("1 BOOT"), "{inform}\n{}", agent.log());
    acs.ask(messages::get_values("get", &[SSID, SERVER, LEASE, KEY]));
    let told = acs.message();
    let generation = generation_of_files(&router.root());
    for (name, _, text) in values(generation) {
        assert_eq!(value_of(&told, name), text, "{name} of generation {generation}");
    }
    assert_eq!(value_of(&told, KEY), format!("key {generation}"));
    assert_eq!(names(&router.root().join("etc/rcwmp")), ["journal", "lock", "model.json", "state.json"]);
    assert!(names(&router.root().join("etc/rcwmp/journal")).is_empty());
    let log = agent.log();
    // It may say that the life before was cut short, and that there is no procd here, and nothing else.
    let odd = |line: &&str| line.contains("[WARNING]") || line.contains("[ERROR]");
    let known = |line: &&str| line.contains("was cut short") || line.contains("nobody is there to reload");
    let odd: Vec<&str> = log.lines().filter(odd).filter(|line| !known(line)).collect();
    assert!(odd.is_empty(), "{log}");
    (agent, generation)
}

/// What a kill has met.
#[derive(Debug, Default)]
struct Met {
    before: usize,
    preparing: usize,
    decided: usize,
    after: usize,
    answered: usize,
}

#[test]
fn killed_during_a_change_of_three_packages() {
    let acs = Acs::start();
    let router = Router::new(&acs.server.url());
    router.set("acs", "get_rpc_methods", "0");
    let journal = router.root().join("etc/rcwmp/journal");

    // The first life: generation 1, and how long a change takes here.
    let agent = router.start(&[]);
    assert!(acs.message().contains("0 BOOTSTRAP"));
    let mut spans = Vec::new();
    for generation in 1..=6 {
        acs.ask(set(generation));
        acs.wait_sent();
        let start = Instant::now();
        let reply = acs.message();
        assert!(reply.contains("SetParameterValuesResponse"), "{reply}");
        spans.push(start.elapsed());
    }
    spans.sort();
    let span = spans[spans.len() / 2];
    agent.kill();
    acs.buried();

    let mut seed = SEED;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        f64::from(seed) / f64::from(u32::MAX)
    };
    let mut met = Met::default();
    let mut least = 6;
    // Whether services were not told of what is in the files, since nobody lived to the end of the session.
    let mut untold = true;
    let started = Instant::now();
    for nth in 0..KILLS {
        let (agent, generation) = begin(&router, &acs);
        assert!(generation == least || generation == least + 1, "{generation} after {least}");
        let tells = agent.log().contains("Configuration changed: dhcp system wireless");
        assert!(tells || !untold && generation == least, "{nth}: {}", agent.log());
        acs.ask(set(generation + 1));
        acs.wait_sent();
        let mut heard = false;
        if nth % 2 == 0 {
            sleep(span.mul_f64(random() * 2.0));
        } else {
            let intent = journal.join("intent");
            let end = Instant::now() + PATIENCE;
            // On a busy machine the whole commit may go by unseen.
            while !intent.exists() && !heard {
                assert!(Instant::now() < end, "the commit does not begin:\n{}", agent.log());
                heard = acs.has_heard("SetParameterValuesResponse");
            }
            sleep(span.mul_f64(random() * 0.6));
        }
        agent.kill();
        acs.buried();
        met.preparing += usize::from(journal.join("intent").exists() && !journal.join("journal").exists());
        met.decided += usize::from(journal.join("journal").exists());
        untold = journal.join("journal").exists();
        if !journal.join("intent").exists() && !journal.join("journal").exists() {
            untold = generation_of_files(&router.root()) > generation;
            match generation_of_files(&router.root()) > generation {
                true => met.after += 1,
                false => met.before += 1,
            }
        }
        least = generation;
        // What the ACS was told is done is done.
        if heard || acs.has_heard("SetParameterValuesResponse") {
            met.answered += 1;
            least += 1;
        }
    }
    let (agent, generation) = begin(&router, &acs);
    assert!(generation == least || generation == least + 1, "{generation} after {least}");
    acs.ask(String::new());
    agent.wait_for("End session", 1);
    println!(
        "seed {SEED}: {KILLS} kills in {:.1} s over a span of {span:?}: {met:?}, generation {generation}",
        started.elapsed().as_secs_f64()
    );
    assert!(met.preparing > 0 && met.decided > 0, "no commit was interrupted: {met:?}");
    assert!(met.before + met.preparing > 0 && met.decided + met.after > 0, "{met:?}");
}
