//! A full disk: who sent what could not be saved is told so, what was saved is served, all else goes on; and once there is
//! space again, so do the messages, without a restart. The disk is a small tmpfs, which only root can mount.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidewire_tests::http::{assert_problem, get, send};
use tidewire_tests::{Chatter, Client, Directory, Launch, Message, Server, SmallDisk};

/// Messages that are sent before the first answer is read: some share a commit, and its fate.
const WINDOW: u64 = 8;

/// From what fills the disk to what fits into a page that is left: the last one makes it full for anything.
const SIZES: [usize; 3] = [60_000, 4_000, 100];

/// What the publisher knows: each message that was acknowledged, by its offset, and the next number.
struct Publisher {
    chatter: Chatter,
    /// Offset, number and length.
    acked: Vec<(u64, u64, usize)>,
    epoch: Value,
    next: u64,
}

fn content(seq: u64, bytes: usize) -> String {
    format!("{seq}:{}", "x".repeat(bytes))
}

impl Publisher {
    fn enter(server: &Server) -> Self {
        Self {
            chatter: Chatter::enter(server, "speaker", "lobby"),
            acked: Vec::new(),
            epoch: Value::Null,
            next: 1,
        }
    }

    /// The same publisher on another connection.
    fn come_back(&mut self, server: &Server) {
        self.chatter = Chatter::enter(server, "speaker", "lobby");
    }

    /// Sends some at once and returns the numbers of those that were refused for want of space.
    fn publish(&mut self, bytes: usize, count: u64) -> Vec<u64> {
        let numbers = self.next..self.next + count;
        self.next += count;
        for seq in numbers.clone() {
            let message = json!({"type": "room_msg", "roomId": "lobby",
                "content": content(seq, bytes), "seq": seq});
            self.chatter.send(&message);
        }
        let mut refused = Vec::new();
        for seq in numbers {
            let answer = self.hear_answer();
            assert_eq!(answer["seq"], seq, "answers come in order: {answer}");
            if answer["type"] == "ack" {
                self.note(&answer, seq, bytes);
            } else {
                assert_eq!(
                    (&answer["type"], &answer["code"]),
                    (&json!("error"), &json!("storage_full")),
                    "{answer}"
                );
                refused.push(seq);
            }
        }
        refused
    }

    /// The next message that is not about who comes and goes.
    fn hear_answer(&mut self) -> Value {
        loop {
            let message = self.chatter.hear();
            if message["type"] != "system" {
                return message;
            }
        }
    }

    /// Notes an ack, whose offset is the next one: none is left out for what was refused, none is used again.
    fn note(&mut self, ack: &Value, seq: u64, bytes: usize) {
        let last = self.acked.last().map_or(0, |(offset, _, _)| *offset);
        assert_eq!(ack["offset"], last + 1, "{ack}");
        assert_eq!(ack.get("dup"), None, "{ack}");
        if self.epoch.is_null() {
            self.epoch = ack["epoch"].clone();
        }
        assert_eq!(ack["epoch"], self.epoch, "nothing was lost: {ack}");
        self.acked.push((last + 1, seq, bytes));
    }

    /// Publishes until not even a short message fits, and returns the number of the last that did not.
    fn fill_the_disk(&mut self) -> u64 {
        let mut refused = Vec::new();
        for bytes in SIZES {
            while refused.len() < WINDOW as usize {
                refused = self.publish(bytes, WINDOW);
            }
            refused.clear();
        }
        let still = self.publish(100, 3);
        assert_eq!(still.len(), 3, "it stays full");
        *still.last().expect("three")
    }

    /// What a reader must have been shown, and nothing else.
    fn assert_shown(&self, shown: &[Value], to: &str) {
        let told = shown.iter().map(|message| {
            assert_eq!(message["epoch"], self.epoch, "{to}");
            let text = message["content"].as_str().expect("text");
            (message["offset"].clone(), text.to_owned())
        });
        let expected = self
            .acked
            .iter()
            .map(|(offset, seq, bytes)| (json!(offset), content(*seq, *bytes)));
        let (told, expected): (Vec<_>, Vec<_>) = (told.collect(), expected.collect());
        let offsets = |list: &[(Value, String)]| -> Vec<String> {
            let brief = |(offset, text): &(Value, String)| {
                format!(
                    "{offset}={}+{}",
                    text.split(':').next().expect("a part"),
                    text.len()
                )
            };
            list.iter().map(brief).collect()
        };
        assert_eq!(offsets(&told), offsets(&expected), "{to}");
        assert!(told == expected, "{to}: the contents differ");
    }
}

/// Everything in the room, as WebSocket shows it to one who comes now.
fn joined_from_the_start(server: &Server) -> Vec<Value> {
    let mut late = Chatter::connect(server, "userId=late&room=lobby&since=");
    let mut shown = Vec::new();
    loop {
        let message = late.hear();
        match message["type"].as_str() {
            Some("room_msg") => shown.push(message),
            Some("joined") => return shown,
            Some(_) | None => panic!("neither a message nor the end of them: {message}"),
        }
    }
}

