//! One person in one room: what is sent when, what is shown, and that neither loses or doubles anything when connections end.
//! Pure: news and orders in, [`Show`]s and [`Ask`]s out.
//!
//! Messages go one at a time, the next when the one before has its place: so they keep their order also where the server
//! refuses one for its rate and it is sent again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::screen::Screen;
use super::show::Show;
use crate::client::{Begin, End, Entry, News, is_for_later};
use crate::log::Position;
use crate::tools::link::is_final;

/// How long a message waits that was refused for its rate, or could not be kept.
const REFUSED_WAIT: Duration = Duration::from_millis(250);

/// Orders that may wait; who types or pipes more waits, too.
const ORDERS_MAX: usize = 256;

/// The server takes messages of 64 KiB; this leaves room for what is around the text.
const TEXT_BYTES_MAX: usize = 63 << 10;

/// A message over the server's limit: it is not sent again.
const TOO_LARGE: u16 = 1009;

/// What the person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Say it in the room.
    Say(String),
    /// Say it to one user.
    To { user: String, text: String },
    /// Go to another room.
    Enter(String),
    /// Show who is here.
    Who,
    /// Show so many messages from before what was shown.
    History(u16),
}

/// What the client is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Leave the one room and follow the other; [`Conversation::entered`] is to be told its place.
    Enter {
        leave: Option<usize>,
        room: String,
        begin: Begin,
    },
    /// Send it until it is acknowledged.
    Say { room: usize, seq: u64, text: String },
    /// The same to a user.
    SayTo {
        user: String,
        seq: u64,
        text: String,
    },
    /// Send a refused message again.
    Resend(u64),
    /// Send it no more.
    Forget(u64),
    /// Who is in the room?
    Presence(usize),
    /// What was before?
    HistoryBefore {
        room: usize,
        before: Position,
        count: u16,
    },
}

/// A message that is on its way.
#[derive(Debug)]
struct Flight {
    seq: u64,
    text: String,
    /// It goes to the room, so that the room's log may show it to us.
    is_for_room: bool,
    /// It was refused, and is due again then.
    retry_at: Option<Instant>,
}

/// A person in a room.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// What the server calls us.
    me: String,
    /// How many messages are shown on entering.
    history: u16,
    room: String,
    index: Option<usize>,
    is_open: bool,
    /// In the room, on this connection.
    is_in: bool,
    /// In this room, on any connection.
    was_in: bool,
    /// In any room, ever.
    has_entered: bool,
    orders: VecDeque<Order>,
    flight: Option<Flight>,
    last_seq: u64,
    kept: u64,
    not_kept: u64,
    screen: Screen,
    /// Messages wait, or waited, for a connection.
    is_late: bool,
    /// Connections that ended before any was welcomed, and why.
    failures: usize,
    problem: Option<String>,
    /// There is no way on.
    end: Option<String>,
    shows: VecDeque<Show>,
    asks: VecDeque<Ask>,
}

impl Conversation {
    /// Somebody who goes into `room` and sees its newest messages there, at most `history`.
    pub(super) fn new(room: &str, history: u16) -> Self {
        let mut conversation = Self {
            history,
            ..Self::default()
        };
        conversation.enter(room.to_owned());
        conversation
    }

    /// Takes an order; refuses a message that is too long for any server.
    pub(super) fn order(&mut self, order: Order, now: Instant) {
        if let Order::Say(text) | Order::To { text, .. } = &order
            && json_bytes(text) > TEXT_BYTES_MAX
        {
            let text = text.clone();
            return self.give_up(text, "it is longer than the 63 KiB that a message may have");
        }
        let is_message = is_message(&order);
        self.orders.push_back(order);
        self.go_on(now);
        if is_message && !self.is_open && self.has_entered && !self.is_late {
            self.is_late = true;
            self.show(Show::Waits);
        }
    }

    /// Whether it takes further orders.
    pub(super) fn has_room(&self) -> bool {
        self.orders.len() < ORDERS_MAX
    }

    /// Where the client follows the room that it was asked to enter.
    pub(super) fn entered(&mut self, index: usize) {
        self.index = Some(index);
    }

    /// What is to be done next.
    pub(super) fn poll_ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// What is to be shown next.
    pub(super) fn poll_show(&mut self) -> Option<Show> {
        self.shows.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.flight.as_ref()?.retry_at
    }

