//! A call on its way: its body, its answer, and what comes behind the answer's head.

use std::mem;
use std::time::Duration;

use super::{Http, OUT_BYTES_HIGH, Phase, Turn};
use crate::transport::response::Response;

impl Http {
    /// Whether the last call is not answered, or not to its end. When it is not any more, nobody waits for its answer.
    pub(crate) const fn is_calling(&self) -> bool {
        matches!(
            self.phase,
            Phase::Receiving(_) | Phase::Waiting | Phase::Sending { .. } | Phase::Streaming { .. }
        )
    }

    /// How many requests were refused for their token since the last call.
    pub(crate) const fn take_unauthorized(&mut self) -> u32 {
        mem::replace(&mut self.unauthorized, 0)
    }

    /// So many bytes of the body are dealt with, and as many more may come.
    pub(crate) fn body_taken(&mut self, bytes: usize) {
        if let Phase::Receiving(receiving) = &mut self.phase {
            receiving.taken(bytes);
        }
    }

    /// Answers the call; too late an answer is nothing to anybody. An answer to a body that has not all come is the last
    /// one of the connection.
    pub(crate) fn respond(&mut self, response: &Response, turn: Turn<'_>) {
        if matches!(self.phase, Phase::Receiving(_) | Phase::Waiting) {
            // Whatever was put aside is looked at when this has left.
            let _ = self.deliver(response, turn);
        }
    }

    /// Whether more of the body of the response is wanted.
    pub(crate) const fn wants_body(&self) -> bool {
        matches!(self.phase, Phase::Sending { .. }) && self.unsent_bytes() <= OUT_BYTES_HIGH
    }

    /// Sends the next bytes of the body of the response, which are no more than it has left.
    pub(crate) fn send_body(&mut self, bytes: Vec<u8>, turn: Turn<'_>) {
        let Phase::Sending { left, goes_on } = &mut self.phase else {
            return;
        };
        *left = left.saturating_sub(bytes.len() as u64);
        let (is_last, goes_on) = (*left == 0, *goes_on);
        if self.sent == self.out.len() {
            (self.out, self.sent) = (bytes, 0);
        } else {
            self.out.extend_from_slice(&bytes);
        }
        if is_last {
            self.after_response(goes_on, turn);
        }
    }

    /// A call may take so much longer than others.
    pub(crate) fn wait_longer(&mut self, time: Duration) {
        if matches!(self.phase, Phase::Waiting) {
            self.deadline += time;
        }
    }

    /// Whether an endless response is being sent.
    pub(crate) const fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Streaming { .. })
    }

    /// Sends more of an endless response.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.is_streaming() {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Ends an endless response.
    pub(crate) fn end_stream(&mut self, turn: Turn<'_>) {
        if self.is_streaming() {
            self.close(turn.config, turn.now);
        }
    }
}
