//! A server is killed, and all its clients come back within a moment: each goes on where it was, and none has lost a message or
//! hears one twice. `cargo xtask chaos reconnect` does it with 10,000.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_tests::crowd::{Heard, Member};
use tidewire_tests::http::HttpConnection;
use tidewire_tests::wait::{PATIENCE, number_from};
use tidewire_tests::{Directory, Launch, Server};

/// Members of a room.
const ROOM_MEMBERS: usize = 100;

/// Messages in each room before the kill, and as many behind it.
const MESSAGES: u64 = 20;

/// A client that comes back.
struct Client {
    number: usize,
    member: Option<Member>,
    /// When it comes (back).
    comes_at: Instant,
    /// Up to where it has heard its room.
    position: String,
    last_offset: u64,
    joins: u32,
    ends: u32,
}

impl Client {
    fn new(number: usize) -> Self {
        Self {
            number,
            member: None,
            comes_at: Instant::now(),
            position: String::new(),
            last_offset: 0,
            joins: 0,
            ends: 0,
        }
    }

    fn room(&self) -> usize {
        self.number / ROOM_MEMBERS
    }

    /// Does what is to be done.
    fn poll(&mut self, server: &Server, jitter: Duration) {
        let Some(member) = &mut self.member else {
            if self.comes_at <= Instant::now() {
                let (number, room) = (self.number, self.room());
                let since = &self.position;
                let target = format!("/ws?userId=u{number}&room=r{room}&since={since}");
                match Member::open(number, server.address(), &target) {
                    Ok(member) => self.member = Some(member),
                    Err(_) => self.come_later(jitter),
                }
            }
            return;
        };
        for heard in member.poll() {
            match heard {
                Heard::Opened => {}
                Heard::Text(text) => self.hear(&text),
                Heard::Refused(_) | Heard::Ended(_) => {
                    self.ends += 1;
                    self.member = None;
                    return self.come_later(jitter);
                }
            }
        }
    }

    /// Comes back at a random moment, so that not all do at once.
    fn come_later(&mut self, jitter: Duration) {
        let mut mixed = (self.number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 29)).wrapping_mul(u64::from(self.ends) * 2 + 1);
        let part = (mixed >> 40) as f64 / (1_u64 << 24) as f64;
        self.comes_at = Instant::now() + jitter.mul_f64(part);
    }

    #[track_caller]
    fn hear(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).expect("JSON");
        match message["type"].as_str() {
            Some("room_msg") => {
                let offset = message["offset"].as_u64().expect("an offset");
                assert_eq!(offset, self.last_offset + 1, "client {}", self.number);
                self.last_offset = offset;
                let epoch = message["epoch"].as_str().expect("an epoch");
                self.position = format!("{epoch}-{offset}");
            }
            Some("joined") => {
                self.joins += 1;
                let position = message["position"].as_str().expect("a position");
                position.clone_into(&mut self.position);
                if self.joins > 1 {
                    assert_eq!(message["recovered"], true, "{message}");
                }
            }
            Some("gap" | "error") => panic!("client {}: {message}", self.number),
            _ => {}
        }
    }
}

/// Attends to all until a condition holds for each.
#[track_caller]
fn attend_until(
    clients: &mut [Client],
    server: &Server,
    jitter: Duration,
    what: &str,
    holds: impl Fn(&Client) -> bool,
) {
    let until = Instant::now() + 3 * jitter + 3 * PATIENCE;
    loop {
        for client in &mut *clients {
            client.poll(server, jitter);
        }
        let left = clients.iter().filter(|client| !holds(client)).count();
        if left == 0 {
            return;
        }
        assert!(
            Instant::now() < until,
            "{left} of {} not {what}",
            clients.len()
        );
        sleep(Duration::from_millis(10));
    }
}

/// Publishes in every room, acknowledged: in all of them at once, so that they share a write.
#[track_caller]
fn publish(server: &Server, rooms: usize, numbers: std::ops::Range<u64>) {
    let open = |_| HttpConnection::open(server.address());
    let mut connections: Vec<HttpConnection> = (0..rooms).map(open).collect();
    for number in numbers {
        let body = json!({"content": number, "from": "speaker", "session": "s", "seq": number});
        for (room, connection) in connections.iter_mut().enumerate() {
            connection.request_with_body(
                "POST",
                &format!("/api/rooms/r{room}/messages"),
                "Content-Type: application/json\r\n",
                body.to_string().as_bytes(),
            );
        }
        for connection in &mut connections {
            let response = connection.response();
            assert_eq!(response.status, 200, "{response:?}");
        }
    }
}

#[test]
fn all_come_back_after_a_kill_and_none_has_lost_anything() {
    let count = number_from("TIDEWIRE_CLIENTS", 500);
    let jitter = Duration::from_secs(number_from("TIDEWIRE_JITTER_SECONDS", 2) as u64);
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit of descriptors");
    let directory = Directory::new();
    let launch = Launch::default()
        .data(directory.path())
        .arguments(&["--messages-per-second", "0"]);
    let mut server = launch.start();
    let rooms = count.div_ceil(ROOM_MEMBERS);
    let mut clients: Vec<Client> = (0..count).map(Client::new).collect();
    attend_until(&mut clients, &server, jitter, "joined", |client| {
        client.joins == 1
    });
    println!("{count} clients have joined");
    // Nobody has read these when it dies: some are on their way, some are only in the log.
    publish(&server, rooms, 0..MESSAGES);
    println!("the server is killed");
    let port = server.address().port();
    server.kill();
    for client in &mut clients {
        client.poll(&server, jitter);
    }
    let server = launch.on_port(port).start();
    let back_at = Instant::now();
    publish(&server, rooms, MESSAGES..2 * MESSAGES);
    attend_until(&mut clients, &server, jitter, "told everything", |client| {
        client.last_offset == 2 * MESSAGES && client.joins >= 2
    });
    println!(
        "{count} clients came back within {:.1} s with {jitter:?} of jitter: all resumed, nothing lost, nothing twice",
        back_at.elapsed().as_secs_f64()
    );
}
