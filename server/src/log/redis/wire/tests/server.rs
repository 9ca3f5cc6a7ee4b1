//! A redis-server, and a link to it that waits for answers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use redis::Value;

use crate::log::redis::installed::redis_server;
use crate::log::redis::wire::setup::{self, Process};
use crate::log::redis::wire::{
    Appends, Errand, Heard, Naming, Replies, Script, answer, answers_of, heard, pack, pack_errand,
};
use crate::log::redis::{Answer, Command};

const PATIENCE: Duration = Duration::from_secs(60);

/// One with a directory of its own.
pub(super) struct RedisServer {
    folder: PathBuf,
    args: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// One that keeps nothing.
    pub(super) fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// One that saves each message before it answers.
    pub(super) fn saving() -> Self {
        Self::start_with(&[
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ])
    }

    pub(super) fn start_with(args: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidewire-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut server = Self {
            folder,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            process: None,
        };
        server.begin();
        server
    }

    fn begin(&mut self) {
        let mut program = redis_server();
        // No port: nobody else finds it.
        program.args(["--port", "0", "--unixsocket", "redis.sock", "--dir", "."]);
        program.args(&self.args).current_dir(&self.folder);
        let process = program.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        self.process = Some(process.expect("redis-server must be there: run `cargo xtask setup`"));
    }

    /// Ends it as `kill -9` does, and starts it again.
    pub(super) fn kill_and_restart(&mut self) {
        self.kill();
        self.begin();
    }

    /// ... with what it saved at [`snapshot`](Self::snapshot), or with nothing.
    pub(super) fn kill_and_restart_from(&mut self, snapshot: Option<Vec<u8>>) {
        self.kill();
        // The socket is left behind, too.
        for file in std::fs::read_dir(&self.folder).unwrap() {
            let file = file.unwrap().path();
            let _ = std::fs::remove_file(&file).or_else(|_| std::fs::remove_dir_all(&file));
        }
        if let Some(snapshot) = snapshot {
            std::fs::write(self.folder.join("dump.rdb"), snapshot).unwrap();
        }
        self.begin();
    }

    /// What it has now.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        assert_eq!(self.link().call(&["SAVE"]), Value::Okay);
        std::fs::read(self.folder.join("dump.rdb")).unwrap()
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// A link that knows all scripts.
    pub(super) fn link(&self) -> Link {
        self.link_of("n1")
    }

