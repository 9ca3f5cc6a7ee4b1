//! Two engines and a real redis-server: what one appends the other is handed. That `redis-server` is missing is a failure.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::ids::LogName;
use crate::log::remote::Target;
use crate::log::store_tests::draft;
use crate::log::{PageMax, Placed, ReadFrom, Since};

const PATIENCE: Duration = Duration::from_secs(60);

struct Server(PathBuf, Child);

impl Server {
    fn start() -> Self {
        let name = format!("tidewire-engine-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut program = Program::new("redis-server");
        program.args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""]);
        let program = program.current_dir(&folder).stdin(Stdio::null());
        let process = program.stdout(Stdio::null()).spawn();
        Self(folder, process.expect("redis-server must be installed"))
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
        let target = Target {
            host: "redis".to_owned(),
            port: 6379,
        };
        let topology = Topology::Single {
            target,
            database: 0,
        };
        let options = RedisOptions::new(topology, name.to_owned());
        Self {
            engine: RedisEngine::new(options, Arc::default(), 7, Now::read()),
            links: HashMap::new(),
            replies: Vec::new(),
        }
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

#[test]
fn what_one_node_appends_another_is_handed() {
    let server = Server::start();
    let (mut one, mut other) = (Node::start("one"), Node::start("other"));
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
    other.engine.request(Request::Watch(log), Now::read());
    other.engine.request(read, Now::read());
    let begun = Instant::now();
    while other.replies.is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        one.turn(&server);
        other.turn(&server);
    }
    assert!(matches!(other.replies[..], [Reply::Page(Ok(_), 1)]));
    for number in 0..10 {
        // One that is older than a log keeps would be gone at once.
        let time = Now::read().unix_ms;
        let draft = crate::log::Draft {
            time,
            ..draft("a", "1")
        };
        let append = Request::Append(draft, number);
        one.engine.request(append, Now::read());
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
    let traffic = other.engine.traffic();
    assert!(
        traffic.announcements > 0 && traffic.catch_ups > 0,
        "{traffic:?}"
    );
    assert!(traffic.heads_checked > 0, "{traffic:?}");
    // All buckets are greeted.
    let buckets = super::super::Bucket::COUNT as u64;
    assert!(traffic.commands >= traffic.round_trips.count());
    assert!(traffic.round_trips.count() > buckets, "{traffic:?}");
}
