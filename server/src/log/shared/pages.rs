//! From what Redis has of a log to what a worker's reader gets: where it begins, what is missing before that, and nothing that
//! was not announced yet.

use std::sync::Arc;

use crate::log::extent::{Era, Extent};
use crate::log::shared::{Extracted, From};
use crate::log::{Entry, Page, PageMax, Part, Position, ReadFrom, Since};

/// What a worker wants of a log.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// To read on.
    On(ReadFrom),
    /// To read what is there.
    Part(Part),
}

/// What an answer of Redis makes of it.
#[derive(Debug)]
pub(super) enum Cut {
    /// The page.
    Page(Page),
    /// Its reader is beyond what was announced here: it goes on once this was.
    Ahead(u64),
    /// The entries are others than those that it needs: from there on.
    From(From),
}

impl Wanted {
    /// What to ask Redis for.
    pub(super) fn from(self) -> From {
        match self {
            Self::On(ReadFrom::Since(since)) | Self::Part(Part::Since(since)) => match since {
                Since::Oldest => From::Oldest,
                Since::Now => From::Head,
                Since::After(position) => From::Behind(position.offset),
            },
            Self::On(ReadFrom::Mark) => From::Mark,
            Self::Part(Part::Before(before)) => From::Before(before.map(|before| before.offset)),
        }
    }

    /// Up to where a log must have been announced for a page of it: all of what is there was acknowledged perhaps, and whoever
    /// asks has perhaps heard so.
    pub(super) fn needs(self, extracted: &Extracted) -> u64 {
        match self {
            // The rest is announced behind the page.
            Self::On(_) => 0,
            Self::Part(Part::Since(_)) => {
                let last = extracted.entries.last();
                last.map_or(0, |last| last.position.offset)
            }
            Self::Part(Part::Before(before)) => {
                let end = before.map_or(u64::MAX, |before| before.offset.saturating_sub(1));
                extracted.head.min(end)
            }
        }
    }

    /// Where a page ends that shows a log up to `until`, and was asked for when up to `needs` was needed: the newest are those of then.
    pub(super) fn end(self, until: Position, needs: u64) -> Position {
        match self {
            Self::Part(Part::Before(None)) => Position {
                offset: until.offset.min(needs),
                ..until
            },
            Self::Part(Part::Before(Some(_)) | Part::Since(_)) | Self::On(_) => until,
        }
    }

    /// Makes a page of what Redis answered to `asked`, up to and with `until`.
    pub(super) fn cut(self, extracted: Extracted, asked: From, until: Position) -> Cut {
        let eras = extracted.eras.iter();
        let eras: Vec<Era> = eras.map(|&(first, epoch)| Era { first, epoch }).collect();
        let extent = Extent {
            eras: &eras,
            // What was not announced yet is not missed.
            oldest: extracted.oldest.min(until.offset + 1),
            head: extracted.head,
        };
        let oldest = extent.oldest;
        let since = match self {
            Self::Part(Part::Before(_)) => {
                let entries = shown(extracted.entries, 0, until.offset);
                let next = entries.last().map_or(until, |entry| entry.position);
                return Cut::Page(Page {
                    gap: None,
                    entries,
                    next,
                    head: until,
                    oldest,
                });
            }
            Self::On(ReadFrom::Since(since)) | Self::Part(Part::Since(since)) => match since {
                Since::Now => Since::After(until),
                Since::Oldest | Since::After(_) => since,
            },
            Self::On(ReadFrom::Mark) => extracted.mark.map_or(Since::Oldest, Since::After),
        };
        let (start, gap) = extent.resolve(&since);
        if start.after.offset > until.offset {
            return Cut::Ahead(start.after.offset);
        }
        let asked = match asked {
            From::Behind(offset) => Some(offset),
            From::Mark => extracted.mark.map(|mark| mark.offset),
            From::Oldest | From::Head | From::Before(_) => None,
        };
        if asked.is_some_and(|asked| asked > start.after.offset)
            && start.after.offset < start.until.min(until.offset)
        {
            return Cut::From(From::Behind(start.after.offset));
        }
        let last = start.until.min(until.offset);
        let entries = shown(extracted.entries, start.after.offset, last);
        Cut::Page(Page {
            gap,
            next: entries.last().map_or(start.after, |entry| entry.position),
            entries,
            head: until,
            oldest,
        })
    }
}

/// Where a log ends.
pub(super) fn head(extracted: &Extracted) -> Position {
    let epoch = extracted.eras.last().map(|&(_, epoch)| epoch);
    Position {
        // There is always one.
        epoch: epoch.unwrap_or(crate::log::Epoch::new(0)),
        offset: extracted.head,
    }
}

/// At least one entry at a time.
pub(super) fn at_least_one(max: PageMax) -> PageMax {
    PageMax {
        entries: max.entries.max(1),
        ..max
    }
}

