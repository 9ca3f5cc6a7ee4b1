//! Sessions that outlive the process, by transcripts: a log that is only a list, and processes that end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidewire_protocol::Message;

use super::keeping::{RENEW_EVERY, SAVE_EVERY};
use super::machine::{Limits, Mqtt};
use super::store::{EXPIRY_MAX, Kept, Memo, Sessions};
use super::tests::{CONNECT_5, NOBODY, at, entry, history, joined, shown, welcome};
use crate::chat::{Event, Joiner};
use crate::clock::Now;
use crate::ids::{LogName, Session as SessionName, UserName};
use crate::log::{Draft, Entry, Epoch, Position, Rules, StoreError};
use crate::transport::dialect::{Act, Out, Session};
use crate::transport::feeds::Shared;

/// 3.1.1, which goes on with its session.
const CONNECT_311: &[u8] = b"\x10\x10\0\x04MQTT\x04\x80\0\x3c\0\x01c\0\x01u";
/// As `CONNECT_5`, with clean start.
const CONNECT_CLEAN: &[u8] = b"\x10\x16\0\x04MQTT\x05\x82\0\x3c\x05\x11\0\0\0\x3c\0\x01c\0\x01u";
/// The same with clean start 0, and no session from now on.
const CONNECT_BRIEF: &[u8] = b"\x10\x11\0\x04MQTT\x05\x80\0\x3c\0\0\x01c\0\x01u";
const SUBSCRIBE: &[u8] = b"\x82\x07\0\x09\0\0\x01a\x01";

/// What the log does when it is asked.
#[derive(Debug, Clone, PartialEq)]
enum Does {
    Answers,
    /// It is asked, and answers later.
    Waits,
    Fails(StoreError),
}

/// A log and a process, which may be another one the next time.
struct World {
    sessions: Arc<Sessions>,
    kept: Kept,
    logs: BTreeMap<LogName, Vec<Arc<Entry>>>,
    does: Does,
    now: Now,
    out: Vec<Memo>,
}

struct Client(Mqtt);

impl World {
    fn new(kept: Kept) -> Self {
        Self {
            sessions: Arc::new(Sessions::new(1, kept)),
            kept,
            logs: BTreeMap::new(),
            does: Does::Answers,
            now: Now {
                instant: Instant::now(),
                unix_ms: 1_000_000,
            },
            out: Vec::new(),
        }
    }

    /// Another process, or another node.
    fn restart(&mut self) {
        self.sessions = Arc::new(Sessions::new(2, self.kept));
    }

    fn wait(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += time.as_millis() as u64;
    }

    fn write(&mut self, memo: &Memo) {
        let entries = self.logs.entry(memo.log.clone()).or_default();
        let draft = Draft {
            log: memo.log.clone(),
            from: UserName::server(),
            session: SessionName::http(),
            seq: None,
            content: memo.content.clone(),
            time: self.now.unix_ms,
        };
        let position = Position {
            epoch: Epoch::new(1),
            offset: entries.len() as u64 + 1,
        };
        entries.push(Arc::new(Entry { position, draft }));
    }

    /// The newest entry of the only log.
    fn newest(&self) -> Value {
        let entries = self.logs.values().next().expect("there is a log");
        let newest = entries.last().expect("it has entries");
        serde_json::from_str(newest.draft.content.get()).unwrap()
    }

    fn entries(&self) -> usize {
        self.logs.values().map(Vec::len).sum()
    }

    /// What a client does and is told, with what the log answers; returns the rest.
    fn run(
        &mut self,
        client: &mut Client,
        tell: impl FnOnce(&mut Mqtt, Now, &mut Out),
    ) -> Vec<String> {
        let mut out = Out::default();
        tell(&mut client.0, self.now, &mut out);
        self.carry_out(client, &mut out)
    }

