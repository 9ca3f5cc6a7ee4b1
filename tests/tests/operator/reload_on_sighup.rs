//! SIGHUP: what can change while the server runs does, for connections that are there, too; what cannot is said, and a file that
//! makes no sense changes nothing.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tidewire_tests::frame::opcode;
use tidewire_tests::wait::uninterrupted;
use tidewire_tests::{
    Chatter, Client, Directory, Issuer, Launch, Server, StreamChatter, http, wait_until,
};

/// A server with a file that can be written again.
struct Reloading {
    file: PathBuf,
    server: Server,
    _directory: Directory,
}

impl Reloading {
    fn start(text: &str) -> Self {
        let directory = Directory::new();
        let file = directory.path().join("tidewire.toml");
        fs::write(&file, text).expect("a file of the test's");
        let path = file.to_str().expect("a path of ASCII");
        let server = Server::start_with(&["--config", path]);
        Self {
            file,
            server,
            _directory: directory,
        }
    }

    /// Writes the file, sends SIGHUP, and waits until the server has said something with `told` in it.
    fn reload(&self, text: &str, told: &str) {
        fs::write(&self.file, text).expect("a file of the test's");
        let before = self.server.log().matches(told).count();
        self.server.signal("HUP");
        wait_until("the server has read its settings again", || {
            self.server.log().matches(told).count() > before
        });
    }
}

const READ: &str = "the settings were read again";

#[test]
fn a_new_heartbeat_holds_for_connections_that_are_there() {
    let reloading = Reloading::start("heartbeat = \"1h\"");
    let server = &reloading.server;
    let mut echo = Client::open(server.address(), "/echo");
    let mut chatter = Chatter::enter(server, "alice", "lobby");
    echo.answers_pings = false;
    chatter.client.answers_pings = false;
    reloading.reload("heartbeat = \"300ms\"\npong-wait = \"1h\"", READ);
    assert_eq!(echo.expect_frame().opcode, opcode::PING);
    assert_eq!(chatter.client.expect_frame().opcode, opcode::PING);
    // And who comes is told.
    let welcome = Chatter::connect(server, "userId=bob").welcome;
    assert_eq!(welcome["heartbeat"], 1, "{welcome}");
    let log = server.log();
    for word in ["heartbeat", "1h", "300ms", "pong-wait"] {
        assert!(log.contains(word), "{word}: {log}");
    }
}

#[test]
fn limits_and_origins_change_without_a_connection_being_lost() {
    let reloading = Reloading::start("messages-per-second = 1\nfile-bytes-max = 10");
    let server = &reloading.server;
    let mut alice = Chatter::enter(server, "alice", "lobby");
    let upload = |bytes: usize| {
        let body = vec![b'x'; bytes];
        let headers = "Content-Type: text/plain\r\nOrigin: https://a.example\r\n";
        http::send(server.address(), "POST", "/api/files", headers, &body).status
    };
    assert_eq!(upload(11), 403, "a page of a foreign origin");
    reloading.reload(
        "messages-per-second = 0\nfile-bytes-max = 11\ncors-origin = [\"https://a.example\"]",
        READ,
    );
    assert_eq!((upload(11), upload(12)), (201, 413));
    for seq in 1..=50 {
        alice.say_acked("lobby", "as many as I like", seq);
    }
}

#[test]
fn a_file_that_makes_no_sense_changes_nothing_and_says_why() {
    let reloading = Reloading::start("file-bytes-max = 10");
    let server = &reloading.server;
    let mut alice = Chatter::enter(server, "alice", "lobby");
    reloading.reload(
        "file-bytes-max = 99\nheartbeet = \"3s\"\npong-wait = \"soon\"",
        "nothing has changed",
    );
    let log = server.log();
    for told in ["line 2", "heartbeet", "did you mean", "line 3", "pong-wait"] {
        assert!(log.contains(told), "{told}: {log}");
    }
    let upload = http::send(server.address(), "POST", "/api/files", "", &[b'x'; 11]);
    assert_eq!(upload.status, 413);
    alice.say_acked("lobby", "still here", 1);
    // It is mended, and read.
    reloading.reload("file-bytes-max = 99", READ);
    let upload = http::send(server.address(), "POST", "/api/files", "", &[b'x'; 11]);
    assert_eq!(upload.status, 201);
}

#[test]
fn what_needs_a_restart_is_said_each_time_and_does_not_keep_the_rest_back() {
    let reloading = Reloading::start("files-bytes-max = 100\nheartbeat = \"20s\"");
    let server = &reloading.server;
    for _ in 0..2 {
        reloading.reload(
            "files-bytes-max = 200\nheartbeat = \"21s\"\n[[room]]\nmatch = \"a*\"\nkeep = \"memory\"",
            READ,
        );
    }
    let welcome = Chatter::connect(server, "userId=bob").welcome;
    assert_eq!(welcome["heartbeat"], 21, "{welcome}");
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("needs a restart"));
    let lines: Vec<_> = lines.collect();
    for word in ["files-bytes-max", "room"] {
        let count = lines.iter().filter(|line| line.contains(word)).count();
        assert_eq!(count, 2, "{word}: {log}");
    }
}

