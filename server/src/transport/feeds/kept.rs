//! Entries that were read from the log for one follower, kept for a while for the others that come to the same place: the
//! ring has the newest, and many who resume at once want what is older.

use std::collections::{HashMap, VecDeque, hash_map};
use std::sync::Arc;

use super::Shared;
use crate::ids::LogName;
use crate::log::{Entry, Position};

/// Memory that is kept, beside the page that came last: as much as all pages take that are on their way at once.
const BYTES_MAX: usize = 4 << 20;

/// What an entry takes beside its content and the frame made of it: names, places in here, what allocations cost.
const ENTRY_BYTES: usize = 512;

/// Entries of all logs, first in first out: who is behind reads forward, so that what was read first is done with first.
#[derive(Debug, Default)]
pub(super) struct Kept {
    logs: HashMap<LogName, Entries, foldhash::fast::RandomState>,
    order: VecDeque<Arc<Shared>>,
    bytes: usize,
}

type Entries = HashMap<Position, Arc<Shared>, foldhash::fast::RandomState>;

impl Kept {
    /// Keeps the entries of a page that are not here yet, and lets go of the oldest pages' where that is too much.
    pub(super) fn add<'a>(
        &mut self,
        log: &LogName,
        page: impl IntoIterator<Item = &'a Arc<Entry>>,
    ) {
        let entries = self.logs.entry(log.clone()).or_default();
        let before = self.order.len();
        for entry in page {
            if let hash_map::Entry::Vacant(place) = entries.entry(entry.position) {
                let shared = Arc::new(Shared::new(Arc::clone(entry)));
                self.bytes += bytes_of(&shared);
                place.insert(Arc::clone(&shared));
                self.order.push_back(shared);
            }
        }
        // Who asked for this page must find it, however large it is.
        self.let_go(before);
        if self.logs.get(log).is_some_and(HashMap::is_empty) {
            self.logs.remove(log);
        }
    }

    fn let_go(&mut self, mut entries_max: usize) {
        while self.bytes > BYTES_MAX
            && entries_max > 0
            && let Some(oldest) = self.order.pop_front()
        {
            entries_max -= 1;
            self.bytes -= bytes_of(&oldest);
            let log = oldest.entry.draft.log.as_str();
            if let Some(entries) = self.logs.get_mut(log) {
                entries.remove(&oldest.entry.position);
                if entries.is_empty() {
                    self.logs.remove(log);
                }
            }
        }
    }

    /// The entry behind a position, of the same epoch, if it is here.
    pub(super) fn behind(&self, log: &LogName, position: Position) -> Option<&Arc<Shared>> {
        let next = Position {
            offset: position.offset + 1,
            ..position
        };
        self.logs.get(log)?.get(&next)
    }

    /// Gives all memory back.
    pub(super) fn clear(&mut self) {
        if !self.order.is_empty() {
            *self = Self::default();
        }
    }
}

fn bytes_of(shared: &Shared) -> usize {
    2 * shared.entry.draft.content.get().len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;
    use crate::log::store_tests::draft;

    const EPOCH: Epoch = Epoch::new(7);

    fn at(offset: u64) -> Position {
        Position {
            epoch: EPOCH,
            offset,
        }
    }

    fn log(name: &str) -> LogName {
        LogName::new(name).unwrap()
    }

    fn entry(name: &str, offset: u64, bytes: usize) -> Arc<Entry> {
        let draft = draft(name, &format!("\"{}\"", "x".repeat(bytes - 2)));
        let position = at(offset);
        Arc::new(Entry { position, draft })
    }

    /// The first kept entry, the last, and how many there are, up to `offset`.
    fn kept_up_to(kept: &Kept, name: &str, offset: u64) -> Option<(u64, u64, usize)> {
        let name = log(name);
        let offsets: Vec<u64> = (0..offset)
            .filter_map(|offset| kept.behind(&name, at(offset)))
            .map(|shared| shared.entry.position.offset)
            .collect();
        Some((*offsets.first()?, *offsets.last()?, offsets.len()))
    }

    #[test]
    fn what_is_kept_has_a_bound_and_the_oldest_goes_first() {
        let mut kept = Kept::default();
        let (content, page) = (10_000, 8);
        let fit = (BYTES_MAX / (2 * content + ENTRY_BYTES)) as u64;
        for first in (1..=10 * fit).step_by(page) {
            let offsets = first..first + page as u64;
            let page: Vec<_> = offsets.map(|offset| entry("a", offset, content)).collect();
            kept.add(&log("a"), &page);
            assert!(kept.bytes <= BYTES_MAX);
            let counted: usize = kept.order.iter().map(|shared| bytes_of(shared)).sum();
            assert_eq!(kept.bytes, counted);
        }
        let (first, last, count) = kept_up_to(&kept, "a", 11 * fit).unwrap();
        assert_eq!((last - first + 1, count as u64), (fit, fit), "the newest");
        assert!(last >= 10 * fit);
        assert_eq!(kept.logs.values().map(HashMap::len).sum::<usize>(), count);
        kept.add(&log("b"), &[entry("b", 1, BYTES_MAX)]);
        assert_eq!(kept_up_to(&kept, "b", 1), Some((1, 1, 1)));
        assert_eq!(kept.order.len(), 1, "however large, the last page is there");
        assert!(!kept.logs.contains_key("a"), "and nothing of what is gone");
    }

    #[test]
    fn who_reads_the_same_again_gets_what_is_there() {
        let mut kept = Kept::default();
        let first = entry("a", 1, 10);
        kept.add(&log("a"), &[Arc::clone(&first)]);
        let bytes = kept.bytes;
        kept.add(&log("a"), &[entry("a", 1, 10)]);
        assert_eq!((kept.bytes, kept.order.len()), (bytes, 1));
        let found = kept.behind(&log("a"), at(0)).unwrap();
        assert!(Arc::ptr_eq(&found.entry, &first));
        let other_epoch = Position {
            epoch: Epoch::new(8),
            offset: 0,
        };
        assert!(kept.behind(&log("a"), other_epoch).is_none());
        assert!(kept.behind(&log("b"), at(0)).is_none());
        kept.clear();
        assert_eq!((kept.bytes, kept.logs.len(), kept.order.len()), (0, 0, 0));
    }
}