    fn carry_out(&mut self, client: &mut Client, out: &mut Out) -> Vec<String> {
        let acts: Vec<Act> = out.drain().collect();
        let mut said = Vec::new();
        for act in acts {
            match act {
                Act::Recall(name) => {
                    let entries = self.logs.get(&name).cloned().unwrap_or_default();
                    let found = match self.does.clone() {
                        Does::Waits => continue,
                        Does::Answers => Ok(&entries[entries.len().saturating_sub(4)..]),
                        Does::Fails(error) => Err(error),
                    };
                    client.0.recalled(found, self.now, out);
                    said.extend(self.carry_out(client, out));
                }
                Act::Keep(memo) if self.does == Does::Waits => self.out.push(*memo),
                Act::Keep(memo) => {
                    let is_kept = self.does == Does::Answers;
                    if is_kept {
                        self.write(&memo);
                    }
                    assert!(memo.ticket.answered(is_kept, self.now.instant).is_none());
                    client.0.memo_kept(self.now, out);
                    said.extend(self.carry_out(client, out));
                }
                act => said.push(shown(act)),
            }
        }
        said
    }

    fn say(&mut self, client: &mut Client, bytes: &[u8]) -> Vec<String> {
        let message = Message::binary(bytes);
        self.run(client, |mqtt, now, out| mqtt.message(&message, now, out))
    }

    fn hear(&mut self, client: &mut Client, event: &Event) -> Vec<String> {
        self.run(client, |mqtt, now, out| mqtt.told(event, now, out))
    }

    fn get(&mut self, client: &mut Client, offset: u64) -> Vec<String> {
        let shared = Shared::new(entry("a", offset, "7", NOBODY));
        self.run(client, |mqtt, now, out| mqtt.entry(&shared, now, out))
    }

    fn tick(&mut self, client: &mut Client) -> Vec<String> {
        self.run(client, |mqtt, now, out| mqtt.timeout(now, out))
    }

    /// A client that comes; returns what it hears and what is asked of the chat.
    fn come(&mut self, connect: &[u8]) -> (Client, Vec<String>) {
        let limits = Limits {
            packet_bytes_max: 1024,
        };
        let mqtt = Mqtt::new(Joiner::default(), Arc::clone(&self.sessions), limits);
        let mut client = Client(mqtt);
        self.run(&mut client, |mqtt, now, out| mqtt.opened(now, out));
        assert_eq!(self.say(&mut client, connect), ["begin u -"]);
        let acts = self.hear(&mut client, &welcome());
        (client, acts)
    }

    /// The same, where its session is to be there or not.
    #[track_caller]
    fn enter(&mut self, connect: &[u8], is_present: bool) -> (Client, Vec<String>) {
        let (client, mut acts) = self.come(connect);
        let connack = acts.remove(0);
        let present = connack.split(' ').nth(2).unwrap();
        assert!(connack.starts_with("20 "), "{connack}");
        assert_eq!(present, if is_present { "01" } else { "00" }, "{connack}");
        (client, acts)
    }

    fn subscribe(&mut self, client: &mut Client, first_ask: u64) -> Vec<String> {
        self.say(client, SUBSCRIBE);
        self.hear(client, &history(first_ask, "a", &[], 0));
        self.hear(client, &joined(first_ask + 1, "a", 0))
    }

    /// The connection ends.
    fn end(&mut self, mut client: Client) {
        client.0.ended(self.now);
        if let Some(memo) = client.0.last_memo() {
            self.write(&memo);
            assert!(memo.ticket.answered(true, self.now.instant).is_none());
        }
    }
}

const SUBACK: &str = "90 04 00 09 00 01";

#[test]
fn a_session_is_there_after_a_restart_and_goes_on_behind_what_was_acknowledged() {
    for connect in [CONNECT_311, CONNECT_5] {
        let mut world = World::new(Kept::Here);
        let (mut client, _) = world.enter(connect, false);
        let subscribe: &[u8] = if connect == CONNECT_311 {
            b"\x82\x06\0\x09\0\x01a\x01"
        } else {
            SUBSCRIBE
        };
        world.say(&mut client, subscribe);
        world.hear(&mut client, &history(1, "a", &[], 0));
        world.hear(&mut client, &joined(2, "a", 0));
        for offset in 1..=4 {
            world.get(&mut client, offset);
        }
        world.say(&mut client, b"\x40\x02\0\x01\x40\x02\0\x03");
        world.end(client);
        world.restart();
        let (mut client, acts) = world.enter(connect, true);
        assert_eq!(acts, [format!("1 join a Some(\"{}\")", at(1))]);
        // All as if the process were the same.
        let come: Vec<_> = (2..=5)
            .flat_map(|offset| world.get(&mut client, offset))
            .map(|packet| packet.split(' ').next().unwrap().to_owned())
            .collect();
        assert_eq!(come, ["3a", "3a", "32"], "2 and 4 again, and then 5");
    }
}

