//! A session in the chat that outlives its sockets.
//!
//! ```text
//!   Waiting ──retry_at──▶ Connecting ──welcome──▶ Open ──socket ends──▶ Waiting …
//!                              └──────────socket ends────────────▲
//! ```
//!
//! On every welcome it joins its rooms behind what it has seen of them and sends again what was not acknowledged, in the
//! order of the numbers.

mod hearing;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Registry, Token};
use serde_json::json;
use tidewire_protocol::handshake::client::Target;
use tidewire_protocol::{CloseCode, Config};

use super::address::Address;
use super::backoff::Backoff;
use super::news::{Cut, News};
use super::rooms::{Begin, Rooms, escaped};
use super::socket::{End, Socket};
use super::stream::Endpoint;
use super::tls::Tls;
use crate::log::{Position, Positions};

/// The log of what goes to everybody.
const BROADCASTS: &str = "*";

/// How long a client waits that was refused a room for the rate of its requests.
const DENIED_WAIT: Duration = Duration::from_millis(500);

/// Who the client is, and where it goes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user; a guest without.
    pub user: Option<String>,
    /// The session: with the numbers of its messages, what makes sending twice harmless.
    pub session: String,
    /// A token (JWT), where the server asks for one.
    pub token: Option<String>,
    /// The server, as it is called.
    pub address: Address,
    /// The server, as it is found: tried in turn.
    pub to: Vec<SocketAddr>,
    /// What is spoken there, if that is TLS.
    pub tls: Option<Tls>,
}

/// A client in some rooms.
#[derive(Debug)]
pub struct Chat {
    identity: Identity,
    token: Token,
    config: Arc<Config>,
    rooms: Rooms,
    /// Where it is in the broadcasts, if it is to miss none.
    broadcasts: Broadcasts,
    /// Not acknowledged, by rising number.
    pending: VecDeque<Pending>,
    socket: Option<Socket>,
    /// How rooms are joined on this socket.
    greeting: Greeting,
    /// Every second socket resumes by its address.
    takes_turns: bool,
    /// The welcome has come.
    is_welcome: bool,
    /// ... and was answered.
    is_open: bool,
    /// A request was refused for their rate.
    is_denied: bool,
    /// When rooms are asked for again after that.
    greet_at: Option<Instant>,
    retry_at: Option<Instant>,
    /// The server said when to come back, counted from when it ends the socket, which it does right after that.
    away: Option<Duration>,
    backoff: Backoff,
    is_slow: bool,
    /// Counts the sockets.
    life: u32,
    /// Which of the server's addresses is tried next.
    next_to: usize,
    /// Addresses of the server where nobody was, since somebody was.
    tried: usize,
    news: VecDeque<News>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    /// By `join_room`.
    Messages,
    /// By `room` and `since` in the address.
    Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broadcasts {
    /// They come while it is there.
    Unminded,
    /// It goes on behind what it saw, once it has asked where they are.
    Asking,
    /// Everything up to here was seen.
    At(Position),
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
        token: Token,
        config: Arc<Config>,
        wait_max: Duration,
        seed: u64,
    ) -> Self {
        Self {
            identity,
            token,
            config,
            rooms: Rooms::default(),
            broadcasts: Broadcasts::Unminded,
            pending: VecDeque::new(),
            socket: None,
            greeting: Greeting::Messages,
            takes_turns: false,
            is_welcome: false,
            is_open: false,
            is_denied: false,
            greet_at: None,
            retry_at: None,
            away: None,
            backoff: Backoff::new(wait_max, seed),
            is_slow: false,
            life: 0,
            next_to: 0,
            tried: 0,
            news: VecDeque::new(),
        }
    }

    /// Resumes with every second socket by its address instead of by messages, where all positions are known: a server has to
    /// be right in both.
    pub const fn resume_in_turns(&mut self) {
        self.takes_turns = true;
    }

    /// Goes to another server with its next connection: a node that has the same rooms.
    pub fn move_to(&mut self, address: Address, to: Vec<SocketAddr>, tls: Option<Tls>) {
        (self.identity.address, self.identity.to) = (address, to);
        self.identity.tls = tls;
        (self.next_to, self.tried) = (0, 0);
    }

