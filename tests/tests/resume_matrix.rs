//! Every way to lose a connection, with every number of messages missed meanwhile: who comes back with a position is shown
//! exactly what is behind it, or a gap that names exactly what is gone, and then what comes.

use std::time::Duration;

use serde_json::{Value, json};
use socket2::SockRef;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, Message, Server};

/// What a room keeps.
const WINDOW: u64 = 64;

/// What is missed: none, one, and around the window, and far beyond it.
const MISSED: [u64; 6] = [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 5 * WINDOW];

/// What is said before the connection is lost.
const SEEN: u64 = 3;

#[test]
fn after_a_clean_close() {
    each_cell(|cell| {
        cell.reader().client.close();
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_a_reset() {
    each_cell(|cell| {
        reset(cell.reader());
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_a_half_open_connection() {
    each_cell(|cell| {
        // It neither reads nor closes, and the server goes on writing to it.
        let abandoned = cell.reader();
        cell.says_missed();
        cell.resumes();
        drop(abandoned);
    });
}

#[test]
fn after_being_replaced() {
    each_cell(|cell| {
        let mut older = cell.reader();
        cell.session = older.welcome["session"].as_str().map(str::to_owned);
        let _newer = Chatter::connect(cell.server, &cell.identity());
        assert_eq!(older.hear_close(), Some(4003));
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_two_losses_in_a_row() {
    each_cell(|cell| {
        reset(cell.reader());
        let mut second = cell.comes_back();
        second.client.expect_alive();
        reset(second);
        cell.says_missed();
        cell.resumes();
    });
}

#[test]
fn after_a_loss_during_the_replay() {
    each_cell(|cell| {
        reset(cell.reader());
        cell.says_missed();
        let mut second = cell.comes_back();
        let first = second.hear();
        match first["type"].as_str() {
            Some("room_msg") => cell.seen = offset(&first),
            Some("gap") => cell.seen = position(&first["to"]).1,
            _ => assert_eq!(first["type"], "joined", "{first}"),
        }
        reset(second);
        cell.resumes();
    });
}

#[test]
fn after_a_loss_during_the_join() {
    each_cell(|cell| {
        reset(cell.reader());
        cell.says_missed();
        reset(cell.comes_back());
        cell.resumes();
    });
}

#[test]
fn after_a_kick_for_slowness() {
    let server = start(&["--lag-max", "200ms"]);
    for (index, missed) in MISSED.into_iter().enumerate() {
        let mut cell = Cell::new(&server, format!("slow-{index}"), missed, index % 2 == 0);
        // 32 KB each: what the server queues and the kernels take is passed soon.
        cell.filling = "x".repeat(32 << 10);
        let narrow = Client::open_over(
            Wire::open_narrow(server.address()),
            &format!("/ws?{}", cell.identity()),
        );
        let mut reader = Chatter::over(narrow);
        cell.joins_and_sees(&mut reader);
        let slow = server.health().slow;
        tidewire_tests::wait_until("a reader that does not read is closed as slow", || {
            cell.says(4);
            std::thread::sleep(Duration::from_millis(20));
            server.health().slow > slow
        });
        // A tiny window would make it read for seconds what is still to come.
        SockRef::from(reader.client.wire.stream())
            .set_recv_buffer_size(1 << 20)
            .expect("a buffer as usual");
        let hint = loop {
            match reader.client.read_message() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    assert_eq!(offset(&message), cell.seen + 1, "no hole before the end");
                    cell.seen += 1;
                }
                Message::Close(code, reason) => {
                    assert_eq!(code, Some(4008), "{reason}");
                    break reason;
                }
                other @ (Message::Binary(_) | Message::End(_)) => panic!("{other:?}"),
            }
        };
        let since = format!("since={}-{}", cell.epoch, cell.seen);
        assert!(hint.contains(&since), "{hint:?} names {since}");
        // As many as are to be missed, if that is not so already.
        cell.says((cell.seen + missed).saturating_sub(cell.head));
        cell.resumes();
    }
}

// ---- one cell ----

/// A room, who writes in it, and who comes back to it.
struct Cell<'s> {
    server: &'s Server,
    room: String,
    missed: u64,
    /// Whether it comes back by its address or by a message.
    by_address: bool,
    writer: Chatter,
    filling: String,
    session: Option<String>,
    epoch: String,
    head: u64,
    /// What the reader has.
    seen: u64,
}

/// Runs a test for every number of missed messages, and both ways to come back.
fn each_cell(test: impl Fn(&mut Cell<'_>)) {
    let server = start(&[]);
    for (index, missed) in MISSED.into_iter().enumerate() {
        for by_address in [false, true] {
            let room = format!("room-{index}-{by_address}");
            test(&mut Cell::new(&server, room, missed, by_address));
        }
    }
}

fn start(arguments: &[&str]) -> Server {
    let window = WINDOW.to_string();
    let all = ["--history-entries", &window, "--messages-per-second", "0"];
    Server::start_with(&[&all, arguments].concat())
}

impl<'s> Cell<'s> {
    fn new(server: &'s Server, room: String, missed: u64, by_address: bool) -> Self {
        let writer = Chatter::enter(server, "writer", &room);
        Self {
            server,
            room,
            missed,
            by_address,
            writer,
            filling: String::new(),
            session: None,
            epoch: String::new(),
            head: 0,
            seen: 0,
        }
    }

    fn identity(&self) -> String {
        match &self.session {
            Some(session) => format!("userId=reader&session={session}"),
            None => "userId=reader".to_owned(),
        }
    }

    /// Somebody who has seen some messages.
    fn reader(&mut self) -> Chatter {
        let mut reader = Chatter::connect(self.server, &self.identity());
        self.joins_and_sees(&mut reader);
        reader
    }

    fn joins_and_sees(&mut self, reader: &mut Chatter) {
        reader.join(&self.room);
        self.says(SEEN);
        for _ in 0..SEEN {
            self.seen += 1;
            self.is_entry(&reader.hear(), self.seen);
        }
    }

    fn says(&mut self, count: u64) {
        for _ in 0..count {
            self.head += 1;
            let content = format!("{}:{}", self.head, self.filling);
            let ack = self.writer.say_acked(&self.room, &content, self.head);
            assert_eq!(offset(&ack), self.head, "{ack}");
            self.epoch = ack["epoch"].as_str().expect("an epoch").to_owned();
        }
    }

    fn says_missed(&mut self) {
        self.says(self.missed);
    }

    /// Connects and asks for what was missed.
    fn comes_back(&self) -> Chatter {
        let (room, since) = (&self.room, format!("{}-{}", self.epoch, self.seen));
        if self.by_address {
            let query = format!("{}&room={room}&since={since}", self.identity());
            return Chatter::connect(self.server, &query);
        }
        let mut chatter = Chatter::connect(self.server, &self.identity());
        chatter.send(&json!({"type": "join_room", "roomId": room, "since": since}));
        chatter
    }

    /// Comes back, and is shown exactly what it has to be.
    fn resumes(&mut self) {
        let mut reader = self.comes_back();
        let oldest = (self.head + 1).saturating_sub(WINDOW).max(1);
        let is_whole = self.seen + 1 >= oldest;
        let mut next = self.seen + 1;
        if !is_whole {
            let gap = reader.hear();
            assert_eq!(gap["type"], "gap", "{}: {gap}", self.room);
            assert_eq!(gap["reason"], "expired", "{gap}");
            let (from, to) = (position(&gap["from"]), position(&gap["to"]));
            let epoch = || self.epoch.clone();
            assert_eq!((from, to), ((epoch(), self.seen), (epoch(), oldest - 1)));
            next = oldest;
        }
        for offset in next..=self.head {
            self.is_entry(&reader.hear(), offset);
        }
        let joined = reader.hear();
        assert_eq!(joined["type"], "joined", "{}: {joined}", self.room);
        assert_eq!(joined["recovered"], is_whole, "{joined}");
        assert_eq!(
            position(&joined["position"]),
            (self.epoch.clone(), self.head)
        );
        self.says(1);
        self.is_entry(&reader.hear(), self.head);
        assert_eq!(reader.everything_until_heartbeat(), [] as [Value; 0]);
    }

    #[track_caller]
    fn is_entry(&self, message: &Value, expected: u64) {
        assert_eq!(message["type"], "room_msg", "{}: {message}", self.room);
        assert_eq!(offset(message), expected, "{}", self.room);
        assert_eq!(message["epoch"], self.epoch.as_str());
        let content = message["content"].as_str().expect("a string");
        let number = content
            .split(':')
            .next()
            .and_then(|number| number.parse().ok());
        assert_eq!(
            number,
            Some(expected),
            "the content is the one of its place"
        );
    }
}

/// Ends a connection with a reset, which destroys what is on its way.
fn reset(chatter: Chatter) {
    SockRef::from(chatter.client.wire.stream())
        .set_linger(Some(Duration::ZERO))
        .expect("an end by reset");
    drop(chatter);
}

#[track_caller]
fn offset(message: &Value) -> u64 {
    message["offset"]
        .as_u64()
        .unwrap_or_else(|| panic!("an offset in {message}"))
}

#[track_caller]
fn position(token: &Value) -> (String, u64) {
    let (epoch, offset) = token
        .as_str()
        .and_then(|token| token.split_once('-'))
        .expect("a position");
    (epoch.to_owned(), offset.parse().expect("an offset"))
}
