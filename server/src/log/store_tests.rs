//! What every store does alike, said once: each of these is run against each kind of store.

use serde_json::value::RawValue;

use super::{Draft, Epoch, GapReason, PageMax, Placed, Position, Retention, Since, Store};
use crate::ids::{LogName, Session, UserName};

/// Makes the tests of a store; `$open` is an empty one with a [`Retention`].
macro_rules! store_tests {
    ($open:expr) => {
        $crate::log::store_tests::store_tests!($open;
            offsets_are_dense_from_1_in_each_log
            nothing_is_read_before_it_is_committed
            a_key_finds_its_first_entry
            a_key_is_free_again_when_its_entry_is_forgotten
            reading_goes_on_behind_a_position
            pages_are_bounded
            history_is_read_backwards
            the_retention_lets_go_of_the_oldest
            a_log_that_was_forgotten_begins_a_new_epoch
            marks_are_kept
        );
    };
    ($open:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::log::store_tests::$name(&mut |retention| Box::new($open(retention)));
            }
        )*
    };
}
pub(super) use store_tests;

type Open<'a> = &'a mut dyn FnMut(Retention) -> Box<dyn Store>;

const ALL: PageMax = PageMax {
    entries: 1000,
    bytes: 1 << 20,
};

fn log(name: &str) -> LogName {
    LogName::new(name).unwrap()
}

pub(crate) fn draft(name: &str, content: &str) -> Draft {
    Draft {
        log: log(name),
        from: UserName::new("alice").unwrap(),
        session: Session::new("s").unwrap(),
        seq: None,
        content: RawValue::from_string(content.to_owned()).unwrap(),
        time: 1000,
    }
}

fn numbered(name: &str, seq: u64) -> Draft {
    Draft {
        seq: Some(RawValue::from_string(seq.to_string()).unwrap()),
        ..draft(name, &seq.to_string())
    }
}

fn place(store: &mut dyn Store, draft: Draft) -> Position {
    match store.append(draft).unwrap() {
        Placed::New(entry) => entry.position,
        Placed::Duplicate { position, .. } => panic!("it is there at {position}"),
    }
}

fn filled(open: Open<'_>, retention: Retention, entries: u64) -> Box<dyn Store> {
    let mut store = open(retention);
    for seq in 1..=entries {
        assert_eq!(place(&mut *store, numbered("a", seq)).offset, seq);
    }
    store.commit().unwrap();
    store
}

fn offsets(store: &dyn Store, since: Since, max: PageMax) -> Vec<u64> {
    let page = store.read(&log("a"), &since, max).unwrap();
    for entry in &page.entries {
        assert_eq!(entry.draft.content.get(), entry.position.offset.to_string());
    }
    let last = page.entries.last().map(|entry| entry.position);
    assert!(last.is_none_or(|last| last == page.next));
    page.entries
        .iter()
        .map(|entry| entry.position.offset)
        .collect()
}

fn after(store: &dyn Store, offset: u64) -> Since {
    let epoch = store.head(&log("a")).epoch;
    Since::After(Position { epoch, offset })
}

pub(super) fn offsets_are_dense_from_1_in_each_log(open: Open<'_>) {
    let mut store = open(Retention::default());
    let before = store.head(&log("a"));
    assert_eq!(before.offset, 0);
    let names = ["a", "a", "*", "@alice", "a"];
    let places = names.map(|name| place(&mut *store, draft(name, "1")).offset);
    assert_eq!(places, [1, 2, 1, 1, 3]);
    store.commit().unwrap();
    let head = store.head(&log("a"));
    assert_eq!((head.offset, head.epoch), (3, before.epoch));
    let mut logs: Vec<String> = store
        .logs()
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    logs.sort_unstable();
    assert_eq!(logs, ["*", "@alice", "a"]);
}

pub(super) fn nothing_is_read_before_it_is_committed(open: Open<'_>) {
    let mut store = filled(open, Retention::default(), 2);
    place(&mut *store, numbered("a", 3));
    assert_eq!(offsets(&*store, Since::Oldest, ALL), [1, 2]);
    assert_eq!(store.head(&log("a")).offset, 2);
    let back = store.read_before(&log("a"), None, ALL).unwrap();
    assert_eq!(back.entries.len(), 2);
    store.commit().unwrap();
    assert_eq!(offsets(&*store, Since::Oldest, ALL), [1, 2, 3]);
}

pub(super) fn a_key_finds_its_first_entry(open: Open<'_>) {
    let mut store = filled(open, Retention::default(), 3);
    let mut again = |draft: Draft| match store.append(draft).unwrap() {
        Placed::New(_) => None,
        Placed::Duplicate { position, time } => Some((position.offset, time)),
    };
    let later = Draft {
        time: 9000,
        ..numbered("a", 2)
    };
    assert_eq!(again(later), Some((2, 1000)));
    // One that is not committed yet is found, too.
    assert_eq!(again(numbered("a", 4)), None);
    assert_eq!(again(numbered("a", 4)), Some((4, 1000)));
    // Another log, user, session, or no number at all: another message.
    let bob = UserName::new("bob").unwrap();
    let other = Session::new("t").unwrap();
    assert_eq!(again(numbered("b", 2)), None);
    assert_eq!(
        again(Draft {
            from: bob,
            ..numbered("a", 2)
        }),
        None
    );
    assert_eq!(
        again(Draft {
            session: other,
            ..numbered("a", 2)
        }),
        None
    );
    assert_eq!(again(draft("a", "2")), None);
    assert_eq!(again(draft("a", "2")), None);
}