    pub(super) fn link_of(&self, node: &str) -> Link {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "redis-server does not come up");
            if let Ok(stream) = UnixStream::connect(self.folder.join("redis.sock")) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut link = Link {
                    stream,
                    replies: Replies::default(),
                    naming: Naming {
                        prefix: "test:".to_owned(),
                        node: node.to_owned(),
                        sharded: false,
                    },
                };
                // While it loads its data, it says so.
                if setup::done(&link.errand(&Errand::Ping)).is_ok() {
                    for script in Script::ALL {
                        let digest = link.errand(&Errand::Load(script));
                        let expected = script.digest().as_bytes().to_vec();
                        assert_eq!(digest, Value::BulkString(expected), "{script:?}");
                    }
                    return link;
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Three primaries, each with a third of the slots.
pub(super) struct RedisCluster {
    pub(super) nodes: Vec<RedisServer>,
    pub(super) ports: Vec<String>,
}

impl RedisCluster {
    pub(super) fn start() -> Self {
        // Free now; if another takes one first, its redis-server does not come up.
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [free(), free(), free(), free(), free(), free()];
        let ports = listeners.map(|listener| {
            let port = listener.local_addr().unwrap().port();
            port.to_string()
        });
        let [a, b, c, buses @ ..] = ports;
        let ports = vec![a, b, c];
        let start = |(port, bus): (&String, &String)| {
            let args = [
                "--cluster-enabled",
                "yes",
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--port",
                port,
                "--cluster-port",
                bus,
            ];
            RedisServer::start_with(&args)
        };
        let nodes: Vec<RedisServer> = ports.iter().zip(&buses).map(start).collect();
        let parts = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (node, (first, last)) in nodes.iter().zip(parts) {
            let mut link = node.link();
            let added = link.call(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
            assert_eq!(added, Value::Okay);
            for (port, bus) in ports.iter().zip(&buses) {
                let met = link.call(&["CLUSTER", "MEET", "127.0.0.1", port, bus]);
                assert_eq!(met, Value::Okay);
            }
        }
        Self { nodes, ports }
    }

    /// A link to each, once all know of each other.
    pub(super) fn links(&self) -> Vec<Link> {
        let begun = Instant::now();
        let ready = |node: &RedisServer| loop {
            assert!(begun.elapsed() < PATIENCE, "the cluster does not come up");
            let mut link = node.link();
            link.naming.sharded = true;
            let slots = setup::slots(&link.errand(&Errand::ClusterSlots)).unwrap();
            let info = link.call(&["CLUSTER", "INFO"]);
            let is_ok = answer::text(&info).unwrap().contains("cluster_state:ok");
            if slots.len() == 3 && is_ok {
                return link;
            }
            thread::sleep(Duration::from_millis(50));
        };
        self.nodes.iter().map(ready).collect()
    }
}

/// A link.
pub(super) struct Link {
    stream: UnixStream,
    replies: Replies,
    pub(super) naming: Naming,
}

impl Link {
    pub(super) fn ask(&mut self, command: &Command) -> Answer {
        let mut out = BytesMut::new();
        pack(command, &self.naming, &mut out);
        self.stream.write_all(&out).unwrap();
        let reply = self.reply();
        if matches!(command, Command::Append { .. }) {
            let answers = answers_of(reply, 1).unwrap();
            return answer(command, answers.into_iter().next().unwrap());
        }
        answer(command, reply)
    }

    /// Several that append, in as few calls as they may be: how many that were, and what each was answered.
    pub(super) fn ask_together(&mut self, commands: &[Command]) -> (usize, Vec<Answer>) {
        let mut calls = vec![Appends::default()];
        for command in commands {
            let last = calls.last().unwrap();
            if !last.has_room_for(command, &self.naming) {
                calls.push(Appends::default());
            }
            calls.last_mut().unwrap().add(command, &self.naming);
        }
        let mut rest = commands.iter();
        let mut said = Vec::new();
        for call in &calls {
            let mut out = BytesMut::new();
            call.write(&self.naming, &mut out);
            self.stream.write_all(&out).unwrap();
            let answers = answers_of(self.reply(), call.commands()).unwrap();
            said.extend(
                answers
                    .into_iter()
                    .zip(&mut rest)
                    .map(|(reply, command)| answer(command, reply)),
            );
        }
        (calls.len(), said)
    }

    pub(super) fn errand(&mut self, errand: &Errand<'_>) -> Value {
        let mut out = BytesMut::new();
        pack_errand(errand, &self.naming, &mut out);
        self.stream.write_all(&out).unwrap();
        self.reply()
    }

    /// Any command of Redis.
    pub(super) fn call(&mut self, words: &[&str]) -> Value {
        let mut cmd = redis::Cmd::new();
        cmd.arg(words);
        self.stream.write_all(&cmd.get_packed_command()).unwrap();
        self.reply()
    }

    pub(super) fn process(&mut self) -> Process {
        setup::process(&self.errand(&Errand::Info)).unwrap()
    }

    pub(super) fn heard(&mut self) -> Heard {
        let reply = self.reply();
        heard(&reply, &self.naming)
    }

    fn reply(&mut self) -> Value {
        let mut buffer = [0; 65_536];
        loop {
            if let Some(value) = self.replies.next().unwrap() {
                return value;
            }
            let read = match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            assert!(read > 0, "redis-server has closed the link");
            self.replies.push(&buffer[..read]);
        }
    }
}
