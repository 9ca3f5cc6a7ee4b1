//! Finds out what a store holds. It writes nothing: what is not good stays where it is, and what does not count is told so
//! by the next segment's header.

use std::io;
use std::sync::mpsc;
use std::thread;

use super::build::{Builder, Built};
use super::chain::{self, Chain, ChainError, Link};
use super::device::Disk;
use super::format::{Location, segment_name};
use super::keys::KeyHasher;
use super::meta::{FoundMeta, MetaFile, Synced, SyncedFile};
use super::report::{Cut, Damage, Recovery};
use super::scan::{Scan, scan};
use super::segments::Segments;
use crate::log::Rules;

/// What is there.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) built: Built,
    pub(super) segments: Segments,
    /// The end of what counts.
    pub(super) end: Location,
    /// The highest number of any segment's file.
    pub(super) highest: u64,
    pub(super) next_group: u64,
    pub(super) meta: FoundMeta,
    pub(super) synced: Option<Synced>,
    /// Something was cut off, or is damaged, at the very end: it has to be settled before anything else is written.
    pub(super) end_is_unsettled: bool,
    /// What was cut off may have been acknowledged.
    pub(super) may_have_lost: bool,
    pub(super) report: Recovery,
}

/// What the newest segment's end turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing is behind the last whole group, or nothing but zeros.
    Whole,
    /// Only the process ended, so the statement of what was saved is the newest: the rest was never acknowledged.
    NeverAcknowledged,
    /// Torn or damaged: after a loss of power, these look the same.
    Unknown,
    /// It was saved up to here, so it is damaged.
    Damaged(Location),
}

/// Reads everything.
pub(super) fn inspect(
    disk: &dyn Disk,
    rules: &Rules,
    hasher: &KeyHasher,
) -> Result<Found, ChainError> {
    let meta = MetaFile::look(disk)?;
    if let FoundMeta::Version(version) = meta {
        return Err(ChainError::Version(version));
    }
    let synced = SyncedFile::look(disk)?;
    let chain = chain::read(disk)?;
    let bytes = chain.links.iter().map(|link| link.length).sum();
    let mut reading = Reading {
        builder: Builder::for_bytes(bytes),
        end: chain::end_of(&chain.links),
        next_group: 1,
        damage: chain.damage.clone(),
        cut: None,
        may_have_lost: false,
        end_is_unsettled: false,
    };
    reading.older_segments(disk, &chain, hasher)?;
    reading.newest_segment(disk, &chain, synced, hasher)?;
    Ok(reading.finish(&chain, rules, meta, synced))
}

/// The state of reading.
struct Reading {
    builder: Builder,
    end: Location,
    next_group: u64,
    damage: Vec<Damage>,
    cut: Option<Cut>,
    may_have_lost: bool,
    end_is_unsettled: bool,
}

impl Reading {
    /// Reads all segments but the newest, on one thread ahead of the one that puts things together.
    fn older_segments(
        &mut self,
        disk: &dyn Disk,
        chain: &Chain,
        hasher: &KeyHasher,
    ) -> io::Result<()> {
        let Some((_, older)) = chain.links.split_last() else {
            return Ok(());
        };
        thread::scope(|scope| {
            let (sender, scans) = mpsc::sync_channel(1);
            scope.spawn(move || {
                let mut buffer = Vec::new();
                for link in older {
                    let read = read_segment(disk, link, &mut buffer);
                    let read = read.map(|()| scan(&buffer, link.number, hasher));
                    // A receiver that is gone has met an error.
                    if sender.send(read).is_err() {
                        break;
                    }
                }
            });
            for scan in scans {
                self.take(scan?);
            }
            Ok(())
        })
    }

    fn newest_segment(
        &mut self,
        disk: &dyn Disk,
        chain: &Chain,
        synced: Option<Synced>,
        hasher: &KeyHasher,
    ) -> io::Result<()> {
        let Some(newest) = chain.links.last() else {
            // Nothing counts; what lies there is judged like the end of an empty segment.
            return self
                .judge(
                    &Scan {
                        tail_is_blank: true,
                        ..Scan::default()
                    },
                    chain,
                    synced,
                    disk,
                )
                .map(drop);
        };
        let mut buffer = Vec::new();
        read_segment(disk, newest, &mut buffer)?;
        let mut scanned = scan(&buffer, newest.number, hasher);
        match self.judge(&scanned, chain, synced, disk)? {
            End::Damaged(end) if end.segment == newest.number => {
                // What is behind the statement was not saved.
                let length = usize::try_from(end.at)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                scanned = scan(&buffer[..length], newest.number, hasher);
                self.end = Location::new(newest.number, length as u64);
            }
            End::Damaged(_) => (),
            End::Whole | End::NeverAcknowledged | End::Unknown => {
                scanned.cut_tail();
                self.end = Location::new(newest.number, scanned.whole_to);
            }
        }
        self.take(scanned);
        Ok(())
    }

