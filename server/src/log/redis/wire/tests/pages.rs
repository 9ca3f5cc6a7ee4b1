//! Reading, marks, nodes.

use super::*;
use crate::log::redis::Node;

fn filled(link: &mut Link, count: usize) -> u64 {
    let run = link.opened("a", Trust::Whole);
    let content = format!("\"{}\"", "x".repeat(98));
    let messages = (0..count).map(|_| message("a", "", &content)).collect();
    link.append(run, EPOCH, messages);
    run
}

#[test]
fn pages_go_in_both_directions_by_entries_and_by_bytes() {
    let server = RedisServer::start();
    let mut link = server.link();
    filled(&mut link, 300);
    let max = |entries, bytes| PageMax { entries, bytes };
    let cases = [
        (From::Behind(0), max(1000, 1 << 20), 1..=300, false),
        (From::Behind(0), max(3, 1 << 20), 1..=3, true),
        (From::Behind(297), max(3, 1 << 20), 298..=300, false),
        (From::Behind(100), max(1000, 15_000), 101..=250, true),
        (From::Behind(100), max(1000, 15_099), 101..=250, true),
        (From::Oldest, max(1000, 1), 1..=1, true),
        (From::Before(None), max(5, 1 << 20), 296..=300, true),
        (From::Before(Some(300)), max(1000, 15_000), 150..=299, true),
        (From::Before(Some(3)), max(1000, 1 << 20), 1..=2, false),
        (From::Before(Some(9999)), max(1, 0), 300..=300, true),
    ];
    for (from, max, expected, more) in cases {
        let page = link.page("a", from, max);
        let expected: Vec<u64> = expected.collect();
        assert_eq!(
            (offsets(&page), page.more),
            (expected, more),
            "{from:?} {max:?}"
        );
        assert_eq!((page.oldest, page.head), (1, 300));
        assert_eq!(page.eras, [(1, EPOCH)]);
    }
    for from in [
        From::Head,
        From::Behind(300),
        From::Behind(u64::MAX),
        From::Before(Some(1)),
        From::Before(Some(0)),
    ] {
        let page = link.page("a", from, PAGE);
        assert_eq!(
            (offsets(&page), page.more, page.head),
            (vec![], false, 300),
            "{from:?}"
        );
    }
}

#[test]
fn a_log_that_is_not_there_begins_where_its_readers_are() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    let page = link.page("a", From::Oldest, PAGE);
    assert_eq!((page.oldest, page.head, page.more), (1, 0, false));
    let [(1, epoch)] = page.eras[..] else {
        panic!("{page:?}");
    };
    assert_eq!(link.page("a", From::Head, PAGE).eras, [(1, epoch)]);
    // Readers make no logs.
    assert_eq!(link.head("a"), None);
    let places = link.append(run, EPOCH, vec![message("a", "", "1")]);
    assert_eq!(places, [Appended::At(at(epoch, 1))]);
}

#[test]
fn a_mark_goes_forward_only_and_pages_begin_behind_it() {
    let server = RedisServer::start();
    let mut link = server.link();
    filled(&mut link, 10);
    let bucket = Bucket::of(&log("a"));
    let mark = |position, link: &mut Link| {
        let marks = vec![(log("a"), position), (log("nothing"), position)];
        let answer = link.ask(&Command::Mark { bucket, marks });
        assert!(matches!(answer, Answer::Done), "{answer:?}");
    };
    assert_eq!(link.page("a", From::Mark, PAGE).mark, None);
    assert_eq!(offsets(&link.page("a", From::Mark, PAGE)).len(), 10);
    // Nobody has seen what is not there, whatever they say.
    mark(at(EPOCH, 11), &mut link);
    mark(at(Epoch::new(1), 9), &mut link);
    assert_eq!(link.page("a", From::Mark, PAGE).mark, None);
    mark(at(EPOCH, 7), &mut link);
    mark(at(EPOCH, 3), &mut link);
    let page = link.page("a", From::Mark, PAGE);
    assert_eq!(
        (page.mark, offsets(&page)),
        (Some(at(EPOCH, 7)), vec![8, 9, 10])
    );
    // An epoch that nobody knows is no newer one.
    mark(at(Epoch::new(1), 9), &mut link);
    assert_eq!(link.page("a", From::Head, PAGE).mark, Some(at(EPOCH, 7)));
}

#[test]
fn nodes_that_said_so_are_there_until_they_leave_or_their_lease_ends() {
    let server = RedisServer::start();
    let mut link = server.link();
    let mut beat = |node: &str, lease, vouched: &[&str], leaves| {
        let beat = Command::Beat {
            node: node.to_owned(),
            lease,
            vouched: vouched.iter().map(|run| (*run).to_owned()).collect(),
            leaves,
        };
        match link.ask(&beat) {
            Answer::Nodes(mut nodes) => {
                nodes.sort_by(|one, other| one.name.cmp(&other.name));
                nodes
            }
            other => panic!("{other:?}"),
        }
    };
    let node = |name: &str, vouched: &[&str]| Node {
        name: name.to_owned(),
        vouched: vouched.iter().map(|run| (*run).to_owned()).collect(),
    };
    let long = Duration::from_secs(60);
    assert_eq!(beat("a b", long, &[], false), [node("a b", &[])]);
    // A lease that is over at once.
    beat("gone", Duration::ZERO, &["r1"], false);
    let nodes = beat("c", long, &["r1-1", "r2-1"], false);
    assert_eq!(nodes, [node("a b", &[]), node("c", &["r1-1", "r2-1"])]);
    assert_eq!(beat("a b", long, &[], true), [node("c", &["r1-1", "r2-1"])]);
}
