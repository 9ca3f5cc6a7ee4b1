//! Pages of a log, read from the disk.

use std::sync::Arc;

use super::index::{Log, Place};
use super::{DiskStore, store_error};
use crate::log::extent::{Era, Extent};
use crate::log::{Entry, Gap, GapReason, Page, PageMax, Position, Since, StoreError};

/// An entry of a page, or `None` where it is damaged.
type Loaded = Option<Arc<Entry>>;

impl DiskStore {
    pub(super) fn read_page(
        &self,
        log: &Log,
        since: &Since,
        max: PageMax,
    ) -> Result<Page, StoreError> {
        let extent = log.extent();
        let (start, gap) = extent.resolve(since);
        let first = start.after.offset + 1;
        let places = within(log, first..=start.until, max);
        let loaded = self.load(log, first, &places)?;
        let damaged = loaded.iter().take_while(|entry| entry.is_none()).count();
        let gap_to = |gap: &Gap| gap.to;
        if damaged > 0 && gap.is_some() {
            // One gap a page: the next one begins with the damage.
            return Ok(page(gap, Vec::new(), start.after, &extent));
        }
        let gap = gap.or_else(|| {
            (damaged > 0).then(|| Gap {
                from: start.after,
                to: extent.position(start.after.offset + damaged as u64),
                reason: GapReason::Damaged,
            })
        });
        let entries: Vec<_> = loaded
            .into_iter()
            .skip(damaged)
            .map_while(|entry| entry)
            .collect();
        let next = gap.as_ref().map_or(start.after, gap_to);
        let next = entries.last().map_or(next, |entry| entry.position);
        Ok(page(gap, entries, next, &extent))
    }

    pub(super) fn read_page_before(
        &self,
        log: &Log,
        before: Option<&Position>,
        max: PageMax,
    ) -> Result<Page, StoreError> {
        let extent = log.extent();
        let end = before.map_or(extent.head + 1, |before| before.offset.min(extent.head + 1));
        let places = within_back(log, end, max);
        let first = end - places.len() as u64;
        let mut loaded = self.load(log, first, &places)?;
        let kept = loaded
            .iter()
            .rev()
            .take_while(|entry| entry.is_some())
            .count();
        let entries: Vec<_> = loaded
            .split_off(loaded.len() - kept)
            .into_iter()
            .flatten()
            .collect();
        let damaged = loaded
            .iter()
            .rev()
            .take_while(|entry| entry.is_none())
            .count();
        let gap = (damaged > 0).then(|| {
            let to = first + loaded.len() as u64 - 1;
            Gap {
                from: extent.position(to - damaged as u64),
                to: extent.position(to),
                reason: GapReason::Damaged,
            }
        });
        let next = gap.as_ref().map_or(extent.head(), |gap| gap.to);
        let next = entries.last().map_or(next, |entry| entry.position);
        Ok(page(gap, entries, next, &extent))
    }

    /// Reads the entries from `first` on.
    fn load(&self, log: &Log, first: u64, places: &[Place]) -> Result<Vec<Loaded>, StoreError> {
        let mut loaded = Vec::with_capacity(places.len());
        let read = self.files.read(places, |entry| {
            let offset = first + loaded.len() as u64;
            let ours = entry
                .filter(|entry| entry.log == log.name.as_str() && entry.position.offset == offset);
            let entry = ours.and_then(|entry| entry.to_entry(&log.name));
            loaded.push(entry.map(Arc::new));
        });
        read.map_err(|error| store_error(&error))?;
        Ok(loaded)
    }

    /// The page of a log that does not exist.
    pub(super) fn empty_page(&self, since: &Since) -> Page {
        let eras = [Era {
            first: 1,
            epoch: self.meta.epoch,
        }];
        let extent = Extent {
            eras: &eras,
            oldest: 1,
            head: 0,
        };
        let (start, gap) = extent.resolve(since);
        page(gap, Vec::new(), start.after, &extent)
    }
}

fn page(gap: Option<Gap>, entries: Vec<Arc<Entry>>, next: Position, extent: &Extent<'_>) -> Page {
    Page {
        gap,
        entries,
        next,
        head: extent.head(),
        oldest: extent.oldest,
    }
}

/// The places that fit on a page.
fn within(log: &Log, offsets: std::ops::RangeInclusive<u64>, max: PageMax) -> Vec<Place> {
    let places = offsets.map_while(|offset| log.place(offset));
    fitting(places, max)
}

/// The same, counted back from before `end`; in order.
fn within_back(log: &Log, end: u64, max: PageMax) -> Vec<Place> {
    let places = (1..end).rev().map_while(|offset| log.place(offset));
    let mut places = fitting(places, max);
    places.reverse();
    places
}

fn fitting(places: impl Iterator<Item = Place>, max: PageMax) -> Vec<Place> {
    let mut bytes = 0;
    let mut is_first = true;
    let fits = |place: &Place| {
        bytes += place.content_bytes();
        std::mem::take(&mut is_first) || bytes <= max.bytes as u64
    };
    places.take(max.entries.max(1)).take_while(fits).collect()
}
