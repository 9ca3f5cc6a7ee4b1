//! A campaign: nodes on one Redis, `tidewire verify` on all of them, posters and followers by HTTP beside it; something goes wrong
//! round after round, and at the end everybody says what they saw.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tidewire_tests::launch::target_directory;
use tidewire_tests::verify::KEEPS_ALL;
use tidewire_tests::wait::{holds_within, number_from};
use tidewire_tests::{Dice, Nodes, Pulse, Redis, RedisProxy, Verify};

use crate::table;

/// Nodes of a campaign.
pub(crate) const NODES: usize = 3;

/// Rooms that posters and followers by HTTP are in.
const PULSES: usize = NODES;

/// How long anything may take that has no time of its own: longer than whatever an engine waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much of it there is: little where it is a check, and as much as `cargo xtask chaos redis` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) publishers: usize,
    /// By WebSocket.
    pub(crate) followers: usize,
    /// By event streams, and as many by polls.
    pub(crate) http_followers: usize,
    pub(crate) rooms: usize,
    /// Deliveries a second by WebSocket.
    pub(crate) deliveries: usize,
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
    /// The longest that it may take until all goes on; 0 if nobody is in a hurry.
    return_max: Duration,
    /// How long nothing goes wrong before the first round: what times are then is compared with what they are later.
    calm: Duration,
}

impl Size {
    pub(crate) fn from_environment() -> Self {
        Self {
            publishers: number_from("TIDEWIRE_PUBLISHERS", 6),
            followers: number_from("TIDEWIRE_FOLLOWERS", 12),
            http_followers: number_from("TIDEWIRE_HTTP_FOLLOWERS", 6),
            rooms: number_from("TIDEWIRE_ROOMS", 3),
            deliveries: number_from("TIDEWIRE_DELIVERIES", 240),
            rounds: number_from("TIDEWIRE_ROUNDS", 2),
            seed: number_from("TIDEWIRE_SEED", 1) as u64,
            return_max: Duration::from_secs(number_from("TIDEWIRE_RETURN_MAX", 0) as u64),
            calm: Duration::from_secs(number_from("TIDEWIRE_CALM_SECONDS", 1) as u64),
        }
    }

    /// `tidewire verify` with this load.
    #[track_caller]
    fn verify(&self, nodes: &Nodes, gaps_allowed: bool) -> Verify {
        let numbers = [
            ("--publishers", self.publishers),
            ("--subscribers", self.followers),
            ("--rooms", self.rooms),
            ("--rate", self.rate()),
            ("--seed", self.seed as usize),
        ];
        let numbers = numbers.map(|(flag, number)| (flag, number.to_string()));
        let mut words = vec!["--rooms-each", "1", "--patience", "60s"];
        for (flag, number) in &numbers {
            words.extend([*flag, number]);
        }
        if gaps_allowed {
            words.push("--allow-gaps");
        }
        Verify::start(nodes, &words)
    }

    /// Messages a second that make so many deliveries.
    fn rate(&self) -> usize {
        let audience = (self.publishers + self.followers) / self.rooms;
        (self.deliveries / audience.max(1)).max(1)
    }
}

/// What goes on while something goes wrong.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) redis: Redis,
    /// One before each node's Redis, if the campaign has them.
    pub(crate) proxies: Vec<RedisProxy>,
    pub(crate) nodes: Nodes,
    pub(crate) dice: Dice,
    size: Size,
    pub(crate) name: &'static str,
    pub(crate) pulse: Pulse,
    verify: Verify,
    pub(crate) begin: Instant,
    /// Since when everybody is there, and nothing went wrong yet.
    pub(crate) calm_since: Instant,
    pub(crate) troubled_since: Option<Instant>,
    /// How long it took until each room took messages again, and until all went on.
    pub(crate) acks: Vec<Duration>,
    pub(crate) returns: Vec<Duration>,
    bar: ProgressBar,
}

/// What is between the nodes and Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    Nothing,
    Proxies,
}