    /// Whether the server that it has lost has addresses of which it is not known yet that nobody is there.
    #[must_use]
    pub const fn has_other_addresses(&self) -> bool {
        self.tried > 0 && self.tried < self.identity.to.len()
    }

    /// Misses no broadcast while it has no socket.
    pub const fn mind_broadcasts(&mut self) {
        self.broadcasts = Broadcasts::Asking;
    }

    /// Follows a room, on this and further sockets; returns its place.
    pub fn follow(&mut self, room: &str, begin: Begin) -> usize {
        let index = self.rooms.follow(room, begin);
        if self.is_open
            && let Some(greeting) = self.rooms.greeting(index)
        {
            self.send(&greeting);
        }
        index
    }

    /// Follows a room no more.
    pub fn leave(&mut self, room: usize) {
        if let Some(text) = self.rooms.leave(room) {
            self.send(&text);
        }
    }

    /// Joins no room from now on: its rooms are only names to ask the history of, and a gap is one in what it asked for.
    pub fn stay_out(&mut self) {
        self.rooms.leave_all();
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
        let mut heard = Vec::new();
        let result = socket.pump(buffer, budget, now, |text| heard.extend(self.hear(text)));
        self.socket = Some(socket);
        if let Err(end) = result {
            return self.lose(end, now);
        }
        self.greet_if_welcome();
        heard.iter().for_each(|answer| self.send(answer));
        self.greet_again(now);
        if let Some(socket) = &mut self.socket
            && let Err(end) = socket.flush()
        {
            self.lose(end, now);
        }
    }

