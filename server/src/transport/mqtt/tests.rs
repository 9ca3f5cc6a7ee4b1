//! The machine by transcripts: what it is told, and what it wants done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tidewire_protocol::{CloseCode, Message};

use super::machine::{Limits, Mqtt};
use super::store::{Kept, Sessions};
use crate::chat::{Command, Event, Joiner};
use crate::clock::Now;
use crate::ids::{ConnId, LogName, RoomName, Session as SessionName, UserName};
use crate::log::{Draft, Entry, Epoch, Position};
use crate::transport::dialect::{Act, Out, Session};
use crate::transport::feeds::Shared;

const CONNECT_3: &[u8] = b"\x10\x10\0\x04MQTT\x04\x82\0\x3c\0\x01c\0\x01u";
/// Clean start 0, session expiry 60 s.
pub(super) const CONNECT_5: &[u8] =
    b"\x10\x16\0\x04MQTT\x05\x80\0\x3c\x05\x11\0\0\0\x3c\0\x01c\0\x01u";
const CONNACK_5: &str = "20 10 XX 00 0d 21 04 00 27 00 00 04 00 22 00 10 2a 00";

/// A client, and what the server did since it was asked last.
struct Client {
    mqtt: Mqtt,
    now: Now,
}

pub(super) fn at(offset: u64) -> Position {
    Position {
        epoch: Epoch::new(1),
        offset,
    }
}

