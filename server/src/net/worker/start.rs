//! How a worker begins.

use std::collections::{HashMap, VecDeque};
use std::io::Result;
use std::sync::Arc;

use mio::Poll;

use super::captures::Tapping;
use super::chat::Chat;
use super::elsewhere::PutOff;
use super::fanout::Together;
use super::last_words::LastWords;
use super::looking::Lookers;
use super::mail::{HOME, Mail, Peers};
use super::observe::Observer;
use super::operator::Desk;
use super::readers::Readers;
use super::recording::Recording;
use super::stopping::Stopping;
use super::{LISTENER, SIGNALS, Worker};
use crate::auth::{Expiries, Keys};
use crate::chat::{Hub, Relay};
use crate::clock::{LoopClock, Now};
use crate::config::Config;
use crate::limit::Addresses;
use crate::metrics::Status;
use crate::net::capacity::Capacity;
use crate::net::capture::{Capture, Captures};
use crate::net::files::Files;
use crate::net::inbox::Inbox;
use crate::net::listener::Listener;
use crate::net::logs::Logs;
use crate::net::memory::Memory;
use crate::net::shutdown::Shutdown;
use crate::net::table::Table;
use crate::net::tls::Credentials;
use crate::net::worklist::Worklist;
use crate::timer::Wheel;
use crate::transport::feeds::{Feeds, Interest};
use crate::transport::mqtt::Sessions;
use crate::transport::{Date, HttpConfig};

/// The buffer that all connections are read into: several large messages should lie in it whole. Only what was read into has
/// memory behind it.
const READ_BUFFER_BYTES: usize = 512 << 10;

/// What a worker is put together from.
pub(in crate::net) struct Parts {
    pub(in crate::net) poll: Poll,
    pub(in crate::net) listener: Listener,
    pub(in crate::net) credentials: Option<Credentials>,
    pub(in crate::net) inbox: Inbox<Mail>,
    pub(in crate::net) peers: Peers,
    pub(in crate::net) logs: Arc<Logs>,
    pub(in crate::net) files: Arc<Files>,
    pub(in crate::net) status: Status,
    pub(in crate::net) addresses: Addresses,
    pub(in crate::net) memory: Arc<Memory>,
    /// What may be captured, and what is from the start.
    pub(in crate::net) captures: (Captures, Option<Arc<Capture>>),
    /// Where the others look for what its connections follow; nowhere if there are none.
    pub(in crate::net) interest: Option<Arc<Interest>>,
    /// The sessions of clients that speak MQTT.
    pub(in crate::net) mqtt: Arc<Sessions>,
    /// What tokens are checked with.
    pub(in crate::net) keys: Option<Arc<Keys>>,
}

impl Worker {
    /// Ready to [`run`](Self::run).
    ///
    /// # Errors
    /// The kernel refuses what a loop needs.
    pub(in crate::net) fn new(parts: Parts, config: &Config) -> Result<Self> {
        let Parts {
            poll,
            mut listener,
            credentials,
            inbox,
            peers,
            logs,
            files,
            mut status,
            addresses,
            memory,
            captures,
            interest,
            mqtt,
            keys,
        } = parts;
        let (is_home, lane) = (peers.number() == HOME, peers.lane());
        listener.register(poll.registry(), LISTENER)?;
        let shutdown = is_home.then(|| Shutdown::register(poll.registry(), SIGNALS));
        let mut feeds = Feeds::new(Arc::clone(&config.rules), lane);
        if let Some(interest) = interest {
            feeds.count_in(interest);
        }
        if logs.are_elsewhere() {
            feeds.note_watches();
        }
        let chat = if is_home {
            Chat::Here(Box::new(Hub::new(config.hub(keys.clone()), rand::random())))
        } else {
            feeds.let_joiners_wait();
            Chat::There(HashMap::default())
        };
        let capacity = Capacity::new();
        status.own.accepts_per_second = capacity.per_second();
        let now = Now::read();
        let follower = Table::own_place(lane);
        let observer = Observer::new(peers.number(), follower, config.observe.canary, now);
        Ok(Self {
            poll,
            peers,
            listener: Some(listener),
            credentials,
            shutdown: shutdown.transpose()?,
            signalled: false,
            one_failed: false,
            asked_to_stop: None,
            capacity,
            drain_time: config.drain.time,
            stopping: Stopping::No,
            table: Table::new(lane),
            wheel: Wheel::new(now.instant),
            ready: Worklist::default(),
            dirty: Worklist::default(),
            laggards: VecDeque::new(),
            dead: Worklist::default(),
            due: Vec::new(),
            own_due: None,
            read_buffer: vec![0; READ_BUFFER_BYTES].into(),
            chat,
            effects: Vec::new(),
            feeds,
            inbox,
            logs,
            put_off: PutOff::default(),
            lag_max: config.lag_max,
            told_bytes: 0,
            relay: Relay::default(),
            lookers: Lookers::default(),
            mqtt,
            relayed: None,
            publishing: 0,
            memos: 0,
            together: Together::default(),
            mail_came: false,
            files,
            transfers: HashMap::default(),
            readers: Readers::default(),
            knocking: HashMap::default(),
            last_words: LastWords::default(),
            moved_to: None,
            expiries: Expiries::default(),
            recording: Recording::new(config.recorder.recorder, now.instant),
            desk: is_home.then(|| Box::new(Desk::new(now))),
            tapping: Tapping::new(captures.0, captures.1),
            web_sockets: config.web_sockets(),
            http: HttpConfig {
                addresses: Some(addresses),
                ..config.http(keys)
            },
            relay_limit: config.limits.relay(config.messages_per_second),
            memory,
            turned_away: 0,
            clock: LoopClock::new(now),
            status,
            observer,
            date: Date::new(now.unix_ms),
            now,
            worked: false,
        })
    }
}
