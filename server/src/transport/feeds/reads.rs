//! Pages on their way from the log: one that several wait for is read once, and only so many are on their way at once.
//!
//! A follower may take a page that was asked for before it came: pages and announcements come in one order, and this page is
//! behind all that was announced so far.

use std::collections::{HashMap, VecDeque};

use super::{Read, Reader};

/// Pages that are asked for at once. Each may have 64 KiB and is in memory before it is handed out; the others wait as names.
const ASKED_MAX: usize = 16;

/// Who waits for which page.
#[derive(Debug, Default)]
pub(super) struct Reads {
    waiting: HashMap<Read, Vec<Reader>, foldhash::fast::RandomState>,
    /// Pages that are not asked for yet.
    queue: VecDeque<Read>,
    asked: usize,
}

impl Reads {
    /// A follower waits for a page; returns it if it is to be asked for now.
    pub(super) fn want(&mut self, read: Read, reader: Reader) -> Option<Read> {
        if let Some(readers) = self.waiting.get_mut(&read) {
            readers.push(reader);
            return None;
        }
        self.waiting.insert(read.clone(), vec![reader]);
        if self.asked == ASKED_MAX {
            self.queue.push_back(read);
            return None;
        }
        self.asked += 1;
        Some(read)
    }

    /// A page has come; returns who waited for it.
    pub(super) fn came(&mut self, read: &Read) -> Vec<Reader> {
        let readers = self.waiting.remove(read);
        self.asked -= usize::from(readers.is_some());
        readers.unwrap_or_default()
    }

    /// The page that is to be asked for next, if there is room for one; those nobody waits for any more are left out.
    pub(super) fn next(&mut self, waits: impl Fn(Reader) -> bool) -> Option<Read> {
        while self.asked < ASKED_MAX {
            let read = self.queue.pop_front()?;
            let readers = self.waiting.get(&read);
            if readers.is_some_and(|readers| readers.iter().any(|reader| waits(*reader))) {
                self.asked += 1;
                return Some(read);
            }
            self.waiting.remove(&read);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ConnId, LogName};
    use crate::log::{Epoch, Position, ReadFrom, Since};

    fn reader(ticket: u32) -> Reader {
        let conn = ConnId {
            index: ticket,
            generation: 0,
        };
        Reader { conn, ticket }
    }

    fn read(offset: u64) -> Read {
        let epoch = Epoch::new(7);
        let after = Position { epoch, offset };
        let log = LogName::new("a").unwrap();
        Read::new(log, ReadFrom::Since(Since::After(after)), reader(0))
    }

    #[test]
    fn a_page_that_many_wait_for_is_asked_for_once() {
        let mut reads = Reads::default();
        assert_eq!(reads.want(read(1), reader(0)), Some(read(1)));
        assert_eq!(reads.want(read(1), reader(1)), None);
        assert_eq!(reads.want(read(2), reader(2)), Some(read(2)));
        assert_eq!(reads.came(&read(1)), [reader(0), reader(1)]);
        let again = reads.want(read(1), reader(1));
        assert_eq!(again, Some(read(1)), "it came, and is older now");
        assert_eq!(reads.came(&read(2)), [reader(2)]);
        assert_eq!(reads.came(&read(1)), [reader(1)]);
        assert_eq!((reads.asked, reads.waiting.len()), (0, 0));
    }

    #[test]
    fn only_so_many_are_on_their_way_and_nobody_is_forgotten() {
        let mut reads = Reads::default();
        let all = 3 * ASKED_MAX as u32;
        let mut asked: VecDeque<Read> = (0..all)
            .filter_map(|number| reads.want(read(number.into()), reader(number)))
            .collect();
        let mut served = Vec::new();
        while let Some(read) = asked.pop_front() {
            assert!(asked.len() < ASKED_MAX);
            served.extend(reads.came(&read).iter().map(|reader| reader.ticket));
            // The last has left meanwhile.
            asked.extend(reads.next(|reader| reader.ticket < all - 1));
        }
        assert_eq!(served, (0..all - 1).collect::<Vec<_>>());
        assert_eq!((reads.asked, reads.waiting.len()), (0, 0));
        assert!(reads.queue.is_empty());
    }

    #[test]
    fn what_the_owner_has_seen_is_read_for_each_by_itself() {
        let log = LogName::new("@a").unwrap();
        let of = |ticket| Read::new(log.clone(), ReadFrom::Mark, reader(ticket));
        let mut reads = Reads::default();
        assert!(reads.want(of(1), reader(1)).is_some());
        assert!(reads.want(of(2), reader(2)).is_some());
    }
}
