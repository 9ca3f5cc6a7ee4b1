//! What a worker does where its logs may be elsewhere: it tells what is followed here, and asks again for pages that could not be
//! read while the logs were away. Who waits for one goes on waiting: a connection that lives is worth more than an error.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Worker;
use crate::ids::LogName;
use crate::log::{Request, StoreError};
use crate::transport::feeds::{Read, Watch};

/// A page that could not be read is asked for again after this time.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Pages that are to be asked for again, and when: the oldest first. There are no more than followers wait for.
#[derive(Debug, Default)]
pub(super) struct PutOff(VecDeque<(Instant, Read)>);

/// Whether a page that could not be read is asked for again. The server's own logs always are: nobody else would ask, and who has
/// one page less hears nothing of what comes behind it.
pub(super) fn is_asked_again(log: &LogName, error: &StoreError) -> bool {
    let is_own = || *log == LogName::canary() || *log == LogName::cluster();
    *error == StoreError::Unavailable || is_own()
}

impl Worker {
    /// Tells what is followed from now on, before a page of it is asked for, and what is not any more.
    #[inline]
    pub(super) fn tell_what_is_watched(&mut self) {
        if self.feeds.has_watches() {
            self.tell_watches();
        }
    }

    #[inline(never)]
    fn tell_watches(&mut self) {
        for watch in self.feeds.take_watches() {
            self.logs.send(match watch {
                Watch::Begin(log) => Request::Watch(log),
                Watch::End(log) => Request::Unwatch(log),
            });
        }
    }

    /// The logs are away: a page is asked for later, if somebody waits for it.
    pub(super) fn put_off(&mut self, read: Read) {
        let waiting = self.feeds.put_off(&read);
        if waiting.is_empty() {
            return self.let_go(&read);
        }
        for id in waiting {
            self.note_behind(id);
        }
        let at = self.now.instant + ASK_AGAIN_AFTER;
        self.put_off.0.push_back((at, read));
    }

    /// When the next is asked for.
    pub(super) fn ask_again_at(&self) -> Option<Instant> {
        self.put_off.0.front().map(|(at, _)| *at)
    }

    /// Asks for those whose time has come.
    pub(super) fn ask_again(&mut self) {
        let now = self.now.instant;
        while self.ask_again_at().is_some_and(|at| at <= now)
            && let Some((_, read)) = self.put_off.0.pop_front()
        {
            self.worked = true;
            if self.feeds.put_off(&read).is_empty() {
                self.let_go(&read);
            } else {
                self.read_page(read);
            }
        }
    }

    /// Nobody waits for a page any more: others have its place among those that are read.
    fn let_go(&mut self, read: &Read) {
        self.feeds.arrived(read, None);
        while let Some(next) = self.feeds.next_read() {
            self.read_page(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_logs_are_asked_for_until_they_can_be_read() {
        let failed = StoreError::Failed("it is broken".to_owned());
        let room = LogName::new("room").unwrap();
        for own in [LogName::canary(), LogName::cluster()] {
            assert!(is_asked_again(&own, &failed), "{own}");
        }
        assert!(!is_asked_again(&room, &failed), "its reader is told");
        assert!(is_asked_again(&room, &StoreError::Unavailable));
    }
}