pub(super) fn log(name: &str) -> LogName {
    LogName::new(name).unwrap()
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(super) fn entry(name: &str, offset: u64, content: &str, from: (&str, &str)) -> Arc<Entry> {
    let draft = Draft {
        log: log(name),
        from: UserName::new(from.0).unwrap(),
        session: SessionName::new(from.1).unwrap(),
        seq: None,
        content: json(content),
        time: 7,
    };
    Arc::new(Entry {
        position: at(offset),
        draft,
    })
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

pub(super) fn shown(act: Act) -> String {
    match act {
        Act::SendBinary(bytes) => hex(&bytes),
        Act::SendPrepared(prepared) => format!("shared {}", hex(prepared.payload())),
        Act::Begin(joiner) => {
            let user = joiner.user.as_ref().map_or("-", UserName::as_str);
            let token = joiner.token.as_deref().unwrap_or("-");
            assert!(joiner.chooses);
            format!("begin {user} {token}")
        }
        Act::Ask(parsed, _) => {
            let request = parsed.expect("it is a request");
            let id = request
                .id
                .map_or_else(String::new, |id| id.get().to_owned());
            match request.command {
                Command::Publish {
                    log,
                    content,
                    seq,
                    comes_back,
                } => {
                    let seq = seq.map_or_else(|| "-".to_owned(), |seq| seq.get().to_owned());
                    let back = if comes_back { "" } else { " not back" };
                    format!("{id} publish {log} {content} {seq}{back}")
                }
                Command::History { room, limit, .. } => format!("{id} last {limit:?} {room}"),
                Command::JoinRoom { room, since } => format!("{id} join {room} {since:?}"),
                Command::LeaveRoom { room } => format!("{id} leave {room}"),
                Command::Follow { log, since } => format!("{id} follow {log} {since:?}"),
                Command::Unfollow { log } => format!("{id} unfollow {log}"),
                Command::Will(Some(will)) => {
                    format!("{id} will {} {} {:?}", will.log, will.content, will.delay)
                }
                Command::Will(None) => "no will".to_owned(),
                other @ (Command::Hello { .. }
                | Command::RoomMsg { .. }
                | Command::PrivateMsg { .. }
                | Command::Broadcast { .. }
                | Command::Typing { .. }
                | Command::Presence { .. }
                | Command::Heartbeat) => panic!("{other:?}"),
            }
        }
        Act::Arrived(log, position) => format!("arrived {log} {position}"),
        Act::Recall(log) => format!("recall {log}"),
        Act::Keep(memo) => format!("keep {} {}", memo.log, memo.content),
        Act::Look(which) => format!("look {which:?}"),
        Act::Close(code, reason) => format!("close {} {reason}", code.get()),
        Act::SendText(text) => panic!("{text}"),
        Act::Answer(..)
        | Act::Leave(..)
        | Act::Knock(..)
        | Act::KnockAt(..)
        | Act::TakeSocket(_) => panic!("MQTT has its socket for itself"),
    }
}

impl Client {
    fn new(sessions: &Arc<Sessions>) -> Self {
        let limits = Limits {
            packet_bytes_max: 1024,
        };
        let now = Now {
            instant: Instant::now(),
            unix_ms: 7,
        };
        let mut mqtt = Mqtt::new(Joiner::default(), Arc::clone(sessions), limits);
        mqtt.opened(now, &mut Out::default());
        Self { mqtt, now }
    }

    /// One that the chat has let in.
    fn open(sessions: &Arc<Sessions>, connect: &[u8]) -> (Self, Vec<String>) {
        let mut client = Self::new(sessions);
        assert_eq!(client.say(connect), ["begin u -"]);
        let acts = client.hear(&welcome());
        (client, acts)
    }

    fn open_5() -> Self {
        Self::open(&Arc::new(Sessions::new(1, Kept::InMemory)), CONNECT_5).0
    }

    fn run(&mut self, tell: impl FnOnce(&mut Mqtt, Now, &mut Out)) -> Vec<String> {
        let mut out = Out::default();
        tell(&mut self.mqtt, self.now, &mut out);
        out.drain().map(shown).collect()
    }

    fn say(&mut self, bytes: &[u8]) -> Vec<String> {
        let message = Message::binary(bytes);
        self.run(|mqtt, now, out| mqtt.message(&message, now, out))
    }

    fn hear(&mut self, event: &Event) -> Vec<String> {
        self.run(|mqtt, now, out| mqtt.told(event, now, out))
    }

    fn get(&mut self, entry: Arc<Entry>) -> Vec<String> {
        let shared = Shared::new(entry);
        self.run(|mqtt, now, out| mqtt.entry(&shared, now, out))
    }

    /// Subscribes to `a` at a QoS, where there are `head` entries.
    fn follow_a(&mut self, qos: u8, first_ask: u64, head: u64) {
        let subscribe = [0x82, 7, 0, 9, 0, 0, 1, b'a', qos];
        assert_eq!(
            self.say(&subscribe),
            [format!("{first_ask} last Some(1) a")]
        );
        let join = format!("{} join a Some(\"{}\")", first_ask + 1, at(head));
        assert_eq!(self.hear(&history(first_ask, "a", &[], head)), [join]);
        let suback = hex(&[0x90, 4, 0, 9, 0, qos & 3]);
        assert_eq!(self.hear(&joined(first_ask + 1, "a", head)), [suback]);
    }
}

pub(super) fn welcome() -> Event {
    Event::Welcome {
        session: SessionName::new("c").unwrap(),
        user: UserName::new("u").unwrap(),
        connection: ConnId {
            index: 0,
            generation: 0,
        },
        msg: String::new(),
        heartbeat: 30,
        time: 7,
        id: None,
    }
}

fn ack(id: u64) -> Event {
    Event::Ack {
        seq: json("1"),
        room_id: log("a"),
        offset: 1,
        epoch: Epoch::new(1),
        time: 7,
        dup: false,
        id: Some(json(&id.to_string())),
    }
}

fn error(id: Option<u64>, code: &'static str, retry_after: Option<u64>) -> Event {
    Event::Error {
        code,
        message: "no".into(),
        retry_after,
        seq: None,
        id: id.map(|id| json(&id.to_string())),
    }
}

pub(super) fn history(id: u64, name: &str, messages: &[Arc<Entry>], head: u64) -> Event {
    Event::History {
        room_id: log(name),
        messages: messages.to_vec(),
        position: at(head),
        more: false,
        id: Some(json(&id.to_string())),
    }
}

pub(super) fn joined(id: u64, name: &str, head: u64) -> Event {
    Event::Joined {
        room_id: RoomName::new(name).unwrap(),
        position: at(head),
        recovered: false,
        members: Vec::new(),
        id: Some(json(&id.to_string())),
    }
}

pub(super) const NOBODY: (&str, &str) = ("v", "s");

// ---- coming and going ----

#[test]
fn a_client_is_let_in_when_the_chat_says_so() {
    let mut client = Client::new(&Arc::new(Sessions::new(1, Kept::InMemory)));
    assert_eq!(client.say(CONNECT_3), ["begin u -"]);
    assert_eq!(client.say(b"\xc0\0"), [""; 0], "it is not in yet");
    assert_eq!(client.hear(&welcome()), ["20 02 00 00", "d0 00"]);
    assert_eq!(client.say(b"\xe0\0"), ["close 1000 "]);
}

#[test]
fn packets_come_in_pieces_of_any_size() {
    let mut all = CONNECT_3.to_vec();
    all.extend_from_slice(b"\x30\x05\0\x01ahi\xc0\0\x32\x07\0\x01a\0\x01hi");
    for size in 1..=all.len() {
        let mut client = Client::new(&Arc::new(Sessions::new(1, Kept::InMemory)));
        let mut acts = Vec::new();
        for piece in all.chunks(size) {
            acts.extend(client.say(piece));
        }
        acts.extend(client.hear(&welcome()));
        let expected = [
            "begin u -",
            "20 02 00 00",
            " publish a \"hi\" -",
            "d0 00",
            "1 publish a \"hi\" \"1.1.1\"",
        ];
        assert_eq!(acts, expected, "{size}");
    }
}

#[test]
fn who_may_not_come_is_told_in_its_own_language() {
    let table = [
        ("unauthorized", "05", "87"),
        ("too_many_connections", "03", "97"),
    ];
    for (code, three, five) in table {
        for (connect, expected) in [
            (CONNECT_3, format!("20 02 00 {three}")),
            (CONNECT_5, format!("20 08 00 {five} 05 1f 00 02 6e 6f")),
        ] {
            let mut client = Client::new(&Arc::new(Sessions::new(1, Kept::InMemory)));
            client.say(connect);
            let acts = client.hear(&error(None, code, None));
            assert_eq!(acts, [expected.as_str(), "close 1008 no"], "{code}");
        }
    }
}

#[test]
fn a_password_is_a_token() {
    let mut client = Client::new(&Arc::new(Sessions::new(1, Kept::InMemory)));
    let connect = b"\x10\x12\0\x04MQTT\x04\xc2\0\0\0\0\0\x01u\0\x01p";
    assert_eq!(client.say(connect), ["begin u p"]);
    let acts = client.hear(&error(None, "unauthorized", None));
    assert_eq!(acts, ["20 02 00 04", "close 1008 no"]);
}

#[test]
fn what_is_no_connect_ends_it() {
    let table: [(&[u8], &[&str]); 7] = [
        (b"\xc0\0", &["close 1008 the first packet is no CONNECT"]),
        (
            b"\x10\x0e\0\x06MQIsdp\x03\x02\0\x3c\0\0",
            &[
                "20 02 00 01",
                "close 1008 the server speaks MQTT 3.1.1 and 5",
            ],
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\0\0\x3c\0\0",
            &[
                "20 02 00 02",
                "close 1008 a client without an identifier cannot go on with a session",
            ],
        ),
        (
            b"\x10\x0c\0\x04MQTT\x04\x03\0\x3c\0\0",
            &["close 1008 the reserved flag of CONNECT is set"],
        ),
        (
            b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\0\0",
            &["close 1008 the packet is longer than what is in it"],
        ),
        (
            b"\x30\xff\xff\xff\x7f",
            &["close 1009 the packet is larger than the server takes"],
        ),
        (
            b"\xff\xff\xff\xff\xff",
            &["close 1008 a length has more than four bytes"],
        ),
    ];
    for (bytes, expected) in table {
        let mut client = Client::new(&Arc::new(Sessions::new(1, Kept::InMemory)));
        assert_eq!(client.say(bytes), expected, "{bytes:x?}");
        assert_eq!(client.say(b"\xc0\0"), [""; 0], "it is over");
    }
}

#[test]
fn text_is_not_mqtt() {
    let mut client = Client::open_5();
    let text = Message::text("hello");
    let acts = client.run(|mqtt, now, out| mqtt.message(&text, now, out));
    assert_eq!(acts, ["close 1003 MQTT is spoken in binary messages"]);
}

#[test]
fn a_second_connect_is_an_error() {
    let mut client = Client::open_5();
    let acts = client.say(CONNECT_5);
    let goodbye =
        "e0 1a 82 18 1f 00 15 61 20 73 65 63 6f 6e 64 20 43 4f 4e 4e 45 43 54 20 63 61 6d 65";
    assert_eq!(acts, [goodbye, "close 1008 a second CONNECT came"]);
}

#[test]
fn who_is_silent_is_let_go_after_one_and_a_half_times_its_keep_alive() {
    let mut client = Client::new(&Arc::new(Sessions::new(1, Kept::InMemory)));
    let begin = client.now.instant;
    let until = |client: &Client| client.mqtt.poll_timeout().unwrap() - begin;
    assert_eq!(until(&client), Duration::from_secs(10));
    client.say(CONNECT_3);
    client.hear(&welcome());
    assert_eq!(until(&client), Duration::from_secs(90));
    client.now.instant += Duration::from_secs(50);
    client.say(b"\xc0\0");
    assert_eq!(until(&client), Duration::from_secs(140));
    client.now.instant += Duration::from_secs(90);
    let acts = client.run(|mqtt, now, out| mqtt.timeout(now, out));
    let expected = ["close 1008 nothing came for one and a half times the keep alive time"];
    assert_eq!(acts, expected);
}

#[test]
fn a_will_is_left_with_the_chat_and_taken_back_at_goodbye() {
    // Delay 5 s, session expiry 2 s.
    let connect = b"\x10\x24\0\x04MQTT\x05\x06\0\x3c\x05\x11\0\0\0\x02\0\x01c\x05\x18\0\0\0\x05\0\x01a\0\x03bye\0\0";
    let connect = &connect[..connect.len() - 2];
    let mut connect = connect.to_vec();
    connect[1] = (connect.len() - 2) as u8;
    let will = "1 will a \"bye\" 2s";
    let open = || {
        let mut client = Client::new(&Arc::new(Sessions::new(1, Kept::InMemory)));
        assert_eq!(client.say(&connect), ["begin - -"]);
        let connack = CONNACK_5.replace("XX", "00");
        assert_eq!(client.hear(&welcome()), [connack.as_str(), will]);
        client
    };
    assert_eq!(open().say(b"\xe0\0"), ["no will", "close 1000 "]);
    assert_eq!(open().say(b"\xe0\x01\x04"), ["close 1000 "]);
    let acts = open().hear(&error(Some(1), "forbidden", None));
    assert_eq!(acts, ["e0 07 87 05 1f 00 02 6e 6f", "close 1008 no"]);
}

#[test]
fn the_last_word_says_why() {
    let table = [
        (4003, "8e"),
        (1012, "8b"),
        (4008, "97"),
        (4001, "87"),
        (1011, "80"),
    ];
    for (code, reason) in table {
        let mut client = Client::open_5();
        let code = CloseCode::new(code).unwrap();
        let acts = client.run(|mqtt, _, out| mqtt.closing(code, "no", out));
        assert_eq!(acts, [format!("e0 07 {reason} 05 1f 00 02 6e 6f")]);
    }
    let sessions = Arc::new(Sessions::new(1, Kept::InMemory));
    let (mut client, _) = Client::open(&sessions, CONNECT_3);
    let acts = client.run(|mqtt, _, out| mqtt.closing(CloseCode::NORMAL, "no", out));
    assert_eq!(acts, [""; 0], "3.1.1 has no word for it");
}

// ---- publishing ----

#[test]
fn a_message_of_qos_1_is_acknowledged_when_it_is_kept() {
    let mut client = Client::open_5();
    let publish = b"\x32\x08\0\x01a\0\x01\0hi";
    assert_eq!(client.say(publish), ["1 publish a \"hi\" \"1.1.1\""]);
    assert_eq!(client.hear(&ack(1)), ["40 02 00 01"]);
    assert_eq!(client.hear(&ack(1)), [""; 0], "once");
    // The identifier is free: what comes with it is new, whatever it says.
    let again = b"\x3a\x08\0\x01a\0\x01\0hi";
    assert_eq!(client.say(again), ["2 publish a \"hi\" \"1.1.2\""]);
}

#[test]
fn a_message_that_was_not_acknowledged_has_its_number_when_it_comes_again() {
    let sessions = Arc::new(Sessions::new(1, Kept::InMemory));
    let (mut client, _) = Client::open(&sessions, CONNECT_5);
    let publish = b"\x32\x08\0\x01a\0\x01\0hi";
    assert_eq!(client.say(publish), ["1 publish a \"hi\" \"1.1.1\""]);
    let now = client.now;
    client.mqtt.ended(now);
    let (mut client, acts) = Client::open(&sessions, CONNECT_5);
    assert_eq!(acts, [CONNACK_5.replace("XX", "01")]);
    let again = b"\x3a\x08\0\x01a\0\x01\0hi";
    assert_eq!(client.say(again), ["1 publish a \"hi\" \"1.1.1\""]);
    // Another message with its identifier, or one that is sent for the first time, is another.
    let other = b"\x3a\x08\0\x01a\0\x01\0ho";
    assert_eq!(client.say(other), ["2 publish a \"ho\" \"1.1.2\""]);
    let anew = b"\x32\x08\0\x01a\0\x01\0ho";
    assert_eq!(client.say(anew), ["3 publish a \"ho\" \"1.1.3\""]);
}

#[test]
fn a_message_of_qos_2_is_kept_once_until_its_identifier_is_free() {
    let mut client = Client::open_5();
    let publish = b"\x34\x08\0\x01a\0\x01\0hi";
    assert_eq!(client.say(publish), ["1 publish a \"hi\" \"1.1.1\""]);
    assert_eq!(client.say(publish), ["2 publish a \"hi\" \"1.1.1\""]);
    assert_eq!(client.hear(&ack(1)), ["50 02 00 01"]);
    assert_eq!(client.hear(&ack(2)), ["50 02 00 01"]);
    assert_eq!(client.say(publish), ["50 02 00 01"]);
    assert_eq!(client.say(b"\x62\x02\0\x01"), ["70 02 00 01"]);
    assert_eq!(client.say(b"\x62\x02\0\x01"), ["70 04 00 01 92 00"]);
    assert_eq!(client.say(publish), ["3 publish a \"hi\" \"1.1.2\""]);
}

#[test]
fn a_message_may_have_a_number_of_its_own() {
    let mut client = Client::open_5();
    let publish = b"\x30\x10\0\x01a\x0a\x26\0\x03seq\0\x0242hi";
    let publish = [&publish[..1], &[(publish.len() - 2) as u8], &publish[2..]].concat();
    assert_eq!(client.say(&publish), [" publish a \"hi\" \"42\""]);
}

#[test]
fn a_message_that_is_not_kept_is_refused_or_ends_the_connection() {
    let mut client = Client::open_5();
    client.say(b"\x32\x08\0\x01a\0\x01\0hi\x34\x08\0\x01a\0\x02\0hi");
    let refused = |client: &mut Client, id| client.hear(&error(Some(id), "rate_limited", Some(5)));
    assert_eq!(
        refused(&mut client, 1),
        ["40 09 00 01 97 05 1f 00 02 6e 6f"]
    );
    assert_eq!(
        refused(&mut client, 2),
        ["50 09 00 02 97 05 1f 00 02 6e 6f"]
    );
    let (mut client, _) = Client::open(&Arc::new(Sessions::new(1, Kept::InMemory)), CONNECT_3);
    client.say(b"\x32\x07\0\x01a\0\x01hi");
    assert_eq!(refused(&mut client, 1), ["close 1008 no"]);
}

#[test]
fn a_topic_that_is_no_room_is_refused() {
    let mut client = Client::open_5();
    let acts = client.say(b"\x32\x08\0\x01@\0\x01\0hi");
    assert!(
        acts[0].starts_with("40 ") && acts[0].contains("00 01 90"),
        "{acts:?}"
    );
    let acts = client.say(b"\x30\x06\0\x01+\0hi");
    assert_eq!(acts[1], "close 1008 a topic has a wildcard");
    let acts = Client::open_5().say(b"\x32\x0a\0\x01a\0\x01\x02\x01\x01\xff\xff");
    assert!(acts[0].contains("00 01 99"), "{acts:?}");
}

#[test]
fn an_alias_stands_for_a_topic() {
    let mut client = Client::open_5();
    let named = b"\x30\x09\0\x01a\x03\x23\0\x01hi";
    let alone = b"\x30\x08\0\0\x03\x23\0\x01ho";
    assert_eq!(client.say(named), [" publish a \"hi\" -"]);
    assert_eq!(client.say(alone), [" publish a \"ho\" -"]);
    let acts = Client::open_5().say(alone);
    assert_eq!(acts[1], "close 1008 a topic alias stands for nothing");
    let acts = Client::open_5().say(b"\x30\x09\0\x01a\x03\x23\0\x11hi");
    assert_eq!(
        acts[1],
        "close 1008 a topic alias is 0 or more than the server said"
    );
}

#[test]
fn no_more_are_on_their_way_than_the_server_said() {
    let mut client = Client::open_5();
    for id in 1..=1024_u16 {
        let [high, low] = id.to_be_bytes();
        let publish = [0x34, 8, 0, 1, b'a', high, low, 0, b'h', b'i'];
        assert_eq!(client.say(&publish).len(), 1);
    }
    let acts = client.say(b"\x34\x08\0\x01a\x10\0\0hi");
    assert!(acts[0].contains(" 93 "), "{acts:?}");
}

// ---- subscribing ----

#[test]
fn a_subscriber_gets_the_last_entry_and_what_comes_behind_it() {
    let mut client = Client::open_5();
    let acts = client.say(b"\x82\x07\0\x09\0\0\x01a\x00");
    assert_eq!(acts, ["1 last Some(1) a"]);
    let last = entry("a", 4, "\"hi\"", NOBODY);
    let acts = client.hear(&history(1, "a", &[last], 4));
    let join = format!("2 join a Some(\"{}\")", at(4));
    assert_eq!(acts, ["31 06 00 01 61 00 68 69", join.as_str()]);
    assert_eq!(client.hear(&joined(2, "a", 4)), ["90 04 00 09 00 00"]);
    assert!(client.mqtt.shares(&log("a")).is_some());
    let acts = client.get(entry("a", 5, "{}", NOBODY));
    assert_eq!(acts, ["shared 30 06 00 01 61 00 7b 7d"]);
}

#[test]
fn an_empty_last_entry_is_no_retained_message() {
    let mut client = Client::open_5();
    client.say(b"\x82\x07\0\x09\0\0\x01a\x00");
    let acts = client.hear(&history(1, "a", &[entry("a", 4, "\"\"", NOBODY)], 4));
    assert_eq!(acts, [format!("2 join a Some(\"{}\")", at(4))]);
}

#[test]
fn filters_that_are_refused_have_codes() {
    let mut client = Client::open_5();
    let filters = b"\0\x02a#\x01\0\x02@v\x01\0\x08$share/g\x01";
    let mut subscribe = vec![0x82, (filters.len() + 3) as u8, 0, 9, 0];
    subscribe.extend_from_slice(filters);
    assert_eq!(client.say(&subscribe), ["90 06 00 09 00 8f 87 9e"]);
    assert_eq!(
        client.say(b"\x82\x07\0\x09\0\0\x01a\x01"),
        ["1 last Some(1) a"]
    );
    client.hear(&history(1, "a", &[], 0));
    let acts = client.hear(&error(Some(2), "too_many_rooms", None));
    assert_eq!(acts, ["90 04 00 09 00 97"]);
}

#[test]
fn what_comes_too_fast_is_asked_for_again() {
    let mut client = Client::open_5();
    client.say(b"\x82\x07\0\x09\0\0\x01a\x00");
    assert_eq!(
        client.hear(&error(Some(1), "rate_limited", Some(50))),
        [""; 0]
    );
    let at = client.mqtt.poll_timeout().unwrap();
    assert_eq!(at, client.now.instant + Duration::from_millis(50));
    client.now.instant = at;
    let acts = client.run(|mqtt, now, out| mqtt.timeout(now, out));
    assert_eq!(acts, ["2 last Some(1) a"]);
}

#[test]
fn private_messages_and_broadcasts_are_followed_by_who_subscribes() {
    let mut client = Client::open_5();
    let acts = client.say(b"\x82\x0c\0\x09\0\0\x02@u\x01\0\x01*\x01");
    assert_eq!(acts, ["1 follow @u None", "2 last Some(1) *"]);
    let acts = client.hear(&history(2, "*", &[entry("*", 3, "1", NOBODY)], 3));
    let follow = format!("3 follow * Some(\"{}\")", at(3));
    assert_eq!(acts, ["90 05 00 09 00 01 01", follow.as_str()]);
    let acts = client.get(entry("@u", 1, "\"hi\"", NOBODY));
    assert_eq!(acts, ["32 09 00 02 40 75 00 01 00 68 69"]);
    let arrived = format!("arrived @u {}", at(1));
    assert_eq!(client.say(b"\x40\x02\0\x01"), [arrived]);
    assert_eq!(
        client.say(b"\xa2\x07\0\x0a\0\0\x02@u"),
        [" unfollow @u", "b0 04 00 0a 00 00"]
    );
}

#[test]
fn wildcards_follow_the_rooms_that_there_are_and_that_begin() {
    let mut client = Client::open_5();
    let acts = client.say(b"\x82\x09\0\x09\0\0\x03a/+\x01");
    assert_eq!(acts, ["90 04 00 09 00 01", "look Some(Wanted([\"a/+\"]))"]);
    let found = |client: &mut Client, rooms: &[(&str, Option<u64>)]| {
        let rooms: Vec<_> = rooms
            .iter()
            .map(|(name, begin)| (log(name), begin.map(at)))
            .collect();
        client.run(|mqtt, now, out| mqtt.found(&rooms, now, out))
    };
    assert_eq!(found(&mut client, &[("a/x", None)]), ["1 last Some(1) a/x"]);
    let join = format!("2 join a/y Some(\"{}\")", at(0));
    assert_eq!(found(&mut client, &[("a/y", Some(0))]), [join]);
    assert_eq!(
        found(&mut client, &[("a/y", Some(0)), ("b", None)]),
        [""; 0]
    );
    // A room that it may not see is not there; one that there is no room for would be a hole.
    assert_eq!(client.hear(&error(Some(2), "forbidden", None)), [""; 0]);
    assert_eq!(found(&mut client, &[("a/z", Some(0))]).len(), 1);
    let acts = client.hear(&error(Some(3), "too_many_rooms", None));
    assert_eq!(acts, ["e0 07 97 05 1f 00 02 6e 6f", "close 1008 no"]);
}

#[test]
fn who_unsubscribes_leaves_and_hears_so() {
    let mut client = Client::open_5();
    client.follow_a(0, 1, 0);
    let acts = client.say(b"\xa2\x09\0\x0a\0\0\x01a\0\x01b");
    assert_eq!(acts, ["3 leave a"]);
    let left = Event::Left {
        room_id: RoomName::new("a").unwrap(),
        id: Some(json("3")),
    };
    assert_eq!(client.hear(&left), ["b0 05 00 0a 00 00 11"]);
    assert_eq!(client.get(entry("a", 1, "1", NOBODY)), [""; 0]);
}

#[test]
fn a_subscription_identifier_is_on_each_message() {
    let mut client = Client::open_5();
    client.say(b"\x82\x09\0\x09\x02\x0b\x07\0\x01a\x00");
    client.hear(&history(1, "a", &[], 0));
    client.hear(&joined(2, "a", 0));
    assert_eq!(client.mqtt.shares(&log("a")), None);
    let acts = client.get(entry("a", 1, "1", NOBODY));
    assert_eq!(acts, ["30 07 00 01 61 02 0b 07 31"]);
}

#[test]
fn who_wants_nothing_of_its_own_gets_nothing_of_its_own() {
    let mut client = Client::open_5();
    client.follow_a(4, 1, 0);
    assert_eq!(
        client.say(b"\x30\x06\0\x01a\0hi"),
        [" publish a \"hi\" - not back"]
    );
    assert_eq!(client.get(entry("a", 1, "1", ("u", "c"))), [""; 0]);
    assert_eq!(client.get(entry("a", 2, "1", ("u", "d"))).len(), 1);
}

// ---- messages that certainly arrive ----

#[test]
fn what_was_not_acknowledged_comes_again_with_its_identifier() {
    let sessions = Arc::new(Sessions::new(1, Kept::InMemory));
    let (mut client, _) = Client::open(&sessions, CONNECT_5);
    client.follow_a(1, 1, 0);
    for offset in 1..=3 {
        let acts = client.get(entry("a", offset, "7", NOBODY));
        assert_eq!(acts, [format!("32 07 00 01 61 00 0{offset} 00 37")]);
    }
    assert_eq!(client.say(b"\x40\x02\0\x02"), [""; 0]);
    let now = client.now;
    client.mqtt.ended(now);
    let (mut client, acts) = Client::open(&sessions, CONNECT_5);
    let join = format!("1 join a Some(\"{}\")", at(0));
    assert_eq!(acts, [CONNACK_5.replace("XX", "01"), join]);
    let come: Vec<_> = (1..=4)
        .flat_map(|offset| client.get(entry("a", offset, "7", NOBODY)))
        .collect();
    let expected = [
        "3a 07 00 01 61 00 01 00 37",
        "3a 07 00 01 61 00 03 00 37",
        "32 07 00 01 61 00 04 00 37",
    ];
    assert_eq!(come, expected);
}

#[test]
fn a_message_of_qos_2_is_given_once_over_connections() {
    let sessions = Arc::new(Sessions::new(1, Kept::InMemory));
    let (mut client, _) = Client::open(&sessions, CONNECT_5);
    client.follow_a(2, 1, 0);
    assert_eq!(
        client.get(entry("a", 1, "7", NOBODY)),
        ["34 07 00 01 61 00 01 00 37"]
    );
    assert_eq!(
        client.get(entry("a", 2, "7", NOBODY)),
        ["34 07 00 01 61 00 02 00 37"]
    );
    assert_eq!(client.say(b"\x50\x02\0\x02"), ["62 02 00 02"]);
    let now = client.now;
    client.mqtt.ended(now);
    let (mut client, acts) = Client::open(&sessions, CONNECT_5);
    assert_eq!(acts[1], "62 02 00 02");
    assert_eq!(
        client.get(entry("a", 1, "7", NOBODY)),
        ["3c 07 00 01 61 00 01 00 37"]
    );
    assert_eq!(client.get(entry("a", 2, "7", NOBODY)), [""; 0]);
    assert_eq!(
        client.say(b"\x70\x02\0\x02\x50\x02\0\x01\x70\x02\0\x01"),
        ["62 02 00 01"]
    );
    assert_eq!(client.say(b"\x50\x02\0\x09"), ["62 04 00 09 92 00"]);
}

#[test]
fn no_more_are_on_their_way_than_the_client_takes() {
    // Receive Maximum 2.
    let connect = b"\x10\x14\0\x04MQTT\x05\x80\0\x3c\x03\x21\0\x02\0\x01c\0\x01u";
    let (mut client, _) = Client::open(&Arc::new(Sessions::new(1, Kept::InMemory)), connect);
    client.follow_a(1, 1, 0);
    client.get(entry("a", 1, "7", NOBODY));
    assert!(client.mqtt.has_room());
    client.get(entry("a", 2, "7", NOBODY));
    assert!(!client.mqtt.has_room());
    client.say(b"\x40\x02\0\x02");
    assert!(client.mqtt.has_room());
}

#[test]
fn what_is_larger_than_the_client_takes_is_as_if_it_had_arrived() {
    // Maximum Packet Size 16.
    let connect = b"\x10\x16\0\x04MQTT\x05\x80\0\x3c\x05\x27\0\0\0\x10\0\x01c\0\x01u";
    let (mut client, _) = Client::open(&Arc::new(Sessions::new(1, Kept::InMemory)), connect);
    client.follow_a(1, 1, 0);
    let large = entry("a", 1, "\"0123456789\"", NOBODY);
    assert_eq!(client.get(large), [""; 0]);
    assert!(client.mqtt.has_room());
    assert_eq!(client.get(entry("a", 2, "7", NOBODY)).len(), 1);
    assert_eq!(client.mqtt.shares(&log("a")), None);
}

#[test]
fn a_hole_is_told_with_the_next_message() {
    let mut client = Client::open_5();
    client.follow_a(0, 1, 0);
    let gap = Event::Gap {
        room_id: log("a"),
        from: at(0).to_string(),
        to: at(5),
        reason: "expired",
        id: None,
    };
    assert_eq!(client.hear(&gap), [""; 0]);
    assert_eq!(client.mqtt.shares(&log("a")), None);
    let acts = client.get(entry("a", 6, "7", NOBODY));
    assert!(acts[0].contains("26 00 03 67 61 70 00 18"), "{acts:?}");
    assert!(client.mqtt.shares(&log("a")).is_some());
}

#[test]
fn who_is_taken_over_does_nothing_more() {
    let sessions = Arc::new(Sessions::new(1, Kept::InMemory));
    let (mut older, _) = Client::open(&sessions, CONNECT_5);
    older.follow_a(1, 1, 0);
    let (_newer, acts) = Client::open(&sessions, CONNECT_5);
    assert_eq!(acts[0], CONNACK_5.replace("XX", "01"));
    assert_eq!(older.get(entry("a", 1, "7", NOBODY)), [""; 0]);
    assert_eq!(older.say(b"\x32\x08\0\x01a\0\x01\0hi"), [""; 0]);
}