fn shown(entries: Vec<Entry>, after: u64, last: u64) -> Vec<Arc<Entry>> {
    let is_shown = |entry: &Entry| (after + 1..=last).contains(&entry.position.offset);
    let entries = entries.into_iter().filter(is_shown);
    entries.map(Arc::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::store_tests::draft;
    use crate::log::{Epoch, GapReason};

    fn at(epoch: u32, offset: u64) -> Position {
        let epoch = Epoch::new(epoch);
        Position { epoch, offset }
    }

    /// Entries 3 to 9, from 6 on in another epoch; those behind `asked`.
    fn extracted(asked: u64) -> Extracted {
        let entry = |offset| Entry {
            position: at(if offset < 6 { 1 } else { 2 }, offset),
            draft: draft("a", "1"),
        };
        Extracted {
            eras: vec![(1, Epoch::new(1)), (6, Epoch::new(2))],
            oldest: 3,
            head: 9,
            mark: Some(at(1, 4)),
            entries: (3..=9).filter(|n| *n > asked).map(entry).collect(),
            more: false,
        }
    }

    fn page(cut: Cut) -> (Option<GapReason>, Vec<u64>, Position, Position) {
        let Cut::Page(page) = cut else {
            panic!("{cut:?}")
        };
        let offsets = page.entries.iter().map(|entry| entry.position.offset);
        let reason = page.gap.map(|gap| gap.reason);
        (reason, offsets.collect(), page.next, page.head)
    }

    fn after(position: Position) -> Wanted {
        Wanted::On(ReadFrom::Since(Since::After(position)))
    }

    #[test]
    fn a_page_ends_where_what_was_announced_ends() {
        let cut = after(at(2, 6)).cut(extracted(6), From::Behind(6), at(2, 8));
        assert_eq!(page(cut), (None, vec![7, 8], at(2, 8), at(2, 8)));
        let cut = Wanted::On(ReadFrom::Since(Since::Now)).cut(extracted(9), From::Head, at(2, 8));
        assert_eq!(page(cut), (None, vec![], at(2, 8), at(2, 8)));
        let cut = Wanted::Part(Part::Before(None)).cut(extracted(2), From::Before(None), at(2, 7));
        assert_eq!(page(cut), (None, vec![3, 4, 5, 6, 7], at(2, 7), at(2, 7)));
    }

    #[test]
    fn who_reads_what_is_there_needs_all_of_it_and_who_follows_hears_the_rest() {
        let since = Since::After(at(2, 6));
        assert_eq!(Wanted::Part(Part::Since(since)).needs(&extracted(6)), 9);
        assert_eq!(Wanted::Part(Part::Since(since)).needs(&extracted(9)), 0);
        assert_eq!(Wanted::Part(Part::Before(None)).needs(&extracted(2)), 9);
        let before = Part::Before(Some(at(2, 5)));
        assert_eq!(Wanted::Part(before).needs(&extracted(2)), 4);
        let before = Part::Before(Some(at(2, 50)));
        assert_eq!(Wanted::Part(before).needs(&extracted(2)), 9);
        assert_eq!(Wanted::On(ReadFrom::Since(since)).needs(&extracted(6)), 0);
    }

    #[test]
    fn a_page_ends_where_an_epoch_ends() {
        let cut = Wanted::On(ReadFrom::Mark).cut(extracted(4), From::Mark, at(2, 9));
        assert_eq!(page(cut), (None, vec![5], at(1, 5), at(2, 9)));
    }

    #[test]
    fn who_is_ahead_of_what_was_announced_waits_and_is_not_told_of_a_gap() {
        let cut = after(at(2, 9)).cut(extracted(9), From::Behind(9), at(2, 7));
        assert!(matches!(cut, Cut::Ahead(9)), "{cut:?}");
    }

    #[test]
    fn who_names_what_never_was_is_told_of_the_gap_and_gets_what_is_behind_it() {
        let wanted = after(at(3, 12));
        let cut = wanted.cut(extracted(12), From::Behind(12), at(2, 9));
        let Cut::From(from) = cut else {
            panic!("{cut:?}")
        };
        assert_eq!(from, From::Behind(2));
        let gap = Some(GapReason::EpochChanged);
        let cut = wanted.cut(extracted(2), from, at(2, 9));
        assert_eq!(page(cut), (gap, vec![3, 4, 5], at(1, 5), at(2, 9)));
    }

    #[test]
    fn what_is_not_kept_for_who_comes_later_is_expired_up_to_what_was_announced() {
        let kept = Extracted {
            oldest: 10,
            entries: Vec::new(),
            ..extracted(9)
        };
        let cut = after(at(2, 7)).cut(kept.clone(), From::Behind(7), at(2, 8));
        let gap = Some(GapReason::Expired);
        assert_eq!(page(cut), (gap, vec![], at(2, 8), at(2, 8)));
        let oldest = Wanted::On(ReadFrom::Since(Since::Oldest));
        let cut = oldest.cut(kept, From::Oldest, at(2, 8));
        assert_eq!(page(cut), (None, vec![], at(2, 8), at(2, 8)));
    }
}
