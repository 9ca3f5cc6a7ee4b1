//! Sessions that look for logs by their names: they hear of those that there are, and of each that begins.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use super::Worker;
use super::delivery::Context;
use crate::ids::{ConnId, LogName};
use crate::log::{Entry, Position, Request, Select};

/// Who looks for what, and what has begun in this turn.
#[derive(Debug, Default)]
pub(super) struct Lookers {
    by: HashMap<ConnId, Arc<dyn Select>, foldhash::fast::RandomState>,
    begun: Vec<(LogName, Option<Position>)>,
}

impl Worker {
    /// A session looks for these logs from now on, or for none.
    pub(super) fn look(&mut self, id: ConnId, which: Option<Arc<dyn Select>>) {
        let Some(which) = which else {
            return self.look_no_more(id);
        };
        if self.lookers.by.insert(id, Arc::clone(&which)).is_none() {
            // Before those that are there are looked for, so that none is missed between.
            self.feeds.note_looking(true);
        }
        let asked = self.asked(Context::Find(id));
        self.ask(Request::Find(which, asked));
    }

    /// It looks for none, or is gone.
    pub(super) fn look_no_more(&mut self, id: ConnId) {
        if self.lookers.by.remove(&id).is_some() {
            self.feeds.note_looking(false);
        }
    }

    /// These are there.
    pub(super) fn found(&mut self, id: ConnId, logs: Vec<LogName>) {
        let logs: Vec<_> = logs.into_iter().map(|log| (log, None)).collect();
        self.with_session(id, |session, now, out| session.found(&logs, now, out));
    }

    /// An entry is announced: if it is its log's first, those who look for the log are told in this turn.
    pub(super) fn note_beginning(&mut self, entry: &Entry) {
        let Position { epoch, offset } = entry.position;
        if offset == 1 && !self.lookers.by.is_empty() {
            let before = Position { epoch, offset: 0 };
            self.lookers
                .begun
                .push((entry.draft.log.clone(), Some(before)));
        }
    }

    /// Tells them.
    pub(super) fn tell_lookers(&mut self) {
        if self.lookers.begun.is_empty() {
            return;
        }
        let begun = mem::take(&mut self.lookers.begun);
        let mut finds = Vec::new();
        for (id, which) in &self.lookers.by {
            let logs = begun.iter().filter(|(log, _)| which.takes(log));
            let logs: Vec<_> = logs.cloned().collect();
            if !logs.is_empty() {
                finds.push((*id, logs));
            }
        }
        for (id, logs) in finds {
            self.with_session(id, |session, now, out| session.found(&logs, now, out));
        }
        self.run_effects();
    }
}
