//! The parts of a run: what ends each, and what is shown of it.

use super::{Client, Part, Run};
use crate::client::{Cut, Entry};
use crate::log::Position;
use crate::verify::error::VerifyError;
use crate::verify::report::grouped;

impl Run<'_> {
    pub(super) fn go_on(&mut self) -> Result<(), VerifyError> {
        let is_silent = self.now.duration_since(self.heard_at) > self.options.patience;
        match self.part {
            Part::Load => {
                if is_silent && self.counts.acks == 0 {
                    return Err(self.silent("let anybody in"));
                }
                let publishers = self.clients.iter().take(self.publishers.len());
                let is_acked = publishers
                    .map(|client| client.chat.pending())
                    .sum::<usize>()
                    == 0;
                if is_silent || (is_acked && self.load.is_over(self.now)) {
                    self.loaded = Some(self.now);
                    self.part = Part::Settle;
                    for client in self
                        .clients
                        .iter_mut()
                        .filter(|client| client.slow.is_some())
                    {
                        // On a socket with a buffer as usual it catches up.
                        client.slow = None;
                        client.chat.read_slowly(false);
                        client.chat.cut(Cut::Finish, self.now);
                    }
                }
            }
            Part::Settle => {
                let has_all = |(index, client): (usize, &Client)| {
                    let mut rooms = client.rooms.iter();
                    rooms.all(|room| self.checker.has_reached(index as u16, *room))
                };
                if is_silent || self.clients.iter().enumerate().all(has_all) {
                    self.part = Part::Read;
                    self.heard_at = self.now;
                    self.add_client(self.newcomer(), false, 0)?;
                    self.add_client(self.reader(), false, 0)?;
                    if let Some(reader) = self.clients.last_mut() {
                        reader.chat.stay_out();
                    }
                }
            }
            Part::Read if is_silent => {
                return Err(self.silent("show its history"));
            }
            Part::Read => {
                let rooms = 0..self.rooms.len() as u16;
                let mut rooms = rooms.map(|room| self.checker.has_reached(self.newcomer(), room));
                if self.reading.0 == self.rooms.len() && rooms.all(|has_reached| has_reached) {
                    self.part = Part::Done;
                }
            }
            Part::Done => {}
        }
        Ok(())
    }

    /// It follows again; who has just come was never away.
    pub(super) fn is_back(&mut self, index: usize) {
        if let Some(since) = self.clients[index].away_since.take() {
            let away = self.now.duration_since(since);
            self.counts.away.add(away.as_nanos() as u64, 1);
        }
    }

    fn silent(&self, what: &'static str) -> VerifyError {
        let why = self.lost.clone().filter(|why| !why.is_empty());
        VerifyError::Silent(what, self.options.patience, why)
    }

    /// Who comes at the end is shown everything, too.
    pub(super) fn newcomer(&self) -> u16 {
        self.options.publishers + self.options.subscribers + self.options.slow
    }

    /// Who reads the history follows nothing, so that a gap that it is told of is one in that.
    pub(super) fn reader(&self) -> u16 {
        self.newcomer() + 1
    }

    pub(super) fn ask_history(&mut self) {
        let (room, since) = self.reading;
        let reader = usize::from(self.reader());
        if let Some(client) = self
            .clients
            .get_mut(reader)
            .filter(|_| room < self.rooms.len())
        {
            client.chat.ask_history(room, since);
        }
    }

    pub(super) fn page(&mut self, room: usize, entries: &[Entry], position: Position, more: bool) {
        if room != self.reading.0 {
            return;
        }
        for entry in entries {
            let stamp = self.stamp(entry);
            self.checker.history(room as u16, entry.position, stamp);
        }
        self.counts.history += entries.len() as u64;
        self.reading = if more {
            (room, Some(position))
        } else {
            (room + 1, None)
        };
        self.ask_history();
    }

    pub(super) fn show(&mut self) {
        let (counts, checker, now) = (&self.counts, &self.checker, self.now);
        let what = match self.part {
            Part::Load => "sending",
            Part::Settle => "waiting for everybody to have everything",
            Part::Read | Part::Done => "reading the history",
        };
        let goal = match (self.options.duration, self.part) {
            (None, Part::Load) if self.options.until_eof => String::new(),
            (None, Part::Load) => format!(" of {}", grouped(u64::from(self.options.messages))),
            (Some(time), Part::Load) => {
                let passed = now.duration_since(self.begin);
                format!(", {} of {} s", passed.as_secs(), time.as_secs())
            }
            (_, Part::Settle | Part::Read | Part::Done) => String::new(),
        };
        let share = match (self.options.duration, self.part) {
            (_, Part::Settle | Part::Read | Part::Done) => 1.0,
            (None, Part::Load) => counts.acks as f64 / f64::from(self.options.messages),
            (Some(time), Part::Load) => now.duration_since(self.begin).div_duration_f64(time),
        };
        self.progress.show(now, || {
            let line = format!(
                "{what}: {} acknowledged{goal}, {} violations, {} delivered, {} reconnects, {} read",
                grouped(counts.acks),
                grouped(checker.found().total()),
                grouped(counts.deliveries),
                grouped(counts.reconnects),
                grouped(counts.history),
            );
            (share, line)
        });
    }
}
