//! One cell of the matrix: a room, what is said in it, and who comes back to it.

use std::net::SocketAddr;
use std::thread;

use serde_json::json;
use tidewire_tests::wire::Wire;
use tidewire_tests::{Chatter, Client, shared_log};

use super::reader::{Heard, Position, Reader, Transport};

/// What a room keeps.
pub(crate) const WINDOW: u64 = 64;

/// What is missed: none, one, and around the window, and far beyond it.
const MISSED: [u64; 6] = [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 5 * WINDOW];

/// What is said before the connection is lost.
const SEEN: u64 = 3;

/// A transport, and a number of missed messages.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) transport: Transport,
    pub(crate) missed: u64,
    /// Bytes that a message is longer than its number.
    pub(crate) filling: usize,
    /// What the reader has.
    pub(crate) seen: u64,
    /// What was said.
    pub(crate) head: u64,
    pub(crate) room: String,
    epoch: String,
    address: SocketAddr,
}

impl Cell {
    /// Each transport with each number of missed messages.
    pub(crate) fn all(address: SocketAddr) -> Vec<Self> {
        let numbers = |transport| MISSED.map(|missed| Self::new(address, transport, missed));
        Transport::ALL.into_iter().flat_map(numbers).collect()
    }

    fn new(address: SocketAddr, transport: Transport, missed: u64) -> Self {
        Self {
            transport,
            missed,
            filling: 0,
            seen: 0,
            head: 0,
            epoch: String::new(),
            room: format!("{transport:?}-{missed}"),
            address,
        }
    }

    /// Somebody who has seen some messages.
    pub(crate) fn reader(&mut self) -> Box<dyn Reader> {
        self.reader_over(Wire::open(self.address))
    }

    /// The same, who takes little at a time.
    pub(crate) fn narrow_reader(&mut self) -> Box<dyn Reader> {
        self.reader_over(Wire::open_narrow(self.address))
    }

    fn reader_over(&mut self, wire: Wire) -> Box<dyn Reader> {
        let mut reader = self.transport.open(wire, &self.room, None);
        self.begins(reader.as_mut());
        reader
    }

    /// A reader that has just connected sees some messages.
    pub(crate) fn begins(&mut self, reader: &mut dyn Reader) {
        let heard = reader.hear();
        let Heard::Head { at, .. } = heard else {
            panic!("{}: {heard:?} before the head", self.room);
        };
        self.epoch = at.epoch;
        self.says(SEEN);
        for _ in 0..SEEN {
            self.hears_the_next(reader);
        }
    }

    /// Somebody says something, so often, and all of it is acknowledged.
    pub(crate) fn says(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        let mut writer = Chatter::over(Client::open(self.address, "/ws?userId=writer"));
        writer.join(&self.room);
        let filling = "x".repeat(self.filling);
        let numbers = self.head + 1..=self.head + count;
        for number in numbers.clone() {
            let content = format!("{number}:{filling}");
            writer.send(
                &json!({"type": "room_msg", "roomId": self.room, "content": content, "seq": number}),
            );
        }
        for number in numbers {
            let ack = writer.hear_of("ack");
            let expected = (&json!(number), &json!(self.epoch));
            assert_eq!((&ack["offset"], &ack["epoch"]), expected, "{ack}");
        }
        self.head += count;
    }

    /// What the reader is to miss is said, or the rest of it.
    pub(crate) fn says_missed(&mut self) {
        self.says((self.seen + self.missed).saturating_sub(self.head));
    }

    /// Connects, and asks for what was missed.
    pub(crate) fn comes_back(&self) -> Box<dyn Reader> {
        self.comes_back_over(Wire::open(self.address))
    }

    /// The same, and takes little at a time.
    pub(crate) fn comes_back_narrow(&self) -> Box<dyn Reader> {
        self.comes_back_over(Wire::open_narrow(self.address))
    }

    fn comes_back_over(&self, wire: Wire) -> Box<dyn Reader> {
        let since = self.at(self.seen);
        self.transport.open(wire, &self.room, Some(&since))
    }

    /// Comes back, and is shown exactly what it has to be.
    pub(crate) fn resumes(&mut self) {
        let mut reader = self.comes_back();
        let oldest = (self.head + 1).saturating_sub(WINDOW).max(1);
        let mut is_whole = self.seen + 1 >= oldest;
        if !is_whole {
            let heard = reader.hear();
            is_whole = shared_log::is_wanted() && !matches!(heard, Heard::Gap { .. });
            if is_whole {
                self.sees_the_next(&heard);
            } else {
                self.sees_the_gap(&heard, oldest - 1);
            }
        }
        while self.seen < self.head {
            self.hears_the_next(reader.as_mut());
        }
        self.hears_the_head(reader.as_mut(), is_whole);
        // The second one shows that nothing came behind the first.
        for _ in 0..2 {
            self.says(1);
            self.hears_the_next(reader.as_mut());
        }
    }

    /// All up to there is missing. Redis keeps some more than it is told, to have them for who comes back.
    fn sees_the_gap(&mut self, heard: &Heard, last: u64) {
        let mut missing = last;
        if let Heard::Gap { to, .. } = heard
            && shared_log::is_wanted()
        {
            missing = to.offset.clamp(self.seen + 1, last);
        }
        let gap = Heard::Gap {
            from: self.at(self.seen),
            to: self.at(missing),
            reason: "expired".to_owned(),
        };
        assert_eq!(*heard, gap, "{}", self.room);
        self.seen = missing;
    }

    /// The reader is told that it has all there is.
    pub(crate) fn hears_the_head(&self, reader: &mut dyn Reader, is_whole: bool) {
        let heard = reader.hear();
        let Heard::Head { at, recovered } = heard else {
            panic!("{}: {heard:?} at the head", self.room);
        };
        assert_eq!(at, self.at(self.head), "{}", self.room);
        assert_eq!(recovered.unwrap_or(is_whole), is_whole, "{}", self.room);
    }

    /// The reader hears the entry behind what it has.
    fn hears_the_next(&mut self, reader: &mut dyn Reader) {
        let heard = reader.hear();
        self.sees_the_next(&heard);
    }

    /// This is the entry behind what the reader has, with the content of its place.
    pub(crate) fn sees_the_next(&mut self, heard: &Heard) {
        self.seen += 1;
        let Heard::Entry { at, content } = heard else {
            panic!("{}: {heard:?} instead of {}", self.room, self.seen);
        };
        assert_eq!(*at, self.at(self.seen), "{}", self.room);
        let (number, _) = content.split_once(':').expect("what was said");
        assert_eq!(number, self.seen.to_string(), "{}", self.room);
    }

    pub(crate) fn at(&self, offset: u64) -> Position {
        let epoch = self.epoch.clone();
        Position { epoch, offset }
    }
}

/// Does the same for all at once, each in a thread of its own.
pub(crate) fn each<T: Send, R: Send>(all: Vec<T>, act: impl Fn(T) -> R + Sync) -> Vec<R> {
    let act = &act;
    thread::scope(|scope| {
        let threads: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || act(one)))
            .collect();
        let done = threads.into_iter().map(thread::ScopedJoinHandle::join);
        done.map(|result| result.expect("this cell is right"))
            .collect()
    })
}
