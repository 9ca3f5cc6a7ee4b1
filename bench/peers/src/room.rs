//! One room, as chat examples have it: an unbounded channel for each member.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Everybody who is connected.
pub(crate) struct Room<Message> {
    members: Mutex<Vec<(u64, UnboundedSender<Message>)>>,
}

/// A place in the room; dropped, it is free again.
pub(crate) struct Member<Message> {
    room: Arc<Room<Message>>,
    number: u64,
    /// What anybody says.
    pub(crate) inbox: UnboundedReceiver<Message>,
}

impl<Message: Clone> Room<Message> {
    pub(crate) fn new() -> Arc<Self> {
        let members = Mutex::new(Vec::new());
        Arc::new(Self { members })
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Member<Message> {
        let (sender, inbox) = unbounded_channel();
        let mut members = self.members();
        let number = members.last().map_or(0, |(last, _)| last + 1);
        members.push((number, sender));
        Member {
            room: Arc::clone(self),
            number,
            inbox,
        }
    }

    pub(crate) fn say(&self, message: &Message) {
        for (_, sender) in self.members().iter() {
            // Who is just leaving hears nothing more.
            let _ = sender.send(message.clone());
        }
    }
}

impl<Message> Room<Message> {
    fn members(&self) -> MutexGuard<'_, Vec<(u64, UnboundedSender<Message>)>> {
        self.members.lock().expect("nobody panics with the lock")
    }
}

impl<Message> Drop for Member<Message> {
    fn drop(&mut self) {
        let number = self.number;
        self.room.members().retain(|(other, _)| *other != number);
    }
}