#[test]
fn who_is_answered_finds_its_subscriptions_also_after_a_kill() {
    let mut world = World::new(Kept::Here);
    let (mut client, _) = world.enter(CONNECT_5, false);
    assert_eq!(world.entries(), 0, "there is nothing to be kept yet");
    world.does = Does::Waits;
    assert_eq!(world.subscribe(&mut client, 1), [""; 0], "it waits");
    let memo = world.out.pop().expect("it is on its way");
    world.write(&memo);
    assert!(memo.ticket.answered(true, world.now.instant).is_none());
    world.does = Does::Answers;
    let acts = world.run(&mut client, |mqtt, now, out| mqtt.memo_kept(now, out));
    assert_eq!(acts, [SUBACK]);
    world.restart();
    let (mut client, acts) = world.enter(CONNECT_5, true);
    assert_eq!(acts, [format!("1 join a Some(\"{}\")", at(0))]);
    // And they are gone after UNSUBACK.
    let acts = world.say(&mut client, b"\xa2\x06\0\x07\0\0\x01a");
    assert_eq!(acts, ["2 leave a"]);
    let left = Event::Left {
        room_id: crate::ids::RoomName::new("a").unwrap(),
        id: serde_json::value::RawValue::from_string("2".to_owned()).ok(),
    };
    assert_eq!(world.hear(&mut client, &left), ["b0 04 00 07 00 00"]);
    world.restart();
    let (_, acts) = world.enter(CONNECT_5, true);
    assert_eq!(acts, [""; 0]);
}

#[test]
fn acknowledgements_are_written_every_few_seconds_and_one_entry_is_on_its_way() {
    let mut world = World::new(Kept::Here);
    let (mut client, _) = world.enter(CONNECT_5, false);
    assert_eq!(world.subscribe(&mut client, 1), [SUBACK]);
    let before = world.entries();
    for offset in 1..=3 {
        world.get(&mut client, offset);
        world.say(&mut client, &[0x40, 2, 0, offset as u8]);
    }
    assert_eq!(world.entries(), before);
    assert_eq!(
        client.0.poll_timeout(),
        Some(world.now.instant + SAVE_EVERY)
    );
    world.wait(SAVE_EVERY);
    world.does = Does::Waits;
    world.tick(&mut client);
    assert_eq!(world.out.len(), 1);
    world.get(&mut client, 4);
    world.say(&mut client, b"\x40\x02\0\x04");
    world.wait(SAVE_EVERY);
    world.tick(&mut client);
    assert_eq!(world.out.len(), 1, "it has no answer yet");
    // The connection ends meanwhile: what is left is written when the answer is there.
    client.0.ended(world.now);
    assert!(client.0.last_memo().is_none());
    let memo = world.out.pop().unwrap();
    world.write(&memo);
    assert_eq!(world.newest()["places"][0]["cursor"], at(3).to_string());
    let last = memo.ticket.answered(true, world.now.instant);
    world.write(&last.expect("the last one"));
    let newest = world.newest();
    assert_eq!(newest["places"][0]["cursor"], at(4).to_string());
    assert_eq!(newest["ended"], true);
}

#[test]
fn a_session_without_acknowledgements_is_written_once_an_hour() {
    let mut world = World::new(Kept::Here);
    let (mut client, _) = world.enter(CONNECT_5, false);
    world.subscribe(&mut client, 1);
    let before = world.entries();
    for _ in 0..3 {
        world.wait(RENEW_EVERY);
        world.say(&mut client, b"\xc0\0");
    }
    assert_eq!(world.entries(), before + 3);
    // Its process was killed, nobody knows when: an hour more than the 60 s that it asked for.
    world.restart();
    world.wait(RENEW_EVERY + Duration::from_secs(119));
    let (client, _) = world.enter(CONNECT_5, true);
    world.end(client);
    world.restart();
    world.wait(Duration::from_secs(60));
    world.enter(CONNECT_5, false);
}

