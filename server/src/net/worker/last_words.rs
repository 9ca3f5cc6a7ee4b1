//! What sessions that are polled would have said when they were closed, and nobody polled just then: a client whose request was answered
//! by an end, since its token is none, asks right after that, and would hear only that there is no such session.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::transport::dialect::Sid;

/// How long they are kept.
const TIME: Duration = Duration::from_secs(10);

/// How many, and how long one is.
const COUNT_MAX: usize = 256;
const BYTES_MAX: usize = 4096;

/// Last words, the oldest first; each is told once.
#[derive(Debug, Default)]
pub(super) struct LastWords(VecDeque<(Instant, Sid, String)>);

impl LastWords {
    /// Keeps what this session would have said.
    pub(super) fn keep(&mut self, sid: Sid, payload: String, now: Instant) {
        while self.0.front().is_some_and(|(until, ..)| *until <= now) || self.0.len() >= COUNT_MAX {
            self.0.pop_front();
        }
        if payload.len() <= BYTES_MAX {
            self.0.push_back((now + TIME, sid, payload));
        }
    }

    /// What it would have said, if that is known and not told.
    pub(super) fn take(&mut self, sid: Sid, now: Instant) -> Option<String> {
        let is_it = |(until, of, _): &(Instant, Sid, String)| *of == sid && *until > now;
        let place = self.0.iter().position(is_it)?;
        let (_, _, payload) = self.0.remove(place)?;
        Some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnId;

    #[test]
    fn each_is_told_once_in_time() {
        let generation = 1;
        let sid = |index| Sid::new(ConnId { index, generation }, 7);
        let now = Instant::now();
        let mut words = LastWords::default();
        words.keep(sid(1), "a".to_owned(), now);
        words.keep(sid(2), "b".to_owned(), now);
        assert_eq!(words.take(sid(1), now).as_deref(), Some("a"));
        assert_eq!(words.take(sid(1), now), None);
        assert_eq!(words.take(sid(2), now + TIME), None, "it is too late");
        words.keep(sid(3), "x".repeat(BYTES_MAX + 1), now);
        assert_eq!(words.take(sid(3), now), None, "it is too long");
        for place in 0..COUNT_MAX as u32 + 10 {
            words.keep(sid(place), "c".to_owned(), now);
        }
        assert_eq!(words.0.len(), COUNT_MAX);
        words.keep(sid(9), "d".to_owned(), now + TIME);
        assert_eq!(words.0.len(), 1);
    }
}
