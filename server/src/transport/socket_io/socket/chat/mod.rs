//! The chat by Socket.IO: a client connects to `/`, and what it emits becomes commands; what it is told becomes events and acks.
//!
//! ```text
//!            CONNECT               welcome            all rooms that it comes back to are joined
//!  Waiting ───────────► Entering ──────────► Resuming ──────────► In ──► Over
//!                          │                    no such rooms ────►┘
//!                          └─ refused: CONNECT_ERROR
//! ```
//!
//! Who comes back is answered once it is known whether anything is missing. What it missed goes before that answer: a client keeps it
//! until it is connected.

mod entering;

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;
use std::time::{Duration, Instant};

use serde_json::json;
use serde_json::value::RawValue;
use tidewire_protocol::CloseCode;

use self::entering::refuse_to_connect;
use super::attachments::{has_binary, put_in};
use super::events::{self, Attached};
use super::names::{Dictionary, Name};
use super::packet::{Assembler, Kind, MAIN, Packet, Whole, head};
use super::recovery::Progress;
use super::requests::{self, Emitted};
use crate::chat::{BadCommand, Command, Event, Joiner, Refused, Request, check_seq};
use crate::clock::Now;
use crate::ids::{LogName, RoomName, Session, UserName};
use crate::log::Position;
use crate::transport::dialect::{Encoding, Out};
use crate::transport::feeds::Shared;
use crate::transport::socket_io::Settings;
use crate::transport::socket_io::app::End;
use crate::transport::socket_io::engine::{Body, Line};

/// Requests that wait for an answer, of one connection.
const REQUESTS_MAX: usize = 1024;

/// How long who comes back waits to be told whether anything is missing.
const RESUME_TIME: Duration = Duration::from_secs(10);

/// Ends after which a client's library is not to come back by itself: the session is somebody else's now, or the token is over, or it
/// was not wanted.
const FINAL_CODES: [u16; 3] = [1008, 4001, 4003];

/// A client.
#[derive(Debug)]
pub(crate) struct Chat {
    names: Dictionary,
    recovers: bool,
    bytes_max: usize,
    /// What no other connection is called: the client's id, and the beginning of keys that it does not give itself.
    life: String,
    joiner: Joiner,
    state: State,
    assembler: Assembler,
    /// Requests that wait for an answer.
    asked: HashMap<u64, Asked, foldhash::fast::RandomState>,
    requests: u64,
    user: Option<UserName>,
    session: Option<Session>,
    rooms: Vec<RoomName>,
    progress: Progress,
    /// What was handed to who polls, of the user's private messages.
    handed: Option<(LogName, Position)>,
    until: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Waiting,
    /// The chat has yet to welcome it; who comes back was this.
    Entering(Option<Resuming>),
    Resuming(Resuming),
    In,
    Over,
}

/// Who comes back.
#[derive(Debug)]
struct Resuming {
    pid: String,
    positions: Vec<(LogName, Position)>,
    /// Rooms of which it is not known yet whether anything is missing.
    rooms: Vec<RoomName>,
    is_whole: bool,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// The client, for an ack of this number.
    Client(u64),
    /// This side, which wants to know where the broadcasts are.
    Broadcasts,
}

impl Chat {
    /// A client that comes as `joiner` and is called `life`.
    pub(crate) fn new(settings: &Settings, joiner: Joiner, life: String) -> Self {
        Self {
            names: settings.names,
            recovers: settings.recovers,
            bytes_max: settings.payload_bytes_max as usize,
            life,
            joiner,
            state: State::Waiting,
            assembler: Assembler::default(),
            asked: HashMap::default(),
            requests: 0,
            user: None,
            session: None,
            rooms: Vec::new(),
            progress: Progress::default(),
            handed: None,
            until: None,
        }
    }

    pub(in crate::transport::socket_io) const fn opened(&mut self, until: Instant) {
        self.until = Some(until);
    }

    // ---- what comes ----

    pub(in crate::transport::socket_io) fn message(
        &mut self,
        body: &Body<'_>,
        now: Now,
        line: &mut Line,
        out: &mut Out,
    ) -> Result<(), End> {
        let mut assembler = mem::take(&mut self.assembler);
        let done = assembler.take(body, self.bytes_max, |whole| {
            self.packet(&whole, now, line, out)
        });
        self.assembler = assembler;
        match done {
            Ok(None) => Ok(()),
            Ok(Some(done)) => done,
            Err(_) => Err(End::BadPacket),
        }
    }

    fn packet(
        &mut self,
        whole: &Whole<'_>,
        now: Now,
        line: &mut Line,
        out: &mut Out,
    ) -> Result<(), End> {
        let packet = &whole.packet;
        if packet.namespace != MAIN {
            return no_namespace(packet, line, out);
        }
        match (packet.kind, &self.state) {
            (Kind::Connect, State::Waiting) => {
                if let Err(refused) = self.connect(packet.data, now, out) {
                    refuse_to_connect(refused.code, &refused.message, line, out);
                }
                Ok(())
            }
            (Kind::Disconnect, _) => Err(End::Left),
            (Kind::Event, State::In) => self.event(whole, line, out),
            // Nothing is asked of a client that it could acknowledge.
            (Kind::Ack, State::In) | (_, State::Over) => Ok(()),
            (Kind::Connect | Kind::Event | Kind::Ack | Kind::ConnectError, _) => {
                Err(End::BadPacket)
            }
        }
    }