pub(super) fn a_key_is_free_again_when_its_entry_is_forgotten(open: Open<'_>) {
    let retention = Retention {
        entries_max: 2,
        ..Retention::default()
    };
    let mut store = filled(open, retention, 4);
    assert_eq!(place(&mut *store, numbered("a", 1)).offset, 5);
    assert!(matches!(
        store.append(numbered("a", 4)).unwrap(),
        Placed::Duplicate { .. }
    ));
}

pub(super) fn reading_goes_on_behind_a_position(open: Open<'_>) {
    let store = filled(open, Retention::default(), 5);
    assert_eq!(offsets(&*store, after(&*store, 3), ALL), [4, 5]);
    assert_eq!(offsets(&*store, after(&*store, 0), ALL), [1, 2, 3, 4, 5]);
    assert_eq!(offsets(&*store, after(&*store, 5), ALL), [0; 0]);
    assert_eq!(offsets(&*store, Since::Now, ALL), [0; 0]);
    let head = store.head(&log("a"));
    let page = store.read(&log("a"), &Since::Now, ALL).unwrap();
    assert_eq!((page.gap, page.next, page.head), (None, head, head));
    let elsewhere = Position {
        epoch: Epoch::new(head.epoch.number() ^ 1),
        offset: 3,
    };
    let page = store
        .read(&log("a"), &Since::After(elsewhere), ALL)
        .unwrap();
    assert_eq!(page.entries.len(), 5);
    assert_eq!(page.gap.unwrap().reason, GapReason::EpochChanged);
    let page = store.read(&log("empty"), &Since::Oldest, ALL).unwrap();
    assert_eq!((page.gap, page.entries.len()), (None, 0));
    assert_eq!(page.next, store.head(&log("empty")));
}

pub(super) fn pages_are_bounded(open: Open<'_>) {
    let store = filled(open, Retention::default(), 20);
    let two = PageMax { entries: 2, ..ALL };
    assert_eq!(offsets(&*store, Since::Oldest, two), [1, 2]);
    assert_eq!(offsets(&*store, after(&*store, 2), two), [3, 4]);
    let three_bytes = PageMax { bytes: 3, ..ALL };
    assert_eq!(offsets(&*store, Since::Oldest, three_bytes), [1, 2, 3]);
    // One is read, however large.
    assert_eq!(
        offsets(&*store, after(&*store, 9), PageMax { bytes: 1, ..ALL }),
        [10]
    );
}

pub(super) fn history_is_read_backwards(open: Open<'_>) {
    let store = filled(open, Retention::default(), 9);
    let two = PageMax { entries: 2, ..ALL };
    let read = |before: Option<u64>, max| {
        let epoch = store.head(&log("a")).epoch;
        let before = before.map(|offset| Position { epoch, offset });
        let page = store.read_before(&log("a"), before.as_ref(), max).unwrap();
        page.entries
            .iter()
            .map(|entry| entry.position.offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(None, two), [8, 9]);
    assert_eq!(read(Some(8), two), [6, 7]);
    assert_eq!(read(Some(2), two), [1]);
    assert_eq!(read(Some(1), two), [0; 0]);
    assert_eq!(read(Some(100), two), [8, 9]);
}

pub(super) fn the_retention_lets_go_of_the_oldest(open: Open<'_>) {
    let retention = Retention {
        entries_max: 3,
        ..Retention::default()
    };
    let mut store = filled(&mut *open, retention, 5);
    assert_eq!(offsets(&*store, Since::Oldest, ALL), [3, 4, 5]);
    let page = store.read(&log("a"), &after(&*store, 1), ALL).unwrap();
    let gap = page.gap.unwrap();
    assert_eq!(
        (gap.from.offset, gap.to.offset, gap.reason),
        (1, 2, GapReason::Expired)
    );
    assert_eq!(page.entries.len(), 3);
    assert_eq!(place(&mut *store, numbered("a", 6)).offset, 6);
    let bytes = Retention {
        bytes_max: 2,
        ..Retention::default()
    };
    assert_eq!(
        offsets(&*filled(open, bytes, 5), Since::Oldest, ALL),
        [4, 5]
    );
}

pub(super) fn a_log_that_was_forgotten_begins_a_new_epoch(open: Open<'_>) {
    let mut store = filled(open, Retention::default(), 5);
    let week = Retention::default().age_max.as_millis() as u64;
    let old = store.head(&log("a"));
    store.expire(1000 + week).unwrap();
    assert_eq!(store.head(&log("a")), old);
    store.expire(1001 + week).unwrap();
    let head = store.head(&log("a"));
    assert!(head.offset == 0 && head.epoch != old.epoch, "{head}");
    let again = place(&mut *store, numbered("a", 1));
    assert_eq!((again.offset, again.epoch), (1, head.epoch));
    store.commit().unwrap();
    let page = store.read(&log("a"), &Since::After(old), ALL).unwrap();
    assert_eq!(
        (page.gap.unwrap().reason, page.entries.len()),
        (GapReason::EpochChanged, 1)
    );
}

pub(super) fn marks_are_kept(open: Open<'_>) {
    let mut store = filled(open, Retention::default(), 5);
    let head = store.head(&log("a"));
    assert_eq!(store.mark(&log("a")), None);
    store.set_mark(&log("a"), head);
    store.commit().unwrap();
    assert_eq!(store.mark(&log("a")), Some(head));
    assert_eq!(store.mark(&log("b")), None);
}
