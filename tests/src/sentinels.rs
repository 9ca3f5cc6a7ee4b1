//! Sentinels as processes of the test's own, who watch a real Redis and its replicas: Debian's redis-server, which is one when it is
//! told so.

use std::net::SocketAddr;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Place, Program};
use crate::redis::{Access, Redis, only, program};
use crate::resp::Value;
use crate::tls::Identity;
use crate::wait::wait_until;

/// What they call the primary.
pub const NAME: &str = "main";

/// How long they may take by themselves until they have another primary, before they are asked to.
const ALONE_MAX: Duration = Duration::from_secs(15);

/// Between two times that they are asked to.
const AGAIN: Duration = Duration::from_secs(3);

/// How long it may take in all: they give it up, and begin anew, where not enough of them agree in time.
const CHOICE_MAX: Duration = Duration::from_secs(90);

/// How to start Sentinels.
#[derive(Clone, Debug, Default)]
pub struct SentinelsLaunch {
    /// Who they are at Redis.
    watched_user: Option<(String, String)>,
    /// Who may ask them.
    access: Access,
}

impl SentinelsLaunch {
    /// They are this user at Redis.
    #[must_use]
    pub fn watching_as(mut self, name: &str, password: &str) -> Self {
        self.watched_user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Only this user may ask them.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.access.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// They speak TLS, as this, with everybody.
    #[must_use]
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.access.identity = Some(identity.clone());
        self
    }

    /// Starts three who watch a primary with so many replicas, and waits until all know all.
    ///
    /// # Panics
    ///
    /// When they do not.
    #[must_use]
    #[track_caller]
    pub fn start(self, primary: &Redis, replicas: usize) -> Sentinels {
        let sentinel = Sentinel {
            launch: self,
            primary: primary.address(),
        };
        let start = |_| Daemon::run(sentinel.clone());
        let sentinels = Sentinels {
            sentinels: (0..3).map(start).collect(),
            launch: sentinel.launch.clone(),
        };
        let knows = |index: usize| {
            let answer = sentinels.try_ask(index, &["SENTINEL", "MASTER", NAME]);
            let field = |name: &str| {
                let parts = answer.as_ref().map(Value::parts).unwrap_or_default();
                let mut pairs = parts.chunks_exact(2);
                let found = pairs.find(|pair| pair[0].text() == name)?;
                found[1].text().parse::<usize>().ok()
            };
            field("num-slaves") >= Some(replicas) && field("num-other-sentinels") == Some(2)
        };
        wait_until("the Sentinels know each other", || (0..3).all(knows));
        sentinels
    }
}

/// Three of them; dropping them ends their processes.
#[derive(Debug)]
pub struct Sentinels {
    sentinels: Vec<Daemon<Sentinel>>,
    launch: SentinelsLaunch,
}

/// One of them.
#[derive(Clone, Debug)]
struct Sentinel {
    launch: SentinelsLaunch,
    primary: SocketAddr,
}

impl Sentinels {
    /// Three who watch a primary with so many replicas.
    #[must_use]
    #[track_caller]
    pub fn start(primary: &Redis, replicas: usize) -> Self {
        SentinelsLaunch::default().start(primary, replicas)
    }

    /// What `--log` takes, for this user of Redis.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = self.launch.access.scheme();
        let user = match &self.launch.watched_user {
            Some((name, password)) => format!("{name}:{password}@"),
            None => String::new(),
        };
        let addresses = self.sentinels.iter().map(|one| one.address().to_string());
        let addresses: Vec<_> = addresses.collect();
        format!("{scheme}+sentinel://{user}{}/{NAME}", addresses.join(","))
    }

    /// Where one of them knows the primary.
    #[must_use]
    pub fn primary(&self, index: usize) -> Option<SocketAddr> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
        let answer = self.try_ask(index, &words)?;
        let [host, port] = answer.parts() else {
            return None;
        };
        format!("{}:{}", host.text(), port.text()).parse().ok()
    }

    /// Makes them choose another primary; waits until all of them have.
    ///
    /// # Panics
    ///
    /// When they do not.
    #[track_caller]
    pub fn fail_over(&self, from: SocketAddr) -> SocketAddr {
        self.choose(from, Duration::ZERO)
    }

    /// Waits until all of them have another primary, since this one is gone.
    ///
    /// # Panics
    ///
    /// When they do not.
    #[track_caller]
    pub fn wait_for_another(&self, from: SocketAddr) -> SocketAddr {
        self.choose(from, ALONE_MAX)
    }

    /// Waits until they have another, and asks them to choose one if they have not by then, and again where they give it up.
    #[track_caller]
    fn choose(&self, from: SocketAddr, alone: Duration) -> SocketAddr {
        let began = Instant::now();
        let mut ask_at = began + alone;
        let is_other = |index| self.primary(index).is_some_and(|primary| primary != from);
        while !(0..self.sentinels.len()).all(is_other) {
            assert!(
                began.elapsed() < CHOICE_MAX,
                "the Sentinels choose no other primary"
            );
            // Where the first has, the others hear of it: asked again, it would choose once more.
            if ask_at <= Instant::now() && !is_other(0) {
                // Refused where they have begun, or have no replica yet that they would take.
                let _ = self.try_ask(0, &["SENTINEL", "FAILOVER", NAME]);
                ask_at = Instant::now() + AGAIN;
            }
            sleep(Duration::from_millis(50));
        }
        self.primary(0).expect("they know one")
    }

    /// Ends all of them.
    #[track_caller]
    pub fn kill(&mut self) {
        self.sentinels.iter_mut().for_each(Daemon::kill);
    }

    /// Starts all of them again, with what they knew.
    #[track_caller]
    pub fn come_back(&mut self) {
        self.sentinels.iter_mut().for_each(Daemon::come_back);
    }

    fn try_ask(&self, index: usize, words: &[&str]) -> Option<Value> {
        let address = self.sentinels[index].address();
        let mut client = self.launch.access.client(address).ok()?;
        client.ask(words).ok()
    }
}

impl Program for Sentinel {
    const NAME: &'static str = "a Sentinel";

    fn set_up(&self, place: &Place) {
        let (host, port) = (self.primary.ip(), self.primary.port());
        let SentinelsLaunch {
            watched_user,
            access,
        } = &self.launch;
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "daemonize no".to_owned(),
            format!("logfile {}", place.log().display()),
            format!("dir {}", place.directory().display()),
        ];
        lines.extend(access.ports(place.address));
        if access.identity.is_some() {
            lines.push("tls-replication yes".to_owned());
        }
        lines.push(format!("sentinel monitor {NAME} {host} {port} 2"));
        lines.push(format!("sentinel down-after-milliseconds {NAME} 2500"));
        lines.push(format!("sentinel failover-timeout {NAME} 5000"));
        if let Some((name, password)) = watched_user {
            lines.push(format!("sentinel auth-user {NAME} {name}"));
            lines.push(format!("sentinel auth-pass {NAME} {password}"));
        }
        if let Some(user) = &access.user {
            lines.extend(only(user));
            lines.push(format!("sentinel sentinel-user {}", user.0));
            lines.push(format!("sentinel sentinel-pass {}", user.1));
        }
        place.write("sentinel.conf", &lines);
    }

    fn command(&self, place: &Place) -> Command {
        let mut command = Command::new(program());
        command.arg(place.directory().join("sentinel.conf"));
        command.arg("--sentinel");
        command
    }

    fn answers(&self, place: &Place) -> bool {
        self.launch.access.answers(place.address)
    }
}
