//! Two engines and a real redis-server: what one appends the other is handed. That `redis-server` is missing is a failure.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::num::NonZeroU8;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::ids::LogName;
use crate::log::redis::installed::redis_server;
use crate::log::remote::Target;
use crate::log::shared::core::{Ask, Core, Hello, Said};
use crate::log::shared::{Ack, Answer, Command, Failure, Run, RunState, Trust};
use crate::log::store_tests::draft;
use crate::log::{AppendError, PageMax, Placed, ReadFrom, Since, StoreError};

const PATIENCE: Duration = Duration::from_secs(60);

struct Server(PathBuf, Child);

impl Server {
    fn start() -> Self {
        Self::start_with(&["--port", "0"])
    }

    /// One that others can replicate, who know it by this port only.
    fn start_at(port: u16) -> Self {
        Self::start_with(&["--bind", "127.0.0.1", "--port", &port.to_string()])
    }

    /// A replica of that one.
    fn replica_of(port: u16) -> Self {
        let primary = format!("127.0.0.1 {port}");
        Self::start_with(&["--port", "0", "--replicaof", &primary])
    }

    fn start_with(args: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidewire-engine-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut program = redis_server();
        program.args(["--unixsocket", "redis.sock", "--save", ""]);
        program.args(["--repl-diskless-sync-delay", "0"]).args(args);
        let program = program.current_dir(&folder).stdin(Stdio::null());
        let process = program.stdout(Stdio::null()).spawn();
        Self(
            folder,
            process.expect("redis-server must be there: run `cargo xtask setup`"),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.1.kill();
        let _ = self.1.wait();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Node {
    engine: RedisEngine<u32>,
    links: HashMap<Link, UnixStream>,
    replies: Vec<Reply<u32>>,
}

impl Node {
    fn start(name: &str) -> Self {
        Self::start_with(name, Ack::Primary)
    }

    fn start_with(name: &str, ack: Ack) -> Self {
        let target = Target {
            host: "redis".to_owned(),
            port: 6379,
        };
        let topology = Topology::Single {
            target,
            database: 0,
        };
        let options = RedisOptions {
            ack,
            ..RedisOptions::new(topology, name.to_owned())
        };
        Self {
            engine: RedisEngine::new(options, Arc::default(), 7, Now::read()),
            links: HashMap::new(),
            replies: Vec::new(),
        }
    }

    /// Asks for a message in the log `a`, which has just been said: one that is older than a log keeps would be gone at once.
    fn begin_append(&mut self, number: u32) {
        let now = Now::read();
        let draft = crate::log::Draft {
            time: now.unix_ms,
            ..draft("a", "1")
        };
        self.engine.request(Request::Append(draft, number), now);
    }

    /// Asks for the log `a` from its beginning on, and for what comes then.
    fn begin_to_watch(&mut self) {
        let log = LogName::new("a").unwrap();
        let read = Request::Read {
            log: log.clone(),
            from: ReadFrom::Since(Since::Oldest),
            max: PageMax {
                entries: 10,
                bytes: 1 << 16,
            },
            context: 1,
        };
        self.engine.request(Request::Watch(log), Now::read());
        self.engine.request(read, Now::read());
    }

    fn turn(&mut self, server: &Server) {
        let now = Now::read();
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Open(link, _) => match UnixStream::connect(server.0.join("redis.sock")) {
                    Ok(stream) => {
                        stream.set_nonblocking(true).unwrap();
                        self.links.insert(link, stream);
                        self.engine.opened(link, now);
                    }
                    Err(error) => self.engine.closed(link, &error.to_string(), now),
                },
                Action::Close(link) => drop(self.links.remove(&link)),
            }
        }
        let links: Vec<Link> = self.links.keys().copied().collect();
        for link in links {
            let mut bytes = [0; 4096];
            let stream = self.links.get_mut(&link).unwrap();
            match stream.read(&mut bytes) {
                Ok(0) => panic!("redis-server has closed the link"),
                Ok(read) => self.engine.received(link, &bytes[..read], now),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            let (Some(out), Some(stream)) = (self.engine.output(link), self.links.get_mut(&link))
            else {
                continue;
            };
            if let Ok(written) = stream.write(out) {
                drop(out.split_to(written));
            }
        }
        if self
            .engine
            .poll_timeout()
            .is_some_and(|at| at <= now.instant)
        {
            self.engine.handle_timeout(now);
        }
        self.engine.take_replies(&mut self.replies);
    }
}

/// Appends a message with this number, and says what becomes of it: its offset, or that it is not certain.
fn append(node: &mut Node, server: &Server, number: u32) -> Option<u64> {
    let seq = serde_json::value::to_raw_value(&number).unwrap();
    let draft = crate::log::Draft {
        time: Now::read().unix_ms,
        seq: Some(seq),
        ..draft("a", "1")
    };
    let request = Request::Append(draft, number);
    node.engine.request(request, Now::read());
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE);
        node.turn(server);
        match node.replies.pop() {
            Some(Reply::Appended(Ok(placed), _)) => return Some(placed.position().offset),
            Some(Reply::Appended(Err(error), _)) => {
                let unavailable = AppendError::Store(StoreError::Unavailable);
                assert_eq!(error, unavailable);
                return None;
            }
            Some(reply) => panic!("{reply:?}"),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn with_a_real_replica_nothing_is_acked_that_it_does_not_have() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Redis cannot be given port 0: this one was free a moment ago.
    drop(listener);
    let server = Server::start_at(port);
    let ack = Ack::Replicas(NonZeroU8::MIN);
    let mut nodes = ["one", "other"].map(|name| Node::start_with(name, ack));
    let until_acked = |node: &mut Node, number| loop {
        if let Some(offset) = append(node, &server, number) {
            return offset;
        }
    };
    let replica = Server::replica_of(port);
    assert_eq!(until_acked(&mut nodes[0], 1), 1);
    drop(replica);
    assert_eq!(append(&mut nodes[0], &server, 2), None);
    // It is in the log, and found there: that is not enough, for whoever finds it.
    for node in &mut nodes {
        assert_eq!(append(node, &server, 2), None);
    }
    let _replica = Server::replica_of(port);
    for node in &mut nodes {
        assert_eq!(until_acked(node, 2), 2);
    }
}

#[test]
fn what_one_node_appends_another_is_handed() {
    let server = Server::start();
    let (mut one, mut other) = (Node::start("one"), Node::start("other"));
    other.begin_to_watch();
    let begun = Instant::now();
    while other.replies.is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        one.turn(&server);
        other.turn(&server);
    }
    assert!(matches!(other.replies[..], [Reply::Page(Ok(_), 1)]));
    for number in 0..10 {
        one.begin_append(number);
    }
    while one.replies.len() < 10 || other.replies.len() < 11 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", other.replies);
        one.turn(&server);
        other.turn(&server);
    }
    for (number, (placed, announced)) in one.replies.iter().zip(&other.replies[1..]).enumerate() {
        let (Reply::Appended(Ok(Placed::New(placed)), context), Reply::Announced(announced)) =
            (placed, announced)
        else {
            panic!("{placed:?} {announced:?}")
        };
        assert_eq!(
            (*context as usize, placed.position.offset),
            (number, number as u64 + 1)
        );
        assert_eq!(placed, announced);
    }
    // On a busy machine those ten may have been found before it had subscribed.
    for number in 10.. {
        if other.engine.traffic().announcements > 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing is announced");
        one.begin_append(number);
        one.turn(&server);
        other.turn(&server);
    }
    let traffic = other.engine.traffic();
    assert!(traffic.catch_ups > 0, "{traffic:?}");
    assert!(traffic.heads_checked > 0, "{traffic:?}");
    // All buckets are greeted.
    let buckets = super::super::Bucket::COUNT as u64;
    assert!(traffic.commands >= traffic.round_trips.count());
    assert!(traffic.round_trips.count() > buckets, "{traffic:?}");
}

