//! What other threads send to a worker: a list behind a lock that is held for a moment, and one wake for all that is in it.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};

/// The worker's end.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    shared: Arc<Shared<T>>,
    /// The list that was emptied last, to be filled again.
    spare: Vec<T>,
}

/// The other threads' end.
#[derive(Debug)]
pub(super) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    messages: Mutex<Vec<T>>,
    waker: Waker,
}

impl<T> Inbox<T> {
    /// An empty inbox whose worker wakes with an event for `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            messages: Mutex::new(Vec::new()),
            waker: Waker::new(registry, token)?,
        });
        Ok(Self {
            shared,
            spare: Vec::new(),
        })
    }

    /// An end to send from.
    pub(super) fn sender(&self) -> Sender<T> {
        Sender {
            shared: Arc::clone(&self.shared),
        }
    }

    /// All messages since the last call, in order; [`give_back`](Self::give_back) the list.
    pub(super) fn take(&mut self) -> Vec<T> {
        mem::replace(&mut *self.shared.lock(), mem::take(&mut self.spare))
    }

    /// Keeps the memory of an emptied list.
    pub(super) fn give_back(&mut self, mut list: Vec<T>) {
        list.clear();
        self.spare = list;
    }
}

impl<T> Sender<T> {
    /// Adds messages. The worker is woken if it may not know of any yet: who adds to a list that is not empty finds it
    /// woken by who began the list.
    pub(super) fn send(&self, messages: impl IntoIterator<Item = T>) {
        let was_empty = {
            let mut list = self.shared.lock();
            let was_empty = list.is_empty();
            list.extend(messages);
            was_empty && !list.is_empty()
        };
        if was_empty {
            // It fails when the poll is gone, and the worker with it.
            let _ = self.shared.waker.wake();
        }
    }
}

impl<T> Shared<T> {
    /// A thread that panicked while it held the lock left a list in order behind.
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::Duration;

    #[test]
    fn one_wake_tells_of_all_that_was_sent_before_it_was_taken() {
        let mut poll = Poll::new().unwrap();
        let mut inbox = Inbox::new(poll.registry(), Token(7)).unwrap();
        let sender = inbox.sender();
        let mut events = Events::with_capacity(8);
        for round in 0..3 {
            let sending = std::thread::scope(|scope| {
                scope.spawn(|| (0..100).for_each(|n| sender.send([round * 100 + n])));
                poll.poll(&mut events, Some(Duration::from_secs(10)))
            });
            sending.unwrap();
            assert_eq!(
                events.iter().map(|event| event.token()).collect::<Vec<_>>(),
                [Token(7)]
            );
            let list = inbox.take();
            assert_eq!(list, (round * 100..(round + 1) * 100).collect::<Vec<_>>());
            inbox.give_back(list);
        }
        sender.send([]);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
    }
}
