//! Who sends what and when: publishers with a window, a rate for all of them, and connections that are cut at random.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::options::Options;
use crate::client::Cut;

/// How long a publisher waits after a refusal.
const REFUSED_WAIT: Duration = Duration::from_millis(200);

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Load {
    random: StdRng,
    begin: Instant,
    end: End,
    rate: Option<u32>,
    sent: u64,
    reconnect_every: Option<Duration>,
    /// When each connection is cut next.
    cuts: Vec<Instant>,
}

#[derive(Debug)]
enum End {
    Messages(u64),
    At(Instant),
    /// Once this is set.
    Said(Arc<AtomicBool>),
}

impl Load {
    pub(super) fn new(options: &Options, seed: u64, clients: usize, now: Instant) -> Self {
        let mut load = Self {
            random: StdRng::seed_from_u64(seed),
            begin: now,
            end: match options.duration {
                _ if options.until_eof => End::Said(end_of_input()),
                Some(time) => End::At(now + time),
                None => End::Messages(u64::from(options.messages)),
            },
            rate: options.rate,
            sent: 0,
            reconnect_every: options.reconnect_every,
            cuts: Vec::new(),
        };
        load.cuts = (0..clients).map(|_| load.next_cut(now)).collect();
        load
    }

    /// Whether another message is due; then which of so many rooms it goes to.
    pub(super) fn next_room(&mut self, now: Instant, rooms: usize) -> Option<usize> {
        let allowed = self.rate.map_or(u64::MAX, |rate| {
            let passed = now.duration_since(self.begin).as_secs_f64();
            (passed * f64::from(rate)) as u64 + 1
        });
        if self.is_over(now) || self.sent >= allowed {
            return None;
        }
        self.sent += 1;
        Some(self.random.random_range(0..rooms))
    }

    /// Whether all was sent.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match &self.end {
            End::Messages(count) => self.sent >= *count,
            End::At(end) => now >= *end,
            End::Said(said) => said.load(Ordering::Relaxed),
        }
    }

    /// Whether this connection is to be cut now, and how.
    pub(super) fn cut(&mut self, client: usize, now: Instant) -> Option<Cut> {
        self.reconnect_every?;
        let at = self.cuts.get(client).filter(|at| **at <= now).copied();
        at?;
        self.cuts[client] = self.next_cut(now);
        Some(match self.random.random_range(0..3) {
            0 => Cut::Close,
            1 => Cut::Finish,
            _ => Cut::Reset,
        })
    }

    fn next_cut(&mut self, now: Instant) -> Instant {
        let every = self.reconnect_every.unwrap_or_default();
        now + every.mul_f64(self.random.random_range(0.5..1.5))
    }
}

/// What is set when standard input ends.
fn end_of_input() -> Arc<AtomicBool> {
    let said = Arc::new(AtomicBool::new(false));
    let to_say = Arc::clone(&said);
    thread::spawn(move || {
        // What it says does not matter, and what cannot be read has ended, too.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        to_say.store(true, Ordering::Relaxed);
    });
    said
}

/// One publisher's messages on their way.
#[derive(Debug)]
pub(super) struct Publisher {
    /// The number of its last message.
    pub(super) last: u32,
    window_max: usize,
    /// Smaller after a refusal, and growing with every ack: a server may limit what a connection sends.
    window: usize,
    sent_at: VecDeque<(u64, Instant)>,
    refused: Vec<u64>,
    wait_until: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(window: u16) -> Self {
        Self {
            last: 0,
            window_max: usize::from(window),
            window: usize::from(window),
            sent_at: VecDeque::new(),
            refused: Vec::new(),
            wait_until: None,
        }
    }

    /// Whether it may send another message, with so many not acknowledged.
    pub(super) fn has_room(&self, pending: usize) -> bool {
        pending < self.window && self.wait_until.is_none()
    }

    /// It sends its next message: returns the number.
    pub(super) fn send(&mut self, now: Instant) -> u32 {
        self.last += 1;
        self.sent_at.push_back((u64::from(self.last), now));
        self.last
    }

    /// A message was acknowledged: how long that took; `None` if it was before.
    pub(super) fn acknowledged(&mut self, number: u64, now: Instant) -> Option<Duration> {
        self.window = self.window_max.min(self.window + 1);
        let index = self
            .sent_at
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        let (_, at) = self.sent_at.remove(index)?;
        Some(now.duration_since(at))
    }

    pub(super) fn refused(&mut self, number: u64, now: Instant) {
        self.window = (self.window / 2).max(1);
        self.refused.push(number);
        self.wait_until = Some(now + REFUSED_WAIT);
    }

    /// On another connection everything is sent again anyway.
    pub(super) fn opened(&mut self) {
        self.refused.clear();
        self.wait_until = None;
    }

    /// What was refused and is due again.
    pub(super) fn take_refused(&mut self, now: Instant) -> Vec<u64> {
        if self.wait_until.is_none_or(|until| now < until) {
            return Vec::new();
        }
        self.wait_until = None;
        let mut refused = std::mem::take(&mut self.refused);
        refused.sort_unstable();
        refused.dedup();
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &str) -> Options {
        let words = format!("verify ws://a {words}");
        Words::try_parse_from(words.split_whitespace())
            .unwrap()
            .options
    }

    #[test]
    fn a_rate_holds_messages_back_until_their_time() {
        let begin = Instant::now();
        let mut load = Load::new(&options("--rate 10 --messages 12"), 1, 0, begin);
        let mut sent_by = |ms| {
            let now = begin + Duration::from_millis(ms);
            while load.next_room(now, 4).is_some() {}
            load.sent
        };
        assert_eq!([sent_by(0), sent_by(500), sent_by(5000)], [1, 6, 12]);
        assert!(load.is_over(begin));
    }

    #[test]
    fn a_time_ends_the_load_whatever_was_sent() {
        let begin = Instant::now();
        let load = Load::new(&options("--for 2s"), 1, 0, begin);
        assert!(!load.is_over(begin + Duration::from_millis(1999)));
        assert!(load.is_over(begin + Duration::from_secs(2)));
    }

    #[test]
    fn connections_are_cut_about_as_often_as_said_and_the_same_for_the_same_seed() {
        let begin = Instant::now();
        let cuts = |seed| {
            let mut load = Load::new(&options("--reconnect-every 1s"), seed, 1, begin);
            let at = |turn: u64| begin + Duration::from_millis(turn * 10);
            (0..1000)
                .map(|turn| load.cut(0, at(turn)))
                .collect::<Vec<_>>()
        };
        let count = cuts(1).into_iter().flatten().count();
        assert!((7..=20).contains(&count), "{count}");
        assert_eq!(cuts(1), cuts(1));
        assert_ne!(cuts(1), cuts(2));
    }

    #[test]
    fn a_refusal_halves_the_window_and_the_message_is_due_again_after_a_while() {
        let now = Instant::now();
        let mut publisher = Publisher::new(8);
        assert_eq!((publisher.send(now), publisher.send(now)), (1, 2));
        publisher.refused(2, now);
        publisher.refused(1, now);
        assert!(!publisher.has_room(0));
        assert_eq!(publisher.take_refused(now), [0; 0]);
        assert_eq!(publisher.take_refused(now + REFUSED_WAIT), [1, 2]);
        assert!(publisher.has_room(1) && !publisher.has_room(2));
        let later = now + Duration::from_secs(1);
        assert_eq!(publisher.acknowledged(1, later), Some(later - now));
        assert_eq!(publisher.acknowledged(1, later), None, "it was before");
    }
}
