//! Transcripts of the chat: given these commands, exactly these effects, on a clock that stands still.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a panic is how a test fails"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire::auth::Access;
use tidewire::chat::{
    Append, Audience, Effect, Event, Except, Hub, HubConfig, Joiner, Parting, Shown, appended,
    history,
};
use tidewire::clock::Now;
use tidewire::ids::{Arrival, ConnId, Lane, LogName, RoomName, Session, UserName};
use tidewire::limit::Rate;
use tidewire::log::{Epoch, MemoryStore, PageMax, Part, Placed, ReadFrom, Since, Store as _};
use tidewire::transport::feeds::{Feeds, Read, Step};

/// Pages of two, so that what is longer takes several.
const PAGE_MAX: PageMax = PageMax {
    entries: 2,
    bytes: 1 << 20,
};

/// A line of the transcript.
fn said(to: ConnId, text: &str) -> String {
    format!("{} < {text}", to.index)
}

/// A hub and a log on virtual time; what comes out is written down, a line an effect.
struct Chat {
    hub: Hub,
    log: MemoryStore,
    feeds: Feeds,
    now: Now,
    arrivals: u64,
}

impl Chat {
    fn new() -> Self {
        Self::with(HubConfig::default())
    }

    fn with(config: HubConfig) -> Self {
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1000,
        };
        Self {
            hub: Hub::new(config, 1),
            log: MemoryStore::new(Epoch::new(0xe), Arc::default()),
            feeds: Feeds::new(Arc::default(), Lane::ONLY),
            now,
            arrivals: 0,
        }
    }

    /// When what comes now was read.
    fn arrives(&mut self) -> Arrival {
        self.arrivals += 1;
        Arrival::new(self.arrivals)
    }

    /// Alice is connection 1 and bob is connection 2; both are in the room.
    fn with_alice_and_bob() -> Self {
        let mut chat = Self::new();
        chat.connect(1, "alice", &["room"]);
        chat.connect(2, "bob", &["room"]);
        chat
    }

    fn connect(&mut self, conn: u32, user: &str, rooms: &[&str]) -> Vec<String> {
        self.connect_as(conn, user, &format!("s{conn}"), rooms)
    }

    fn connect_as(&mut self, conn: u32, user: &str, session: &str, rooms: &[&str]) -> Vec<String> {
        let arrived = self.arrives();
        self.hears_of(conn, user, session, rooms, arrived)
    }

    /// The hub hears of a connection whose request was read then.
    fn hears_of(
        &mut self,
        conn: u32,
        user: &str,
        session: &str,
        rooms: &[&str],
        arrived: Arrival,
    ) -> Vec<String> {
        let joiner = Joiner {
            user: Some(UserName::new(user).unwrap()),
            session: Some(Session::new(session).unwrap()),
            rooms: rooms
                .iter()
                .map(|room| RoomName::new(room).unwrap())
                .collect(),
            since: None,
            token: None,
            access: Access::Open,
            chooses: false,
            arrived,
        };
        self.hub.connect(id(conn), joiner, self.now);
        self.transcript()
    }

    fn says(&mut self, conn: u32, text: &str) -> Vec<String> {
        let arrived = self.arrives();
        self.hears(conn, text, arrived)
    }

    /// The hub hears what was read then.
    fn hears(&mut self, conn: u32, text: &str, arrived: Arrival) -> Vec<String> {
        self.hub.handle_text(id(conn), text, &|| arrived, self.now);
        self.transcript()
    }

    fn disconnect(&mut self, conn: u32) -> Vec<String> {
        self.hub.disconnect(id(conn), self.now);
        self.transcript()
    }

    /// Carries effects out as the loop does, and writes them down.
    fn transcript(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut effects = Vec::new();
            self.hub.take_effects(&mut effects);
            if effects.is_empty() {
                return lines;
            }
            for effect in effects {
                match effect {
                    Effect::Send(conn, event) | Effect::Joined { conn, event, .. } => {
                        lines.push(said(conn, &event.to_text()));
                    }
                    Effect::Announce { to, except, event } => {
                        let text = event.to_text();
                        let mut reached: Vec<u32> = self.reached(&to, &except);
                        reached.sort_unstable();
                        let reached: Vec<String> = reached.iter().map(u32::to_string).collect();
                        lines.push(format!("{} < {text}", reached.join(",")));
                    }
                    Effect::Append(append) => lines.extend(self.append(append)),
                    Effect::Follow(follow) => {
                        let (conn, from) = (follow.conn, follow.from);
                        let read = self.feeds.follow(conn, from, follow);
                        lines.extend(self.read_on(&read.expect("nothing is on its way")));
                    }
                    Effect::Unfollow(conn, log) => self.feeds.unfollow(conn, &log),
                    Effect::Authorized(..) => panic!("nobody asks for tokens here"),
                    Effect::Read(reading) => {
                        let page = match reading.part {
                            Part::Since(since) => self.log.read(&reading.log, &since, PAGE_MAX),
                            Part::Before(before) => {
                                self.log
                                    .read_before(&reading.log, before.as_ref(), PAGE_MAX)
                            }
                        };
                        let conn = reading.conn;
                        let events = history(reading, page).into_iter();
                        lines.extend(events.map(|event| said(conn, &event.to_text())));
                    }
                    Effect::Close(conn, parting) => {
                        lines.push(format!("{} closed: {parting:?}", conn.index))
                    }
                }
            }
        }
    }

    /// Appends, answers, and shows the entry to those who follow.
    fn append(&mut self, append: Append) -> Vec<String> {
        let placed = self.log.append(append.draft(self.now.unix_ms)).unwrap();
        self.log.commit().unwrap();
        let (conn, log, comes_back) = (append.conn, append.log.clone(), append.comes_back);
        let ack = appended(append, Ok(&placed));
        let mut lines: Vec<String> = ack.iter().map(|ack| said(conn, &ack.to_text())).collect();
        let Placed::New(entry) = placed else {
            return lines;
        };
        let sender = (!comes_back).then_some(conn);
        let Some((shared, is_live)) = self.feeds.push(entry, sender) else {
            return lines;
        };
        if let Some(sender) = sender.filter(|_| !is_live) {
            self.feeds.note_own(sender, &shared.entry);
        }
        let mut live = self.feeds.live(&log);
        live.retain(|conn| Some(*conn) != sender);
        if !live.is_empty() {
            live.sort_unstable_by_key(|conn| conn.index);
            let live: Vec<String> = live.iter().map(|conn| conn.index.to_string()).collect();
            lines.push(format!(
                "{} < {}",
                live.join(","),
                Shown::new(&shared.entry).to_text()
            ));
        }
        lines
    }

    /// Reads pages until the connection is at the head.
    fn read_on(&mut self, read: &Read) -> Vec<String> {
        let since = match read.place.from {
            ReadFrom::Since(since) => since,
            ReadFrom::Mark => self
                .log
                .mark(&read.place.log)
                .map_or(Since::Oldest, Since::After),
        };
        let page = self.log.read(&read.place.log, &since, PAGE_MAX).unwrap();
        let (mut steps, mut lines) = (Vec::new(), Vec::new());
        let waiting = self.feeds.arrived(read, Some(&page));
        let Some(reader) = waiting.first().copied() else {
            return lines;
        };
        let conn = reader.conn;
        self.feeds.page(reader, &page, PAGE_MAX.bytes, &mut steps);
        while !steps.is_empty() {
            for step in std::mem::take(&mut steps) {
                match step {
                    Step::Entry(shared) => {
                        lines.push(format!(
                            "{} < {}",
                            conn.index,
                            Shown::new(&shared.entry).to_text()
                        ));
                    }
                    Step::Gap { log, from, gap } => {
                        let text = Event::gap(&log, from, &gap, None).to_text();
                        lines.push(format!("{} < {text}", conn.index));
                    }
                    Step::AtHead {
                        follow,
                        position,
                        whole,
                    } => self.hub.followed(&follow, position, whole),
                    Step::Read(read) => lines.extend(self.read_on(&read)),
                    Step::OffTheLog { position } => {
                        lines.push(format!("{} is off the log behind {position}", conn.index));
                    }
                }
            }
            self.feeds.go_on(conn, PAGE_MAX.bytes, &mut steps);
        }
        lines.extend(self.transcript());
        lines
    }

    fn reached(&self, to: &Audience, except: &Except) -> Vec<u32> {
        let all = self.hub.audience(to).iter();
        all.filter(|conn| !except.contains(conn))
            .map(|conn| conn.index)
            .collect()
    }
}