/// Everything in the room, as HTTP shows it in pages.
fn read_over_http(server: &Server) -> Vec<Value> {
    let mut shown = Vec::new();
    let mut since = String::new();
    loop {
        let target = format!("/api/rooms/lobby/messages?since={since}&limit=1000");
        let page = get(server.address(), &target).json();
        assert_eq!(page.get("gap"), None, "{}", page["gap"]);
        shown.extend(page["messages"].as_array().expect("a list").iter().cloned());
        if page["more"] == false {
            return shown;
        }
        since = page["position"].as_str().expect("a position").to_owned();
    }
}

fn post(server: &Server, room: &str) -> tidewire_tests::http::Response {
    let target = format!("/api/rooms/{room}/messages");
    send(
        server.address(),
        "POST",
        &target,
        "",
        br#"{"content":"short"}"#,
    )
}

/// What has nothing to do with the disk: messages of a room in memory, signs of typing, the relay.
fn assert_all_else_goes_on(server: &Server, speaker: &mut Chatter, listener: &mut Chatter) {
    speaker.join("memory-room");
    listener.join("memory-room");
    speaker.say_acked("memory-room", "still here", 0);
    let heard = loop {
        let message = listener.hear_of("room_msg");
        if message["roomId"] == "memory-room" {
            break message;
        }
    };
    assert_eq!(heard["content"], "still here");
    assert_eq!(post(server, "memory-room").status, 200);
    assert_eq!(listener.hear_of("room_msg")["content"], "short");
    speaker.hear_of("room_msg");
    speaker.send(&json!({"type": "typing", "roomId": "lobby"}));
    assert_eq!(listener.hear_of("typing")["user"], "speaker");
    let mut sender = Client::open(server.address(), "/relay?room=r");
    let mut receiver = Client::open(server.address(), "/relay?room=r");
    receiver.expect_alive();
    sender.send_text("through");
    assert_eq!(receiver.read_message(), Message::Text("through".to_owned()));
}

fn parts_of_files(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("files")).expect("the directory of files");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.collect()
}

fn launch(disk: &SmallDisk, settings: &Directory) -> Launch {
    let file = settings.path().join("tidewire.toml");
    let rule = "[[room]]\nmatch = \"memory-*\"\nkeep = \"memory\"\n";
    fs::write(&file, rule).expect("the settings");
    Launch::default().data(&disk.data()).arguments(&[
        "--messages-per-second",
        "0",
        "--close-timeout",
        "500ms",
        "--config",
        file.to_str().expect("a path in UTF-8"),
    ])
}

#[test]
fn what_does_not_fit_is_refused_all_else_goes_on_and_so_do_messages_once_there_is_space() {
    let settings = Directory::new();
    let disk = SmallDisk::mount();
    let launch = launch(&disk, &settings);
    let mut server = launch.start();
    let mut listener = Chatter::enter(&server, "listener", "lobby");
    let mut publisher = Publisher::enter(&server);
    let refused = publisher.fill_the_disk();

    assert_problem(&post(&server, "lobby"), 507, "storage_full");
    let upload = || send(server.address(), "POST", "/api/files", "", &[7; 50_000]);
    assert_problem(&upload(), 507, "storage_full");
    let parts = parts_of_files(&disk.data());
    assert!(parts.is_empty(), "{parts:?}");

    // Reading, live and later, over both.
    let heard: Vec<Value> = publisher
        .acked
        .iter()
        .map(|_| listener.hear_of("room_msg"))
        .collect();
    publisher.assert_shown(&heard, "who listened");
    publisher.assert_shown(&joined_from_the_start(&server), "who came late");
    publisher.assert_shown(&read_over_http(&server), "who reads over HTTP");
    assert_all_else_goes_on(&server, &mut publisher.chatter, &mut listener);

    // The same message on the same connection: it was never kept, so it is no duplicate.
    disk.free_space();
    let ack = publisher
        .chatter
        .say_acked("lobby", &content(refused, 100), refused);
    publisher.note(&ack, refused, 100);
    assert_eq!(listener.hear_of("room_msg")["offset"], ack["offset"]);
    assert_eq!(publisher.publish(60_000, WINDOW), [0; 0]);
    assert_eq!(upload().status, 201);

    server.kill();
    let server = launch.start();
    publisher.assert_shown(&read_over_http(&server), "who reads after a kill");
    publisher.come_back(&server);
    assert_eq!(publisher.publish(100, WINDOW), [0; 0]);
    publisher.assert_shown(&joined_from_the_start(&server), "who came last");
}

#[test]
fn a_server_that_was_killed_on_a_full_disk_starts_on_it_and_serves_what_was_acknowledged() {
    let settings = Directory::new();
    let disk = SmallDisk::mount();
    let launch = launch(&disk, &settings);
    let mut server = launch.start();
    let mut publisher = Publisher::enter(&server);
    publisher.fill_the_disk();
    server.kill();

    let mut server = launch.start();
    publisher.assert_shown(&read_over_http(&server), "who reads after the kill");
    publisher.come_back(&server);
    assert_eq!(publisher.publish(60_000, WINDOW).len(), WINDOW as usize);
    publisher.assert_shown(&joined_from_the_start(&server), "who came late");
    disk.free_space();
    assert_eq!(publisher.publish(60_000, WINDOW), [0; 0]);

    // And in order, too.
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let server = launch.start();
    publisher.assert_shown(&read_over_http(&server), "who reads after the stop");
}
