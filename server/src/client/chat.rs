//! A session in the chat that outlives its sockets.
//!
//! ```text
//!   Waiting ──retry_at──▶ Connecting ──welcome──▶ Open ──socket ends──▶ Waiting …
//!                              └──────────socket ends────────────▲
//! ```
//!
//! On every welcome it joins its rooms behind what it has seen of them and sends again what was not acknowledged, in the
//! order of the numbers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Registry, Token};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tidewire_protocol::{CloseCode, Config};

use super::address::Address;
use super::backoff::Backoff;
use super::message::Heard;
use super::news::{Cut, News};
use super::socket::{End, Socket};
use crate::log::{Position, Positions};

/// Who the client is, and where it goes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user.
    pub user: String,
    /// The session: with the numbers of its messages, what makes sending twice harmless.
    pub session: String,
    /// The server, as it is called.
    pub address: Address,
    /// The server, as it is found.
    pub to: SocketAddr,
}

/// A client in some rooms.
#[derive(Debug)]
pub struct Chat {
    identity: Identity,
    token: Token,
    config: Arc<Config>,
    rooms: Vec<Room>,
    /// Not acknowledged, by rising number.
    pending: VecDeque<Pending>,
    socket: Option<Socket>,
    /// How rooms are joined on this socket.
    greeting: Greeting,
    /// The welcome has come.
    is_welcome: bool,
    /// ... and was answered.
    is_open: bool,
    retry_at: Option<Instant>,
    backoff: Backoff,
    is_slow: bool,
    /// It joins its rooms.
    is_follower: bool,
    /// Counts the sockets.
    life: u32,
    news: VecDeque<News>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    /// By `join_room`.
    Messages,
    /// By `room` and `since` in the address.
    Address,
}

#[derive(Debug)]
struct Room {
    name: String,
    /// Everything up to here was seen.
    position: Option<Position>,
}

#[derive(Debug)]
struct Pending {
    seq: u64,
    text: String,
}

impl Chat {
    /// A client that connects at the first [`pump`](Self::pump); its waits between tries are at most `wait_max`.
    #[must_use]
    pub fn new(
        identity: Identity,
        rooms: &[String],
        token: Token,
        config: Arc<Config>,
        wait_max: Duration,
        seed: u64,
    ) -> Self {
        let room = |name: &String| Room {
            name: name.clone(),
            position: None,
        };
        Self {
            identity,
            token,
            config,
            rooms: rooms.iter().map(room).collect(),
            pending: VecDeque::new(),
            socket: None,
            greeting: Greeting::Messages,
            is_welcome: false,
            is_open: false,
            retry_at: None,
            backoff: Backoff::new(wait_max, seed),
            is_slow: false,
            is_follower: true,
            life: 0,
            news: VecDeque::new(),
        }
    }

    /// Joins no room from now on: its rooms are only names to ask the history of, and a gap is one in what it asked for.
    pub const fn stay_out(&mut self) {
        self.is_follower = false;
    }

    /// Makes this and further sockets ask the kernel for a small buffer, so that the server feels how slowly they are read; or
    /// further ones no more.
    pub fn read_slowly(&mut self, is_slow: bool) {
        self.is_slow = is_slow;
        if let Some(socket) = self.socket.as_ref().filter(|_| is_slow) {
            socket.shrink_receive_buffer();
        }
    }

    /// Notes what the poll said.
    pub fn note_ready(&mut self, readable: bool, writable: bool) {
        if let Some(socket) = &mut self.socket {
            socket.note_ready(readable, writable);
        }
    }

    /// Connects if it is time, reads at most `budget` bytes, and writes; then ask [`poll_news`](Self::poll_news).
    pub fn pump(&mut self, registry: &Registry, buffer: &mut [u8], budget: usize, now: Instant) {
        if self.socket.is_none() && self.retry_at.is_none_or(|at| at <= now) {
            match self.connect(registry, now) {
                Ok(socket) => {
                    if self.is_slow {
                        socket.shrink_receive_buffer();
                    }
                    self.socket = Some(socket);
                    self.life += 1;
                }
                Err(error) => self.lose(End::transport(&error), now),
            }
        }
        let Some(mut socket) = self.socket.take() else {
            return;
        };
        let result = socket.pump(buffer, budget, now, |text| self.hear(text));
        self.socket = Some(socket);
        match result {
            Ok(()) => self.greet_if_welcome(),
            Err(end) => self.lose(end, now),
        }
    }

