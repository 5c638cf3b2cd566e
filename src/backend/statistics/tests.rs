//! Sample sets by a clock that is turned by hand.

use super::*;

/// A whole hour of the wall clock.
const HOUR: i64 = 1_700_002_800;

struct Desk {
    statistics: Statistics,
    setting: Setting,
    mono: u64,
    /// The wall clock at the monotonic zero.
    wall: Option<i64>,
    value: Option<String>,
    /// Sets that have triggered.
    triggered: usize,
}

fn desk(interval: u32, mut wish: Wish) -> Desk {
    wish.reference = "D.A".to_owned();
    let mut desk = Desk {
        statistics: Statistics::default(),
        setting: Setting {
            enabled: true,
            interval,
            report: 4,
            reference: None,
            fetch: 0,
            parameters: Map::from_iter([(7, wish)]),
        },
        mono: 1000,
        wall: None,
        value: Some("10".to_owned()),
        triggered: 0,
    };
    desk.configure();
    desk
}

impl Desk {
    fn configure(&mut self) {
        self.statistics.configure(Map::from_iter([(3, self.setting.clone())]));
    }

    fn wish(&mut self) -> &mut Wish {
        self.setting.parameters.get_mut(&7).unwrap()
    }

    /// Looks now.
    fn look(&mut self, live: bool) {
        let now = Duration::from_secs(self.mono);
        let wall = self.wall.map(|wall| wall + i64::try_from(self.mono).unwrap());
        let text = self.value.clone().filter(|_| !self.statistics.wanted(now, live).is_empty());
        let reading = text.map(|text| (String::from("D.A"), Reading { number: text.parse().ok(), text }));
        self.triggered += self.statistics.look(now, wall, live, &reading.into_iter().collect()).len();
    }

    /// Lets time pass and looks whenever it is due.
    fn pass(&mut self, seconds: u64) {
        let until = self.mono + seconds;
        while let Some(at) = self.statistics.deadline().map(|at| at.as_secs()).filter(|at| *at <= until) {
            self.mono = self.mono.max(at);
            self.look(true);
        }
        self.mono = until;
    }

    fn be(&mut self, value: &str) {
        self.value = (!value.is_empty()).then(|| value.to_owned());
    }

    /// Values, SampleSeconds with a mark for what is suspect, Failures.
    #[track_caller]
    fn check(&self, expected: &str) {
        let (samples, failures) = self.statistics.samples(3, 7).unwrap();
        let one =
            |one: &Sample| format!("{}/{}{}", one.value, one.seconds, if one.suspect { "!" } else { "" });
        let all: Vec<String> = samples.iter().map(one).collect();
        assert_eq!(format!("{} {failures}", all.join(",")), expected);
    }
}

#[test]
fn the_latest_values_of_the_last_intervals() {
    let mut desk = desk(60, Wish::default());
    assert_eq!(desk.statistics.deadline(), Some(Duration::ZERO));
    desk.pass(1);
    desk.check(" 0");
    for n in 1..=5 {
        desk.be(&n.to_string());
        desk.pass(60);
    }
    desk.check("2/60,3/60,4/60,5/60 0");
    assert_eq!(desk.statistics.sample_seconds(3), [60; 4]);
    assert_eq!(desk.statistics.report(3), None);
    // The buffers are cut, and nothing else happens.
    desk.setting.report = 2;
    desk.configure();
    desk.check("4/60,5/60 0");
    desk.pass(60);
    desk.check("5/60,5/60 0");
    // What is disabled keeps what it has; enabling begins anew.
    desk.setting.enabled = false;
    desk.configure();
    desk.pass(600);
    desk.check("5/60,5/60 0");
    desk.setting.enabled = true;
    desk.configure();
    desk.pass(30);
    desk.check(" 0");
    desk.setting.interval = 10;
    desk.configure();
    desk.pass(10);
    desk.check("5/10 0");
    desk.setting.parameters.remove(&7);
    desk.configure();
    assert_eq!(desk.statistics.samples(3, 7), None);
}

#[test]
fn modes() {
    for (change, calculation, expected) in [
        (false, Calculation::Latest, "40/12,40/12 0"),
        (false, Calculation::Minimum, "20/12,40/12 0"),
        (false, Calculation::Maximum, "50/12,40/12 0"),
        // (3 * 20 + 5 * 50 + 4 * 40) / 12 = 39.17
        (false, Calculation::Average, "39/12,40/12 0"),
        (true, Calculation::Latest, "30/12,0/12 0"),
        (true, Calculation::Minimum, "10/12,0/12 0"),
        (true, Calculation::Maximum, "40/12,0/12 0"),
    ] {
        let mut desk = desk(12, Wish { change, calculation, ..Wish::default() });
        desk.pass(0);
        // A look each second at 20, 50 and 40: 3, 5 and 4 times.
        for (value, time) in [("20", 3), ("50", 5), ("40", 16)] {
            desk.be(value);
            desk.pass(time);
        }
        desk.check(expected);
    }
}

#[test]
fn texts_and_long_ones() {
    let mut desk = desk(10, Wish { change: true, calculation: Calculation::Average, ..Wish::default() });
    desk.be("Up");
    desk.pass(10);
    desk.be(&"é".repeat(40));
    desk.pass(10);
    desk.check(&format!("Up/10,{}/10! 0", "é".repeat(32)));
}

