//! What is said and heard in a run: sending what is due, counting what comes, and in a closed loop sending the next.

use tidewire_protocol::Message;

use super::{Phase, QUIET_MAX, Run};
use crate::client::End;
use crate::load::content::{Content, Stamp};
use crate::load::options::Scenario;
use crate::load::plan::Plan;
use crate::load::target::Target;

/// Who speaks, and what.
#[derive(Debug)]
pub(super) struct Messages {
    content: Content,
    is_chat: bool,
    senders: Vec<Sender>,
    buffer: String,
}

/// A connection that speaks.
#[derive(Debug)]
struct Sender {
    /// Closed loop: how many have not got its newest message, and when that was sent.
    awaited: u64,
    due: u64,
}

impl Sender {
    /// Closed loop: it waits for nothing, and nothing is due.
    const fn stop(&mut self) {
        (self.awaited, self.due) = (0, u64::MAX);
    }
}

impl Messages {
    pub(super) fn new(plan: &Plan, target: &Target) -> Self {
        let rooms = || {
            (0..plan.rooms)
                .map(|room| target.room(room))
                .collect::<Vec<_>>()
        };
        let rooms = plan.chat.then(rooms);
        let sender = |_| Sender { awaited: 0, due: 0 };
        Self {
            content: Content::new(plan.size, plan.binary, rooms.as_deref()),
            is_chat: plan.chat,
            senders: plan.senders().map(sender).collect(),
            buffer: String::new(),
        }
    }

    /// How many speak; the first connections do.
    pub(super) const fn senders(&self) -> usize {
        self.senders.len()
    }

    pub(super) const fn is_chat(&self) -> bool {
        self.is_chat
    }

    /// The stamp of a message that is one of ours.
    pub(super) fn find(&self, message: &Message<'_>) -> Option<Stamp> {
        self.content.find(message)
    }
}

impl Run<'_> {
    /// Queues the message of a sender that is due since then.
    pub(super) fn say(&mut self, sender: usize, due: u64) {
        let room = self.plan.room(sender);
        let stamp = Stamp {
            // A plan has no more senders than that.
            sender: sender as u16,
            due,
        };
        let messages = &mut self.messages;
        let message = messages.content.write(&mut messages.buffer, room, stamp);
        let bytes = message.payload().len();
        if let Err(why) = self.peers.queue(sender, &message, due) {
            if let Some(sender) = messages.senders.get_mut(sender) {
                sender.stop();
            }
            return self.tally.fail_due(due, why);
        }
        let expected = match self.plan.scenario {
            Scenario::Fanout => self.peers.members(room).saturating_sub(1) as u64,
            Scenario::Echo | Scenario::Idle | Scenario::Connect => 1,
        };
        self.tally.sent(due, bytes, expected);
        if let Some(sender) = messages.senders.get_mut(sender) {
            (sender.awaited, sender.due) = (expected, due);
        }
    }

    /// Counts what a connection has said.
    pub(super) fn hear(&mut self, number: usize) {
        let now = self.clock.now;
        let said = std::mem::take(&mut self.peers.said);
        if matches!(self.phase, Phase::Running | Phase::Draining) {
            self.tally.unexpected += said.unexpected;
            self.tally.pings += said.pings;
        }
        for (stamp, bytes) in &said.stamps {
            self.tally.received(stamp.due, *bytes, now);
            self.arrived(*stamp);
        }
        if !said.stamps.is_empty() {
            self.note_progress();
        }
        for refused in &said.refused {
            if self.phase != Phase::Closing {
                self.tally.fail(refused);
            }
            self.answer_refusal(number);
        }
        self.peers.said = said;
    }

    /// Closed loop: the next message is sent when the last one has arrived everywhere.
    fn arrived(&mut self, stamp: Stamp) {
        let index = usize::from(stamp.sender);
        let Some(sender) = self.messages.senders.get_mut(index) else {
            return;
        };
        if sender.due != stamp.due || sender.awaited == 0 {
            return;
        }
        sender.awaited -= 1;
        if sender.awaited == 0 {
            self.say_next(index);
        }
    }

    /// Closed loop: what was refused does not arrive.
    fn answer_refusal(&mut self, number: usize) {
        if number < self.messages.senders() {
            self.say_next(number);
        }
    }

    fn say_next(&mut self, sender: usize) {
        if self.phase == Phase::Running && self.schedule.is_none() {
            self.say(sender, self.clock.now);
        }
    }

    /// Closed loop: a message that has not arrived for long enough is lost, and its sender goes on.
    pub(super) fn give_up_waiting(&mut self) {
        if self.phase != Phase::Running || self.schedule.is_some() {
            return;
        }
        let now = self.clock.now;
        for index in 0..self.messages.senders() {
            let due = self.messages.senders[index].due;
            if now.saturating_sub(due) >= QUIET_MAX.as_nanos() as u64 {
                self.say(index, now);
            }
        }
    }

    /// Something came: what is waited for may come, too.
    fn note_progress(&mut self) {
        if matches!(self.phase, Phase::Opening | Phase::Draining) {
            self.since = self.clock.now;
        }
    }

    // ---- connections ----

    /// Begins to connect one that was due then; whether the system let it.
    pub(super) fn begin(&mut self, due: u64) -> bool {
        if self.plan.scenario == Scenario::Connect {
            self.tally.sent(due, 0, 1);
            self.handed_over(due, 1);
        }
        let registry = self.poll.registry();
        match self.peers.begin(registry, due, &self.clock) {
            Ok(()) => true,
            Err(error) => {
                self.tally.fail(&format!("cannot connect: {error}"));
                false
            }
        }
    }

    /// A handshake is done.
    pub(super) fn opened(&mut self, number: usize) {
        let now = self.clock.now;
        let Some((due, begun_at)) = self.peers.times(number) else {
            return;
        };
        self.tally.opened += 1;
        self.note_progress();
        self.tally.handshakes.add(now.saturating_sub(begun_at), 1);
        if self.plan.scenario == Scenario::Connect {
            self.tally.received(due, 0, now);
            self.peers.close(number, &self.clock);
        }
    }

    /// A connection has ended.
    pub(super) fn ended(&mut self, number: usize, end: &End) {
        let Some(peer) = self.peers.remove(number) else {
            return;
        };
        if peer.is_closing {
            // Both Close frames have gone. A reset now spares the port from waiting a minute: there are 28,000 of them.
            return peer.socket.reset_on_drop();
        }
        if self.phase == Phase::Closing {
            return;
        }
        let told = match (end.code, end.reason.as_str()) {
            (1006, reason) => reason.to_owned(),
            (code, "") => format!("closed with {code}"),
            (code, reason) => format!("closed with {code}: {reason}"),
        };
        self.note_progress();
        self.tally.lost += u64::from(peer.is_open);
        self.tally.fail(&told);
    }
}