    /// What happened, oldest first.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// When [`pump`](Self::pump) is to be called even if nothing is ready.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.socket
            .as_ref()
            .map_or(self.retry_at, Socket::poll_timeout)
    }

    /// Whether it has been welcomed and can still send.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open && self.socket.as_ref().is_some_and(Socket::is_open)
    }

    /// Whether there may be input that a budget left unread.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::is_readable)
    }

    /// How many sockets it has had.
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// How many messages are not acknowledged.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Everything up to here was seen of a room.
    #[must_use]
    pub fn position(&self, room: usize) -> Option<Position> {
        self.rooms.get(room).and_then(|room| room.position)
    }

    /// Says `content` in a room, now and on every further socket until it is acknowledged; numbers rise.
    pub fn say(&mut self, room: usize, seq: u64, content: &str) {
        let Some(name) = self.rooms.get(room).map(|room| room.name.as_str()) else {
            return;
        };
        let message = json!({"type": "room_msg", "roomId": name, "content": content, "seq": seq});
        let text = message.to_string();
        self.send(&text);
        self.pending.push_back(Pending { seq, text });
    }

    /// Sends a refused message again.
    pub fn resend(&mut self, seq: u64) {
        let found = self
            .pending
            .binary_search_by_key(&seq, |pending| pending.seq);
        if let (Ok(index), true) = (found, self.is_open)
            && let (Some(pending), Some(socket)) = (self.pending.get(index), &mut self.socket)
        {
            socket.send(&pending.text);
        }
    }

    /// Asks for the next page of a room's log behind `since`, or from its oldest entry.
    pub fn ask_history(&mut self, room: usize, since: Option<Position>) {
        let Some(name) = self.rooms.get(room).map(|room| room.name.as_str()) else {
            return;
        };
        let since = since.map_or(String::new(), |since| since.to_string());
        let ask = json!({"type": "history", "roomId": name, "since": since, "limit": 1000});
        self.send(&ask.to_string());
    }

    /// Ends the socket; the client comes back on another one.
    pub fn cut(&mut self, how: Cut, now: Instant) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        match how {
            Cut::Close => return socket.close(CloseCode::GOING_AWAY, "", now),
            Cut::Finish => {}
            Cut::Reset => socket.reset_on_drop(),
        }
        let reason = "ended on purpose".to_owned();
        self.lose(End { code: 1006, reason }, now);
    }

    // ---- inside ----

    fn connect(&mut self, registry: &Registry, now: Instant) -> io::Result<Socket> {
        let Identity {
            user,
            session,
            address,
            to,
        } = &self.identity;
        let mut query = format!("userId={}&session={}", escaped(user), escaped(session));
        let positions = self.positions_for_query();
        self.greeting = Greeting::Messages;
        if let Some(positions) = positions {
            for room in &self.rooms {
                query += &format!("&room={}", escaped(&room.name));
            }
            query += &format!("&since={}", escaped(&positions));
            self.greeting = Greeting::Address;
        }
        let config = Arc::clone(&self.config);
        Socket::connect(*to, address, &query, registry, self.token, config, now)
    }

    /// Every second socket resumes by its address instead of by messages, where all positions are known: a server has to be
    /// right in both.
    fn positions_for_query(&self) -> Option<String> {
        let of = |room: &Room| room.position.map(|position| (room.name.clone(), position));
        let positions: Vec<_> = self.rooms.iter().map(of).collect::<Option<_>>()?;
        let pairs = positions
            .iter()
            .map(|(name, position)| (name.as_str(), *position));
        let is_turn = self.life % 2 == 1 && self.is_follower && !positions.is_empty();
        is_turn.then(|| Positions::encode(pairs))
    }

    /// After the welcome: joins rooms, and sends again what was not acknowledged.
    fn greet_if_welcome(&mut self) {
        if self.is_open || !self.is_welcome {
            return;
        }
        self.is_open = true;
        let Some(socket) = &mut self.socket else {
            return;
        };
        if self.greeting == Greeting::Messages && self.is_follower {
            for room in &self.rooms {
                let since = room.position.map_or(String::new(), |at| at.to_string());
                let join = json!({"type": "join_room", "roomId": room.name, "since": since});
                socket.send(&join.to_string());
            }
        }
        for pending in &self.pending {
            socket.send(&pending.text);
        }
    }

    fn lose(&mut self, end: End, now: Instant) {
        self.socket = None;
        (self.is_open, self.is_welcome) = (false, false);
        self.retry_at = Some(now + self.backoff.next_wait());
        self.news.push_back(News::Lost(end));
    }

    fn send(&mut self, text: &str) {
        if self.is_open
            && let Some(socket) = &mut self.socket
        {
            socket.send(text);
        }
    }

    fn hear(&mut self, text: &str) {
        let news = match Heard::parse(text) {
            Some(Heard::Welcome) => return self.welcomed(),
            Some(Heard::Other) => return,
            // A gap in the private messages is none of the rooms'.
            Some(Heard::Gap { room, .. }) if self.index_of(&room).is_none() => return,
            Some(heard) => self.take(heard),
            None => None,
        };
        match news {
            Some(news) => self.news.push_back(news),
            None => self.nonsense(text),
        }
    }

    /// Notes what was heard; nothing where it is of a room that the client is not in.
    fn take(&mut self, heard: Heard) -> Option<News> {
        Some(match heard {
            Heard::Ack {
                seq,
                room,
                position,
                dup,
            } => {
                self.acknowledged(seq, &room, position);
                News::Ack {
                    seq,
                    room,
                    position,
                    dup,
                }
            }
            Heard::Entry(entry) => {
                let room = self.index_of(&entry.room)?;
                self.seen(room, entry.position);
                News::Entry(room, entry)
            }
            Heard::Joined { room, position } => {
                let room = self.index_of(&room)?;
                // An empty room has no entry that would say where it is.
                self.seen(room, self.position(room).unwrap_or(position));
                News::Joined(room, position)
            }
            Heard::Gap {
                room,
                from,
                to,
                reason,
            } => {
                let room = self.index_of(&room)?;
                self.seen(room, to);
                News::Gap {
                    room,
                    from,
                    to,
                    reason,
                }
            }
            Heard::History {
                room,
                entries,
                position,
                more,
            } => {
                let room = self.index_of(&room)?;
                News::History {
                    room,
                    entries,
                    position,
                    more,
                }
            }
            Heard::Error {
                code,
                seq: Some(seq),
                ..
            } => News::Refused { seq, code },
            Heard::Error {
                message, seq: None, ..
            } => News::Nonsense(message),
            Heard::Welcome | Heard::Other => return None,
        })
    }

    fn welcomed(&mut self) {
        self.is_welcome = true;
        self.backoff.reset();
        self.news.push_back(News::Opened);
        for (index, room) in self.rooms.iter().enumerate().filter(|_| self.is_follower) {
            self.news.push_back(News::Following(index, room.position));
        }
    }

    /// The acknowledgement is the sender's copy: where it is what comes next, the room was seen up to there.
    fn acknowledged(&mut self, seq: u64, room: &str, position: Position) {
        if let Ok(index) = self
            .pending
            .binary_search_by_key(&seq, |pending| pending.seq)
        {
            self.pending.remove(index);
        }
        let Some(room) = self
            .index_of(room)
            .and_then(|room| self.rooms.get_mut(room))
        else {
            return;
        };
        let follows = |seen: Position| {
            seen.epoch == position.epoch && seen.offset.checked_add(1) == Some(position.offset)
        };
        if room.position.is_some_and(follows) {
            room.position = Some(position);
        }
    }

    fn seen(&mut self, room: usize, position: Position) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.position = Some(position);
        }
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.rooms.iter().position(|room| room.name == name)
    }

    fn nonsense(&mut self, text: &str) {
        let shown = text.chars().take(200).collect();
        self.news.push_back(News::Nonsense(shown));
    }
}

