//! The nodes' log, at home: what the hub tells the other nodes is appended to it, and what is in it the hub hears, as the canary is
//! heard. A note a turn is on its way at most.

use super::Worker;
use super::chat::Chat;
use super::delivery::Context;
use crate::chat::{Follow, Hub};
use crate::ids::{LogName, UserName};
use crate::log::{AppendError, Draft, Entry, Placed, Request};

impl Worker {
    /// The hub, if it is here and has other nodes to talk to.
    fn hub_in_cluster(&mut self) -> Option<&mut Hub> {
        match &mut self.chat {
            Chat::Here(hub) if hub.is_in_cluster() => Some(hub),
            Chat::Here(_) | Chat::There(_) => None,
        }
    }

    /// Follows the nodes' log, before anything is told there.
    pub(super) fn follow_nodes(&mut self) {
        if self.hub_in_cluster().is_some() {
            let follower = self.observer.follower();
            let follow = Follow::new(follower, LogName::cluster(), None);
            self.follow_unseen(Box::new(follow));
        }
    }

    /// Everything that comes from here on will be heard; what was before, where there was something, was not.
    pub(super) fn nodes_followed(&mut self, log: &LogName) {
        let now = self.now;
        if *log == LogName::cluster()
            && let Some(hub) = self.hub_in_cluster()
        {
            hub.begin_to_hear_nodes(now);
        }
    }

    /// There is a note: another node's, or this one's.
    pub(super) fn hear_node(&mut self, entry: &Entry) {
        let now = self.now;
        let Some(hub) = self.hub_in_cluster() else {
            return;
        };
        hub.hear_node(entry.draft.content.get(), now);
        let remarks = hub.take_remarks();
        for node in remarks.dropped {
            tracing::warn!(
                event = "node_lost",
                node = node.as_str(),
                "another node is silent: whom it had is gone"
            );
        }
        if remarks.has_namesake {
            self.tell_namesake();
        }
        for (node, number, question) in remarks.asked {
            self.inquire_for_node(node, number, question);
        }
        for (node, number, is_all, items) in remarks.found {
            self.note_found_elsewhere(&node, number, is_all, items);
        }
        self.run_effects();
    }

    fn tell_namesake(&mut self) {
        let now = self.now;
        if let Some(suppressed) = self.observer.namesakes.take(now) {
            tracing::error!(
                event = "node_name_taken",
                suppressed,
                "another server has the name of this node: give each its own with --node"
            );
        }
    }

    /// The end of a turn: tells the other nodes what has changed, unless the log has yet to answer the last note.
    pub(super) fn tell_nodes(&mut self) {
        let now = self.now;
        let Some(hub) = self.hub_in_cluster() else {
            return;
        };
        let (Some(note), Some(session)) = (hub.next_note(now), hub.cluster_session()) else {
            return;
        };
        self.worked = true;
        let draft = Draft {
            log: LogName::cluster(),
            from: UserName::server(),
            session,
            // Sent again it is known by that.
            seq: serde_json::value::to_raw_value(&note.number).ok(),
            content: note.content,
            time: now.unix_ms,
        };
        let asked = self.asked(Context::Note);
        self.ask(Request::Append(draft, asked));
    }

    /// The log has taken a note, or not.
    pub(super) fn note_placed(&mut self, result: &Result<Placed, AppendError>) {
        let now = self.now;
        if let Some(hub) = self.hub_in_cluster() {
            hub.note_placed(result.is_ok(), now);
        }
        if let Ok(Placed::New(entry)) = result {
            self.announce(entry, None);
        }
    }

    /// The server stops: so does this node for the others.
    pub(super) fn leave_cluster(&mut self) {
        if let Some(hub) = self.hub_in_cluster() {
            hub.leave_cluster();
        }
    }

    /// Whether the other nodes have been told all there was.
    pub(super) fn has_told_nodes(&self) -> bool {
        match &self.chat {
            Chat::Here(hub) => hub.has_told_nodes(),
            Chat::There(_) => true,
        }
    }
}
