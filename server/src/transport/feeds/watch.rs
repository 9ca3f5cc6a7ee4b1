//! Who is told which logs are followed: other workers, roughly and at once, and the log's thread where others than this server's
//! clients append to them.

use std::mem;
use std::sync::Arc;

use super::{Feeds, Interest};
use crate::ids::LogName;

/// A log begins or ends to be followed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// Somebody does now.
    Begin(LogName),
    /// Nobody does any more.
    End(LogName),
}

impl Feeds {
    /// Counts here what is followed.
    pub fn count_in(&mut self, interest: Arc<Interest>) {
        self.watchers.interest = Some(interest);
    }

    /// Notes what is followed from now on and what is not any more, for [`take_watches`](Self::take_watches).
    pub fn note_watches(&mut self) {
        self.watchers.told = Some(Vec::new());
    }

    /// Whether [`take_watches`](Self::take_watches) has something to tell.
    #[must_use]
    pub fn has_watches(&self) -> bool {
        let told = self.watchers.told.as_ref();
        told.is_some_and(|told| !told.is_empty())
    }

    /// Which logs are followed and which are not any more since the last call, in order.
    pub fn take_watches(&mut self) -> Vec<Watch> {
        self.watchers.take()
    }
}

/// Those who are told.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// Where other workers look.
    pub(super) interest: Option<Arc<Interest>>,
    /// What the log's thread is to hear, in order; `None` where it need not.
    pub(super) told: Option<Vec<Watch>>,
}

impl Watchers {
    pub(super) fn begin(&mut self, log: &LogName) {
        if let Some(interest) = &self.interest {
            interest.add(log);
        }
        if let Some(told) = &mut self.told {
            told.push(Watch::Begin(log.clone()));
        }
    }

    pub(super) fn end(&mut self, log: &LogName) {
        if let Some(interest) = &self.interest {
            interest.remove(log);
        }
        if let Some(told) = &mut self.told {
            told.push(Watch::End(log.clone()));
        }
    }

    /// What is to be told since the last call.
    pub(super) fn take(&mut self) -> Vec<Watch> {
        self.told.as_mut().map_or_else(Vec::new, mem::take)
    }
}