    /// What happened, oldest first.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Whether [`poll_news`](Self::poll_news) has some.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// When [`pump`](Self::pump) is to be called even if nothing is ready.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let socket = self
            .socket
            .as_ref()
            .map_or(self.retry_at, Socket::poll_timeout);
        [socket, self.greet_at].into_iter().flatten().min()
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
        self.rooms.position(room)
    }

    /// Says `content` in a room, now and on every further socket until it is acknowledged; numbers rise.
    pub fn say(&mut self, room: usize, seq: u64, content: &str) {
        let Some(name) = self.rooms.name(room) else {
            return;
        };
        let message = json!({"type": "room_msg", "roomId": name, "content": content, "seq": seq});
        self.post(seq, message.to_string());
    }

    /// Says `content` to a user, as [`say`](Self::say) does in a room.
    pub fn say_to(&mut self, user: &str, seq: u64, content: &str) {
        let message =
            json!({"type": "private_msg", "toUser": user, "content": content, "seq": seq});
        self.post(seq, message.to_string());
    }

    /// Sends a refused message again.
    pub fn resend(&mut self, seq: u64) {
        if let (Some(index), true) = (self.find_pending(seq), self.is_open)
            && let (Some(pending), Some(socket)) = (self.pending.get(index), &mut self.socket)
        {
            socket.send(&pending.text);
        }
    }

    /// Sends a refused message never again.
    pub fn forget(&mut self, seq: u64) {
        if let Some(index) = self.find_pending(seq) {
            self.pending.remove(index);
        }
    }

    /// Asks for the next page of a room's log behind `since`, or from its oldest entry.
    pub fn ask_history(&mut self, room: usize, since: Option<Position>) {
        let Some(name) = self.rooms.name(room) else {
            return;
        };
        let since = since.map_or(String::new(), |since| since.to_string());
        let ask = json!({"type": "history", "roomId": name, "since": since, "limit": 1000});
        self.send(&ask.to_string());
    }

    /// Asks for the entries before a position.
    pub fn ask_history_before(&mut self, room: usize, before: Position, count: u16) {
        let Some(name) = self.rooms.name(room) else {
            return;
        };
        // With an `id` a gap in the page is told apart from one in what is followed.
        let ask = json!({"type": "history", "roomId": name, "before": before, "limit": count, "id": "before"});
        self.send(&ask.to_string());
    }

    /// Asks who is in a room.
    pub fn ask_presence(&mut self, room: usize) {
        if let Some(name) = self.rooms.name(room) {
            let ask = json!({"type": "presence", "roomId": name});
            self.send(&ask.to_string());
        }
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
            token,
            address,
            to,
            tls,
        } = &self.identity;
        let Some(&to) = to.get(self.next_to % to.len().max(1)) else {
            return Err(io::Error::other("the server has no address"));
        };
        let mut query = format!("session={}", escaped(session));
        if let Some(user) = user {
            query += &format!("&userId={}", escaped(user));
        }
        (self.greeting, query) = match (self.rooms_for_query(), self.broadcasts) {
            (Some(rooms), _) => (Greeting::Address, query + &rooms),
            (None, Broadcasts::At(position)) => {
                let since = Positions::encode([(BROADCASTS, position)]);
                let query = query + &format!("&since={}", escaped(&since));
                (Greeting::Messages, query)
            }
            (None, Broadcasts::Unminded | Broadcasts::Asking) => (Greeting::Messages, query),
        };
        let config = Arc::clone(&self.config);
        let path = format!("{}?{query}", address.path);
        let bearer = token.as_ref().map(|token| format!("Bearer {token}"));
        let headers = bearer
            .as_ref()
            .map(|bearer| ("Authorization", bearer.as_str()));
        let target = Target {
            host: &address.host,
            path: &path,
            headers: headers.as_slice(),
            ..Target::default()
        };
        let tls = tls.as_ref();
        let to = Endpoint { to, tls };
        Socket::open(to, &target, registry, self.token, config, now)
    }

    fn rooms_for_query(&self) -> Option<String> {
        let is_turn = self.takes_turns && self.life % 2 == 1;
        self.rooms.query().filter(|_| is_turn)
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
        if self.greeting == Greeting::Messages {
            self.rooms.greetings().for_each(|text| socket.send(&text));
        }
        if self.broadcasts == Broadcasts::Asking {
            let ask = json!({"type": "history", "roomId": BROADCASTS, "limit": 1});
            socket.send(&ask.to_string());
        }
        for pending in &self.pending {
            socket.send(&pending.text);
        }
    }

    /// After a refusal: asks again for the rooms that it is not in.
    fn greet_again(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_denied) {
            self.greet_at.get_or_insert(now + DENIED_WAIT);
        }
        if self.greet_at.take_if(|at| *at <= now).is_some()
            && let (Some(socket), true) = (&mut self.socket, self.is_open)
        {
            self.rooms.greetings().for_each(|text| socket.send(&text));
        }
    }

    fn lose(&mut self, end: End, now: Instant) {
        // Where nobody welcomes, the server may be at another of its addresses.
        self.next_to += usize::from(!self.is_open);
        self.tried = if self.is_open { 0 } else { self.tried + 1 };
        self.socket = None;
        (self.is_open, self.is_welcome) = (false, false);
        (self.is_denied, self.greet_at) = (false, None);
        self.rooms.lost();
        let wait = self.away.take();
        self.retry_at = Some(now + wait.unwrap_or_else(|| self.backoff.next_wait()));
        self.news.push_back(News::Lost(end));
    }

    fn post(&mut self, seq: u64, text: String) {
        self.send(&text);
        self.pending.push_back(Pending { seq, text });
    }

    fn send(&mut self, text: &str) {
        if self.is_open
            && let Some(socket) = &mut self.socket
        {
            socket.send(text);
        }
    }

    fn find_pending(&self, seq: u64) -> Option<usize> {
        self.pending
            .binary_search_by_key(&seq, |pending| pending.seq)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn chat() -> Chat {
        let identity = Identity {
            user: Some("a".to_owned()),
            session: "s".to_owned(),
            token: None,
            address: Address::parse("localhost").unwrap(),
            to: vec![SocketAddr::from(([127, 0, 0, 1], 1))],
            tls: None,
        };
        let wait = Duration::from_secs(1);
        let mut chat = Chat::new(identity, Token(0), Arc::default(), wait, 1);
        for room in ["r", "q"] {
            chat.follow(room, Begin::Oldest);
        }
        chat
    }

    fn at(offset: u64) -> Position {
        Position {
            epoch: Epoch::new(1),
            offset,
        }
    }

    fn opened() -> News {
        News::Opened {
            user: String::new(),
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
    fn a_server_is_left_once_nobody_was_at_any_of_its_addresses() {
        let mut chat = chat();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let end = || End::transport(&io::Error::other("nobody is there"));
        let now = Instant::now();
        let name = || Address::parse("localhost").unwrap();
        chat.move_to(name(), vec![address(1), address(2)], None);
        let mut left = || {
            chat.lose(end(), now);
            chat.has_other_addresses()
        };
        assert_eq!([left(), left(), left()], [true, false, false]);
        chat.move_to(name(), vec![address(1), address(2)], None);
        chat.lose(end(), now);
        assert!(chat.has_other_addresses());
        chat.hear(r#"{"type":"welcome"}"#);
        chat.is_open = true;
        chat.lose(end(), now);
        assert!(!chat.has_other_addresses(), "it was there, and is gone");
    }

    #[test]
    fn it_follows_each_room_behind_what_it_saw_of_it() {
        let mut chat = chat();
        chat.hear(r#"{"type":"welcome"}"#);
        let begin = [opened(), News::Following(0, None), News::Following(1, None)];
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
    fn it_comes_back_when_the_server_said() {
        let mut chat = chat();
        let now = crate::clock::Now::read().instant;
        let end = || End {
            code: 1012,
            reason: String::new(),
        };
        for (millis, expected) in [(7_000, 7_000), (u64::MAX, 600_000)] {
            chat.hear(r#"{"type":"welcome"}"#);
            chat.hear(&format!(r#"{{"type":"reconnect","after":{millis}}}"#));
            chat.lose(end(), now);
            assert_eq!(chat.retry_at, Some(now + Duration::from_millis(expected)));
        }
        chat.lose(end(), now);
        assert!(chat.retry_at < Some(now + Duration::from_secs(2)), "once");
        let news = news(&mut chat);
        let strange = |news: &News| matches!(news, News::Nonsense(_));
        assert!(!news.iter().any(strange), "{news:?}");
    }

    #[test]
    fn who_stays_out_follows_no_room() {
        let mut chat = chat();
        chat.stay_out();
        chat.hear(r#"{"type":"welcome"}"#);
        assert_eq!(news(&mut chat), [opened()]);
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
        let refused = News::Refused {
            seq: 1,
            code: "rate_limited".to_owned(),
            message: "Slow.".to_owned(),
        };
        assert_eq!(news(&mut chat), [refused]);
        assert_eq!(chat.pending(), 1);
        chat.forget(1);
        assert_eq!(chat.pending(), 0);
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
    fn a_socket_resumes_by_its_address_in_turns_if_it_is_to() {
        let mut chat = chat();
        for name in ["r", "q"] {
            chat.hear(&format!(
                r#"{{"type":"joined","roomId":"{name}","position":"00000001-1","recovered":true}}"#
            ));
        }
        chat.life = 1;
        assert_eq!(chat.rooms_for_query(), None);
        chat.resume_in_turns();
        assert!(chat.rooms_for_query().is_some());
        chat.life = 2;
        assert_eq!(chat.rooms_for_query(), None);
    }

    #[test]
    fn who_minds_broadcasts_goes_on_behind_the_last() {
        let mut chat = chat();
        let broadcast = r#"{"type":"broadcast","offset":3,"epoch":"00000001","from":"b","content":"x","time":1}"#;
        chat.hear(broadcast);
        assert_eq!(chat.broadcasts, Broadcasts::Unminded);
        chat.mind_broadcasts();
        chat.hear(
            r#"{"type":"history","roomId":"*","messages":[],"position":"00000001-3","more":false}"#,
        );
        assert_eq!(chat.broadcasts, Broadcasts::At(at(3)));
        assert!(
            matches!(news(&mut chat)[..], [News::Personal(_)]),
            "no page of a room"
        );
        chat.hear(&broadcast.replace(":3", ":4"));
        assert_eq!(chat.broadcasts, Broadcasts::At(at(4)));
    }
}
