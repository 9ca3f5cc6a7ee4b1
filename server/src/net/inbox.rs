//! What other threads send to a worker: a list behind a lock that is held for a moment, and one wake for all that is in it.

use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mio::{Registry, Token, Waker};

/// What may wait in an inbox before who can wait does: a worker that is busy is to be waited for, not buried.
const BYTES_MAX: usize = 16 << 20;

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
    list: Mutex<List<T>>,
    /// The list was taken.
    emptied: Condvar,
    waker: Waker,
}

#[derive(Debug)]
struct List<T> {
    messages: Vec<T>,
    /// What those weigh that were weighed.
    bytes: usize,
    /// Nobody takes them any more.
    is_closed: bool,
}

impl<T> Inbox<T> {
    /// An empty inbox whose worker wakes with an event for `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            list: Mutex::new(List {
                messages: Vec::new(),
                bytes: 0,
                is_closed: false,
            }),
            emptied: Condvar::new(),
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
        let mut list = self.shared.lock();
        list.bytes = 0;
        self.shared.emptied.notify_all();
        mem::replace(&mut list.messages, mem::take(&mut self.spare))
    }

    /// Keeps the memory of an emptied list.
    pub(super) fn give_back(&mut self, mut list: Vec<T>) {
        list.clear();
        self.spare = list;
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        let mut list = self.shared.lock();
        list.is_closed = true;
        list.messages.clear();
        self.shared.emptied.notify_all();
    }
}

impl<T> Sender<T> {
    /// Adds messages. The worker is woken if it may not know of any yet: who adds to a list that is not empty finds it
    /// woken by who began the list.
    pub(super) fn send(&self, messages: impl IntoIterator<Item = T>) {
        self.send_weighed(messages, 0);
    }

    /// The same, with what the messages weigh: never waits.
    pub(super) fn send_weighed(&self, messages: impl IntoIterator<Item = T>, bytes: usize) {
        let is_begun = self.shared.lock().add(messages, bytes);
        self.wake_if(is_begun);
    }

    /// The same, which waits first while the list weighs too much.
    pub(super) fn send_when_there_is_room(
        &self,
        messages: impl IntoIterator<Item = T>,
        bytes: usize,
    ) {
        self.wait_for_room();
        self.send_weighed(messages, bytes);
    }

    /// Waits while what is in the list weighs too much.
    fn wait_for_room(&self) {
        let list = self.shared.lock();
        let is_full = |list: &mut List<T>| list.bytes > BYTES_MAX && !list.is_closed;
        // Whoever panicked with the lock, the list is in order.
        drop(self.shared.emptied.wait_while(list, is_full));
    }

    /// Whether so much waits that what can be left out is to be.
    pub(super) fn is_full(&self) -> bool {
        self.shared.lock().bytes > BYTES_MAX
    }

    fn wake_if(&self, is_begun: bool) {
        if is_begun {
            // It fails when the poll is gone, and the worker with it.
            let _ = self.shared.waker.wake();
        }
    }
}

/// Messages for one of several workers, and what they weigh.
#[derive(Debug)]
pub(super) struct Delivery<T> {
    pub(super) messages: Vec<T>,
    pub(super) bytes: usize,
}

/// Adds a delivery to each list, to all at once: whatever a worker then does, the others have theirs before they can hear of it.
/// Waits first while a list weighs too much.
pub(super) fn send_together<T>(senders: &[&Sender<T>], deliveries: Vec<Delivery<T>>) {
    for (sender, delivery) in senders.iter().zip(&deliveries) {
        if !delivery.messages.is_empty() {
            sender.wait_for_room();
        }
    }
    // Nobody else takes more than one of these locks at a time.
    let mut lists: Vec<_> = senders.iter().map(|sender| sender.shared.lock()).collect();
    let added = lists.iter_mut().zip(deliveries);
    let begun: Vec<bool> = added
        .map(|(list, delivery)| list.add(delivery.messages, delivery.bytes))
        .collect();
    drop(lists);
    for (sender, is_begun) in senders.iter().zip(begun) {
        sender.wake_if(is_begun);
    }
}

impl<T> List<T> {
    /// Returns whether the list was empty, so that its worker is to be woken.
    fn add(&mut self, messages: impl IntoIterator<Item = T>, bytes: usize) -> bool {
        if self.is_closed {
            return false;
        }
        let was_empty = self.messages.is_empty();
        self.messages.extend(messages);
        self.bytes += bytes;
        was_empty && !self.messages.is_empty()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared }
    }
}

impl<T> Shared<T> {
    /// A thread that panicked while it held the lock left a list in order behind.
    fn lock(&self) -> MutexGuard<'_, List<T>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn who_can_wait_does_while_too_much_is_there_and_not_for_who_has_gone() {
        let poll = Poll::new().unwrap();
        let mut inbox = Inbox::new(poll.registry(), Token(7)).unwrap();
        let sender = inbox.sender();
        let send = |messages, bytes| {
            send_together(&[&sender], vec![Delivery { messages, bytes }]);
        };
        std::thread::scope(|scope| {
            send(vec![0], BYTES_MAX + 1);
            let waiting = scope.spawn(|| send(vec![1], BYTES_MAX + 1));
            // It comes only once the first was taken.
            assert_eq!(inbox.take(), [0]);
            waiting.join().unwrap();
            let waiting = scope.spawn(|| send(vec![2], 1));
            assert_eq!(inbox.take(), [1]);
            waiting.join().unwrap();
            send(vec![3], BYTES_MAX);
            let waiting = scope.spawn(|| send(vec![4], 1));
            drop(inbox);
            waiting.join().unwrap();
        });
        sender.send([5]);
        assert!(sender.shared.lock().messages.is_empty(), "nobody takes it");
    }
}