#[test]
fn rooms_are_kept_by_new_rules() {
    let reloading = Reloading::start("history-entries = 3");
    let server = &reloading.server;
    let mut alice = Chatter::enter(server, "alice", "lobby");
    alice.join("short-1");
    let kept = |room: &str| {
        let target = format!("/api/rooms/{room}/messages");
        let page = http::get(server.address(), &target).json();
        page["messages"].as_array().map(Vec::len)
    };
    for seq in 1..=5 {
        alice.say_acked("lobby", "a", seq);
        alice.say_acked("short-1", "a", seq);
    }
    assert_eq!((kept("lobby"), kept("short-1")), (Some(3), Some(3)));
    reloading.reload(
        "history-entries = 4\n[[room]]\nmatch = \"short-*\"\nhistory-entries = 1",
        READ,
    );
    for seq in 6..=10 {
        alice.say_acked("lobby", "a", seq);
        alice.say_acked("short-1", "a", seq);
    }
    assert_eq!((kept("lobby"), kept("short-1")), (Some(4), Some(1)));
    assert!(
        !server.log().contains("needs a restart"),
        "{}",
        server.log()
    );
}

#[test]
fn without_a_file_there_is_nothing_new() {
    let mut server = Server::start();
    let mut alice = Chatter::enter(&server, "alice", "lobby");
    server.signal("HUP");
    wait_until("the settings were read", || server.log().contains(READ));
    alice.say_acked("lobby", "still here", 1);
    drop(alice);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_service_manager_is_told_of_start_reload_and_stop() {
    let directory = Directory::new();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket of the test's");
    let patience = Some(Duration::from_secs(60));
    socket.set_read_timeout(patience).expect("a time above 0");
    let hear = || {
        let mut buffer = [0; 256];
        let read = uninterrupted(|| socket.recv(&mut buffer)).expect("the server tells us");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    };
    let mut server = Launch::default().variable("NOTIFY_SOCKET", &path).start();
    assert_eq!(hear(), "READY=1");
    server.signal("HUP");
    let told = hear();
    let (state, time) = told.split_once('\n').expect("two lines");
    let time = time.strip_prefix("MONOTONIC_USEC=").expect("the time");
    assert_eq!(state, "RELOADING=1");
    assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{time}");
    assert_eq!(hear(), "READY=1");
    server.signal("TERM");
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_new_key_is_taken_over_and_who_is_here_stays() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let secret = "another secret, that came into being in the next quarter\n";
    fs::write(new.secret(), secret).expect("a file of the test's");
    let server = old.server(&[]);
    let address = server.address();
    let status = |token: &str| http::get(address, &format!("/api/rooms?token={token}")).status;
    let (by_old, by_new) = (old.token("ada", &[]), new.token("ada", &[]));
    assert_eq!((status(&by_old), status(&by_new)), (200, 401));
    let mut chatter = Chatter::connect(&server, &format!("room=r&token={by_old}"));
    let mut echo = Client::open(address, &format!("/echo?token={by_old}"));
    let query = format!("room=r&session=s&token={by_old}");
    let mut stream = StreamChatter::connect(&server, &query);
    let mut awaited = Client::open(address, "/ws?room=r");
    awaited.expect_text();

    fs::copy(new.secret(), old.secret()).expect("a new secret");
    let reload = |told: &str| {
        let before = server.log().matches(told).count();
        server.signal("HUP");
        wait_until("the server has read its files again", || {
            server.log().matches(told).count() > before
        });
    };
    reload(READ);
    // Each worker takes it over by itself.
    wait_until("the new key is accepted", || {
        (0..20).all(|_| status(&by_new) == 200)
    });
    for _ in 0..20 {
        assert_eq!(status(&by_old), 401);
        let target = format!("/ws?token={by_old}");
        let refused = Client::try_open(address, &target).expect_err("the old key is gone");
        assert_eq!(refused.status, 401);
    }
    // Who has yet to show one shows one of the new key's.
    awaited.send_text(&json!({"type": "hello", "token": by_new}).to_string());
    assert_eq!(Chatter::over(awaited).welcome["user"], "ada");

    // Who is here stays, with what it was granted.
    chatter.say_acked("r", "still here", 1);
    assert_eq!(stream.hear_of("room_msg")["content"], "still here");
    echo.expect_alive();
    // A fresh token has to be of the new key's, and an old one leaves all as it is.
    let renew = |token: &str| json!({"type": "hello", "token": token}).to_string();
    assert_eq!(chatter.provoke(&renew(&by_old))["code"], "unauthorized");
    chatter.send(&json!({"type": "hello", "token": by_new}));
    chatter.hear_of("welcome");
    chatter.say_acked("r", "and on", 2);

    // A file that is no key changes nothing.
    fs::write(old.secret(), "short").expect("a file of the test's");
    reload("shorter than 32 bytes");
    assert_eq!((status(&by_old), status(&by_new)), (401, 200));
}