fn id(index: u32) -> ConnId {
    ConnId {
        index,
        generation: 1,
    }
}

#[test]
fn who_connects_is_welcomed_and_joins_the_rooms_of_the_address() {
    let mut chat = Chat::new();
    assert_eq!(
        chat.connect(1, "alice", &["room"]),
        [
            r#"1 < {"type":"welcome","session":"s1","user":"alice","connection":"c-1-1","msg":"Welcome, alice.","heartbeat":30,"time":1000}"#,
            r#" < {"type":"system","roomId":"room","event":"join","user":"alice","content":"alice joined."}"#,
            r#"1 < {"type":"joined","roomId":"room","position":"0000000e-0","recovered":false,"members":["alice"]}"#,
        ]
    );
    assert_eq!(
        chat.connect(2, "bob", &["room"])[1..],
        [
            r#"1 < {"type":"system","roomId":"room","event":"join","user":"bob","content":"bob joined."}"#,
            r#"2 < {"type":"joined","roomId":"room","position":"0000000e-0","recovered":false,"members":["alice","bob"]}"#,
        ]
    );
}

#[test]
fn a_message_is_acked_to_its_sender_and_shown_to_the_others_at_dense_offsets() {
    let mut chat = Chat::with_alice_and_bob();
    for offset in 1..=3 {
        let text = format!(
            r#"{{"type":"room_msg","roomId":"room","content":{{"n": 1.0e1}},"seq":{offset},"id":"q"}}"#
        );
        assert_eq!(
            chat.says(1, &text),
            [
                format!(
                    r#"1 < {{"type":"ack","seq":{offset},"roomId":"room","offset":{offset},"epoch":"0000000e","time":1000,"id":"q"}}"#
                ),
                format!(
                    r#"2 < {{"type":"room_msg","roomId":"room","offset":{offset},"epoch":"0000000e","from":"alice","content":{{"n": 1.0e1}},"time":1000}}"#
                ),
            ]
        );
    }
}

