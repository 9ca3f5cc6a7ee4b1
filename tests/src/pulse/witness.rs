//! Those who follow by HTTP: event streams and polls, on whichever node lets them in. Each checks what it is shown by itself:
//! numbers that rise by one, or a gap that says so where that is allowed.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Shared, lock};
use crate::wait::uninterrupted;

/// How somebody follows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transport {
    /// Server-Sent Events.
    Events,
    /// Long polls, each over a connection of its own.
    Polls,
}

/// A follower in a thread of its own.
#[derive(Debug)]
pub(super) struct Witness {
    /// The room that it follows.
    pub(super) room: usize,
    /// It has come; from now on it is to be shown everything.
    pub(super) is_there: Arc<AtomicBool>,
    /// The newest number that it was shown.
    pub(super) newest: Arc<AtomicU64>,
    deliveries: Deliveries,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Starts one that looks for the nodes in turn, beginning with the one of this number.
    pub(super) fn start(
        shared: &Arc<Shared>,
        node: usize,
        room: usize,
        transport: Transport,
    ) -> Self {
        let newest = Arc::new(AtomicU64::new(0));
        let is_there = Arc::new(AtomicBool::new(false));
        let deliveries = Deliveries::default();
        let mut follower = Follower {
            shared: Arc::clone(shared),
            name: format!("{transport:?} {node} in room {room}"),
            room,
            node,
            since: None,
            newest: Arc::clone(&newest),
            is_there: Arc::clone(&is_there),
            has_gap: false,
            came: None,
            deliveries: Arc::clone(&deliveries),
        };
        let builder = thread::Builder::new().stack_size(256 << 10);
        let thread = builder.spawn(move || follower.run(transport));
        Self {
            room,
            is_there,
            newest,
            deliveries,
            thread: Some(thread.expect("a thread")),
        }
    }

    /// How long numbers took to it that were said while it was there.
    pub(super) fn deliveries(&self) -> Vec<(u64, Duration)> {
        let deliveries = lock(&self.deliveries);
        let to_time = |&(number, us): &(u32, u32)| {
            let took = Duration::from_micros(u64::from(us));
            (u64::from(number), took)
        };
        deliveries.iter().map(to_time).collect()
    }

    /// Waits for its end.
    #[track_caller]
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a follower does not panic");
        }
    }
}

/// Numbers, and the microseconds that they took.
type Deliveries = Arc<Mutex<Vec<(u32, u32)>>>;

struct Follower {
    shared: Arc<Shared>,
    name: String,
    room: usize,
    node: usize,
    since: Option<String>,
    newest: Arc<AtomicU64>,
    is_there: Arc<AtomicBool>,
    /// It was just told of a gap: what comes next may be any number.
    has_gap: bool,
    /// Since when its stream is there.
    came: Option<Instant>,
    deliveries: Deliveries,
}

impl Follower {
    fn run(&mut self, transport: Transport) {
        while !self.shared.is_over() {
            let followed = match transport {
                Transport::Events => self.stream(),
                Transport::Polls => self.poll(),
            };
            self.came = None;
            if followed.is_err() && !self.shared.is_over() {
                self.shared.returns.fetch_add(1, Ordering::Relaxed);
                self.node += 1;
                thread::sleep(Duration::from_millis(100));
            }
        }
    }