impl Campaign {
    /// Everybody is there, and hears each other.
    #[track_caller]
    pub(crate) fn start(
        name: &'static str,
        redis: Redis,
        between: Between,
        gaps_allowed: bool,
    ) -> Self {
        let size = Size::from_environment();
        let proxies: Vec<_> = match between {
            Between::Nothing => Vec::new(),
            Between::Proxies => (0..NODES as u64)
                .map(|node| RedisProxy::start(redis.address(), size.seed ^ node))
                .collect(),
        };
        let logs: Vec<_> = (0..NODES)
            .map(|node| {
                let address = proxies
                    .get(node)
                    .map_or(redis.address(), RedisProxy::address);
                redis.url_at(address)
            })
            .collect();
        let flags = [&KEEPS_ALL[..], &["--log-timeout", "2s"]].concat();
        let nodes = Nodes::start(&logs, &flags);
        let verify = size.verify(&nodes, gaps_allowed);
        let pulse = Pulse::start(&nodes, PULSES, size.http_followers, gaps_allowed);
        let mut campaign = Self {
            dice: Dice::new(size.seed),
            pulse,
            proxies,
            redis,
            nodes,
            size,
            name,
            verify,
            begin: Instant::now(),
            calm_since: Instant::now(),
            troubled_since: None,
            acks: Vec::new(),
            returns: Vec::new(),
            bar: bar(name),
        };
        campaign.wait_until("all followers have come", |campaign| {
            campaign.pulse.all_are_there()
        });
        campaign.goes_on();
        campaign.acks.clear();
        campaign.returns.clear();
        campaign.calm_since = Instant::now();
        thread::sleep(campaign.size.calm);
        campaign
    }

    /// Does something to it, again and again, with some traffic before each time.
    #[track_caller]
    pub(crate) fn rounds(mut self, count: usize, mut round: impl FnMut(&mut Self, usize)) -> Self {
        self.bar.set_length(count as u64);
        for index in 0..count {
            let pause = self.dice.between(300, 1500);
            thread::sleep(Duration::from_millis(pause as u64));
            self.troubled_since.get_or_insert_with(Instant::now);
            round(&mut self, index);
            let has_ended = self.verify.has_ended();
            assert!(!has_ended, "verify has ended: {}", self.verify.report());
            self.bar.inc(1);
        }
        thread::sleep(Duration::from_secs(1));
        self
    }

    /// As many rounds as the campaign is to have.
    pub(crate) const fn count(&self) -> usize {
        self.size.rounds
    }

    /// Waits until everybody goes on: every node is ready, and something that was said after this moment was acknowledged in each
    /// room and heard by all.
    #[track_caller]
    pub(crate) fn goes_on(&mut self) {
        let from = Instant::now();
        let takes = |campaign: &Self| campaign.pulse.takes_messages(from);
        self.wait_until("all rooms take messages", takes);
        self.acks.push(from.elapsed());
        let goes_on = |campaign: &Self| campaign.pulse.has_gone_on(from, &campaign.nodes);
        self.wait_until("all goes on", goes_on);
        self.returns.push(from.elapsed());
    }

    #[track_caller]
    fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        if holds_within(PATIENCE, || holds(self)) {
            return;
        }
        let (name, nodes, report) = (self.name, self.nodes.told(), self.verify.report());
        let (faults, newest) = (self.pulse.faults(), self.pulse.newest());
        panic!(
            "{name}: waited in vain until {what}; {faults}\nnewest: {newest:?}\n{nodes}\n{report}"
        );
    }

    /// Lets everybody come to the end, and says what was found.
    ///
    /// # Panics
    ///
    /// When somebody saw what should not be.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let ended = Instant::now();
        self.pulse.hush();
        self.wait_until("all followers have all", |campaign| {
            campaign.pulse.all_is_heard()
        });
        self.pulse.end();
        let is_clean = self.verify.finish(3 * PATIENCE);
        let (report, faults) = (self.verify.report(), self.pulse.faults());
        let is_clean =
            is_clean.unwrap_or_else(|| panic!("{}: verify does not end: {report}", self.name));
        let row = table::row(&self, &report, ended.duration_since(self.begin));
        self.bar.finish_and_clear();
        println!("{row}");
        if let Some(path) = std::env::var_os("TIDEWIRE_TABLE") {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .expect("the table");
            writeln!(file, "{row}").expect("the table can be written");
        }
        if !is_clean || !faults.is_empty() {
            // What Redis has tells whether it was lost there, or on the way.
            let kept = target_directory().join("chaos-redis-data");
            self.redis.copy_data_to(&kept);
            println!("{}: the data of Redis are in {}", self.name, kept.display());
        }
        assert!(is_clean, "{}: verify is not content:\n{report}", self.name);
        assert!(faults.is_empty(), "{}: {faults}", self.name);
        let longest = self.returns.iter().max().copied().unwrap_or_default();
        let limit = self.size.return_max;
        assert!(
            limit.is_zero() || longest <= limit,
            "{}: it took {longest:?} until all went on",
            self.name
        );
    }
}

fn bar(name: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(1).with_message(name);
    let style =
        ProgressStyle::with_template("{msg:24} {bar:30} {pos} of {len}, {elapsed}, {eta} left");
    bar.set_style(style.expect("the template is right"));
    bar
}