#[test]
fn a_counter_that_begins_anew_and_a_parameter_that_comes_and_goes() {
    let mut desk = desk(12, Wish { change: true, low: 0, high: 1000, ..Wish::default() });
    desk.wish().reference = "D.Stats.A".to_owned();
    desk.configure();
    let counted = |desk: &mut Desk, value: &str| {
        let readings = [("D.Stats.A".to_owned(), Reading { text: value.into(), number: value.parse().ok() })];
        let now = Duration::from_secs(desk.mono);
        desk.statistics.look(now, None, true, &readings.into_iter().collect());
    };
    counted(&mut desk, "100");
    desk.mono += 6;
    counted(&mut desk, "5");
    desk.mono += 6;
    counted(&mut desk, "8");
    // Below the threshold, once.
    desk.check("-92/12! 1");

    let mut desk =
        self::desk(12, Wish { change: true, calculation: Calculation::Maximum, ..Wish::default() });
    desk.be("");
    desk.pass(0);
    desk.pass(8);
    desk.be("100");
    // Found by the look of the ninth second.
    desk.pass(1);
    desk.be("130");
    desk.pass(3);
    desk.pass(4);
    desk.be("");
    desk.pass(8);
    desk.check("30/3,/5! 0");
    // There again, from the start: nothing is suspect.
    desk.be("7");
    desk.pass(24);
    desk.check("30/3,/5!,0/11,0/12 0");
}

#[test]
fn thresholds() {
    let mut desk = desk(12, Wish { low: 10, high: 20, ..Wish::default() });
    // In range, low, in, high (equal to it), low, low, in.
    for value in ["15", "3", "11", "20", "10", "-7", "15"] {
        desk.be(value);
        desk.pass(2);
    }
    desk.check("-7/12 3");
    // Equal ones are none.
    let mut desk = self::desk(12, Wish { low: 10, high: 10, ..Wish::default() });
    desk.be("0");
    desk.pass(24);
    desk.check("0/12,0/12 0");
}

#[test]
fn intervals_end_with_the_reference() {
    let mut desk = desk(3600, Wish::default());
    desk.setting.reference = Some(HOUR - 86_400 * 365);
    (desk.setting.report, desk.setting.fetch) = (24, 2);
    // 35 minutes before an hour, and two before the one that fetches.
    desk.wall = Some(HOUR - 1000 - 2100);
    desk.configure();
    desk.pass(0);
    desk.pass(2099);
    desk.check(" 0");
    desk.pass(1);
    desk.check("10/2100 0");
    assert_eq!(desk.statistics.report(3), Some((HOUR - 2100, HOUR)));
    assert_eq!(desk.triggered, 1);
    // The clock is put right by 100 s: the next one ends with its hour again.
    desk.wall = desk.wall.map(|wall| wall + 100);
    desk.pass(3600 + 3500);
    desk.check("10/2100,10/3600,10/3500 0");
    assert_eq!(desk.triggered, 2);
    // Without a clock it counts.
    desk.wall = None;
    desk.setting.reference = Some(5);
    desk.configure();
    desk.pass(4 * 3600);
    desk.check("10/3600,10/3600,10/3600,10/3600 0");
    assert_eq!(desk.triggered, 4);
    // More than are stored: nothing triggers.
    desk.setting.fetch = 25;
    desk.configure();
    desk.pass(50 * 3600);
    assert_eq!(desk.triggered, 4);
}

#[test]
fn a_preview_is_updated_and_replaced() {
    let mut desk = desk(60, Wish::default());
    desk.pass(60);
    desk.check("10/60 0");
    for (value, time, expected) in [("11", 5, "10/60,11/5 0"), ("12", 10, "10/60,12/15 0")] {
        desk.be(value);
        desk.pass(time);
        desk.statistics.force(3);
        // The ACS does it in a session.
        desk.look(false);
        desk.check(expected);
    }
    assert_eq!(desk.statistics.sample_seconds(3), [60, 15]);
    desk.be("13");
    desk.pass(45);
    desk.check("10/60,13/60 0");
    desk.pass(60);
    desk.check("10/60,13/60,13/60 0");
    assert_eq!(desk.statistics.sample_seconds(3), [60; 3]);
    // Of a set that is off, nothing is shown.
    desk.setting.enabled = false;
    desk.configure();
    desk.statistics.force(3);
    desk.look(false);
    assert_eq!((desk.statistics.deadline(), desk.statistics.is_enabled(3)), (None, false));
}

#[test]
fn a_long_session_makes_values_suspect() {
    let mut desk = desk(60, Wish::default());
    desk.pass(0);
    // It cannot be looked at while the ACS is there.
    desk.mono += 210;
    desk.look(false);
    desk.check(" 0");
    desk.look(true);
    desk.check("10/60!,10/0!,10/0! 0");
    // On with the schedule: the fourth ends at 240.
    desk.pass(30);
    desk.check("10/60!,10/0!,10/0!,10/60 0");
    // Asleep for a year: it goes on from here.
    desk.mono += 365 * 86_400;
    desk.look(true);
    desk.pass(60);
    let (samples, _) = desk.statistics.samples(3, 7).unwrap();
    assert_eq!((samples.len(), samples[3].seconds, samples[3].suspect), (4, 60, false));
}

#[test]
fn another_parameter_begins_at_once() {
    let mut desk = desk(60, Wish::default());
    desk.pass(50);
    desk.wish().reference = "D.A".to_owned();
    desk.setting.parameters.insert(9, Wish { reference: "D.A".to_owned(), ..Wish::default() });
    desk.configure();
    desk.look(false);
    desk.pass(10);
    desk.check("10/60 0");
    let (samples, _) = desk.statistics.samples(3, 9).unwrap();
    assert_eq!((samples.len(), samples[0].seconds), (1, 10));
    assert_eq!(desk.statistics.samples(3, 8), None);
}
