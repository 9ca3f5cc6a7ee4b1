//! Where watched logs end, looked at every second: an announcement may be lost, and with Redis so may be what was announced.

use std::time::Duration;

use super::core::{Ask, Core};
use super::masters::Purpose;
use crate::ids::LogName;
use crate::log::Position;
use crate::log::shared::{Bucket, Command};

/// Buckets are looked at in turns of so many, each once a second.
const CHECKED_AT_ONCE: u8 = 1;

/// Between two turns: 16 of them are a second.
const CHECK_EVERY: Duration = Duration::from_millis(62);

/// Logs in one command.
const HEADS_MAX: usize = 512;

impl<C> Core<C> {
    /// Looks where the watched logs of some buckets end, if it is time to.
    pub(super) fn check_heads_if_due(&mut self) {
        let now = self.now.instant;
        if self.watched == 0 || self.next_check > now {
            return;
        }
        self.next_check = now + CHECK_EVERY;
        let first = self.next_checked;
        self.next_checked = (first + CHECKED_AT_ONCE) % Bucket::COUNT as u8;
        for bucket in Bucket::all()
            .skip(first.into())
            .take(CHECKED_AT_ONCE.into())
        {
            self.check_heads(bucket);
        }
    }

    /// Looks where the watched logs of a bucket end.
    pub(super) fn check_heads(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        let logs = shelf.logs.iter().filter(|(_, log)| log.is_watched());
        let logs: Vec<LogName> = logs.map(|(name, _)| name.clone()).collect();
        for part in logs.chunks(HEADS_MAX) {
            self.ask_heads(bucket, part.to_vec());
        }
    }

    /// Announcements of a log come from now on: not those from before.
    pub(super) fn check_head(&mut self, name: &LogName) {
        let bucket = Bucket::of(name);
        if self.shelf(bucket).logs.contains_key(name.as_str()) {
            self.ask_heads(bucket, vec![name.clone()]);
        }
    }

    fn ask_heads(&mut self, bucket: Bucket, logs: Vec<LogName>) {
        if self.shelf(bucket).is_open() {
            self.traffic.heads_checked += logs.len() as u64;
            let heads = Command::Heads { bucket, logs };
            self.ask(bucket, Ask::Command(heads), Purpose::Heads(bucket));
        }
    }

    /// Where logs end, as the link for commands says it: what is handed on cannot be beyond that.
    pub(super) fn heads_checked(
        &mut self,
        bucket: Bucket,
        command: Command,
        heads: &[Option<Position>],
    ) {
        let Command::Heads { logs, .. } = command else {
            return;
        };
        for (name, head) in logs.iter().zip(heads) {
            let log = self.shelf(bucket).logs.get(name.as_str());
            let Some(log) = log.filter(|log| log.is_watched()) else {
                continue;
            };
            let Some(delivered) = log.known() else {
                continue;
            };
            let is_empty = head.is_none() && delivered.offset == 0;
            if *head == Some(delivered) || is_empty {
                continue;
            }
            let is_quiet = log.is_quiet();
            let is_broken = head.is_none_or(|head| log.is_broken_by(head));
            if log.delivered.is_none() && is_broken {
                self.break_off(bucket, name);
            } else {
                self.traffic.holes_found += u64::from(is_quiet);
                self.note_announced(bucket, name, *head);
            }
        }
    }
}