    fn judge(
        &mut self,
        scan: &Scan,
        chain: &Chain,
        synced: Option<Synced>,
        disk: &dyn Disk,
    ) -> io::Result<End> {
        let whole = Location::new(scan.segment, scan.whole_to);
        let end = judge(
            whole,
            scan.tail_is_blank && !chain.has_junk_behind,
            synced,
            disk,
        );
        let newest_bytes = chain.links.last().map_or(0, |link| link.file_bytes);
        let void = chain
            .void
            .iter()
            .filter(|(number, _)| *number > whole.segment);
        let bytes = newest_bytes - scan.whole_to + void.map(|(_, bytes)| bytes).sum::<u64>();
        match end {
            End::Whole => (),
            End::NeverAcknowledged | End::Unknown => {
                self.may_have_lost = end == End::Unknown;
                self.cut = Some(Cut {
                    segment: whole.segment,
                    at: whole.at,
                    bytes,
                    never_acknowledged: end == End::NeverAcknowledged,
                });
            }
            End::Damaged(to) => {
                let (from, to) = match to.segment == whole.segment {
                    true => (newest_bytes.min(to.at), to.at),
                    false => (0, 0),
                };
                // Damage inside the file is found by the scan; what the file has not is missing.
                if from < to || to == 0 {
                    let segment = synced.map_or(whole.segment, |synced| synced.end.segment);
                    self.damage.push(Damage {
                        segment,
                        bytes: from..to,
                    });
                }
            }
        }
        self.end_is_unsettled = matches!(end, End::Unknown | End::Damaged(_));
        Ok(end)
    }

    fn take(&mut self, scan: Scan) {
        self.next_group = self.next_group.max(scan.next_group);
        self.damage.extend(scan.damage.iter().map(|range| Damage {
            segment: scan.segment,
            bytes: range.clone(),
        }));
        self.builder.add(scan);
    }

    fn finish(
        mut self,
        chain: &Chain,
        rules: &Rules,
        meta: FoundMeta,
        synced: Option<Synced>,
    ) -> Found {
        self.damage
            .sort_by_key(|damage| (damage.segment, damage.bytes.start));
        let last_damage = self
            .damage
            .last()
            .map(|damage| Location::new(damage.segment, damage.bytes.end.max(1)));
        let lost = self.may_have_lost.then_some(self.end);
        let built = self.builder.finish(rules, last_damage.max(lost));
        let segments = Segments::of(&chain.links, &chain.void, &built.logs);
        let entries = built.logs.iter().map(|(_, log)| log.places.iter());
        let report = Recovery {
            segments: chain.links.len(),
            bytes: chain.links.iter().map(|link| link.file_bytes).sum(),
            logs: built.logs.len(),
            entries: entries
                .map(|places| places.filter(|place| !place.is_missing()).count() as u64)
                .sum(),
            damage: self.damage,
            cut: self.cut,
            new_epochs: built.uncertain.len(),
        };
        Found {
            built,
            segments,
            end: self.end,
            highest: chain.highest,
            next_group: self.next_group,
            meta,
            synced,
            end_is_unsettled: self.end_is_unsettled,
            may_have_lost: self.may_have_lost,
            report,
        }
    }
}

fn judge(whole: Location, is_blank: bool, synced: Option<Synced>, disk: &dyn Disk) -> End {
    match synced {
        Some(synced) if synced.end > whole => End::Damaged(synced.end),
        _ if is_blank => End::Whole,
        Some(Synced {
            boot: Some(boot), ..
        }) if disk.boot_id() == Some(boot) => End::NeverAcknowledged,
        _ => End::Unknown,
    }
}

fn read_segment(disk: &dyn Disk, link: &Link, buffer: &mut Vec<u8>) -> io::Result<()> {
    let file = disk.open(&segment_name(link.number))?;
    buffer.resize(usize::try_from(link.length).unwrap_or(usize::MAX), 0);
    let count = file.read_at(buffer, 0)?;
    buffer.truncate(count);
    Ok(())
}