    fn event(&mut self, whole: &Whole<'_>, line: &mut Line, out: &mut Out) -> Result<(), End> {
        let packet = &whole.packet;
        let data = put_in(packet.data, &whole.attachments).map_err(|_| End::BadPacket)?;
        let args: Vec<&RawValue> = serde_json::from_str(&data).map_err(|_| End::BadPacket)?;
        let (name, args) = args.split_first().ok_or(End::BadPacket)?;
        let name: String = serde_json::from_str(name.get()).map_err(|_| End::BadPacket)?;
        if packet.id.is_some() && self.asked.len() >= REQUESTS_MAX {
            let refused = Refused {
                code: "too_many_requests",
                message: format!("{REQUESTS_MAX} requests wait for an answer."),
            };
            self.acknowledge(packet.id, &events::refusal(&refused), line, out);
            return Ok(());
        }
        let number = self.next_number();
        let fallback_key = packet
            .id
            .map(|_| json_text(&format!("{}-{number}", self.life)));
        let read = match self.names.meant(&name) {
            Some(event) => requests::read(event, args, fallback_key),
            None => Err(unknown_event(&name)),
        };
        let id = packet.id.map(|id| {
            self.asked.insert(number, Asked::Client(id));
            json_number(number)
        });
        match read.and_then(|emitted| self.command(emitted)) {
            Ok(Command::Typing { room }) => {
                // It has no answer.
                self.asked.remove(&number);
                let command = Command::Typing { room };
                out.ask(Request { command, id: None }, whole.bytes);
                self.acknowledge(packet.id, "{}", line, out);
            }
            Ok(command) => out.ask(Request { command, id }, whole.bytes),
            Err(refused) => {
                let seq = None;
                out.refuse(BadCommand { refused, seq, id }, whole.bytes);
            }
        }
        Ok(())
    }

