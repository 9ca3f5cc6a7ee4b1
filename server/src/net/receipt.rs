//! What of a user's private messages has arrived. WebSocket answers a ping behind whatever came before it, so that a ping
//! after a message is a receipt for it that every client gives without knowing.

use crate::ids::LogName;
use crate::log::Position;

/// What a ping for a receipt begins with; the number of the ping follows.
const PREFIX: &[u8; 3] = b"tw:";

/// A ping's payload.
pub(super) type Payload = [u8; 11];

/// What was sent and what has arrived.
#[derive(Debug, Default)]
pub(super) struct Receipt(Option<Box<Pending>>);

#[derive(Debug)]
struct Pending {
    log: LogName,
    /// The newest message that was sent.
    sent: Position,
    /// What the answer to the ping that is out will confirm.
    asked: Position,
    ping: u64,
}

impl Receipt {
    /// A message was queued; returns the ping to queue behind it, if none is out.
    pub(super) fn sent(&mut self, log: LogName, position: Position) -> Option<Payload> {
        match &mut self.0 {
            Some(pending) if pending.log == log => {
                pending.sent = position;
                None
            }
            pending => {
                let ping = pending.as_ref().map_or(1, |pending| pending.ping + 1);
                *pending = Some(Box::new(Pending {
                    log,
                    sent: position,
                    asked: position,
                    ping,
                }));
                Some(payload(ping))
            }
        }
    }

    /// A pong came; returns up to where messages have arrived, and the ping for those that were sent meanwhile.
    pub(super) fn confirmed(
        &mut self,
        pong: &[u8],
    ) -> Option<(LogName, Position, Option<Payload>)> {
        let pending = self
            .0
            .as_mut()
            .filter(|pending| payload(pending.ping) == pong)?;
        let (log, arrived) = (pending.log.clone(), pending.asked);
        if pending.sent == arrived {
            self.0 = None;
            return Some((log, arrived, None));
        }
        pending.asked = pending.sent;
        pending.ping += 1;
        Some((log, arrived, Some(payload(pending.ping))))
    }
}

fn payload(ping: u64) -> Payload {
    let mut payload = [0; 11];
    let (prefix, number) = payload.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    number.copy_from_slice(&ping.to_be_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserName;
    use crate::log::Epoch;

    fn at(offset: u64) -> Position {
        let epoch = Epoch::new(1);
        Position { epoch, offset }
    }

    #[test]
    fn one_ping_is_out_and_confirms_what_was_sent_before_it() {
        let log = UserName::new("a").unwrap().log();
        let mut receipt = Receipt::default();
        assert_eq!(receipt.confirmed(b"x"), None);
        let first = receipt.sent(log.clone(), at(1)).unwrap();
        assert_eq!(receipt.sent(log.clone(), at(2)), None);
        assert_eq!(receipt.sent(log.clone(), at(3)), None);
        let (_, arrived, second) = receipt.confirmed(&first).unwrap();
        assert_eq!(arrived, at(1));
        // An old pong again confirms nothing.
        assert_eq!(receipt.confirmed(&first), None);
        assert_eq!(
            receipt.confirmed(&second.unwrap()),
            Some((log, at(3), None))
        );
        assert_eq!(receipt.confirmed(&second.unwrap()), None);
    }
}
