//! A campaign: nodes on one Redis, `tidewire verify` on all of them, posters and followers by HTTP beside it; something goes wrong
//! round after round, and at the end everybody says what they saw.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tidewire_tests::http::get;
use tidewire_tests::server::{binary, target_directory};
use tidewire_tests::wait::number_from;
use tidewire_tests::{Dice, Directory, Nodes, Redis, RedisProxy};

use crate::poster::Poster;
use crate::table;
use crate::witness::{Shared, Transport, Witness};

/// Nodes of a campaign.
pub(crate) const NODES: usize = 3;

/// Rooms that posters and followers by HTTP are in.
const PULSES: usize = NODES;

/// How long anything may take that has no time of its own: longer than whatever an engine waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// More than any campaign sends: what is gone is lost, not expired.
const HISTORY_ENTRIES: &str = "1000000";

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
    pub(crate) shared: Arc<Shared>,
    pub(crate) posters: Vec<Poster>,
    pub(crate) witnesses: Vec<Witness>,
    verify: Verify,
    pub(crate) begin: Instant,
    /// Since when everybody is there, and nothing went wrong yet.
    pub(crate) calm_since: Instant,
    pub(crate) troubled_since: Option<Instant>,
    /// How long it took until each room took messages again, and until all went on.
    pub(crate) acks: Vec<Duration>,
    pub(crate) returns: Vec<Duration>,
    bar: ProgressBar,
    // Behind the processes that write into it.
    directory: Directory,
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
        let limits = [
            "--messages-per-second",
            "0",
            "--history-entries",
            HISTORY_ENTRIES,
        ];
        let nodes = Nodes::start(&logs, &limits);
        let directory = Directory::new();
        let verify = Verify::start(&size, &nodes, gaps_allowed, &directory);
        let shared = Arc::new(Shared::new(nodes.addresses(), PULSES, gaps_allowed));
        let posters = (0..PULSES)
            .map(|room| Poster::start(&shared, room))
            .collect();
        let witnesses = (0..size.http_followers).flat_map(|number| {
            [Transport::Events, Transport::Polls]
                .map(|transport| Witness::start(&shared, number, number % PULSES, transport))
        });
        let mut campaign = Self {
            witnesses: witnesses.collect(),
            dice: Dice::new(size.seed),
            posters,
            proxies,
            redis,
            nodes,
            size,
            name,
            shared,
            verify,
            begin: Instant::now(),
            calm_since: Instant::now(),
            troubled_since: None,
            acks: Vec::new(),
            returns: Vec::new(),
            bar: bar(name),
            directory,
        };
        let all_there = |campaign: &Self| {
            let mut witnesses = campaign.witnesses.iter();
            witnesses.all(|one| one.is_there.load(Ordering::Relaxed))
        };
        campaign.wait_until("all followers have come", all_there);
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
            let ended = self.verify.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "verify has ended: {}", self.report());
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
        let takes = |campaign: &Self| campaign.said_since(from).is_some();
        self.wait_until("all rooms take messages", takes);
        self.acks.push(from.elapsed());
        self.wait_until("all goes on", |campaign| campaign.has_gone_on(from));
        self.returns.push(from.elapsed());
    }

    /// A number in each room that was tried after this moment, and acknowledged.
    fn said_since(&self, from: Instant) -> Option<Vec<u64>> {
        let said = |poster: &Poster| poster.first_since(from).map(|said| said.number);
        self.posters.iter().map(said).collect()
    }

    fn has_gone_on(&self, from: Instant) -> bool {
        let Some(said) = self.said_since(from) else {
            return false;
        };
        let heard = |one: &Witness| one.newest.load(Ordering::Relaxed) >= said[one.room];
        let is_ready = |node: &tidewire_tests::Server| get(node.address(), "/ready").status == 200;
        self.witnesses.iter().all(heard) && self.nodes.all().all(is_ready)
    }

    #[track_caller]
    fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let from = Instant::now();
        while !holds(self) {
            if from.elapsed() > PATIENCE {
                let told = |node: &tidewire_tests::Server| {
                    let ready = get(node.address(), "/ready");
                    format!("{}: {ready:?}\n{}", node.address(), tail(&node.log()))
                };
                let nodes: Vec<_> = self.nodes.all().map(told).collect();
                let (name, faults) = (self.name, self.faults());
                let newest: Vec<_> = self.witnesses.iter().map(|one| &one.newest).collect();
                let nodes = nodes.join("\n");
                panic!(
                    "{name}: waited in vain until {what}; {faults}\nnewest: {newest:?}\n{nodes}\n{}",
                    self.report()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets everybody come to the end, and says what was found.
    ///
    /// # Panics
    ///
    /// When somebody saw what should not be.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let ended = Instant::now();
        self.shared.is_quiet.store(true, Ordering::Relaxed);
        let has_all = |campaign: &Self| {
            let last = |poster: &Poster| poster.said().last().map_or(0, |said| said.number);
            let last: Vec<_> = campaign.posters.iter().map(last).collect();
            let mut witnesses = campaign.witnesses.iter();
            let all_ended = campaign.posters.iter().all(Poster::has_ended);
            all_ended && witnesses.all(|one| one.newest.load(Ordering::Relaxed) == last[one.room])
        };
        self.wait_until("all followers have all", has_all);
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.verify.input.take();
        let is_clean = self.verify.wait();
        let report = self.report();
        let is_clean =
            is_clean.unwrap_or_else(|| panic!("{}: verify does not end: {report}", self.name));
        let faults = self.faults();
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
        self.posters.into_iter().for_each(Poster::join);
        self.witnesses.into_iter().for_each(Witness::join);
    }

    /// The first of what followers by HTTP found.
    fn faults(&self) -> String {
        let faults = self.shared.faults.lock().expect("no follower panics");
        let shown: Vec<_> = faults.iter().take(10).cloned().collect();
        match faults.len() {
            0 => String::new(),
            count => format!("{count} faults: {}", shown.join("\n")),
        }
    }

    fn report(&self) -> String {
        let text = fs::read_to_string(self.directory.path().join("verify.txt")).unwrap_or_default();
        match text.find("tidewire verify") {
            Some(at) => text[at..].to_owned(),
            None => tail(&text),
        }
    }
}

/// A running `tidewire verify`; dropping it ends its process.
#[derive(Debug)]
struct Verify {
    child: Child,
    /// It sends until this ends.
    input: Option<ChildStdin>,
}

impl Verify {
    #[track_caller]
    fn start(size: &Size, nodes: &Nodes, gaps_allowed: bool, directory: &Directory) -> Self {
        let output = File::create(directory.path().join("verify.txt")).expect("a file of ours");
        let mut command = Command::new(binary());
        command.arg("verify");
        for address in nodes.addresses() {
            command.arg(format!("ws://{address}"));
        }
        for (flag, value) in [
            ("--publishers", size.publishers),
            ("--subscribers", size.followers),
            ("--rooms", size.rooms),
            ("--rate", size.rate()),
            ("--seed", size.seed as usize),
        ] {
            command.args([flag, &value.to_string()]);
        }
        command.args(["--rooms-each", "1", "--until-eof", "--patience", "60s"]);
        command.args(["--history-entries", HISTORY_ENTRIES]);
        if gaps_allowed {
            command.arg("--allow-gaps");
        }
        let errors = output.try_clone().expect("a file of ours");
        let child = command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        let mut child = child.spawn().expect("the binary runs");
        let input = child.stdin.take();
        Self { child, input }
    }

    /// Waits for its end; whether it found nothing. `None` if it does not end.
    fn wait(&mut self) -> Option<bool> {
        let from = Instant::now();
        while from.elapsed() < 3 * PATIENCE {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return Some(status.success());
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Verify {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bar(name: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(1).with_message(name);
    let style =
        ProgressStyle::with_template("{msg:24} {bar:30} {pos} of {len}, {elapsed}, {eta} left");
    bar.set_style(style.expect("the template is right"));
    bar
}

/// The end of a text.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