    fn ask(&self, path: &str, more: &str) -> io::Result<TcpStream> {
        let node = self.shared.nodes[self.node % self.shared.nodes.len()];
        let mut stream = TcpStream::connect_timeout(&node, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let since = match &self.since {
            Some(since) => format!("&since={since}"),
            None => String::new(),
        };
        let room = self.room;
        let head = format!(
            "GET {path}?room=pulse-{room}{since}{more} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    }

    /// Follows a stream to its end, which is an error.
    fn stream(&mut self) -> io::Result<()> {
        let mut stream = self.ask("/sse", "")?;
        let mut inbox = Inbox::default();
        expect_ok(&inbox.block(&mut stream, "\r\n\r\n", &self.shared)?)?;
        loop {
            let block = inbox.block(&mut stream, "\n\n", &self.shared)?;
            let field = |name: &str| {
                let mut lines = block.lines();
                lines
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            if let Some(data) = field("data: ") {
                let told = parse(&data)?;
                self.take(&told);
                self.has_gap = told["type"] == "gap";
            }
            if let Some(id) = field("id: ") {
                self.came_to(id);
                self.came.get_or_insert_with(Instant::now);
            }
        }
    }

    fn poll(&mut self) -> io::Result<()> {
        let mut stream = self.ask("/poll", "&timeout=5")?;
        let mut inbox = Inbox::default();
        let head = inbox.block(&mut stream, "\r\n\r\n", &self.shared)?;
        expect_ok(&head)?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let value = value.parse().ok()?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        let length = length.ok_or_else(|| io::Error::other("no length"))?;
        let answer = parse(&inbox.exactly(&mut stream, length, &self.shared)?)?;
        let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
        let (gaps, messages) = (list("gaps"), list("messages"));
        for told in gaps.iter().chain(&messages) {
            self.take(told);
        }
        // What it was told of may come with the next answer only.
        self.has_gap &= messages.is_empty();
        if let Some(position) = answer["position"].as_str() {
            self.came_to(position.to_owned());
        }
        Ok(())
    }

    fn came_to(&mut self, position: String) {
        self.since = Some(position);
        self.is_there.store(true, Ordering::Relaxed);
    }

    fn take(&mut self, told: &Value) {
        match told["type"].as_str() {
            Some("gap") => {
                self.shared.gaps.fetch_add(1, Ordering::Relaxed);
                if !self.shared.gaps_allowed {
                    self.shared.fault(format!("{}: {told}", self.name));
                }
                self.has_gap = true;
            }
            Some("room_msg") => self.shown(told),
            _ => self.shared.fault(format!("{}: {told}", self.name)),
        }
    }

    fn shown(&mut self, message: &Value) {
        self.shared.shown.fetch_add(1, Ordering::Relaxed);
        let number = message["content"].as_u64().unwrap_or_default();
        let before = self.newest.swap(number, Ordering::Relaxed);
        self.note_time(number);
        let is_next = number == before + 1 || before == 0;
        if !is_next && !self.has_gap {
            let fault = format!("{}: number {number} behind {before}: {message}", self.name);
            self.shared.fault(fault);
        }
    }

    /// How long it took, if the stream was there when it was said.
    fn note_time(&self, number: u64) {
        if let (Some(came), Some(began)) = (self.came, self.shared.began(self.room, number))
            && came <= began
        {
            let (number, took) = (number as u32, began.elapsed().as_micros() as u32);
            lock(&self.deliveries).push((number, took));
        }
    }
}

/// What came and was not looked at yet.
#[derive(Default)]
struct Inbox(Vec<u8>);

impl Inbox {
    fn block(&mut self, from: &mut TcpStream, end: &str, shared: &Shared) -> io::Result<String> {
        loop {
            let found = self
                .0
                .windows(end.len())
                .position(|at| at == end.as_bytes());
            if let Some(at) = found {
                let rest = self.0.split_off(at + end.len());
                let mut block = std::mem::replace(&mut self.0, rest);
                block.truncate(at);
                return String::from_utf8(block).map_err(io::Error::other);
            }
            self.receive(from, shared)?;
        }
    }

    fn exactly(
        &mut self,
        from: &mut TcpStream,
        count: usize,
        shared: &Shared,
    ) -> io::Result<String> {
        while self.0.len() < count {
            self.receive(from, shared)?;
        }
        String::from_utf8(std::mem::take(&mut self.0)).map_err(io::Error::other)
    }

    /// Waits for more as long as the campaign lasts.
    fn receive(&mut self, from: &mut TcpStream, shared: &Shared) -> io::Result<()> {
        let mut buffer = [0; 8 << 10];
        while !shared.is_over() {
            match uninterrupted(|| from.read(&mut buffer)) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.0.extend_from_slice(&buffer[..read]);
                    return Ok(());
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::Interrupted.into())
    }
}

fn expect_ok(head: &str) -> io::Result<()> {
    match head.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(io::Error::other("it does not let anybody in now")),
    }
}

fn parse(text: &str) -> io::Result<Value> {
    serde_json::from_str(text).map_err(io::Error::other)
}