    /// The command as the chat is to see it: it refuses a message to a room by who is not in it.
    fn command(&self, emitted: Emitted) -> Result<Command<'static>, Refused> {
        let Emitted { command, room } = emitted;
        let is_in = |name: &String| self.rooms.iter().any(|room| room.as_str() == name);
        let seq = if let Command::Publish { seq, .. } | Command::PrivateMsg { seq, .. } = &command {
            seq.as_deref()
        } else {
            None
        };
        check_seq(seq)?;
        Ok(match (command, room) {
            (Command::Publish { content, seq, .. }, Some(room)) if !is_in(&room) => {
                let room = Some(Cow::Owned(room));
                Command::RoomMsg { room, content, seq }
            }
            (command, _) => command,
        })
    }

    const fn next_number(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    // ---- what goes ----

    pub(in crate::transport::socket_io) fn told(
        &mut self,
        event: &Event,
        line: &mut Line,
        out: &mut Out,
    ) {
        match mem::replace(&mut self.state, State::Over) {
            State::Entering(resuming) => self.entering(event, resuming, line, out),
            State::Resuming(resuming) => self.resuming(event, resuming, line, out),
            State::In => {
                self.state = State::In;
                self.hear(event, line, out);
            }
            state @ (State::Waiting | State::Over) => self.state = state,
        }
    }

    fn hear(&mut self, event: &Event, line: &mut Line, out: &mut Out) {
        self.note(event);
        // A gap comes before the answer, which has the same number.
        let is_answer = !matches!(event, Event::Gap { .. });
        let id = event.id().filter(|_| is_answer);
        let asked = id.and_then(|id| id.get().parse().ok());
        let asked = asked.and_then(|number: u64| self.asked.remove(&number));
        match asked {
            Some(Asked::Broadcasts) => {
                if let Event::History { position, .. } = event {
                    self.progress.set(&LogName::broadcast(), *position);
                }
                return;
            }
            Some(Asked::Client(id)) => {
                if let Some(answer) = events::answer(event) {
                    self.acknowledge(Some(id), &answer, line, out);
                }
                // Being in another room, or not any more, is to be known by the offset, too.
                let changes_rooms = matches!(event, Event::Joined { .. } | Event::Left { .. });
                if !changes_rooms {
                    return;
                }
            }
            None => {}
        }
        if let Event::Left { room_id, .. } = event {
            return self.say_left(room_id, line, out);
        }
        // What is not kept is not told to who does not fetch what is.
        let is_kept = !matches!(event, Event::System { .. } | Event::Typing { .. });
        if let Some((name, argument)) = events::news(event).filter(|_| is_kept || line.has_room()) {
            self.emit(name, &argument, line, out);
        }
    }

    fn say_left(&self, room: &RoomName, line: &mut Line, out: &mut Out) {
        let argument = json!({ "room": room, "user": self.user });
        self.emit(Name::Leave, &argument, line, out);
    }

    fn note(&mut self, event: &Event) {
        if let Event::Joined {
            room_id, position, ..
        } = event
        {
            if !self.rooms.contains(room_id) {
                self.rooms.push(room_id.clone());
            }
            self.progress.set(&room_id.log(), *position);
        } else if let Event::Left { room_id, .. } = event {
            self.rooms.retain(|room| room != room_id);
            self.progress.remove(room_id.as_str());
        } else if let Event::Gap {
            room_id,
            to,
            id: None,
            ..
        } = event
        {
            // One with a number is about a page of history.
            self.progress.set(room_id, *to);
        }
    }

    fn emit(&self, name: Name, argument: &serde_json::Value, line: &mut Line, out: &mut Out) {
        let offset = self.offset();
        let packet = events::emit(name, argument, self.names, offset.as_deref());
        line.send_text(packet, out);
    }

    fn acknowledge(&self, id: Option<u64>, argument: &str, line: &mut Line, out: &mut Out) {
        if let Some(id) = id {
            send(events::ack(id, argument), line, out);
        }
    }

    fn offset(&self) -> Option<String> {
        self.recovers.then(|| self.progress.offset())
    }

    pub(in crate::transport::socket_io) fn entry(
        &mut self,
        shared: &Shared,
        line: &mut Line,
        out: &mut Out,
    ) {
        if let State::Over | State::Waiting = self.state {
            return;
        }
        let entry = &shared.entry;
        self.progress.set(&entry.draft.log, entry.position);
        let offset = self.offset();
        if has_binary(&entry.draft.content) {
            let attached = events::entry_with_bytes(entry, self.names, offset.as_deref());
            return send(attached, line, out);
        }
        let prepared = shared.prepared(Encoding::SocketIo(self.names));
        match offset {
            None => line.send_prepared(prepared, out),
            Some(offset) => {
                // It was a text when it was prepared.
                let text = str::from_utf8(prepared.payload()).unwrap_or_default();
                line.send_text(events::with_offset(text, &offset), out);
            }
        }
    }

    pub(in crate::transport::socket_io) fn shares(&self, _log: &LogName) -> Option<Encoding> {
        let shares = !self.recovers && matches!(self.state, State::In);
        shares.then_some(Encoding::SocketIo(self.names))
    }

    // ---- polling ----

    pub(in crate::transport::socket_io) fn handed_over(&mut self) {
        self.handed = self.progress.personal();
    }

    pub(in crate::transport::socket_io) fn arrived(&mut self, out: &mut Out) {
        if let Some((log, position)) = self.handed.take() {
            out.arrived(log, position);
        }
    }

    // ---- time, and the end ----

    pub(in crate::transport::socket_io) const fn due_at(&self) -> Option<Instant> {
        self.until
    }

    pub(in crate::transport::socket_io) fn timeout(
        &mut self,
        line: &mut Line,
        out: &mut Out,
    ) -> Result<(), End> {
        self.until = None;
        match mem::replace(&mut self.state, State::Over) {
            State::Waiting => return Err(End::NoConnect),
            // The log takes its time: nobody can say that nothing is missing.
            State::Resuming(mut resuming) => {
                resuming.is_whole = false;
                self.connected(Some(&resuming), line, out);
            }
            state @ (State::Entering(_) | State::In | State::Over) => self.state = state,
        }
        Ok(())
    }

    pub(in crate::transport::socket_io) fn closing(
        &mut self,
        code: CloseCode,
        reason: &str,
        line: &mut Line,
        out: &mut Out,
    ) {
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::In) && FINAL_CODES.contains(&code.get()) {
            let argument = json!({ "code": "closed", "message": reason, "closeCode": code.get() });
            self.emit(Name::Error, &argument, line, out);
            line.send_text(head(Kind::Disconnect, 0, MAIN, None), out);
        }
    }

    pub(in crate::transport::socket_io) fn held_bytes(&self) -> usize {
        self.assembler.held_bytes()
    }
}

/// There is one namespace.
fn no_namespace(packet: &Packet<'_>, line: &mut Line, out: &mut Out) -> Result<(), End> {
    match packet.kind {
        Kind::Connect => {
            let head = head(Kind::ConnectError, 0, packet.namespace, None);
            line.send_text(format!("{head}{{\"message\":\"Invalid namespace\"}}"), out);
            Ok(())
        }
        Kind::Disconnect => Ok(()),
        Kind::Event | Kind::Ack | Kind::ConnectError => Err(End::BadPacket),
    }
}

fn send((packet, attachments): Attached, line: &mut Line, out: &mut Out) {
    line.send_text(packet, out);
    for attachment in attachments {
        line.send_binary(attachment, out);
    }
}

fn unknown_event(name: &str) -> Refused {
    let shown: String = name.chars().take(40).collect();
    Refused {
        code: "unknown_type",
        message: format!("There is no event {shown:?}."),
    }
}

fn json_number(number: u64) -> Cow<'static, RawValue> {
    // Digits are JSON.
    let json = RawValue::from_string(number.to_string());
    json.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

fn json_text(text: &str) -> Cow<'static, RawValue> {
    // A string has no way to fail.
    let json = serde_json::value::to_raw_value(text);
    json.map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}