#[test]
fn the_log_keeps_a_session_for_as_long_as_it_may_last() {
    let rules = Rules::default();
    let rule = rules.of(LogName::mqtt_session(1).as_str());
    assert!(rule.retention.age_max > EXPIRY_MAX + RENEW_EVERY + Duration::from_secs(60));
}

#[test]
fn who_begins_anew_is_let_in_once_the_log_knows_that() {
    for connect in [CONNECT_CLEAN, CONNECT_BRIEF] {
        let mut world = World::new(Kept::Here);
        let (mut client, _) = world.enter(CONNECT_5, false);
        world.subscribe(&mut client, 1);
        world.restart();
        world.does = Does::Fails(StoreError::Full);
        let (_, acts) = world.come(connect);
        assert!(
            acts[0].starts_with("20 ") && acts[0].contains(" 00 88 "),
            "{acts:?}"
        );
        world.restart();
        world.does = Does::Answers;
        let (client, _) = world.enter(connect, connect == CONNECT_BRIEF);
        // Killed at once, it is so all the same.
        drop(client);
        world.restart();
        let (_, acts) = world.enter(CONNECT_5, connect == CONNECT_CLEAN);
        assert_eq!(acts, [""; 0], "there are no subscriptions any more");
    }
}

#[test]
fn who_wants_nothing_kept_from_now_on_is_forgotten_by_the_log_of_the_same_process() {
    let mut world = World::new(Kept::Here);
    let (mut client, _) = world.enter(CONNECT_5, false);
    world.subscribe(&mut client, 1);
    world.end(client);
    let (client, _) = world.enter(CONNECT_BRIEF, true);
    assert_eq!(world.newest()["expiry"], 0);
    let entries = world.entries();
    world.end(client);
    assert_eq!(
        world.entries(),
        entries,
        "there is nothing to be forgotten any more"
    );
    world.enter(CONNECT_5, false);
    world.restart();
    world.enter(CONNECT_5, false);
}

#[test]
fn who_goes_while_its_session_is_read_loses_nothing_of_it() {
    let mut world = World::new(Kept::Elsewhere);
    let (mut client, _) = world.enter(CONNECT_5, false);
    world.does = Does::Fails(StoreError::Full);
    assert_eq!(world.subscribe(&mut client, 1), [SUBACK]);
    client.0.ended(world.now);
    world.does = Does::Waits;
    let (client, acts) = world.come(CONNECT_5);
    assert_eq!(acts, [""; 0]);
    world.end(client);
    world.does = Does::Answers;
    let (_, acts) = world.enter(CONNECT_5, true);
    assert_eq!(acts, [format!("1 join a Some(\"{}\")", at(0))]);
}

#[test]
fn a_log_that_is_away_is_no_log_without_a_session() {
    for (connect, refusal) in [(CONNECT_5, " 00 88 "), (CONNECT_311, "20 02 00 03")] {
        let mut world = World::new(Kept::Elsewhere);
        world.does = Does::Fails(StoreError::Unavailable);
        let (mut client, acts) = world.come(connect);
        assert_eq!(acts, [""; 0], "it is asked again");
        world.wait(Duration::from_secs(1));
        assert_eq!(world.tick(&mut client), [""; 0]);
        world.wait(Duration::from_secs(5));
        let acts = world.tick(&mut client);
        assert!(
            acts[0].starts_with("20 ") && acts[0].contains(refusal),
            "{acts:?}"
        );
        assert!(acts[1].starts_with("close 1008"), "{acts:?}");
        // It comes back in time.
        let (mut client, _) = world.come(connect);
        world.does = Does::Answers;
        world.wait(Duration::from_secs(1));
        assert!(world.tick(&mut client)[0].starts_with("20 "));
    }
}

#[test]
fn what_comes_behind_connect_waits_for_the_log() {
    let mut world = World::new(Kept::Here);
    world.does = Does::Waits;
    let (mut client, acts) = world.come(CONNECT_5);
    assert_eq!(acts, [""; 0]);
    assert_eq!(world.say(&mut client, SUBSCRIBE), [""; 0]);
    let acts = world.run(&mut client, |mqtt, now, out| {
        mqtt.recalled(Ok(&[]), now, out)
    });
    assert_eq!(acts.len(), 2, "{acts:?}");
    assert_eq!(acts[1], "1 last Some(1) a");
}

