//! Pages on their way from the log: one that several wait for is read once, and only so many whole ones are on their way.
//!
//! A follower may take a page that was asked for before it came: pages and announcements come in one order, and the ring has
//! what was announced since.

use std::collections::{HashMap, VecDeque};

use super::{Place, Read, Reader};

/// Whole pages that are asked for at once. Each may have 64 KiB and is in memory before it is handed out; the others wait as
/// names.
const ASKED_MAX: usize = 16;

/// Who waits for which page.
#[derive(Debug, Default)]
pub(super) struct Reads {
    waiting: HashMap<Place, Vec<Reader>, foldhash::fast::RandomState>,
    /// Pages that are not asked for yet.
    queue: VecDeque<Place>,
    asked: usize,
}

impl Reads {
    /// A follower comes; returns its first page if it is to be asked for. That does not wait, so that who joins and then speaks
    /// has joined first; where there are too many, it is a short one.
    pub(super) fn want_first(&mut self, place: Place, reader: Reader) -> Option<Read> {
        let place = self.wait(place, reader)?;
        let is_short = self.asked == ASKED_MAX;
        self.asked += usize::from(!is_short);
        Some(Read { place, is_short })
    }

    /// A follower goes on; returns its page if it is to be asked for now.
    pub(super) fn want(&mut self, place: Place, reader: Reader) -> Option<Read> {
        let place = self.wait(place, reader)?;
        if self.asked == ASKED_MAX {
            self.queue.push_back(place);
            return None;
        }
        self.asked += 1;
        Some(Read::whole(place))
    }

    /// Returns the place if nobody else waits for its page.
    fn wait(&mut self, place: Place, reader: Reader) -> Option<Place> {
        if let Some(readers) = self.waiting.get_mut(&place) {
            readers.push(reader);
            return None;
        }
        self.waiting.insert(place.clone(), vec![reader]);
        Some(place)
    }

    /// Who waits for a page.
    pub(super) fn waiting(&self, read: &Read) -> &[Reader] {
        self.waiting.get(&read.place).map_or(&[], Vec::as_slice)
    }

    /// A page has come; returns who waited for it.
    pub(super) fn came(&mut self, read: &Read) -> Vec<Reader> {
        let readers = self.waiting.remove(&read.place);
        self.asked -= usize::from(readers.is_some() && !read.is_short);
        readers.unwrap_or_default()
    }

    /// The page that is to be asked for next, if there is room for one; those nobody waits for any more are left out.
    pub(super) fn next(&mut self, waits: impl Fn(Reader) -> bool) -> Option<Read> {
        while self.asked < ASKED_MAX {
            let place = self.queue.pop_front()?;
            let readers = self.waiting.get(&place);
            if readers.is_some_and(|readers| readers.iter().any(|reader| waits(*reader))) {
                self.asked += 1;
                return Some(Read::whole(place));
            }
            self.waiting.remove(&place);
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

    fn place(offset: u64) -> Place {
        let epoch = Epoch::new(7);
        let from = ReadFrom::Since(Since::After(Position { epoch, offset }));
        let log = LogName::new("a").unwrap();
        let of = 0;
        Place { log, from, of }
    }

    fn page(offset: u64) -> Read {
        Read::whole(place(offset))
    }

    #[test]
    fn a_page_that_many_wait_for_is_asked_for_once() {
        let mut reads = Reads::default();
        assert_eq!(reads.want(place(1), reader(0)), Some(page(1)));
        assert_eq!(reads.want(place(1), reader(1)), None);
        assert_eq!(reads.want_first(place(1), reader(2)), None);
        assert_eq!(reads.want(place(2), reader(3)), Some(page(2)));
        assert_eq!(reads.came(&page(1)), [reader(0), reader(1), reader(2)]);
        let again = reads.want(place(1), reader(1));
        assert_eq!(again, Some(page(1)), "it came, and is older now");
        assert_eq!(reads.came(&page(2)), [reader(3)]);
        assert_eq!(reads.came(&page(1)), [reader(1)]);
        assert_eq!((reads.asked, reads.waiting.len()), (0, 0));
    }

    #[test]
    fn only_so_many_are_on_their_way_and_nobody_is_forgotten() {
        let mut reads = Reads::default();
        let all = 3 * ASKED_MAX as u32;
        let mut asked: VecDeque<Read> = (0..all)
            .filter_map(|number| reads.want(place(number.into()), reader(number)))
            .collect();
        assert_eq!(asked.len(), ASKED_MAX);
        let first = reads.want_first(place(1000), reader(1000)).unwrap();
        assert!(first.is_short, "who comes does not wait, and takes little");
        assert_eq!(reads.came(&first), [reader(1000)]);
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
}