#[test]
fn another_connection_of_the_sender_sees_the_message() {
    let mut chat = Chat::with_alice_and_bob();
    chat.connect(3, "alice", &["room"]);
    let lines = chat.says(1, r#"{"type":"room_msg","roomId":"room","content":1}"#);
    assert_eq!(lines.len(), 1, "no seq, no ack");
    assert!(lines[0].starts_with("2,3 < "), "{lines:?}");
}

#[test]
fn the_message_without_a_type_goes_to_the_room_of_the_address() {
    let mut chat = Chat::with_alice_and_bob();
    chat.says(1, r#"{"type":"join_room","roomId":"other"}"#);
    let lines = chat.says(1, r#"{"seq":"a","data":[1]}"#);
    assert_eq!(
        lines[0],
        r#"1 < {"type":"ack","seq":"a","roomId":"room","offset":1,"epoch":"0000000e","time":1000}"#
    );
    chat.says(1, r#"{"type":"leave_room","roomId":"room"}"#);
    assert!(chat.says(1, r#"{"seq":"b","data":[1]}"#)[0].contains(r#""code":"not_in_room""#));
}

#[test]
fn a_private_message_reaches_every_connection_of_its_user_and_nobody_else() {
    let mut chat = Chat::with_alice_and_bob();
    chat.connect(3, "bob", &[]);
    assert_eq!(
        chat.says(
            1,
            r#"{"type":"private_msg","toUser":"bob","content":"psst","seq":1}"#
        ),
        [
            r#"1 < {"type":"ack","seq":1,"roomId":"@bob","offset":1,"epoch":"0000000e","time":1000}"#,
            r#"2,3 < {"type":"private_msg","from":"alice","content":"psst","time":1000,"offset":1,"epoch":"0000000e"}"#,
        ]
    );
}

#[test]
fn a_message_for_who_is_not_there_is_kept_until_it_comes() {
    let mut chat = Chat::with_alice_and_bob();
    let send = |chat: &mut Chat, n| {
        chat.says(
            1,
            &format!(r#"{{"type":"private_msg","toUser":"carol","content":{n},"seq":{n}}}"#),
        )
    };
    assert_eq!(
        send(&mut chat, 1),
        [
            r#"1 < {"type":"ack","seq":1,"roomId":"@carol","offset":1,"epoch":"0000000e","time":1000}"#
        ]
    );
    (2..=5).for_each(|n| drop(send(&mut chat, n)));
    let lines = chat.connect(3, "carol", &[]);
    let got = lines.iter().filter(|line| line.contains("private_msg"));
    assert_eq!(got.count(), 5, "{lines:?}");
    assert_eq!(
        lines[1],
        r#"3 < {"type":"private_msg","from":"alice","content":1,"time":1000,"offset":1,"epoch":"0000000e"}"#
    );
}

#[test]
fn a_broadcast_reaches_everybody_else() {
    let mut chat = Chat::with_alice_and_bob();
    chat.connect(3, "carol", &[]);
    assert_eq!(
        chat.says(2, r#"{"type":"broadcast","content":null,"seq":1}"#),
        [
            r#"2 < {"type":"ack","seq":1,"roomId":"*","offset":1,"epoch":"0000000e","time":1000}"#,
            r#"1,3 < {"type":"broadcast","from":"bob","content":null,"time":1000,"offset":1,"epoch":"0000000e"}"#,
        ]
    );
}

#[test]
fn join_and_leave_are_told_once_for_each_user() {
    let mut chat = Chat::with_alice_and_bob();
    let told = |lines: Vec<String>| {
        lines
            .into_iter()
            .filter(|line| line.contains("system"))
            .collect::<Vec<_>>()
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(told(chat.connect(3, "alice", &["room"])), none);
    assert_eq!(told(chat.disconnect(1)), none);
    assert_eq!(
        told(chat.disconnect(3)),
        [
            r#"2 < {"type":"system","roomId":"room","event":"leave","user":"alice","content":"alice left."}"#
        ]
    );
}

#[test]
fn leaving_is_answered_and_told() {
    let mut chat = Chat::with_alice_and_bob();
    assert_eq!(
        chat.says(1, r#"{"type":"leave_room","roomId":"room","id":9}"#),
        [
            r#"2 < {"type":"system","roomId":"room","event":"leave","user":"alice","content":"alice left."}"#,
            r#"1 < {"type":"left","roomId":"room","id":9}"#,
        ]
    );
    let lines = chat.says(
        1,
        r#"{"type":"room_msg","roomId":"room","content":1,"seq":1}"#,
    );
    assert!(lines[0].contains(r#""code":"not_in_room""#), "{lines:?}");
}

#[test]
fn joining_again_answers_and_tells_nobody() {
    let mut chat = Chat::with_alice_and_bob();
    chat.says(1, r#"{"type":"room_msg","roomId":"room","content":1}"#);
    assert_eq!(
        chat.says(2, r#"{"type":"join_room","roomId":"room"}"#),
        [
            r#"2 < {"type":"joined","roomId":"room","position":"0000000e-1","recovered":false,"members":["alice","bob"]}"#
        ]
    );
}

#[test]
fn what_was_missed_is_shown_before_the_room_is_joined() {
    let mut chat = Chat::with_alice_and_bob();
    for n in 1..=5 {
        chat.says(
            1,
            &format!(r#"{{"type":"room_msg","roomId":"room","content":{n}}}"#),
        );
    }
    let mut join = |since: &str| {
        let lines = chat.says(
            2,
            &format!(r#"{{"type":"join_room","roomId":"room","since":"{since}"}}"#),
        );
        let (joined, before) = lines.split_last().unwrap();
        let offset = |line: &String| {
            let behind = line.split(r#""offset":"#).nth(1)?;
            behind.split(',').next()?.parse::<u64>().ok()
        };
        let recovered = joined.contains(r#""position":"0000000e-5","recovered":true"#);
        (
            before.iter().filter_map(offset).collect::<Vec<_>>(),
            before.iter().filter(|line| line.contains("gap")).count(),
            recovered,
        )
    };
    assert_eq!(join("0000000e-2"), (vec![3, 4, 5], 0, true));
    assert_eq!(join("0000000e-5"), (vec![], 0, true));
    assert_eq!(join(""), (vec![1, 2, 3, 4, 5], 0, true));
    // Another life of the log, a place that never was, and no position at all: never as if nothing had been missed.
    assert_eq!(join("0000000f-2"), (vec![1, 2, 3, 4, 5], 1, false));
    assert_eq!(join("0000000e-6"), (vec![], 1, false));
    assert_eq!(join("nonsense"), (vec![1, 2, 3, 4, 5], 1, false));
}

#[test]
fn a_gap_says_from_where_to_where_and_why() {
    let mut chat = Chat::with_alice_and_bob();
    chat.says(1, r#"{"type":"room_msg","roomId":"room","content":1}"#);
    let gap = |chat: &mut Chat, since: &str| {
        chat.says(
            2,
            &format!(r#"{{"type":"join_room","roomId":"room","since":"{since}"}}"#),
        )
        .remove(0)
    };
    assert_eq!(
        gap(&mut chat, "0000000f-7"),
        r#"2 < {"type":"gap","roomId":"room","from":"0000000f-7","to":"0000000e-0","reason":"epoch_changed"}"#
    );
    assert_eq!(
        gap(&mut chat, "-1"),
        r#"2 < {"type":"gap","roomId":"room","from":"-1","to":"0000000e-0","reason":"epoch_changed"}"#
    );
}

#[test]
fn a_message_sent_again_is_acked_with_its_first_place_and_shown_to_nobody() {
    let mut chat = Chat::with_alice_and_bob();
    let say = r#"{"type":"room_msg","roomId":"room","content":1,"seq":7}"#;
    assert_eq!(chat.says(1, say).len(), 2);
    chat.now.unix_ms = 2000;
    let again = [
        r#"1 < {"type":"ack","seq":7,"roomId":"room","offset":1,"epoch":"0000000e","time":1000,"dup":true}"#,
    ];
    assert_eq!(chat.says(1, say), again);
    // Also on another connection of the session.
    chat.connect_as(3, "alice", "s1", &["room"]);
    assert_eq!(chat.says(3, say), [again[0].replacen('1', "3", 1)]);
}

#[test]
fn history_is_read_on_from_a_position_or_back_from_the_head() {
    let mut chat = Chat::with_alice_and_bob();
    for n in 1..=5 {
        chat.says(
            1,
            &format!(r#"{{"type":"room_msg","roomId":"room","content":{n}}}"#),
        );
    }
    let mut history = |fields: &str| {
        let line = chat
            .says(
                2,
                &format!(r#"{{"type":"history","roomId":"room","id":1{fields}}}"#),
            )
            .remove(0);
        let value: Vec<&str> = line.split(r#""content":"#).skip(1).collect();
        let contents: String = value.iter().map(|value| &value[..1]).collect();
        let end = line.split(r#"],"#).last().unwrap().to_owned();
        (contents, end)
    };
    let is = |contents: &str, end: &str| (contents.to_owned(), end.to_owned());
    assert_eq!(
        history(""),
        is("45", r#""position":"0000000e-5","more":true,"id":1}"#)
    );
    assert_eq!(
        history(r#","before":"0000000e-2""#),
        is("1", r#""position":"0000000e-1","more":false,"id":1}"#)
    );
    assert_eq!(
        history(r#","since":"0000000e-2""#),
        is("34", r#""position":"0000000e-4","more":true,"id":1}"#)
    );
    assert_eq!(
        history(r#","since":"0000000e-4""#),
        is("5", r#""position":"0000000e-5","more":false,"id":1}"#)
    );
    let refused = |chat: &mut Chat, room: &str, fields: &str| {
        chat.says(
            2,
            &format!(r#"{{"type":"history","roomId":"{room}"{fields}}}"#),
        )
        .remove(0)
    };
    assert!(refused(&mut chat, "room", r#","since":"x""#).contains("bad_position"));
    assert!(refused(&mut chat, "@alice", "").contains("forbidden"));
    assert!(refused(&mut chat, "@bob", "").contains(r#""messages":[]"#));
}

#[test]
fn typing_presence_and_heartbeat_are_answered() {
    let mut chat = Chat::with_alice_and_bob();
    assert_eq!(
        chat.says(1, r#"{"type":"typing","roomId":"room"}"#),
        [r#"2 < {"type":"typing","roomId":"room","user":"alice"}"#]
    );
    assert_eq!(
        chat.says(1, r#"{"type":"presence","roomId":"room","id":1}"#),
        [r#"1 < {"type":"presence","roomId":"room","members":["alice","bob"],"id":1}"#]
    );
    assert_eq!(
        chat.says(1, r#"{"type":"heartbeat"}"#),
        [r#"1 < {"type":"heartbeat","time":1000}"#]
    );
}

#[test]
fn a_newer_connection_takes_the_session_over() {
    let mut chat = Chat::with_alice_and_bob();
    let lines = chat.connect_as(3, "alice", "s1", &["room"]);
    assert_eq!(lines[0], format!("1 closed: {:?}", Parting::Replaced));
    assert_eq!(
        chat.disconnect(1),
        Vec::<String>::new(),
        "alice is still there"
    );
    assert!(
        chat.connect_as(4, "alice", "s1", &[])[0].starts_with("3 closed"),
        "the session is connection 3's"
    );
    assert!(
        chat.connect_as(5, "bob", "s1", &[])[0].contains("welcome"),
        "the same word is another user's session"
    );
}

#[test]
fn an_older_connection_that_is_heard_of_later_does_not_take_the_session() {
    let mut chat = Chat::with_alice_and_bob();
    let early = chat.arrives();
    chat.connect_as(3, "alice", "s", &["room"]);
    let lines = chat.hears_of(4, "alice", "s", &["room", "den"], early);
    assert!(lines[0].starts_with(r#"4 < {"type":"welcome","session":"s""#));
    assert_eq!(lines[1..], [format!("4 closed: {:?}", Parting::Replaced)]);
    assert_eq!(chat.hub.rooms(9), [("room", 2)], "it entered no room");
    chat.disconnect(1);
    assert_eq!(chat.disconnect(4), Vec::<String>::new());
    let told = chat.says(2, r#"{"type":"room_msg","roomId":"room","content":1}"#);
    assert!(told[0].starts_with("3 < "), "alice is there: {told:?}");
    let newer = chat.connect_as(5, "alice", "s", &[]);
    assert_eq!(newer[0], format!("3 closed: {:?}", Parting::Replaced));
}

#[test]
fn of_a_hello_and_a_connection_the_one_that_was_read_later_has_the_session() {
    let mut chat = Chat::with_alice_and_bob();
    let hello = r#"{"type":"hello","session":"s"}"#;
    let (first, second) = (chat.arrives(), chat.arrives());
    chat.hears_of(3, "alice", "s", &[], second);
    let late = chat.hears(1, hello, first);
    assert!(late[0].starts_with(r#"1 < {"type":"welcome","session":"s""#));
    assert_eq!(late[1..], [format!("1 closed: {:?}", Parting::Replaced)]);
    chat.disconnect(1);
    chat.connect(4, "alice", &[]);
    // Its connection is older than the other, but not what it says.
    let before = chat.arrives();
    assert_eq!(
        chat.says(4, hello)[0],
        format!("3 closed: {:?}", Parting::Replaced)
    );
    let lines = chat.hears_of(5, "alice", "s", &[], before);
    assert_eq!(lines[1..], [format!("5 closed: {:?}", Parting::Replaced)]);
}

#[test]
fn who_polls_stays_between_two_polls_and_leaves_when_it_does_not_come_back() {
    let mut chat = Chat::with_alice_and_bob();
    let linger = |chat: &mut Chat, conn| {
        chat.hub.linger(id(conn), chat.now);
        chat.transcript()
    };
    let nothing: [String; 0] = [];
    for conn in 3..6 {
        assert_eq!(
            linger(&mut chat, if conn == 3 { 2 } else { conn - 1 }),
            nothing
        );
        assert_eq!(
            chat.hub.members(&RoomName::new("room").unwrap()),
            ["alice", "bob"]
        );
        chat.now.instant += HubConfig::default().linger - Duration::from_millis(1);
        let lines = chat.connect_as(conn, "bob", "s2", &["room"]);
        assert!(
            lines.iter().all(|line| line.starts_with(&conn.to_string())),
            "{lines:?}"
        );
        chat.hub.handle_timeout(chat.now);
        assert_eq!((chat.transcript(), chat.hub.poll_timeout()), (vec![], None));
    }
    linger(&mut chat, 5);
    chat.now.instant = chat.hub.poll_timeout().unwrap();
    chat.hub.handle_timeout(chat.now);
    let left = r#"1 < {"type":"system","roomId":"room","event":"leave","user":"bob","content":"bob left."}"#;
    assert_eq!(chat.transcript(), [left]);
    // Who comes back without a room has left it.
    chat.connect_as(6, "bob", "s2", &["room"]);
    linger(&mut chat, 6);
    assert_eq!(chat.connect_as(7, "bob", "s2", &[]).last().unwrap(), left);
    // Who was replaced is there with its newer connection, and is not waited for.
    chat.connect_as(8, "bob", "s2", &["room"]);
    assert_eq!(linger(&mut chat, 7), nothing);
    assert_eq!(
        (chat.hub.poll_timeout(), chat.disconnect(8)),
        (None, vec![left.to_owned()])
    );
}

#[test]
fn typing_over_http_is_told_to_the_others_on_no_connection_of_that_user() {
    let mut chat = Chat::with_alice_and_bob();
    let types = |chat: &mut Chat, user| {
        let room = RoomName::new("room").unwrap();
        chat.hub.typing_in(room, &UserName::new(user).unwrap());
        chat.transcript()
    };
    let told = |to, user| format!(r#"{to} < {{"type":"typing","roomId":"room","user":"{user}"}}"#);
    assert_eq!(types(&mut chat, "alice"), [told("2", "alice")]);
    chat.connect(3, "alice", &["room"]);
    assert_eq!(types(&mut chat, "alice"), [told("2", "alice")]);
    assert_eq!(types(&mut chat, "bob"), [told("1,3", "bob")]);
    assert_eq!(types(&mut chat, "carol"), [told("1,2,3", "carol")]);
}

#[test]
fn hello_changes_the_name_for_everybody() {
    let mut chat = Chat::with_alice_and_bob();
    let lines = chat.says(1, r#"{"type":"hello","user":"ann","id":1}"#);
    assert_eq!(
        lines[0],
        r#"2 < {"type":"system","roomId":"room","event":"leave","user":"alice","content":"alice left."}"#
    );
    assert_eq!(
        lines[1],
        r#"2 < {"type":"system","roomId":"room","event":"join","user":"ann","content":"ann joined."}"#
    );
    assert!(
        lines[2].contains(r#""user":"ann""#) && lines[2].ends_with(r#""id":1}"#),
        "{lines:?}"
    );
    let lines = chat.says(2, r#"{"type":"private_msg","toUser":"ann","content":1}"#);
    assert!(lines[0].starts_with("1 < "), "{lines:?}");
    let lines = chat.says(2, r#"{"type":"private_msg","toUser":"alice","content":1}"#);
    assert_eq!(lines.len(), 0, "nobody goes by that name any more");
}

#[test]
fn one_hello_is_enough_to_be_where_the_session_was() {
    let mut chat = Chat::with_alice_and_bob();
    chat.says(2, r#"{"type":"join_room","roomId":"den"}"#);
    for room in ["room", "den"] {
        chat.says(1, &format!(r#"{{"type":"join_room","roomId":"{room}"}}"#));
    }
    let say = |chat: &mut Chat, room: &str, n: u32| {
        let text = format!(r#"{{"type":"room_msg","roomId":"{room}","content":{n}}}"#);
        chat.says(1, &text)
    };
    say(&mut chat, "room", 1);
    // That has arrived at bob; what comes next has not, as far as the server knows.
    let head = chat.log.head(&LogName::new("room").unwrap());
    chat.hub
        .confirmed(id(2), &LogName::new("room").unwrap(), head);
    say(&mut chat, "room", 2);
    chat.disconnect(2);
    say(&mut chat, "den", 3);
    chat.connect_as(3, "stranger", "new", &[]);
    let lines = chat.says(3, r#"{"type":"hello","user":"bob","session":"s2"}"#);
    let heard: Vec<&str> = lines
        .iter()
        .filter(|line| line.starts_with("3 <") && !line.contains("welcome"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        heard,
        [
            r#"3 < {"type":"room_msg","roomId":"room","offset":2,"epoch":"0000000e","from":"alice","content":2,"time":1000}"#,
            r#"3 < {"type":"joined","roomId":"room","position":"0000000e-2","recovered":true,"members":["alice","bob"]}"#,
            r#"3 < {"type":"room_msg","roomId":"den","offset":1,"epoch":"0000000e","from":"alice","content":3,"time":1000}"#,
            r#"3 < {"type":"joined","roomId":"den","position":"0000000e-1","recovered":true,"members":["alice","bob"]}"#,
        ]
    );
    // Also if the address named the session already, and from a connection that the server still takes for alive.
    let hello = r#"{"type":"hello","session":"s2"}"#;
    chat.connect_as(5, "bob", "s2", &["den"]);
    let lines = chat.says(5, hello);
    assert!(
        lines
            .iter()
            .any(|line| line.contains(r#""joined","roomId":"room""#)),
        "{lines:?}"
    );
    assert!(
        !lines
            .iter()
            .any(|line| line.contains(r#""joined","roomId":"den""#)),
        "{lines:?}"
    );
    assert_eq!(chat.says(5, hello).len(), 1, "only once");
    chat.connect_as(4, "stranger", "newer", &[]);
    let lines = chat.says(4, r#"{"type":"hello","user":"bob","session":"s2"}"#);
    assert!(lines[0].starts_with("5 closed"), "{lines:?}");
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("joined\",\"roomId"))
            .count(),
        2
    );
}

#[test]
fn guests_have_names_and_sessions_of_their_own() {
    let mut chat = Chat::new();
    let mut seen = std::collections::BTreeSet::new();
    for conn in 0..50 {
        chat.hub.connect(id(conn), Joiner::default(), chat.now);
        let line = chat.transcript().remove(0);
        assert!(line.contains(r#""user":"guest-"#), "{line}");
        seen.insert(line.split(r#""user":"#).nth(1).unwrap().to_owned());
    }
    assert_eq!(seen.len(), 50);
}

#[test]
fn ten_messages_in_a_row_that_are_no_command_close() {
    let mut chat = Chat::with_alice_and_bob();
    for _ in 0..9 {
        assert_eq!(chat.says(1, "nonsense").len(), 1);
    }
    chat.says(1, r#"{"type":"heartbeat"}"#);
    for _ in 0..9 {
        assert_eq!(chat.says(1, r#"{"type":"dance"}"#).len(), 1);
    }
    assert_eq!(
        chat.says(1, "{")[1],
        format!("1 closed: {:?}", Parting::BadMessages)
    );
}

#[test]
fn over_its_rate_a_message_is_refused_until_time_has_passed() {
    let messages = Rate {
        per_second: 10.0,
        burst: 2.0,
    };
    let mut chat = Chat::with(HubConfig {
        messages,
        ..HubConfig::default()
    });
    chat.connect(1, "alice", &["room"]);
    let say = |chat: &mut Chat| chat.says(1, r#"{"seq":1,"data":1}"#).remove(0);
    assert!(say(&mut chat).contains("ack"));
    assert!(say(&mut chat).contains("ack"));
    assert!(say(&mut chat).contains(r#""code":"rate_limited""#));
    chat.now.instant += Duration::from_millis(100);
    assert!(say(&mut chat).contains("ack"));
    assert!(say(&mut chat).contains(r#""code":"rate_limited""#));
}

#[test]
fn a_connection_is_in_so_many_rooms_and_no_more() {
    let mut chat = Chat::with(HubConfig {
        rooms_per_connection_max: 2,
        ..HubConfig::default()
    });
    let lines = chat.connect(1, "alice", &["a", "b", "c"]);
    let last = lines.last().unwrap();
    assert!(last.contains(r#""code":"too_many_rooms""#), "{lines:?}");
    let join = |room: &str| format!(r#"{{"type":"join_room","roomId":"{room}"}}"#);
    assert!(chat.says(1, &join("c"))[0].contains(r#""code":"too_many_rooms""#));
    assert!(
        chat.says(1, &join("b"))[0].contains("joined"),
        "it is in there already"
    );
    chat.says(1, r#"{"type":"leave_room","roomId":"a"}"#);
    assert!(chat.says(1, &join("c")).last().unwrap().contains("joined"));
}

#[test]
fn a_large_room_does_not_tell_everybody_of_everybody() {
    let mut chat = Chat::with(HubConfig {
        members_told_max: 3,
        ..HubConfig::default()
    });
    for conn in 0..3 {
        chat.connect(conn, &format!("user-{conn}"), &["room"]);
    }
    let lines = chat.connect(3, "user-3", &["room"]);
    assert_eq!(lines.len(), 2, "no system message: {lines:?}");
    assert!(
        lines[1].contains(r#""members":["user-0","user-1","user-2"]"#),
        "{lines:?}"
    );
}

#[test]
fn a_room_name_that_is_none_is_refused() {
    let mut chat = Chat::with_alice_and_bob();
    for name in ["", "@bob", "*", "a\\u0000b"] {
        let lines = chat.says(1, &format!(r#"{{"type":"join_room","roomId":"{name}"}}"#));
        assert!(
            lines[0].contains(r#""code":"bad_name""#),
            "{name}: {lines:?}"
        );
    }
}

#[test]
fn an_error_does_not_send_back_what_is_too_long() {
    let mut chat = Chat::with_alice_and_bob();
    let long = "x".repeat(60_000);
    let said = [
        format!(r#"{{"type":"leave_room","roomId":"{long}"}}"#),
        format!(r#"{{"type":"typing","roomId":"{long}"}}"#),
        format!(r#"{{"type":"room_msg","roomId":"{long}","content":1}}"#),
        format!(r#"{{"type":"{long}"}}"#),
        format!(r#""{long}""#),
    ];
    for (text, code) in said.iter().zip([
        "bad_name",
        "bad_name",
        "bad_name",
        "unknown_type",
        "bad_field",
    ]) {
        let lines = chat.says(1, text);
        assert!(lines[0].contains(&format!(r#""code":"{code}""#)));
        assert!(lines[0].len() < 400, "{code}: {} bytes", lines[0].len());
    }
}