/// Answers everything but batches, and returns how many messages each of those has.
fn batches(core: &mut Core<u32>, link: Link, now: Now) -> Vec<usize> {
    core.send_all();
    let mut sizes = Vec::new();
    while let Some(ask) = core.take_ask(link) {
        let answer = match ask {
            Ask::Command(Command::Append { messages, .. }) => {
                sizes.push(messages.len());
                continue;
            }
            Ask::Command(Command::Beat { .. }) => Answer::Nodes(Vec::new()),
            _ => Answer::Run(Run {
                number: 1,
                state: RunState::Open(Trust::Whole),
            }),
        };
        core.said(link, Said::Answer(answer), now);
        core.send_all();
    }
    sizes
}

#[test]
fn a_refused_batch_is_not_sent_again_where_the_next_may_have_been_taken() {
    let now = Now::read();
    let target = Target {
        host: "redis".to_owned(),
        port: 6379,
    };
    let topology = Topology::Single {
        target: target.clone(),
        database: 0,
    };
    let options = RedisOptions::new(topology, "one".to_owned());
    let mut core = Core::<u32>::new(options.settings(), Arc::default(), 7, now);
    core.use_single(target);
    let Some(Action::Open(link, _)) = core.actions.pop_front() else {
        panic!("no link is wanted");
    };
    let hello = Hello {
        run_id: "run".to_owned(),
        saves_always: true,
        unix_ms: None,
    };
    core.commands_ready(link, hello, now);
    assert_eq!(batches(&mut core, link, now), [0; 0]);
    for number in [1, 2] {
        core.request(Request::Append(draft("a", "1"), number), now);
        assert_eq!(batches(&mut core, link, now), [1]);
    }
    // Both would be sent again, and the second one be found where it is: before the first.
    core.said(link, Said::Answer(Answer::Failed(Failure::NoScript)), now);
    let mut replies = Vec::new();
    core.take_replies(&mut replies);
    let [Reply::Appended(Err(_), 1), ..] = &replies[..] else {
        panic!("{replies:?}");
    };
}