fn escaped(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn chat() -> Chat {
        let identity = Identity {
            user: "a".to_owned(),
            session: "s".to_owned(),
            address: Address::parse("localhost").unwrap(),
            to: SocketAddr::from(([127, 0, 0, 1], 1)),
        };
        let rooms = ["r".to_owned(), "q".to_owned()];
        let wait = Duration::from_secs(1);
        Chat::new(identity, &rooms, Token(0), Arc::default(), wait, 1)
    }

    fn at(offset: u64) -> Position {
        Position {
            epoch: Epoch::new(1),
            offset,
        }
    }

    fn news(chat: &mut Chat) -> Vec<News> {
        std::iter::from_fn(|| chat.poll_news()).collect()
    }

    fn entry(offset: u64) -> String {
        format!(
            r#"{{"type":"room_msg","roomId":"r","offset":{offset},"epoch":"00000001","from":"b","content":"x","time":1}}"#
        )
    }

    fn ack(seq: u64, offset: u64) -> String {
        format!(
            r#"{{"type":"ack","roomId":"r","seq":{seq},"offset":{offset},"epoch":"00000001","time":1}}"#
        )
    }

    #[test]
    fn it_follows_each_room_behind_what_it_saw_of_it() {
        let mut chat = chat();
        chat.hear(r#"{"type":"welcome"}"#);
        let begin = [
            News::Opened,
            News::Following(0, None),
            News::Following(1, None),
        ];
        assert_eq!(news(&mut chat), begin);
        chat.hear(&entry(1));
        chat.hear(r#"{"type":"joined","roomId":"r","position":"00000001-1","recovered":true}"#);
        chat.hear(r#"{"type":"joined","roomId":"q","position":"00000001-7","recovered":true}"#);
        chat.hear(&entry(2));
        assert_eq!(
            (chat.position(0), chat.position(1)),
            (Some(at(2)), Some(at(7)))
        );
        chat.hear(r#"{"type":"gap","roomId":"r","from":"x","to":"00000001-9","reason":"expired"}"#);
        assert_eq!(chat.position(0), Some(at(9)));
    }

    #[test]
    fn who_stays_out_follows_no_room() {
        let mut chat = chat();
        chat.stay_out();
        chat.hear(r#"{"type":"welcome"}"#);
        assert_eq!(news(&mut chat), [News::Opened]);
    }

    #[test]
    fn an_ack_is_the_senders_copy_only_where_nothing_is_between() {
        let mut chat = chat();
        chat.hear(&entry(1));
        for seq in 1..=3 {
            chat.say(0, seq, "x");
        }
        chat.hear(&ack(2, 3));
        assert_eq!(chat.position(0), Some(at(1)), "2 has not come yet");
        chat.hear(&ack(1, 2));
        assert_eq!((chat.position(0), chat.pending()), (Some(at(2)), 1));
    }

    #[test]
    fn what_was_refused_stays_pending() {
        let mut chat = chat();
        chat.say(0, 1, "x");
        chat.hear(r#"{"type":"error","code":"rate_limited","message":"Slow.","seq":1}"#);
        let code = "rate_limited".to_owned();
        assert_eq!(news(&mut chat), [News::Refused { seq: 1, code }]);
        assert_eq!(chat.pending(), 1);
    }

    #[test]
    fn what_belongs_to_no_room_is_nonsense() {
        let mut chat = chat();
        chat.hear(&entry(1).replace("\"r\"", "\"z\""));
        chat.hear("{");
        let heard = news(&mut chat);
        assert!(
            matches!(heard[..], [News::Nonsense(_), News::Nonsense(_)]),
            "{heard:?}"
        );
    }

    #[test]
    fn a_socket_resumes_by_its_address_once_all_positions_are_known() {
        let mut chat = chat();
        chat.life = 1;
        assert_eq!(chat.positions_for_query(), None);
        (chat.rooms[0].position, chat.rooms[1].position) = (Some(at(1)), Some(at(2)));
        let positions = chat.positions_for_query();
        assert_eq!(positions.as_deref(), Some("r:00000001-1,q:00000001-2"));
        chat.life = 2;
        assert_eq!(chat.positions_for_query(), None);
    }
}
