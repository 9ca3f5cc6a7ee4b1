//! What of a connection's messages has arrived. A WebSocket peer answers a ping only after it has read whatever came before
//! it, so that a ping behind messages is a receipt for them that every client gives without knowing.

use crate::ids::LogName;
use crate::log::Position;

/// What a ping for a receipt begins with; the number of the ping follows.
const PREFIX: &[u8; 3] = b"tw:";

/// Messages after which a receipt is asked for. What is not confirmed is sent again to who resumes a session, so that this
/// is how many it may get twice; and a ping for so many messages is cheap.
const UNCONFIRMED_MAX: u16 = 256;

/// A ping's payload.
pub(super) type Payload = [u8; 7];

/// How far a connection has come in logs.
pub(super) type Progress = Vec<(LogName, Position)>;

/// What was sent and what has arrived.
#[derive(Debug, Default)]
pub(super) struct Receipt {
    /// Messages since the last ping.
    unconfirmed: u16,
    /// One of them is to be confirmed at once.
    is_urgent: bool,
    /// What the answer to the ping that is out will confirm.
    asked: Option<Box<Progress>>,
    pings: u32,
}

impl Receipt {
    /// Messages were queued.
    pub(super) const fn sent(&mut self, messages: usize, is_urgent: bool) {
        self.unconfirmed = self.unconfirmed.saturating_add(messages as u16);
        self.is_urgent |= is_urgent;
    }

    /// Whether it is time to [`ask`](Self::ask).
    pub(super) const fn is_due(&self) -> bool {
        self.asked.is_none() && (self.is_urgent || self.unconfirmed >= UNCONFIRMED_MAX)
    }

    /// The ping to queue behind the messages; `progress` is what they come to.
    pub(super) fn ask(&mut self, progress: Progress) -> Payload {
        (self.unconfirmed, self.is_urgent) = (0, false);
        self.asked = Some(Box::new(progress));
        self.pings = self.pings.wrapping_add(1);
        payload(self.pings)
    }

    /// A pong came; returns what has arrived, if it is the answer.
    pub(super) fn confirmed(&mut self, pong: &[u8]) -> Option<Progress> {
        if payload(self.pings) == pong {
            self.asked.take().map(|progress| *progress)
        } else {
            None
        }
    }
}

fn payload(ping: u32) -> Payload {
    let mut payload = [0; 7];
    let (prefix, number) = payload.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    number.copy_from_slice(&ping.to_be_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn progress(offset: u64) -> Progress {
        let epoch = Epoch::new(1);
        vec![(LogName::broadcast(), Position { epoch, offset })]
    }

    #[test]
    fn one_ping_is_out_and_confirms_what_was_sent_before_it() {
        let mut receipt = Receipt::default();
        assert!(!receipt.is_due());
        receipt.sent(1, true);
        assert!(receipt.is_due());
        let first = receipt.ask(progress(1));
        receipt.sent(1, true);
        assert!(!receipt.is_due(), "one is out");
        assert_eq!(receipt.confirmed(b"x"), None);
        assert_eq!(receipt.confirmed(&first), Some(progress(1)));
        assert_eq!(receipt.confirmed(&first), None, "only once");
        assert!(receipt.is_due(), "for what was sent meanwhile");
        let second = receipt.ask(progress(2));
        assert_eq!(receipt.confirmed(&first), None, "an old one");
        assert_eq!(receipt.confirmed(&second), Some(progress(2)));
        assert!(!receipt.is_due());
    }

    #[test]
    fn what_is_not_urgent_is_confirmed_many_at_once() {
        let mut receipt = Receipt::default();
        (1..UNCONFIRMED_MAX).for_each(|_| receipt.sent(1, false));
        assert!(!receipt.is_due());
        receipt.sent(1, false);
        assert!(receipt.is_due());
    }
}
