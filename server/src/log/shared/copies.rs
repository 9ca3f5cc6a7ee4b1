//! Whether enough others have what was appended: Redis counts replicas and disks behind what a link has written, and looks at nothing
//! else of that link until it knows. Where one server is enough nothing of this happens.

use super::core::{Ask, Core};
use super::masters::Purpose;
use crate::ids::LogName;
use crate::log::Position;
use crate::log::shared::{Ack, Bucket, Failure};

/// A message has its place, and it is not known whether enough others have it.
#[derive(Debug)]
pub(super) struct Uncopied {
    bucket: Bucket,
    log: LogName,
    position: Position,
    number: u64,
    /// When it came.
    time: u64,
}

/// What is known of how many others have what is appended to a master.
#[derive(Debug, Default)]
pub(super) struct Copies {
    uncopied: Vec<Uncopied>,
    /// Something was appended behind the last question whether others have it.
    pub(super) asks: bool,
    /// That question is not answered: Redis looks at nothing else of this link until then.
    is_asked: bool,
    /// The last answer was that too few have it.
    are_missing: bool,
}

impl<C> Core<C> {
    /// Behind what was appended, the question how many others have it: one at a time, since whatever comes behind it waits, too.
    pub(super) fn ask_for_copies(&mut self) {
        for index in 0..self.masters.len() {
            let copies = &mut self.masters[index].copies;
            if self.ack == Ack::Primary || copies.is_asked || !std::mem::take(&mut copies.asks) {
                continue;
            }
            copies.is_asked = true;
            // Where nobody had it in time, nobody may for long, and pages are to be read meanwhile.
            let share = if copies.are_missing { 8 } else { 1 };
            let timeout = (self.timeout / share).min(self.command_timeout / 2);
            let ask = Ask::Wait(self.ack, timeout);
            self.ask_master(index, ask, Purpose::Copies);
        }
    }

    /// Has nothing more to wait for of a link that has ended.
    pub(super) fn copies_lost(&mut self, index: usize) {
        let copies = std::mem::take(&mut self.masters[index].copies);
        for uncopied in copies.uncopied {
            self.copied(&uncopied, false);
        }
    }

    /// To be told of once enough others have it.
    pub(super) fn await_copies(
        &mut self,
        index: usize,
        log: &LogName,
        position: Position,
        number: u64,
        time: u64,
    ) {
        self.masters[index].copies.uncopied.push(Uncopied {
            bucket: Bucket::of(log),
            log: log.clone(),
            position,
            number,
            time,
        });
    }

    /// Redis has counted who has what was appended before.
    pub(super) fn copies_counted(&mut self, index: usize, is_enough: bool) {
        let why = "too few replicas, or disks, had it in time";
        self.copies_known(index, (!is_enough).then_some(why));
    }

    /// Redis does not count: `WAITAOF` is too new for it, or it has no such file.
    pub(super) fn copies_refused(&mut self, index: usize, failure: &Failure) {
        self.copies_known(index, Some(&failure.to_string()));
    }

    /// Why not enough have it, if that is so.
    fn copies_known(&mut self, index: usize, missing: Option<&str>) {
        let is_enough = missing.is_none();
        let copies = &mut self.masters[index].copies;
        copies.is_asked = false;
        let were_missing = std::mem::replace(&mut copies.are_missing, !is_enough);
        match missing {
            Some(why) if !were_missing => tracing::warn!(
                event = "copies_missing",
                why,
                "what is published is not acknowledged: not as many have it as --redis-ack says"
            ),
            None if were_missing => {
                tracing::info!(event = "copies_enough", "as many have it as should again");
            }
            Some(_) | None => {}
        }
        for uncopied in std::mem::take(&mut copies.uncopied) {
            self.copied(&uncopied, is_enough);
        }
    }

    /// Enough others have a message, or that is not known.
    fn copied(&mut self, uncopied: &Uncopied, is_enough: bool) {
        let &Uncopied {
            bucket,
            ref log,
            position,
            number,
            time,
        } = uncopied;
        if !is_enough {
            self.give_up(number);
        }
        self.own_certain(bucket, log, position, number, time);
    }
}
