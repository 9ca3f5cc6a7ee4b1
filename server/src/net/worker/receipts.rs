//! Receipts: what of the messages that a WebSocket was sent has arrived, as its pongs say.

use super::Worker;
use crate::ids::ConnId;
use crate::log::Request;

impl Worker {
    pub(super) fn ask_for_receipt(&mut self, id: ConnId) {
        if !self
            .web_socket(id)
            .is_some_and(|web_socket| web_socket.receipt.is_due())
        {
            return;
        }
        let feeds = &self.feeds;
        let progress = self
            .logs_of(id)
            .into_iter()
            .filter_map(|log| feeds.position_of(id, &log).map(|position| (log, position)))
            .collect();
        if let Some(web_socket) = self.web_socket(id) {
            let ping = web_socket.receipt.ask(progress);
            // Refused while closing: then it is sent again the next time.
            let _ = web_socket.connection.ping(&ping);
        }
    }

    /// The answer to a ping: what was sent before it has arrived.
    pub(super) fn handle_pong(&mut self, id: ConnId, payload: &[u8]) {
        let Some(progress) = self
            .web_socket(id)
            .and_then(|web_socket| web_socket.receipt.confirmed(payload))
        else {
            return;
        };
        for (log, position) in &progress {
            if log.as_str().starts_with('@') {
                self.logs.send(Request::Mark(log.clone(), *position));
            }
        }
        self.note_arrived(id, progress);
        self.ask_for_receipt(id);
    }
}