#[test]
fn a_log_that_refuses_leaves_the_session_in_memory() {
    let mut world = World::new(Kept::Here);
    let (mut client, _) = world.enter(CONNECT_5, false);
    world.does = Does::Fails(StoreError::Full);
    assert_eq!(world.subscribe(&mut client, 1), [SUBACK]);
    client.0.ended(world.now);
    let memo = client.0.last_memo().expect("it is tried");
    assert!(memo.ticket.answered(false, world.now.instant).is_none());
    let (_, acts) = world.enter(CONNECT_5, true);
    assert_eq!(acts, [format!("1 join a Some(\"{}\")", at(0))]);
}

#[test]
fn the_later_life_of_a_session_holds_wherever_its_entries_are() {
    let mut world = World::new(Kept::Elsewhere);
    let (mut older, _) = world.enter(CONNECT_5, false);
    world.subscribe(&mut older, 1);
    let here = Arc::clone(&world.sessions);
    // It goes on at another node, and the first does not know yet.
    world.restart();
    let (mut newer, _) = world.enter(CONNECT_5, true);
    for offset in 1..=2 {
        world.get(&mut newer, offset);
    }
    world.say(&mut newer, b"\x40\x02\x40\x01");
    world.end(newer);
    world.end(older);
    assert_eq!(world.newest()["places"][0]["cursor"], at(0).to_string());
    let there = Arc::clone(&world.sessions);
    for sessions in [here, there] {
        world.sessions = sessions;
        let (client, acts) = world.enter(CONNECT_5, true);
        assert_eq!(acts, [format!("1 join a Some(\"{}\")", at(1))]);
        drop(client);
    }
}

#[test]
fn packet_identifiers_are_others_after_a_kill() {
    let mut world = World::new(Kept::Here);
    let (mut client, _) = world.enter(CONNECT_5, false);
    world.say(&mut client, b"\x82\x07\0\x09\0\0\x01a\x02");
    world.hear(&mut client, &history(1, "a", &[], 0));
    world.hear(&mut client, &joined(2, "a", 0));
    let first = world.get(&mut client, 1);
    assert!(first[0].starts_with("34 07 00 01 61 00 01"), "{first:?}");
    world.restart();
    let (mut client, _) = world.enter(CONNECT_5, true);
    let again = world.get(&mut client, 1);
    assert!(again[0].starts_with("34 07 00 01 61 40 01"), "{again:?}");
    // Not where its connection had ended: all of it is known.
    world.end(client);
    world.restart();
    let (mut client, _) = world.enter(CONNECT_5, true);
    let again = world.get(&mut client, 1);
    assert!(again[0].starts_with("3c 07 00 01 61 40 01"), "{again:?}");
}

#[test]
fn a_message_of_qos_2_is_kept_once_over_a_restart() {
    let mut world = World::new(Kept::Here);
    let (mut client, _) = world.enter(CONNECT_5, false);
    let acts = world.say(&mut client, b"\x34\x08\0\x01a\0\x05\0hi");
    let (_, message) = acts[0].split_once(' ').unwrap();
    world.end(client);
    world.restart();
    let (mut client, _) = world.enter(CONNECT_5, true);
    let acts = world.say(&mut client, b"\x3c\x08\0\x01a\0\x05\0hi");
    assert_eq!(
        acts[0].split_once(' ').unwrap().1,
        message,
        "the same number"
    );
}

#[test]
fn names_are_not_in_the_name_of_the_log_and_only_what_counts_is_written() {
    let mut world = World::new(Kept::Here);
    let (client, _) = world.enter(CONNECT_5, false);
    world.end(client);
    assert_eq!(world.entries(), 0, "a session with nothing in it");
    let (mut client, _) = world.enter(CONNECT_5, true);
    world.subscribe(&mut client, 1);
    let name = world.logs.keys().next().unwrap();
    assert!(name.is_own() && name.as_str().len() == 38, "{name}");
    assert_ne!(*name, super::saved::log_of_session("u", "d"));
    assert_ne!(
        super::saved::log_of_session("a", "bc"),
        super::saved::log_of_session("ab", "c")
    );
}
