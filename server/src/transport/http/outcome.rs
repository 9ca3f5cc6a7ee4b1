//! What came of a connection that spoke HTTP, for whoever wants to know why it ended.

use super::Http;

/// What is known so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    /// The status of the last answer; 0 before the first.
    pub(crate) status: u16,
    /// The last answer was an event stream.
    pub(crate) is_stream: bool,
    /// The last request was no HTTP, or asked for a WebSocket and did not get it.
    pub(crate) is_refused: bool,
    /// A request did not come in time.
    pub(crate) is_late: bool,
    /// It was one too many.
    pub(crate) is_overloaded: bool,
}

impl Outcome {
    /// Notes an answer.
    pub(super) const fn answered(&mut self, status: u16, asked_to_upgrade: bool, is_stream: bool) {
        self.status = status;
        self.is_stream = is_stream;
        self.is_refused |= asked_to_upgrade && status >= 400;
    }
}

impl Http {
    /// What came of it so far.
    pub(crate) const fn outcome(&self) -> Outcome {
        Outcome {
            is_overloaded: self.overloaded,
            ..self.outcome
        }
    }
}