    /// Sends again what was refused, if it is time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let Some(flight) = &mut self.flight else {
            return;
        };
        if flight.retry_at.take_if(|at| *at <= now).is_some() {
            self.asks.push_back(Ask::Resend(flight.seq));
        }
    }

    /// Whether everything that was ordered is done, in a room.
    pub(super) fn is_done(&self) -> bool {
        self.was_in && self.orders.is_empty() && self.flight.is_none()
    }

    /// Whether it has come into a room, if only once.
    pub(super) fn has_entered(&self) -> bool {
        self.has_entered
    }

    /// The room that it is in, or goes to.
    pub(super) fn room(&self) -> &str {
        &self.room
    }

    /// Messages that have no place yet.
    pub(super) fn waiting(&self) -> usize {
        let waiting = self.orders.iter().filter(|order| is_message(order));
        let waiting = waiting.count();
        waiting + usize::from(self.flight.is_some())
    }

    /// Messages that have their place.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Messages that will never have one.
    pub(super) fn not_kept(&self) -> u64 {
        self.not_kept
    }

    /// Connections that ended before any was welcomed.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    /// Why the last connection ended, if there is no other yet.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Why there is no way on, if there is none.
    pub(super) fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// Takes what the client tells.
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        let index = self.index;
        let here = |room: usize| Some(room) == index;
        match news {
            News::Opened { user } => self.opened(user),
            News::Lost(end) => self.lost(&end),
            News::Joined {
                room,
                position,
                members,
            } if here(room) => self.joined(position, members),
            News::Entry(room, entry) if here(room) => {
                let shown = self.screen.entry(entry, &self.me);
                self.shows.extend(shown.map(Show::Entry));
            }
            News::Personal(entry) => {
                let shown = self.screen.personal(entry);
                self.shows.extend(shown.map(Show::Entry));
            }
            News::History { room, entries, .. } if here(room) => self.page(entries),
            News::Came(room, user) if here(room) => self.show(Show::Came(user)),
            News::Left(room, user) if here(room) => self.show(Show::Left(user)),
            News::Presence(room, members) if here(room) => self.show(Show::Here(members)),
            News::Gap { room, reason, .. } if here(room) => {
                let log = self.room.clone();
                self.show(Show::Gap { log, reason });
            }
            News::PersonalGap { log, reason } => self.show(Show::Gap { log, reason }),
            News::Ack {
                seq,
                room,
                position,
                ..
            } => self.acknowledged(seq, &room, position),
            News::Refused { seq, code, message } => self.refused(seq, &code, &message, now),
            News::Denied { code, message } => self.denied(&code, message),
            News::Nonsense(what) => {
                let note = format!("the server said something that is not understood: {what}");
                self.show(Show::Note(note));
            }
            // Of a room that was left, or nothing to see.
            News::Joined { .. }
            | News::Entry(..)
            | News::History { .. }
            | News::Came(..)
            | News::Left(..)
            | News::Presence(..)
            | News::Gap { .. }
            | News::Following(..) => {}
        }
        self.go_on(now);
    }

    // ---- connections ----

    fn opened(&mut self, user: String) {
        if !self.me.is_empty() {
            self.show(Show::Back);
        }
        self.me = user;
        self.is_open = true;
    }

    fn lost(&mut self, end: &End) {
        self.failures += usize::from(self.me.is_empty());
        self.problem = Some(end.reason.clone());
        let was_open = std::mem::replace(&mut self.is_open, false);
        self.is_in = false;
        if is_final(end) {
            self.end = Some(end.reason.clone());
        }
        if end.code == TOO_LARGE && self.flight.is_some() {
            self.drop_flight("the server takes no message that long");
        }
        if let Some(flight) = &mut self.flight {
            // The client sends it again by itself.
            flight.retry_at = None;
            if flight.is_for_room {
                self.screen.unsettle();
            }
        }
        if was_open {
            let (reason, waiting) = (end.reason.clone(), self.waiting());
            self.is_late |= waiting > 0;
            self.show(Show::Lost { reason, waiting });
        }
    }

    fn joined(&mut self, position: Position, members: Vec<String>) {
        self.is_in = true;
        self.has_entered = true;
        self.problem = None;
        self.screen.joined(position);
        if !std::mem::replace(&mut self.was_in, true) {
            let room = self.room.clone();
            self.show(Show::Entered { room, members });
        }
    }

    fn denied(&mut self, code: &str, message: String) {
        // On the way into a room, the client asks again by itself.
        if is_for_later(code) && !self.is_in {
            return;
        }
        if !self.has_entered {
            self.end = Some(message);
            return;
        }
        self.show(Show::Note(message));
    }

    // ---- what is sent ----

    /// Does what is ordered, as far as it can be done now.
    fn go_on(&mut self, now: Instant) {
        self.handle_timeout(now);
        while self.flight.is_none() {
            let (Some(order), Some(room)) = (self.orders.front(), self.index) else {
                return;
            };
            let is_ready = match order {
                Order::Enter(_) => true,
                Order::To { .. } => self.is_open,
                Order::Say(_) | Order::Who | Order::History(_) => self.is_in,
            };
            if !is_ready {
                return;
            }
            match self.orders.pop_front() {
                Some(Order::Say(text)) => {
                    let seq = self.fly(&text, true);
                    self.asks.push_back(Ask::Say { room, seq, text });
                }
                Some(Order::To { user, text }) => {
                    let seq = self.fly(&text, false);
                    self.asks.push_back(Ask::SayTo { user, seq, text });
                }
                Some(Order::Enter(name)) => return self.enter(name),
                Some(Order::Who) => self.asks.push_back(Ask::Presence(room)),
                Some(Order::History(count)) => self.history_before(room, count),
                None => return,
            }
        }
    }

    fn fly(&mut self, text: &str, is_for_room: bool) -> u64 {
        self.last_seq += 1;
        self.flight = Some(Flight {
            seq: self.last_seq,
            text: text.to_owned(),
            is_for_room,
            retry_at: None,
        });
        self.last_seq
    }

    fn enter(&mut self, room: String) {
        let leave = self.index.take();
        let begin = match self.history {
            0 => Begin::Now,
            count => Begin::Newest(count),
        };
        (self.is_in, self.was_in) = (false, false);
        self.screen.clear_room();
        self.room.clone_from(&room);
        self.asks.push_back(Ask::Enter { leave, room, begin });
    }

    fn history_before(&mut self, room: usize, count: u16) {
        match self.screen.oldest() {
            Some(before) => self.asks.push_back(Ask::HistoryBefore {
                room,
                before,
                count,
            }),
            None => self.show(Show::Note("there is nothing before".to_owned())),
        }
    }

    fn acknowledged(&mut self, seq: u64, log: &str, position: Position) {
        if self.flight.take_if(|flight| flight.seq == seq).is_none() {
            return;
        }
        self.kept += 1;
        if log == self.room {
            self.screen.own(position);
        }
        self.settle();
        if self.waiting() == 0 && std::mem::take(&mut self.is_late) {
            self.show(Show::AllKept);
        }
    }

    fn refused(&mut self, seq: u64, code: &str, message: &str, now: Instant) {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.seq == seq) else {
            return;
        };
        if is_for_later(code) {
            flight.retry_at = Some(now + REFUSED_WAIT);
            // For the rate it is soon, and nobody need know.
            if code != "rate_limited" && !std::mem::replace(&mut self.is_late, true) {
                self.show(Show::Delayed);
            }
            return;
        }
        self.drop_flight(message.trim_end_matches('.'));
        self.settle();
    }

    fn drop_flight(&mut self, why: &str) {
        if let Some(flight) = self.flight.take() {
            self.asks.push_back(Ask::Forget(flight.seq));
            self.give_up(flight.text, why);
            // What had waited is not all kept, and the rest was told.
            self.is_late &= self.waiting() > 0;
        }
    }

    fn give_up(&mut self, text: String, why: &str) {
        self.not_kept += 1;
        let why = why.to_owned();
        self.show(Show::NotKept { text, why });
    }

    // ---- what is shown ----

    /// The message that was on its way when the connection ended has its place, or has none.
    fn settle(&mut self) {
        let shown = self.screen.settle(&self.me);
        self.shows.extend(shown.into_iter().map(Show::Entry));
    }

    /// The messages on entering, or those before what was shown.
    fn page(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() && self.was_in {
            return self.show(Show::Note("there is nothing before".to_owned()));
        }
        self.screen.page(&entries, !self.was_in);
        self.shows.extend(entries.into_iter().map(Show::Entry));
    }

    fn show(&mut self, show: Show) {
        self.shows.push_back(show);
    }
}

const fn is_message(order: &Order) -> bool {
    matches!(order, Order::Say(_) | Order::To { .. })
}

/// How many bytes a text has in JSON.
fn json_bytes(text: &str) -> usize {
    // A string has no way to fail.
    serde_json::to_string(text).map_or(usize::MAX, |json| json.len())
}
